//! What an executor decides, by example and against a simpler model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use staithe_protocol::action::{CallToolMcp, Read, Run, RunIpython, Think};

use super::*;

/// Nothing was dispatched.
const NONE: [u64; 0] = [];

fn run(command: &str) -> Action {
    Action::Run(Run { command: command.into(), ..Run::default() })
}

fn input(text: &str) -> Action {
    Action::Run(Run { command: text.into(), is_input: true, ..Run::default() })
}

fn read() -> Action {
    Action::Read(Read { path: "f".into(), ..Read::default() })
}

fn cell() -> Action {
    Action::RunIpython(RunIpython { code: "c".into(), ..RunIpython::default() })
}

fn call() -> Action {
    Action::CallToolMcp(CallToolMcp { name: "t".into(), ..CallToolMcp::default() })
}

fn pending(id: u64, action: Action) -> Pending {
    Pending {
        id: EventId(id),
        source: Source::User,
        action,
        timeout: None,
        tool_call_metadata: None,
    }
}

fn observed() -> Outcome {
    Outcome::Observed(Box::new(Observation::Null { content: String::new() }))
}

fn dispatched(effects: &[Effect]) -> Vec<u64> {
    let id = |effect: &Effect| match effect {
        Effect::Dispatch(pending) => Some(pending.id.0),
        _ => None,
    };
    effects.iter().filter_map(id).collect()
}

/// The answers among the effects: to which action, and the error if it is one.
fn answers(effects: &[Effect]) -> Vec<(u64, Option<String>)> {
    let answer = |effect: &Effect| match effect {
        Effect::Observe { of, observation } => {
            let error = match &**observation {
                Observation::Error(error) => Some(error.error_id.clone()),
                _ => None,
            };
            Some((of.id.0, error))
        }
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn up() -> Executor {
    let mut state = Executor::restore(Vec::new(), None, 10);
    assert_eq!(state.runtime_up("e1".into()), []);
    state
}

fn agents(id: u64, action: Action) -> Pending {
    Pending { source: Source::Agent, ..pending(id, action) }
}

#[test]
fn one_command_at_a_time_is_in_the_shell_and_input_for_it_does_not_wait() {
    let mut state = up();
    assert_eq!(dispatched(&state.committed(pending(1, run("a")))), [1]);
    assert_eq!(dispatched(&state.committed(pending(2, run("b")))), NONE);
    assert_eq!(dispatched(&state.committed(pending(3, input("y")))), [3]);
    assert_eq!(
        dispatched(&state.committed(pending(4, read()))),
        NONE,
        "it comes after the command"
    );
    let effects = state.came_back(EventId(1), observed());
    assert_eq!(answers(&effects), [(1, None)]);
    assert_eq!(dispatched(&effects), [2, 4]);
}

#[test]
fn what_waits_while_the_line_is_cut_goes_when_it_is_back() {
    let mut state = up();
    assert_eq!(state.runtime_down(false), []);
    assert_eq!(state.committed(pending(1, run("a"))), []);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1]);
}

#[test]
fn the_same_epoch_is_asked_again_and_another_one_never() {
    let mut state = up();
    state.committed(pending(1, run("a")));
    state.runtime_down(false);
    assert_eq!(state.came_back(EventId(1), Outcome::Unknown), []);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1]);
    state.runtime_down(false);
    let effects = state.runtime_up("e2".into());
    assert_eq!(answers(&effects), [(1, Some("AGENT_ERROR$ACTION_INTERRUPTED".into()))]);
    assert_eq!(dispatched(&effects), NONE);
    assert_eq!(state.came_back(EventId(1), observed()), [], "the answer came too late");
}

#[test]
fn queued_commands_of_an_earlier_life_are_sent_one_by_one() {
    let queued = vec![pending(1, run("a")), pending(2, run("b")), pending(3, input("y"))];
    let mut state = Executor::restore(queued, Some("e1".into()), 10);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1, 3], "a busy shell refuses a second");
    assert_eq!(dispatched(&state.committed(pending(4, run("c")))), NONE);
    assert_eq!(dispatched(&state.came_back(EventId(1), observed())), [2]);
    assert_eq!(dispatched(&state.came_back(EventId(2), observed())), [4]);
}

#[test]
fn what_an_earlier_life_may_have_sent_is_never_sent_to_another_epoch() {
    let queued = vec![pending(1, run("a")), pending(2, run("b"))];
    let mut state = Executor::restore(queued, Some("e1".into()), 10);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1]);
    state.runtime_down(false);
    let effects = state.runtime_up("e2".into());
    assert_eq!(dispatched(&effects), NONE);
    assert_eq!(answers(&effects).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn without_hope_everything_is_answered_and_runnable_actions_are_denied_until_the_next_start() {
    let mut state = up();
    state.committed(pending(1, run("a")));
    state.committed(pending(2, run("b")));
    let given_up = answers(&state.runtime_down(true));
    assert_eq!(given_up.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert!(given_up.iter().all(|(_, error)| error.is_some()));
    assert_eq!(state.admit(&run("c")), Err(SubmitDenied::NotRunning));
    assert_eq!(state.admit(&Action::Think(Think::default())), Ok(()));
    state.runtime_down(false); // a start begins
    assert_eq!(state.admit(&run("c")), Ok(()));
}

#[test]
fn a_full_queue_denies_and_a_refusal_is_an_answer() {
    let mut state = Executor::restore(Vec::new(), None, 1);
    state.runtime_up("e1".into());
    state.committed(pending(1, run("a")));
    state.committed(pending(2, run("b")));
    assert_eq!(state.admit(&run("c")), Err(SubmitDenied::QueueFull(1)));
    let refused = state.came_back(EventId(1), Outcome::Refused("no".into()));
    assert!(matches!(&answers(&refused)[..], [(1, Some(_))]), "{refused:?}");
}

#[test]
fn what_the_agent_has_under_way_is_interrupted_or_answered_and_the_clients_stays() {
    let mut state = up();
    state.committed(agents(1, run("a")));
    state.committed(pending(2, run("b")));
    state.committed(agents(3, run("c")));
    let effects = state.interrupt_agent();
    assert_eq!(effects[0], Effect::Interrupt(Foreground::Shell));
    let not_executed = Some("AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED".to_owned());
    assert_eq!(answers(&effects), [(3, not_executed)]);
    assert_eq!(state.agents_foreground(Foreground::Shell), Some(EventId(1)));
    let effects = state.came_back(EventId(1), observed());
    assert_eq!((answers(&effects), dispatched(&effects)), (vec![(1, None)], vec![2]));
    assert_eq!(state.interrupt_agent(), [], "a client's command is none of its");
    assert_eq!(state.agents_foreground(Foreground::Shell), None);
}

const INTERRUPTED: &str = "AGENT_ERROR$ACTION_INTERRUPTED";

#[test]
fn a_cell_is_interrupted_in_its_kernel_and_a_deaf_one_is_given_up() {
    let mut state = up();
    state.committed(pending(1, run("a")));
    state.committed(agents(2, cell()));
    assert_eq!(
        state.interrupt_agent(),
        [Effect::Interrupt(Foreground::Kernel)],
        "the client's stays"
    );
    assert_eq!(state.agents_foreground(Foreground::Kernel), Some(EventId(2)));
    assert_eq!(answers(&state.give_up(EventId(2))), [(2, Some(INTERRUPTED.into()))]);
    assert_eq!(state.came_back(EventId(2), observed()), []);
}

#[test]
fn an_interrupt_waits_for_the_line() {
    let mut state = up();
    state.committed(agents(1, run("a")));
    state.runtime_down(false);
    assert_eq!(state.interrupt_agent(), []);
    let effects = state.runtime_up("e1".into());
    assert_eq!(dispatched(&effects), [1], "it is seen what became of it");
    assert_eq!(effects.last(), Some(&Effect::Interrupt(Foreground::Shell)));
    assert_eq!(answers(&state.came_back(EventId(1), observed())), [(1, None)]);
    state.runtime_down(false);
    assert_eq!(state.runtime_up("e1".into()), []);
}

#[test]
fn after_a_restart_a_stop_spares_the_clients_command_and_the_agents_behind_it_is_not_run() {
    let queued = vec![pending(1, run("a")), agents(2, run("b"))];
    let mut state = Executor::restore(queued.clone(), Some("e1".into()), 10);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1]);
    assert_eq!(answers(&state.interrupt_agent()), [(2, Some(INTERRUPTED.into()))]);
    assert_eq!(dispatched(&state.came_back(EventId(1), observed())), NONE);
    // The same when the stop comes before the line.
    let mut state = Executor::restore(queued, Some("e1".into()), 10);
    assert_eq!(state.interrupt_agent(), []);
    let effects = state.runtime_up("e1".into());
    assert_eq!((dispatched(&effects), answers(&effects).len()), (vec![1], 1));
    assert!(!effects.contains(&Effect::Interrupt(Foreground::Shell)));
}

#[test]
fn a_call_is_sent_once_comes_back_over_a_cut_line_and_is_never_repeated() {
    let mut state = up();
    assert_eq!(dispatched(&state.committed(agents(1, call()))), [1]);
    state.runtime_down(false);
    assert_eq!(state.runtime_up("e2".into()), [], "it is under way, whatever the line does");
    assert_eq!(answers(&state.came_back(EventId(1), observed())), [(1, None)]);
    let mut state = Executor::restore(vec![agents(1, call())], Some("e1".into()), 10);
    let effects = state.runtime_up("e1".into());
    assert_eq!(answers(&effects), [(1, Some(INTERRUPTED.into()))]);
    assert_eq!(dispatched(&effects), NONE);
}

#[test]
fn what_the_log_hides_is_not_sent_again_by_another_life() {
    let hidden = run(&format!("psql -U {HIDDEN}"));
    let mut state = up();
    state.committed(pending(1, hidden.clone()));
    state.runtime_down(false);
    assert_eq!(dispatched(&state.runtime_up("e1".into())), [1], "this life knows what it is");
    let mut state = Executor::restore(vec![pending(1, hidden)], Some("e1".into()), 10);
    let effects = state.runtime_up("e1".into());
    assert_eq!((answers(&effects).len(), dispatched(&effects)), (1, vec![]));
}

#[test]
fn what_the_agent_does_beside_the_shell_is_answered_at_once_and_its_late_outcome_dropped() {
    let mut state = up();
    assert_eq!(dispatched(&state.committed(agents(1, read()))), [1]);
    let effects = state.interrupt_agent();
    assert_eq!(answers(&effects), [(1, Some("AGENT_ERROR$ACTION_INTERRUPTED".into()))]);
    assert_eq!(state.came_back(EventId(1), observed()), []);
    assert!(!state.is_busy());
}

#[test]
fn a_sandbox_that_is_not_there_answers_what_comes_to_it() {
    let mut state = up();
    state.runtime_down(true);
    assert!(matches!(&answers(&state.committed(agents(1, run("a"))))[..], [(1, Some(_))]));
    assert!(!state.is_busy());
}

#[derive(Clone, Debug)]
enum Step {
    /// An action of a client's, or of the agent's.
    Commit(Box<Action>, bool),
    /// Nobody wants what the agent does.
    Stop,
    Up(u8),
    Down(bool),
    /// The n-th of those under way.
    Back(usize, bool),
    /// The process is killed and another one takes over.
    Reborn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop_oneof![Just(run("a")), Just(input("y")), Just(read()), Just(cell()), Just(call())], any::<bool>())
            .prop_map(|(it, agents)| Step::Commit(Box::new(it), agents)),
        1 => Just(Step::Stop),
        2 => (0..3_u8).prop_map(Step::Up),
        1 => any::<bool>().prop_map(Step::Down),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(n, known)| Step::Back(n, known)),
        1 => Just(Step::Reborn),
    ]
}

/// What must be so, kept in the simplest way.
#[derive(Default)]
struct Model {
    committed: BTreeMap<u64, Action>,
    agents: BTreeSet<u64>,
    calls: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    up: Option<u8>,
    epoch: Option<u8>,
    /// Which epoch each action was sent to first.
    sent: BTreeMap<u64, u8>,
    under_way: Vec<u64>,
    first_sent: Vec<u64>,
}

impl Model {
    fn take(&mut self, effects: &[Effect]) -> Result<(), TestCaseError> {
        for (id, _) in answers(effects) {
            prop_assert!(self.answered.insert(id), "{} was answered twice", id);
            self.under_way.retain(|it| *it != id);
        }
        for id in dispatched(effects) {
            let Some(epoch) = self.up else {
                return Err(TestCaseError::fail("dispatched while the line is down"));
            };
            prop_assert!(!self.answered.contains(&id), "{} was answered already", id);
            let is_call = is_call(&self.committed[&id]);
            prop_assert!(!is_call || self.calls.insert(id), "{} was called twice", id);
            let first = *self.sent.entry(id).or_insert_with(|| {
                self.first_sent.push(id);
                epoch
            });
            prop_assert_eq!(first, epoch, "{} was sent to two epochs", id);
            self.under_way.push(id);
        }
        for effect in effects {
            let Effect::Interrupt(place) = effect else { continue };
            let is_there = |id: &u64| foreground(&self.committed[id]) == Some(*place);
            let agents = self.under_way.iter().any(|id| self.agents.contains(id) && is_there(id));
            prop_assert!(agents, "nothing of the agent's is there");
        }
        let in_shell = self.under_way.iter().filter(|id| takes_the_shell(&self.committed[id]));
        prop_assert!(in_shell.count() <= 1, "two commands in one shell: {:?}", self.under_way);
        Ok(())
    }

    fn unanswered(&self) -> Vec<Pending> {
        let open = self.committed.iter().filter(|(id, _)| !self.answered.contains(id));
        open.map(|(id, action)| self.pending(*id, action.clone())).collect()
    }

    fn pending(&self, id: u64, action: Action) -> Pending {
        let source = if self.agents.contains(&id) { Source::Agent } else { Source::User };
        Pending { source, ..pending(id, action) }
    }

    /// The line is another one: calls don't go over it.
    fn cut(&mut self) {
        let committed = &self.committed;
        self.under_way.retain(|id| is_call(&committed[id]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_action_gets_one_observation_whatever_breaks(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut state = Executor::restore(Vec::new(), None, 1000);
        let mut model = Model::default();
        let mut next = 0;
        for step in steps {
            let effects = match step {
                Step::Commit(action, agents) => {
                    if state.admit(&action).is_err() { continue; }
                    next += 1;
                    model.committed.insert(next, (*action).clone());
                    if agents {
                        model.agents.insert(next);
                    }
                    state.committed(model.pending(next, *action))
                }
                Step::Stop => state.interrupt_agent(),
                Step::Up(epoch) => {
                    model.up = Some(epoch);
                    model.epoch = Some(epoch);
                    model.cut();
                    state.runtime_up(epoch.to_string())
                }
                Step::Down(hopeless) => {
                    model.up = None;
                    model.cut();
                    state.runtime_down(hopeless)
                }
                Step::Back(n, known) => {
                    if model.under_way.is_empty() { continue; }
                    let id = model.under_way[n % model.under_way.len()];
                    state.came_back(EventId(id), if known { observed() } else { Outcome::Unknown })
                }
                Step::Reborn => {
                    model.up = None;
                    model.under_way.clear();
                    let epoch = model.epoch.map(|epoch| epoch.to_string());
                    state = Executor::restore(model.unanswered(), epoch, 1000);
                    Vec::new()
                }
            };
            model.take(&effects)?;
        }
        let commands: Vec<_> = model.first_sent.iter()
            .filter(|id| takes_the_shell(&model.committed[id])).collect();
        prop_assert!(commands.is_sorted(), "commands keep the order of the log: {:?}", commands);
        model.up = None;
        model.under_way.clear();
        model.take(&state.runtime_down(true))?;
        prop_assert!(model.unanswered().is_empty(), "{:?}", model.unanswered());
    }
}
