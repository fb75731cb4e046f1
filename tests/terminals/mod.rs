//! Terminals from outside, through the whole server, on the engine that the test program names.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    ENGINE,
    common::{Client, Server},
    emulator::Emulator,
};

/// How long something on this machine may take at most.
const LIMIT: Duration = Duration::from_mins(1);
const REPLAY: u64 = 1 << 63;

/// A client that looks at one terminal.
pub(crate) struct Screen {
    client: Client,
    id: u32,
    /// Where the next live byte must be.
    place: Option<u64>,
    /// All bytes since the last replay began.
    bytes: Vec<u8>,
    pub(crate) frames: Vec<Value>,
    emulator: Emulator,
    fed: usize,
}

impl Screen {
    /// Opens or follows a terminal, as the fields say.
    pub(crate) async fn open(mut client: Client, fields: Value) -> Self {
        let mut frame = json!({ "type": "terminal.open", "ref": "t" });
        frame.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let done = client.ask(&frame).await;
        assert_eq!(done["type"], "done", "{done}");
        let info = &done["terminals"][0];
        let length = |name: &str| u16::try_from(info[name].as_u64().unwrap()).unwrap();
        let place = fields["from"].as_u64().or_else(|| fields["terminal"].is_null().then_some(0));
        Self {
            client,
            id: u32::try_from(info["id"].as_u64().unwrap()).unwrap(),
            place,
            bytes: Vec::new(),
            frames: Vec::new(),
            emulator: Emulator::new(length("cols"), length("rows")),
            fed: 0,
        }
    }

    pub(crate) async fn send(&mut self, input: &[u8]) {
        let message = [&self.id.to_be_bytes()[..], input].concat();
        self.client.socket.send(Message::binary(message)).await.unwrap();
    }

    /// Takes one message.
    async fn step(&mut self) {
        let message = timeout(LIMIT, self.client.socket.next()).await;
        let message =
            message.unwrap_or_else(|_| panic!("nothing comes:\n{}", self.emulator.text()));
        match message.expect("the socket stays").unwrap() {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "event" {
                    return;
                }
                if frame["event"] == "replay" {
                    self.place = frame["offset"].as_u64();
                    self.bytes.clear();
                    self.fed = 0;
                }
                self.frames.push(frame);
            }
            Message::Binary(message) => {
                let (id, rest) = message.split_first_chunk::<4>().unwrap();
                let (place, output) = rest.split_first_chunk::<8>().unwrap();
                assert_eq!(u32::from_be_bytes(*id), self.id);
                let place = u64::from_be_bytes(*place);
                assert_eq!(Some(place & !REPLAY), self.place, "bytes come in their place");
                if place & REPLAY == 0 {
                    self.place = Some(place + output.len() as u64);
                }
                self.bytes.extend_from_slice(output);
            }
            _ => {}
        }
    }

    /// Waits until it shows a text.
    pub(crate) async fn shows(&mut self, text: &str) {
        loop {
            self.emulator.write(&self.bytes[self.fed..]);
            self.fed = self.bytes.len();
            if self.emulator.text().contains(text) {
                return;
            }
            self.step().await;
        }
    }

    /// Waits for a frame with this in its `event` or `code`.
    pub(crate) async fn hears(&mut self, word: &str) -> Value {
        loop {
            let is_it = |frame: &Value| frame["event"] == word || frame["code"] == word;
            if let Some(at) = self.frames.iter().position(is_it) {
                return self.frames.remove(at);
            }
            self.step().await;
        }
    }

    /// Asks, and waits for the answer.
    async fn ask(&mut self, frame: Value) -> Value {
        self.client.send_json(&frame).await;
        loop {
            let is_it = |answer: &Value| answer["ref"] == frame["ref"];
            if let Some(at) = self.frames.iter().position(is_it) {
                return self.frames.remove(at);
            }
            self.step().await;
        }
    }
}

/// Both have read to the same place, and show what they have read.
async fn together(first: &mut Screen, second: &mut Screen) {
    while first.place != second.place {
        let behind = if first.place < second.place { &mut *first } else { &mut *second };
        behind.step().await;
    }
    first.shows("").await;
    second.shows("").await;
}

async fn session(dir: &std::path::Path) -> (Server, String, String) {
    let server = Server::start_on(ENGINE, dir, &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    (server, id, token)
}

#[tokio::test]
async fn a_shell_is_shared_by_two_sockets_and_taken_up_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id, token) = session(dir.path()).await;
    let join = async || Client::connect(&server, &id, &token, -1).await;
    let mut first =
        Screen::open(join().await, json!({ "cols": 60, "rows": 12, "command": ["sh"] })).await;
    let opened = first.hears("opened").await;
    assert_eq!((&opened["ref"], &opened["name"]), (&"t".into(), &"sh".into()), "{opened}");
    first.send(b"echo $((40+2)) $TERM; stty size\n").await;
    first.shows("42 xterm-256color\n12 60").await;
    let mut second = Screen::open(join().await, json!({ "terminal": first.id })).await;
    second.shows("42 xterm-256color\n12 60").await;
    together(&mut first, &mut second).await;
    assert_eq!(second.emulator.state(), first.emulator.state());
    second.send(b"printf 'a\\n\\377b\\n'\n").await;
    first.shows("b").await;
    // Both sockets go away; one comes back with its place and gets what it missed.
    first.send(b"read x; echo got $x\n").await;
    first.shows("echo got").await;
    let (place, epoch) = (first.place.unwrap(), opened["epoch"].clone());
    let terminal = first.id;
    drop(first);
    second.send(b"it\n").await;
    second.shows("got it").await;
    let back = json!({ "terminal": terminal, "from": place, "epoch": epoch });
    let mut back = Screen::open(join().await, back).await;
    back.shows("got it").await;
    assert!(back.frames.iter().all(|frame| frame["event"] != "replay"), "{:?}", back.frames);
    // The size is one for all.
    let resize = json!({ "type": "terminal.resize", "ref": "s", "terminal": terminal, "cols": 90, "rows": 20 });
    assert_eq!(back.ask(resize).await["type"], "done");
    for screen in [&mut back, &mut second] {
        let size = screen.hears("size").await;
        assert_eq!((&size["cols"], &size["rows"]), (&90.into(), &20.into()));
    }
    let listed = back.ask(json!({ "type": "terminal.list", "ref": "l" })).await;
    assert_eq!(
        (&listed["terminals"][0]["cols"], &listed["terminals"][0]["followers"]),
        (&90.into(), &2.into())
    );
    let again =
        back.ask(json!({ "type": "terminal.open", "ref": "u", "terminal": terminal })).await;
    assert_eq!(again["code"], "terminal.followed_already");
    assert_eq!(
        back.ask(json!({ "type": "terminal.detach", "ref": "d", "terminal": terminal })).await["type"],
        "done"
    );
    back.send(b"x").await;
    back.hears("terminal.not_followed").await;
    second.send(b"exit 3\n").await;
    assert_eq!(second.hears("exit").await["code"], 3);
}

#[tokio::test]
async fn one_drives_a_viewer_watches_and_who_does_not_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id, token) = session(dir.path()).await;
    let path = format!("/api/sessions/{id}/tokens");
    let made = server.post(&path, &[], &json!({ "role": "viewer" })).await;
    let made: Value = serde_json::from_slice(&made.2).unwrap();
    let viewer = made["token"].as_str().unwrap_or_else(|| panic!("{made}"));
    let mut editor = Screen::open(
        Client::connect(&server, &id, &token, -1).await,
        json!({ "command": "stty raw -echo; echo ready; exec sleep 1000" }),
    )
    .await;
    editor.shows("ready").await;
    let mut watcher = Client::connect(&server, &id, viewer, -1).await;
    let refused = watcher.ask(&json!({ "type": "terminal.open", "ref": "n" })).await;
    assert_eq!(refused["type"], "denied", "{refused}");
    let mut watcher = Screen::open(watcher, json!({ "terminal": editor.id })).await;
    watcher.shows("ready").await;
    watcher.send(b"x").await;
    let denied =
        watcher.ask(json!({ "type": "terminal.close", "ref": "c", "terminal": editor.id })).await;
    assert_eq!(denied["type"], "denied", "{denied}");
    assert!(watcher.frames.iter().any(|frame| frame["type"] == "denied" && frame["ref"] == "t"));

    let mut other = Screen::open(
        Client::connect(&server, &id, &token, -1).await,
        json!({ "terminal": editor.id }),
    )
    .await;
    let drive = |drive| json!({ "type": "terminal.drive", "ref": "dr", "terminal": editor.id, "drive": drive });
    let (on, off) = (drive(true), drive(false));
    assert_eq!(editor.ask(on.clone()).await["type"], "done");
    other.hears("driver").await;
    other.send(b"x").await;
    other.hears("terminal.not_driver").await;
    assert_eq!(other.ask(on).await["code"], "terminal.not_driver");
    assert_eq!(editor.ask(off).await["type"], "done");

    // The program reads nothing: input is refused beyond the bound, other commands are not kept waiting.
    for _ in 0..40 {
        editor.send(&vec![b'y'; 60_000]).await;
    }
    editor.hears("terminal.input_full").await;
    let run = editor.client.run("r", "echo free").await;
    assert_eq!(run["content"], "free");
    let closed =
        editor.ask(json!({ "type": "terminal.close", "ref": "k", "terminal": editor.id })).await;
    assert_eq!(closed["type"], "done");
    assert_eq!(other.hears("exit").await["signal"], 1);
}

#[tokio::test]
async fn a_terminal_is_opened_listed_and_closed_by_requests_and_outlives_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, id, token) = session(dir.path()).await;
    let path = format!("/api/sessions/{id}/terminals");
    let body = json!({ "command": ["sh"], "name": "mine", "cols": 70, "rows": 9 });
    let made = server.post(&path, &[], &body).await;
    assert_eq!(made.0, 201);
    let made: Value = serde_json::from_slice(&made.2).unwrap();
    assert_eq!((&made["name"], &made["rows"]), (&"mine".into(), &9.into()));
    let follow = json!({ "terminal": made["id"] });
    let mut client =
        Screen::open(Client::connect(&server, &id, &token, -1).await, follow.clone()).await;
    client.send(b"echo be\"\"fore\n").await;
    client.shows("before").await;
    server.kill9();
    server.restart().await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    client.run("settle", "true").await; // the server has the line again
    let mut client = Screen::open(client, follow).await;
    client.shows("before").await;
    client.send(b"echo af\"\"ter\n").await;
    client.shows("after").await;
    let one = format!("{path}/{}", made["id"]);
    let closed = server.delete(&one, &[]).await;
    assert_eq!(closed.0, 202);
    client.hears("exit").await;
    let closed = server.delete(&one, &[]).await;
    assert_eq!(closed.0, 202, "an ended one is forgotten");
    assert_eq!(server.json(&path).await["terminals"], json!([]));
}

#[tokio::test]
async fn terminals_of_a_sandbox_that_died_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id, token) = session(dir.path()).await;
    let client = Client::connect(&server, &id, &token, -1).await;
    let mut screen = Screen::open(client, json!({ "command": ["sh"] })).await;
    screen.send(b"echo al\"\"ive\n").await;
    screen.shows("alive").await;
    let opened = screen.hears("opened").await;
    server.sandboxes().into_iter().for_each(crate::common::processes::kill);
    let gone = screen.hears("gone").await;
    assert!(
        ["terminal.other_epoch", "terminal.unreachable"].contains(&gone["code"].as_str().unwrap()),
        "{gone}"
    );
    let mut client = Client::connect(&server, &id, &token, -1).await;
    client.run("settle", "true").await;
    let mut back = json!({ "type": "terminal.open", "ref": "b", "terminal": opened["id"] });
    assert_eq!(client.ask(&back).await["code"], "terminal.unknown");
    (back["epoch"], back["ref"]) = (opened["epoch"].clone(), "c".into());
    assert_eq!(client.ask(&back).await["code"], "terminal.other_epoch");
}

/// The program's own screen and that of a socket that joins midway are the same after each key.
pub(crate) async fn joined_midway(
    server: &Server,
    session: (&str, &str),
    program: Value,
    steps: &[(&str, &str)],
) {
    let join = async || Client::connect(server, session.0, session.1, -1).await;
    let new = json!({ "command": program, "cols": 90, "rows": 30 });
    let mut first = Screen::open(join().await, new).await;
    let mut second = None;
    for (keys, wanted) in steps {
        first.send(keys.as_bytes()).await;
        first.shows(wanted).await;
        let second = match &mut second {
            Some(second) => second,
            none => {
                let joined = Screen::open(join().await, json!({ "terminal": first.id })).await;
                none.insert(joined)
            }
        };
        second.shows(wanted).await;
        together(&mut first, second).await;
        assert_eq!(second.emulator.state(), first.emulator.state(), "after {keys:?}");
    }
}
