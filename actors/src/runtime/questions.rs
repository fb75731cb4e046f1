//! Small questions to a sandbox, each with a short deadline.

use std::time::Duration;

use actix::{Handler, ResponseFuture};
use staithe_engine::Stats;
use staithe_link::Link;
use staithe_protocol::runner::{Answer, Call};

use super::{
    Runtime,
    messages::{ActFailed, Activity, GetActivity, GetLine, GetLogs, GetStats, InterruptCommand},
};

/// How long an answer may take.
pub(super) const QUESTION_DEADLINE: Duration = Duration::from_secs(10);

impl Handler<GetActivity> for Runtime {
    type Result = ResponseFuture<Result<Activity, ActFailed>>;

    fn handle(&mut self, _: GetActivity, _: &mut Self::Context) -> Self::Result {
        let line = self.line();
        Box::pin(async move {
            match line?.call(Call::Info {}, QUESTION_DEADLINE).await {
                Ok(Answer::Info { info }) => {
                    let idle = Duration::try_from_secs_f64(info.idle_time).unwrap_or_default();
                    Ok(Activity { busy: info.busy, idle })
                }
                Ok(other) => Err(ActFailed::Refused(format!("unexpected answer: {other:?}"))),
                Err(_) => Err(ActFailed::NotConnected),
            }
        })
    }
}

impl Handler<InterruptCommand> for Runtime {
    type Result = ResponseFuture<Result<bool, ActFailed>>;

    fn handle(&mut self, _: InterruptCommand, _: &mut Self::Context) -> Self::Result {
        let line = self.line();
        Box::pin(async move {
            match line?.call(Call::Interrupt {}, QUESTION_DEADLINE).await {
                Ok(Answer::Interrupted { running }) => Ok(running),
                Ok(other) => Err(ActFailed::Refused(format!("unexpected answer: {other:?}"))),
                Err(_) => Err(ActFailed::NotConnected),
            }
        })
    }
}

impl Handler<GetLine> for Runtime {
    type Result = Result<Link, ActFailed>;

    fn handle(&mut self, _: GetLine, _: &mut Self::Context) -> Self::Result {
        self.line()
    }
}

impl Handler<GetStats> for Runtime {
    type Result = ResponseFuture<Option<Stats>>;

    fn handle(&mut self, _: GetStats, _: &mut Self::Context) -> Self::Result {
        let engine = self.origin.engine.clone();
        let sandbox = self.connected.as_ref().map(|line| line.sandbox.clone());
        Box::pin(async move {
            let stats = engine.stats(&sandbox?).await;
            stats.inspect_err(|error| tracing::warn!(%error, "a sandbox can't be measured")).ok()
        })
    }
}

impl Handler<GetLogs> for Runtime {
    type Result = ResponseFuture<Vec<String>>;

    fn handle(&mut self, GetLogs { tail }: GetLogs, _: &mut Self::Context) -> Self::Result {
        let engine = self.origin.engine.clone();
        let sandbox = self.connected.as_ref().map(|line| line.sandbox.clone());
        Box::pin(async move {
            match sandbox {
                Some(sandbox) => engine.logs(&sandbox, tail).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a sandbox's log can't be read");
                    vec![format!("The log can't be read: {error}")]
                }),
                None => Vec::new(),
            }
        })
    }
}
