//! What a session decides, by example and against a simpler model.

use proptest::prelude::*;
use staithe_protocol::{SandboxId, StartStep, runner::Hello};
use tokio::time::Instant;

use super::*;
use crate::session_manager::messages::TooMany;

fn fault(cause: &str) -> Fault {
    Fault {
        code: "test".into(),
        step: None,
        cause: cause.into(),
        remedy: String::new(),
        log_tail: Vec::new(),
    }
}

fn up() -> News {
    let hello = Hello {
        epoch: "e".into(),
        version: String::new(),
        workspace: String::new(),
        known_keys: Vec::new(),
    };
    News::Up { hello, sandbox: SandboxId("box".into()) }
}

fn step_began(step: StartStep) -> News {
    News::Told(Told::Step { step, at: Instant::now() })
}

const ENDINGS: Endings = Endings { idle: Ending::Pause, stopped: Ending::Remove };

fn resting(phase: Phase) -> SessionState {
    SessionState::new(PhaseView::of(phase), ENDINGS)
}

/// With a place, and on its way.
fn started() -> SessionState {
    let mut state = resting(Phase::Stopped);
    state.start().unwrap();
    state.placed(1, Place::Granted);
    state
}

fn phases(effects: &[Effect]) -> Vec<Phase> {
    let phase = |effect: &Effect| match effect {
        Effect::Publish(view) => Some(view.phase),
        _ => None,
    };
    effects.iter().filter_map(phase).collect()
}

#[test]
fn progress_is_told_of_a_step_that_takes_long_and_of_no_other() {
    let mut state = started();
    let progress = staithe_protocol::Progress { number: 2, of: 7, ..Default::default() };
    let news = News::Told(Told::Progress(progress.clone()));
    for (step, told) in [
        (StartStep::Find, false),
        (StartStep::Image, true),
        (StartStep::Build, true),
        (StartStep::Create, false),
    ] {
        state.observe(&step_began(step));
        assert_eq!(state.view().progress, None, "a new step begins anew");
        let view = PhaseView {
            step: Some(step),
            progress: Some(progress.clone()),
            ..PhaseView::of(Phase::Starting)
        };
        let expected = if told { vec![Effect::Publish(view)] } else { Vec::new() };
        assert_eq!(state.observe(&news), expected);
    }
    state.observe(&up());
    assert_eq!(state.observe(&news), []);
}

#[test]
fn a_start_goes_through_its_steps_to_ready_and_lets_the_agent_in() {
    let mut state = resting(Phase::Stopped);
    let began = state.start().unwrap();
    assert_eq!(phases(&began), [Phase::Starting]);
    assert_eq!(began.last(), Some(&Effect::AskPlace { ticket: 1, wish: Wish::Start }));
    assert!(state.placed(1, Place::Granted).contains(&Effect::EnsureRuntime));
    state.observe(&step_began(StartStep::Create));
    assert_eq!(state.view().step, Some(StartStep::Create));
    let ready = state.observe(&up());
    assert_eq!(phases(&ready), [Phase::Ready]);
    assert_eq!(ready[1..], [Effect::AgentUp, Effect::TellStarted]);
    assert_eq!(state.view().step, None);
}

#[test]
fn each_command_is_accepted_ignored_or_denied_in_each_phase() {
    use PhaseDenied::{AlreadyStopped, Stopping};
    let table = [
        (Phase::Starting, Ok(Phase::Starting), Ok(Phase::Stopping)),
        (Phase::Ready, Ok(Phase::Ready), Ok(Phase::Stopping)),
        (Phase::Suspended, Ok(Phase::Starting), Ok(Phase::Stopping)),
        (Phase::Stopping, Err(Stopping), Ok(Phase::Stopping)),
        (Phase::Stopped, Ok(Phase::Starting), Err(AlreadyStopped)),
        (Phase::Failed, Ok(Phase::Starting), Ok(Phase::Stopping)),
    ];
    for (phase, start, stop) in table {
        let mut state = resting(phase);
        assert_eq!(state.start().map(|_| state.phase()), start, "start in {phase:?}");
        let mut state = resting(phase);
        assert_eq!(state.stop().map(|_| state.phase()), stop, "stop in {phase:?}");
        assert_eq!(resting(phase).wakes(), phase == Phase::Suspended, "{phase:?}");
    }
}

#[test]
fn what_rests_is_suspended_already() {
    for phase in [Phase::Suspended, Phase::Stopped, Phase::Failed] {
        let mut state = resting(phase);
        assert_eq!(state.suspend(Reason::Drain), [Effect::AnswerWaiters]);
        assert_eq!(state.phase(), phase);
    }
}

#[test]
fn a_harsher_end_takes_over_and_its_waiters_are_answered_at_the_end() {
    let mut state = resting(Phase::Ready);
    state.stop().unwrap();
    assert_eq!(state.clear(), [Effect::StopRuntime(Ending::Clear)]);
    assert_eq!(state.clear(), []);
    let ended = state.observe(&News::Stopped);
    assert_eq!(phases(&ended), [Phase::Stopped]);
    assert_eq!(ended.last(), Some(&Effect::AnswerWaiters));
}

#[test]
fn a_failed_start_shuts_the_door_and_the_next_start_opens_it() {
    let mut state = resting(Phase::Stopped);
    state.start().unwrap();
    let failed = state.observe(&News::Failed(fault("no engine")));
    assert_eq!(failed.first(), Some(&Effect::AgentDown { hopeless: true }));
    assert_eq!(state.view().fault, Some(fault("no engine")));
    let again = state.start().unwrap();
    assert_eq!(again.first(), Some(&Effect::AgentDown { hopeless: false }));
    assert_eq!(state.view().fault, None);
}

#[test]
fn a_part_that_breaks_fails_the_session_once_and_never_what_is_being_ended() {
    for (phase, after) in [
        (Phase::Ready, Phase::Failed),
        (Phase::Starting, Phase::Failed),
        (Phase::Stopping, Phase::Stopping),
        (Phase::Stopped, Phase::Stopped),
    ] {
        let mut state = resting(phase);
        let effects = state.fail(fault("the disk is full"));
        assert_eq!(state.phase(), after);
        let ends = effects.contains(&Effect::StopRuntime(Ending::Remove));
        assert_eq!(ends, after == Phase::Failed, "what fails keeps no sandbox");
    }
}

#[test]
fn new_children_go_on_with_what_was_under_way() {
    let mut ready = started();
    ready.observe(&up());
    assert_eq!(ready.go_on(false).last(), Some(&Effect::EnsureRuntime), "it has its place");
    let mut stopping = resting(Phase::Ready);
    stopping.clear();
    assert_eq!(stopping.go_on(false), [Effect::StopRuntime(Ending::Clear)]);
    assert_eq!(resting(Phase::Failed).go_on(false), []);
    assert_eq!(resting(Phase::Ready).go_on(true), [], "a draining server starts nothing");
}

#[derive(Clone, Debug)]
enum Step {
    Start,
    Stop,
    Suspend,
    Clear,
    Fail,
    Placed(u64, Place),
    News(News),
}

fn step() -> impl Strategy<Value = Step> {
    let news = prop_oneof![
        Just(step_began(StartStep::Find)),
        Just(up()),
        Just(News::Cut),
        Just(News::Restarting { cause: "x".into() }),
        Just(News::Failed(fault("x"))),
        Just(News::Stopped),
    ];
    let place = prop_oneof![
        Just(Place::Granted),
        Just(Place::Waiting { position: 2 }),
        Just(Place::Denied(TooMany::Sessions(1))),
    ];
    prop_oneof![
        Just(Step::Start),
        Just(Step::Stop),
        Just(Step::Suspend),
        Just(Step::Clear),
        Just(Step::Fail),
        (1..4_u64, place).prop_map(|(ticket, place)| Step::Placed(ticket, place)),
        news.prop_map(Step::News),
    ]
}

proptest! {
    /// The model: an end that was begun ends only by `Stopped`; what was published last is the phase.
    #[test]
    fn whatever_happens_a_stop_ends_in_rest_and_stale_news_move_nothing(
        steps in prop::collection::vec(step(), 0..40)
    ) {
        let mut state = resting(Phase::Stopped);
        let mut has_place = false;
        for step in steps {
            let before = state.phase();
            let effects = match step.clone() {
                Step::Start => state.start().unwrap_or_default(),
                Step::Stop => state.stop().unwrap_or_default(),
                Step::Suspend => state.suspend(Reason::Drain),
                Step::Clear => state.clear(),
                Step::Fail => state.fail(fault("x")),
                Step::Placed(ticket, place) => state.placed(ticket, place),
                Step::News(news) => state.observe(&news),
            };
            let published = phases(&effects).last().copied();
            prop_assert_eq!(published.unwrap_or(before), state.phase());
            let after = state.phase();
            match (before, &step) {
                (Phase::Stopping, Step::News(News::Stopped)) => {
                    prop_assert!(matches!(after, Phase::Stopped | Phase::Suspended));
                    prop_assert!(effects.contains(&Effect::AnswerWaiters));
                }
                (Phase::Stopping, _) => prop_assert_eq!(after, Phase::Stopping),
                (Phase::Stopped | Phase::Suspended | Phase::Failed, Step::News(_)) => {
                    prop_assert!(effects.is_empty(), "stale: {:?}", step);
                }
                _ => {}
            }
            for effect in &effects {
                match effect {
                    Effect::AskPlace { .. } => has_place = true,
                    Effect::GivePlaceBack => has_place = false,
                    _ => {}
                }
            }
            if let (Step::Placed(..), true) = (&step, phases(&effects).last() == Some(&before)) {
                prop_assert_eq!(after, Phase::Starting);
            }
            let denied = matches!(step, Step::Placed(_, Place::Denied(_))) && after != before;
            has_place &= !denied;
            let rests = matches!(after, Phase::Stopped | Phase::Suspended | Phase::Failed);
            prop_assert!(!(rests && has_place), "a place is not kept in rest");
            prop_assert_eq!(state.view().fault.is_some(), after == Phase::Failed);
            if effects.contains(&Effect::AgentUp) {
                prop_assert_eq!(after, Phase::Ready);
            }
        }
        if state.phase() == Phase::Stopping || state.stop().is_ok() {
            state.observe(&News::Stopped);
        }
        prop_assert!(matches!(state.phase(), Phase::Stopped | Phase::Suspended));
    }
}

#[test]
fn what_sleeps_because_nobody_uses_it_may_be_paused_and_what_sleeps_for_a_drain_is_stopped() {
    for (reason, ending) in [(Reason::Idle, Ending::Pause), (Reason::Drain, Ending::Stop)] {
        let mut state = resting(Phase::Ready);
        let effects = state.suspend(reason);
        assert_eq!(effects.last(), Some(&Effect::StopRuntime(ending)));
        state.observe(&News::Stopped);
        assert_eq!((state.phase(), state.view().reason), (Phase::Suspended, Some(reason)));
    }
}

#[test]
fn a_start_that_waits_tells_its_place_and_one_that_is_denied_is_what_it_was() {
    let mut state = resting(Phase::Suspended);
    state.start().unwrap();
    assert!(state.awaits_place());
    assert_eq!(state.placed(7, Place::Granted), [], "another ticket");
    state.placed(1, Place::Waiting { position: 3 });
    assert_eq!((state.view().step, state.view().position), (Some(StartStep::Queue), Some(3)));
    assert!(!state.awaits_place());
    let effects = state.placed(1, Place::Granted);
    assert!(effects.contains(&Effect::EnsureRuntime), "{effects:?}");

    let mut state = resting(Phase::Suspended);
    state.start().unwrap();
    let why = TooMany::Sessions(1);
    let effects = state.placed(1, Place::Denied(why));
    assert_eq!(effects.first(), Some(&Effect::AgentDown { hopeless: true }));
    assert_eq!(effects.last(), Some(&Effect::AnswerStarters(Err(PhaseDenied::TooMany(why)))));
    assert_eq!((state.phase(), state.view().reason), (Phase::Suspended, Some(Reason::Limits)));
    assert!(state.wakes(), "it may be tried again");
}

#[test]
fn a_stop_while_it_waits_gives_the_place_back_at_once() {
    let mut state = resting(Phase::Stopped);
    state.start().unwrap();
    assert!(state.asks(1));
    let effects = state.stop().unwrap();
    assert!(effects.contains(&Effect::GivePlaceBack), "{effects:?}");
    assert!(!state.asks(1), "a question that is still under way is dropped");
    assert_eq!(state.placed(1, Place::Granted), []);
    let ended = state.observe(&News::Stopped);
    assert!(!ended.contains(&Effect::GivePlaceBack), "once is enough");
}

#[test]
fn other_settings_are_told_beside_the_step_and_a_restart_says_that_it_is_one() {
    let mut state = resting(Phase::Stopped);
    state.start().unwrap();
    state.observe(&step_began(StartStep::Find));
    state.observe(&News::Told(Told::Noted(Reason::SettingsKept)));
    let view = PhaseView {
        step: Some(StartStep::Find),
        reason: Some(Reason::SettingsKept),
        ..PhaseView::of(Phase::Starting)
    };
    assert_eq!(state.view(), &view);
    state.observe(&up());
    assert_eq!(state.view(), &PhaseView::of(Phase::Ready));
    state.observe(&News::Restarting { cause: "x".into() });
    assert_eq!(state.view().reason, Some(Reason::Restart));
}
