//! The configuration, the data directory, ports, clock and limits. Pure.

use std::{io::ErrorKind, net::SocketAddr, path::Path};

use crate::doctor::{
    facts::{DataDir, Port, Refused, RunnerTried, Running},
    finding::Finding,
};

/// Longest path of a unix socket that the kernel takes.
const LONGEST_SOCKET: usize = 107;
/// Fewer open files than this are used up by some hundreds of sessions.
const FEW_OPEN_FILES: u64 = 4096;
/// The beginning of the year in which this was written: no clock that is right says less.
const WRITTEN: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z

/// What is wrong with the configuration, each fault on its own.
pub(crate) fn config_faults(faults: &[String], file: Option<&Path>) -> Vec<Finding> {
    let name = file.map(|file| file.display().to_string());
    let remedy = |fault: &String| {
        match &name {
        _ if fault.contains(" in the environment: ") => {
            "Correct or unset that environment variable".to_owned()
        }
        Some(name) if fault.starts_with(&format!("{name}: ")) && fault.contains("os error") => {
            "Name a file that can be read: by --config or STAITHE_CONFIG".to_owned()
        }
        Some(name) if fault.contains(name) => format!("Correct it in {name}"),
        Some(name) => format!(
            "Correct it where it is set: in {name}, in an environment variable STAITHE__SECTION__KEY, or by a flag"
        ),
        None => "Correct it where it is set: in an environment variable STAITHE__SECTION__KEY, or by a flag"
            .to_owned(),
    }
    };
    faults.iter().map(|fault| Finding::fail("config", brief(fault), remedy(fault))).collect()
}

/// Without the picture that a parser draws between where and what.
fn brief(fault: &str) -> String {
    let mut lines = fault.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}: {last}"))
}

/// A configuration without faults.
pub(crate) fn config_is_good(file: Option<&Path>) -> Finding {
    let found = match file {
        Some(file) => format!("{} is good", file.display()),
        None => "good: no file is named, so the shipped defaults count".to_owned(),
    };
    Finding::ok("config", found)
}

/// All that depends on a configuration which is not good.
pub(crate) fn rest_unknown() -> Finding {
    Finding::warn(
        "engine",
        "not looked at, nor the data directory and the ports: they depend on the configuration",
        "Correct the configuration, then run this again",
    )
}

/// A data directory that could not be looked at.
pub(crate) fn hangs(seconds: u64) -> Finding {
    Finding::fail(
        "data_dir",
        format!("its disk does not answer within {seconds} s"),
        "See whether that disk hangs (a network's?), or set server.data_dir to another one",
    )
}

/// Whom the server would answer. A configuration that is good has a token where others can come in.
pub(crate) fn exposure(listeners: [(&str, SocketAddr); 2], allowed_hosts: &[String]) -> Finding {
    let open: Vec<String> = listeners
        .into_iter()
        .filter(|(_, address)| !address.ip().is_loopback())
        .map(|(key, address)| format!("{key} = {address}"))
        .collect();
    if open.is_empty() {
        return Finding::ok("exposure", "only this machine can reach the server");
    }
    let found = format!("other machines can reach {}; a token guards it", open.join(" and "));
    if allowed_hosts.is_empty() {
        return Finding::warn(
            "exposure",
            format!("{found}, but any host name is answered"),
            "Name the host in server.allowed_hosts, and put TLS in front: the server speaks plain HTTP",
        );
    }
    Finding::ok("exposure", format!("{found}; it speaks plain HTTP, so put TLS in front"))
}

/// The data directory, its disk, and who uses it.
pub(crate) fn data_dir(facts: &DataDir) -> Vec<Finding> {
    let path = facts.path.display();
    let mut findings = vec![match &facts.refused {
        Some(refused) => not_writable(facts, refused),
        None if facts.is_there => Finding::ok("data_dir", format!("{path} can be written")),
        None => Finding::ok("data_dir", format!("{path} is not there yet and can be made")),
    }];
    if let Some((_, owner)) = facts.closed.first() {
        let names: Vec<&str> = facts.closed.iter().map(|(name, _)| name.as_str()).collect();
        findings.push(Finding::fail(
            "data_dir.files",
            format!("{} in it can't be opened: owned by {owner}", names.join(", ")),
            format!(
                "Run the server as {owner}, as before, or give it the files: chown -R USER {path}"
            ),
        ));
    }
    if let Some(name) = facts.remote {
        findings.push(Finding::warn(
            "data_dir.disk",
            format!("{path} is on {name}, where the database may be damaged"),
            "Put server.data_dir on a disk of this machine",
        ));
    }
    if facts.longest_socket > LONGEST_SOCKET {
        let over = facts.longest_socket - LONGEST_SOCKET;
        findings.push(Finding::fail(
            "data_dir.length",
            format!("{path} is too long by {over} bytes: sockets in it would have no valid path"),
            "Choose a server.data_dir with a shorter path",
        ));
    }
    if let Some(space) = facts.space {
        let remedy = "Free space on that disk, or set server.data_dir to another disk";
        findings.push(super::space("data_dir.space", "it", space, remedy));
    }
    if let Some(Running { pid, url }) = &facts.running {
        findings.push(Finding::ok(
            "data_dir.server",
            format!("a server runs on it already: process {pid} at {url}"),
        ));
    }
    findings
}

fn not_writable(facts: &DataDir, refused: &Refused) -> Finding {
    let path = facts.path.display();
    let verb = if facts.is_there { "written" } else { "made" };
    let remedy = match refused.kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "Free space on that disk, or set server.data_dir to another disk".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => {
            "Mount that disk writable, or set server.data_dir to another one".to_owned()
        }
        ErrorKind::NotADirectory => {
            "A file is in the way: remove it, or set server.data_dir to another path".to_owned()
        }
        ErrorKind::PermissionDenied if facts.is_there => format!(
            "Give it to the server's user (chown -R USER {path}), or set server.data_dir to a folder of theirs"
        ),
        ErrorKind::PermissionDenied => format!(
            "Make it as root for the server's user (install -d -m 700 -o USER {path}), or set server.data_dir to a folder of theirs"
        ),
        _ => "Set server.data_dir to a folder that the server's user can write".to_owned(),
    };
    Finding::fail("data_dir", format!("{path} can't be {verb}: {}", refused.words), remedy)
}

/// The runner, where it would be kept.
pub(crate) fn runner(tried: &RunnerTried) -> Finding {
    match tried {
        RunnerTried::Runs => Finding::ok("runner", "programs in the data directory can be run"),
        RunnerTried::NotPlaced(why) => Finding::warn(
            "runner",
            format!("not tried: {why}"),
            "Mend the data directory first, then run this again",
        ),
        RunnerTried::Refused { noexec: true, .. } => Finding::fail(
            "runner",
            "programs in the data directory can't be run: its disk is mounted noexec",
            "Mount it with exec, or set server.data_dir to a disk that is",
        ),
        RunnerTried::Refused { words, .. } => Finding::fail(
            "runner",
            format!("programs in the data directory can't be run: {words}"),
            "Let the server's user run programs there (a security module may forbid it), or set server.data_dir to another path",
        ),
        RunnerTried::Failed(words) => Finding::fail(
            "runner",
            format!("the program that goes into sandboxes does not run here: {words}"),
            "Use a build of staithe for this machine's architecture",
        ),
    }
}

/// One address that the server would listen at.
pub(crate) fn port(port: &Port, running: Option<&Running>) -> Finding {
    let Port { check, key, address, refused } = port;
    let Some(refused) = refused else {
        let found = match address.port() {
            0 => format!("any free port of {}", address.ip()),
            _ => format!("{address} is free"),
        };
        return Finding::ok(check, found);
    };
    match refused.kind {
        ErrorKind::AddrInUse => match running {
            Some(Running { pid, .. }) => Finding::ok(
                check,
                format!("{address} is in use while the server runs (process {pid})"),
            ),
            None => Finding::fail(
                check,
                format!("{address} is in use by another program"),
                format!(
                    "End that program (ss -ltnp shows it), or set {key} to another port; port 0 picks a free one"
                ),
            ),
        },
        ErrorKind::PermissionDenied => Finding::fail(
            check,
            format!("{address} can't be listened at: ports below 1024 are root's"),
            format!(
                "Set {key} to a port from 1024 on and let a proxy pass to it, or give the program CAP_NET_BIND_SERVICE"
            ),
        ),
        ErrorKind::AddrNotAvailable => Finding::fail(
            check,
            format!("{address} can't be listened at: it is no address of this machine"),
            format!("Set {key} to an address that `ip address` shows, to 127.0.0.1 or to 0.0.0.0"),
        ),
        _ => Finding::fail(
            check,
            format!("{address} can't be listened at: {}", refused.words),
            format!("Set {key} to another address"),
        ),
    }
}

/// The system's clock, in seconds since 1970.
pub(crate) fn clock(now: i64) -> Finding {
    let shown =
        jiff::Timestamp::from_second(now).map_or_else(|_| now.to_string(), |t| t.to_string());
    if now < WRITTEN {
        return Finding::fail(
            "clock",
            format!(
                "it is {shown}, says this machine, which is before staithe was made: sign-ins would end at once when it is set right"
            ),
            "Set the clock (timedatectl set-ntp true), then start the server",
        );
    }
    Finding::ok("clock", format!("{shown} is plausible"))
}

/// The limit of open files; none is no limit.
pub(crate) fn open_files(soft: Option<u64>) -> Finding {
    match soft {
        None => Finding::ok("open_files", "any number may be open"),
        Some(soft) if soft >= FEW_OPEN_FILES => {
            Finding::ok("open_files", format!("{soft} may be open at a time"))
        }
        Some(soft) => Finding::warn(
            "open_files",
            format!("{soft} may be open at a time: enough for some tens of sessions"),
            "Raise it: LimitNOFILE=65536 in the systemd unit, or `ulimit -n 65536` in the shell that starts the server",
        ),
    }
}

#[cfg(test)]
mod tests;
