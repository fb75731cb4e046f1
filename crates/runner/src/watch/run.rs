//! Watching, from the first who listens until a while after the last.

use std::{os::fd::OwnedFd, rc::Rc, sync::Arc, time::Duration};

use staithe_protocol::watch::WatchMode;
use tokio::{
    io::Interest,
    io::unix::AsyncFd,
    task::{spawn_blocking, yield_now},
    time::{Instant, sleep, sleep_until},
};

use super::{pace::Pace, ring::Ring, rumour::Listed, settle::Settled, tree::Tree};
use crate::{app::App, shell::live::nonce};

/// After a failure, before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Looking at everything takes at most this part of the time.
const SHARE: u32 = 10;
/// How often it is read before a look. The kernel's own queue is emptied by less.
const MOST_ROUNDS: usize = 8;

/// What has become of a time of watching.
enum End {
    Unwanted,
    Failed,
}

/// Watches as long as it is wanted. A failure begins a new epoch and ends nothing else.
pub async fn run(app: Rc<App>) {
    while let End::Failed = watch(&app).await {
        app.watch.ended();
        sleep(PAUSE).await;
        if !app.watch.is_wanted() {
            break;
        }
    }
    app.watch.ended();
    app.watch.running.set(false);
}

async fn watch(app: &Rc<App>) -> End {
    let (files, lists) = (Arc::clone(&app.files), Arc::clone(&app.watch.lists));
    let settings = app.watch.settings.borrow().clone();
    let poll_every = Duration::from_millis(settings.poll_every_ms.max(10));
    let linger = Duration::from_millis(settings.linger_ms);
    let begun = spawn_blocking(move || {
        let root = files.folder().ok()?;
        Tree::begin(root, settings, lists).ok()
    });
    let (Ok(Some(mut tree)), Ok(epoch)) = (begun.await, nonce()) else { return End::Failed };
    app.watch.began(epoch, tree.mode(), tree.is_limited());
    let mut events = events(&tree);
    let mut pace = Pace::default();
    let mut poll_at = Instant::now() + poll_every;
    let mut unwanted_at = None;
    loop {
        if tree.mode() == WatchMode::Poll {
            events = None;
        }
        unwanted_at = match (app.watch.is_wanted(), unwanted_at) {
            (true, _) => None,
            (false, None) => Some(Instant::now() + linger),
            (false, since) => since,
        };
        let due = pace.due(tree.moving_since());
        let mut look_at_all = false;
        tokio::select! {
            () = readable(events.as_ref()) => {
                take(app, &mut tree, &mut pace);
                continue;
            }
            () = app.watch.poked.notified() => {
                take(app, &mut tree, &mut pace);
                continue;
            }
            () = at(due) => {}
            () = at(Some(poll_at)), if events.is_none() => look_at_all = true,
            // Somebody may have come at this very moment.
            () = at(unwanted_at) => if app.watch.is_wanted() { continue } else { return End::Unwanted },
        }
        let more = take_all(app, &mut tree, &mut pace).await;
        pace.clear();
        let start = Instant::now();
        let listed = if look_at_all { app.watch.take_listed() } else { Listed::default() };
        let settled = spawn_blocking(move || {
            if look_at_all {
                tree.take_listed(listed);
                tree.look_at_all();
            }
            let settled = tree.settle();
            (tree, settled)
        });
        let Ok((back, settled)) = settled.await else { return End::Failed };
        tree = back;
        for change in &settled.changes {
            if let Some(from) = &change.from {
                app.files.moved(from, &change.path);
            }
        }
        app.watch.tell(settled);
        let now = Instant::now();
        poll_at = now + poll_every.max((now - start) * SHARE);
        if more || tree.has_hints() {
            pace.note(now);
        }
    }
}

/// Takes all that the kernel has to tell, unless more comes all the time: the rest is looked at next. Whether
/// there may be more.
async fn take_all(app: &App, tree: &mut Tree, pace: &mut Pace) -> bool {
    for _ in 0..MOST_ROUNDS {
        if !take(app, tree, pace) {
            return false;
        }
        yield_now().await;
    }
    true
}

/// Takes a part of what the kernel has to tell. Whether there may be more; it is not told once more that
/// there is.
fn take(app: &App, tree: &mut Tree, pace: &mut Pace) -> bool {
    let (count, more) = tree.drain(app.watch.agent_acts());
    if more || (count > 0 && tree.has_hints()) {
        pace.note(Instant::now());
    }
    more
}

fn events(tree: &Tree) -> Option<AsyncFd<Arc<OwnedFd>>> {
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps its number for life, and `register` needs unsafe"
    )]
    let events = AsyncFd::with_interest(tree.fd()?, Interest::READABLE);
    events.ok()
}

async fn readable(events: Option<&AsyncFd<Arc<OwnedFd>>>) {
    let ready = match events {
        Some(events) => events.readable().await,
        None => std::future::pending().await,
    };
    if let Ok(mut ready) = ready {
        // Whoever is told reads; if that leaves something, it is looked again soon.
        ready.clear_ready();
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl super::Watch {
    fn began(&self, epoch: String, mode: WatchMode, limited: bool) {
        drop(self.listed.take());
        *self.state.borrow_mut() =
            Some(super::State { epoch, mode, limited, ring: Ring::default() });
        self.news.send_replace(());
    }

    fn ended(&self) {
        *self.state.borrow_mut() = None;
    }

    fn tell(&self, settled: Settled) {
        let mut state = self.state.borrow_mut();
        let Some(state) = state.as_mut() else { return };
        let Settled { mut changes, lost, mode, limited } = settled;
        let now = Instant::now();
        let mut owned = self.owned.borrow_mut();
        for change in &mut changes {
            if let Some(origin) = owned.origin(change, now) {
                change.origin = origin.to_owned();
            }
        }
        let other = (state.mode, state.limited) != (mode, limited);
        (state.mode, state.limited) = (mode, limited);
        if lost {
            state.ring.lose();
        } else if !changes.is_empty() {
            state.ring.push(&changes);
        } else if other {
            state.ring.add([].into());
        } else {
            return;
        }
        self.news.send_replace(());
    }
}
