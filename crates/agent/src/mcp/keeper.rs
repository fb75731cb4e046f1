//! Keeps one server: begins it, reads its tools, begins it again when it fails, tells how it stands.

use std::{sync::Arc, time::Duration};

use rmcp::{RoleClient, service::Peer};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    budget::Budget,
    client::{Ears, Line, Listed, connect, list},
    door::{Door, Program},
    settings::{McpPhase, McpServer},
};

/// A program that was asked to end is waited for so long.
const ENDING: Duration = Duration::from_secs(10);
/// A list that changes all the time is read no more often than this.
const RELIST: Duration = Duration::from_secs(1);
/// Most bytes of a reason.
const MOST_REASON: usize = 2048;

/// How a server stands.
#[derive(Clone)]
pub(super) struct Now {
    pub(super) phase: McpPhase,
    pub(super) reason: Option<String>,
    /// Those of the last time that it was up, so that a restart does not take them from the model.
    pub(super) listed: Arc<Listed>,
    /// While it is up.
    pub(super) peer: Option<Peer<RoleClient>>,
    /// It has been up or has failed once.
    pub(super) settled: bool,
    /// How often it has failed, and why it did the last time.
    pub(super) failures: u64,
    pub(super) last_failure: Option<String>,
}

/// One server.
pub(super) struct Kept {
    pub(super) server: McpServer,
    pub(super) now: watch::Sender<Now>,
    /// Somebody wants one that was given up, or waits, to begin at once.
    pub(super) again: Notify,
    /// Counted up at each change of any server.
    changes: watch::Sender<u64>,
}

impl Kept {
    pub(super) fn new(server: McpServer, changes: watch::Sender<u64>) -> Self {
        let now = Now {
            phase: McpPhase::Starting,
            reason: None,
            listed: Arc::default(),
            peer: None,
            settled: false,
            failures: 0,
            last_failure: None,
        };
        Self { server, now: watch::channel(now).0, again: Notify::new(), changes }
    }

    fn tell(&self, change: impl FnOnce(&mut Now)) {
        self.now.send_modify(change);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// For as long as somebody polls it.
    pub(super) async fn keep(self: Arc<Self>, door: Arc<dyn Door>) {
        let mut budget = Budget::new(self.server.restarts, self.server.restart_wait);
        loop {
            let (up_for, reason) = self.live(&door).await;
            let wait = budget.failed(up_for);
            tracing::warn!(server = self.server.name, reason, "an mcp server failed");
            self.tell(|now| {
                now.phase = if wait.is_some() { McpPhase::Starting } else { McpPhase::Failed };
                (now.reason, now.last_failure) = (Some(reason.clone()), Some(reason));
                (now.failures, now.settled) = (now.failures + 1, true);
            });
            if let Some(wait) = wait {
                tokio::select! {
                    () = sleep(wait) => {}
                    () = self.again.notified() => budget.refill(),
                }
            } else {
                self.again.notified().await;
                budget.refill();
                self.tell(|now| now.phase = McpPhase::Starting);
            }
        }
    }

    /// From the start to the end: how long it was up, and why it is not any more.
    async fn live(&self, door: &Arc<dyn Door>) -> (Duration, String) {
        let ears = Ears::default();
        let mut program = None;
        let begin = async {
            let line = connect(&self.server, door, &ears, &mut program).await?;
            let listed = list(line.peer(), &self.server.filter).await?;
            Ok((line, listed))
        };
        let limit = self.server.start_timeout;
        let (up_for, reason) = match timeout(limit, begin).await {
            Ok(Ok((line, listed))) => {
                let up_since = Instant::now();
                self.tell(|now| {
                    now.phase = McpPhase::Up;
                    now.reason = listed.fault.as_ref().map(|fault| self.server.kind.masked(fault));
                    (now.listed, now.settled) = (Arc::new(listed), true);
                    now.peer = Some(line.peer().clone());
                });
                self.serve(line, &ears).await;
                (up_since.elapsed(), "it ended".to_owned())
            }
            Ok(Err(reason)) => (Duration::ZERO, reason),
            Err(_) => {
                (Duration::ZERO, format!("it did not begin within {} s", limit.as_secs_f64()))
            }
        };
        self.tell(|now| {
            (now.phase, now.peer, now.reason) = (McpPhase::Starting, None, Some(reason.clone()));
        });
        (up_for, self.explained(reason, &ears, program).await)
    }

    /// Until its line ends.
    async fn serve(&self, line: Line, ears: &Ears) {
        let peer = line.peer().clone();
        let lists = async {
            loop {
                ears.changed.notified().await;
                let listed =
                    timeout(self.server.start_timeout, list(&peer, &self.server.filter)).await;
                let (listed, fault) = match listed {
                    Ok(Ok(listed)) => (Some(listed.clone()), listed.fault),
                    Ok(Err(error)) => (None, Some(error)),
                    Err(_) => (None, Some("no answer in time".to_owned())),
                };
                let fault = fault.map(|fault| self.server.kind.masked(&fault));
                self.tell(|now| {
                    if let Some(listed) = listed {
                        (now.listed, now.reason) = (Arc::new(listed), fault);
                    } else {
                        let fault = fault.unwrap_or_default();
                        let text = format!("its changed list of tools could not be read: {fault}");
                        now.reason = Some(text);
                    }
                });
                sleep(RELIST).await;
            }
        };
        tokio::select! {
            ended = line.waiting() => drop(ended), // whatever ended it, it is over
            () = lists => {}
        }
    }

    /// A reason with all that may explain it.
    async fn explained(
        &self,
        reason: String,
        ears: &Ears,
        program: Option<Box<dyn Program>>,
    ) -> String {
        let mut parts = vec![ears.clues.fault().unwrap_or(reason)];
        if let Some(program) = program {
            let said = timeout(ENDING, program.end()).await.unwrap_or_default();
            parts.extend(Some(said).filter(|said| !said.is_empty()));
        }
        parts.extend(ears.clues.rest());
        let text = self.server.kind.masked(&parts.join("\n"));
        if text.len() <= MOST_REASON {
            return text;
        }
        let half = MOST_REASON / 2;
        let tail = text.ceil_char_boundary(text.len() - half);
        format!("{}\n[…]\n{}", &text[..text.floor_char_boundary(half)], &text[tail..])
    }
}
