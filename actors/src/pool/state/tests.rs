//! The pool's decisions by example, and against what must hold whatever happens.

use proptest::prelude::*;
use staithe_protocol::SandboxId;

use super::*;

fn pool(sizes: &[(&str, usize)]) -> PoolState {
    let size = |(image, size): &(&str, usize)| PoolSize { image: (*image).into(), size: *size };
    PoolState::new(&sizes.iter().map(size).collect::<Vec<_>>())
}

fn pooled(number: &str, config: &str) -> Pooled {
    let claimed = Claimed {
        sandbox: SandboxId(number.into()),
        key: format!("key of {number}"),
        workspace: number.into(),
    };
    Pooled { claimed, config: Some(config.into()) }
}

fn make(number: &str, image: &str) -> Vec<Effect> {
    vec![Effect::Make { number: number.into(), image: image.into() }]
}

fn pause(image: &str, seconds: u64) -> Effect {
    Effect::Pause { image: image.into(), pause: Duration::from_secs(seconds) }
}

#[test]
fn it_is_filled_one_by_one_and_again_after_a_claim() {
    let mut state = pool(&[("a", 1), ("b", 1)]);
    assert_eq!(state.fill("1".into()), make("1", "a"));
    assert_eq!(state.fill("2".into()), [], "one at a time");
    assert_eq!(state.claim("a", Some("c")), Claim::Empty, "it is not ready yet");
    state.made(&"1".into(), Some(pooled("1", "c")), Duration::ZERO);
    assert_eq!(state.fill("2".into()), make("2", "b"));
    state.made(&"2".into(), Some(pooled("2", "c")), Duration::ZERO);
    assert_eq!(state.fill("3".into()), []);
    assert_eq!(state.claim("a", Some("other")), Claim::OtherSettings);
    let claimed = pooled("1", "c").claimed;
    assert_eq!(state.claim("a", Some("c")), Claim::Taken { number: "1".into(), claimed });
    assert_eq!(state.died(&"1".into()), [], "it is a session's now");
    assert_eq!(state.fill("3".into()), make("3", "a"));
}

#[test]
fn failures_make_pauses_longer_and_hold_no_other_image_up() {
    let mut state = pool(&[("a", 1), ("b", 1)]);
    for (n, seconds) in [1, 4, 16, 60, 60].into_iter().enumerate() {
        let number = format!("{n}");
        assert_eq!(state.fill(number.clone()), make(&number, "a"));
        assert_eq!(state.made(&number, None, Duration::ZERO), [pause("a", seconds)]);
        assert_eq!(state.fill("b".into()), make("b", "b"), "the other one goes on");
        state.made(&"b".into(), Some(pooled("b", "c")), Duration::ZERO);
        state.claim("b", Some("c"));
        state.pause_elapsed("a");
    }
    state.fill("9".into());
    state.made(&"9".into(), Some(pooled("9", "c")), Duration::ZERO);
    let died = state.died(&"9".into());
    let remove = Effect::Remove { number: "9".into(), pooled: pooled("9", "c") };
    assert_eq!(died, [remove, pause("a", 1)], "a success ends the row");
}

#[test]
fn an_image_whose_build_fails_does_not_keep_the_machine_busy() {
    let mut state = pool(&[("a", 1)]);
    state.fill("1".into());
    let work = Duration::from_mins(5);
    assert_eq!(state.made(&"1".into(), None, work), [pause("a", 20 * 60)]);
    state.pause_elapsed("a");
    state.fill("2".into());
    assert_eq!(state.made(&"2".into(), None, Duration::ZERO), [pause("a", 4)]);
}

#[test]
fn a_drain_removes_all_also_what_was_still_being_made() {
    let mut state = pool(&[("a", 2)]);
    state.fill("1".into());
    state.made(&"1".into(), Some(pooled("1", "c")), Duration::ZERO);
    state.fill("2".into());
    let remove =
        |number: &str| Effect::Remove { number: number.into(), pooled: pooled(number, "c") };
    assert_eq!(state.drain(), [remove("1")]);
    assert_eq!(state.known(), ["2".to_owned()].into());
    assert_eq!(state.made(&"2".into(), Some(pooled("2", "c")), Duration::ZERO), [remove("2")]);
    assert_eq!(state.fill("3".into()), []);
    assert!(state.known().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Fill,
    Made(bool),
    Died(prop::sample::Index),
    Claim(bool),
    PauseElapsed(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Fill),
        3 => any::<bool>().prop_map(Step::Made),
        1 => any::<prop::sample::Index>().prop_map(Step::Died),
        2 => any::<bool>().prop_map(Step::Claim),
        2 => any::<bool>().prop_map(Step::PauseElapsed),
    ]
}

proptest! {
    #[test]
    fn never_more_than_its_size_never_two_made_at_once_and_each_given_or_removed_once(
        steps in prop::collection::vec(step(), 0..80)
    ) {
        let mut state = pool(&[("a", 2), ("b", 1)]);
        let image = |a| if a { "a" } else { "b" };
        let (mut next, mut making, mut gone) = (0, None::<Number>, BTreeSet::new());
        for step in steps {
            let effects = match step {
                Step::Fill => {
                    next += 1;
                    state.fill(format!("{next:04}"))
                }
                Step::Made(well) => match making.take() {
                    Some(number) => {
                        let made = well.then(|| pooled(&number, "c"));
                        state.made(&number, made, Duration::ZERO)
                    }
                    None => vec![],
                },
                Step::Died(of) if next > 0 => state.died(&format!("{:04}", of.index(next) + 1)),
                Step::Died(_) => vec![],
                Step::Claim(a) => {
                    if let Claim::Taken { number, .. } = state.claim(image(a), Some("c")) {
                        prop_assert!(gone.insert(number));
                    }
                    vec![]
                }
                Step::PauseElapsed(a) => {
                    state.pause_elapsed(image(a));
                    vec![]
                }
            };
            for effect in effects {
                match effect {
                    Effect::Make { number, .. } => prop_assert_eq!(making.replace(number), None),
                    Effect::Remove { number, .. } => prop_assert!(gone.insert(number)),
                    Effect::Pause { .. } => {}
                }
            }
            for (of, making, available) in state.counts() {
                let size = if of == "a" { 2 } else { 1 };
                prop_assert!(making + available <= size);
            }
            prop_assert!(state.known().is_disjoint(&gone));
        }
        // Left alone, it is full in the end.
        for at in 0..20 {
            state.pause_elapsed("a");
            state.pause_elapsed("b");
            if let Some(number) = making.take() {
                state.made(&number, Some(pooled(&number, "c")), Duration::ZERO);
            }
            if let [Effect::Make { number, .. }] = state.fill(format!("end {at}")).as_slice() {
                making = Some(number.clone());
            }
        }
        prop_assert_eq!(state.counts(), [("a", 0, 2), ("b", 0, 1)]);
    }
}
