//! File operations, and the answers that are kept so that a repeated `ref` acts once (reference §12.2).

use std::{collections::VecDeque, time::Duration};

use actix::{Handler, ResponseFuture};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use staithe_link::{Link, LinkFailed};
use staithe_protocol::{
    files::{FileCode, FileDenied, FileDone, FileOp},
    runner::{Answer, Call},
};
use tokio::time::Instant;

use super::{
    Runtime,
    messages::{ActFailed, DoFile},
};
use crate::event_stream::messages::Reference;

/// A file operation's deadline: reading and hashing the largest inline file takes well under it.
const DEADLINE: Duration = Duration::from_mins(1);
/// Answers kept per session, and for how long; the reference's figures (§12.2).
const KEPT: usize = 256;
const KEPT_FOR: Duration = Duration::from_mins(5);

type Outcome = Result<FileDone, FileDenied>;

/// Answers to operations that change something; reading again does no harm.
#[derive(Default)]
pub(super) struct Replies(VecDeque<Reply>);

struct Reply {
    reference: Reference,
    at: Instant,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

impl Replies {
    /// The first answer to this reference; `call` is carried out when there was none.
    fn answer(
        &mut self,
        reference: Reference,
        now: Instant,
        call: BoxFuture<'static, Outcome>,
    ) -> BoxFuture<'static, Outcome> {
        self.0.retain(|reply| now.duration_since(reply.at) < KEPT_FOR && reply.may_stand());
        if let Some(first) = self.0.iter().find(|reply| reply.reference.name == reference.name) {
            if first.reference == reference {
                return first.outcome.clone().boxed();
            }
            let words = "the ref was used for another operation";
            return std::future::ready(Err(FileDenied::new(FileCode::BadMessage, words))).boxed();
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        let outcome = call.shared();
        self.0.push_back(Reply { reference, at: now, outcome: outcome.clone() });
        outcome.boxed()
    }
}

impl Reply {
    /// What was never carried out may be tried again.
    fn may_stand(&self) -> bool {
        let code = self.outcome.peek().and_then(|outcome| outcome.as_ref().err());
        !code.is_some_and(|denied| {
            matches!(denied.code, FileCode::RuntimeNotReady | FileCode::RuntimeUnavailable)
        })
    }
}

async fn carry_out(line: Result<Link, ActFailed>, op: FileOp, origin: Option<String>) -> Outcome {
    let denied = |code, message: String| Err(FileDenied::new(code, message));
    let Ok(line) = line else {
        return denied(FileCode::RuntimeNotReady, "the sandbox is not ready".into());
    };
    match line.call(Call::File { op, origin }, DEADLINE).await {
        Ok(Answer::FileDone { done }) => Ok(done),
        Ok(Answer::FileDenied { denied }) => Err(denied),
        Ok(other) => denied(FileCode::Internal, format!("unexpected answer: {other:?}")),
        Err(LinkFailed::TimedOut(_)) => {
            denied(FileCode::Timeout, "the operation may have been carried out".into())
        }
        Err(error) => denied(FileCode::RuntimeUnavailable, error.to_string()),
    }
}

impl Handler<DoFile> for Runtime {
    type Result = ResponseFuture<Outcome>;

    fn handle(&mut self, ask: DoFile, _: &mut Self::Context) -> Self::Result {
        let DoFile { op, reference, origin } = ask;
        let reference = reference
            .filter(|_| op.mutates())
            .and_then(|name| Some(Reference::new(name, &serde_json::to_value(&op).ok()?)));
        let call = carry_out(self.line(), op, origin).boxed();
        match reference {
            Some(reference) => self.replies.answer(reference, Instant::now(), call),
            None => call,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn done(path: &str) -> BoxFuture<'static, Outcome> {
        let done = FileDone { path: path.to_owned(), ..FileDone::default() };
        std::future::ready(Ok(done)).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_ref_gets_the_first_answer_and_another_operation_under_it_none() {
        let mut replies = Replies::default();
        let (one, other) = (Reference::new("r", &json!(1)), Reference::new("r", &json!(2)));
        let first = replies.answer(one.clone(), Instant::now(), done("first")).await;
        let again = replies.answer(one.clone(), Instant::now(), done("second")).await;
        assert_eq!(first, again);
        let reused = replies.answer(other, Instant::now(), done("third")).await;
        assert_eq!(reused.map_err(|denied| denied.code), Err(FileCode::BadMessage));
        tokio::time::advance(KEPT_FOR).await;
        let later = replies.answer(one, Instant::now(), done("fourth")).await;
        assert_eq!(later.map(|done| done.path), Ok("fourth".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_carried_out_is_tried_again() {
        let mut replies = Replies::default();
        let reference = Reference::new("r", &json!(1));
        let down = FileDenied::new(FileCode::RuntimeNotReady, "");
        let call = std::future::ready(Err(down.clone())).boxed();
        assert_eq!(replies.answer(reference.clone(), Instant::now(), call).await, Err(down));
        let again = replies.answer(reference, Instant::now(), done("made")).await;
        assert_eq!(again.map(|done| done.path), Ok("made".to_owned()));
    }
}
