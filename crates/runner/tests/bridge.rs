//! Stdin and stdout as a line to the socket.

mod common;

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
};

use common::{KEY, Runner};

fn bridge(socket: &std::path::Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_staithe-runner"))
        .args(["bridge", "--socket"])
        .arg(socket)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

#[tokio::test]
async fn a_request_goes_through_and_both_ends_end() {
    let runner = Runner::start().await;
    let mut child = bridge(&runner.dir.path().join("socket/runner.sock"), &[]);
    let mut stdin = child.stdin.take().unwrap();
    write!(
        stdin,
        "POST /list_files HTTP/1.1\r\nHost: x\r\nX-Session-API-Key: {KEY}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("[]"), "{answer}");
    // The runner hung up; that stdin is still open doesn't matter then.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn either_end_may_say_its_last_word_first_and_go_on_listening() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();

    let mut child = bridge(&socket, &[]);
    let (mut peer, _) = listener.accept().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    peer.write_all(b"last").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut word = [0; 4];
    stdout.read_exact(&mut word).unwrap();
    stdin.write_all(b"still here").unwrap();
    drop(stdin);
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "still here");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut child = bridge(&socket, &[]);
    let (mut peer, _) = listener.accept().unwrap();
    drop(child.stdin.take());
    assert_eq!(peer.read(&mut word).unwrap(), 0);
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"answer"[..]));
}

#[test]
fn much_goes_both_ways_at_once_unchanged() {
    const MUCH: usize = 16 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut child = bridge(&socket, &[]);
    let (mut peer, _) = listener.accept().unwrap();
    let echo = std::thread::spawn(move || std::io::copy(&mut peer.try_clone().unwrap(), &mut peer));
    let sent: Vec<u8> = (0..MUCH).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    let mut stdin = child.stdin.take().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(echo.join().unwrap().unwrap(), MUCH as u64);
    assert!(output.stdout == sent, "{} bytes came", output.stdout.len());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_socket_is_waited_for_but_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    // The folder isn't there either, and the path is longer than a socket's may be.
    let folder = dir.path().join("a".repeat(100));
    let socket = folder.join("s");
    let child = bridge(&socket, &["--connect-timeout-ms", "50"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(71));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("can't reach") && words.lines().count() == 1, "{words}");

    let child = bridge(&socket, &[]);
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&folder, dir.path().join("short")).unwrap();
    let listener = UnixListener::bind(dir.path().join("short/s")).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}
