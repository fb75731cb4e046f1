//! The session's MCP servers: begun with its sandbox, offered to the model once they are up, called for its actions.
//!
//! What a server does is told as a plugin's state, `mcp:NAME`. A call belongs to this life of the agent's session:
//! it is sent once, and never again after a crash.

use std::{collections::BTreeMap, sync::Arc};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, WeakAddr,
    WrapFuture,
};
use futures_util::{
    FutureExt as _,
    future::{AbortHandle, BoxFuture, abortable},
};
use staithe_agent::{
    mcp::{
        door::{Door, Opened},
        hub::Hub,
        settings::{McpPhase, McpState},
    },
    tools::{McpTool, own_names},
};
use staithe_protocol::{
    Action, EventId, Observation, Source,
    action::CallToolMcp,
    pipe::PipeStart,
    plugin::{PluginPhase, PluginState},
};
use tokio::sync::watch;

use super::{
    AgentSession,
    carrying::CameBack,
    found::PREFIX,
    state::{Outcome, Pending},
};
use crate::{
    event_stream::messages::Append,
    mail,
    mcp::LinkDoor,
    runtime::{Runtime, messages::GetLine},
};

/// The servers and what is asked of them.
pub(super) struct Servers {
    hub: Option<Up>,
    /// The sandbox's runtime, as their door finds it.
    runtime: watch::Sender<Option<WeakAddr<Runtime>>>,
    calls: BTreeMap<EventId, AbortHandle>,
}

struct Up {
    hub: Arc<Hub>,
    /// Each has been up or has failed once.
    settled: bool,
    follows: SpawnHandle,
}

impl Default for Servers {
    fn default() -> Self {
        Self { hub: None, runtime: watch::channel(None).0, calls: BTreeMap::new() }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for call in self.calls.values() {
            call.abort();
        }
    }
}

impl Servers {
    /// Whether nothing is to be waited for before the agent begins.
    pub(super) fn are_settled(&self) -> bool {
        self.hub.as_ref().is_none_or(|up| up.settled)
    }

    /// What is offered to the model.
    pub(super) fn tools(&self) -> Vec<McpTool> {
        let tools = self.hub.as_ref().map(|up| up.hub.tools()).unwrap_or_default();
        let tools = tools.into_iter().map(|spec| McpTool {
            name: spec.name,
            description: spec.description,
            schema: spec.parameters,
        });
        tools.collect()
    }

    /// Nobody wants what comes of this any more; the server is told so.
    pub(super) fn forget(&mut self, id: EventId) {
        if let Some(call) = self.calls.remove(&id) {
            call.abort();
        }
    }
}

/// How a server stands, as it is told.
fn told(state: McpState) -> PluginState {
    let phase = match state.state {
        McpPhase::Starting if state.reason.is_some() => PluginPhase::Restarting,
        McpPhase::Starting => PluginPhase::Starting,
        McpPhase::Up => PluginPhase::Ready,
        McpPhase::Failed => PluginPhase::Failed,
    };
    let name = format!("{PREFIX}{}", state.name);
    PluginState { name, state: phase, detail: state.reason, port: None, base_path: None }
}

/// Into whichever sandbox the session has now.
struct SandboxDoor(watch::Receiver<Option<WeakAddr<Runtime>>>);

impl Door for SandboxDoor {
    fn open(&self, start: PipeStart) -> BoxFuture<'static, Result<Opened, String>> {
        let runtime = self.0.borrow().as_ref().and_then(WeakAddr::upgrade);
        async move {
            let away = || "the sandbox is not connected".to_owned();
            let line = mail::ask(&runtime.ok_or_else(away)?, GetLine).await;
            let line = line.map_err(|error| error.to_string())?.map_err(|_| away())?;
            LinkDoor(line).open(start).await
        }
        .boxed()
    }
}

/// Sent by the future that follows the servers: one stands otherwise than before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ServersChanged {
    /// Each has been up or has failed once.
    settled: bool,
}

impl AgentSession {
    /// There is a sandbox: the servers begin, or those that wait do so at once.
    pub(super) fn serve(&mut self, ctx: &mut Context<Self>) {
        self.servers.runtime.send_replace(self.runtime.clone());
        if let Some(up) = &self.servers.hub {
            up.hub.again();
            return;
        }
        if self.settings.mcp.servers.is_empty() {
            return;
        }
        let door: Arc<dyn Door> = Arc::new(SandboxDoor(self.servers.runtime.subscribe()));
        let taken = own_names().map(str::to_owned).collect();
        let hub = Arc::new(Hub::start(self.settings.mcp.clone(), taken, &door));
        let this = ctx.address().downgrade();
        let (mut changes, waiting) = (hub.follow(), Arc::clone(&hub));
        let following = async move {
            let tell = |settled| {
                if let Some(this) = this.upgrade() {
                    mail::tell(&this, ServersChanged { settled });
                }
            };
            let settled = async {
                waiting.settled().await;
                drop(waiting); // it is the actor that keeps them
                tell(true);
            };
            let telling = async {
                while changes.changed().await.is_ok() {
                    tell(false);
                }
            };
            futures_util::join!(settled, telling);
        };
        let follows = ctx.spawn(following.into_actor(self));
        self.servers.hub = Some(Up { hub, settled: false, follows });
    }

    /// There is no sandbox any more, and none will come by itself.
    pub(super) fn serve_no_more(&mut self, ctx: &mut Context<Self>) {
        if let Some(up) = self.servers.hub.take() {
            ctx.cancel_future(up.follows);
        }
    }

    /// Calls a tool; what comes of it comes back like any other action's.
    pub(super) fn call_tool(&mut self, pending: Pending, ctx: &mut Context<Self>) {
        let id = pending.id;
        let Action::CallToolMcp(CallToolMcp { name, arguments, .. }) = pending.action else {
            return;
        };
        let hub = self.servers.hub.as_ref().map(|up| Arc::clone(&up.hub));
        let calling = async move {
            match hub {
                Some(hub) => hub.call(&name, arguments).await,
                None => Observation::error(
                    "ERROR: This session has no MCP servers.",
                    "AGENT_ERROR$BAD_ACTION",
                ),
            }
        };
        let (calling, abort) = abortable(calling);
        self.servers.calls.insert(id, abort);
        ctx.spawn(calling.into_actor(self).map(move |observation, this, ctx| {
            this.servers.calls.remove(&id);
            if let Ok(observation) = observation {
                let outcome = Outcome::Observed(Box::new(observation));
                ctx.notify(CameBack { id, outcome });
            }
        }));
    }
}

impl Handler<ServersChanged> for AgentSession {
    type Result = ();

    fn handle(
        &mut self,
        ServersChanged { settled }: ServersChanged,
        ctx: &mut <Self as Actor>::Context,
    ) {
        let Some(up) = &mut self.servers.hub else { return };
        up.settled |= settled;
        for state in up.hub.states().into_iter().map(told) {
            if self.found.server_changed(&state) {
                let told = Observation::PluginChanged(state);
                self.append(Append::observation(Source::Environment, None, told), ctx);
            }
        }
        self.equip(ctx);
    }
}
