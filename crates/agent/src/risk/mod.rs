//! How risky an action is, by a list of rules. Pure.
//!
//! The rules know what is plainly harmless and what plainly is not; of all else they say that they don't know. They
//! guard against mistakes: a program that wants to can hide from them, which is what the sandbox is for.

mod commands;
mod paths;
mod shell;

use std::collections::BTreeSet;

use staithe_protocol::Action;

use self::paths::{Place, is_secret};

/// How bad it may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Low,
    Medium,
    High,
}

impl Level {
    /// As `security_risk` has it: 0 low, 1 medium, 2 high.
    pub fn number(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
        }
    }

    /// Reads `security_risk`; −1 and what is unknown are none.
    pub fn of_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Low),
            1 => Some(Self::Medium),
            2 => Some(Self::High),
            _ => None,
        }
    }
}

/// What the rules say of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessed {
    /// None: the rules don't know.
    pub level: Option<Level>,
    /// The rules of high risk that it meets.
    pub rules: BTreeSet<&'static str>,
    /// What it is like, for an agreement to all of a kind: the tool, and of commands each program, or each rule that
    /// it meets. Empty: like nothing else.
    pub kinds: BTreeSet<String>,
}

impl Assessed {
    fn plain(level: Option<Level>, kind: &str) -> Self {
        Self { level, rules: BTreeSet::new(), kinds: BTreeSet::from([kind.to_owned()]) }
    }

    fn high(rule: &'static str, kind: &str) -> Self {
        let kinds = BTreeSet::from([format!("{kind}:{rule}")]);
        Self { level: Some(Level::High), rules: BTreeSet::from([rule]), kinds }
    }
}

/// Assesses an action of a session whose files are below `workspace`, an absolute path.
pub fn assess(action: &Action, workspace: &str) -> Assessed {
    let place = Place::new(workspace);
    match action {
        Action::Run(run) if run.is_input => input(&run.command),
        Action::Run(run) => commands::assess(&run.command, &place, 0),
        Action::RunIpython(cell) => python(&cell.code, &place),
        Action::Read(read) if is_secret(&read.path) => Assessed::high("credentials", "read"),
        Action::Read(_) => Assessed::plain(Some(Level::Low), "read"),
        Action::Write(write) => file(&write.path, &place),
        Action::Edit(edit) if edit.command == "view" && !is_secret(&edit.path) => {
            Assessed::plain(Some(Level::Low), "read")
        }
        Action::Edit(edit) => file(&edit.path, &place),
        Action::Browse(browse) if browse.url.starts_with("file:") => {
            Assessed::high("local_page", "browser")
        }
        Action::BrowseInteractive(browse) if browse.browser_actions.contains("upload_file") => {
            Assessed::high("send_out", "browser")
        }
        Action::Browse(_) | Action::BrowseInteractive(_) => {
            Assessed::plain(Some(Level::Medium), "browser")
        }
        Action::CallToolMcp(call) => Assessed::plain(None, &format!("mcp:{}", call.name)),
        Action::Delegate(_) => Assessed::plain(Some(Level::Low), "delegate"),
        _ => Assessed::plain(Some(Level::Low), action.name()),
    }
}

/// Keys for a program that runs: who can say what it does with them.
fn input(text: &str) -> Assessed {
    let harmless = matches!(text.trim(), "" | "C-c" | "C-d" | "C-z" | "q");
    Assessed::plain(harmless.then_some(Level::Low), "input")
}

fn file(path: &str, place: &Place) -> Assessed {
    if is_secret(path) {
        Assessed::high("credentials", "edit")
    } else if place.is_outside(path, Some(place.workspace())) {
        Assessed::high("write_outside", "edit")
    } else {
        Assessed::plain(Some(Level::Low), "edit")
    }
}

/// Python is not read, but for the shell commands in it and for what speaks for itself.
fn python(code: &str, place: &Place) -> Assessed {
    const DOUBTFUL: [&str; 9] = [
        "subprocess",
        "os.system",
        "os.remove",
        "rmtree",
        "unlink(",
        "requests.",
        "urllib",
        "socket",
        "exec(",
    ];
    if is_secret(code) {
        return Assessed::high("credentials", "python");
    }
    let mut whole = Assessed::plain(Some(Level::Medium), "python");
    if DOUBTFUL.iter().any(|word| code.contains(word)) {
        whole.level = None;
    }
    let body = code.trim_start();
    let cell = ["%%bash", "%%sh"].iter().find_map(|magic| body.strip_prefix(magic));
    let lines = code.lines().filter_map(|line| line.trim_start().strip_prefix('!'));
    for script in cell.into_iter().chain(lines) {
        let inner = commands::assess(script, place, 1);
        if inner.level == Some(Level::High) {
            whole.kinds.clear();
            whole.level = Some(Level::High);
        } else if whole.level != Some(Level::High) && inner.level.is_none() {
            whole.level = None;
        }
        whole.rules.extend(inner.rules);
        whole.kinds.extend(inner.kinds);
    }
    whole
}

#[cfg(test)]
mod tests;
