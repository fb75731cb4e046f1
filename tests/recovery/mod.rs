//! The server, or a sandbox, ends as by a power cut: nothing acknowledged is lost, nothing is done twice,
//! nobody misses an event, nothing is left behind. The program that takes this in says on which engine.

mod storm;

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use self::storm::{Storm, weather};
use crate::{
    ENGINE,
    common::{Client, EngineKind, PROMPT, Server, docker, processes},
};

/// A sandbox that was killed is there again within this time; the third within five minutes waits 16 s.
const BACK_AGAIN: Duration = Duration::from_secs(30);

/// What of a sandbox is killed.
enum Victim {
    /// The processes with this word in their command lines.
    Processes(&'static str),
    /// The container, by these words to docker.
    Container(&'static [&'static str]),
}

/// Whatever can end by itself.
const VICTIMS: &[(&str, Victim)] = match ENGINE {
    EngineKind::Local => {
        &[("runner", Victim::Processes(" serve ")), ("launcher", Victim::Processes(" launch "))]
    }
    EngineKind::Docker | EngineKind::Fake => &[
        ("runner", Victim::Processes(" serve ")),
        ("container", Victim::Container(&["kill"])),
        ("removed", Victim::Container(&["rm", "--force"])),
    ],
};

impl Victim {
    fn kill(&self, server: &Server, name: &str) {
        let found = match self {
            Self::Processes(word) => {
                let found = server.sandboxes().into_iter();
                let found: Vec<_> =
                    found.filter(|pid| processes::command(*pid).contains(word)).collect();
                found.iter().copied().for_each(processes::kill);
                found.len()
            }
            Self::Container(words) => {
                let owner = docker::owner(server.dir()).expect("the server was started");
                let found = docker::containers(&owner);
                let ids: Vec<_> = found.iter().map(String::as_str).collect();
                docker::docker(&[words, &ids[..]].concat());
                found.len()
            }
        };
        assert_eq!(found, 1, "one {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_commands_of_four_clients_survive_twenty_kills() {
    weather(Storm { sessions: 1, clients: 4, commands: 250, kills: 20 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_sessions_side_by_side_survive_kills() {
    weather(Storm { sessions: 4, clients: 1, commands: 60, kills: 6 }).await;
}

#[tokio::test]
async fn a_killed_sandbox_is_replaced_and_what_it_ran_gets_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    client.run("keep", "echo kept > file; V=lost").await;
    for (name, victim) in VICTIMS {
        let cause = begin_something_long(&mut client, name).await;
        victim.kill(&server, name);
        back_again(&mut client, cause).await;
        let next = client.run(&format!("next-{name}"), "cat file; echo \"[$V]\"").await;
        assert_eq!(next["content"], "kept\n[]", "the workspace stays, the shell is a new one");
    }
    delete_leaves_nothing(&mut server, &sid).await;
}

#[tokio::test]
async fn server_and_sandbox_killed_together_come_back_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    let cause = begin_something_long(&mut client, "both").await;
    server.kill9();
    server.sandboxes().into_iter().for_each(processes::kill);
    server.restart().await;
    let mut client = Client::connect(&server, &sid, &token, client.cursor).await;
    back_again(&mut client, cause).await;
    assert_eq!(client.run("next", "echo again").await["content"], "again");
    delete_leaves_nothing(&mut server, &sid).await;
}

#[tokio::test]
async fn sigterm_puts_sessions_to_sleep_and_a_join_wakes_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let (sid, token) = server.session().await;
        let mut client = Client::connect(&server, &sid, &token, -1).await;
        client.run("a", "echo before > file").await;
        sessions.push((sid, token, client));
    }
    assert!(server.sandboxes().len() >= 3, "each has processes of its own");
    assert_eq!(server.sigterm().await, Some(0));
    server.nothing_runs().await;
    server.restart().await;
    for (sid, token, before) in sessions {
        assert_eq!(server.json(&format!("/api/sessions/{sid}")).await["phase"], "suspended");
        let mut client = Client::connect(&server, &sid, &token, before.cursor).await;
        server.phase(&sid, "ready", BACK_AGAIN).await;
        assert_eq!(client.run("b", "cat file").await["content"], "before");
        delete(&server, &sid).await;
    }
    server.nothing_is_left().await;
    assert_eq!(server.sigterm().await, Some(0));
}

/// Starts a command that does not end; the id of its action.
async fn begin_something_long(client: &mut Client, name: &str) -> Value {
    client.send_run(name, "echo begun; sleep 300").await;
    let printed = |frame: &Value| {
        frame["type"] == "partial" && frame["text"].as_str().is_some_and(|t| t.contains("begun"))
    };
    client.until(PROMPT, printed).await["cause"].clone()
}

/// Sees `starting`, an error for the command that ran, and `ready`.
async fn back_again(client: &mut Client, cause: Value) {
    let (mut starting, mut ready, mut answered) = (false, false, false);
    let begun = Instant::now();
    while !(starting && ready && answered) {
        let left = BACK_AGAIN.checked_sub(begun.elapsed()).expect("back again in time");
        let frame = client.recv_json(left).await.unwrap();
        let event = &frame["event"];
        starting |= event["extras"]["phase"] == "starting";
        ready |= starting && event["extras"]["phase"] == "ready";
        if event["cause"] == cause && event["observation"].is_string() {
            assert_eq!(event["observation"], "error", "{event}");
            assert_eq!(event["extras"]["error_id"], "AGENT_ERROR$ACTION_INTERRUPTED", "{event}");
            answered = true;
        }
    }
    eprintln!("back again after {:?}", begun.elapsed());
}

async fn delete(server: &Server, sid: &str) {
    let (status, _, body) = server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
}

async fn delete_leaves_nothing(server: &mut Server, sid: &str) {
    delete(server, sid).await;
    server.nothing_is_left().await;
    assert_eq!(server.sigterm().await, Some(0));
    server.nothing_is_left().await;
}
