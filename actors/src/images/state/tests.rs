//! The decisions by example, and against what must hold whatever happens.

use std::collections::{BTreeSet, HashMap};

use proptest::{prelude::*, sample::Index};

use super::*;

fn open(most: usize) -> ImagesState {
    let mut state = ImagesState::new(most);
    assert_eq!(state.open(), []);
    state
}

fn begun(id: MakingId) -> Vec<Effect> {
    vec![Effect::Begin { id }]
}

#[test]
fn the_first_one_begins_and_the_others_join() {
    let mut state = open(2);
    assert_eq!(state.join("a"), Joined { id: 1, new: true, effects: begun(1) });
    assert_eq!(state.join("a"), Joined { id: 1, new: false, effects: vec![] });
    assert_eq!(state.ended(1, Ok(())), [Effect::Answer { id: 1, outcome: Ok(()) }]);
    assert_eq!(state.ended(1, Ok(())), [], "it has ended already");
    assert_eq!(state.join("a").id, 2, "what is wanted later is made anew");
}

#[test]
fn beyond_the_most_they_wait_in_the_order_of_asking_and_who_leaves_is_passed_over() {
    let mut state = open(1);
    state.join("a");
    for (image, id) in [("b", 2), ("c", 3)] {
        let effects = vec![Effect::TellWaiting { id }];
        assert_eq!(state.join(image), Joined { id, new: true, effects });
    }
    assert_eq!(state.deserted(2), [Effect::Forget { id: 2 }]);
    let ended = state.ended(1, Ok(()));
    assert_eq!(ended[1..], begun(3));
}

#[test]
fn an_image_that_is_wanted_while_its_cancelled_making_ends_is_made_after_that() {
    let mut state = open(9);
    state.join("a");
    assert_eq!(state.deserted(1), [Effect::Cancel { id: 1 }]);
    assert_eq!(state.deserted(1), [], "once is enough");
    let effects = vec![Effect::TellWaiting { id: 2 }];
    assert_eq!(state.join("a"), Joined { id: 2, new: true, effects });
    assert_eq!(state.join("b").effects, begun(3), "another image is not held up");
    assert_eq!(state.ended(1, Ok(())), [Effect::Forget { id: 1 }, Effect::Begin { id: 2 }]);
}

#[test]
fn nothing_begins_before_the_door_is_open_nor_after_a_drain() {
    let mut state = ImagesState::new(2);
    assert_eq!(state.join("a").effects, [Effect::TellWaiting { id: 1 }]);
    assert_eq!(state.open(), begun(1));
    assert_eq!(state.drain(), [Effect::Cancel { id: 1 }]);
    assert_eq!(state.join("b").effects, [Effect::TellWaiting { id: 2 }]);
    assert_eq!(state.ended(1, Ok(())), [Effect::Forget { id: 1 }]);
    assert_eq!((state.open(), state.under_way()), (vec![], 0));
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    Leave(Index),
    /// The shell hears that somebody was the last one.
    Hear(Index),
    End(Index, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8).prop_map(Step::Join),
        3 => any::<Index>().prop_map(Step::Leave),
        2 => any::<Index>().prop_map(Step::Hear),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(at, well)| Step::End(at, well)),
    ]
}

/// What the shell keeps, and what the world looks like to it.
struct World {
    state: ImagesState,
    most: usize,
    images: HashMap<MakingId, String>,
    /// Whom each waiter waits for.
    waiters: Vec<MakingId>,
    unheard: Vec<MakingId>,
    under_way: Vec<MakingId>,
    cancelled: BTreeSet<MakingId>,
}

impl World {
    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), TestCaseError> {
        for effect in effects {
            match effect {
                Effect::Begin { id } => {
                    let same = |other: &&MakingId| self.images[*other] == self.images[&id];
                    prop_assert!(!self.under_way.iter().any(|other| same(&other)), "made twice");
                    self.under_way.push(id);
                    prop_assert!(self.under_way.len() <= self.most);
                }
                Effect::TellWaiting { id } => prop_assert!(!self.under_way.contains(&id)),
                Effect::Cancel { id } => {
                    prop_assert!(!self.waiters.contains(&id), "somebody waits for it");
                    prop_assert!(self.under_way.contains(&id) && self.cancelled.insert(id));
                }
                Effect::Answer { id, .. } => {
                    prop_assert!(!self.cancelled.contains(&id), "the outcome of a cancelled one");
                    self.waiters.retain(|waiter| *waiter != id);
                }
                Effect::Forget { id } => prop_assert!(!self.waiters.contains(&id)),
            }
        }
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Join(image) => {
                let image = format!("image {image}");
                let Joined { id, new, effects } = self.state.join(&image);
                prop_assert_eq!(self.images.insert(id, image).is_none(), new);
                prop_assert!(!self.cancelled.contains(&id), "joined a cancelled one");
                self.waiters.push(id);
                self.perform(effects)?;
            }
            Step::Leave(at) if !self.waiters.is_empty() => {
                let id = self.waiters.remove(at.index(self.waiters.len()));
                if !self.waiters.contains(&id) {
                    self.unheard.push(id);
                }
            }
            Step::Hear(at) if !self.unheard.is_empty() => {
                let id = self.unheard.remove(at.index(self.unheard.len()));
                if !self.waiters.contains(&id) {
                    let effects = self.state.deserted(id);
                    self.perform(effects)?;
                }
            }
            Step::End(at, well) if !self.under_way.is_empty() => {
                self.end(at.index(self.under_way.len()), *well)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: usize, well: bool) -> Result<(), TestCaseError> {
        let id = self.under_way.remove(at);
        let effects = self.state.ended(id, if well { Ok(()) } else { Err(fault()) });
        self.perform(effects)
    }
}

fn fault() -> Fault {
    let word = String::new;
    Fault { code: word(), step: None, cause: word(), remedy: word(), log_tail: Vec::new() }
}

proptest! {
    #[test]
    fn no_image_is_made_twice_at_a_time_nobody_who_waits_is_cancelled_and_all_are_answered(
        steps in prop::collection::vec(step(), 0..80),
        most in 1..4_usize,
    ) {
        let mut world = World {
            state: open(most),
            most,
            images: HashMap::new(),
            waiters: Vec::new(),
            unheard: Vec::new(),
            under_way: Vec::new(),
            cancelled: BTreeSet::new(),
        };
        for step in &steps {
            world.take(step)?;
            prop_assert_eq!(world.state.under_way(), world.under_way.len());
        }
        while !world.under_way.is_empty() {
            world.end(0, true)?;
        }
        prop_assert!(world.waiters.is_empty(), "nobody works and somebody waits");
    }
}
