//! How actions that the log has are carried out in the sandbox, and what comes of them. Pure.
//!
//! ```text
//! submit ─admit─> durable ─committed─> waiting ──its turn──> sent ──observed──> observation in the log
//!                                         │                    └─line cut, same epoch─> sent again (same key)
//!                                         └─hopeless─────────────└─another epoch─> "interrupted"
//! ```
//! One command is in the shell at a time, in the order of the log. Input for it, and what does not
//! need the shell, does not wait for it. What the agent is to do is the controller's affair
//! ([`staithe_agent::controller`]); its actions come here once it releases them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use staithe_protocol::{Action, Event, EventId, Observation, Source, runner::Foreground};

use super::messages::SubmitDenied;
use crate::mask::HIDDEN;

/// An action in the log without its observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub id: EventId,
    pub source: Source,
    pub action: Action,
    /// Seconds.
    pub timeout: Option<u64>,
    /// The model's call, which its observation carries too.
    pub tool_call_metadata: Option<Value>,
}

impl Pending {
    /// An action as the log has it.
    pub fn of(event: &Event, action: Action) -> Self {
        Self {
            id: event.id,
            source: event.source,
            action,
            timeout: event.timeout,
            tool_call_metadata: event.tool_call_metadata.clone(),
        }
    }
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send it to the runtime, under its id as key.
    Dispatch(Box<Pending>),
    /// Put an observation into the log: what came of this action.
    Observe { of: Box<Pending>, observation: Box<Observation> },
    /// Interrupt what runs there.
    Interrupt(Foreground),
}

/// What came of a dispatched action.
#[derive(Clone, Debug)]
pub enum Outcome {
    Observed(Box<Observation>),
    /// It may have been carried out, or not: its line was cut.
    Unknown,
    Refused(String),
}

/// See the module.
#[derive(Debug)]
pub struct Executor {
    waiting: VecDeque<Pending>,
    /// What a runner of `epoch` may know: sent to it, in this life or an earlier one.
    sent: BTreeMap<EventId, Pending>,
    /// Those of `sent` that went over the line as it is now.
    on_line: BTreeSet<EventId>,
    /// Calls of MCP servers that were sent in this life: they come back whatever becomes of the line, and others than
    /// these, of an earlier life, never do.
    called: BTreeSet<EventId>,
    /// Those of an earlier life that must not be sent again: a server knows no key, and an action that the log holds
    /// with a secret hidden in it is another one.
    unclear: BTreeSet<EventId>,
    /// Those of `sent` that nobody wants any more: they are interrupted once they are on the line.
    unwanted: BTreeSet<EventId>,
    /// The epoch that answers now.
    up: Option<String>,
    /// The epoch to which `sent` was sent.
    epoch: Option<String>,
    most_waiting: usize,
    /// Whether there is, or will be, a sandbox.
    open: bool,
    /// It was told so.
    gone: bool,
}

impl Executor {
    /// One rebuilt from the log: the runnable actions without an observation, and the epoch of the runner that may
    /// know them.
    pub fn restore(unanswered: Vec<Pending>, epoch: Option<String>, most_waiting: usize) -> Self {
        let is_unclear = |it: &&Pending| is_call(&it.action) || is_blurred(&it.action);
        let unclear = unanswered.iter().filter(is_unclear).map(|it| it.id).collect();
        let sent = unanswered.into_iter().map(|pending| (pending.id, pending)).collect();
        Self {
            waiting: VecDeque::new(),
            sent,
            on_line: BTreeSet::new(),
            called: BTreeSet::new(),
            unclear,
            unwanted: BTreeSet::new(),
            up: None,
            epoch,
            most_waiting,
            open: false,
            gone: false,
        }
    }

    /// Whether an action runs or waits.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.sent.is_empty()
    }

    /// Whether a runner answers.
    pub fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Whether it was told that there is no sandbox, and none will come by itself.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether a client may have this carried out now; what is not runnable is none of its affairs.
    pub fn admit(&self, action: &Action) -> Result<(), SubmitDenied> {
        if !action.is_runnable() {
            return Ok(());
        }
        if !self.open {
            return Err(SubmitDenied::NotRunning);
        }
        match self.waiting.len() {
            waiting if waiting >= self.most_waiting => Err(SubmitDenied::QueueFull(waiting)),
            _ => Ok(()),
        }
    }

    /// A runnable action is durable, and may be carried out.
    pub fn committed(&mut self, pending: Pending) -> Vec<Effect> {
        if !self.open {
            return vec![not_run(pending)];
        }
        self.waiting.push_back(pending);
        self.advance()
    }

    /// Nobody wants what the agent has under way. Its command in the shell and its cell are interrupted, now or once
    /// the line is back, and answer by themselves; what waits, and what runs elsewhere, is answered now.
    pub fn interrupt_agent(&mut self) -> Vec<Effect> {
        let is_agents = |it: &Pending| it.source == Source::Agent;
        self.unwanted = self.sent.values().filter(|it| is_agents(it)).map(|it| it.id).collect();
        let mut effects = self.end_unwanted();
        let (agents, others) = self.waiting.drain(..).partition(is_agents);
        self.waiting = others;
        let agents: VecDeque<Pending> = agents;
        effects.extend(agents.into_iter().map(|pending| Effect::Observe {
            of: Box::new(pending),
            observation: Box::new(Observation::error(
                "The agent was stopped; this action was not run.",
                "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED",
            )),
        }));
        effects.extend(self.advance());
        effects
    }

    /// Interrupts what is unwanted and on the line, and answers what can't be interrupted.
    fn end_unwanted(&mut self) -> Vec<Effect> {
        let (mut effects, mut elsewhere) = (Vec::new(), Vec::new());
        for pending in self.sent.values().filter(|it| self.unwanted.contains(&it.id)) {
            match foreground(&pending.action) {
                // It may run over there: once the line is back it is seen.
                Some(_) if self.up.is_none() => {}
                Some(place) if self.on_line.contains(&pending.id) => {
                    let interrupt = Effect::Interrupt(place);
                    if !effects.contains(&interrupt) {
                        effects.push(interrupt);
                    }
                }
                // The shell belongs to another one, or it can't be interrupted.
                _ => elsewhere.push(pending.id),
            }
        }
        effects.extend(elsewhere.into_iter().filter_map(|id| self.leave(id)));
        effects
    }

    /// What does not end is not waited for any more.
    pub fn give_up(&mut self, id: EventId) -> Vec<Effect> {
        let mut effects: Vec<_> = self.leave(id).into_iter().collect();
        effects.extend(self.advance());
        effects
    }

    fn leave(&mut self, id: EventId) -> Option<Effect> {
        self.forget(id);
        let pending = self.sent.remove(&id)?;
        let text =
            "This action was interrupted; whether it had, or still has, an effect is not known.";
        let observation = Observation::error(text, "AGENT_ERROR$ACTION_INTERRUPTED");
        Some(Effect::Observe { of: Box::new(pending), observation: Box::new(observation) })
    }

    /// What the agent has in the foreground, and where.
    pub fn agents_foreground(&self, place: Foreground) -> Option<EventId> {
        let is_it = |it: &&Pending| {
            it.source == Source::Agent
                && self.on_line.contains(&it.id)
                && foreground(&it.action) == Some(place)
        };
        self.sent.values().find(is_it).map(|it| it.id)
    }

    /// It has left the line.
    fn forget(&mut self, id: EventId) {
        self.on_line.remove(&id);
        self.called.remove(&id);
        self.unwanted.remove(&id);
    }

    /// The runner answers. What was sent to this very runner is sent again, each when its turn comes:
    /// the runner knows the keys, but refuses a second command while one runs.
    pub fn runtime_up(&mut self, epoch: String) -> Vec<Effect> {
        let (called, unclear) = (self.called.clone(), std::mem::take(&mut self.unclear));
        let is_another = self.epoch.as_ref() != Some(&epoch);
        let mut effects = self.interrupt_sent(|it| {
            !called.contains(&it.id) && (is_another || unclear.contains(&it.id))
        });
        self.on_line = called;
        self.epoch = Some(epoch.clone());
        self.up = Some(epoch);
        (self.open, self.gone) = (true, false);
        effects.extend(self.advance());
        effects.extend(self.end_unwanted());
        effects
    }

    /// The line is cut. When it is hopeless, nothing goes on waiting.
    pub fn runtime_down(&mut self, hopeless: bool) -> Vec<Effect> {
        self.up = None;
        (self.open, self.gone) = (!hopeless, hopeless);
        if !hopeless {
            return Vec::new();
        }
        let mut effects = self.interrupt_sent(|_| true);
        self.called.clear();
        effects.extend(self.waiting.drain(..).map(not_run));
        effects
    }

    /// A dispatched action came back.
    pub fn came_back(&mut self, id: EventId, outcome: Outcome) -> Vec<Effect> {
        if !self.sent.contains_key(&id) {
            return Vec::new(); // interrupted meanwhile
        }
        let observation = match outcome {
            // Sent again, or given up, when it is known which runner answers next.
            Outcome::Unknown => return Vec::new(),
            Outcome::Observed(observation) => observation,
            Outcome::Refused(reason) => {
                Box::new(Observation::error(reason, "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR"))
            }
        };
        let of = self.sent.remove(&id).map(Box::new);
        self.forget(id);
        let mut effects: Vec<_> = of
            .into_iter()
            .map(|of| Effect::Observe { of, observation: observation.clone() })
            .collect();
        effects.extend(self.advance());
        effects
    }

    /// Sends what may go: everything up to, and with, the next command for a free shell.
    fn advance(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.up.is_none() {
            return effects;
        }
        let in_the_shell =
            |it: &Pending| self.on_line.contains(&it.id) && takes_the_shell(&it.action);
        let mut door = Door { shell_free: !self.sent.values().any(in_the_shell), blocked: false };
        for pending in self.sent.values() {
            if !self.on_line.contains(&pending.id) && door.lets_through(&pending.action) {
                self.on_line.insert(pending.id);
                effects.push(Effect::Dispatch(Box::new(pending.clone())));
            }
        }
        let mut still_waiting = VecDeque::new();
        for pending in self.waiting.drain(..) {
            if door.lets_through(&pending.action) {
                self.on_line.insert(pending.id);
                if is_call(&pending.action) {
                    self.called.insert(pending.id);
                }
                self.sent.insert(pending.id, pending.clone());
                effects.push(Effect::Dispatch(Box::new(pending)));
            } else {
                still_waiting.push_back(pending);
            }
        }
        self.waiting = still_waiting;
        effects
    }

    fn interrupt_sent(&mut self, is_over: impl Fn(&Pending) -> bool) -> Vec<Effect> {
        let interrupted = self.sent.extract_if(.., |_, pending| is_over(pending));
        let observe = |(_, pending): (EventId, Pending)| {
            let why = if is_blurred(&pending.action) {
                "The server ended before the result of this action was known. It has a secret that the log does not \
                 hold, so it was not sent again; it may have been carried out."
            } else if is_call(&pending.action) {
                "This call was cut before its result was known: it may have been carried out. It was not repeated."
            } else {
                "The sandbox ended before the result of this action was known. It was not run again."
            };
            let observation = Observation::error(why, "AGENT_ERROR$ACTION_INTERRUPTED");
            Effect::Observe { of: Box::new(pending), observation: Box::new(observation) }
        };
        interrupted.map(observe).collect()
    }
}

/// Which of the actions in a row may go.
struct Door {
    shell_free: bool,
    /// Something before this one stays.
    blocked: bool,
}

impl Door {
    fn lets_through(&mut self, action: &Action) -> bool {
        if is_input(action) {
            return true;
        }
        let shell = takes_the_shell(action);
        let goes = !self.blocked && (!shell || self.shell_free);
        self.shell_free &= !(goes && shell);
        self.blocked |= !goes;
        goes
    }
}

/// Whether the action is a command of its own in the session's one shell.
fn takes_the_shell(action: &Action) -> bool {
    matches!(action, Action::Run(run) if !run.is_input && !run.is_static)
}

/// Whether the action is meant for what runs already.
fn is_input(action: &Action) -> bool {
    matches!(action, Action::Run(run) if run.is_input)
}

/// Where the action can be interrupted.
fn foreground(action: &Action) -> Option<Foreground> {
    match action {
        Action::RunIpython(_) => Some(Foreground::Kernel),
        action if takes_the_shell(action) => Some(Foreground::Shell),
        _ => None,
    }
}

/// Whether a secret is hidden in what the log has of the action.
pub(super) fn is_blurred(action: &Action) -> bool {
    serde_json::to_string(action).is_ok_and(|text| text.contains(HIDDEN))
}

/// Whether the action is a call of an MCP server, which knows no key and must not get it twice.
fn is_call(action: &Action) -> bool {
    matches!(action, Action::CallToolMcp(_))
}

/// An action of an earlier life that the log holds with a secret hidden in it.
pub(super) fn not_known(pending: Pending) -> Effect {
    let text = "This action has a secret that the log does not hold, and the server was started anew since: it was not \
                run.";
    let observation = Observation::error(text, "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR");
    Effect::Observe { of: Box::new(pending), observation: Box::new(observation) }
}

fn not_run(pending: Pending) -> Effect {
    Effect::Observe {
        of: Box::new(pending),
        observation: Box::new(Observation::error(
            "The session has no sandbox any more; this action was not run.",
            "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED",
        )),
    }
}

#[cfg(test)]
mod tests;
