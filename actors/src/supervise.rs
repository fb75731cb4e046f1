//! Supervision: parents own factories, deaths are noticed however they come, restarts have budgets.

use std::{collections::VecDeque, time::Duration};

use actix::{Actor, Addr, Handler, Message, WeakAddr, dev::ToEnvelope};
use staithe_protocol::Generation;
use tokio::time::Instant;

use crate::mail;

/// Sent by a child's [`DeathNotice`] to its parent: the child of this generation is gone. Arrives once
/// per child; an older generation than the parent's current one is stale.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildDown {
    pub child: ChildKind,
    pub generation: Generation,
    /// It panicked rather than stopped.
    pub panicked: bool,
}

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    Session(staithe_protocol::SessionId),
    EventStream,
    Runtime,
    AgentSession,
    Pool,
    Images,
}

/// Tells the parent that the actor which owns this value is gone: stopped, panicked, or its arbiter
/// ended.
#[derive(Debug)]
pub struct DeathNotice<P: Actor> {
    child: ChildKind,
    generation: Generation,
    parent: WeakAddr<P>,
    tell: fn(&Addr<P>, ChildDown),
}

impl<P> DeathNotice<P>
where
    P: Actor + Handler<ChildDown>,
    P::Context: ToEnvelope<P, ChildDown>,
{
    /// A notice for a child that is about to be started.
    pub fn new(child: ChildKind, generation: Generation, parent: WeakAddr<P>) -> Self {
        Self { child, generation, parent, tell: |parent, down| mail::tell(parent, down) }
    }
}

impl<P: Actor> DeathNotice<P> {
    /// Whom it tells, while it is there.
    pub fn parent(&self) -> Option<Addr<P>> {
        self.parent.upgrade()
    }
}

impl<P: Actor> Drop for DeathNotice<P> {
    fn drop(&mut self) {
        if let Some(parent) = self.parent.upgrade() {
            let panicked = std::thread::panicking();
            let down = ChildDown { child: self.child, generation: self.generation, panicked };
            (self.tell)(&parent, down);
        }
    }
}

/// Sent by a [`ChildHandle`] when it is dropped: the parent is done with this child, or gone itself.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ParentGone;

/// A parent's hold on a child. An actor with timers outlives its last address (house style, part 3:
/// 13); dropping this tells it to stop.
#[derive(Debug)]
pub struct ChildHandle<A>
where
    A: Actor + Handler<ParentGone>,
    A::Context: ToEnvelope<A, ParentGone>,
{
    addr: Addr<A>,
}

impl<A> ChildHandle<A>
where
    A: Actor + Handler<ParentGone>,
    A::Context: ToEnvelope<A, ParentGone>,
{
    /// Holds a child.
    pub fn new(addr: Addr<A>) -> Self {
        Self { addr }
    }

    /// Its address.
    pub fn addr(&self) -> &Addr<A> {
        &self.addr
    }
}

impl<A> Drop for ChildHandle<A>
where
    A: Actor + Handler<ParentGone>,
    A::Context: ToEnvelope<A, ParentGone>,
{
    fn drop(&mut self) {
        mail::tell(&self.addr, ParentGone);
    }
}

/// How often something may be restarted: `most` times within `window`, with a pause that grows. Pure.
#[derive(Clone, Debug)]
pub struct RestartBudget {
    most: usize,
    window: Duration,
    spent: VecDeque<Instant>,
}

impl RestartBudget {
    /// The house style's budget for a runtime: 3 in 5 minutes, after 1, 4 and 16 seconds.
    pub fn for_runtime() -> Self {
        Self { most: 3, window: Duration::from_mins(5), spent: VecDeque::new() }
    }

    /// The pause before the restart that is now due; nothing when the budget is spent.
    pub fn spend(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        if self.spent.len() >= self.most {
            return None;
        }
        let pause =
            Duration::from_secs(4_u64.saturating_pow(u32::try_from(self.spent.len()).ok()?));
        self.spent.push_back(now);
        Some(pause)
    }

    /// Restarts within the window.
    pub fn used(&mut self, now: Instant) -> u32 {
        self.forget(now);
        u32::try_from(self.spent.len()).unwrap_or(u32::MAX)
    }

    fn forget(&mut self, now: Instant) {
        while self.spent.front().is_some_and(|at| now.duration_since(*at) > self.window) {
            self.spent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_budget_is_spent_after_three_restarts_and_comes_back_after_five_minutes() {
        let mut budget = RestartBudget::for_runtime();
        let pauses: Vec<_> =
            (0..4).map(|_| budget.spend(Instant::now()).map(|p| p.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(4), Some(16), None]);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(budget.used(Instant::now()), 0);
        assert_eq!(budget.spend(Instant::now()), Some(Duration::from_secs(1)));
    }
}
