//! A fake of model providers on a real TCP socket of the loopback: OpenAI's chat completions, Anthropic's messages,
//! Gemini's and Ollama's, streamed or not. It records every request and answers by script.
//!
//! | what | how |
//! |---|---|
//! | what was asked | [`FakeModel::asked`], each an [`Asked`] |
//! | what is said next | [`FakeModel::script`]; [`FakeModel::script_for`] for those whose first turn has a marker; [`FakeModel::decide`] for all else |
//! | what goes wrong | fields of [`Step`] |
//! | when it goes on | [`FakeModel::release`] lets one answer that is held go on |
//! | who is connected | [`FakeModel::open`] |
//!
//! Which protocol is spoken is told by the path. A request that no script has a step for is answered with 500. For
//! programs of other languages there are `GET /_fake/asked`, `GET /_fake/open`, `POST /_fake/release` and
//! `POST /_fake/script` (a [`Script`]); `examples/fake-model.rs` is it as a program.

mod asked;
mod serve;
mod shapes;
mod step;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, sync::Semaphore};

pub use asked::{Asked, Protocol};
pub use step::{FakeCall, FakeUsage, Script, Step};

/// Decides by the request alone; none: the scripts do.
type Decide = dyn Fn(&Asked) -> Option<Step> + Send + Sync;

/// See the module. Clones are the same server.
#[derive(Clone)]
pub struct FakeModel {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Mutex<State>,
    open: AtomicUsize,
    /// One for each answer that may go on.
    released: Semaphore,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    steps: VecDeque<Step>,
    marked: BTreeMap<String, VecDeque<Step>>,
    decide: Option<Arc<Decide>>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the request and takes what it is to be answered.
    fn take(&self, asked: &Asked) -> (usize, Option<Step>) {
        let (number, decide) = {
            let mut state = self.state();
            state.asked.push(asked.clone());
            (state.asked.len(), state.decide.clone())
        };
        if let Some(step) = decide.and_then(|decide| decide(asked)) {
            return (number, Some(step));
        }
        let mut state = self.state();
        let first = asked.first_user();
        let marked = state.marked.iter_mut().find(|(marker, _)| first.contains(marker.as_str()));
        let step = match marked {
            Some((_, steps)) => steps.pop_front(),
            None => state.steps.pop_front(),
        };
        (number, step)
    }
}

impl FakeModel {
    /// Listens on a free port of the loopback.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn start() -> Self {
        Self::listen(0).await
    }

    /// Listens on this port of the loopback.
    ///
    /// # Panics
    ///
    /// When it is taken.
    pub async fn listen(port: u16) -> Self {
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.expect("a port of the loopback");
        let address = listener.local_addr().expect("its own address");
        let (state, open) = (Mutex::default(), AtomicUsize::new(0));
        let this =
            Self { inner: Arc::new(Inner { address, state, open, released: Semaphore::new(0) }) };
        tokio::spawn(serve::accept(this.inner.clone(), listener));
        this
    }

    /// `http://127.0.0.1:PORT`, without a path: the base URL for every protocol.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// More steps, taken one by one by requests that no marker is for.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.inner.state().steps.extend(steps);
    }

    /// More steps for requests whose first turn of a person has this marker in it.
    pub fn script_for(&self, marker: &str, steps: impl IntoIterator<Item = Step>) {
        self.inner.state().marked.entry(marker.to_owned()).or_default().extend(steps);
    }

    /// From now on this is asked first.
    pub fn decide(&self, decide: impl Fn(&Asked) -> Option<Step> + Send + Sync + 'static) {
        self.inner.state().decide = Some(Arc::new(decide));
    }

    /// Whatever was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.state().asked.clone()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.inner.open.load(Ordering::SeqCst)
    }

    /// One answer that is held, or the next that would be, goes on.
    pub fn release(&self) {
        self.inner.released.add_permits(1);
    }

    /// Steps that nobody has taken yet, those of markers among them.
    pub fn left(&self) -> usize {
        let state = self.inner.state();
        state.steps.len() + state.marked.values().map(VecDeque::len).sum::<usize>()
    }
}
