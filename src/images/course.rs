//! How far a build is, over all its stages. Pure.

use std::{collections::VecDeque, time::Duration};

use staithe_engine::images::{BuildNews, Builder};
use staithe_protocol::Progress;

/// Adds up what the stages tell.
#[derive(Clone, Debug)]
pub(super) struct Course {
    image: String,
    /// The expectation is right, and what the builder counts beyond it are the labels that it writes at the end.
    exact: bool,
    /// Steps that each stage is expected to have, from the one that runs on.
    expected: VecDeque<u32>,
    /// Steps of the stages that are done.
    done: u32,
    number: u32,
    text: String,
    lines: VecDeque<String>,
}

impl Course {
    /// A build of stages with about so many steps each.
    pub(super) fn new(image: &str, exact: bool, expected: impl IntoIterator<Item = u32>) -> Self {
        Self {
            image: image.to_owned(),
            exact,
            expected: expected.into_iter().collect(),
            done: 0,
            number: 0,
            text: String::new(),
            lines: VecDeque::new(),
        }
    }

    /// The next stage runs.
    pub(super) fn stage_done(&mut self) {
        self.done += self.expected.pop_front().unwrap_or_default();
        self.number = 0;
    }

    /// Something before or between the steps.
    pub(super) fn note(&mut self, text: String) {
        self.text = cut(text);
        self.lines.clear();
    }

    pub(super) fn take(&mut self, news: &BuildNews) {
        match news {
            BuildNews::Step { number, of, text } => {
                let expected = self.expected.front().copied().unwrap_or(*of);
                let of = if self.exact { expected.min(*of) } else { *of };
                if *number > of {
                    return;
                }
                self.number = *number;
                if let Some(expected) = self.expected.front_mut() {
                    *expected = of;
                }
                self.note(text.clone());
            }
            BuildNews::Line(line) => {
                if self.lines.len() == Progress::LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(cut(line.clone()));
            }
        }
    }

    pub(super) fn progress(&self, elapsed: Duration) -> Progress {
        Progress {
            image: self.image.clone(),
            number: self.done + self.number,
            of: self.done + self.expected.iter().sum::<u32>(),
            text: self.text.clone(),
            lines: self.lines.iter().cloned().collect(),
            seconds: elapsed.as_secs(),
        }
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(Progress::WIDTH) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// The steps that a builder counts in a Dockerfile: the classic one counts every instruction, `BuildKit` those
/// that make a layer.
pub(super) fn steps(dockerfile: &str, builder: Builder) -> u32 {
    let instruction = |line: &str| {
        let word = line.split(' ').next().unwrap_or_default();
        match builder {
            Builder::BuildKit => ["FROM", "RUN", "COPY", "ADD", "WORKDIR"].contains(&word),
            // What goes on is indented.
            Builder::Classic => word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase()),
        }
    };
    u32::try_from(dockerfile.lines().filter(|line| instruction(line)).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u32, of: u32) -> BuildNews {
        BuildNews::Step { number, of, text: format!("RUN {number}") }
    }

    #[test]
    fn stages_add_up_and_never_go_back() {
        let mut course = Course::new("i", false, [3, 2]);
        let mut seen = Vec::new();
        for news in [step(1, 4), step(4, 4)] {
            course.take(&news);
            seen.push(course.progress(Duration::ZERO));
        }
        course.stage_done();
        course.take(&step(1, 2));
        seen.push(course.progress(Duration::from_secs(9)));
        let told: Vec<_> = seen.iter().map(|progress| (progress.number, progress.of)).collect();
        assert_eq!(told, [(1, 6), (4, 6), (5, 6)]);
        assert_eq!(seen[2].seconds, 9);
    }

    #[test]
    fn steps_that_only_write_labels_are_not_seen() {
        let mut course = Course::new("i", true, [2]);
        for number in 1..=4 {
            course.take(&step(number, 4));
        }
        let seen = course.progress(Duration::ZERO);
        assert_eq!((seen.number, seen.of, seen.text.as_str()), (2, 2, "RUN 2"));
    }

    #[test]
    fn each_builder_counts_in_its_own_way() {
        let dockerfile = "# one\nFROM a AS b\nUSER 0\nRUN x \\\n && y\nENV A=1\nCOPY a b\n";
        assert_eq!(steps(dockerfile, Builder::Classic), 5);
        assert_eq!(steps(dockerfile, Builder::BuildKit), 3);
    }

    #[test]
    fn only_the_last_lines_of_a_step_are_kept() {
        let mut course = Course::new("i", false, [1]);
        course.take(&step(1, 1));
        for number in 0..9 {
            course.take(&BuildNews::Line(format!("{number}{}", "é".repeat(300))));
        }
        let lines = course.progress(Duration::ZERO).lines;
        assert_eq!(lines.len(), Progress::LINES);
        assert!(
            lines[0].starts_with('4') && lines.iter().all(|l| l.chars().count() == Progress::WIDTH)
        );
        course.take(&step(2, 2));
        assert_eq!(course.progress(Duration::ZERO).lines.len(), 0);
    }
}
