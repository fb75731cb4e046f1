//! The proxy's cases on docker: the tests of `proxy.rs` with a program in the container that leads to the
//! test's own, so that every byte goes through the sandbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "proxy/bodies.rs"]
mod bodies;
#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "proxy/doors.rs"]
mod doors;
#[path = "proxy/heads.rs"]
mod heads;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "proxy/stage.rs"]
mod stage;
#[path = "proxy/table.rs"]
mod table;
#[path = "proxy/upgrades.rs"]
mod upgrades;
#[path = "proxy/wire.rs"]
mod wire;

use std::sync::Arc;

use common::{Client, EngineKind, PROMPT, Server};
use serde_json::{Value, json};
use stage::{Case, Door, Ground, Stage};
use tokio::net::TcpListener;

/// Connections to one sandbox that the server of these tests allows.
pub(crate) const MOST_CONNECTIONS: usize = 12;

/// Leads from a port of the container to one of the machine, each direction by itself.
const RELAY: &str = r#"
use Socket; use IO::Socket::INET; $SIG{CHLD} = "IGNORE";
my ($to, $port) = @ARGV;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die;
$| = 1; print "listening\n";
while (my $a = $l->accept) {
  next if fork; close $l;
  my $b = IO::Socket::INET->new(PeerAddr => $to, PeerPort => $port) or exit;
  my ($from, $into) = fork ? ($a, $b) : ($b, $a);
  while (sysread $from, my $piece, 65536) { my $at = 0;
    while ($at < length $piece) { my $n = syswrite $into, $piece, length($piece) - $at, $at; exit unless $n; $at += $n } }
  shutdown $into, 1; exit;
}
"#;

#[tokio::test]
async fn every_case_holds_on_docker() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("STAITHE__PROXY__MAX_CONNECTIONS", "12"),
        ("STAITHE__SERVER__SANDBOX_DOMAIN", "sand.example"),
        ("STAITHE__SERVER__TRUSTED_PROXIES", "127.0.0.2"),
        ("STAITHE__PROXY__FIND_PORTS_EVERY", "100ms"),
        ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "10000"),
    ];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &settings).await;
    let (id, token) = server.session().await;
    let (other_id, stranger) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    let (_, _, body) =
        server.post(&format!("/api/sessions/{id}/tokens"), &[], &json!({ "role": "viewer" })).await;
    let made: Value = serde_json::from_slice(&body).unwrap();
    let viewer = made["token"].as_str().unwrap().to_owned();

    let listener = Arc::new(TcpListener::bind("0.0.0.0:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let mut client = Client::connect(&server, &id, &token, -1).await;
    let path = format!("/api/sessions/{id}/files/relay.pl?create_parents=1");
    let (status, ..) = server.put(&path, &[("x-force", "true")], RELAY.into()).await;
    assert_eq!(status, 200);
    // The machine's address is the gateway of the container's network.
    let start = format!(
        "gateway=$(perl -ne '@w = split; print join \".\", reverse map {{ hex }} $w[2] =~ /../g \
         if $w[1] eq \"00000000\"' /proc/net/route); perl relay.pl $gateway {port} > said 2>&1 & \
         while ! [ -s said ]; do :; done; cat said"
    );
    let ran = client.run("relay", &start).await;
    assert!(ran["content"].as_str().unwrap().contains("listening"), "{ran}");
    let ground = Ground::Relay { port: 8080, listener };
    let stage = Stage { server, id, token, viewer, stranger, other_id, ground, nginx: None };
    table::run(&stage, &[Door::Direct], false, 60).await;

    let case = Case { stage: &stage, door: Door::Direct };
    let (head, body) = case.told(9, "GET /", &[]).await;
    assert_eq!(head.status(), 502, "{body}");
    let listed = stage.server.json(&format!("/api/sessions/{}/ports", stage.id)).await;
    assert!(listed["ports"].as_array().unwrap().iter().any(|it| it["port"] == 8080), "{listed}");
}
