//! A run whose session is played by the test: what it sends, and what follows from the answers.

use super::*;

/// A run that agrees to everything, and the other end of its stream.
struct Played {
    tell: mpsc::Sender<News>,
    asked: mpsc::Receiver<(String, Value)>,
    run: tokio::task::JoinHandle<Result<Ended, RunFailed>>,
}

impl Played {
    fn start(typed: Option<mpsc::Receiver<String>>) -> Self {
        let (tell, news) = mpsc::channel(16);
        let (commands, asked) = mpsc::channel(16);
        let wish = Wish {
            task: Some("tidy up".to_owned()),
            approve_all: typed.is_none(),
            repository: false,
            head: -1,
        };
        let server = Server::new("http://127.0.0.1:1", String::new()).expect("an address");
        let follow = Follow {
            stream: Stream::played(news, commands),
            wish,
            typed,
            course: Course::default(),
            caught_up: false,
            beginning: None,
            stopping: None,
            question: Question::None,
            answered: None,
            answer: None,
            refusals: 0,
            server,
            session: SessionId::generate(),
        };
        let run = tokio::spawn(async move {
            let mut signals = Signals::listen()?;
            follow.run(&mut Show::new(false, true), &mut signals).await
        });
        Self { tell, asked, run }
    }

    async fn frame(&self, frame: Value) {
        let written = frame.to_string();
        self.tell.send(News::Frame(frame, written)).await.expect("it listens");
    }

    async fn event(&self, event: Value) {
        self.frame(json!({ "type": "event", "event": event })).await;
    }

    /// The next command: its ref and what it does.
    async fn command(&mut self) -> (String, Value) {
        let (reference, frame) = self.asked.recv().await.expect("it goes on");
        (reference, frame["action"].clone())
    }

    async fn refuse(&self, reference: &str) {
        let frame = json!({ "type": "denied", "ref": reference, "code": "agent.not_waiting", "reason": "no" });
        self.frame(frame).await;
    }

    /// Waits until all that was told is taken in: what is typed before the question would be passed over.
    async fn taken(&self) {
        while self.tell.capacity() < self.tell.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    /// Up to the first question.
    async fn until_asked(&mut self) {
        self.frame(json!({ "type": "hello", "agent_state": "awaiting_user_input" })).await;
        let (reference, action) = self.command().await;
        assert_eq!(action["action"], "message");
        self.frame(json!({ "type": "done", "ref": reference, "event_id": 1 })).await;
        self.event(json!({ "id": 2, "source": "agent", "action": "run", "args": {
            "command": "rm x", "confirmation_state": "awaiting_confirmation" } }))
            .await;
        self.state(3, "awaiting_user_confirmation").await;
    }

    async fn state(&self, id: u64, state: &str) {
        self.event(
            json!({ "id": id, "source": "environment", "observation": "agent_state_changed",
                           "content": "", "extras": { "agent_state": state, "reason": "" } }),
        )
        .await;
    }
}

#[tokio::test]
async fn a_refused_agreement_is_given_again_and_in_the_end_the_run_fails_with_its_code() {
    let mut played = Played::start(None);
    played.until_asked().await;
    let mut references = Vec::new();
    for _ in 0..MOST_REFUSALS {
        let (reference, action) = played.command().await;
        assert_eq!(action["args"]["agent_state"], "user_confirmed");
        played.refuse(&reference).await;
        references.push(reference);
    }
    let ended = played.run.await.expect("it ends").expect("an outcome");
    let (code, why) = ("agent.not_waiting".to_owned(), "no".to_owned());
    assert_eq!(ended.outcome, Outcome::Failed { code, why });
    references.dedup();
    assert_eq!(references.len(), 3, "each is a command of its own");
}

#[tokio::test]
async fn a_refusal_because_somebody_else_was_faster_is_passed_over() {
    let mut played = Played::start(None);
    played.until_asked().await;
    let (reference, _) = played.command().await;
    played.state(4, "running").await;
    played.refuse(&reference).await;
    played.state(5, "finished").await;
    let ended = played.run.await.expect("it ends").expect("an outcome");
    assert_eq!(ended.outcome, Outcome::Finished);
    assert!(played.asked.recv().await.is_none(), "nothing more was asked for");
}

#[tokio::test]
async fn a_person_whose_word_was_refused_is_asked_again() {
    let (keys, typed) = mpsc::channel(4);
    let mut played = Played::start(Some(typed));
    played.until_asked().await;
    played.taken().await;
    keys.send("y".to_owned()).await.expect("it reads");
    let (reference, action) = played.command().await;
    assert_eq!(action["args"]["agent_state"], "user_confirmed");
    played.refuse(&reference).await;
    played.taken().await;
    keys.send("n not that".to_owned()).await.expect("it reads");
    let (again, action) = played.command().await;
    assert_ne!(again, reference);
    assert_eq!(action["args"]["thought"], "not that");
    played.frame(json!({ "type": "done", "ref": again, "event_id": 4 })).await;
    played.state(5, "finished").await;
    let ended = played.run.await.expect("it ends").expect("an outcome");
    assert_eq!(ended.outcome, Outcome::Finished);
}
