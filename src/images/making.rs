//! One making of an image while it goes on: how far it is, and what it printed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use staithe_engine::images::{BuildFailed, BuildNews};
use staithe_image::{inputs::Inputs, names::Names};
use staithe_protocol::Progress;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    course::Course, faults::MakeFailed, mask::Mask, spool::Spool, ways::Ways, workshop::tag_of,
};

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
    pub(super) told: Mutex<Told>,
}

pub(super) struct Told {
    pub(super) course: Course,
    pub(super) spool: Spool,
}

impl Told {
    pub(super) fn begin(ways: &Ways, names: &Names) -> Mutex<Self> {
        Mutex::new(Self {
            course: Course::new(&names.source, false, []),
            spool: Spool::begin(&ways.dir.join("logs"), tag_of(&names.source)),
        })
    }
}

impl Making<'_> {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, text: &str) {
        let text = self.mask.apply(text.to_owned());
        let progress = self.with(|told| {
            told.spool.line(&text);
            told.course.note(text);
            told.course.progress(self.began.elapsed())
        });
        (self.teller.progress)(progress);
    }

    /// A step as a person wrote it: the extra lines stand in a form that keeps their quotes.
    fn shown(&self, step: String) -> String {
        if !step.contains("staithe-sbom record extra") {
            return step;
        }
        let lines: Vec<&str> = self.inputs.extra_deps.split_whitespace().collect();
        format!("RUN {}", lines.join(" "))
    }

    /// The tail and the step's text are the builder's own words.
    pub(super) fn as_shown(&self, failed: MakeFailed) -> MakeFailed {
        let one = |text: String| self.mask.apply(text);
        let all = |lines: Vec<String>| lines.into_iter().map(one).collect();
        let MakeFailed::Build(failed) = failed else { return failed };
        // Counted over the whole chain, as it was told all the time.
        let Progress { number, of, .. } = self.with(|told| told.course.progress(Duration::ZERO));
        MakeFailed::Build(match failed {
            BuildFailed::Step { text, cause, tail, .. } => BuildFailed::Step {
                number,
                of,
                text: one(self.shown(text)),
                cause: exit_of(&cause).unwrap_or_else(|| one(cause)),
                tail: all(tail),
            },
            BuildFailed::DiskFull { cause, tail } => {
                BuildFailed::DiskFull { cause: one(cause), tail: all(tail) }
            }
            BuildFailed::TimedOut { limit, text, tail, .. } => BuildFailed::TimedOut {
                limit,
                number,
                of,
                text: one(self.shown(text)),
                tail: all(tail),
            },
            other => other,
        })
    }

    pub(super) fn take(&self, news: BuildNews) {
        let news = match news {
            BuildNews::Line(line) => BuildNews::Line(self.mask.apply(line)),
            BuildNews::Step { number, of, text } => {
                BuildNews::Step { number, of, text: self.mask.apply(self.shown(text)) }
            }
        };
        let progress = self.with(|told| {
            match &news {
                BuildNews::Line(line) => told.spool.line(line),
                BuildNews::Step { number, of, text } => {
                    told.spool.line(&format!("step {number} of {of}: {text}"));
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
