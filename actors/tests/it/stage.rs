//! A server's actors without its front, and what a test asks of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{Actor, Addr};
use serde_json::Value;
use staithe_actors::{
    Limits, Registry, SandboxSettings, SessionHandle, SessionManager, Settings, Subscription,
    agent_session::{
        choice::AgentChoice,
        messages::{Submit, SubmitFailed},
    },
    event_stream::EventStream,
    event_stream::messages::Reference,
    images::maker::ImageMaker,
    mail,
    runtime::Runtime,
    session::{
        Session,
        messages::{GetRuntime, GetStream, JoinSession, SubmitAction},
        task::FirstTask,
    },
    session_manager::messages::{
        CreateFailed, CreateSession, Created, IdempotencyKey, OpenSession,
    },
};
use staithe_protocol::{
    Action, EventId, Phase, SessionId, Source, action::Run, api::Resources, runner::Credential,
};
use staithe_testkit::{FakeEngine, Machine, eventually, eventually_some};

use crate::{breakable::Breakable, maker::FakeMaker};

pub(crate) const SECRET: &str = "s3cr3t\"quoted\"";
pub(crate) const NUMBER: &str = "1234567";

/// One server over a store and a machine, both of which may have had others.
pub(crate) struct Stage {
    pub(crate) manager: Addr<SessionManager>,
    pub(crate) registry: Registry,
    pub(crate) store: Arc<Breakable>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) engine: Arc<FakeEngine>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::over(&Breakable::new(), &Machine::new()).await
    }

    pub(crate) async fn over(store: &Arc<Breakable>, machine: &Arc<Machine>) -> Self {
        Self::set(store, machine, |_| ()).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::set(&Breakable::new(), &Machine::new(), change).await
    }

    pub(crate) async fn set(
        store: &Arc<Breakable>,
        machine: &Arc<Machine>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::set_all(store, machine, None, change).await
    }

    /// With images that this one makes.
    pub(crate) async fn making(maker: &Arc<FakeMaker>, change: impl FnOnce(&mut Settings)) -> Self {
        let maker: Arc<dyn ImageMaker> = maker.clone();
        Self::set_all(&Breakable::new(), &Machine::new(), Some(maker), change).await
    }

    async fn set_all(
        store: &Arc<Breakable>,
        machine: &Arc<Machine>,
        maker: Option<Arc<dyn ImageMaker>>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let engine = FakeEngine::on(machine);
        let mut settings = settings();
        change(&mut settings);
        let (manager, registry) =
            SessionManager::load(store.clone(), engine.clone(), maker, settings).await.unwrap();
        let (store, machine) = (store.clone(), machine.clone());
        Self { manager: manager.start(), registry, store, machine, engine }
    }

    pub(crate) async fn try_create(
        &self,
        key: Option<(&str, u8)>,
    ) -> Result<Created, CreateFailed> {
        self.try_create_for("me", None, key).await
    }

    async fn try_create_for(
        &self,
        owner: &str,
        image: Option<&str>,
        key: Option<(&str, u8)>,
    ) -> Result<Created, CreateFailed> {
        let key = key.map(|(key, of)| IdempotencyKey { key: key.into(), digest: [of; 32] });
        let create = CreateSession {
            resources: Resources::default(),
            owner: owner.into(),
            title: None,
            image: image.map(str::to_owned),
            labels: BTreeMap::new(),
            task: FirstTask::default(),
            credential: None,
            agent: AgentChoice::default(),
            key,
        };
        mail::ask(&self.manager, create).await.unwrap()
    }

    pub(crate) async fn create(&self) -> One {
        let id = self.try_create(None).await.unwrap_or_else(|error| panic!("{error}")).id;
        self.open(id).await
    }

    /// A session that begins with something.
    pub(crate) async fn create_with(&self, task: FirstTask, credential: Option<Credential>) -> One {
        let create = CreateSession {
            resources: Resources::default(),
            owner: "me".into(),
            title: None,
            image: None,
            labels: BTreeMap::new(),
            task,
            credential,
            agent: AgentChoice::default(),
            key: None,
        };
        let created = mail::ask(&self.manager, create).await.unwrap();
        self.open(created.unwrap_or_else(|error| panic!("{error}")).id).await
    }

    pub(crate) async fn create_for(&self, owner: &str) -> One {
        let created = self.try_create_for(owner, None, None).await;
        self.open(created.unwrap_or_else(|error| panic!("{error}")).id).await
    }

    /// A session that asks for this image.
    pub(crate) async fn create_of(&self, image: &str) -> One {
        let created = self.try_create_for("me", Some(image), None).await;
        self.open(created.unwrap_or_else(|error| panic!("{error}")).id).await
    }

    pub(crate) async fn open(&self, id: SessionId) -> One {
        let handle = mail::ask(&self.manager, OpenSession(id)).await.unwrap().unwrap();
        One { id, handle }
    }

    pub(crate) async fn ready(&self) -> One {
        let session = self.create().await;
        session.reach(Phase::Ready).await;
        session
    }

    /// Ends the server without a word to the sandboxes, as a crash does, and checks that no actor is
    /// left of it.
    pub(crate) async fn end(self, sessions: &[&One]) {
        let mut parts = Vec::new();
        for session in sessions.iter().filter(|session| session.handle.addr.connected()) {
            parts.push((session.runtime().await, session.stream().await));
        }
        let Self { manager, registry, .. } = self;
        drop((manager, registry));
        for session in sessions {
            eventually("the session's actor ends", || !session.handle.addr.connected()).await;
        }
        for (runtime, stream) in parts {
            eventually("its children end", || !runtime.connected() && !stream.connected()).await;
        }
    }
}

/// One session and what a client may do with it.
pub(crate) struct One {
    pub(crate) id: SessionId,
    pub(crate) handle: SessionHandle,
}

impl One {
    pub(crate) fn addr(&self) -> &Addr<Session> {
        &self.handle.addr
    }

    pub(crate) fn phase(&self) -> Phase {
        self.handle.snapshot.borrow().phase.phase
    }

    #[track_caller]
    pub(crate) fn reach(&self, phase: Phase) -> impl Future<Output = ()> {
        let snapshot = self.handle.snapshot.clone();
        eventually_some("the phase", move || {
            let view = snapshot.borrow().phase.clone();
            if view.phase == phase { Ok(()) } else { Err(Box::new(view)) }
        })
    }

    pub(crate) async fn submit(
        &self,
        action: Action,
        reference: Option<Reference>,
    ) -> Result<EventId, SubmitFailed> {
        let submit = Submit { source: Source::User, action, timeout: None, reference };
        mail::ask(self.addr(), SubmitAction(submit)).await.unwrap()
    }

    pub(crate) async fn run(&self, command: &str) -> EventId {
        self.submit(run(command), None).await.unwrap()
    }

    pub(crate) async fn runtime(&self) -> Addr<Runtime> {
        mail::ask(self.addr(), GetRuntime).await.unwrap()
    }

    pub(crate) async fn stream(&self) -> Addr<EventStream> {
        mail::ask(self.addr(), GetStream).await.unwrap()
    }

    /// Every durable event.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let (events, _) = self.handle.feed.events(-1, usize::MAX).await.unwrap();
        events.iter().map(|event| serde_json::from_slice(event).unwrap()).collect()
    }

    /// What was told of phases, in order.
    pub(crate) async fn told(&self) -> Vec<Value> {
        let told = |event: Value| (event["observation"] == "phase_changed").then_some(event);
        let told = self.events().await.into_iter().filter_map(told);
        told.map(|event| event["extras"].clone()).collect()
    }

    pub(crate) async fn last_phase(&self) -> Value {
        self.told().await.pop().expect("a phase")
    }

    /// The steps of all starts, in order.
    pub(crate) async fn steps(&self) -> Vec<String> {
        let mut told = self.told().await;
        told.retain(|extras| extras["progress"].is_null()); // the same step, going on
        told.iter().filter_map(|extras| extras["step"].as_str()).map(str::to_owned).collect()
    }

    /// Joins as a client.
    pub(crate) async fn join(&self) -> Subscription {
        mail::ask(self.addr(), JoinSession(crate::stream::anybody())).await.unwrap().unwrap()
    }

    /// The observations of an action, of which there should be one.
    pub(crate) async fn outcome(&self, cause: EventId) -> Value {
        let mut reader = self.handle.feed.subscribe(crate::stream::anybody());
        let wait = async {
            loop {
                let events = self.events().await;
                let of = |event: &&Value| event["cause"] == cause.0;
                let found: Vec<_> = events.iter().filter(of).cloned().collect();
                assert!(found.len() <= 1, "{cause} has several observations: {found:?}");
                if let Some(found) = found.into_iter().next() {
                    return found;
                }
                reader.heads.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_mins(1), wait).await.expect("an observation")
    }
}

pub(crate) fn run(command: &str) -> Action {
    Action::Run(Run { command: command.into(), ..Run::default() })
}

pub(crate) fn fault(session: &One) -> staithe_protocol::Fault {
    session.handle.snapshot.borrow().phase.fault.clone().expect("a fault")
}

fn settings() -> Settings {
    Settings {
        owner: "here".into(),
        sandbox: SandboxSettings {
            name_prefix: "box-".into(),
            image: None,
            env: BTreeMap::new(),
            timeout: Duration::from_mins(2),
            no_change_timeout: Duration::from_secs(10),
            max_output: 30_000,
            start_timeout: Duration::from_secs(20),
            stop_grace: Duration::from_secs(1),
            recreate_on_changed_settings: false,
            idle_after: None,
            suspend_by: staithe_actors::settings::SuspendBy::Stop,
            max_age: None,
            keep_after_exit: false,
            reconcile_every: Duration::from_mins(1),
            pool: Vec::new(),
            services: staithe_protocol::services::Services::default(),
        },
        limits: Limits {
            max_sessions: 3,
            max_sessions_per_user: usize::MAX,
            max_starting: usize::MAX,
            queue: false,
            max_waiting: 0,
            max_queued_actions: 10,
            max_builds: 1,
        },
        secrets: staithe_actors::Secrets::new([SECRET.into(), NUMBER.into()]),
        agent: staithe_agent::settings::AgentSettings {
            limits: staithe_agent::settings::Limits { steps: 9, ..Default::default() },
            confirm: staithe_agent::settings::Confirm::Risky,
            retries: staithe_agent::settings::Retries {
                most: 1,
                first: Duration::ZERO,
                longest: Duration::ZERO,
                factor: 1.0,
            },
            view: staithe_agent::settings::ViewSettings {
                fill: 0.8,
                most_turns: 0,
                keep_first: 1,
                whole_results: 9,
                most_result: 30_000,
            },
            go_on_after_crash: false,
            most_delegates: 0,
            delegates: staithe_agent::settings::DelegateLimits::default(),
        },
        models: std::sync::Arc::new(staithe_actors::models::NoModels),
        git: staithe_actors::settings::GitSettings {
            clone_timeout: Duration::from_mins(1),
            credentials: BTreeMap::new(),
        },
        mcp: staithe_agent::mcp::settings::McpSettings::default(),
    }
}
