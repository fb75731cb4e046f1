//! The stand-alone runner as the whole server of a container, with the cases of
//! `tests/sandbox_api/cases.py`: in a Debian and in a busybox, with a user that is made and with root.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test without a runtime waits for programs and shows what they say"
)]

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

const KEY: &str = "a-key-of-these-cases";
/// The runner as the product embeds it: static, so that it runs in any image.
const RUNNER: &str = concat!(env!("OUT_DIR_OF_STAITHE"), "/staithe-runner");

/// A container; removed at the end.
struct Container {
    name: String,
    port: u16,
}

impl Container {
    fn start(image: &str, user: &str, uid: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let container = Self { name: format!("staithe-test-api-{port}"), port };
        let (name, port) = (container.name.as_str(), port.to_string());
        let key = format!("SESSION_API_KEY={KEY}");
        docker(&[
            "create",
            "--name",
            name,
            "--network",
            "host",
            "--env",
            &key,
            "--env",
            "NO_CHANGE_TIMEOUT_SECONDS=2",
            "--entrypoint",
            "/staithe-runner",
            image,
            &port,
            "--working-dir",
            "/workspace",
            "--plugins",
            "--username",
            user,
            "--user-id",
            uid,
            "--host",
            "127.0.0.1",
            "--no-enable-browser",
        ]);
        docker(&["cp", "--quiet", RUNNER, &format!("{name}:/staithe-runner")]);
        docker(&["start", name]);
        container.wait();
        container
    }

    fn wait(&self) {
        eventually(&format!("{} listens", self.name), || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Plays cases, all of which pass; how many.
    #[track_caller]
    fn play(&self, which: &str) -> usize {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox_api/cases.py");
        let address = format!("127.0.0.1:{}", self.port);
        let key = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(key.path(), KEY).expect("our own file");
        let words = [which, &address, key.path().to_str().expect("a text"), "/workspace", "/"];
        let played = Command::new("python3").arg("-B").arg(cases).args(words).output();
        let played = played.expect("python3 is there: apt-get install python3");
        let said = String::from_utf8_lossy(&played.stdout);
        println!("{said}{}", String::from_utf8_lossy(&played.stderr));
        assert!(played.status.success(), "cases failed: {words:?}");
        said.lines().filter(|line| line.starts_with("ok ")).count()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(try_docker(&["rm", "--force", "--volumes", &self.name]));
    }
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn try_docker(words: &[&str]) -> Output {
    let host = std::env::var("STAITHE_TEST_DOCKER")
        .expect("STAITHE_TEST_DOCKER names no Docker daemon. Run `bash scripts/test docker`");
    let output = Command::new("docker").args(["--host", &host]).args(words).output();
    output.expect("docker's client is there: apt-get install docker.io")
}

#[track_caller]
fn docker(words: &[&str]) -> String {
    let output = try_docker(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {said}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn check(image: &str, user: &str, uid: &str) {
    let container = Container::start(image, user, uid);
    let mut passed = container.play("first");
    let exec = |command: &str| docker(&["exec", &container.name, "sh", "-c", command]);
    assert_eq!(exec("ls -n / | grep workspace | tr -s ' ' | cut -d' ' -f3,4"), format!("{uid} 0"));
    assert_eq!(exec(&format!("grep -c '^{user}:' /etc/passwd")), "1");
    docker(&["restart", "--time", "10", &container.name]);
    container.wait();
    passed += container.play("again");
    assert!(passed >= 80, "{passed}");
}

#[test]
fn every_case_passes_in_a_debian_as_a_user_that_is_made() {
    check("staithe-test/base:1", "openhands", "1234");
}

#[test]
fn every_case_passes_in_a_debian_as_root() {
    check("staithe-test/base:1", "root", "0");
}

#[test]
fn every_case_passes_in_a_busybox_as_a_user_that_is_made() {
    check("staithe-test/busybox:1", "openhands", "1000");
}

#[test]
fn a_number_of_another_user_is_refused_by_name() {
    let mut words = vec!["run", "--rm", "--network", "none", "--volume"];
    let mount = format!("{RUNNER}:/staithe-runner:ro");
    words.extend([mount.as_str(), "--entrypoint", "/staithe-runner", "staithe-test/base:1"]);
    words.extend(["3000", "--working-dir", "/w", "--username", "me", "--user-id", "1"]);
    let output = try_docker(&words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("daemon") && said.contains("--user-id"), "{said}");
}
