//! Admits, finds, counts and drains sessions; keeps the registry that the front reads.
//!
//! It owns every live session's actor and no sandbox: those belong to the sessions. What it knows, it
//! knows from the store and the engine, so a new one can take over at any time.

pub mod admission;
mod imaging;
pub(crate) mod load;
pub mod messages;
mod passes;
mod places;
mod pooling;
pub mod reconcile;
pub mod registry;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, ResponseFuture,
    WrapFuture, fut,
};
use futures_util::future::{OptionFuture, join_all};
use staithe_engine::Engine;
use staithe_protocol::{AgentState, Generation, Phase, SessionId};
use staithe_store::{Claim, NewClaim, Store, StoreFailed};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    event_stream::feed::{Feed, as_cursor},
    images::maker::ImageMaker,
    mail,
    metered::Metered,
    pool::{Pool, messages::DrainPool},
    record::{SessionRecord, random_key},
    session::{
        self, Session, Take,
        messages::{ClearSession, SuspendSession},
    },
    settings::Settings,
    supervise::{ChildDown, ChildHandle, ChildKind, DeathNotice, ParentGone, RestartBudget},
};

use admission::Admission;
use imaging::Imaging;
use messages::{
    CreateFailed, CreateSession, Created, DeleteSession, Drain, Loaded, OpenFailed, OpenSession,
    Wish,
};
use passes::PassWaiters;
use registry::{Registry, SessionHandle, SessionSnapshot};

/// How long deleting one session may take before its caller is told that it goes on.
const CLEAR_DEADLINE: Duration = Duration::from_secs(40);

/// See the module.
pub struct SessionManager {
    store: Arc<dyn Store>,
    engine: Arc<dyn Engine>,
    settings: Arc<Settings>,
    registry: Registry,
    live: HashMap<SessionId, Live>,
    opening: HashMap<SessionId, Vec<oneshot::Sender<Result<SessionHandle, OpenFailed>>>>,
    budgets: HashMap<SessionId, RestartBudget>,
    generation: Generation,
    admission: Admission,
    /// The last request of each session that asked for a place.
    tickets: HashMap<SessionId, u64>,
    /// When who waits is told of his place again.
    telling_at: Option<Instant>,
    /// Every record was understood: what none of them names is nobody's.
    all_known: bool,
    /// The engine removes what nobody wants; nothing new is begun meanwhile.
    sweeping: bool,
    /// A reconcile pass is under way, and these wait for it.
    passing: Option<PassWaiters>,
    /// The names of the pool's sandboxes when the pass began.
    pool_names: BTreeSet<String>,
    pool: Option<ChildHandle<Pool>>,
    pool_generation: Generation,
    pool_budget: RestartBudget,
    imaging: Imaging,
    /// Sessions that may go on once there is room for a start.
    turns: HashMap<SessionId, oneshot::Sender<()>>,
    draining: bool,
}

/// What only a new session has.
struct Birth {
    credential: Option<staithe_protocol::runner::Credential>,
}

struct Live {
    /// Held so that the actor ends with the manager.
    _actor: ChildHandle<Session>,
    generation: Generation,
}

impl SessionManager {
    /// A manager over what the store has. Reads all records; starts nothing yet.
    pub async fn load(
        store: Arc<dyn Store>,
        engine: Arc<dyn Engine>,
        maker: Option<Arc<dyn ImageMaker>>,
        settings: Settings,
    ) -> Result<(Self, Registry), StoreFailed> {
        let registry = Registry::default();
        let mut admission = Admission::new(settings.limits.clone());
        let mut all_known = true;
        for row in store.list_sessions().await? {
            match SessionRecord::from_row(&row) {
                Ok(record) => {
                    let head = store.range(row.id).await?.map_or(-1, |(_, head)| as_cursor(head));
                    if record.wants_sandbox() {
                        // It may be running: then it is let in, whatever the limits.
                        admission.ask(record.id, &record.owner, Wish::Attach).ok();
                    }
                    registry.rest(SessionSnapshot::of(&record, head));
                }
                Err(error) => {
                    tracing::error!(session_id = %row.id, %error, "a session's record can't be understood");
                    all_known = false;
                }
            }
        }
        let manager = Self {
            store,
            engine: Arc::new(Metered(engine)),
            settings: Arc::new(settings),
            registry: registry.clone(),
            live: HashMap::new(),
            opening: HashMap::new(),
            budgets: HashMap::new(),
            generation: Generation::default(),
            admission,
            tickets: HashMap::new(),
            telling_at: None,
            all_known,
            sweeping: false,
            passing: None,
            pool_names: BTreeSet::new(),
            pool: None,
            pool_generation: Generation::default(),
            pool_budget: RestartBudget::for_runtime(),
            imaging: Imaging::new(maker),
            turns: HashMap::new(),
            draining: false,
        };
        Ok((manager, registry))
    }

    /// Its place, or its place in the queue, is its own from here on.
    fn admit(&mut self, record: &SessionRecord) -> Result<(), CreateFailed> {
        if self.draining {
            return Err(CreateFailed::Draining);
        }
        self.admission.ask(record.id, &record.owner, Wish::Start)?;
        Ok(())
    }

    /// Starts a session's actor over what was loaded.
    fn go_live(
        &mut self,
        record: SessionRecord,
        history: load::History,
        references: Vec<u64>,
        birth: Option<Birth>,
        ctx: &mut Context<Self>,
    ) -> SessionHandle {
        self.generation = self.generation.next();
        let id = record.id;
        let head = history.head;
        let take = match record.phase {
            _ if birth.is_some() => Take::FirstStart,
            Phase::Starting | Phase::Ready => Take::Adopt,
            Phase::Stopping => Take::FinishStop,
            Phase::Suspended | Phase::Stopped | Phase::Failed => Take::Rest,
        };
        let feed = Feed::new(id, self.store.clone(), head);
        let origin = session::Origin {
            store: self.store.clone(),
            engine: self.engine.clone(),
            supply: self.supply(ctx),
            settings: self.settings.clone(),
            mask: self.settings.secrets.mask(&record.owner),
            feed: feed.clone(),
            head,
            references,
            history: Some(history),
            take,
            draining: self.draining,
            credential: birth.and_then(|birth| birth.credential),
        };
        let (snapshot, receiver) =
            watch::channel(SessionSnapshot::of(&record, head.map_or(-1, as_cursor)));
        let parent = ctx.address().downgrade();
        let notice = DeathNotice::new(ChildKind::Session(id), self.generation, parent);
        let addr = Session::new(origin, record, snapshot, notice).start();
        let handle = SessionHandle { addr: addr.clone(), feed, snapshot: receiver };
        let actor = ChildHandle::new(addr);
        self.live.insert(id, Live { _actor: actor, generation: self.generation });
        self.registry.go_live(id, handle.clone());
        handle
    }

    /// The handle of a session, loading it when it rests; several callers share one loading.
    fn open(
        &mut self,
        id: SessionId,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<SessionHandle, OpenFailed>> {
        if let Some(handle) = self.registry.live(id) {
            return Box::pin(std::future::ready(Ok(handle)));
        }
        if !self.registry.contains(id) {
            return Box::pin(std::future::ready(Err(OpenFailed::NotFound(id))));
        }
        let (waiter, answered) = oneshot::channel();
        let waiters = self.opening.entry(id).or_default();
        waiters.push(waiter);
        if waiters.len() == 1 {
            let load = load::session(self.store.clone(), self.settings.clone(), id);
            ctx.spawn(load.into_actor(self).map(move |outcome, _, ctx| {
                ctx.notify(Loaded { id, outcome: outcome.map(Box::new) });
            }));
        }
        Box::pin(async move {
            answered
                .await
                .unwrap_or_else(|_| Err(OpenFailed::Unreadable("loading was cut off".into())))
        })
    }

    fn new_record(create: &CreateSession) -> SessionRecord {
        let now = jiff::Timestamp::now();
        let id = SessionId::generate();
        let short = &id.to_string()[24..];
        SessionRecord {
            version: SessionRecord::VERSION,
            id,
            title: create.title.clone().unwrap_or_else(|| format!("Session {short}")),
            owner: create.owner.clone(),
            labels: create.labels.clone(),
            image: create.image.clone(),
            resources: create.resources,
            created_at: now.to_string(),
            updated_ms: now.as_millisecond(),
            phase: Phase::Starting,
            fault: None,
            agent_state: AgentState::Loading,
            generation: Generation::default(),
            key: random_key(),
            epoch: None,
            workspace: None,
            start_steps: Vec::new(),
            agent: create.agent.clone(),
            task: create.task.clone(),
        }
    }

    async fn keep(
        store: Arc<dyn Store>,
        record: SessionRecord,
        create: &CreateSession,
    ) -> Result<Result<SessionRecord, SessionId>, CreateFailed> {
        let Some(key) = &create.key else {
            store.put_session(record.to_row()).await?;
            return Ok(Ok(record));
        };
        let claim = NewClaim {
            scope: create.owner.clone(),
            key: key.key.clone(),
            digest: key.digest,
            value: record.id,
            record: record.to_row(),
            now_ms: record.updated_ms,
        };
        match store.claim(claim).await? {
            Claim::New => Ok(Ok(record)),
            Claim::Existing { value, digest } if digest == key.digest => Ok(Err(value)),
            Claim::Existing { .. } => Err(CreateFailed::KeyReused),
        }
    }
}

impl Actor for SessionManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.begin_passes(ctx);
        self.start_images(ctx);
        self.start_pool(ctx);
    }
}

impl Handler<CreateSession> for SessionManager {
    type Result = ResponseActFuture<Self, Result<Created, CreateFailed>>;

    fn handle(&mut self, create: CreateSession, ctx: &mut Self::Context) -> Self::Result {
        let record = Self::new_record(&create);
        let id = record.id;
        // A repetition is answered as the first time, even when nothing new would be admitted.
        let admitted = self.admit(&record);
        if create.key.is_none()
            && let Err(denied) = admitted
        {
            return Box::pin(fut::ready(Err(denied)));
        }
        self.settle_places(ctx);
        let store = self.store.clone();
        let keep = async move {
            let kept = Self::keep(store.clone(), record, &create).await;
            let kept = match (kept, admitted) {
                (Ok(Ok(new)), Err(denied)) => {
                    // Only the store knows whether a key is new. This one was, and is free again.
                    store.delete_session(new.id).await.map_err(CreateFailed::from).and(Err(denied))
                }
                (kept, _) => kept,
            };
            (kept, create.credential)
        };
        Box::pin(keep.into_actor(self).map(move |(kept, credential), this, ctx| {
            if !matches!(kept, Ok(Ok(_))) {
                this.free_place(id, ctx);
            }
            let record = match kept? {
                Err(first) => return Ok(Created { id: first, repeated: true }),
                Ok(record) => record,
            };
            let chosen = this.settings.chosen(&record);
            let history = load::History::new(&chosen);
            this.go_live(record, history, Vec::new(), Some(Birth { credential }), ctx);
            Ok(Created { id, repeated: false })
        }))
    }
}

impl Handler<OpenSession> for SessionManager {
    type Result = ResponseFuture<Result<SessionHandle, OpenFailed>>;

    fn handle(&mut self, OpenSession(id): OpenSession, ctx: &mut Self::Context) -> Self::Result {
        self.open(id, ctx)
    }
}

impl Handler<Loaded> for SessionManager {
    type Result = ();

    fn handle(&mut self, Loaded { id, outcome }: Loaded, ctx: &mut Self::Context) {
        let answer = outcome.map(|loaded| {
            let load::Loaded { record, history, references } = *loaded;
            self.registry
                .live(id)
                .unwrap_or_else(|| self.go_live(record, history, references, None, ctx))
        });
        for waiter in self.opening.remove(&id).unwrap_or_default() {
            drop(waiter.send(answer.clone()));
        }
    }
}

impl Handler<DeleteSession> for SessionManager {
    type Result = ResponseActFuture<Self, Result<(), OpenFailed>>;

    fn handle(
        &mut self,
        DeleteSession(id): DeleteSession,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let open = self.open(id, ctx);
        let store = self.store.clone();
        let clear = async move {
            let handle = open.await?;
            mail::ask_within(&handle.addr, ClearSession, CLEAR_DEADLINE).await?;
            Ok(handle)
        };
        let cleared = clear.into_actor(self).map(
            move |cleared: Result<SessionHandle, OpenFailed>, this: &mut Self, ctx| {
                if cleared.is_ok() {
                    this.live.remove(&id); // so that its end is no surprise
                    this.free_place(id, ctx);
                }
                cleared
            },
        );
        Box::pin(cleared.then(move |cleared, this, _| {
            let delete = async move {
                // Its actor has ended first: it could write its record once more.
                mail::ask(&cleared?.addr, ParentGone).await.unwrap_or_default();
                store.delete_session(id).await.map_err(|e| OpenFailed::Unreadable(e.to_string()))
            };
            delete.into_actor(this).map(move |outcome: Result<(), OpenFailed>, this, _| {
                if outcome.is_ok() {
                    this.registry.remove(id);
                    this.budgets.remove(&id);
                    tracing::info!(session_id = %id, "session deleted");
                } else if !this.live.contains_key(&id) {
                    this.registry.go_down(id);
                }
                outcome
            })
        }))
    }
}

impl Handler<Drain> for SessionManager {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain { keep_sandboxes }: Drain, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        self.registry.drain();
        let sessions = self.registry.live_sessions();
        tracing::info!(sessions = sessions.len(), keep_sandboxes, "draining");
        let pool = self.pool.as_ref().map(|pool| mail::ask(pool.addr(), DrainPool));
        let images = self.drain_images();
        Box::pin(async move {
            let suspend = SuspendSession { keep_sandbox: keep_sandboxes };
            let suspended = sessions.iter().map(|session| mail::ask(&session.addr, suspend));
            for outcome in join_all(suspended).await {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "a session ended while draining");
                }
            }
            if let Some(Err(error)) = OptionFuture::from(pool).await {
                tracing::warn!(%error, "the pool ended while draining");
            }
            images.await;
        })
    }
}

impl Handler<ChildDown> for SessionManager {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let ChildKind::Session(id) = down.child else {
            self.pool_is_down(down, ctx);
            self.images_are_down(down, ctx);
            return;
        };
        if self.live.get(&id).is_none_or(|live| live.generation != down.generation) {
            return; // deleted, or replaced
        }
        self.live.remove(&id);
        self.registry.go_down(id);
        self.free_place(id, ctx);
        let how = if down.panicked { "panicked" } else { "stopped" };
        metrics::counter!("staithe_actor_down_total", "actor" => "Session", "how" => how)
            .increment(1);
        tracing::error!(session_id = %id, how, "a session's actor is gone");
        let budget = self.budgets.entry(id).or_insert_with(RestartBudget::for_runtime);
        if let Some(pause) = budget.spend(Instant::now()) {
            ctx.run_later(pause, move |this, ctx| {
                let open = this.open(id, ctx);
                ctx.spawn(open.into_actor(this).map(|_, _, _| ()));
            });
        }
    }
}
