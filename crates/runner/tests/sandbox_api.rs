//! The stand-alone runner against cases that are written from the reference's description alone, in
//! another language: `tests/sandbox_api/cases.py`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test without a runtime waits for programs and shows what they say"
)]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const RUNNER: &str = env!("CARGO_BIN_EXE_staithe-runner");
const KEY: &str = "a key of these cases";

/// The program; ended at the end.
struct Alone {
    child: Child,
    port: u16,
}

impl Alone {
    /// Starts it on a folder, as a program does that waits for `/alive`.
    fn start(dir: &Path, key: Option<&str>) -> Self {
        let port = free_port();
        let mut command = Command::new(RUNNER);
        command
            .arg(port.to_string())
            .arg("--working-dir")
            .arg(dir.join("work"))
            .args(["--plugins", "--username", "root", "--user-id", "0", "--no-enable-browser"])
            .args(["--host", "127.0.0.1", "--state-dir"])
            .arg(dir.join("state"))
            .env_remove("SESSION_API_KEY")
            .env("HOME", dir)
            .env("NO_CHANGE_TIMEOUT_SECONDS", "2")
            .stdin(Stdio::null());
        if let Some(key) = key {
            command.env("SESSION_API_KEY", key);
        }
        let mut child = command.spawn().expect("the binary starts");
        eventually("it listens", || {
            assert_eq!(child.try_wait().expect("a child"), None, "it ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { child, port }
    }

    /// Ends it by SIGTERM; its exit code.
    fn end(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("alive");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    while !is_so() {
        assert!(tokio::time::Instant::now() < until, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Plays cases; what they printed. They all pass.
#[track_caller]
fn play(words: &[&str]) -> usize {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/sandbox_api/cases.py");
    let played = Command::new("python3").arg("-B").arg(cases).args(words).output();
    let played = played.expect("python3 is there: apt-get install python3");
    let said = String::from_utf8_lossy(&played.stdout);
    println!("{said}{}", String::from_utf8_lossy(&played.stderr));
    assert!(played.status.success(), "cases failed: {words:?}");
    said.lines().filter(|line| line.starts_with("ok ")).count()
}

#[test]
fn every_case_of_the_sandbox_api_passes() {
    let dir = tempfile::tempdir().expect("a folder");
    let work = dir.path().canonicalize().expect("ours").join("work");
    let work = work.to_str().expect("a text");
    let home = dir.path().to_str().expect("a text");
    let key = dir.path().join("key");
    std::fs::write(&key, KEY).expect("our own folder");
    let key = key.to_str().expect("a text");
    let mut alone = Alone::start(dir.path(), Some(KEY));
    let address = format!("127.0.0.1:{}", alone.port);
    let mut passed = play(&["first", &address, key, work, home]);
    assert_eq!(alone.end(), Some(0));
    let alone = Alone::start(dir.path(), Some(KEY));
    passed += play(&["again", &format!("127.0.0.1:{}", alone.port), key, work, home]);
    passed += play(&["program", RUNNER]);
    println!("{passed} cases passed");
    assert!(passed >= 80, "{passed}");
}

#[test]
fn without_a_key_nobody_is_asked_for_one_and_it_is_said_aloud() {
    let dir = tempfile::tempdir().expect("a folder");
    let alone = Alone::start(dir.path(), None);
    let work = dir.path().join("work");
    let said = Command::new("python3")
        .arg("-c")
        .arg(
            "import sys, urllib.request as r\n\
             print(r.urlopen(r.Request(sys.argv[1], b'{}', method='POST')).read().decode())",
        )
        .arg(format!("http://127.0.0.1:{}/list_files", alone.port))
        .output()
        .expect("python3 is there: apt-get install python3");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "[]", "{said:?}");
    assert!(work.is_dir());
    // A page in some browser could send such a request without anybody knowing.
    let mut stream = TcpStream::connect(("127.0.0.1", alone.port)).expect("it listens");
    let request = "POST /list_files HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://a.page\r\n\
                   Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("web pages"), "{answer}");
    drop(alone);

    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = busy.local_addr().expect("its number").port();
    let output = Command::new(RUNNER)
        .arg(port.to_string())
        .arg("--working-dir")
        .arg(&work)
        .args(["--username", "root", "--host", "127.0.0.1", "--state-dir"])
        .arg(dir.path().join("other"))
        .env_remove("SESSION_API_KEY")
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("can't listen on"), "{said}");
    assert!(said.contains("WARNING: SESSION_API_KEY is not set"), "{said}");
}
