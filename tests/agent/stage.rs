//! A server with many models of one's own, each with a script, and sessions whose agents work with them.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use hyper::Method;
use serde_json::{Value, json};
use staithe_testkit::FakeModel;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    ENGINE,
    common::{Client, PROMPT, Server},
    notes::note,
};

/// Of every model.
pub(crate) const KEY: &str = "sk-fake-0123456789abcdefghij";

/// What is written for every model; what a test adds comes after it and must not repeat it.
const GROUP: &str =
    "model = \"fake-1\"\nnative_tools = \"yes\"\nkey = \"sk-fake-0123456789abcdefghij\"\n";

/// Its price is known, else it would be asked about.
const FREE: &str = "price = { input = 0.0, output = 0.0 }\n";

/// See the module. The models are named `m0`, `m1` and so on.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) models: Vec<FakeModel>,
    pub(crate) dir: TempDir,
    config: TempDir,
}

impl Stage {
    /// With a model for each of these: further lines of its group; and with further lines of `[agent]` and its tables.
    pub(crate) async fn new(groups: &[&str], agent: &str) -> Self {
        Self::with(groups, agent, &[]).await
    }

    /// And with environment variables.
    pub(crate) async fn with(groups: &[&str], agent: &str, env: &[(&str, &str)]) -> Self {
        let (mut models, mut text) = (Vec::new(), String::from("[agent]\nmodel = \"m0\"\n"));
        text.push_str(agent);
        for (number, more) in groups.iter().enumerate() {
            let model = FakeModel::start().await;
            let own = if more.contains("model =") { "" } else { GROUP };
            let url = model.url();
            let price = if more.contains("price =") { "" } else { FREE };
            write!(text, "\n[models.m{number}]\nbase_url = \"{url}\"\n{own}{price}{more}\n")
                .unwrap();
            models.push(model);
        }
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("staithe.toml");
        fs::write(&file, text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let own = [("STAITHE_CONFIG", file.to_str().unwrap())];
        let server = Server::start_on(ENGINE, dir.path(), &[&own, env].concat()).await;
        Self { server, models, dir, config }
    }

    /// What the server was started with; the command line may read it, too.
    pub(crate) fn config(&self) -> PathBuf {
        self.config.path().join("staithe.toml")
    }

    /// A session of this model, which waits for a message.
    pub(crate) async fn play(&self, number: usize) -> Play<'_> {
        let (id, token) = self.server.session().await;
        let mut play = Play {
            server: &self.server,
            model: self.models[number].clone(),
            client: Client::connect(&self.server, &id, &token, -1).await,
            events: Vec::new(),
            partials: String::new(),
            id,
            token,
            name: "",
        };
        play.set(&json!({ "model": format!("m{number}") })).await;
        play.see("[init]").await;
        play.events.clear();
        play
    }
}

/// A session, its model, and a client that looks on.
pub(crate) struct Play<'s> {
    pub(crate) server: &'s Server,
    pub(crate) model: FakeModel,
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) token: String,
    /// For those who read why it failed.
    pub(crate) name: &'static str,
    /// What came since it began.
    pub(crate) events: Vec<Value>,
    /// What was shown beside them.
    pub(crate) partials: String,
}

impl Play<'_> {
    /// Does an action as its user; the status and the answer.
    pub(crate) async fn act(&self, action: &Value) -> (u16, Value) {
        let path = format!("/api/sessions/{}/actions", self.id);
        let (status, _, body) = self.server.post(&path, &[], action).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Does one that is taken.
    pub(crate) async fn must(&self, action: &Value) {
        let (status, answer) = self.act(action).await;
        assert_eq!(status, 202, "{action}: {answer}");
    }

    pub(crate) async fn say(&self, content: &str) {
        self.must(&json!({ "action": "message", "args": { "content": content } })).await;
    }

    pub(crate) async fn change(&self, state: &str) {
        self.must(&change(state)).await;
    }

    /// What people choose of the agent.
    pub(crate) async fn set(&self, choice: &Value) -> Value {
        let path = format!("/api/sessions/{}/agent", self.id);
        let body = choice.to_string().into_bytes();
        let (status, _, answer) = self.server.request(Method::PUT, &path, &[], body).await;
        assert_eq!(status, 200, "{choice}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    pub(crate) async fn state(&self) -> String {
        let view = self.server.json(&format!("/api/sessions/{}/agent", self.id)).await;
        view["state"].as_str().unwrap().to_owned()
    }

    /// The next frame, which is kept; none when none came in time.
    pub(crate) async fn next(&mut self, limit: Duration) -> Option<Value> {
        let frame = self.client.recv_json(limit).await.ok()?;
        if frame["type"] == "event" {
            self.events.push(frame["event"].clone());
        } else if frame["type"] == "partial" {
            self.partials.push_str(frame["text"].as_str().unwrap_or_default());
        }
        Some(frame)
    }

    /// Waits for an event with this note that has not come yet.
    pub(crate) async fn see(&mut self, wanted: &str) -> Value {
        let end = Instant::now() + PROMPT;
        loop {
            let Some(frame) = self.next(end.saturating_duration_since(Instant::now())).await else {
                let came = crate::notes::notes(&self.events).join(" | ");
                panic!("{}: no `{wanted}` came; what did: {came}", self.name);
            };
            if note(&frame["event"]).as_deref() == Some(wanted) {
                return frame["event"].clone();
            }
        }
    }

    /// Waits until this text was shown beside the events.
    pub(crate) async fn shown(&mut self, text: &str) {
        let end = Instant::now() + PROMPT;
        while !self.partials.contains(text) {
            let frame = self.next(end.saturating_duration_since(Instant::now())).await;
            assert!(frame.is_some(), "{}: `{text}` is not shown: {:?}", self.name, self.partials);
        }
    }
}

/// The action that asks for another state.
pub(crate) fn change(state: &str) -> Value {
    json!({ "action": "change_agent_state", "args": { "agent_state": state } })
}
