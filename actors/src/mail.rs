//! Asking and telling: the only place that speaks to an actor's mailbox.
//!
//! actix bounds a mailbox only for one awaited `send` per producer (house style, part 3: 2, 3), and
//! `do_send` drops a message to a closed mailbox without a word. So: whoever can wait asks; facts that
//! go up the tree are told, and each of them follows from an input that was itself bounded.

use std::time::Duration;

use actix::{Actor, Addr, Handler, Message, dev::ToEnvelope};
use tokio::time::Instant;

/// A message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{actor} did not answer {message}: {cause}")]
pub struct SendFailed {
    /// The actor's type.
    pub actor: &'static str,
    /// The message's type.
    pub message: &'static str,
    pub cause: SendFailure,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The actor ended before or while it handled the message.
    #[error("it has ended")]
    Closed,
    /// The deadline passed. A command may still be carried out; only questions have deadlines.
    #[error("the deadline passed")]
    TimedOut,
}

/// Sends a message and waits for the answer. The message is in the mailbox when this returns, so that
/// two calls in a row arrive in that order.
pub fn ask<A, M>(
    addr: &Addr<A>,
    message: M,
) -> impl Future<Output = Result<M::Result, SendFailed>> + use<A, M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    // A clone has a slot of its own: through the shared address, a full mailbox would take the message
    // only when the request is first polled, after others that came later.
    let request = addr.clone().send(message);
    let asked = Instant::now();
    async move {
        let answer = request.await.map_err(failed::<A, M>);
        note_wait::<A, M>(asked);
        answer
    }
}

/// From asking to the answer, whatever it took: actix tells neither the depth of a mailbox nor the
/// time in it.
fn note_wait<A, M>(asked: Instant) {
    let (actor, message) = (short::<A>(), short::<M>());
    metrics::histogram!("staithe_actor_wait_seconds", "actor" => actor, "message" => message)
        .record(asked.elapsed().as_secs_f64());
}

/// A type's name without its path.
fn short<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// As [`ask`], for a question that loses its worth after `within`.
pub async fn ask_within<A, M>(
    addr: &Addr<A>,
    message: M,
    within: Duration,
) -> Result<M::Result, SendFailed>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    addr.send(message).timeout(within).await.map_err(failed::<A, M>)
}

/// Tells a fact. An actor that has ended has no use for it.
#[expect(clippy::disallowed_methods, reason = "the one place; see the module's head")]
pub fn tell<A, M>(addr: &Addr<A>, fact: M)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = ()> + Send + 'static,
{
    addr.do_send(fact);
}

fn failed<A, M>(error: actix::MailboxError) -> SendFailed {
    let cause = match error {
        actix::MailboxError::Closed => SendFailure::Closed,
        actix::MailboxError::Timeout => SendFailure::TimedOut,
    };
    SendFailed { actor: short::<A>(), message: short::<M>(), cause }
}
