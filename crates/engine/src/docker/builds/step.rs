//! Where a build is, and what it means when it fails there.

use super::lines::Tail;
use crate::images::BuildFailed;

/// The step that counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// From 1; 0: none has begun.
    pub(super) number: u32,
    pub(super) of: u32,
    pub(super) text: String,
    pub(super) tail: Tail,
    /// The image that the step needs from elsewhere.
    pub(super) base: Option<String>,
}

impl Step {
    /// What it means that the engine gives up here, by what it says.
    pub(super) fn failed(self, cause: String) -> BuildFailed {
        let Self { number, of, text, tail, base } = self;
        let tail = tail.lines();
        if is_full(&cause) || tail.iter().any(|line| is_full(line)) {
            return BuildFailed::DiskFull { cause, tail };
        }
        match base {
            Some(image) => BuildFailed::Base { image, cause },
            None => BuildFailed::Step { number, of, text, cause, tail },
        }
    }
}

/// Whether a disk is full by these words.
pub(super) fn is_full(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("no space left on device") || words.contains("disk quota exceeded")
}

/// The image in `FROM [--platform=…] IMAGE [AS name]`.
pub(super) fn base_of(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    words.next().filter(|word| word.eq_ignore_ascii_case("FROM"))?;
    words.find(|word| !word.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(base: Option<&str>, printed: &[&str]) -> Step {
        let mut step = Step { number: 2, of: 3, text: "RUN x".into(), ..Step::default() };
        step.base = base.map(str::to_owned);
        for line in printed {
            step.tail.push(line);
        }
        step
    }

    #[test]
    fn a_full_disk_is_one_whether_the_engine_or_the_step_says_so() {
        let said = step(None, &[]).failed("write /x: no space left on device".into());
        assert!(matches!(said, BuildFailed::DiskFull { .. }), "{said:?}");
        let base = step(Some("debian"), &[]).failed("mkdir /x: no space left on device".into());
        assert!(matches!(base, BuildFailed::DiskFull { .. }), "{base:?}");
        let printed = step(None, &["dd: error: No space left on device"]).failed("code: 1".into());
        assert!(matches!(printed, BuildFailed::DiskFull { tail, .. } if tail.len() == 1));
        let other = step(None, &["all is well"]).failed("code: 1".into());
        assert!(matches!(other, BuildFailed::Step { number: 2, of: 3, .. }), "{other:?}");
    }

    #[test]
    fn the_base_is_read_from_its_line() {
        for (text, base) in [
            ("FROM debian:12", Some("debian:12")),
            (
                "from --platform=linux/amd64 host:5000/a/b@sha256:00 AS base",
                Some("host:5000/a/b@sha256:00"),
            ),
            ("RUN echo FROM x", None),
            ("FROM", None),
        ] {
            assert_eq!(base_of(text), base, "{text}");
        }
    }
}
