//! The line to the browser: messages of its `DevTools` protocol, each ended by a NUL, on two pipes. No port
//! is opened, so no page and no other user of the sandbox can reach it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    sync::{Notify, mpsc, oneshot},
    task::{JoinHandle, spawn_local},
};

use super::tabs::{Answer, Tabs};

/// The largest message of the browser, in bytes.
const MOST: usize = 64 * 1024 * 1024;
/// Messages that may wait to be written.
const WAITING: usize = 64;
/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// A line.
pub(super) struct Cdp {
    write: mpsc::Sender<Vec<u8>>,
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    /// What the browser said of its pages.
    pub tabs: RefCell<Tabs>,
    /// Said after each event.
    pub news: Notify,
    /// Nothing comes any more.
    pub lost: Cell<bool>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Cdp {
    /// Speaks on these pipes.
    pub(super) fn open(read: pipe::Receiver, write: pipe::Sender) -> Rc<Self> {
        let (queue, queued) = mpsc::channel(WAITING);
        let cdp = Rc::new(Self {
            write: queue,
            next: Cell::new(1),
            waiting: RefCell::default(),
            tabs: RefCell::default(),
            news: Notify::new(),
            lost: Cell::new(false),
            tasks: RefCell::default(),
        });
        let reading = spawn_local({
            let cdp = Rc::clone(&cdp);
            async move {
                cdp.read_all(read).await;
                cdp.lose();
            }
        });
        cdp.tasks.replace(vec![reading, spawn_local(write_all(write, queued))]);
        cdp
    }

    /// Ends the line.
    pub(super) fn close(&self) {
        for task in self.tasks.take() {
            task.abort();
        }
        self.lose();
    }

    fn lose(&self) {
        self.lost.set(true);
        self.waiting.borrow_mut().clear();
        self.news.notify_waiters();
    }

    /// Asks the browser itself, or the page of a session.
    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        const GONE: &str = "The browser ended.";
        if self.lost.get() {
            return Err(GONE.to_owned());
        }
        let id = self.next.replace(self.next.get() + 1);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let (tell, told) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, tell);
        let _forget = Forget { cdp: self, id };
        self.write.send(bytes).await.map_err(|_| GONE.to_owned())?;
        told.await.unwrap_or_else(|_| Err(GONE.to_owned()))
    }

    async fn read_all(self: &Rc<Self>, mut read: pipe::Receiver) {
        let mut buffer: Vec<u8> = Vec::new();
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = read.read(&mut piece).await {
            let mut new = &piece[..length];
            while let Some(end) = memchr::memchr(0, new) {
                buffer.extend_from_slice(&new[..end]);
                new = &new[end + 1..];
                if let Ok(message) = serde_json::from_slice(&buffer) {
                    self.take(message);
                }
                buffer.clear();
                buffer.shrink_to(PIECE);
            }
            buffer.extend_from_slice(new);
            if buffer.len() > MOST {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn take(self: &Rc<Self>, mut message: Value) {
        if let Some(id) = message.get("id").and_then(Value::as_u64) {
            let Some(tell) = self.waiting.borrow_mut().remove(&id) else { return };
            let answer = match message.get("error").and_then(|error| error.get("message")) {
                Some(text) => Err(text.as_str().unwrap_or_default().to_owned()),
                None => Ok(message["result"].take()),
            };
            tell.send(answer).ok(); // who asked may have gone
            return;
        }
        let method = message["method"].as_str().unwrap_or_default();
        let session = message["sessionId"].as_str();
        let answers = self.tabs.borrow_mut().happened(method, session, &message["params"]);
        for Answer { session, method, params } in answers {
            let cdp = Rc::clone(self);
            spawn_local(async move {
                // A page that closed meanwhile needs no answer.
                drop(cdp.call(session.as_deref(), method, params).await);
            });
        }
        self.news.notify_waiters();
    }
}

/// Forgets a call that nobody waits for any more.
struct Forget<'a> {
    cdp: &'a Cdp,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.cdp.waiting.borrow_mut().remove(&self.id);
    }
}

async fn write_all(mut write: pipe::Sender, mut queued: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queued.recv().await {
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
