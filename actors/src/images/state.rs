//! Which images are being made, which wait, and who is answered with what. Pure.
//!
//! ```text
//! join ──> Waiting ──its turn──> Making ──ended──> answered
//!             │deserted             │deserted
//!             v                     v
//!          nothing              Cancelled ──ended──> nothing
//! ```
//! One that is cancelled goes on until its maker has ended: whoever wants the image meanwhile waits for a
//! making of his own, which begins after that. So nobody is given the outcome of a cancelled one, and no
//! image is made twice at a time.

use std::collections::BTreeMap;

use serde::Serialize;
use staithe_protocol::Fault;

/// One making of one image. Later ones have higher numbers.
pub type MakingId = u64;

/// Where a making is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// As many are made as may, or another one of the same image has to end first.
    Waiting,
    Making,
    /// Nobody wants it any more; its maker has not ended yet.
    Cancelled,
}

impl Stage {
    /// Its word for operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Making => "making",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Let the maker begin.
    Begin { id: MakingId },
    /// Tell those who want it that it waits.
    TellWaiting { id: MakingId },
    /// Ask the maker to end.
    Cancel { id: MakingId },
    /// Give the outcome to those who want it.
    Answer { id: MakingId, outcome: Result<(), Fault> },
    /// Forget it: nobody wants it.
    Forget { id: MakingId },
}

/// Whom somebody who wants an image has to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub id: MakingId,
    /// He is the first one.
    pub new: bool,
    pub effects: Vec<Effect>,
}

/// See the module.
#[derive(Debug)]
pub struct ImagesState {
    /// Makings that may be under way at a time.
    most: usize,
    makings: BTreeMap<MakingId, Making>,
    last: MakingId,
    door: Door,
}

/// Whether something may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Not yet.
    Closed,
    Open,
    /// Nothing any more.
    Drained,
}

#[derive(Debug)]
struct Making {
    image: String,
    stage: Stage,
}

impl ImagesState {
    /// Nothing is being made, and nothing begins before [`open`](Self::open).
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), makings: BTreeMap::new(), last: 0, door: Door::Closed }
    }

    /// What an earlier one began has ended.
    pub fn open(&mut self) -> Vec<Effect> {
        if self.door == Door::Closed {
            self.door = Door::Open;
        }
        self.advance()
    }

    /// Somebody wants this image.
    pub fn join(&mut self, image: &str) -> Joined {
        let wanted = |making: &Making| making.image == image && making.stage != Stage::Cancelled;
        if let Some((id, _)) = self.makings.iter().find(|(_, making)| wanted(making)) {
            return Joined { id: *id, new: false, effects: Vec::new() };
        }
        self.last += 1;
        let id = self.last;
        self.makings.insert(id, Making { image: image.to_owned(), stage: Stage::Waiting });
        let mut effects = self.advance();
        if self.stage(id) == Some(Stage::Waiting) {
            effects.push(Effect::TellWaiting { id });
        }
        Joined { id, new: true, effects }
    }

    /// The last one who wanted it does so no more.
    pub fn deserted(&mut self, id: MakingId) -> Vec<Effect> {
        match self.makings.get_mut(&id) {
            Some(Making { stage: Stage::Waiting, .. }) => {
                self.makings.remove(&id);
                vec![Effect::Forget { id }]
            }
            Some(making) if making.stage == Stage::Making => {
                making.stage = Stage::Cancelled;
                vec![Effect::Cancel { id }]
            }
            _ => Vec::new(), // it has ended meanwhile
        }
    }

    /// Its maker has ended.
    pub fn ended(&mut self, id: MakingId, outcome: Result<(), Fault>) -> Vec<Effect> {
        let Some(making) = self.makings.remove(&id) else { return Vec::new() };
        let mut effects = vec![match making.stage {
            Stage::Cancelled => Effect::Forget { id },
            Stage::Waiting | Stage::Making => Effect::Answer { id, outcome },
        }];
        effects.extend(self.advance());
        effects
    }

    /// The server ends: what goes on is cancelled and nothing begins any more. Who waits is answered by
    /// nobody: the next server asks anew for him.
    pub fn drain(&mut self) -> Vec<Effect> {
        self.door = Door::Drained;
        let mut effects = Vec::new();
        for (id, making) in &mut self.makings {
            if making.stage == Stage::Making {
                making.stage = Stage::Cancelled;
                effects.push(Effect::Cancel { id: *id });
            }
        }
        effects
    }

    /// Where a making is.
    pub fn stage(&self, id: MakingId) -> Option<Stage> {
        self.makings.get(&id).map(|making| making.stage)
    }

    /// Makers that have not ended.
    pub fn under_way(&self) -> usize {
        self.makings.values().filter(|making| making.stage != Stage::Waiting).count()
    }

    /// Begins those whose turn it is, in the order of asking.
    fn advance(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.door != Door::Open {
            return effects;
        }
        let waiting: Vec<_> = self.makings.keys().copied().collect();
        for id in waiting {
            if self.under_way() >= self.most {
                break;
            }
            if self.may_begin(id)
                && let Some(making) = self.makings.get_mut(&id)
            {
                making.stage = Stage::Making;
                effects.push(Effect::Begin { id });
            }
        }
        effects
    }

    fn may_begin(&self, id: MakingId) -> bool {
        let Some(making) = self.makings.get(&id) else { return false };
        let same = |other: &&Making| other.image == making.image && other.stage != Stage::Waiting;
        making.stage == Stage::Waiting && !self.makings.values().any(|other| same(&other))
    }
}

#[cfg(test)]
mod tests;
