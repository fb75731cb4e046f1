//! A client that watches: what it was told, and what it makes of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use staithe_protocol::{
    files::{EntryType, FileOp},
    runner::{Answer, Call, KEY_HEADER},
    services::Services,
    watch::{Batch, Change, ChangeOp, WatchSettings},
};
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::common::{KEY, Line, PATIENCE, Runner};

/// A reader of the watch.
pub(crate) struct Watcher {
    socket: WebSocketStream<UnixStream>,
}

impl Watcher {
    pub(crate) async fn open(runner: &Runner, query: &str, interest: Value) -> Self {
        let mut request =
            format!("ws://runner/watch{query}").into_client_request().expect("a request");
        request.headers_mut().insert(KEY_HEADER, HeaderValue::from_static(KEY));
        let (mut socket, _) =
            client_async(request, runner.connect().await).await.expect("a WebSocket");
        socket.send(Message::text(interest.to_string())).await.expect("it is open");
        Self { socket }
    }

    pub(crate) async fn say(&mut self, interest: Value) {
        self.socket.send(Message::text(interest.to_string())).await.expect("it is open");
    }

    pub(crate) async fn next(&mut self) -> Batch {
        self.next_within(PATIENCE).await.expect("the runner speaks")
    }

    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Batch> {
        let message = timeout(limit, self.socket.next()).await.ok()?;
        match message.expect("it is open").expect("a message") {
            Message::Text(text) => Some(serde_json::from_str(&text).expect("a batch")),
            other => panic!("no text: {other:?}"),
        }
    }

    /// Whether the runner has hung up.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let message = timeout(PATIENCE, self.socket.next()).await.expect("the runner speaks");
        !matches!(message, Some(Ok(Message::Text(_))))
    }

    /// Changes until one of them is wanted, with it.
    pub(crate) async fn until(&mut self, mut wanted: impl FnMut(&Change) -> bool) -> Vec<Change> {
        let mut all = Vec::new();
        loop {
            let batch = self.next().await;
            assert!(!batch.resync, "nothing is lost: {batch:?}");
            all.extend(batch.changes);
            if all.iter().any(&mut wanted) {
                return all;
            }
        }
    }
}

/// Says how to watch.
pub(crate) async fn equip(line: &mut Line, watch: WatchSettings) {
    let services = Services { watch, ..Services::default() };
    assert!(matches!(line.call(Call::Equip { services }).await, Answer::Equipped {}));
}

/// A change in short: `create a`, `rename a b`.
pub(crate) fn short(change: &Change) -> String {
    let op = serde_json::to_value(change.op).expect("a word");
    let op = op.as_str().unwrap_or_default();
    match &change.from {
        Some(from) => format!("{op} {from} {}", change.path),
        None => format!("{op} {}", change.path),
    }
}

/// What is known of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    kind: EntryType,
    /// Of what is no folder.
    size: u64,
    version: Option<String>,
}

/// What a client knows of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) things: BTreeMap<String, Thing>,
    pub(crate) seq: u64,
    pub(crate) epoch: String,
    pub(crate) resyncs: usize,
    pub(crate) batches: usize,
    pub(crate) history: Vec<String>,
}

impl Mirror {
    /// Does what a batch says.
    pub(crate) async fn take(&mut self, batch: Batch, line: &mut Line) {
        self.batches += 1;
        if batch.resync {
            self.resyncs += 1;
            self.history.push("resync".to_owned());
            self.list("", line).await;
        } else if self.epoch == batch.epoch && !batch.changes.is_empty() {
            assert_eq!(batch.seq, self.seq + 1, "no batch is missing");
        }
        (self.seq, self.epoch) = (batch.seq, batch.epoch);
        assert!(batch.changes.len() <= 200);
        for change in batch.changes {
            if self.history.len() < 2000 {
                self.history.push(short(&change));
            }
            self.change(change, line).await;
        }
    }

    async fn change(&mut self, change: Change, line: &mut Line) {
        let Change { op, path, from, kind, version, size, .. } = change;
        match op {
            ChangeOp::Create | ChangeOp::Modify | ChangeOp::Rename => {
                let kind = kind.expect("its type");
                if let Some(from) = from {
                    self.remove(&from);
                }
                if kind != EntryType::Dir || op == ChangeOp::Rename {
                    self.remove(&path);
                }
                let size = if kind == EntryType::Dir { 0 } else { size.expect("its size") };
                self.things.insert(path.clone(), Thing { kind, size, version });
                if op == ChangeOp::Rename && kind == EntryType::Dir {
                    self.list(&path, line).await;
                }
            }
            ChangeOp::Delete => self.remove(&path),
            ChangeOp::BranchChanged => {}
        }
    }

    fn remove(&mut self, path: &str) {
        self.things.remove(path);
        // `0` follows `/`.
        let beneath = self.things.range(format!("{path}/")..format!("{path}0"));
        let beneath: Vec<String> = beneath.map(|(path, _)| path.clone()).collect();
        for path in beneath {
            self.things.remove(&path);
        }
    }

    /// Asks for all that is in a folder.
    pub(crate) async fn list(&mut self, path: &str, line: &mut Line) {
        if path.is_empty() {
            self.things.clear();
        } else if let Some(folder) = self.things.get(path).cloned() {
            self.remove(path);
            self.things.insert(path.to_owned(), folder);
        }
        let mut left = vec![path.to_owned()];
        while let Some(path) = left.pop() {
            let Ok(done) = line
                .file(FileOp::List { path, depth: None, ignore: Vec::new(), versions: false })
                .await
            else {
                continue;
            };
            assert_ne!(done.truncated, Some(true));
            for entry in done.entries.unwrap_or_default() {
                if is_ignored(&entry.path, entry.kind) {
                    continue;
                }
                let size = if entry.kind == EntryType::Dir { 0 } else { entry.size };
                if entry.kind == EntryType::Dir {
                    left.push(entry.path.clone());
                }
                let thing = Thing { kind: entry.kind, size, version: entry.version };
                self.things.insert(entry.path, thing);
            }
        }
    }

    /// How it differs from the disk, in words; versions that were told must be right.
    pub(crate) fn differences(&self, workspace: &Path, beneath: &str) -> Option<String> {
        let mut disk = BTreeMap::new();
        walk(workspace, beneath, &mut disk);
        let mut words = String::new();
        let within = |path: &str| beneath.is_empty() || path.starts_with(&format!("{beneath}/"));
        let mut mine = self.things.clone();
        mine.retain(|path, _| within(path));
        for (path, there) in &disk {
            match mine.remove(path) {
                None => writeln!(words, "unknown: {path} {there:?}").expect("memory"),
                Some(mut thing) => {
                    thing.version = thing.version.filter(|version| version.starts_with("sha256:"));
                    let file = (thing.version.is_some() && there.kind == EntryType::File)
                        .then(|| std::fs::read(workspace.join(path)).expect("it is there"));
                    let version = file.map(|content| {
                        format!(
                            "sha256:{}",
                            data_encoding::HEXLOWER.encode(&Sha256::digest(content))
                        )
                    });
                    if thing != (Thing { version, ..there.clone() }) {
                        writeln!(words, "wrong: {path} {thing:?} {there:?}").expect("memory");
                    }
                }
            }
        }
        for path in mine.keys() {
            writeln!(words, "gone: {path}").expect("memory");
        }
        (!words.is_empty()).then_some(words)
    }
}

/// By the shipped rules.
pub(crate) fn is_ignored(path: &str, kind: EntryType) -> bool {
    let folders = path.matches('/').count() + usize::from(kind == EntryType::Dir);
    path.split('/').enumerate().any(|(at, name)| {
        (at < folders && matches!(name, ".git" | "node_modules" | "__pycache__"))
            || name == ".DS_Store"
            || name.ends_with('~')
            || name.starts_with(".staithe-")
    })
}

fn walk(workspace: &Path, relative: &str, found: &mut BTreeMap<String, Thing>) {
    let Ok(folder) = std::fs::read_dir(workspace.join(relative)) else { return };
    for entry in folder {
        let entry = entry.expect("it is quiet");
        let name = entry.file_name().into_string().expect("text");
        let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        let metadata = entry.metadata().expect("it is quiet");
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => EntryType::Dir,
            kind if kind.is_symlink() => EntryType::Symlink,
            kind if kind.is_file() => EntryType::File,
            _ => EntryType::Other,
        };
        if is_ignored(&path, kind) {
            continue;
        }
        let size = if kind == EntryType::Dir { 0 } else { metadata.size() };
        found.insert(path.clone(), Thing { kind, size, version: None });
        if kind == EntryType::Dir {
            walk(workspace, &path, found);
        }
    }
}

/// A client: a reader, its own line to list over, and its mirror.
pub(crate) struct Client {
    pub(crate) watcher: Watcher,
    pub(crate) line: Line,
    pub(crate) mirror: Mirror,
    workspace: PathBuf,
    marks: usize,
}

impl Client {
    pub(crate) async fn join(runner: &Runner) -> Self {
        let mut client = Self {
            watcher: Watcher::open(runner, "", json!({})).await,
            line: runner.line().await,
            mirror: Mirror::default(),
            workspace: runner.workspace(),
            marks: 0,
        };
        let first = client.watcher.next().await;
        assert!(first.resync, "a new client lists: {first:?}");
        client.mirror.take(first, &mut client.line).await;
        client
    }

    /// Takes what comes next.
    pub(crate) async fn take(&mut self) {
        let batch = self.watcher.next().await;
        self.mirror.take(batch, &mut self.line).await;
    }

    /// Takes all that comes until a file that is made now is told, and then until the mirror is right.
    pub(crate) async fn settle(&mut self, beneath: &str) {
        self.marks += 1;
        let mark = format!(".mark-{}", self.marks);
        std::fs::write(self.workspace.join(&mark), "").expect("a file");
        while !self.mirror.things.contains_key(&mark) {
            self.take().await;
        }
        std::fs::remove_file(self.workspace.join(&mark)).expect("it is there");
        while self.mirror.things.contains_key(&mark) {
            self.take().await;
        }
        while let Some(differences) = self.mirror.differences(&self.workspace, beneath) {
            let Some(batch) = self.watcher.next_within(Duration::from_secs(3)).await else {
                let history = self.mirror.history.join("\n");
                panic!("the mirror is wrong:\n{differences}\nit was told:\n{history}");
            };
            self.mirror.take(batch, &mut self.line).await;
        }
    }
}
