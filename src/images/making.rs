//! One making of an image while it goes on: how far it is, and what it printed.

use std::{
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use staithe_engine::{
    EngineFailed,
    images::{BuildFailed, BuildNews},
};
use staithe_image::{inputs::Inputs, names::Names, stages::Stage};
use staithe_protocol::Progress;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    course::Course, faults::MakeFailed, mask::Mask, spool::Spool, ways::Ways, workshop::tag_of,
};

/// Most characters of a line in a fault.
const TAIL_WIDTH: usize = 400;

/// Told as a making goes on: how far it is, and each line that a step prints.
pub struct Teller<'a> {
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
    pub line: &'a (dyn Fn(&str) + Send + Sync),
}

/// One making under way.
pub(super) struct Making<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) names: &'a Names,
    pub(super) recipe: &'a str,
    pub(super) teller: &'a Teller<'a>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) mask: Mask,
    pub(super) began: Instant,
    /// Of the whole build.
    pub(super) limit: Duration,
    pub(super) told: Mutex<Told>,
}

pub(super) struct Told {
    pub(super) course: Course,
    /// The stage that is being built.
    pub(super) stage: Stage,
    spool: Option<Spool>,
}

impl Told {
    pub(super) fn begin(ways: &Ways, names: &Names) -> Mutex<Self> {
        Mutex::new(Self {
            course: Course::new(&names.source, false, []),
            stage: Stage::System,
            spool: Spool::begin(&ways.dir.join("logs"), tag_of(&names.source)),
        })
    }

    fn log(&mut self, line: &str) {
        if let Some(spool) = &mut self.spool {
            spool.line(line);
        }
    }
}

impl Making<'_> {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, text: &str) {
        let text = self.mask.apply(text.to_owned());
        let progress = self.with(|told| {
            told.log(&text);
            told.course.note(text);
            told.course.progress(self.began.elapsed())
        });
        (self.teller.progress)(progress);
    }

    /// Ends the log; where it is.
    pub(super) async fn end(&self, last: &str) -> Option<PathBuf> {
        let spool = self.with(|told| {
            told.log(&self.mask.apply(last.to_owned()));
            told.spool.take()
        })?;
        tokio::task::spawn_blocking(move || spool.finish()).await.ok().flatten()
    }

    /// A step as a person wrote it: the extra lines stand in a form that keeps their quotes, and are the only
    /// command of their stage.
    fn shown(&self, step: String) -> String {
        let extra = self.with(|told| told.stage) == Stage::Final && step.starts_with("RUN");
        if !extra {
            return self.mask.apply(step);
        }
        let lines: Vec<&str> = self.inputs.extra_deps.split_whitespace().collect();
        self.mask.apply(format!("RUN {}", lines.join(" ")))
    }

    /// What failed, in words that hide what is secret; steps are counted over the whole chain, as they were told
    /// all the time.
    pub(super) fn as_shown(&self, failed: MakeFailed) -> MakeFailed {
        let one = |text: String| self.mask.apply(text);
        let line = |line: String| one(line).chars().take(TAIL_WIDTH).collect();
        let all = |lines: Vec<String>| lines.into_iter().map(line).collect();
        let MakeFailed::Build(failed) = failed else { return failed };
        let Progress { number, of, .. } = self.with(|told| told.course.progress(Duration::ZERO));
        MakeFailed::Build(match failed {
            BuildFailed::Step { text, cause, tail, .. } => BuildFailed::Step {
                number,
                of,
                text: self.shown(text),
                cause: exit_of(&cause).unwrap_or_else(|| one(cause)),
                tail: all(tail),
            },
            BuildFailed::DiskFull { cause, tail } => BuildFailed::DiskFull {
                cause: exit_of(&cause).unwrap_or_else(|| one(cause)),
                tail: all(tail),
            },
            BuildFailed::TimedOut { text, tail, .. } => BuildFailed::TimedOut {
                limit: self.limit,
                number,
                of,
                text: self.shown(text),
                tail: all(tail),
            },
            BuildFailed::Base { image, cause } => BuildFailed::Base { image, cause: one(cause) },
            BuildFailed::Engine(EngineFailed::Operation { operation, name, source, remedy }) => {
                let source = io::Error::new(source.kind(), one(source.to_string()));
                BuildFailed::Engine(EngineFailed::Operation { operation, name, source, remedy })
            }
            other @ (BuildFailed::Engine(_) | BuildFailed::Context(_) | BuildFailed::Cancelled) => {
                other
            }
        })
    }

    pub(super) fn take(&self, news: BuildNews) {
        let news = match news {
            BuildNews::Line(line) => BuildNews::Line(self.mask.apply(line)),
            BuildNews::Step { number, of, text } => {
                BuildNews::Step { number, of, text: self.shown(text) }
            }
        };
        let progress = self.with(|told| {
            match &news {
                BuildNews::Line(line) => told.log(line),
                BuildNews::Step { number, of, text } => {
                    told.log(&format!("step {number} of {of}: {text}"));
                }
            }
            told.course.take(&news);
            told.course.progress(self.began.elapsed())
        });
        if let BuildNews::Line(line) = &news {
            (self.teller.line)(line);
        }
        (self.teller.progress)(progress);
    }
}

/// The exit code of a step in the words of either builder, which repeat the whole step.
fn exit_of(cause: &str) -> Option<String> {
    let known = ["returned a non-zero code: ", "exit code: "];
    let code = known.iter().find_map(|words| cause.rsplit_once(words))?.1;
    let code: u32 = code.trim().parse().ok()?;
    Some(format!("it ended with exit code {code}"))
}
