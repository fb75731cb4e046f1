//! The program from its command line: what it prints, and how it ends.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{common::processes, keys};

fn staithe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staithe"));
    command.stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn ready_json_is_one_line_of_four_keys_and_nothing_else_is_on_stdout() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut process = staithe()
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--sandbox-listen",
            "127.0.0.1:0",
            "--ready-json",
        ])
        .arg("--data-dir")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(keys(&ready), ["url", "sandbox_url", "login_url", "token"].into());
    let word = |key: &str| ready[key].as_str().expect("text").to_owned();
    assert!(word("url").starts_with("http://127.0.0.1:") && !word("url").ends_with(":0"));
    assert_ne!(word("url"), word("sandbox_url"));
    assert!(word("login_url").starts_with(&format!("{}/login?token=", word("url"))));
    processes::terminate(process.id());
    let (mut rest, mut log) = (String::new(), String::new());
    stdout.read_to_string(&mut rest).expect("text");
    process.stderr.take().expect("a pipe").read_to_string(&mut log).expect("text");
    assert!(process.wait().expect("it ends").success());
    assert_eq!(rest, "");
    assert!(log.contains("serving"), "logs go to stderr: {log}");
    assert!(!log.contains(&word("token")), "a token is in nobody's log");
}

#[test]
fn beyond_loopback_nothing_is_served_without_a_token() {
    let dir = tempfile::tempdir().expect("a directory");
    for (flag, key) in
        [("--listen", "server.listen"), ("--sandbox-listen", "server.sandbox_listen")]
    {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let output = staithe()
                .args(["serve", "--ready-json", flag, address, "--data-dir"])
                .arg(dir.path())
                .output();
            let (code, stdout, stderr) = said(&output.expect("it runs"));
            assert_eq!((code, stdout.as_str()), (Some(64), ""), "{stderr}");
            for word in [key, address, "auth.access_token", "auth.operator_token", "127.0.0.1"] {
                assert!(stderr.contains(word), "{word}: {stderr}");
            }
        }
    }
}

fn check(dir: &Path, text: &str) -> (Option<i32>, String, String) {
    let file = dir.join("config.toml");
    std::fs::write(&file, text).expect("a file");
    said(&staithe().args(["config", "check", "--config"]).arg(&file).output().expect("it runs"))
}

#[test]
fn config_check_tells_of_every_fault_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let bad = "[core]\njwt_secret = \"short\"\n[limits]\nmax_sessions = 0\n[sandbox]\nname_prefix = \"A_\"\n\
               [sandbox.local]\nnetwork = \"moon\"\n[auth]\naccess_token = \"x\"\n";
    let (code, stdout, stderr) = check(dir.path(), bad);
    assert_eq!((code, stdout.as_str()), (Some(64), ""));
    for key in [
        "core.jwt_secret",
        "limits.max_sessions",
        "sandbox.name_prefix",
        "sandbox.local.network",
        "auth.access_token",
    ] {
        assert!(stderr.contains(key), "{key}: {stderr}");
    }
    assert!(!stderr.contains("short"), "no secret is repeated: {stderr}");
}

#[test]
fn config_check_names_the_key_that_was_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, _, stderr) =
        check(dir.path(), "[server]\nlissten = \"127.0.0.1:1\"\n[limit]\nmax_sessions = 1\n");
    assert_eq!(code, Some(64));
    assert!(
        stderr.contains("server.lissten") && stderr.contains("did you mean server.listen?"),
        "{stderr}"
    );
    assert!(stderr.contains("limit in ") || stderr.contains("limit."), "both at once: {stderr}");
    let (code, _, stderr) = check(dir.path(), "[server\n");
    assert_eq!(code, Some(64), "{stderr}");
    let (code, _, stderr) = check(dir.path(), "[server]\nlisten = 7\n");
    assert_eq!(code, Some(64), "{stderr}");
    let (code, _, stderr) = check(dir.path(), "[sandbox]\ntimeout = \"soon\"\n");
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("timeout") && stderr.contains("10s"), "{stderr}");
    assert_eq!(check(dir.path(), "[limits]\nmax_sessions = 5\n").0, Some(0));
    let missing = staithe().args(["config", "check", "--config", "/nowhere/config.toml"]).output();
    let (code, _, stderr) = said(&missing.expect("it runs"));
    assert_eq!(code, Some(64));
    assert!(stderr.contains("/nowhere/config.toml"), "{stderr}");
}

#[test]
fn config_show_masks_secrets() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.toml");
    let text = "[auth]\naccess_token = \"a-very-secret-token\"\n[sandbox.secret_env]\nKEY = \"another-secret\"\n";
    std::fs::write(&file, text).expect("a file");
    let (code, stdout, _) =
        said(&staithe().args(["config", "show", "--config"]).arg(&file).output().expect("it runs"));
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("***")
            && !stdout.contains("secret-token")
            && !stdout.contains("another-secret"),
        "{stdout}"
    );
}
