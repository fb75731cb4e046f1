//! Stage 1: leaves the host's namespaces, starts stage 2, waits, forwards signals.

use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use rustix::{
    io::Errno,
    process::{self, Pid, Signal, WaitOptions},
    thread::{self, UnshareFlags},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{At, LaunchFailed, Network, Spec, TRY, Tier, drop};

/// The user that a sandbox sees itself as.
const INNER_ID: u32 = 1000;

/// Launches and waits. `tried` is a tier to rehearse.
pub(super) fn run(path: &Path, tried: Option<Tier>) -> Result<ExitCode, LaunchFailed> {
    let spec = Spec::read(path)?;
    match process::setsid() {
        Ok(_) | Err(Errno::PERM) => {} // PERM: it leads a group already
        Err(e) => return Err(e).at("begin a session"),
    }
    let tier = match tried.unwrap_or(spec.tier) {
        Tier::Auto => strongest(path),
        tier => tier,
    };
    if tier == Tier::Namespaces {
        enter_namespaces(&spec)?;
    } else {
        // What daemonises in there is still found below this process.
        process::set_child_subreaper(Some(process::getpid())).at("become the reaper")?;
    }
    let status = supervise(path, tier, tried.is_some()).at("run the sandbox")?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The strongest tier whose rehearsal succeeds.
fn strongest(path: &Path) -> Tier {
    let works = |tier: &Tier| {
        Command::new("/proc/self/exe")
            .args(["launch", TRY, tier.name()])
            .arg(path)
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    [Tier::Namespaces, Tier::Landlock].into_iter().find(works).unwrap_or(Tier::None)
}

/// Moves this process (and, for processes, its children) into namespaces of its own, as user
/// [`INNER_ID`] with every capability in there, inherited by stage 2.
fn enter_namespaces(spec: &Spec) -> Result<(), LaunchFailed> {
    let (uid, gid) = (process::geteuid(), process::getegid());
    if uid.is_root() {
        thread::set_thread_groups(&[]).at("leave the supplementary groups")?;
    }
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if spec.network == Network::None {
        flags |= UnshareFlags::NEWNET;
    }
    #[expect(unsafe_code, reason = "unshare is how a process leaves its namespaces")]
    // SAFETY: unsafe because of `CLONE_FILES` alone, which is not among the flags.
    let left = unsafe { thread::unshare_unsafe(flags) };
    left.at("leave the namespaces of the host (user namespaces are refused here)")?;
    fs::write("/proc/self/setgroups", "deny").at("give up setgroups")?;
    fs::write("/proc/self/uid_map", format!("{INNER_ID} {} 1", uid.as_raw())).at("map the user")?;
    fs::write("/proc/self/gid_map", format!("{INNER_ID} {} 1", gid.as_raw()))
        .at("map the group")?;
    keep_capabilities_over_exec().at("keep the capabilities for stage 2")
}

/// Makes the capabilities ambient: a user other than 0 loses them at exec otherwise.
fn keep_capabilities_over_exec() -> io::Result<()> {
    let mut sets = thread::capabilities(None)?;
    sets.inheritable = sets.permitted;
    thread::set_capabilities(None, sets)?;
    for capability in drop::each_capability() {
        if sets.permitted.contains(capability) {
            thread::configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}

/// Starts stage 2 and stays until it ends. SIGTERM and SIGINT go on to it.
fn supervise(path: &Path, tier: Tier, rehearsal: bool) -> io::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::child())?;
        let child = Command::new("/proc/self/exe")
            .args(["launch-inner", tier.name(), &std::process::id().to_string()])
            .arg(path)
            .arg(if rehearsal { TRY } else { "--run" })
            .spawn()?;
        let inner = Pid::from_child(&child);
        let status = loop {
            if let Some(status) = reap(inner)? {
                break status;
            }
            tokio::select! {
                _ = terminate.recv() => pass_on(inner, Signal::TERM)?,
                _ = interrupt.recv() => pass_on(inner, Signal::INT)?,
                _ = ended.recv() => {}
            }
        };
        if tier != Tier::Namespaces {
            end_the_rest()?; // the kernel does it where there is a PID 1
        }
        Ok(status)
    })
}

/// Reaps all that has ended; the status of `inner` when it is among them.
fn reap(inner: Pid) -> io::Result<Option<ExitStatus>> {
    loop {
        match process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == inner => {
                return Ok(Some(ExitStatus::from_raw(status.as_raw())));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Sends a signal to stage 2, which may be gone already.
fn pass_on(inner: Pid, signal: Signal) -> io::Result<()> {
    match process::kill_process(inner, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Kills whatever outlived stage 2 without a PID namespace: every child, which as this process is
/// the reaper means every descendant in the end.
fn end_the_rest() -> io::Result<()> {
    let me = std::process::id();
    loop {
        let children = fs::read_to_string(format!("/proc/self/task/{me}/children"))
            .unwrap_or_else(|_| children_by_search(me));
        for pid in children.split_ascii_whitespace().filter_map(|p| p.parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid) {
                pass_on(pid, Signal::KILL)?;
            }
        }
        match process::wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The children of `parent`, for kernels that don't list them.
fn children_by_search(parent: u32) -> String {
    let mut found = String::new();
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    for name in entries.flatten().map(|e| e.file_name()) {
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if fields.split_ascii_whitespace().nth(1) == Some(&parent.to_string()) {
            found.push_str(pid);
            found.push(' ');
        }
    }
    found
}
