//! Processes as the kernel shows them under `/proc`.

use std::{collections::BTreeSet, fs, path::Path};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

/// One living process.
struct Process {
    pid: u32,
    parent: u32,
    command: String,
    environment: String,
}

/// Living processes that belong to sandboxes under a data directory, or to these sessions: named by
/// their command line or environment, and all that descends from them.
pub fn of_sandboxes(dir: &Path, sessions: &BTreeSet<String>, server: u32) -> Vec<u32> {
    let all = all();
    let dir = dir.display().to_string();
    let named = |process: &Process| {
        process.pid != server
            && ((process.command.contains(&dir) && process.command.contains("staithe-runner"))
                || sessions.iter().any(|id| process.environment.contains(&format!("staithe-{id}"))))
    };
    let mut found: BTreeSet<u32> = all.iter().filter(|p| named(p)).map(|p| p.pid).collect();
    loop {
        let before = found.len();
        let children = all.iter().filter(|p| found.contains(&p.parent)).map(|p| p.pid);
        found.extend(children.collect::<Vec<_>>());
        if found.len() == before {
            return found.into_iter().collect();
        }
    }
}

/// Command lines, to be shown.
pub fn described(pids: &[u32]) -> Vec<String> {
    let line = |process: Process| format!("{} {}", process.pid, process.command);
    pids.iter().filter_map(|pid| read(*pid)).map(line).collect()
}

/// A process's command line; empty when it is gone.
pub fn command(pid: u32) -> String {
    read(pid).map_or_else(String::new, |process| process.command)
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// SIGKILL; one that is gone already is fine.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// SIGINT.
pub fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

/// SIGTERM.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// SIGSTOP: it does nothing until it may go on.
pub fn hold(pid: u32) {
    signal(pid, Signal::STOP);
}

/// SIGCONT.
pub fn let_go(pid: u32) {
    signal(pid, Signal::CONT);
}

fn signal(pid: u32, signal: Signal) {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process's id");
    if let Err(error) = kill_process(target, signal) {
        assert_eq!(error, Errno::SRCH, "{pid} can't be signalled");
    }
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

/// A process that lives; a zombie does not.
fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, stat) = stat.rsplit_once(") ")?;
    let mut fields = stat.split(' ');
    if fields.next() == Some("Z") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let words = |name: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    Some(Process { pid, parent, command: words("cmdline"), environment: words("environ") })
}
