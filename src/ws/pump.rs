//! The task behind one socket.

use std::{collections::VecDeque, time::Duration};

use actix_http::ws::CloseCode;
use bytes::Bytes;
use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use staithe_actors::Subscription;
use staithe_protocol::frames::{ServerFrame, ServerName};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    answers::{Hands, encode, parse},
    outbox::{Gone, Out, Outbox, Share},
    reader::{Frames, In, ReadFailed},
};

/// Bytes of events read at a time: together with the outbox the most that one client costs.
const BATCH: usize = 128 * 1024;
/// Pieces of output taken at a time.
const PARTIALS: usize = 8;
/// Commands under way and answers not yet written; beyond it nothing more is read from the client.
const COMMANDS: usize = 64;
/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// How long a good-bye may take to be written.
const FAREWELL: Duration = Duration::from_secs(3);

/// See the module.
pub struct Pump {
    hands: Hands,
    subscription: Subscription,
    outbox: Outbox,
    /// The last event that was queued.
    cursor: i64,
    /// The number of the next piece of output.
    next_output: u64,
    commands: FuturesUnordered<LocalBoxFuture<'static, Option<ServerFrame>>>,
    answers: VecDeque<Bytes>,
    output: VecDeque<Bytes>,
    events: VecDeque<Bytes>,
    pings: VecDeque<Out>,
    /// Side streams let events go first this time: they take turns.
    side_waits: bool,
}

/// Why a socket ends.
enum End {
    /// Nobody is there any more.
    Gone,
    /// We say so.
    Close(CloseCode, &'static str),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Pump {
    /// A pump for a client that has events up to `cursor`.
    pub fn new(hands: Hands, subscription: Subscription, cursor: i64, outbox: Outbox) -> Self {
        Self {
            hands,
            subscription,
            outbox,
            cursor,
            next_output: 0,
            commands: FuturesUnordered::new(),
            answers: VecDeque::new(),
            output: VecDeque::new(),
            events: VecDeque::new(),
            pings: VecDeque::new(),
            side_waits: false,
        }
    }

    /// Runs until the client or the session is gone, or the server ends.
    pub async fn run(mut self, frames: Frames) {
        metrics::gauge!("staithe_ws_subscribers").increment(1.0);
        let end = match self.greet().await {
            Ok(()) => self.carry(frames).await,
            Err(end) => end,
        };
        if let End::Close(code, reason) = end {
            let farewell = async {
                let share = self.outbox.share(0).await?;
                self.outbox.put(Out::Close(code, reason), share)
            };
            drop(timeout(FAREWELL, farewell).await);
        }
        metrics::gauge!("staithe_ws_subscribers").decrement(1.0);
        tracing::debug!(session_id = %self.hands.id, cursor = self.cursor, "client left");
    }

    async fn greet(&mut self) -> Result<(), End> {
        let snapshot = self.hands.session.snapshot.borrow().clone();
        let hello = ServerFrame::Hello {
            session: self.hands.id,
            phase: snapshot.phase_view(),
            agent_state: snapshot.agent_state,
            head: self.subscription.head,
            role: self.hands.identity.role,
            server: ServerName {
                name: "staithe".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
        };
        self.answers.push_back(encode(&hello));
        let oldest = self.subscription.feed.oldest().await;
        match oldest {
            Ok(Some(oldest))
                if i64::try_from(oldest.0).is_ok_and(|oldest| oldest > self.cursor + 1) =>
            {
                self.answers.push_back(encode(&ServerFrame::Expired { oldest }));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "the log can't be read");
                return Err(End::Close(CloseCode::Error, "the log can't be read"));
            }
        }
        Ok(())
    }

    async fn carry(&mut self, mut frames: Frames) -> End {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut draining = self.hands.front.draining.subscribe();
        let front = self.hands.front.clone();
        let mut link_over = std::pin::pin!(front.links.over(self.hands.identity.clone()));
        loop {
            if let Err(end) = self.refill().await {
                return end;
            }
            let next = self.next_size();
            let outbox = self.outbox.clone();
            let side = std::rc::Rc::clone(&self.hands.side);
            let room = self.commands.len() + self.answers.len() < COMMANDS;
            tokio::select! {
                biased;
                Some(answer) = self.commands.next(), if !self.commands.is_empty() => {
                    self.answers.extend(answer.as_ref().map(encode));
                }
                share = outbox.share(next.unwrap_or(0)), if next.is_some() => {
                    if let Err(end) = share.map_err(End::from).and_then(|share| self.send(share)) {
                        return end;
                    }
                }
                () = side.ready(), if side.size().is_none() => {}
                message = frames.next(), if room => match self.hear(message) {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                // It changes once; a receiver from before the end sees it.
                _ = self.subscription.closed.changed() => {
                    return self.session_ended();
                }
                () = &mut link_over => {
                    return End::Close(CloseCode::Policy, "the link is over");
                }
                _ = self.subscription.heads.changed() => {}
                _ = self.subscription.outputs.changed() => {}
                _ = ping.tick() => self.pings.push_back(Out::Ping),
                _ = draining.wait_for(|draining| *draining) => {
                    let frame = encode(&ServerFrame::Draining { retry_after: 2 });
                    if let Ok(Ok(share)) = timeout(FAREWELL, self.outbox.share(frame.len())).await {
                        drop(self.outbox.put(Out::Text(frame), share));
                    }
                    return End::Close(CloseCode::Away, "the server ends: reconnect");
                }
            }
        }
    }

    fn session_ended(&self) -> End {
        if self.subscription.feed.is_deleted() {
            End::Close(CloseCode::Policy, "the session was deleted")
        } else {
            End::Close(CloseCode::Restart, "the session begins anew: reconnect")
        }
    }

    /// Takes the next events, and output once there are none: a piece of output never comes before
    /// the action that made it. Only when what was taken before is on its way.
    async fn refill(&mut self) -> Result<(), End> {
        if self.output.is_empty() && self.events.is_empty() {
            let feed = &self.subscription.feed;
            let (events, cursor) = feed.frames(self.cursor, BATCH).await.map_err(|error| {
                tracing::error!(%error, "the log can't be read");
                End::Close(CloseCode::Error, "the log can't be read")
            })?;
            self.cursor = cursor;
            if events.is_empty() {
                let (output, next) = feed.output(self.next_output, self.cursor, PARTIALS);
                self.next_output = next;
                self.output.extend(output);
            }
            self.events.extend(events);
        }
        Ok(())
    }

    fn next_size(&self) -> Option<usize> {
        if !self.pings.is_empty() {
            return Some(0);
        }
        let log = || self.output.front().or(self.events.front()).map(Bytes::len);
        let side = || self.hands.side.size();
        self.answers
            .front()
            .map(Bytes::len)
            .or_else(|| if self.side_waits { log().or_else(side) } else { side().or_else(log) })
    }

    fn send(&mut self, share: Share) -> Result<(), End> {
        let out = self.next_out();
        if self.events.is_empty() {
            self.subscription.advance(self.cursor);
        }
        match out {
            Some(out) => Ok(self.outbox.put(out, share)?),
            None => Ok(()),
        }
    }

    /// What goes out next, in the order of [`next_size`](Self::next_size).
    fn next_out(&mut self) -> Option<Out> {
        if let Some(ping) = self.pings.pop_front() {
            return Some(ping);
        }
        if let Some(answer) = self.answers.pop_front() {
            return Some(Out::Text(answer));
        }
        let waits = std::mem::take(&mut self.side_waits);
        if !waits && let Some(out) = self.hands.side.take() {
            self.side_waits = true;
            return Some(out);
        }
        let log = self.output.pop_front().or_else(|| self.events.pop_front()).map(Out::Text);
        log.or_else(|| self.hands.side.take())
    }

    fn hear(&mut self, message: Result<In, ReadFailed>) -> Result<(), End> {
        match message {
            Ok(In::Text(text)) => match parse(&text) {
                Ok(frame) => self.commands.push(self.hands.carry_out(frame)),
                Err(answer) => self.answers.push_back(encode(&answer)),
            },
            Ok(In::Binary(bytes)) => {
                if let Err(answer) = self.hands.binary(&bytes) {
                    self.answers.push_back(encode(&answer));
                }
            }
            Ok(In::Ping(bytes)) => {
                // Only the newest needs an answer (RFC 6455 §5.5.3).
                self.pings.retain(|out| matches!(out, Out::Ping));
                self.pings.push_back(Out::Pong(bytes));
            }
            Ok(In::Pong) => {}
            Ok(In::Close) => return Err(End::Close(CloseCode::Normal, "good-bye")),
            Err(ReadFailed::Ended) => return Err(End::Gone),
            Err(ReadFailed::TooLarge) => {
                return Err(End::Close(CloseCode::Size, "the message is too large"));
            }
            Err(ReadFailed::NotUtf8) => {
                return Err(End::Close(CloseCode::Invalid, "the message is not UTF-8"));
            }
            Err(ReadFailed::Protocol(_)) => {
                return Err(End::Close(CloseCode::Protocol, "no WebSocket frame"));
            }
        }
        Ok(())
    }
}
