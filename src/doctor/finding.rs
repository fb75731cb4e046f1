//! What the doctor says: a finding for each check. Pure.

use serde::Serialize;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// The server works, but not as well as it could, or not for long.
    Warn,
    /// The server does not start, or makes no sandbox.
    Fail,
}

/// One line of the answer. Whatever is not ok has a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Its name, which scripts may rely on.
    pub check: &'static str,
    pub status: Status,
    pub found: String,
    pub remedy: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: one_line(&found.into()), remedy: None }
    }

    pub(crate) fn warn(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::bad(check, Status::Warn, found, remedy)
    }

    pub(crate) fn fail(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::bad(check, Status::Fail, found, remedy)
    }

    /// Of a status that is not ok.
    pub(crate) fn bad(
        check: &'static str,
        status: Status,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(one_line(&remedy.into()));
        Self { check, status, found: one_line(&found.into()), remedy }
    }
}

/// What others print over several lines, on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bytes as people write them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_down() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), ((2 << 30) - 1, "1.9 GiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_finding_is_one_line() {
        assert_eq!(Finding::ok("config", "a\n  |\n3 | b").found, "a | 3 | b");
    }
}
