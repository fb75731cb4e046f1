//! Any log makes turns that every provider takes, and nothing that a person said is lost but by condensing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use staithe_protocol::{Phase, PhaseView};

use super::*;
use crate::condense;

/// What happens next.
#[derive(Clone, Debug)]
enum Op {
    User,
    /// A person speaks while the model answers.
    Late(Vec<Tool>),
    Answer(Vec<Tool>),
    /// The next call of the answer is begun.
    Next,
    /// A begun call gets a result; of several, this one.
    Result(usize, bool),
    /// The answer is broken off; nothing of it is begun any more.
    Interrupt,
    ByHand,
    Knowledge,
    Noise,
    Report,
    Condense(bool),
    /// As another program might: any ids.
    ForgetAny(Vec<u64>, bool, usize),
}

#[derive(Clone, Copy, Debug)]
enum Tool {
    Run,
    Asks,
    Misread,
    Think,
    Finish,
    Delegate,
}

fn tool() -> impl Strategy<Value = Tool> {
    use Tool::{Asks, Delegate, Finish, Misread, Run, Think};
    prop_oneof![
        4 => Just(Run), 1 => Just(Asks), 1 => Just(Misread), 1 => Just(Think), 1 => Just(Finish), 1 => Just(Delegate),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let tools = || prop::collection::vec(tool(), 0..4);
    prop_oneof![
        2 => Just(Op::User),
        1 => tools().prop_map(Op::Late),
        3 => tools().prop_map(Op::Answer),
        4 => Just(Op::Next),
        5 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(i, b)| Op::Result(i.index(8), b)),
        1 => Just(Op::Interrupt),
        1 => Just(Op::ByHand),
        1 => Just(Op::Knowledge),
        1 => Just(Op::Noise),
        1 => Just(Op::Report),
        1 => any::<bool>().prop_map(Op::Condense),
        1 => (prop::collection::vec(0_u64..80, 0..30), any::<bool>(), 0_usize..20)
            .prop_map(|(ids, summary, offset)| Op::ForgetAny(ids, summary, offset)),
    ]
}

struct Stage {
    log: Log,
    /// The answer under way, its tools, and the call that is next.
    answer: Option<(Answer, Vec<Tool>, usize, Option<EventId>)>,
    /// Begun calls, maybe without a result.
    begun: Vec<(u64, Origin)>,
    /// The delegate that works.
    inside: Option<(u64, Origin)>,
    /// What people said to this agent.
    words: BTreeMap<u64, String>,
}

impl Stage {
    fn user(&mut self) {
        let text = format!("<word {}>", self.log.next);
        let id = self.log.user(&text);
        if self.inside.is_none() {
            self.words.insert(id, text);
        }
    }

    fn begin(&mut self, tools: &[Tool], late: bool) {
        if self.inside.is_some() {
            return;
        }
        let names: Vec<&str> = tools.iter().map(|_| "execute_bash").collect();
        let mut answer = self.log.answer("Say", &names);
        if self.log.answers().is_multiple_of(2) {
            // Some providers begin to count anew with each answer.
            for (at, call) in answer.calls.iter_mut().enumerate() {
                call.id = format!("call_{at}");
            }
        }
        let seen = self.log.view.newest();
        if late {
            self.user();
        }
        if tools.is_empty() {
            let words = Message { content: "Say".into(), ..Message::default() };
            self.log.action(Action::Message(words), &Origin::of(&answer, 0, "m", seen));
            self.answer = None;
        } else {
            self.answer = Some((answer, tools.to_vec(), 0, seen));
            self.next();
        }
    }

    fn next(&mut self) {
        if self.inside.is_some() {
            return;
        }
        let Some((answer, tools, at, seen)) = &mut self.answer else { return };
        let Some(tool) = tools.get(*at).copied() else { return };
        let origin = Origin::of(answer, *at, "m", *seen);
        *at += 1;
        let id = match tool {
            Tool::Misread => {
                let error = Body::Observation(Observation::error("misread", "X"));
                self.log.put(Source::Agent, error, None, Some(&origin));
                return;
            }
            Tool::Asks => {
                let asks = run_with("rm", ConfirmationStatus::AwaitingConfirmation);
                let id = self.log.action(asks, &origin);
                self.log.observe(
                    Observation::Null { content: String::new() },
                    Some(id),
                    Some(&origin),
                );
                self.log.action(run_with("rm", ConfirmationStatus::Confirmed), &origin.short())
            }
            Tool::Run => self.log.action(run("ls"), &origin),
            Tool::Think => self.log.action(think(), &origin),
            Tool::Finish => self.log.action(finish("End"), &origin),
            Tool::Delegate => {
                let id = self.log.action(delegate(), &origin);
                self.inside = Some((id, origin));
                return;
            }
        };
        self.begun.push((id, origin));
    }

    fn forget(&mut self, condensation: Condensation) {
        if self.inside.is_none() {
            for id in condensation.forgotten_event_ids.iter().flatten() {
                self.words.remove(&u64::try_from(*id).unwrap());
            }
        }
        self.log.condense(condensation);
    }

    fn does(&mut self, op: &Op) {
        match op {
            Op::User => self.user(),
            Op::Late(tools) => self.begin(tools, true),
            Op::Answer(tools) => self.begin(tools, false),
            Op::Next => self.next(),
            Op::Result(at, by_cause) if self.inside.is_none() => {
                if let Some((id, origin)) = self.begun.get(*at).cloned() {
                    let text = format!("{}{}", id, "x".repeat(usize::from(*by_cause) * 400));
                    let cause = by_cause.then_some(id);
                    self.log.observe(ran(&text), cause, Some(&origin));
                    if self.begun.len() > 6 {
                        self.begun.remove(0);
                    }
                }
            }
            Op::Interrupt => self.answer = None,
            Op::ByHand => {
                let id = self.log.put(Source::User, Body::Action(run("by hand")), None, None);
                self.log.put(Source::User, Body::Observation(ran("by hand")), Some(id), None);
            }
            Op::Knowledge => {
                let recall = RecallObservation {
                    repo_instructions: "Run make.".into(),
                    ..RecallObservation::default()
                };
                self.log.observe(Observation::Recall(recall), None, None);
            }
            Op::Noise => {
                let phase = Observation::PhaseChanged(PhaseView::of(Phase::Ready));
                self.log.put(Source::Environment, Body::Observation(phase), None, None);
                self.log.message(Source::Agent, "by the way");
            }
            Op::Report => {
                if let Some((id, origin)) = self.inside.take() {
                    self.log.observe(report("reported"), Some(id), Some(&origin));
                }
            }
            Op::Condense(summary) => {
                let why = if *summary { condense::Why::TooLong } else { condense::Why::Asked };
                if self.inside.is_none()
                    && let Some(plan) = condense::plan(&self.log.view, why, 1_000)
                {
                    self.forget(plan.condensation(summary.then_some("So far.")));
                }
            }
            Op::ForgetAny(ids, summary, offset) => self.forget(Condensation {
                forgotten_event_ids: Some(
                    ids.iter().map(|id| i64::try_from(*id).unwrap()).collect(),
                ),
                forgotten_events_start_id: None,
                forgotten_events_end_id: None,
                summary: summary.then(|| "So far.".into()),
                summary_offset: Some(i64::try_from(*offset).unwrap()),
            }),
            Op::Result(..) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_log_makes_turns_that_every_provider_takes(ops in prop::collection::vec(op(), 1..80)) {
        let mut stage = Stage {
            log: Log::new(settings()),
            answer: None,
            begun: Vec::new(),
            inside: None,
            words: BTreeMap::new(),
        };
        for op in &ops {
            stage.does(op);
            let view = &stage.log.view;
            let said = stage.log.said();
            if let Err(wrong) = check(&said) {
                prop_assert!(false, "{wrong}");
            }
            let all: String = said.iter().map(|turn| match turn {
                Said::User { text, .. } => text.as_str(),
                _ => "",
            }).collect();
            for word in stage.words.values() {
                prop_assert_eq!(all.matches(word.as_str()).count(), 1, "{}", word);
            }
            prop_assert_eq!(view.weight, view.items.iter().map(Item::weight).sum::<u64>());
            prop_assert_eq!(view.turns, view.items.iter().map(Item::turns).sum::<usize>());
            for place in view.calls.values() {
                prop_assert!(matches!(&view.items[place.item], Item::Turn(turn) if place.call < turn.calls.len()));
            }
        }
    }
}
