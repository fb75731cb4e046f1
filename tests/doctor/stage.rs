//! Runs the real binary with nothing of this machine in its environment, and compares what it says
//! with a snapshot.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// The longest that a run may take: two looks at their limits, on a slow machine.
const LIMIT: Duration = Duration::from_mins(1);
/// Files that may be open, whatever this machine allows.
const OPEN_FILES: &str = "8192";

/// A folder of its own: `home` is empty, `data` is not there yet.
pub(crate) struct Stage {
    dir: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in(roomiest()).expect("a directory");
        // For those who run it as another user.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::create_dir(dir.path().join("home")).expect("a folder");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary, where every user can run it.
    pub(crate) fn binary(&self) -> PathBuf {
        let (built, here) = (env!("CARGO_BIN_EXE_staithe"), self.path("staithe"));
        if !here.exists() && fs::hard_link(built, &here).is_err() {
            fs::copy(built, &here).expect("a copy of the binary");
        }
        here
    }

    /// A configuration file.
    pub(crate) fn config(&self, text: &str) -> PathBuf {
        let file = self.path("staithe.toml");
        fs::write(&file, text).expect("it is written");
        file
    }

    /// A configuration whose docker is at a socket.
    pub(crate) fn docker_at(&self, socket: &Path) -> PathBuf {
        self.config(&format!("[sandbox.docker]\nhost = \"unix://{}\"\n", socket.display()))
    }

    /// `staithe doctor --config …` on free ports, run by `around` (`setpriv …`, `sh -c …`).
    pub(crate) fn command(&self, around: &[&str], config: &Path, arguments: &[&str]) -> Command {
        let limited = ["sh", "-c", "ulimit -n \"$0\" && exec \"$@\"", OPEN_FILES];
        let mut words = around.iter().chain(&limited);
        let mut command = Command::new(words.next().expect("there is a word"));
        command.args(words).arg(self.binary()).args(["doctor", "--config"]).arg(config);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(["--sandbox-listen", "127.0.0.1:0"]).args(arguments);
        if !arguments.contains(&"--data-dir") {
            command.arg("--data-dir").arg(self.path("data"));
        }
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end; nothing that was not there before may be there afterwards.
    pub(crate) async fn run(&self, mut command: Command) -> Said {
        self.binary();
        let before = tree(self.dir.path());
        let output = timeout(LIMIT, command.output()).await.expect("it is bounded in time");
        let Output { status, stdout, stderr } = output.expect("it can be run");
        assert_eq!(tree(self.dir.path()), before, "it leaves nothing");
        assert_eq!(String::from_utf8_lossy(&stderr), "", "findings are on stdout alone");
        let text = String::from_utf8(stdout).expect("UTF-8");
        Said { text: self.normal(&text), code: status.code() }
    }

    /// Without what differs from machine to machine.
    fn normal(&self, text: &str) -> String {
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        joined(&text.lines().map(normal_line).collect::<Vec<_>>())
    }
}

/// What was said.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) code: Option<i32>,
}

impl Said {
    /// Compares it with `tests/doctor/NAME.txt`, or writes that file.
    #[track_caller]
    pub(crate) fn is(&self, name: &str, code: i32) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/doctor/{name}.txt"));
        assert_eq!(self.code, Some(code), "{}", self.text);
        if env::var_os("STAITHE_BLESS").is_some_and(|bless| bless == "1") {
            fs::write(file, &self.text).expect("it can be written");
            return;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            self.text == expected,
            "{} is not what is said now; STAITHE_BLESS=1 cargo test --test doctor writes it\n--- now\n{}\n--- then\n{expected}",
            file.display(),
            self.text
        );
    }

    /// With another word in the place of one that differs from run to run.
    pub(crate) fn hiding(mut self, text: &str, word: &str) -> Self {
        self.text = self.text.replace(text, word);
        self
    }

    /// What is said of local sandboxes depends on the kernel: that is masked.
    pub(crate) fn without_local(mut self) -> Self {
        let mut lines: Vec<&str> = Vec::new();
        let mut local = false;
        for line in self.text.lines() {
            local = (local && !line.is_empty()) || line == "Local sandboxes";
            if local && line != "Local sandboxes" {
                if lines.last() == Some(&"Local sandboxes") {
                    lines.push("  (what this machine's kernel grants)");
                }
            } else if line.contains(" checks, ") {
                let (_, rest) = line.rsplit_once(", ").expect("a comma");
                lines.push(rest);
            } else {
                lines.push(line);
            }
        }
        self.text = joined(&lines);
        self
    }
}

/// The doctor looks at the free space: a disk that others have filled is no finding of these tests.
fn roomiest() -> PathBuf {
    let room = |dir: &PathBuf| rustix::fs::statvfs(dir).map_or(0, |it| it.f_bavail * it.f_frsize);
    [env::temp_dir(), PathBuf::from("/dev/shm")].into_iter().max_by_key(room).expect("two folders")
}

fn joined(lines: &[impl std::borrow::Borrow<str>]) -> String {
    lines.join("\n") + "\n"
}

fn normal_line(line: &str) -> String {
    if let Some((before, found)) = line.split_once("  clock ")
        && found.contains("plausible")
    {
        let start = found.len() - found.trim_start().len();
        return format!("{before}  clock {}TIME is plausible", " ".repeat(start));
    }
    if let Some((before, found)) = line.split_once("the engine's clock is ") {
        let rest = found.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{before}the engine's clock is N{rest}");
    }
    // Of a disk of this machine; a small one is the test's own.
    match line.split_once(" are free for ") {
        Some((before, after)) if line.contains("✓ ok") => {
            let words: Vec<&str> = before.rsplitn(6, ' ').collect();
            format!("{} SIZE of SIZE are free for {after}", words[5])
        }
        _ => line.to_owned(),
    }
}

/// Every path below a directory.
fn tree(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path));
        }
        found.insert(path);
    }
    found
}

/// Some tests make users and mounts of their own.
#[track_caller]
pub(crate) fn needs_root(for_what: &str) {
    assert!(
        rustix::process::geteuid().is_root(),
        "{for_what} takes root: run this test as root (sudo -E cargo test --test doctor), or in a container"
    );
}
