//! How long pages go on asking for a port on which nothing listens. Pure.

use std::{collections::HashMap, time::Duration};

use staithe_protocol::SessionId;
use tokio::time::Instant;

/// Pages in a row that ask again by themselves: some five minutes of one tab.
const MOST: u32 = 100;
/// After so long without one, it begins anew: the tab was closed, or asks no more and somebody came back.
const FORGET: Duration = Duration::from_secs(30);

/// What was waited for lately, and how often.
#[derive(Default)]
pub struct Waiting(HashMap<(SessionId, u16), (u32, Instant)>);

impl Waiting {
    /// Whether the page that says that nothing listens may ask again by itself. A tab that was forgotten would
    /// wake the session for ever.
    pub fn goes_on(&mut self, session: SessionId, port: u16, now: Instant) -> bool {
        self.0.retain(|_, (_, last)| now.duration_since(*last) < FORGET);
        let (asked, last) = self.0.entry((session, port)).or_insert((0, now));
        *asked = asked.saturating_add(1);
        *last = now;
        *asked <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_nobody_looks_at_ends_asking() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        let session = SessionId::generate();
        let every = Duration::from_secs(3);
        let goes_on = |at: u32| waiting.goes_on(session, 80, begun + every * at);
        let asked = (0..1000).map(goes_on).take_while(|goes_on| *goes_on).count();
        assert_eq!(asked, MOST as usize);
        let later = begun + every * MOST + FORGET;
        assert!(waiting.goes_on(session, 81, later), "another port");
        assert!(waiting.goes_on(session, 80, later), "who comes back may wait again");
        assert_eq!(waiting.0.len(), 2);
    }
}
