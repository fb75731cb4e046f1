//! Promise G8: bad input of any kind gets an error with a code; nothing is lost, nothing restarts.
//!
//! A table: each row is a name, what is sent over a real socket, and the answer that must come. All
//! rows are played on one server, against one session, whose shell must not have noticed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/procedures.rs"]
mod procedures;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/sign_in.rs"]
mod sign_in;
#[path = "hostile/stage.rs"]
mod stage;
#[path = "hostile/tokens.rs"]
mod tokens;
#[path = "hostile/wire.rs"]
mod wire;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use stage::Stage;
use wire::{RawSocket, Request};

/// What a row sends.
enum Sent {
    /// A request, on a connection of its own. Wanted: `status code`.
    Http(Request),
    /// Bytes, on a connection of their own. Wanted: as above, or `cut`.
    Bytes(Vec<u8>),
    /// A request that would be a WebSocket. Wanted: as above, or `joined`.
    Join(Request),
    /// A text frame, on the socket that all of them share. Wanted: `type code` of the answer.
    Text(String),
    /// Bytes, on a socket of their own. Wanted: as above, or `close code`.
    Frames(Vec<u8>),
    /// An action of a client. Wanted: its observation, as `name: content`.
    Action(Value),
    /// What takes more than one step. Wanted: what it says.
    Steps(for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, String>),
}

/// One row. What is wanted may end in `…`: then it is how the answer begins.
struct Row(String, Sent, &'static str);

impl Row {
    async fn play(&self, stage: &Stage) -> String {
        let address = stage.server.address();
        let shown = |answer: Option<wire::Answer>| answer.map_or("cut".into(), |a| a.shown());
        match &self.1 {
            Sent::Http(request) => shown(stage.ask(request).await),
            Sent::Bytes(bytes) => shown(wire::exchange(address, bytes).await),
            Sent::Join(request) => {
                match RawSocket::join(address, request, &stage.server.token).await {
                    Ok(_) => "joined".into(),
                    Err(answer) => answer.shown(),
                }
            }
            Sent::Text(text) => {
                let mut socket = stage.socket.lock().await;
                socket.text(text).await;
                wire::shown(&socket.answer().await)
            }
            Sent::Frames(bytes) => {
                let mut socket = stage.join(&stage.editor).await;
                socket.send(bytes).await;
                wire::shown(&socket.answer().await)
            }
            Sent::Action(action) => match stage.act(action).await {
                Ok(event) => {
                    let word = |key: &str| event[key].as_str().unwrap_or_default();
                    format!("{}: {}", word("observation"), word("content"))
                }
                Err(refused) => refused,
            },
            Sent::Steps(steps) => steps(stage).await,
        }
    }

    fn is_satisfied(&self, got: &str) -> bool {
        self.2.strip_suffix('…').map_or(got == self.2, |begin| got.starts_with(begin))
    }
}

#[tokio::test]
async fn whatever_is_sent_gets_its_coded_answer_and_the_session_goes_on() {
    let mut stage = Stage::set().await;
    let shell = stage.run("kept=here; echo \"$kept $$\"").await;
    let (pid, log) = (stage.server.pid(), stage.server.log());
    let steps: fn(&Stage) -> Vec<Row> = procedures::rows;
    let tables = [frames::rows, requests::rows, tokens::rows, files::rows, steps, sign_in::rows];
    let rows: Vec<Row> = tables.iter().flat_map(|table| table(&stage)).collect();
    assert!(rows.len() >= 80, "{} rows", rows.len());

    let mut wrong = Vec::new();
    for row in &rows {
        let got = row.play(&stage).await;
        if !row.is_satisfied(&got) {
            let got: String = got.chars().take(200).collect();
            wrong.push(format!("{}:\n    wanted {}\n    got    {got}", row.0, row.2));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));

    let after = stage.run("echo \"$kept $$\"").await;
    assert_eq!(after["content"], shell["content"], "the same shell, with what was set in it");
    assert_eq!(stage.server.pid(), pid);
    let session = stage.server.json(&format!("/api/admin/sessions/{}", stage.sid)).await;
    assert_eq!(
        (&session["phase"], &session["restarts"]),
        (&"ready".into(), &0.into()),
        "{session}"
    );
    let said = stage.server.log().split_off(log.len());
    // The library's complaints about what is no request and no frame are about the client.
    let ours = || said.lines().filter(|line| !line.contains(" ERROR actix_http::"));
    for word in ["panicked", "RUST_BACKTRACE", " ERROR "] {
        let line = ours().find(|line| line.contains(word));
        assert_eq!(line, None, "nothing hostile is the server's own fault");
    }
    every_code_is_documented(&rows);
    eprintln!("{} rows", rows.len());
    assert_eq!(stage.server.sigterm().await, Some(0), "it ends by itself");
}

/// `docs/errors.md` tells what to do about each code that the rows want.
fn every_code_is_documented(rows: &[Row]) {
    let document = include_str!("../docs/errors.md");
    for Row(name, _, wanted) in rows {
        let words = wanted.split([' ', ',', ';']).filter(|word| {
            let dotted = word.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
            let loud =
                word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            (dotted || loud) && !word.ends_with('.')
        });
        for code in words {
            assert!(
                document.contains(&format!("| `{code}` |")),
                "{name}: {code} is not documented"
            );
        }
    }
}
