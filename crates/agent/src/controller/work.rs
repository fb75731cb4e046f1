//! What an agent that runs does next. Pure.

use serde_json::json;
use staithe_protocol::{
    Action, AgentState, Observation, Source,
    action::{Condensation, System},
    event::Body,
};

use super::{
    Append, Controller, Effect, ModelFacts, Purpose,
    advance::{Next, observed, state},
    failures,
    frame::Frame,
    live::Asking,
    recall, spent,
    spent::Last,
};
use crate::{
    condense::{self, Plan, Why},
    model::Question,
    prompt,
    tools::Offer,
    view::Asked,
};

/// The system prompt and the tools as one question has them.
struct Beside {
    system: String,
    tools: Vec<crate::model::ToolSpec>,
    /// Characters of both.
    length: usize,
}

impl Controller {
    pub(super) fn work(&mut self) -> Next {
        let limits = self.configured.settings.limits;
        if spent::left(&limits, &self.spent(), &self.log.base).is_some_and(|left| left.is_zero()) {
            return self.tell(AgentState::Paused, "limit.time", None);
        }
        if let Some(confirming) = &self.log.confirming {
            return self.tell(AgentState::AwaitingUserConfirmation, "", Some(confirming.id));
        }
        if self.log.top().waiting.is_some() || self.live.asking.is_some() {
            return Next::Nothing;
        }
        if let Some((asking, heard)) = self.live.heard.take() {
            return Next::append(self.came(&asking, heard));
        }
        if let Some(open) = &self.log.recalls.open {
            let Some(learned) = &self.live.learned else { return self.learn() };
            let known = &self.log.recalls.known;
            return Next::append(recall::found(open, learned, known, self.live.facts()));
        }
        if let Some((first, last)) = self.log.top().forget {
            return Next::append(forget(first.0, last.0));
        }
        let next = self.log.top().answer.as_ref().and_then(super::frame::Answering::next);
        if let Some((call, origin)) = next.map(|(call, origin)| (call.clone(), origin)) {
            return Next::append(self.carry_out(&call, &origin, ""));
        }
        self.before_asking().unwrap_or_else(|| self.ask())
    }

    /// What stands between the agent and its next question; none if nothing does.
    fn before_asking(&mut self) -> Option<Next> {
        if let Err(why) = &self.configured.model {
            let why = why.clone();
            return Some(Next::append(self.fail(&why, failures::NOT_CONFIGURED, &Last::default())));
        }
        if let Some(next) = self.look_up() {
            return Some(next);
        }
        if let Some((rule, _)) = self.log.top().stuck.found() {
            let why = format!(
                "The agent goes round in circles: {}. Forget the loop, start over from your last message, or stop; \
                 or tell the agent what to do instead.",
                rule.words()
            );
            return Some(Next::append(self.fail(&why, failures::STUCK, &Last::default())));
        }
        let limits = self.configured.settings.limits;
        if let Some(reason) = spent::reached(&limits, &self.spent(), &self.log.base) {
            return Some(self.tell(AgentState::Paused, reason, None));
        }
        if let Some(next) = self.without_price() {
            return Some(next);
        }
        let most = self.configured.settings.delegates.steps;
        let top = self.log.top();
        if self.log.depth() > 0 && most > 0 && top.steps - top.granted >= most {
            let why = format!("It took {most} steps, which is as many as it may.");
            return Some(Next::append(self.fail(&why, failures::DELEGATE_LIMIT, &Last::default())));
        }
        self.wait()
    }

    /// A limit of cost can't be held where a price is not known: a person has to agree, once for each model.
    fn without_price(&mut self) -> Option<Next> {
        let agreed = &self.log.agreed_unpriced;
        let asked = [Purpose::Step, Purpose::Condense].map(|purpose| self.facts(purpose));
        let unknown = asked.into_iter().flatten().filter(|facts| facts.price.is_none());
        let names: Vec<String> =
            unknown.map(|facts| facts.name.clone()).filter(|name| !agreed.contains(name)).collect();
        if self.configured.settings.limits.cost <= 0.0 || names.is_empty() {
            return None;
        }
        let metrics = spent::with_unpriced(self.metrics(&Last::default()), names);
        let paused = state(AgentState::Paused, spent::NO_PRICE, None);
        Some(Next::append(Append { llm_metrics: Some(metrics), ..paused }))
    }

    fn learn(&mut self) -> Next {
        if std::mem::replace(&mut self.live.learning, true) {
            Next::Nothing
        } else {
            Next::Effect(Effect::Learn)
        }
    }

    /// Looks up what the user's messages call up, the oldest first.
    fn look_up(&mut self) -> Option<Next> {
        loop {
            let is_new = |id| self.live.considered.is_none_or(|considered| id > considered);
            let pending = &self.log.recalls.pending;
            let (id, query) = pending.iter().find(|(id, _)| is_new(*id)).cloned()?;
            let Some(learned) = &self.live.learned else { return Some(self.learn()) };
            let recalls = &self.log.recalls;
            let begun = recall::begin(&query, recalls.workspace, learned, &recalls.known);
            self.live.considered = Some(id);
            if let Some(append) = begun {
                return Some(Next::append(append));
            }
        }
    }

    /// What of the settings and the plugins this agent is offered.
    pub(super) fn offer(&self) -> Offer {
        let depth = u32::try_from(self.log.depth()).unwrap_or(u32::MAX);
        let delegate = depth < self.configured.settings.most_delegates;
        Offer { delegate, ..self.live.equipment.offer.clone() }
    }

    fn beside(&self) -> Beside {
        let offer = self.offer();
        let is_delegate = self.log.depth() > 0;
        let facts = prompt::Facts { is_delegate, ..self.live.facts().clone() };
        let system = prompt::system(&facts, &offer);
        let tools = offer.specs();
        let of = |tool: &crate::model::ToolSpec| {
            tool.name.len() + tool.description.len() + tool.parameters.to_string().len()
        };
        let length = system.len() + tools.iter().map(of).sum::<usize>();
        Beside { system, tools, length }
    }

    fn ask(&mut self) -> Next {
        let beside = self.beside();
        if !self.log.system_told {
            return Next::append(system(&beside));
        }
        if let Some(plan) = self.plan(&beside) {
            if self.log.top().unsummed {
                return Next::append(action_of(Action::Condensation(plan.condensation(None))));
            }
            let question = plan.question();
            return self.put(question, Purpose::Condense, 0, Some(plan));
        }
        let (model, pictures) = match &self.configured.model {
            Ok(facts) => (facts.name.as_str(), facts.vision),
            Err(_) => return Next::Nothing,
        };
        let view = &self.log.top().view;
        let said = view.said(Asked { model, pictures });
        let estimated = view.tokens(beside.length);
        let question = Question { system: beside.system, said, tools: beside.tools };
        self.put(question, Purpose::Step, estimated, None)
    }

    /// What is to be forgotten before the model is asked. Once for each answer: a view that can't be made smaller is
    /// asked as it is.
    fn plan(&self, beside: &Beside) -> Option<Plan> {
        let top = self.log.top();
        let why = match top {
            Frame { too_long: true, .. } => Why::TooLong,
            Frame { condensed: 1.., .. } => return None,
            Frame { condense_asked: true, .. } => Why::Asked,
            Frame { view, .. } => condense::due(view, self.window(), beside.length)?,
        };
        condense::plan(&top.view, why, self.condenser_window())
    }

    /// What is known of the model that is asked.
    pub(super) fn facts(&self, purpose: Purpose) -> Option<&ModelFacts> {
        match (&self.configured.condenser, purpose) {
            (Some(condenser), Purpose::Condense) => condenser.as_ref().ok(),
            _ => self.configured.model.as_ref().ok(),
        }
    }

    /// Tokens that the model reads, as is known of it or was learnt when it refused to; 0: not known.
    pub(super) fn window(&self) -> u64 {
        let Some(facts) = self.facts(Purpose::Step) else { return 0 };
        self.read_by(facts)
    }

    /// The same of the model that writes summaries.
    pub(super) fn condenser_window(&self) -> u64 {
        self.facts(Purpose::Condense).map_or(0, |facts| self.read_by(facts))
    }

    fn read_by(&self, ModelFacts { name, window, .. }: &ModelFacts) -> u64 {
        match &self.log.most_read {
            Some((refused, most)) if refused == name && *window == 0 => *most,
            Some((refused, most)) if refused == name => *most.min(window),
            _ => *window,
        }
    }

    fn put(
        &mut self,
        question: Question,
        purpose: Purpose,
        estimated: u64,
        plan: Option<Plan>,
    ) -> Next {
        let call = self.live.call();
        let seen = self.log.top().view.newest();
        let model = match (&self.configured.condenser, purpose) {
            (Some(Err(name)), Purpose::Condense) => name.clone(),
            _ => self.facts(purpose).map(|facts| facts.name.clone()).unwrap_or_default(),
        };
        self.live.retry = None;
        self.live.asking = Some(Asking { call, purpose, seen, model, estimated, plan });
        Next::Effect(Effect::Ask { call, question: Box::new(question), purpose })
    }

    /// What nobody can go on from.
    pub(super) fn fail(&mut self, why: &str, error_id: &str, last: &Last) -> Append {
        let observation = Observation::error(why, error_id);
        let llm_metrics = Some(self.metrics(last));
        Append { llm_metrics, ..observed(Source::Environment, None, observation) }
    }
}

fn system(beside: &Beside) -> Append {
    let tools = beside.tools.iter().map(|tool| {
        json!({ "type": "function", "function": {
            "name": tool.name, "description": tool.description, "parameters": tool.parameters,
        } })
    });
    let action = Action::System(System {
        content: beside.system.clone(),
        tools: Some(tools.collect()),
        openhands_version: None,
        agent_class: Some("CodeActAgent".to_owned()),
    });
    action_of(action)
}

/// Events of a loop leave the view, without a word in their place.
fn forget(first: u64, last: u64) -> Append {
    let number = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
    action_of(Action::Condensation(Condensation {
        forgotten_events_start_id: Some(number(first)),
        forgotten_events_end_id: Some(number(last)),
        ..Condensation::default()
    }))
}

/// An action of the agent that no call made.
pub(super) fn action_of(action: Action) -> Append {
    Append {
        source: Source::Agent,
        cause: None,
        body: Body::Action(action),
        timeout: None,
        tool_call_metadata: None,
        llm_metrics: None,
    }
}
