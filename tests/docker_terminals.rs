//! Terminals on docker: the tests of `terminals.rs`, with vim and htop of this machine carried into the
//! container.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "../crates/runner/tests/emulator/mod.rs"]
mod emulator;
#[path = "terminals/mod.rs"]
mod terminals;

use std::{path::Path, process::Command, time::Duration};

use common::{Client, EngineKind, Server};
use serde_json::{Value, json};

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Docker;

/// Uploads a program of this machine with all its libraries; the words that run it there.
async fn carry(server: &Server, id: &str, program: &str) -> Vec<String> {
    let found = Command::new("which").arg(program).output().unwrap();
    let path = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    assert!(!path.is_empty(), "{program} is missing here: apt-get install {program}");
    let list = Command::new("ldd").arg(&path).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let mut loader = String::new();
    for file in list.split_whitespace().filter(|word| word.starts_with('/')).chain([path.as_str()])
    {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        if name.starts_with("ld-linux") {
            name.clone_into(&mut loader);
        }
        let place = format!("/api/sessions/{id}/files/carried/{name}?create_parents=1");
        let content = std::fs::read(file).unwrap();
        let put = server.put(&place, &[("x-force", "true")], content).await;
        assert_eq!(put.0, 200, "{name}: {}", String::from_utf8_lossy(&put.2));
    }
    let program = Path::new(&path).file_name().unwrap().to_str().unwrap();
    let at = |name: &str| format!("/workspace/carried/{name}");
    vec![at(&loader), "--library-path".to_owned(), "/workspace/carried".to_owned(), at(program)]
}

#[tokio::test]
async fn vim_and_htop_look_the_same_to_a_socket_that_joins_midway() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", Duration::from_mins(1)).await;
    let mut vim = carry(&server, &id, "vim").await;
    let mut htop = carry(&server, &id, "htop").await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    let allowed = client.run("x", "chmod -R +x carried && echo ok").await;
    assert_eq!(allowed["content"], "ok");
    vim.extend(["-u", "NONE", "-N", "--cmd", "set title mouse=a ruler"].map(str::to_owned));
    htop.extend(["-d", "2"].map(str::to_owned));
    let session = (id.as_str(), token.as_str());
    let vim_steps = [
        ("ione line\rand another \u{6f22}\x1b", "and another"),
        (":set hlsearch number\r/an\r", "1 one line"),
        (":vsplit\r", "[No Name] [+]"),
    ];
    terminals::joined_midway(&server, session, Value::from(vim), &vim_steps).await;
    let htop_steps = [("", "PID"), ("h", "Space:"), ("q", "PID")];
    terminals::joined_midway(&server, session, json!(htop), &htop_steps).await;
}

/// Ends the processes that carry lines into this server's containers; how many there were.
fn cut_lines(server: &Server) -> usize {
    let is_line = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"bridge")
    };
    let lines: Vec<u32> = server.sandboxes().into_iter().filter(is_line).collect();
    lines.iter().copied().for_each(common::processes::kill);
    lines.len()
}

#[tokio::test]
async fn a_stream_whose_line_is_cut_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let line = [("STAITHE__SANDBOX__DOCKER__LINE", "exec")];
    let server = Server::start_on(ENGINE, dir.path(), &line).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", Duration::from_mins(1)).await;
    let client = Client::connect(&server, &id, &token, -1).await;
    let count =
        "i=0; while [ $i -lt 300 ]; do echo line $i of 300; i=$((i+1)); sleep 0.02; done; read x";
    let mut screen = terminals::Screen::open(client, json!({ "command": count })).await;
    for cut in 0..4 {
        screen.shows(&format!("line {} of", 10 + 60 * cut)).await;
        assert!(cut_lines(&server) >= 2, "the session's line and the terminal's");
    }
    screen.shows("line 299 of").await; // each byte in its place, which is checked as they come
    assert!(screen.frames.iter().all(|frame| frame["event"] != "replay"), "{:?}", screen.frames);
}
