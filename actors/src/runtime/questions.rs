//! Small questions to a sandbox, each with a short deadline.

use std::time::Duration;

use actix::{Handler, ResponseFuture};
use staithe_engine::Stats;
use staithe_link::{Link, LinkFailed};
use staithe_protocol::runner::{Answer, Call, Cloned};

use super::{
    Runtime,
    messages::{
        ActFailed, Activity, CloneFailed, CloneRepository, GetActivity, GetLine, GetLogs, GetStats,
        InterruptCommand,
    },
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

    fn handle(
        &mut self,
        InterruptCommand { only }: InterruptCommand,
        _: &mut Self::Context,
    ) -> Self::Result {
        let line = self.line();
        Box::pin(async move {
            match line?.call(Call::Interrupt { only }, QUESTION_DEADLINE).await {
                Ok(Answer::Interrupted { running }) => Ok(running),
                Ok(other) => Err(ActFailed::Refused(format!("unexpected answer: {other:?}"))),
                Err(_) => Err(ActFailed::NotConnected),
            }
        })
    }
}

impl Handler<CloneRepository> for Runtime {
    type Result = ResponseFuture<Result<Cloned, CloneFailed>>;

    fn handle(&mut self, asked: CloneRepository, _: &mut Self::Context) -> Self::Result {
        let CloneRepository { wish, limit } = asked;
        let line = self.line();
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Box::pin(async move {
            let line = line.map_err(|_| CloneFailed::NotConnected)?;
            match line.call(Call::Clone { wish, timeout_ms }, limit + QUESTION_DEADLINE).await {
                Ok(Answer::Cloned { cloned }) => Ok(cloned),
                Ok(Answer::NotCloned { denied }) => Err(denied.into()),
                Ok(Answer::Failed { error }) => Err(CloneFailed::Refused(error.to_string())),
                Ok(other) => Err(CloneFailed::Refused(format!("unexpected answer: {other:?}"))),
                Err(LinkFailed::Down | LinkFailed::Cut) => Err(CloneFailed::NotConnected),
                Err(error) => Err(CloneFailed::Refused(error.to_string())),
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
