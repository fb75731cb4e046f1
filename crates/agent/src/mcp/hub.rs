//! All servers of a session.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use rmcp::{
    model::{CallToolRequestParams, CallToolResponse},
    service::ServiceError,
};
use serde_json::{Map, Value};
use staithe_protocol::{Observation, observation::McpObservation};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    client::{Known, sent, words},
    content::content,
    door::Door,
    keeper::{Kept, Now},
    names::{names, qualified},
    settings::{McpPhase, McpSettings, McpState},
};
use crate::model::ToolSpec;

/// After a line was cut in a call, it is waited so long for the reason: as long as a deaf program's end takes.
const REASON: Duration = Duration::from_secs(8);
/// So much of an error that a server answers is told.
const MOST_COMPLAINT: usize = 4 * 1024;

/// The servers; they end when it is dropped. To be made on a tokio runtime.
pub struct Hub {
    servers: Vec<Arc<Kept>>,
    tasks: Vec<JoinHandle<()>>,
    /// Names that our own tools have.
    taken: BTreeSet<String>,
    changes: watch::Receiver<u64>,
}

/// Why a call has no result.
#[derive(Debug)]
enum Fault {
    Unknown(String),
    Other(String),
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Hub {
    /// Begins all servers at once. `taken` are the names of the tools that are offered beside theirs.
    pub fn start(settings: McpSettings, taken: BTreeSet<String>, door: &Arc<dyn Door>) -> Self {
        let (tell, changes) = watch::channel(0);
        let kept = settings.servers.into_iter().map(|server| Kept::new(server, tell.clone()));
        let servers: Vec<Arc<Kept>> = kept.map(Arc::new).collect();
        let tasks =
            servers.iter().map(|kept| tokio::spawn(Arc::clone(kept).keep(Arc::clone(door))));
        Self { tasks: tasks.collect(), servers, taken, changes }
    }

    /// Until each server has been up or has failed once, which none takes longer for than its start may.
    pub async fn settled(&self) {
        for kept in &self.servers {
            let mut now = kept.now.subscribe();
            drop(now.wait_for(|now| now.settled).await); // its sender is held here
        }
    }

    /// How they stand.
    pub fn states(&self) -> Vec<McpState> {
        let nows = self.nows();
        let mut names = self.names(&nows).into_iter();
        let states = self.servers.iter().zip(&nows).map(|(kept, now)| McpState {
            name: kept.server.name.clone(),
            state: now.phase,
            reason: now.reason.clone(),
            tools: names.by_ref().take(now.listed.tools.len()).collect(),
        });
        states.collect()
    }

    /// Changes whenever [`states`](Self::states) or [`tools`](Self::tools) may.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// What is offered to the model, in the order of the servers. Those of a server that begins again stay.
    pub fn tools(&self) -> Vec<ToolSpec> {
        let nows = self.nows();
        let names = self.names(&nows).into_iter();
        let given = |now: &Now| now.phase != McpPhase::Failed;
        let tools =
            nows.iter().flat_map(|now| now.listed.tools.iter().map(move |tool| (now, tool)));
        let offered = names.zip(tools).filter(|(_, (now, _))| given(now));
        offered.map(|(name, (_, tool))| spec(name, tool)).collect()
    }

    /// Begins those that were given up, or wait to begin again: the sandbox is another one, or somebody asks.
    pub fn again(&self) {
        for kept in &self.servers {
            let waits = {
                let now = kept.now.borrow();
                now.phase == McpPhase::Failed || (now.phase == McpPhase::Starting && now.settled)
            };
            if waits {
                kept.again.notify_one();
            }
        }
    }

    /// The server that a tool is of.
    pub fn server_of(&self, tool: &str) -> Option<String> {
        self.find(tool).map(|(kept, _)| kept.server.name.clone())
    }

    /// Calls a tool by the name that it is offered under. Dropped, it tells the server that nobody waits.
    pub async fn call(&self, name: &str, arguments: Map<String, Value>) -> Observation {
        match self.try_call(name, &arguments).await {
            Ok(content) => {
                Observation::Mcp(McpObservation { content, name: name.to_owned(), arguments })
            }
            Err(Fault::Unknown(text)) => Observation::error(text, "AGENT_ERROR$BAD_ACTION"),
            Err(Fault::Other(text)) => Observation::error(text, ""),
        }
    }

    async fn try_call(&self, name: &str, arguments: &Map<String, Value>) -> Result<String, Fault> {
        let (kept, tool) = self.find(name).ok_or_else(|| {
            let text = format!("ERROR: No MCP server that is up has a tool `{name}`.");
            Fault::Unknown(text)
        })?;
        let server = &kept.server;
        let other = |what: String| {
            Fault::Other(
                server.kind.masked(&format!("ERROR: The MCP server `{}` {what}", server.name)),
            )
        };
        let (peer, failures) = {
            let mut now = kept.now.subscribe();
            let up = now.wait_for(|now| now.peer.is_some() || now.phase == McpPhase::Failed);
            let up = timeout(server.start_timeout, up).await;
            let up = up.ok().and_then(Result::ok);
            let up = up.and_then(|now| Some((now.peer.clone()?, now.failures)));
            up.ok_or_else(|| {
                let reason = kept.now.borrow().reason.clone().unwrap_or_default();
                other(format!("is not up: {reason}"))
            })?
        };
        let asked = CallToolRequestParams::new(tool).with_arguments(arguments.clone());
        match timeout(server.timeout, peer.call_tool_once(asked)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => {
                let mut result = serde_json::to_value(&result).unwrap_or_default();
                server.kind.mask(&mut result);
                Ok(content(&result))
            }
            Ok(Ok(_)) => Err(other("wants to ask something back, which is not supported.".into())),
            Ok(Err(ServiceError::McpError(error))) => {
                let said = &error.message;
                let said = &said[..said.floor_char_boundary(MOST_COMPLAINT)];
                Err(other(format!("refused the call ({}): {said}", error.code.0)))
            }
            Ok(Err(error)) => {
                let reason = match &error {
                    ServiceError::TransportClosed => self.reason(&kept, failures).await,
                    ServiceError::TransportSend(error) => sent(error),
                    error => words(error),
                };
                Err(other(format!("did not answer; the call may have been carried out: {reason}")))
            }
            Err(_) => Err(other(format!(
                "did not answer within {} s; the call was cancelled and may have been carried out.",
                server.timeout.as_secs_f64()
            ))),
        }
    }

    /// Why a server's line was cut, which had failed so often before.
    async fn reason(&self, kept: &Kept, failures: u64) -> String {
        let mut now = kept.now.subscribe();
        let known = timeout(REASON, now.wait_for(|now| now.failures > failures)).await;
        let reason = known.ok().and_then(Result::ok).and_then(|now| now.last_failure.clone());
        reason.unwrap_or_else(|| "its line was cut".to_owned())
    }

    fn nows(&self) -> Vec<Now> {
        self.servers.iter().map(|kept| kept.now.borrow().clone()).collect()
    }

    /// The names of all tools of all servers.
    fn names(&self, nows: &[Now]) -> Vec<String> {
        names(self.pairs(nows), &self.taken)
    }

    fn pairs<'a>(&'a self, nows: &'a [Now]) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.servers.iter().zip(nows).flat_map(|(kept, now)| {
            let server = kept.server.name.as_str();
            now.listed.tools.iter().map(move |tool| (server, tool.name.as_str()))
        })
    }

    /// Whose tool this is and what it is called there. Its name with its server's before it is taken, too: whether
    /// it is needed may have changed since the model was told.
    fn find(&self, wanted: &str) -> Option<(Arc<Kept>, String)> {
        let nows = self.nows();
        let names = self.names(&nows);
        let of = |server: &str| self.servers.iter().find(|kept| kept.server.name == server);
        let mut offered = names.iter().zip(self.pairs(&nows));
        let exact = offered.find(|(name, _)| *name == wanted).map(|(_, pair)| pair);
        let long = || {
            let mut fits =
                self.pairs(&nows).filter(|(server, tool)| qualified(server, tool) == wanted);
            let one = fits.next();
            one.filter(|_| fits.next().is_none())
        };
        let (server, tool) = exact.or_else(long)?;
        Some((Arc::clone(of(server)?), tool.to_owned()))
    }
}

fn spec(name: String, tool: &Known) -> ToolSpec {
    ToolSpec { name, description: tool.description.clone(), parameters: tool.parameters.clone() }
}
