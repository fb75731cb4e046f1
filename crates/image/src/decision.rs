//! Which image to look for next, and what to build when there is none. Pure.
//!
//! ```text
//! forced ------------------------------------------------> build from scratch
//! source here? yes -> use it
//!              no  -> lock? yes -> build from lock
//!                           no  -> versioned? yes -> build from versioned
//!                                             no  -> build from scratch
//! ```

use crate::stages::{BuildFrom, Stage};

/// An image to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// In the engine, and among the files of images that the caller keeps; never in a registry: one that is in
    /// neither place is built.
    Source,
    /// In the engine, and in the registry when the repository names one.
    Lock,
    /// As for the lock image.
    Versioned,
}

impl Look {
    /// The stage that the image ends with.
    pub fn stage(self) -> Stage {
        match self {
            Self::Source => Stage::Final,
            Self::Lock => Stage::Deps,
            Self::Versioned => Stage::System,
        }
    }

    /// It may be fetched from a registry.
    pub fn may_pull(self) -> bool {
        self != Self::Source
    }
}

/// What looking has told so far; none: nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub source: Option<bool>,
    pub lock: Option<bool>,
    pub versioned: Option<bool>,
}

impl Known {
    /// Notes what a look told.
    pub fn tell(&mut self, look: Look, there: bool) {
        let place = match look {
            Look::Source => &mut self.source,
            Look::Lock => &mut self.lock,
            Look::Versioned => &mut self.versioned,
        };
        *place = Some(there);
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Look(Look),
    /// The source image is there: nothing is built.
    Use,
    Build(BuildFrom),
}

/// See the module. `force`: whatever is there, all is built anew.
pub fn next(known: &Known, force: bool) -> Next {
    if force {
        return Next::Build(BuildFrom::Scratch);
    }
    let questions = [
        (known.source, Look::Source, Next::Use),
        (known.lock, Look::Lock, Next::Build(BuildFrom::Lock)),
        (known.versioned, Look::Versioned, Next::Build(BuildFrom::Versioned)),
    ];
    for (there, look, then) in questions {
        match there {
            None => return Next::Look(look),
            Some(true) => return then,
            Some(false) => {}
        }
    }
    Next::Build(BuildFrom::Scratch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_YET: Option<bool> = None;
    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn every_combination_has_its_next_step() {
        use BuildFrom::{Lock as FromLock, Scratch, Versioned as FromVersioned};
        let look = Next::Look;
        let build = Next::Build;
        let any = [NOT_YET, NO, YES];
        let mut expected = Vec::new();
        for lock in any {
            for versioned in any {
                expected.push(((NOT_YET, lock, versioned), look(Look::Source)));
                expected.push(((YES, lock, versioned), Next::Use));
            }
        }
        for versioned in any {
            expected.push(((NO, NOT_YET, versioned), look(Look::Lock)));
            expected.push(((NO, YES, versioned), build(FromLock)));
        }
        expected.push(((NO, NO, NOT_YET), look(Look::Versioned)));
        expected.push(((NO, NO, YES), build(FromVersioned)));
        expected.push(((NO, NO, NO), build(Scratch)));
        assert_eq!(expected.len(), 27);
        for ((source, lock, versioned), then) in expected {
            let known = Known { source, lock, versioned };
            assert_eq!(next(&known, false), then, "{known:?}");
            assert_eq!(next(&known, true), build(Scratch), "{known:?}, forced");
        }
    }

    #[test]
    fn looking_ends_after_at_most_three_looks() {
        for there in 0..8_u8 {
            let mut known = Known::default();
            let mut looks = 0;
            while let Next::Look(look) = next(&known, false) {
                known.tell(look, there >> (look.stage() as u8) & 1 == 1);
                looks += 1;
            }
            assert!((1..=3).contains(&looks), "{there}: {looks}");
        }
    }

    #[test]
    fn only_the_source_image_is_never_fetched() {
        assert!(!Look::Source.may_pull() && Look::Lock.may_pull() && Look::Versioned.may_pull());
    }
}
