//! What an action in the log means.

use serde_json::{Map, Value};
use staithe_protocol::{
    Action, AgentState, Event, EventId, Source,
    action::{ChangeAgentState, ConfirmationScope, ConfirmationStatus, LoopRecovery, Message},
};

use super::{Confirming, Decision, Log, MOST_PENDING, Owed, Recalls, is_given_up, is_resting};
use crate::{
    controller::{
        admit::is_legal,
        confirm, edit,
        frame::{Due, Ended, Frame, Waiting},
    },
    origin::Origin,
};

impl Log {
    pub(super) fn action(&mut self, event: &Event, action: &Action, origin: Option<Origin>) {
        match event.source {
            Source::User => self.of_user(event, action),
            Source::Agent => self.of_agent(event, action, origin),
            Source::Environment => self.of_environment(event.id, action),
        }
    }

    fn of_user(&mut self, event: &Event, action: &Action) {
        match action {
            Action::Message(message) => self.said(event.id, message),
            Action::ChangeAgentState(change) => self.change(event, change),
            Action::Finish(_) => self.want(AgentState::Finished, "", event.id),
            Action::Reject(_) => self.want(AgentState::Rejected, "", event.id),
            Action::LoopRecovery(LoopRecovery { option }) => self.recover(event, *option),
            Action::CondensationRequest => {
                self.top_mut().condense_asked = true;
                self.owe(event, None);
            }
            Action::Delegate(_) => {
                let why = "Only the agent delegates: tell it what is to be done in a message.";
                self.owe(event, Some(why.to_owned()));
            }
            action if action.is_runnable() => {}
            _ => self.owe(event, None),
        }
    }

    fn owe(&mut self, event: &Event, refused: Option<String>) {
        self.owed.push_back(Owed { id: event.id, source: event.source, refused });
    }

    fn said(&mut self, id: EventId, message: &Message) {
        self.last_user = Some(id);
        self.base = self.spent;
        self.encouraged_but_waiting();
        if is_resting(self.effective()) {
            self.unanswered = Some(id);
        }
        let Recalls { pending, .. } = &mut self.recalls;
        if pending.len() == MOST_PENDING {
            pending.pop_front();
        }
        pending.push_back((id, message.content.clone()));
    }

    /// A word of the user makes what follows something new; but a provider that asks to wait is not hurried by it.
    fn encouraged_but_waiting(&mut self) {
        let waits = !is_resting(self.effective());
        self.agree_to_price();
        for frame in self.frames_mut() {
            let retry = frame.retry.take();
            frame.encouraged();
            frame.retry = retry.filter(|_| waits);
        }
    }

    /// The action that a person decides on, where another is asked about, or none.
    pub(in crate::controller) fn not_asked(&self, change: &ChangeAgentState) -> Option<EventId> {
        let decides =
            matches!(change.agent_state, AgentState::UserConfirmed | AgentState::UserRejected);
        let asked = self.confirming.as_ref().map(|confirming| confirming.id);
        change.action_id.filter(|id| decides && asked != Some(*id))
    }

    fn change(&mut self, event: &Event, change: &ChangeAgentState) {
        let (from, to) = (self.effective(), change.agent_state);
        if from == to {
            return self.owe(event, None);
        }
        // It was legal when it was sent; another may have come first.
        if !is_legal(from, to) {
            let why = format!("The agent can't go from {} to {}.", from.as_str(), to.as_str());
            return self.owe(event, Some(why));
        }
        if let Some(id) = self.not_asked(change) {
            let why = format!("The agent does not ask about action {id} now.");
            return self.owe(event, Some(why));
        }
        let edited = match self.edited(change) {
            Ok(edited) => edited,
            Err(why) => return self.owe(event, Some(why)),
        };
        match to {
            AgentState::UserConfirmed => self.decide(Decision::Confirmed, change.scope, edited),
            AgentState::UserRejected => {
                self.decide(Decision::Rejected(change.thought.clone()), None, None);
            }
            AgentState::Running => {
                if self.reason.starts_with("limit.") {
                    self.base = self.spent;
                }
                self.encouraged();
            }
            _ => self.unanswered = None,
        }
        self.want(to, "", event.id);
    }

    /// The action that is asked about as a person changed it, with the names of what was changed; none if nothing was.
    pub(in crate::controller) fn edited(
        &self,
        change: &ChangeAgentState,
    ) -> Result<Option<(Action, Vec<String>)>, String> {
        if let Some(why) = edit::misplaced(change) {
            return Err(why.to_owned());
        }
        match (&change.edited, &self.confirming) {
            (Some(edited), Some(confirming)) => {
                let (action, names) = edit::apply(&confirming.action, edited)?;
                Ok(Some((action, names)).filter(|(_, names)| !names.is_empty()))
            }
            _ => Ok(None),
        }
    }

    fn decide(
        &mut self,
        decision: Decision,
        scope: Option<ConfirmationScope>,
        edited: Option<(Action, Vec<String>)>,
    ) {
        let Some(confirming) = &mut self.confirming else { return };
        if let Some((action, names)) = edited {
            (confirming.action, confirming.edited) = (action, names);
        }
        if scope == Some(ConfirmationScope::Kind) {
            self.approved.extend(confirming.kinds.iter().cloned());
        }
        confirming.decision = Some(decision);
    }

    /// The way out of a loop: 1 forgets it, 2 forgets all since the user's last word, 3 stops.
    fn recover(&mut self, event: &Event, option: i64) {
        let Some((_, first)) = self.top().stuck.found().filter(|_| self.state == AgentState::Error)
        else {
            return self.owe(event, Some("The agent is in no loop.".to_owned()));
        };
        let from = match option {
            1 => first,
            2 => self.last_user.map_or(first, EventId::next),
            3 => return self.want(AgentState::Stopped, "", event.id),
            _ => {
                let why = "`option` is 1 to forget the loop, 2 to start over, or 3 to stop.";
                return self.owe(event, Some(why.to_owned()));
            }
        };
        self.encouraged();
        self.top_mut().forget = Some((from, event.id));
        self.want(AgentState::Running, "", event.id);
    }

    fn of_environment(&mut self, id: EventId, action: &Action) {
        match action {
            // What is said to a model that answered nothing.
            Action::Message(_) => {
                let top = self.top_mut();
                let empty = top.empty + 1;
                top.answered();
                top.empty = empty;
            }
            Action::Recall(recall) => {
                self.recalls.open = Some((id, recall.recall_type, recall.query.clone()));
            }
            _ => {}
        }
    }

    fn of_agent(&mut self, event: &Event, action: &Action, origin: Option<Origin>) {
        let id = event.id;
        match action {
            Action::Message(message) => self.agent_said(id, message),
            Action::Finish(finish) => {
                let mut outputs = finish.outputs.clone();
                let text = [&finish.final_thought, &finish.thought];
                if let Some(text) = text.into_iter().find(|text| !text.is_empty())
                    && outputs.is_empty()
                {
                    outputs.insert("content".to_owned(), text.clone().into());
                }
                self.end(id, AgentState::Finished, Ended::Finished(outputs));
            }
            Action::Reject(reject) => {
                self.end(id, AgentState::Rejected, Ended::Rejected(reject.outputs.clone()));
            }
            Action::System(_) => self.system_told = true,
            Action::Condensation(_) => self.top_mut().condensed(),
            action => self.of_call(event, action, origin.map(|origin| origin.short())),
        }
    }

    /// The agent finishes or gives up, or a delegate does.
    fn end(&mut self, id: EventId, state: AgentState, ended: Ended) {
        self.top_mut().drop_rest();
        if self.depth() > 0 {
            self.top_mut().ended.get_or_insert(ended);
        } else if !is_given_up(self.effective()) {
            self.rest(state, id);
        }
    }

    fn agent_said(&mut self, id: EventId, message: &Message) {
        self.top_mut().stuck.said(id, &message.content);
        if !message.wait_for_response {
            return;
        }
        if self.depth() > 0 {
            let mut outputs = Map::new();
            outputs.insert("content".to_owned(), Value::from(message.content.clone()));
            self.top_mut().ended.get_or_insert(Ended::Finished(outputs));
        } else if !is_given_up(self.effective()) && !self.is_unread() {
            self.want(AgentState::AwaitingUserInput, "", id);
        }
    }

    /// An action that a call made, or one that a person decided on.
    fn of_call(&mut self, event: &Event, action: &Action, origin: Option<Origin>) {
        let id = event.id;
        match confirm::state_of(action) {
            ConfirmationStatus::AwaitingConfirmation => {
                self.top_mut().stuck.action(id, action);
                let (action, timeout) = (action.clone(), event.timeout);
                let kinds = event.tool_call_metadata.as_ref().map(confirm::kinds_of);
                let dropped = is_given_up(self.effective()) || self.top().ended.is_some();
                self.confirming = Some(Confirming {
                    id,
                    action,
                    timeout,
                    origin,
                    kinds: kinds.unwrap_or_default(),
                    edited: Vec::new(),
                    told: false,
                    decision: None,
                    dropped,
                });
                return;
            }
            ConfirmationStatus::Rejected => {
                let reason = match self.confirming.take().and_then(|it| it.decision) {
                    Some(Decision::Rejected(reason)) => reason,
                    _ => String::new(),
                };
                self.top_mut().drop_rest();
                let content = confirm::rejected(&reason);
                let due =
                    Due::Own(Box::new(staithe_protocol::Observation::UserRejected { content }));
                self.top_mut().waiting = Some(Waiting { id, origin, due });
                self.rejected_because = Some(reason);
                return;
            }
            ConfirmationStatus::Confirmed => {}
        }
        if self.confirming.take().is_none() {
            self.top_mut().stuck.action(id, action);
        } else if self.effective() == AgentState::UserConfirmed {
            // Without a cause: whoever looks for the action's observation would find this.
            self.want(AgentState::Running, "", None);
        }
        self.carried_out(id, action, origin);
    }

    fn carried_out(&mut self, id: EventId, action: &Action, origin: Option<Origin>) {
        let effective = self.effective();
        let stopped = is_given_up(effective) || self.top().ended.is_some();
        let due = match action {
            Action::Delegate(delegate) => Due::Delegate(delegate.agent.clone()),
            action if action.is_runnable() => {
                Due::Runner { held: effective != AgentState::Running, dropped: stopped }
            }
            action => match self.own_answer(action) {
                Some(observation) => Due::Own(Box::new(observation)),
                None => return,
            },
        };
        self.top_mut().waiting = Some(Waiting { id, origin, due });
        if let Action::Delegate(delegate) = action {
            let task = match delegate.inputs.get("task") {
                Some(Value::String(task)) => task.clone(),
                _ => Value::Object(delegate.inputs.clone()).to_string(),
            };
            let mut frame = Frame::of_delegate(self.settings, &task, id);
            if let Some(told) = &self.recalls.told {
                frame.view.take(told);
            }
            frame.ended = stopped.then_some(Ended::Stopped);
            self.delegates.push(frame);
        }
    }

    fn own_answer(&mut self, action: &Action) -> Option<staithe_protocol::Observation> {
        if let Action::TaskTracking(tracking) = action {
            let tasks = &mut self.top_mut().tasks;
            if tracking.command == "plan" {
                tasks.clone_from(&tracking.task_list);
            }
            return Some(crate::controller::words::tasks(&tracking.command, tasks));
        }
        if matches!(action, Action::CondensationRequest) {
            self.top_mut().condense_asked = true;
        }
        Frame::own_answer(action)
    }
}
