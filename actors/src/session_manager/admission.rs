//! Who may have a sandbox now, who waits for one, and who is told to come back. Pure.
//!
//! ```text
//! ask ─┬─> waiting ──its turn──> starting ──started──> running ──ended──> nothing
//!      └─> denied       attach ────────────────────────^
//! starting ──leave──> away ──come back──> returning ──its turn, before who waits──> starting
//! ```
//! Turns go by the order of asking, but a user at his own limit holds nobody else up. Whoever has a
//! place keeps it: an attached session may be one too many, and then others wait longer.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use staithe_protocol::SessionId;
use tokio::time::Instant;

use super::messages::{TooMany, Wish};
use crate::settings::Limits;

/// A session is told of its place at most so often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// So many of the first places are told exactly; those behind them hear of changes by a tenth.
const EXACT: u32 = 10;

/// See the module.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    held: HashMap<SessionId, Held>,
    /// Of `held`, by owner.
    by_owner: HashMap<String, usize>,
    /// Of `held`, those that are being started.
    starting: usize,
    /// Of `held`, those that go on starting when there is room, in the order of coming back.
    returning: VecDeque<SessionId>,
    queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Held {
    owner: String,
    turn: Turn,
}

/// Whether one that has a place is being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Starting,
    /// It waits for something that needs no turn, or to come back from that.
    Away,
    Over,
}

#[derive(Debug)]
struct Waiter {
    id: SessionId,
    owner: String,
    told: Option<(u32, Instant)>,
}

/// What somebody who asked has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Granted,
    Waiting,
}

impl Admission {
    /// Nobody has anything yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: HashMap::new(),
            by_owner: HashMap::new(),
            starting: 0,
            returning: VecDeque::new(),
            queue: VecDeque::new(),
        }
    }

    /// Somebody wants a place. Repeated, it does nothing more. Who waits is granted by
    /// [`advance`](Self::advance).
    pub fn ask(&mut self, id: SessionId, owner: &str, wish: Wish) -> Result<Standing, TooMany> {
        match wish {
            Wish::Attach => {
                self.ended(id);
                self.hold(id, owner.to_owned(), Turn::Over);
            }
            // What was taken to be running is not.
            Wish::Resume if self.held.get(&id).is_some_and(|held| held.turn == Turn::Over) => {
                self.ended(id);
            }
            Wish::Start | Wish::Resume => {}
        }
        if self.held.contains_key(&id) {
            return Ok(Standing::Granted);
        }
        if self.queue.iter().any(|waiter| waiter.id == id) {
            return Ok(Standing::Waiting);
        }
        if wish == Wish::Start {
            self.admit(owner)?;
        }
        self.queue.push_back(Waiter { id, owner: owner.to_owned(), told: None });
        Ok(Standing::Waiting)
    }

    /// Places that will be had are counted too: else those that wait for a start only would later be
    /// more than may run.
    fn admit(&self, owner: &str) -> Result<(), TooMany> {
        let all = self.held.len() + self.queue.len();
        let waiting = self.queue.iter().filter(|waiter| waiter.owner == owner).count();
        let of_user = self.of_user(owner) + waiting;
        let too_many = if all >= self.limits.max_sessions {
            TooMany::Sessions(all)
        } else if of_user >= self.limits.max_sessions_per_user {
            TooMany::OfUser(of_user)
        } else {
            return Ok(());
        };
        if !self.limits.queue {
            return Err(too_many);
        }
        if self.queue.len() >= self.limits.max_waiting {
            return Err(TooMany::Waiting(self.queue.len()));
        }
        Ok(())
    }

    /// Its sandbox answers.
    pub fn started(&mut self, id: SessionId) {
        self.set_turn(id, Turn::Over);
        self.returning.retain(|it| *it != id);
    }

    /// It waits for something long, and needs no turn meanwhile. It keeps its place.
    pub fn leave(&mut self, id: SessionId) {
        if self.held.get(&id).is_some_and(|held| held.turn == Turn::Starting) {
            self.set_turn(id, Turn::Away);
        }
    }

    /// It has what it waited for. False: it needs no turn and goes on at once.
    pub fn come_back(&mut self, id: SessionId) -> bool {
        let away = self.held.get(&id).is_some_and(|held| held.turn == Turn::Away);
        if away && !self.returning.contains(&id) {
            self.returning.push_back(id);
        }
        away
    }

    /// Those who came back and go on now. To be asked before [`advance`](Self::advance).
    pub fn returned(&mut self) -> Vec<SessionId> {
        let mut returned = Vec::new();
        while self.starting < self.limits.max_starting
            && let Some(id) = self.returning.pop_front()
        {
            self.set_turn(id, Turn::Starting);
            returned.push(id);
        }
        returned
    }

    fn set_turn(&mut self, id: SessionId, turn: Turn) {
        let Some(held) = self.held.get_mut(&id) else { return };
        self.starting -= usize::from(held.turn == Turn::Starting);
        self.starting += usize::from(turn == Turn::Starting);
        held.turn = turn;
    }

    /// It has no sandbox and wants none, or is gone.
    pub fn ended(&mut self, id: SessionId) {
        self.started(id);
        if let Some(held) = self.held.remove(&id)
            && let Some(count) = self.by_owner.get_mut(&held.owner)
        {
            *count -= 1;
            if *count == 0 {
                self.by_owner.remove(&held.owner);
            }
        }
        self.queue.retain(|waiter| waiter.id != id);
    }

    /// Those whose turn it is now.
    pub fn advance(&mut self) -> Vec<SessionId> {
        let mut granted = Vec::new();
        let mut at = 0;
        while at < self.queue.len()
            && self.held.len() < self.limits.max_sessions
            && self.starting < self.limits.max_starting
        {
            if self.of_user(&self.queue[at].owner) >= self.limits.max_sessions_per_user {
                at += 1;
            } else if let Some(Waiter { id, owner, .. }) = self.queue.remove(at) {
                self.hold(id, owner, Turn::Starting);
                granted.push(id);
            }
        }
        granted
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Who is to be told of his place now, and when there is more to tell.
    pub fn news(&mut self, now: Instant) -> (Vec<(SessionId, u32)>, Option<Instant>) {
        let mut news = Vec::new();
        let mut next: Option<Instant> = None;
        for (waiter, position) in self.queue.iter_mut().zip(1_u32..) {
            let due = match waiter.told {
                None => now,
                Some((told, at)) if is_news(told, position) => at + TELL_EVERY,
                Some(_) => continue,
            };
            if due <= now {
                waiter.told = Some((position, now));
                news.push((waiter.id, position));
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        (news, next)
    }

    /// He asks anew, and has not heard of his place yet.
    pub fn forget_told(&mut self, id: SessionId) {
        if let Some(waiter) = self.queue.iter_mut().find(|waiter| waiter.id == id) {
            waiter.told = None;
        }
    }

    fn of_user(&self, owner: &str) -> usize {
        self.by_owner.get(owner).copied().unwrap_or(0)
    }

    fn hold(&mut self, id: SessionId, owner: String, turn: Turn) {
        *self.by_owner.entry(owner.clone()).or_default() += 1;
        self.starting += usize::from(turn == Turn::Starting);
        self.held.insert(id, Held { owner, turn });
    }
}

fn is_news(told: u32, position: u32) -> bool {
    told != position && (position <= EXACT || told.abs_diff(position) >= told.div_ceil(10))
}

#[cfg(test)]
mod tests;
