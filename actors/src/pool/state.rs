//! What the pool of started sandboxes does next. Pure.
//!
//! ```text
//! too few ──fill──> making ──made──> available ──claim──> nothing: a session's now
//!    ^                │failed           │died
//!    └─pause 1,4,16,60 s, by image ─────┘
//! ```
//! One sandbox is made at a time: the pool is filled behind the sessions' backs, not in their way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::messages::Claimed;
use crate::settings::PoolSize;

/// After the first, second, … failure in a row.
const PAUSES: [u64; 4] = [1, 4, 16, 60];
/// A pause is so many times as long as what failed kept the machine busy, at least.
const REST: u32 = 4;

/// A sandbox's number in the pool; its label.
pub type Number = String;

/// See the module.
#[derive(Debug)]
pub struct PoolState {
    stocks: Vec<Stock>,
    /// By number, the oldest first within an image: numbers are given in order of time.
    members: BTreeMap<Number, Member>,
    drained: bool,
}

/// What is kept of one image.
#[derive(Debug)]
struct Stock {
    /// As it is asked for, by the settings and by sessions; what it comes to may be built on it.
    image: String,
    size: usize,
    /// In a row.
    failures: usize,
    pausing: bool,
}

#[derive(Debug)]
struct Member {
    image: String,
    /// None while it is being made.
    pooled: Option<Pooled>,
}

/// A started sandbox whose runner has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub claimed: Claimed,
    /// What it was made with.
    pub config: Option<String>,
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Make {
        number: Number,
        image: String,
    },
    /// Remove it and its workspace, then tell `Removed`.
    Remove {
        number: Number,
        pooled: Pooled,
    },
    /// Send `PauseElapsed` later.
    Pause {
        image: String,
        pause: Duration,
    },
}

/// What a claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Taken {
        number: Number,
        claimed: Claimed,
    },
    /// There is none now.
    Empty,
    /// There is one that was made with other settings.
    OtherSettings,
}

impl PoolState {
    /// Nothing is there yet.
    pub fn new(sizes: &[PoolSize]) -> Self {
        let stock = |size: &PoolSize| Stock {
            image: size.image.clone(),
            size: size.size,
            failures: 0,
            pausing: false,
        };
        Self { stocks: sizes.iter().map(stock).collect(), members: BTreeMap::new(), drained: false }
    }

    /// Begins to make the next sandbox, under this number, if one is missing.
    pub fn fill(&mut self, number: Number) -> Vec<Effect> {
        let making = self.members.values().any(|member| member.pooled.is_none());
        if making || self.drained {
            return Vec::new();
        }
        let missing = |stock: &&Stock| !stock.pausing && self.of(&stock.image) < stock.size;
        let Some(image) = self.stocks.iter().find(missing).map(|stock| stock.image.clone()) else {
            return Vec::new();
        };
        self.members.insert(number.clone(), Member { image: image.clone(), pooled: None });
        vec![Effect::Make { number, image }]
    }

    /// It was made, or could not be, after so much work for its image.
    pub fn made(
        &mut self,
        number: &Number,
        outcome: Option<Pooled>,
        work: Duration,
    ) -> Vec<Effect> {
        let Some(member) = self.members.get_mut(number) else { return Vec::new() };
        let image = member.image.clone();
        match outcome {
            Some(pooled) if self.drained => {
                member.pooled = Some(pooled);
                self.remove(number)
            }
            Some(pooled) => {
                member.pooled = Some(pooled);
                if let Some(stock) = self.stock(&image) {
                    stock.failures = 0;
                }
                Vec::new()
            }
            None => {
                self.members.remove(number);
                self.pause(&image, work)
            }
        }
    }

    /// It ended, or its line did. Harmless when it was claimed before.
    pub fn died(&mut self, number: &Number) -> Vec<Effect> {
        let Some(Member { image, pooled: Some(_) }) = self.members.get(number) else {
            return Vec::new();
        };
        let image = image.clone();
        let mut effects = self.remove(number);
        effects.extend(self.pause(&image, Duration::ZERO));
        effects
    }

    /// A pause is over.
    pub fn pause_elapsed(&mut self, image: &str) {
        if let Some(stock) = self.stock(image) {
            stock.pausing = false;
        }
    }

    /// The oldest that fits.
    pub fn claim(&mut self, image: &str, config: Option<&str>) -> Claim {
        let mut other = false;
        let mut found = None;
        for (number, member) in &self.members {
            match &member.pooled {
                Some(pooled) if member.image == image => {
                    if pooled.config.as_deref() == config {
                        found = Some((number.clone(), pooled.claimed.clone()));
                        break;
                    }
                    other = true;
                }
                _ => {}
            }
        }
        match found {
            Some((number, claimed)) => {
                self.members.remove(&number);
                Claim::Taken { number, claimed }
            }
            None if other => Claim::OtherSettings,
            None => Claim::Empty,
        }
    }

    /// Nothing is kept any more.
    pub fn drain(&mut self) -> Vec<Effect> {
        self.drained = true;
        let available = self.members.iter().filter(|(_, member)| member.pooled.is_some());
        let available: Vec<_> = available.map(|(number, _)| number.clone()).collect();
        available.iter().flat_map(|number| self.remove(number)).collect()
    }

    /// Numbers of what is there or is being made.
    pub fn known(&self) -> BTreeSet<Number> {
        self.members.keys().cloned().collect()
    }

    /// Of each image: how many are being made, and how many are available.
    pub fn counts(&self) -> Vec<(&str, usize, usize)> {
        let count = |stock: &Stock, available| {
            let of_image = self.members.values().filter(|member| member.image == stock.image);
            of_image.filter(|member| member.pooled.is_some() == available).count()
        };
        self.stocks
            .iter()
            .map(|stock| (stock.image.as_str(), count(stock, false), count(stock, true)))
            .collect()
    }

    fn of(&self, image: &str) -> usize {
        self.members.values().filter(|member| member.image == image).count()
    }

    fn stock(&mut self, image: &str) -> Option<&mut Stock> {
        self.stocks.iter_mut().find(|stock| stock.image == image)
    }

    fn remove(&mut self, number: &Number) -> Vec<Effect> {
        let pooled = self.members.remove(number).and_then(|member| member.pooled);
        let remove = |pooled| Effect::Remove { number: number.clone(), pooled };
        pooled.map(remove).into_iter().collect()
    }

    fn pause(&mut self, image: &str, work: Duration) -> Vec<Effect> {
        let Some(stock) = self.stock(image) else { return Vec::new() };
        let pause = Duration::from_secs(PAUSES[stock.failures.min(PAUSES.len() - 1)]);
        let pause = pause.max(work * REST);
        stock.failures += 1;
        stock.pausing = true;
        vec![Effect::Pause { image: image.to_owned(), pause }]
    }
}

#[cfg(test)]
mod tests;
