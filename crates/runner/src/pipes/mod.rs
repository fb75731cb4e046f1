//! Programs as streams of bytes, for the server alone: see [`staithe_protocol::pipe`].
//!
//! A program is as confined as commands are, runs in a process group of its own, and ends with its stream. What it
//! prints waits in the kernel's buffers until the server takes it, so that a reader that stalls stalls the program.

mod start;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use hyper::{Method, Request, StatusCode, body::Incoming};
use staithe_protocol::pipe::{OPENED_WITHIN_MS, PipeCode, PipeDenied, PipeEnd, PipeStarted};
use tokio::{
    sync::{Notify, watch},
    task::spawn_local,
    time::{sleep, timeout},
};

use self::start::{Io, Live};
use crate::{
    app::App,
    http::words::{Answer, Refusal, bad, fault, json, nothing_at, ok, read_json},
    tunnel::{self, carry::carry},
};

/// Programs that may run at a time.
const MOST: usize = 32;
/// Ended ones whose last words are kept until they are asked for.
const MOST_ENDED: usize = 32;
/// Said to stderr before the end, it may come so long after it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All of them; one per process.
#[derive(Default)]
pub struct Pipes {
    held: RefCell<BTreeMap<u64, Rc<Pipe>>>,
    next: Cell<u64>,
}

/// One program.
struct Pipe {
    live: Live,
    /// Taken by the stream.
    io: RefCell<Option<Io>>,
    opened: Notify,
    /// It shall end.
    ends: Notify,
    ended: watch::Sender<Option<PipeEnd>>,
}

/// Answers a request at or below `/pipes`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    match (request.method(), path.strip_prefix("/pipes")) {
        (&Method::POST, Some("")) => {
            let start = read_json(request).await?;
            let id = app.pipes.start(app, &start).map_err(|denied| refusal(&denied))?;
            Ok(json(StatusCode::CREATED, &PipeStarted { id: id.to_string() }))
        }
        (&Method::GET, Some(id)) => app.pipes.open(id, request),
        (&Method::DELETE, Some(id)) => {
            let end = app.pipes.end(id).await?;
            Ok(ok(&end))
        }
        _ => Err(nothing_at(&path)),
    }
}

fn refusal(denied: &PipeDenied) -> Refusal {
    let status = match denied.code {
        PipeCode::Malformed => StatusCode::BAD_REQUEST,
        PipeCode::NotFound => StatusCode::NOT_FOUND,
        PipeCode::NoProgram | PipeCode::NotStarted => StatusCode::UNPROCESSABLE_ENTITY,
        PipeCode::TooMany => StatusCode::SERVICE_UNAVAILABLE,
    };
    serde_json::to_value(denied).map_or_else(|_| fault(), |body| Refusal::Whole(status, body))
}

fn unknown() -> Refusal {
    let reason = "No pipe has this id, or its stream is opened already.".to_owned();
    refusal(&PipeDenied { code: PipeCode::NotFound, reason })
}

impl Pipes {
    fn start(
        &self,
        app: &Rc<App>,
        start: &staithe_protocol::pipe::PipeStart,
    ) -> Result<u64, PipeDenied> {
        let running = self.held.borrow().values().filter(|pipe| !pipe.has_ended()).count();
        if running >= MOST {
            let reason = format!("{MOST} programs run already.");
            return Err(PipeDenied { code: PipeCode::TooMany, reason });
        }
        let (live, io) = start::start(app.shells.ground(), start)?;
        let id = self.next.replace(self.next.get() + 1);
        let pipe = Rc::new(Pipe {
            live,
            io: RefCell::new(Some(io)),
            opened: Notify::new(),
            ends: Notify::new(),
            ended: watch::channel(None).0,
        });
        self.held.borrow_mut().insert(id, Rc::clone(&pipe));
        let app = Rc::clone(app);
        spawn_local(async move {
            pipe.live_on().await;
            app.pipes.forget_the_oldest();
        });
        Ok(id)
    }

    fn find(&self, id: &str) -> Option<(u64, Rc<Pipe>)> {
        let id = id.strip_prefix('/')?.parse().ok()?;
        let pipe = self.held.borrow().get(&id).cloned()?;
        Some((id, pipe))
    }

    /// Gives the program its stream.
    fn open(&self, id: &str, mut request: Request<Incoming>) -> Answer {
        if !tunnel::is_asked_by(&request) {
            return Err(bad("a pipe is opened here, by `Upgrade: staithe-tunnel`"));
        }
        let (_, pipe) = self.find(id).ok_or_else(unknown)?;
        let mut io = pipe.io.take().ok_or_else(unknown)?;
        pipe.opened.notify_one();
        let upgrade = hyper::upgrade::on(&mut request);
        spawn_local(async move {
            if let Ok(upgraded) = upgrade.await {
                // Whoever broke it off knows, and the program ends either way.
                drop(carry(upgraded, &mut io.stdout, &mut io.stdin).await);
            }
            drop(io);
            pipe.ends.notify_one();
        });
        Ok(tunnel::switched())
    }

    /// Ends a program and forgets it.
    async fn end(&self, id: &str) -> Result<PipeEnd, Refusal> {
        let (id, pipe) = self.find(id).ok_or_else(unknown)?;
        pipe.ends.notify_one();
        let mut ended = pipe.ended.subscribe();
        let end = ended.wait_for(Option::is_some).await.map_err(|_| fault())?.clone();
        self.held.borrow_mut().remove(&id);
        end.ok_or_else(fault)
    }

    fn forget_the_oldest(&self) {
        let mut held = self.held.borrow_mut();
        let ended: Vec<u64> =
            held.iter().filter(|(_, pipe)| pipe.has_ended()).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            held.remove(id);
        }
    }
}

impl Pipe {
    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Until the program has ended, by itself or because it has to.
    async fn live_on(&self) {
        let unopened = async {
            let opened = timeout(Duration::from_millis(OPENED_WITHIN_MS), self.opened.notified());
            if opened.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = self.live.program.ended() => {}
            () = self.ends.notified() => {}
            () = unopened => {}
        }
        // One that ended by itself may have left others behind, which hold its pipes open.
        self.live.program.stop().await;
        let code = self.live.program.ended().await;
        let log = self.live.last_words(sleep(LAST_WORDS)).await;
        self.ended.send_replace(Some(PipeEnd { code, log }));
    }
}
