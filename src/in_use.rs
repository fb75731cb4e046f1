//! The word that a session is in use, said now and then while bytes go to or come from its sandbox.

use actix::Addr;
use staithe_actors::{mail, session::Session, session::messages::TouchSession};
use tokio::time::{Duration, Instant};

/// Between two words.
const EVERY: Duration = Duration::from_secs(10);

/// Says so for whoever carries bytes. A session that is asked for its line is in use at that moment.
pub struct InUse {
    session: Addr<Session>,
    said: Instant,
}

impl InUse {
    pub fn new(session: Addr<Session>) -> Self {
        Self { session, said: Instant::now() }
    }

    /// Bytes moved.
    pub fn moved(&mut self) {
        if self.said.elapsed() >= EVERY {
            self.say();
        }
    }

    /// Says it now.
    pub fn say(&mut self) {
        self.said = Instant::now();
        // In the mailbox when this returns; nobody waits for the answer.
        let said = mail::ask(&self.session, TouchSession);
        tokio::spawn(async move { said.await.ok() });
    }
}
