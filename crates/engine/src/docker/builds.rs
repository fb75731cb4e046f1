//! Building an image: one request whose body is the context and whose answer tells how it goes.
//!
//! The engine gives the name itself, at the very end, so a name is never on half an image. A request that
//! ends early (cancelled, too late, cut) makes the engine end the build. The first builder then leaves what
//! its steps made so far; [`left`] knows it and takes it away. `BuildKit` leaves nothing but its cache.

use bollard::{
    body_try_stream,
    errors::Error,
    models::{BuildInfo, BuildInfoAux},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    DockerEngine,
    call::{Failure, call},
    client,
    create::uuid,
    images::{SILENCE, all_credentials},
};
use crate::{
    EngineFailed,
    images::{BuildFailed, BuildNews, BuildOrder, Builder, Tell},
};
use buildkit::BuildKit;
use classic::Classic;
use left::Left;
use step::{Step, is_full};

mod apart;
mod asked;
mod buildkit;
mod classic;
mod context;
pub(super) mod left;
mod lines;
mod step;

impl DockerEngine {
    pub(super) fn builders_here(&self) -> Vec<Builder> {
        // Every Docker of an API that is spoken here has it, whether or not its client uses it by itself.
        let buildkit = self.0.facts.product == "docker";
        buildkit.then_some(Builder::BuildKit).into_iter().chain([Builder::Classic]).collect()
    }

    pub(super) async fn build_image(
        &self,
        order: &BuildOrder,
        tell: Tell<'_, BuildNews>,
    ) -> Result<String, BuildFailed> {
        if !self.builders_here().contains(&order.builder) {
            return Err(BuildFailed::Engine(EngineFailed::Unsupported {
                cause: "it has no BuildKit".into(),
                remedy: "Build with the classic builder, or use Docker".into(),
            }));
        }
        let _busy = self.busy().await?;
        // By its own clock, since what it made is told by that.
        let began =
            if order.builder == Builder::Classic { self.its_time().await } else { i64::MAX };
        let mut left = Left::begin(&self.left_dir(), &uuid(), began).await?;
        let outcome = self.bounded(order, &mut left, tell).await;
        match &outcome {
            Ok(_) => left.forget().await,
            Err(failed) => {
                if was_interrupted(failed) {
                    self.await_late(&mut left).await;
                }
                self.take_away(left).await;
            }
        }
        outcome
    }

    async fn bounded(
        &self,
        order: &BuildOrder,
        left: &mut Left,
        tell: Tell<'_, BuildNews>,
    ) -> Result<String, BuildFailed> {
        let mut reader = Reader::of(order.builder);
        let ended = {
            let run = self.run_build(order, &mut reader, left, tell);
            tokio::select! {
                biased;
                () = order.cancel.cancelled() => return Err(BuildFailed::Cancelled),
                ended = timeout(order.limit, run) => ended,
            }
        };
        match ended {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(Ended::Failed(cause))) => {
                let (news, failed) = reader.failed(cause, &order.name);
                news.into_iter().for_each(tell);
                Err(failed)
            }
            Ok(Err(Ended::Otherwise(failed))) => Err(failed),
            Err(_) => {
                let Step { number, of, text, tail, .. } = reader.at();
                let (limit, tail) = (order.limit, tail.lines());
                Err(BuildFailed::TimedOut { limit, number, of, text, tail })
            }
        }
    }

    async fn run_build(
        &self,
        order: &BuildOrder,
        reader: &mut Reader,
        left: &mut Left,
        tell: Tell<'_, BuildNews>,
    ) -> Result<String, Ended> {
        let (context, broken) = context::stream(order.context.clone());
        let (mut options, credentials) = (asked::options(order), all_credentials());
        if order.builder == Builder::Classic && self.0.facts.product == "docker" {
            // Others read it in another way, and don't tell of their containers anyway.
            options.extrahosts = Some(left.mark());
        }
        let classic = asked::client(&self.0.docker, order);
        let mut stream = match order.builder {
            Builder::Classic => {
                let body = Some(body_try_stream(context));
                classic.build_image(options, Some(credentials), body).boxed()
            }
            Builder::BuildKit => {
                let docker = client::again(&self.0.host, &self.0.run_root)?;
                apart::stream(docker, options, credentials, context).boxed()
            }
        };
        let engine = |failure: Failure| Ended::Otherwise(engine_failed(failure, &order.name));
        let mut image = None;
        loop {
            match timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(info))) => {
                    image = image_in(&info).or(image);
                    reader.take(info).into_iter().for_each(tell);
                    left.note(reader).await;
                }
                Ok(Some(Err(error))) => {
                    if let Some(error) = context::taken(&broken) {
                        return Err(Ended::Otherwise(BuildFailed::Context(error)));
                    }
                    return Err(match error {
                        Error::DockerStreamError { error } => Ended::Failed(error),
                        other => engine(other.into()),
                    });
                }
                Ok(None) => break,
                // A step may be silent for long; an engine may not.
                Err(_) => drop(call(self.deadline(), self.0.docker.ping()).await.map_err(engine)?),
            }
        }
        image.ok_or_else(|| engine(Failure::Cut("the build's answer broke off".into())))
    }
}

/// How a build's answer ended early.
enum Ended {
    /// The builder gave up, with this.
    Failed(String),
    Otherwise(BuildFailed),
}

impl From<EngineFailed> for Ended {
    fn from(failed: EngineFailed) -> Self {
        Self::Otherwise(failed.into())
    }
}

/// Whether the builder itself has not given up, and may be at work yet.
fn was_interrupted(failed: &BuildFailed) -> bool {
    matches!(failed, BuildFailed::Cancelled | BuildFailed::TimedOut { .. })
}

fn engine_failed(failure: Failure, name: &str) -> BuildFailed {
    match failure {
        Failure::Refused(cause) if is_full(&cause) => {
            BuildFailed::DiskFull { cause, tail: Vec::new() }
        }
        failure => BuildFailed::Engine(failure.of("build", name)),
    }
}

fn image_in(info: &BuildInfo) -> Option<String> {
    match &info.aux {
        Some(BuildInfoAux::Default(image)) => image.id.clone(),
        _ => None,
    }
}

/// Who reads what the builder says.
enum Reader {
    Classic(Classic),
    BuildKit(BuildKit),
}

impl Reader {
    fn of(builder: Builder) -> Self {
        match builder {
            Builder::Classic => Self::Classic(Classic::default()),
            Builder::BuildKit => Self::BuildKit(BuildKit::default()),
        }
    }

    fn take(&mut self, info: BuildInfo) -> Vec<BuildNews> {
        match (self, info) {
            (Self::BuildKit(kit), BuildInfo { aux: Some(BuildInfoAux::BuildKit(status)), .. }) => {
                kit.take(&status)
            }
            (Self::Classic(classic), BuildInfo { stream: Some(words), .. }) => classic.take(&words),
            (
                Self::Classic(classic),
                BuildInfo { id, status: Some(status), progress_detail, .. },
            ) if progress_detail.as_ref().is_none_or(|detail| detail.current.is_none()) => {
                vec![classic.status(id.as_deref(), &status)]
            }
            _ => Vec::new(),
        }
    }

    fn at(self) -> Step {
        match self {
            Self::Classic(classic) => classic.at,
            Self::BuildKit(kit) => kit.at(),
        }
    }

    fn failed(self, cause: String, name: &str) -> (Vec<BuildNews>, BuildFailed) {
        let (news, step) = match self {
            Self::Classic(classic) => {
                let (news, step) = classic.failing();
                (news.into_iter().collect(), (step.number > 0).then_some((step, cause.clone())))
            }
            Self::BuildKit(kit) => kit.failing(),
        };
        let failed = match step {
            Some((step, cause)) => step.failed(cause),
            // The Dockerfile itself can't be read.
            None => engine_failed(Failure::Refused(cause), name),
        };
        (news, failed)
    }
}
