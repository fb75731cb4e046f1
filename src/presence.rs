//! Who looks at a session now: each socket that asked to hear of it, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::stream;
use staithe_protocol::{
    SessionId,
    frames::{Person, Role, ServerFrame},
};
use tokio::{sync::watch, time::sleep};

use crate::ws::{answers::encode, outbox::Out, side::Frames};

/// People that one frame names; it says how many more there are.
const MOST_NAMED: usize = 50;
/// Between two frames: a hundred who come at once are told of together.
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// All rooms of this server.
#[derive(Default)]
pub struct Presence(Mutex<BTreeMap<SessionId, Room>>);

struct Room {
    /// By the name of their socket.
    people: BTreeMap<String, Person>,
    /// Grows with each change.
    seq: watch::Sender<u64>,
}

impl Default for Room {
    fn default() -> Self {
        Self { people: BTreeMap::new(), seq: watch::Sender::new(0) }
    }
}

/// A place of somebody who is here, until it is dropped.
pub struct Seat {
    presence: Arc<Presence>,
    session: SessionId,
    socket: String,
}

impl Presence {
    fn rooms(&self) -> std::sync::MutexGuard<'_, BTreeMap<SessionId, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody joins.
    pub fn enter(
        self: &Arc<Self>,
        session: SessionId,
        socket: &str,
        name: &str,
        role: Role,
    ) -> Seat {
        let person = Person {
            id: socket.to_owned(),
            name: name.to_owned(),
            role,
            since: jiff::Timestamp::now().to_string(),
        };
        let mut rooms = self.rooms();
        let room = rooms.entry(session).or_default();
        room.people.insert(socket.to_owned(), person);
        room.seq.send_modify(|seq| *seq += 1);
        Seat { presence: Arc::clone(self), session, socket: socket.to_owned() }
    }

    fn leave(&self, session: SessionId, socket: &str) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(&session) else { return };
        room.people.remove(socket);
        if room.people.is_empty() {
            rooms.remove(&session);
        } else {
            room.seq.send_modify(|seq| *seq += 1);
        }
    }

    fn follow(&self, session: SessionId) -> Option<watch::Receiver<u64>> {
        Some(self.rooms().get(&session)?.seq.subscribe())
    }

    /// All that is so, for one of them; none when nobody is there.
    fn frame(&self, session: SessionId, you: &str) -> Option<ServerFrame> {
        let rooms = self.rooms();
        let room = rooms.get(&session)?;
        let mut people: Vec<Person> = room.people.values().cloned().collect();
        // The one who asks is never among those left out.
        people.sort_by(|a, b| {
            let key = |one: &Person| (one.id != you, one.since.clone());
            key(a).cmp(&key(b))
        });
        let more = people.len().saturating_sub(MOST_NAMED) as u64;
        people.truncate(MOST_NAMED);
        Some(ServerFrame::Presence { seq: *room.seq.borrow(), you: you.to_owned(), people, more })
    }
}

impl Seat {
    /// What is told to whoever has this seat, now and at each change.
    pub fn frames(self) -> Frames {
        let changes = self.presence.follow(self.session);
        Box::pin(stream::unfold((self, changes, true), |(seat, changes, first)| async move {
            let mut changes = changes?;
            if !first {
                sleep(LEAST_PAUSE).await;
                changes.changed().await.ok()?;
            }
            changes.mark_unchanged();
            let frame = seat.presence.frame(seat.session, &seat.socket)?;
            Some((Out::Text(encode(&frame)), (seat, Some(changes), false)))
        }))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.presence.leave(self.session, &self.socket);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use serde_json::Value;

    use super::*;

    fn session() -> SessionId {
        "0190c0de0000700080000000000000aa".parse().unwrap()
    }

    async fn next(frames: &mut Frames) -> Value {
        match frames.next().await.unwrap() {
            Out::Text(text) => serde_json::from_slice(&text).unwrap(),
            _ => panic!("presence is text"),
        }
    }

    fn names(frame: &Value) -> Vec<&str> {
        let people = frame["people"].as_array().unwrap();
        people.iter().map(|person| person["name"].as_str().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_hears_who_is_there_and_who_went() {
        let presence = Arc::new(Presence::default());
        let mut ann = presence.enter(session(), "1", "ann", Role::User).frames();
        let first = next(&mut ann).await;
        assert_eq!((names(&first), &first["you"]), (vec!["ann"], &Value::from("1")));
        let mut bob = presence.enter(session(), "2", "bob", Role::Viewer).frames();
        assert_eq!(names(&next(&mut bob).await), ["bob", "ann"]);
        assert_eq!(names(&next(&mut ann).await), ["ann", "bob"]);
        drop(bob);
        let last = next(&mut ann).await;
        assert_eq!(names(&last), ["ann"]);
        assert!(last["seq"].as_u64() > first["seq"].as_u64());
        drop(ann);
        assert!(presence.rooms().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_counted_and_not_all_named() {
        let presence = Arc::new(Presence::default());
        let crowd: Vec<Seat> = (0..200)
            .map(|n| presence.enter(session(), &format!("{n:03}"), "guest", Role::Viewer))
            .collect();
        let mut last = presence.enter(session(), "zz", "ann", Role::User).frames();
        let frame = next(&mut last).await;
        assert_eq!(names(&frame).len(), MOST_NAMED);
        assert_eq!((names(&frame)[0], &frame["more"]), ("ann", &Value::from(151)));
        drop(crowd);
        // All of it is told of at once.
        assert_eq!(names(&next(&mut last).await), ["ann"]);
    }
}
