//! Processes, as `/proc` tells of them.

use std::{collections::HashMap, fs, io, os::fd::OwnedFd, sync::LazyLock, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::{Interest, unix::AsyncFd};

use crate::Stats;

/// Of the processor times in `/proc`, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often a process is looked at where it can't be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Numbers count from the boot; times too.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
});

/// One process, never mistaken for another that got its number later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Process {
    pid: i32,
    /// When it began, in the kernel's ticks since the boot.
    started: u64,
    boot: String,
}

/// What the kernel says of a process that lives.
pub(super) struct Stat {
    parent: i32,
    session: i32,
    started: u64,
    cpu_ticks: u64,
}

/// A process's line; none when it is gone, or dead and not yet reaped.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name may hold anything, also blanks and parentheses: the rest follows the last one.
fn parse_stat(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        cpu_ticks: number(11)? + number(12)?,
        started: number(19)?,
    })
}

impl Process {
    /// The living process of this number.
    pub(super) fn find(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let started = stat(pid).ok_or_else(gone)?.started;
        Ok(Self { pid, started, boot: BOOT.clone() })
    }

    /// Whether it lives. A zombie doesn't.
    pub(super) fn is_alive(&self) -> bool {
        self.boot == *BOOT && stat(self.pid).is_some_and(|s| s.started == self.started)
    }

    /// A handle on exactly this process; none when it is gone.
    fn handle(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Looked at after opening: from now on the number can't change hands unseen.
            Ok(handle) => Ok(self.is_alive().then_some(handle)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Sends a signal, to this process or nobody.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(handle) = self.handle()? else { return Ok(()) };
        match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until it has ended, whosever child it is.
    pub(super) async fn ended(&self) {
        let Ok(handle) = self.handle() else { return self.ended_by_looking().await };
        let Some(handle) = handle else { return };
        #[expect(deprecated, reason = "its successor is unsafe, for files unlike an OwnedFd")]
        let readable = AsyncFd::with_interest(handle, Interest::READABLE);
        match readable {
            Ok(ended) if ended.readable().await.is_ok() => {}
            _ => self.ended_by_looking().await,
        }
    }

    async fn ended_by_looking(&self) {
        while self.is_alive() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All that descends from it or is of its session, itself left out.
    pub(super) fn tree(&self) -> Vec<Self> {
        self.tree_with_stat().into_iter().map(|(process, _)| process).collect()
    }

    fn tree_with_stat(&self) -> Vec<(Self, Stat)> {
        let mut all: HashMap<i32, Stat> = every_pid().filter_map(|p| Some((p, stat(p)?))).collect();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let mut next = Vec::new();
        for (pid, stat) in &all {
            children.entry(stat.parent).or_default().push(*pid);
            if stat.session == self.pid {
                next.push(*pid);
            }
        }
        next.extend(children.get(&self.pid).into_iter().flatten());
        let mut tree = Vec::new();
        while let Some(pid) = next.pop() {
            let Some(stat) = all.remove(&pid).filter(|_| pid != self.pid) else { continue };
            next.extend(children.get(&pid).into_iter().flatten());
            tree.push((Self { pid, started: stat.started, boot: self.boot.clone() }, stat));
        }
        tree
    }

    /// What its tree uses.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for (process, stat) in self.tree_with_stat() {
            #[expect(clippy::cast_precision_loss, reason = "exact for some thousand years of time")]
            let seconds = stat.cpu_ticks as f64 / TICKS_PER_SECOND;
            stats.cpu_seconds += seconds;
            stats.memory_bytes += resident_bytes(process.pid);
            stats.processes += 1;
        }
        stats
    }
}

/// Processes with this marker in the environment they began with. Finds what no longer descends from
/// anything known.
pub(super) fn marked(marker: &str) -> Vec<Process> {
    let wanted = format!("{MARKER}={marker}");
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|variable| variable == wanted.as_bytes())
    };
    let found = every_pid().filter(is_marked);
    found.filter_map(|pid| Process::find(pid.unsigned_abs()).ok()).collect()
}

/// The variable that carries the marker.
pub(super) const MARKER: &str = "STAITHE_SANDBOX";

fn every_pid() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn resident_bytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_full_of_parentheses_hides_nothing() {
        let line = "7 (a) Z (b) S 1 7 9 0 -1 4 1 0 0 0 250 50 0 0 20 0 1 0 4711 0 0";
        let stat = parse_stat(line).expect("it lives");
        assert_eq!((stat.parent, stat.session, stat.cpu_ticks, stat.started), (1, 9, 300, 4711));
    }

    #[test]
    fn the_dead_do_not_live() {
        assert!(parse_stat("7 (a) Z 1 7 9 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0").is_none());
        assert!(parse_stat("").is_none());
    }

    #[test]
    fn a_number_used_again_is_another_process() {
        let me = Process::find(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Process { started: me.started + 1, ..me.clone() }.is_alive());
        assert!(!Process { boot: "another".into(), ..me }.is_alive());
    }
}
