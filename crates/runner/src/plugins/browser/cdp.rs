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

/// The largest message of the browser that is taken, in bytes. As values it is many times as much.
const MOST: usize = 8 * 1024 * 1024;
/// Within so many bytes from its beginning an answer says what it is the answer to.
const HEAD: usize = 64;
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

    /// Ends when nothing comes any more.
    pub(super) async fn gone(&self) {
        loop {
            let news = self.news.notified();
            if self.lost.get() {
                return;
            }
            news.await;
        }
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
                gather(&mut buffer, &new[..end]);
                new = &new[end + 1..];
                match serde_json::from_slice(&buffer) {
                    Ok(message) => self.take(message),
                    Err(_) => self.refuse(&buffer),
                }
                buffer.clear();
                buffer.shrink_to(PIECE);
            }
            gather(&mut buffer, new);
            tokio::task::yield_now().await;
        }
    }

    /// Who waits for a message that is none, too large or too deep is told so.
    fn refuse(&self, message: &[u8]) {
        let tell = id_of(message).and_then(|id| self.waiting.borrow_mut().remove(&id));
        if let Some(tell) = tell {
            let text = "What the browser answered is too large.".to_owned();
            tell.send(Err(text)).ok(); // who asked may have gone
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

/// Adds to a message. Of one that is too large only the beginning is kept, which is no message.
fn gather(buffer: &mut Vec<u8>, new: &[u8]) {
    let room = MOST.saturating_sub(buffer.len());
    buffer.extend_from_slice(&new[..new.len().min(room)]);
}

/// The call that a message answers, as its beginning says.
fn id_of(message: &[u8]) -> Option<u64> {
    let head = message[..message.len().min(HEAD)].strip_prefix(b"{\"id\":")?;
    let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&head[..digits]).ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use tokio::net::unix::pipe::pipe;

    use super::*;

    /// A line, and the browser's ends of it.
    async fn with_line<T>(test: impl AsyncFnOnce(Rc<Cdp>, pipe::Sender, pipe::Receiver) -> T) -> T {
        let set = tokio::task::LocalSet::new();
        set.run_until(async {
            let (say, read) = pipe().unwrap();
            let (write, heard) = pipe().unwrap();
            let line = Cdp::open(read, write);
            test(line, say, heard).await
        })
        .await
    }

    #[tokio::test]
    async fn an_answer_too_large_or_too_deep_is_an_error_and_the_line_goes_on() {
        with_line(async |cdp, mut say, _heard| {
            let large = format!("{{\"id\":1,\"result\":\"{}\"}}\0", "x".repeat(MOST + PIECE));
            let deep = format!("{{\"id\":2,\"result\":{}{}}}\0", "[".repeat(200), "]".repeat(200));
            let good = "{\"id\":3,\"result\":{\"a\":1}}\0";
            let saying = spawn_local(async move {
                for text in [large.as_str(), deep.as_str(), good] {
                    say.write_all(text.as_bytes()).await.unwrap();
                }
                say
            });
            let all = tokio::join!(
                cdp.call(None, "a", json!({})),
                cdp.call(None, "b", json!({})),
                cdp.call(None, "c", json!({})),
            );
            let too_large = Err("What the browser answered is too large.".to_owned());
            assert_eq!(all, (too_large.clone(), too_large, Ok(json!({ "a": 1 }))));
            assert!(!cdp.lost.get());
            drop(saying.await.unwrap());
            cdp.gone().await;
            assert!(cdp.call(None, "d", json!({})).await.is_err());
        })
        .await;
    }
}
