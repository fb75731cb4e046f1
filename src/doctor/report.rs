//! How findings look: a table for people, JSON for programs. Pure.

use std::fmt::Write;

use super::finding::{Finding, Status};

/// Findings for people: by group, aligned, with one summary line at the end.
pub(crate) fn text(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = "";
    for finding in findings {
        if group_of(finding.check) != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = group_of(finding.check);
            line(&mut text, &format!("{gap}{group}"));
        }
        let status = painted(finding.status, colour);
        line(&mut text, &format!("  {status}  {:<width$}  {}", finding.check, finding.found));
        if let Some(remedy) = &finding.remedy {
            line(&mut text, &format!("          {:<width$}  → {remedy}", ""));
        }
    }
    line(&mut text, &format!("\n{}", summary(findings)));
    text
}

/// Findings for programs.
pub(crate) fn json(findings: &[Finding]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(findings)
}

/// The worst of all.
pub(crate) fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    writeln!(text, "{line}").unwrap_or_default();
}

fn group_of(check: &str) -> &'static str {
    match check.split('.').next().unwrap_or_default() {
        "config" | "exposure" => "Configuration",
        "docker" => "Docker",
        "local" => "Local sandboxes",
        "engine" => "Engine",
        _ => "This machine",
    }
}

/// A symbol and a word, each of which says it alone.
fn painted(status: Status, colour: bool) -> String {
    let (words, code) = match status {
        Status::Ok => ("✓ ok  ", 32),
        Status::Warn => ("! warn", 33),
        Status::Fail => ("✗ fail", 31),
    };
    if colour { format!("\x1b[{code}m{words}\x1b[0m") } else { words.to_owned() }
}

fn summary(findings: &[Finding]) -> String {
    let of = |status| findings.iter().filter(|finding| finding.status == status).count();
    let number = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let all = number(findings.len(), "check");
    let warnings = match of(Status::Warn) {
        0 => String::new(),
        count => format!(", {}", number(count, "warning")),
    };
    match of(Status::Fail) {
        0 if warnings.is_empty() => format!("{all}, all ok: `staithe serve` can start."),
        0 => format!("{all}{warnings}, nothing failed: `staithe serve` can start."),
        failed => {
            format!("{all}, {failed} failed{warnings}: do what → says, then run this again.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 3] {
        [
            Finding::ok("config", "good"),
            Finding::warn("open_files", "few", "more"),
            Finding::fail("docker.answer", "none", "start it"),
        ]
    }

    #[test]
    fn every_line_has_a_symbol_a_word_and_its_remedy_below() {
        let shown = text(&findings(), false);
        assert_eq!(
            shown,
            "Configuration\n  \
               ✓ ok    config         good\n\n\
             This machine\n  \
               ! warn  open_files     few\n                         → more\n\n\
             Docker\n  \
               ✗ fail  docker.answer  none\n                         → start it\n\n\
             3 checks, 1 failed, 1 warning: do what → says, then run this again.\n"
        );
    }

    #[test]
    fn colour_is_only_there_when_it_is_asked_for() {
        assert!(!text(&findings(), false).contains('\x1b'));
        assert!(text(&findings(), true).contains("\x1b[31m✗ fail\x1b[0m"));
    }

    #[test]
    fn the_summary_counts() {
        let [good, warning, bad] = findings();
        let of = |findings: &[Finding]| summary(findings);
        assert_eq!(of(std::slice::from_ref(&good)), "1 check, all ok: `staithe serve` can start.");
        assert!(of(&[good.clone(), warning]).starts_with("2 checks, 1 warning, nothing failed"));
        assert!(of(&[good, bad]).starts_with("2 checks, 1 failed: do"));
    }

    #[test]
    fn json_has_the_same_words() {
        let shown = json(&findings()).expect("JSON");
        let value: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(value[0]["remedy"], serde_json::Value::Null);
        assert_eq!(value[2]["status"], "fail");
        assert_eq!(value[2]["check"], "docker.answer");
        assert_eq!(worst(&findings()), Status::Fail);
    }
}
