//! A runner on a real unix socket that does what the test says.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{SinkExt, StreamExt};
use staithe_protocol::{
    Action, Observation,
    observation::RunObservation,
    runner::{
        Answer, Call, CallFailed, CloneWish, Cloned, FromRunner, Hello, KEY_HEADER, LINK_PATH,
        ServerInfo, ToRunner,
    },
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{broadcast, mpsc, watch},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
    },
};

/// Frames that may wait for a line.
const FRAMES: usize = 256;

/// See the module. Clones are the same runner.
#[derive(Clone)]
pub struct FakeRunner {
    inner: Arc<Inner>,
}

struct Inner {
    key: String,
    began: Instant,
    state: Mutex<State>,
    /// While it is true, actions go on and are not done.
    hanging: watch::Sender<bool>,
    /// Counts cuts: a line of an earlier one ends.
    cuts: watch::Sender<u64>,
    /// The program has ended.
    ended: watch::Sender<bool>,
    /// What every line is to say.
    said: broadcast::Sender<FromRunner>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    known: BTreeMap<String, Known>,
    /// Over all epochs, in order: keys of what was carried out.
    carried_out: Vec<String>,
    /// Commands that run now, and the most at once.
    in_shell: usize,
    most_in_shell: usize,
    /// The test says that something runs.
    busy: bool,
    last_done: Option<Instant>,
    /// What it was told to set in the environment, over all epochs.
    configured: Vec<BTreeMap<String, String>>,
    /// The repositories that it was asked for, over all epochs.
    cloned: Vec<CloneWish>,
    refuses: bool,
}

/// What became of a key in this epoch.
type Known = watch::Receiver<Option<Observation>>;

impl FakeRunner {
    /// Begins to listen; must be called within a runtime.
    ///
    /// # Panics
    ///
    /// When the socket can't be made.
    pub fn listen(socket: &Path, key: &str) -> Self {
        std::fs::remove_file(socket).ok(); // a dead runner's
        let listener = UnixListener::bind(socket).expect("the fake runner's socket");
        let (said, _) = broadcast::channel(FRAMES);
        let inner = Inner {
            key: key.to_owned(),
            began: Instant::now(),
            state: Mutex::default(),
            hanging: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            ended: watch::Sender::new(false),
            said,
        };
        let this = Self { inner: Arc::new(inner) };
        tokio::spawn(this.clone().accept(listener));
        this
    }

    /// How often the action of this key was carried out, over all epochs.
    pub fn carried_out(&self, key: &str) -> usize {
        self.state().carried_out.iter().filter(|it| *it == key).count()
    }

    /// Keys of all that was carried out, in order.
    pub fn order(&self) -> Vec<String> {
        self.state().carried_out.clone()
    }

    /// The most commands that ran at once in the shell.
    pub fn most_in_shell(&self) -> usize {
        self.state().most_in_shell
    }

    /// Something runs that no action of ours began, or no longer.
    pub fn set_busy(&self, busy: bool) {
        let mut state = self.state();
        state.busy = busy;
        state.last_done = Some(Instant::now());
    }

    /// From now on it refuses to be configured, or no longer.
    pub fn refuse_configuration(&self, refuses: bool) {
        self.state().refuses = refuses;
    }

    /// What it was told to set in the environment, in order.
    pub fn configured(&self) -> Vec<BTreeMap<String, String>> {
        self.state().configured.clone()
    }

    /// The repositories that it was asked for, in order.
    pub fn cloned(&self) -> Vec<CloneWish> {
        self.state().cloned.clone()
    }

    /// Actions go on and are not done until it is called with `false`.
    pub fn hang(&self, hang: bool) {
        self.inner.hanging.send_replace(hang);
    }

    /// Cuts every line; they may be opened again at once.
    pub fn cut(&self) {
        self.inner.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Begins anew: another epoch that knows nothing. Every line is cut.
    pub fn begin_anew(&self) {
        {
            let mut state = self.state();
            state.epoch += 1;
            state.known.clear();
            state.in_shell = 0;
        }
        self.cut();
    }

    /// Prints, as the command of a key.
    pub fn print(&self, key: Option<&str>, offset: u64, text: &str) {
        let key = key.map(str::to_owned);
        let output = FromRunner::Output { key, offset, text: text.to_owned(), skipped: 0 };
        self.inner.said.send(output).ok(); // nobody may be listening
    }

    /// Ends the program.
    pub(crate) fn end(&self) {
        self.inner.ended.send_replace(true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(self, listener: UnixListener) {
        let mut ended = self.inner.ended.subscribe();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(self.clone().serve(stream))),
                    Err(_) => return,
                },
                _ = ended.wait_for(|ended| *ended) => return,
            }
        }
    }

    async fn serve(self, stream: UnixStream) {
        let mut ended = self.inner.ended.subscribe();
        let mut cuts = self.inner.cuts.subscribe();
        cuts.mark_unchanged();
        let Some(mut socket) = self.shake_hands(stream).await else { return };
        let mut said = self.inner.said.subscribe();
        let (answer, mut answers) = mpsc::channel(FRAMES);
        let hello = FromRunner::Hello(self.hello());
        if say(&mut socket, &hello).await.is_none() {
            return;
        }
        loop {
            let word = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let request = serde_json::from_str(&text).expect("a word of ours");
                        self.take(request, &answer);
                        continue;
                    }
                    Some(Ok(_)) => continue,
                    _ => return,
                },
                Some(word) = answers.recv() => word,
                Ok(word) = said.recv() => word,
                _ = cuts.changed() => return,
                _ = ended.wait_for(|ended| *ended) => return,
            };
            if say(&mut socket, &word).await.is_none() {
                return;
            }
        }
    }

    async fn shake_hands(&self, stream: UnixStream) -> Option<WebSocketStream<UnixStream>> {
        let key = self.inner.key.clone();
        #[expect(clippy::result_large_err, reason = "the library's own type")]
        let check = move |request: &Request, response: Response| {
            let given = request.headers().get(KEY_HEADER).map(HeaderValue::as_bytes);
            if given == Some(key.as_bytes()) && request.uri().path() == LINK_PATH {
                return Ok(response);
            }
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            Err(refusal)
        };
        accept_hdr_async(stream, check).await.ok()
    }

    fn hello(&self) -> Hello {
        let state = self.state();
        Hello {
            // Another fake runner is another epoch too.
            epoch: format!("{:p}-{}", Arc::as_ptr(&self.inner), state.epoch),
            version: "fake".into(),
            workspace: "/workspace".into(),
            known_keys: state.known.keys().cloned().collect(),
        }
    }

    fn take(&self, word: ToRunner, answers: &mpsc::Sender<FromRunner>) {
        let ToRunner::Request { id, call } = word else { return };
        let this = self.clone();
        let answers = answers.clone();
        tokio::spawn(async move {
            let Some(answer) = this.answer(call).await else { return };
            answers.send(FromRunner::Answer { id, answer }).await.ok(); // the line may be cut
        });
    }

    async fn answer(&self, call: Call) -> Option<Answer> {
        match call {
            Call::Act { key, action, .. } => {
                let mut known = self.act(key, action);
                let done = known.wait_for(Option::is_some).await.ok()?.clone()?;
                Some(Answer::Observed { observation: Box::new(done) })
            }
            Call::Interrupt { .. } => {
                Some(Answer::Interrupted { running: self.state().in_shell > 0 })
            }
            Call::Configure { env } => {
                let mut state = self.state();
                if state.refuses {
                    let message = "the test wants it to fail".into();
                    let error = CallFailed { code: "internal".into(), message };
                    return Some(Answer::Failed { error });
                }
                state.configured.push(env);
                Some(Answer::Configured {})
            }
            Call::Equip { .. } => Some(Answer::Equipped {}),
            Call::Clone { wish, .. } => {
                self.state().cloned.push(wish);
                let folder = "cloned".to_owned();
                let cloned = Cloned { folder, commit: "c0ffee".into(), was_there: false };
                Some(Answer::Cloned { cloned })
            }
            Call::Info {} => Some(Answer::Info { info: self.info() }),
            Call::File { .. } => Some(Answer::Failed {
                error: CallFailed { code: "unsupported".into(), message: "a fake".into() },
            }),
        }
    }

    fn info(&self) -> ServerInfo {
        let state = self.state();
        let busy = state.in_shell > 0 || state.busy;
        let idle = state.last_done.map_or(self.inner.began.elapsed(), |at| at.elapsed());
        ServerInfo { busy, idle_time: idle.as_secs_f64(), ..ServerInfo::default() }
    }

    /// Carries an action out, unless its key is known.
    fn act(&self, key: String, action: Action) -> Known {
        let mut state = self.state();
        if let Some(known) = state.known.get(&key) {
            return known.clone();
        }
        let (done, known) = watch::channel(None);
        state.known.insert(key.clone(), known.clone());
        state.carried_out.push(key);
        let shell = matches!(&action, Action::Run(run) if !run.is_input && !run.is_static);
        if shell {
            state.in_shell += 1;
            state.most_in_shell = state.most_in_shell.max(state.in_shell);
        }
        let (this, epoch) = (self.clone(), state.epoch);
        tokio::spawn(async move {
            let mut hanging = this.inner.hanging.subscribe();
            hanging.wait_for(|hanging| !*hanging).await.ok();
            let mut state = this.state();
            if state.epoch == epoch {
                state.in_shell -= usize::from(shell);
                state.last_done = Some(Instant::now());
                done.send_replace(Some(echo(&action)));
            }
        });
        known
    }
}

/// Says the command again.
fn echo(action: &Action) -> Observation {
    let command = match action {
        Action::Run(run) => run.command.clone(),
        other => other.name().to_owned(),
    };
    Observation::Run(RunObservation { content: command.clone(), command, ..Default::default() })
}

async fn say(socket: &mut WebSocketStream<UnixStream>, word: &FromRunner) -> Option<()> {
    let text = serde_json::to_string(word).expect("plain data with string keys");
    socket.send(Message::text(text)).await.ok()
}
