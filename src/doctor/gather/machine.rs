//! The data directory, ports and limits of this machine.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use rustix::{fs::StatVfsMountFlags, io::Errno, process::Resource};
use staithe_protocol::runner::SOCKET_NAME;
use tokio::process::Command;

use super::{accounts, scratch::Scratch};
use crate::{
    boot,
    config::{Config, EngineChoice},
    doctor::facts::{DataDir, Port, Refused, RunnerTried, Running, Space},
};

/// What a server keeps in its data directory and opens for writing.
const FILES: [&str; 5] = ["staithe.db", "keys.json", "store.lock", "installation", "server.json"];
/// File systems of other machines, by their number in `statfs(2)`.
const REMOTE: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
];

/// The data directory as it was found, and a folder in or above it to try things in.
pub(crate) struct Opened {
    pub facts: DataDir,
    pub scratch: Option<Scratch>,
    /// The runner in that folder, or why there is none.
    pub runner: Result<PathBuf, String>,
}

/// Looks at the data directory; makes nothing in it that stays.
pub(crate) fn data_dir(config: &Config, path: &Path) -> Opened {
    let is_there = path.exists();
    let place = path.ancestors().find(|place| place.exists()).unwrap_or(path);
    let (scratch, refused) = match Scratch::make(place) {
        Ok(scratch) => (Some(scratch), None),
        Err(error) => (None, Some(refused(&error))),
    };
    let runner = match &scratch {
        Some(scratch) => boot::place_runner(scratch.path())
            .map(|(path, _)| path)
            .map_err(|error| format!("its disk does not take it ({})", error.root_cause())),
        None => Err("the data directory can't be written".to_owned()),
    };
    let facts = DataDir {
        path: path.to_owned(),
        is_there,
        refused,
        closed: closed(path),
        space: space(place),
        remote: remote(place),
        running: running(path),
        longest_socket: longest_socket(config, path),
    };
    Opened { facts, scratch, runner }
}

fn refused(error: &io::Error) -> Refused {
    let words = error.to_string();
    // The number says nothing that the words don't.
    let words = words.split(" (os error").next().unwrap_or_default().to_owned();
    Refused { kind: error.kind(), words }
}

/// Files that are there and can't be opened as the server opens them.
fn closed(dir: &Path) -> Vec<(String, String)> {
    let files = FILES.into_iter().filter_map(|name| {
        let path = dir.join(name);
        let owner = accounts::user(fs::metadata(&path).ok()?.uid());
        let opened = fs::OpenOptions::new().read(true).write(true).open(&path);
        opened.is_err().then(|| (name.to_owned(), owner))
    });
    files.collect()
}

/// The room on the disk of a path, as an ordinary user has it.
pub(crate) fn space(path: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
        free_files: (found.f_files > 0).then_some(found.f_favail),
    })
}

fn remote(path: &Path) -> Option<&'static str> {
    // The number has 32 bits, whatever the type here.
    let number = u64::try_from(rustix::fs::statfs(path).ok()?.f_type).ok()? & 0xffff_ffff;
    REMOTE.into_iter().find(|(known, _)| *known == number).map(|(_, name)| name)
}

/// The server that says it runs here, if its process is there.
fn running(dir: &Path) -> Option<Running> {
    let said: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("server.json")).ok()?).ok()?;
    let pid = u32::try_from(said["pid"].as_u64()?).ok()?;
    // Numbers are used again: it must be a program of this name.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let url = said["url"].as_str().unwrap_or_default().to_owned();
    (name.trim() == "staithe").then_some(Running { pid, url })
}

/// The longest path of a socket that an engine will make in the data directory.
fn longest_socket(config: &Config, path: &Path) -> usize {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let id = "0".repeat(32);
    let local = || {
        let name = format!("{}{id}", config.sandbox.name_prefix);
        real.join("sandboxes").join(name).join("run").join(SOCKET_NAME)
    };
    let longest = match config.sandbox.engine {
        EngineChoice::Docker => real.join("run").join(&id).join(SOCKET_NAME),
        EngineChoice::Local | EngineChoice::Auto => local(),
    };
    longest.as_os_str().len()
}

/// Runs the runner, which only says its version.
pub(crate) async fn run(runner: Result<PathBuf, String>) -> RunnerTried {
    let path = match runner {
        Ok(path) => path,
        Err(why) => return RunnerTried::NotPlaced(why),
    };
    let ran = Command::new(&path)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match ran {
        Ok(Output { status, .. }) if status.success() => RunnerTried::Runs,
        Ok(Output { status, stderr, .. }) => {
            RunnerTried::Failed(format!("{status} {}", String::from_utf8_lossy(&stderr)))
        }
        Err(error) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            RunnerTried::Failed(error.to_string())
        }
        Err(error) => RunnerTried::Refused { words: error.to_string(), noexec: is_noexec(&path) },
    }
}

fn is_noexec(path: &Path) -> bool {
    let flags = rustix::fs::statvfs(path).map(|found| found.f_flag);
    flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::NOEXEC))
}

/// Listens for a moment.
pub(crate) fn port(check: &'static str, key: &'static str, address: SocketAddr) -> Port {
    let refused = TcpListener::bind(address).err().map(|error| refused(&error));
    Port { check, key, address, refused }
}

/// Most files that a process may have open; none is no limit.
pub(crate) fn open_files() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{Overrides, load};

    fn config() -> Config {
        load(None, &Overrides::default()).expect("the shipped configuration is good")
    }

    #[test]
    fn looking_at_a_data_directory_leaves_it_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("not/there");
        let opened = data_dir(&config(), &path);
        assert!(!opened.facts.is_there && opened.facts.refused.is_none());
        assert!(opened.runner.as_ref().expect("it is placed").exists());
        drop(opened);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, "").expect("written");
        let refused = data_dir(&config(), &path.join("data")).facts.refused.expect("refused");
        assert_eq!(refused.kind, io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_number_used_again_is_no_server() {
        let dir = tempfile::tempdir().expect("a directory");
        let said = format!(r#"{{"pid":{},"url":"http://x"}}"#, std::process::id());
        fs::write(dir.path().join("server.json"), said).expect("written");
        // This test's program has another name.
        assert!(running(dir.path()).is_none());
    }

    #[test]
    fn a_taken_port_is_told_by_its_kind() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("its address");
        let refused = port("listen", "server.listen", address).refused.expect("refused");
        assert_eq!(refused.kind, io::ErrorKind::AddrInUse);
    }
}
