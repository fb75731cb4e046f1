//! Programs that an interrupt cannot have reached.
//!
//! A shell forks, gives the terminal to the child, and the child executes the program. A signal to the group in the
//! foreground misses a child that is just forked and has not got the terminal yet; bash blocks the signal meanwhile and
//! sees it when the child has ended; its handler, which the child has until it executes the program, forgets it. Whoever
//! meant the program would wait for ever. What the shell's own trap starts came later and has missed nothing.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal};
use tokio::time::Instant;

/// A program that comes to the foreground so soon after an interrupt, and had been forked before it, has missed it.
const FOR: Duration = Duration::from_secs(3);

/// How things stood before an interrupt.
#[derive(Debug)]
pub struct Before {
    shell: Pid,
    pub front: Option<Pid>,
    /// Children of the shell that are no other program yet, if it has the terminal.
    children: Vec<Pid>,
}

impl Before {
    /// `front`: the group in the foreground of the terminal of `shell`.
    pub fn look(shell: Pid, front: Option<Pid>) -> Self {
        let mut children = if front == Some(shell) { children(shell) } else { Vec::new() };
        children.retain(|child| is_same(*child, shell));
        Self { shell, front, children }
    }

    /// The signal was sent: who may have missed it.
    pub fn sent(self, signal: Signal) -> Option<Missed> {
        let Self { shell, front, children } = self;
        let front = front?;
        let blocked = front == shell && has_it_blocked(shell);
        let unready = (front != shell && is_same(front, shell)).then_some(front);
        let missed = Missed { signal, until: Instant::now() + FOR, blocked, children, unready };
        (!missed.is_nobody()).then_some(missed)
    }
}

/// Who may have missed an interrupt.
#[derive(Debug)]
pub struct Missed {
    signal: Signal,
    until: Instant,
    /// Whoever gets the terminal next: the shell was about to fork.
    blocked: bool,
    children: Vec<Pid>,
    /// Had the terminal, and was no other program yet.
    unready: Option<Pid>,
}

impl Missed {
    /// Whoever gets the terminal next.
    pub fn next(signal: Signal) -> Self {
        let until = Instant::now() + FOR;
        Self { signal, until, blocked: true, children: Vec::new(), unready: None }
    }

    /// What `front`, the group in the foreground, is to be sent now.
    pub fn due(&mut self, shell: Pid, front: Option<Pid>) -> Option<(Pid, Signal)> {
        let front = front.filter(|front| *front != shell)?;
        if self.blocked || self.children.contains(&front) {
            self.blocked = false;
            self.children.clear();
            self.unready = is_same(front, shell).then_some(front);
            return Some((front, self.signal));
        }
        if self.unready == Some(front) && !is_same(front, shell) {
            self.unready = None;
            return Some((front, self.signal));
        }
        None
    }

    /// Whether nobody is left who may have missed it.
    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.until || self.is_nobody()
    }

    fn is_nobody(&self) -> bool {
        !self.blocked && self.children.is_empty() && self.unready.is_none()
    }
}

/// Whether both run the same program: a fork that has executed none yet does.
fn is_same(one: Pid, other: Pid) -> bool {
    let program = |pid: Pid| fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).ok();
    program(one).is_some_and(|it| Some(it) == program(other))
}

/// Whether `SIGINT` waits for a process that does not want it now.
fn has_it_blocked(pid: Pid) -> bool {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap_or_default();
    let has_it = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.unwrap_or(0) & (1 << (Signal::INT.as_raw() - 1)) != 0
    };
    has_it("SigBlk:") && has_it("ShdPnd:")
}

/// A process's children; none where the kernel does not tell.
fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let told = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    told.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)).collect()
}
