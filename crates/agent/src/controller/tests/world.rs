//! A session around a controller: its log, its executor, its model. Nothing happens in it by itself.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use staithe_protocol::{
    Action, AgentState, Event, EventId, Observation, Source,
    action::{ChangeAgentState, ConfirmationStatus, Message, Run},
    event::Body,
    observation::RunObservation,
};

use crate::{
    controller::{
        Append, Call, Configured, Controller, Effect, Equipment, ModelFacts, Purpose, Timer,
        confirm,
    },
    instructions::{Found, Instructions},
    model::{Answer, FailureKind, ModelFailed, Question, ToolCall, Usage},
    origin::Origin,
    prompt::Facts,
    settings::{AgentSettings, Confirm, DelegateLimits, Limits, Price, Retries, ViewSettings},
    tools::Offer,
};

pub(super) fn settings() -> AgentSettings {
    AgentSettings {
        limits: Limits::default(),
        confirm: Confirm::Never,
        retries: Retries {
            most: 2,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(8),
            factor: 2.0,
        },
        view: ViewSettings {
            fill: 0.8,
            most_turns: 60,
            keep_first: 2,
            whole_results: 10,
            most_result: 2_000,
        },
        go_on_after_crash: false,
        most_delegates: 2,
        delegates: DelegateLimits::default(),
    }
}

pub(super) fn facts() -> ModelFacts {
    let price = Some(Price { input: 1.0, output: 2.0, ..Price::default() });
    ModelFacts { name: "m".to_owned(), window: 100_000, price, vision: false }
}

pub(super) fn equipment() -> Equipment {
    let offer = Offer { python: true, browser: true, ..Offer::default() };
    let facts = Facts { working_dir: "/workspace".to_owned(), ..Facts::default() };
    Equipment { sandbox: true, gone: false, offer, facts }
}

pub(super) struct World {
    pub(super) controller: Controller,
    pub(super) configured: Configured,
    pub(super) log: Vec<Event>,
    pub(super) now: Duration,
    /// On their way to the log.
    pub(super) appends: VecDeque<Append>,
    pub(super) asked: Option<(Call, Question, Purpose)>,
    pub(super) hushed: usize,
    /// The agent's actions that the executor carries out.
    pub(super) running: Vec<EventId>,
    pub(super) interrupts: usize,
    pub(super) timers: Vec<(Timer, Duration)>,
    pub(super) learning: bool,
    /// What is learned when it is asked for.
    pub(super) learned: Instructions,
    answers: u64,
    /// The provider gives each answer the same id, and the calls of each the same.
    pub(super) repeats_ids: bool,
    ever_released: BTreeSet<EventId>,
}

impl World {
    /// A session with its sandbox, in the state `init`.
    pub(super) fn new(settings: AgentSettings) -> Self {
        let mut world = Self::bare(Configured { settings, model: Ok(facts()), condenser: None });
        world.equip();
        world.settle();
        assert_eq!(world.controller.state(), AgentState::Init);
        world
    }

    pub(super) fn bare(configured: Configured) -> Self {
        let mut world = Self {
            controller: Controller::new(configured.clone()),
            configured,
            log: Vec::new(),
            now: Duration::ZERO,
            appends: VecDeque::new(),
            asked: None,
            hushed: 0,
            running: Vec::new(),
            interrupts: 0,
            timers: Vec::new(),
            learning: false,
            learned: Instructions::default(),
            answers: 0,
            repeats_ids: false,
            ever_released: BTreeSet::new(),
        };
        let effects = world.controller.resumed(world.now);
        world.perform(effects);
        world
    }

    /// One that a user gave a task, and whose model is asked.
    pub(super) fn at_work(settings: AgentSettings) -> Self {
        let mut world = Self::new(settings);
        world.say("Do it");
        world.settle();
        assert_eq!(world.state(), AgentState::Running);
        assert!(world.asked.is_some());
        world
    }

    pub(super) fn state(&self) -> AgentState {
        self.controller.state()
    }

    pub(super) fn equip(&mut self) {
        let effects = self.controller.equipped(equipment(), self.now);
        self.perform(effects);
    }

    /// The sandbox ends, and none comes by itself.
    pub(super) fn lose_sandbox(&mut self) {
        let equipment = Equipment { sandbox: false, gone: true, ..equipment() };
        let effects = self.controller.equipped(equipment, self.now);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append(append) => {
                    self.appends.push_back(*append);
                    assert_eq!(self.appends.len(), 1, "one append at a time: {:?}", self.appends);
                }
                Effect::Ask { call, question, purpose } => {
                    assert!(self.asked.is_none(), "one question at a time");
                    self.asked = Some((call, *question, purpose));
                }
                Effect::Hush { call } => {
                    let (asked, ..) = self.asked.take().expect("a question to hush");
                    assert_eq!(asked, call);
                    self.hushed += 1;
                }
                Effect::Interrupt => self.interrupts += 1,
                Effect::Arm { timer, after } => {
                    let same = |other: Timer| {
                        std::mem::discriminant(&other) == std::mem::discriminant(&timer)
                    };
                    self.timers.retain(|(other, _)| !same(*other));
                    self.timers.push((timer, after));
                }
                Effect::Learn => {
                    assert!(!self.learning, "asked once");
                    self.learning = true;
                }
                Effect::Release(id) => self.release(id),
            }
        }
    }

    fn release(&mut self, id: EventId) {
        assert!(self.ever_released.insert(id), "{id} is released twice");
        let event = self.log.iter().find(|event| event.id == id).expect("it is in the log");
        let Body::Action(action) = &event.body else { panic!("no action is released") };
        assert!(action.is_runnable() && event.source == Source::Agent, "{event:?}");
        assert_eq!(confirm::state_of(action), ConfirmationStatus::Confirmed);
        assert!(!self.is_observed(id), "{id} has its observation already");
        self.running.push(id);
    }

    pub(super) fn is_observed(&self, id: EventId) -> bool {
        self.log.iter().any(|event| event.cause == Some(id))
    }

    /// An event of whoever's becomes durable.
    pub(super) fn put(&mut self, append: Append) -> EventId {
        let id = EventId(u64::try_from(self.log.len()).unwrap());
        let event = append.at(id, String::new());
        // As it is read from the log.
        let event: Event = serde_json::from_slice(&event.to_json()).unwrap();
        self.log.push(event.clone());
        let effects = self.controller.appended(&event, self.now);
        self.perform(effects);
        id
    }

    /// The append that is on its way becomes durable.
    pub(super) fn commit(&mut self) -> Option<EventId> {
        let append = self.appends.pop_front()?;
        Some(self.put(append))
    }

    /// All appends become durable, and what is asked for is learned.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            if self.commit().is_none() && !self.learn() {
                return;
            }
        }
        panic!("no end of appends: {:#?}", &self.log[self.log.len() - 8..]);
    }

    pub(super) fn learn(&mut self) -> bool {
        let learning = std::mem::take(&mut self.learning);
        if learning {
            let effects = self.controller.learned(self.learned.clone(), self.now);
            self.perform(effects);
        }
        learning
    }

    /// A client's action, if it is admitted.
    pub(super) fn submit(&mut self, action: Action) -> Option<EventId> {
        self.controller.admit(&action, Source::User).ok()?;
        Some(self.put(of_user(action)))
    }

    pub(super) fn say(&mut self, content: &str) -> EventId {
        let message = Message { content: content.to_owned(), ..Message::default() };
        self.submit(Action::Message(message)).unwrap()
    }

    pub(super) fn change(&mut self, state: AgentState) -> EventId {
        self.submit(change(state)).unwrap_or_else(|| panic!("{:?} to {state:?}", self.state()))
    }

    /// The model's answer, and what follows.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.heard(Ok(answer));
        self.settle();
    }

    pub(super) fn heard(&mut self, came: Result<Answer, ModelFailed>) {
        let (call, ..) = self.asked.take().expect("a question");
        let effects = self.controller.heard(call, came, self.now);
        self.perform(effects);
    }

    pub(super) fn fail(&mut self, kind: FailureKind) {
        let message = "the provider's words".to_owned();
        self.heard(Err(ModelFailed { kind, message, retry_after: None }));
        self.settle();
    }

    /// An answer with these calls, of an id of its own unless the provider repeats its ids.
    pub(super) fn calls(&mut self, calls: &[(&str, Value)]) -> Answer {
        self.answers += u64::from(!self.repeats_ids);
        let id = format!("r{}", self.answers);
        let call = |(at, (name, arguments)): (usize, &(&str, Value))| ToolCall {
            id: format!("{id}.{at}"),
            name: (*name).to_owned(),
            arguments: arguments.to_string(),
        };
        let calls = calls.iter().enumerate().map(call).collect();
        let usage = Usage { input: 1000, output: 100, ..Usage::default() };
        Answer { id, text: "Let me see".to_owned(), calls, usage, ..Answer::default() }
    }

    pub(super) fn bash(&mut self, commands: &[&str]) -> Answer {
        let call = |command: &&str| {
            ("execute_bash", json!({ "command": *command, "security_risk": "LOW" }))
        };
        self.calls(&commands.iter().map(call).collect::<Vec<_>>())
    }

    pub(super) fn text(&mut self, text: &str) -> Answer {
        Answer { text: text.to_owned(), ..self.calls(&[]) }
    }

    pub(super) fn finish(&mut self) -> Answer {
        self.calls(&[("finish", json!({ "message": "Done" }))])
    }

    /// The executor is done with an action.
    pub(super) fn observe(&mut self, id: EventId) {
        self.observe_for(id, Source::Agent);
    }

    /// Done with an action of whoever's.
    pub(super) fn observe_for(&mut self, id: EventId, source: Source) {
        self.running.retain(|other| *other != id);
        let of = &self.log[usize::try_from(id.0).unwrap()];
        let origin = of.tool_call_metadata.as_ref().and_then(Origin::from_value);
        let observation = match &of.body {
            Body::Action(Action::Run(run)) => Observation::Run(RunObservation {
                content: format!("output of {}", run.command),
                command: run.command.clone(),
                ..RunObservation::default()
            }),
            _ => Observation::Success { content: "done".to_owned() },
        };
        let append = Append {
            source,
            cause: Some(id),
            body: Body::Observation(observation),
            timeout: None,
            tool_call_metadata: origin.map(|origin| origin.short().to_value()),
            llm_metrics: None,
        };
        self.put(append);
    }

    /// The only one that runs is done, and what follows.
    pub(super) fn done(&mut self) {
        let [id] = self.running[..] else { panic!("one runs: {:?}", self.running) };
        self.observe(id);
        self.settle();
    }

    /// The last timer of a kind runs out.
    pub(super) fn elapse(&mut self, timer: Timer) {
        self.timers.retain(|(other, _)| *other != timer);
        let effects = self.controller.elapsed(timer, self.now);
        self.perform(effects);
    }

    pub(super) fn set(&mut self, configured: Configured) {
        self.configure(configured);
        self.settle();
    }

    /// The same, with what is on its way left there.
    pub(super) fn configure(&mut self, configured: Configured) {
        self.configured = configured.clone();
        let effects = self.controller.set(configured, self.now);
        self.perform(effects);
    }

    /// The server ends, and begins again with what the log has. What was on its way is lost.
    pub(super) fn crash(&mut self) {
        let before = super::crashes::known(&self.controller);
        let mut controller = Controller::new(self.configured.clone());
        for event in &self.log {
            controller.restore(event);
        }
        assert_eq!(super::crashes::known(&controller), before, "the log tells the same");
        self.controller = controller;
        self.appends.clear();
        self.asked = None;
        self.timers.clear();
        self.learning = false;
        let held: BTreeSet<_> = self.controller.held().into_iter().collect();
        // The executor knows the agent's actions that have no observation.
        let unanswered = |event: &&Event| {
            let runnable = matches!(&event.body, Body::Action(action) if action.is_runnable());
            runnable && event.source == Source::Agent && !self.is_observed(event.id)
        };
        let running = self.log.iter().filter(unanswered).map(|event| event.id);
        self.running = running.filter(|id| !held.contains(id)).collect();
        self.ever_released.extend(self.running.iter().copied());
        let effects = self.controller.resumed(self.now);
        self.perform(effects);
        self.equip();
    }

    /// The events since this one, each as a word or two.
    pub(super) fn told(&self, from: usize) -> Vec<String> {
        self.log[from..].iter().map(brief).collect()
    }

    /// What the events say from `from` on, without what belongs to every beginning.
    #[track_caller]
    pub(super) fn check(&self, from: usize, expected: &[&str]) {
        assert_eq!(self.told(from), expected);
    }

    pub(super) fn last_error(&self) -> (String, String) {
        let error = self.log.iter().rev().find_map(|event| match &event.body {
            Body::Observation(Observation::Error(error)) => {
                Some((error.error_id.clone(), error.content.clone()))
            }
            _ => None,
        });
        error.expect("an error")
    }
}

pub(super) fn of_user(action: Action) -> Append {
    Append {
        source: Source::User,
        cause: None,
        body: Body::Action(action),
        timeout: None,
        tool_call_metadata: None,
        llm_metrics: None,
    }
}

pub(super) fn change(agent_state: AgentState) -> Action {
    Action::ChangeAgentState(ChangeAgentState { agent_state, ..ChangeAgentState::default() })
}

pub(super) fn user_run(command: &str) -> Action {
    Action::Run(Run { command: command.to_owned(), ..Run::default() })
}

/// An event as a word or two: its source's letter, its kind, what it is about.
fn brief(event: &Event) -> String {
    let who = match event.source {
        Source::Agent => "a",
        Source::User => "u",
        Source::Environment => "e",
    };
    let what = match &event.body {
        Body::Action(action) => match (action, confirm::state_of(action)) {
            (Action::Run(run), ConfirmationStatus::Confirmed) => format!("run {}", run.command),
            (action, ConfirmationStatus::AwaitingConfirmation) => format!("{}?", action.name()),
            (action, ConfirmationStatus::Rejected) => format!("{}!", action.name()),
            (Action::ChangeAgentState(change), _) => format!("-> {}", change.agent_state.as_str()),
            (action, _) => action.name().to_owned(),
        },
        Body::Observation(Observation::AgentStateChanged(changed)) => {
            let reason = if changed.reason.is_empty() { "" } else { " " };
            return format!("{}{reason}{}", changed.agent_state.as_str(), changed.reason);
        }
        Body::Observation(Observation::Error(error)) => {
            format!("error {}", error.error_id.rsplit('$').next().unwrap_or_default())
        }
        Body::Observation(observation) => format!("{} =", observation.name()),
    };
    format!("{who} {what}")
}

/// Instructions that always hold, and knowledge by its name and its trigger.
pub(super) fn instructions(always: &str, knowledge: &[(&str, &str)]) -> Instructions {
    let file = |path: String, text: String| Found { path, text, cut: false };
    let mut files = vec![file("/workspace/AGENTS.md".to_owned(), always.to_owned())];
    files.extend(knowledge.iter().map(|(name, trigger)| {
        let text = format!("---\ntriggers:\n- {trigger}\n---\nabout {name}");
        file(format!("/workspace/.openhands/microagents/{name}.md"), text)
    }));
    Instructions::read(&files)
}
