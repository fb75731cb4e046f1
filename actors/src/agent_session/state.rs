//! What an agent's session does with actions and their outcomes. Pure.
//!
//! ```text
//! submit ─admit─> durable ─committed─> waiting ──its turn──> sent ──observed──> observation in the log
//!                                         │                    └─line cut, same epoch─> sent again (same key)
//!                                         └─hopeless─────────────└─another epoch─> "interrupted"
//! ```
//! One command is in the shell at a time, in the order of the log. Input for it, and what does not
//! need the shell, does not wait for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use staithe_protocol::{Action, AgentState, EventId, Observation, Source};

use super::messages::SubmitDenied;

/// An action in the log without its observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub id: EventId,
    pub source: Source,
    pub action: Action,
    /// Seconds.
    pub timeout: Option<u64>,
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send it to the runtime, under its id as key.
    Dispatch(Box<Pending>),
    /// Put an observation into the log.
    Observe { source: Source, cause: EventId, observation: Box<Observation> },
    /// The agent's state changed, because of an action or by itself.
    StateChanged { state: AgentState, cause: Option<EventId> },
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
pub struct AgentSessionState {
    agent: AgentState,
    waiting: VecDeque<Pending>,
    /// What a runner of `epoch` may know: sent to it, in this life or an earlier one.
    sent: BTreeMap<EventId, Pending>,
    /// Those of `sent` that went over the line as it is now.
    on_line: BTreeSet<EventId>,
    /// The epoch that answers now.
    up: Option<String>,
    /// The epoch to which `sent` was sent.
    epoch: Option<String>,
    most_waiting: usize,
    /// Whether there is, or will be, a sandbox.
    open: bool,
}

impl AgentSessionState {
    /// A state rebuilt from the log: the agent's last state, the actions without an observation, and
    /// the epoch of the runner that may know them.
    pub fn restore(
        agent: AgentState,
        unanswered: Vec<Pending>,
        epoch: Option<String>,
        most_waiting: usize,
    ) -> Self {
        let sent = unanswered.into_iter().map(|pending| (pending.id, pending)).collect();
        Self {
            agent,
            waiting: VecDeque::new(),
            sent,
            on_line: BTreeSet::new(),
            up: None,
            epoch,
            most_waiting,
            open: false,
        }
    }

    /// The first thing after [`restore`](Self::restore): what needs no runtime is answered now.
    pub fn resume(&mut self) -> Vec<Effect> {
        let own = self.sent.extract_if(.., |_, pending| !pending.action.is_runnable());
        let own: Vec<_> = own.map(|(_, pending)| pending).collect();
        own.into_iter().flat_map(|pending| self.committed(pending)).collect()
    }

    /// The agent's state.
    pub fn agent(&self) -> AgentState {
        self.agent
    }

    /// Whether an action runs or waits, or the agent works.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.sent.is_empty() || self.agent == AgentState::Running
    }

    /// Whether a client may do this now.
    pub fn admit(&self, action: &Action) -> Result<(), SubmitDenied> {
        match action {
            Action::ChangeAgentState(change) => {
                let (from, to) = (self.agent, change.agent_state);
                let legal = from == to || legal(from, to);
                if legal { Ok(()) } else { Err(SubmitDenied::IllegalTransition { from, to }) }
            }
            Action::System(_)
            | Action::Condensation(_)
            | Action::CondensationRequest
            | Action::Recall(_)
            | Action::LoopRecovery(_) => Err(SubmitDenied::AgentOnly(action.name())),
            action if action.is_runnable() && !self.open => Err(SubmitDenied::NotRunning),
            _ if self.waiting.len() >= self.most_waiting => {
                Err(SubmitDenied::QueueFull(self.waiting.len()))
            }
            _ => Ok(()),
        }
    }

    /// An action is durable: act on it.
    pub fn committed(&mut self, pending: Pending) -> Vec<Effect> {
        let Pending { id, source, .. } = pending;
        let observe = |observation| {
            vec![Effect::Observe { source, cause: id, observation: Box::new(observation) }]
        };
        match &pending.action {
            Action::ChangeAgentState(change) => {
                let state = change.agent_state;
                if state == self.agent {
                    return observe(nothing());
                }
                self.agent = state;
                vec![Effect::StateChanged { state, cause: Some(id) }]
            }
            Action::Finish(_) => self.end(AgentState::Finished, id),
            Action::Reject(_) => self.end(AgentState::Rejected, id),
            Action::Message(_) if source == Source::User => observe(no_model()),
            Action::Delegate(_) => observe(no_model()),
            action if action.is_runnable() => {
                self.waiting.push_back(pending);
                self.advance()
            }
            _ => observe(nothing()),
        }
    }

    /// The runner answers. What was sent to this very runner is sent again, each when its turn comes:
    /// the runner knows the keys, but refuses a second command while one runs.
    pub fn runtime_up(&mut self, epoch: String) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.on_line.clear();
        if self.epoch.as_ref() != Some(&epoch) {
            effects.extend(self.interrupt_sent());
        }
        self.epoch = Some(epoch.clone());
        self.up = Some(epoch);
        self.open = true;
        if self.agent == AgentState::Loading {
            self.agent = AgentState::Init;
            effects.push(Effect::StateChanged { state: AgentState::Init, cause: None });
        }
        effects.extend(self.advance());
        effects
    }

    /// The line is cut. When it is hopeless, nothing goes on waiting.
    pub fn runtime_down(&mut self, hopeless: bool) -> Vec<Effect> {
        self.up = None;
        self.open = !hopeless;
        if !hopeless {
            return Vec::new();
        }
        let mut effects = self.interrupt_sent();
        effects.extend(self.waiting.drain(..).map(|pending| Effect::Observe {
            source: pending.source,
            cause: pending.id,
            observation: Box::new(Observation::error(
                "The session has no sandbox any more; this action was not run.",
                "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED",
            )),
        }));
        effects
    }

    /// A dispatched action came back.
    pub fn came_back(&mut self, id: EventId, outcome: Outcome) -> Vec<Effect> {
        let Some(pending) = self.sent.get(&id) else { return Vec::new() }; // interrupted meanwhile
        let observation = match outcome {
            // Sent again, or given up, when it is known which runner answers next.
            Outcome::Unknown => return Vec::new(),
            Outcome::Observed(observation) => observation,
            Outcome::Refused(reason) => {
                Box::new(Observation::error(reason, "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR"))
            }
        };
        let source = pending.source;
        self.sent.remove(&id);
        self.on_line.remove(&id);
        let mut effects = vec![Effect::Observe { source, cause: id, observation }];
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
                self.sent.insert(pending.id, pending.clone());
                effects.push(Effect::Dispatch(Box::new(pending)));
            } else {
                still_waiting.push_back(pending);
            }
        }
        self.waiting = still_waiting;
        effects
    }

    fn interrupt_sent(&mut self) -> Vec<Effect> {
        let interrupted = std::mem::take(&mut self.sent).into_values();
        let observe = |pending: Pending| Effect::Observe {
            source: pending.source,
            cause: pending.id,
            observation: Box::new(Observation::error(
                "The sandbox ended before the result of this action was known. It was not run again.",
                "AGENT_ERROR$ACTION_INTERRUPTED",
            )),
        };
        interrupted.map(observe).collect()
    }

    fn end(&mut self, state: AgentState, cause: EventId) -> Vec<Effect> {
        self.agent = state;
        vec![Effect::StateChanged { state, cause: Some(cause) }]
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

/// Which changes of state a client may ask for. The reference checks nothing ([T], §6.1).
fn legal(from: AgentState, to: AgentState) -> bool {
    use AgentState::{
        AwaitingUserConfirmation, AwaitingUserInput, Error, Finished, Init, Loading, Paused,
        RateLimited, Rejected, Running, Stopped, UserConfirmed, UserRejected,
    };
    match to {
        Paused => matches!(from, Init | Running | AwaitingUserInput | RateLimited),
        Running => matches!(from, Paused | Init | AwaitingUserInput),
        Stopped => !matches!(from, Loading),
        AwaitingUserInput => {
            matches!(from, Init | Running | Paused | Stopped | Error | Finished | Rejected)
        }
        UserConfirmed | UserRejected => from == AwaitingUserConfirmation,
        Loading | Init | Finished | Rejected | Error | AwaitingUserConfirmation | RateLimited => {
            false
        }
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

/// The outcome of an action that leaves none.
fn nothing() -> Observation {
    Observation::Null { content: String::new() }
}

/// The honest answer to a message while no model is configured.
fn no_model() -> Observation {
    Observation::error(
        "No language model is configured, so nobody answers messages in this session. \
         This version of Staithe runs commands and file actions only; models are configured in the \
         section [llm] of config.toml once the agent is part of it.",
        "STATUS$ERROR_LLM_NOT_CONFIGURED",
    )
}

#[cfg(test)]
mod tests;
