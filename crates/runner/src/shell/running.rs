//! The command that runs, who waits for it, and what they are told.

use std::time::Duration;

use staithe_protocol::{
    Observation,
    action::Run,
    observation::{RunMetadata, RunObservation},
    runner::Limits,
};
use tokio::{sync::oneshot, time::Instant};

use super::{capture::Capture, missed::Missed, spool::Spool};
use crate::account::Entry;

/// Least and most bytes of output in an observation, whatever is asked.
const OUTPUT: std::ops::RangeInclusive<u64> = 256..=8 * 1024 * 1024;

/// A `run` that is asked for.
pub struct Ask {
    pub key: String,
    pub run: Run,
    pub limits: Limits,
    pub reply: oneshot::Sender<Observation>,
}

/// Somebody waits for an observation.
pub struct Waiter {
    pub run: Run,
    pub most: usize,
    pub timeout: Duration,
    pub hard: Instant,
    /// How long without output; none when it waits for the end.
    pub quiet: Option<Duration>,
    since: Instant,
    pub prefix: String,
    reply: oneshot::Sender<Observation>,
}

impl Waiter {
    pub fn new(ask: Ask, prefix: String, now: Instant) -> Self {
        let timeout = Duration::from_millis(ask.limits.timeout_ms);
        let quiet = Duration::from_millis(ask.limits.no_change_ms);
        Self {
            most: most(&ask.limits),
            timeout,
            hard: later(now, timeout),
            quiet: (!ask.run.blocking).then_some(quiet),
            since: now,
            prefix,
            run: ask.run,
            reply: ask.reply,
        }
    }

    /// When it is told that nothing new came, if nothing comes.
    pub fn quiet_at(&self, last_output: Instant) -> Option<Instant> {
        self.quiet.map(|quiet| later(last_output.max(self.since), quiet))
    }

    pub fn answer(self, observation: Observation) {
        drop(self.reply.send(observation)); // who asked may have gone
    }
}

/// Bytes of output that an observation under these limits holds.
pub fn most(limits: &Limits) -> usize {
    usize::try_from(limits.max_output.clamp(*OUTPUT.start(), *OUTPUT.end())).unwrap_or(usize::MAX)
}

/// A time so much later; far away instead of beyond the clock's end.
fn later(from: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365);
    from + time.min(FAR)
}

/// A command in the shell.
pub struct Running {
    pub key: String,
    pub began: bool,
    /// What was not told yet.
    pub capture: Capture,
    pub total: u64,
    /// Lines of input that it left behind.
    pub unread: u64,
    pub spool: Spool,
    pub waiters: Vec<Waiter>,
    pub started: Instant,
    pub last_output: Instant,
    /// The last control key that was sent to it.
    pub key_sent: Option<u8>,
    /// When the shell was last asked how things stand, and when it is next, if nothing comes.
    pub asked: Option<Instant>,
    pub ask_at: Option<Instant>,
    /// Questions that were typed and that nothing has read yet, as far as is known.
    pub questions: u64,
    /// Who may have missed an interrupt.
    pub missed: Option<Missed>,
    /// It was interrupted before it had begun.
    pub early: bool,
}

impl Running {
    /// So many lines were thrown away with the terminal's input. A question of ours among them is asked again.
    pub fn dropped(&mut self, lines: u64) {
        self.unread += lines.saturating_sub(std::mem::take(&mut self.questions));
        self.asked = None;
    }
}

/// How an observation is told.
#[derive(Default)]
pub struct Told {
    pub content: String,
    pub exit_code: i64,
    pub suffix: String,
    pub total: Option<u64>,
    pub unread: Option<u64>,
}

/// What does not change from command to command.
#[derive(Clone, Debug)]
pub struct Identity {
    pub username: String,
    pub hostname: String,
}

impl Identity {
    /// Who runs here. What the environment says belongs to another if this program `became` its user.
    pub fn here(entry: Option<&Entry>, became: bool) -> Self {
        let name = |variable| {
            let value = std::env::var(variable).ok();
            value.filter(|name| !name.is_empty() && !became)
        };
        let uid = rustix::process::getuid();
        let username = name("USER")
            .or_else(|| name("LOGNAME"))
            .or_else(|| entry.map(|entry| entry.name.clone()))
            .unwrap_or_else(|| {
                if uid.is_root() { "root".to_owned() } else { uid.as_raw().to_string() }
            });
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { username, hostname }
    }

    /// The observation of a `run`.
    pub fn observe(
        &self,
        run: &Run,
        shell: Option<i64>,
        cwd: &str,
        prefix: String,
        told: Told,
    ) -> Observation {
        let mut content = told.content;
        if content.ends_with('\n') {
            content.pop();
        }
        let pid = shell.unwrap_or(-1);
        Observation::Run(RunObservation {
            content,
            command: run.command.clone(),
            command_id: pid,
            exit_code: told.exit_code,
            hidden: run.hidden,
            interpreter_details: String::new(),
            metadata: RunMetadata {
                exit_code: told.exit_code,
                pid,
                username: Some(self.username.clone()),
                hostname: Some(self.hostname.clone()),
                working_dir: Some(cwd.to_owned()),
                py_interpreter_path: None,
                prefix,
                suffix: told.suffix,
            },
            total_bytes: told.total,
            unread_lines: told.unread,
        })
    }
}
