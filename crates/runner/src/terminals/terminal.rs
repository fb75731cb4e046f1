//! One terminal: its program, what it printed, who follows and who types.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    time::Duration,
};

use rustix::process::WaitStatus;
use staithe_protocol::terminal::{
    Driving, MAX_INPUT, NewTerminal, TerminalCode, TerminalDenied, TerminalExit, TerminalInfo,
    TerminalSize,
};
use tokio::{
    sync::{Notify, oneshot, watch},
    task::{spawn_local, yield_now},
    time::{Instant, sleep, sleep_until},
};

use super::{
    access::{Access, Allowed},
    program::{Launch, Live, winsize},
    ring::{Next, Ring},
    screen::Screen,
};
use crate::{reap, shell::Ground};

/// Bytes read at a time.
const PIECE: usize = 16 * 1024;
/// How long output may still come once the program has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a client that drives may be away before it drives no more.
const AWAY: Duration = Duration::from_secs(10);

/// See the module.
pub struct Terminal {
    pub id: u32,
    epoch: String,
    name: RefCell<String>,
    title: RefCell<String>,
    ring: RefCell<Ring>,
    screen: RefCell<Screen>,
    access: RefCell<Access>,
    /// None: it has ended.
    live: RefCell<Option<Rc<Live>>>,
    exit: RefCell<Option<TerminalExit>>,
    input: RefCell<Vec<u8>>,
    typed: Notify,
    /// Followers by client.
    followers: RefCell<HashMap<String, u32>>,
    /// Counts whatever followers may want to know.
    changes: watch::Sender<u64>,
    ending: Cell<bool>,
}

/// Bytes that bring an emulator of this size to the state at `offset`.
pub struct Replay {
    pub bytes: Vec<u8>,
    pub offset: u64,
    pub size: TerminalSize,
}

impl Terminal {
    /// Starts a program on a new one.
    pub fn open(
        id: u32,
        epoch: &str,
        new: &NewTerminal,
        driving: Driving,
        ground: &Ground,
    ) -> Result<Rc<Self>, TerminalDenied> {
        let size = TerminalSize { cols: new.cols.unwrap_or(80), rows: new.rows.unwrap_or(24) };
        let launch = Launch::of(new, ground)?;
        let unstarted = |reason: String| TerminalDenied { code: TerminalCode::NotStarted, reason };
        let screen = Screen::new(size).ok_or_else(|| unstarted("the size is none".to_owned()))?;
        let (live, ended) = launch
            .start(size, ground)
            .map_err(|error| unstarted(format!("the program can't be started: {error}")))?;
        let live = Rc::new(live);
        let terminal = Rc::new(Self {
            id,
            epoch: epoch.to_owned(),
            name: RefCell::new(launch.name),
            title: RefCell::default(),
            ring: RefCell::new(Ring::new(size)),
            screen: RefCell::new(screen),
            access: RefCell::new(Access::new(driving)),
            live: RefCell::new(Some(Rc::clone(&live))),
            exit: RefCell::default(),
            input: RefCell::default(),
            typed: Notify::new(),
            followers: RefCell::default(),
            changes: watch::Sender::new(0),
            ending: Cell::new(false),
        });
        spawn_local(Rc::clone(&terminal).run(live, ended));
        Ok(terminal)
    }

    /// Reads and writes until the program has ended.
    async fn run(self: Rc<Self>, live: Rc<Live>, mut ended: oneshot::Receiver<WaitStatus>) {
        let mut buffer = vec![0; PIECE];
        let mut end: Option<(Option<WaitStatus>, Instant)> = None;
        let mut hung_up = false;
        loop {
            let waits = !self.input.borrow().is_empty();
            let deadline = end.as_ref().map_or_else(Instant::now, |(_, deadline)| *deadline);
            tokio::select! {
                biased;
                _ = live.master.readable(), if !hung_up => match live.master.read(&mut buffer) {
                    Ok(length) => self.printed(&buffer[..length]).await,
                    Err(_) => hung_up = true, // nobody has the other end open any more
                },
                _ = live.master.writable(), if waits && !hung_up => self.write(&live),
                status = &mut ended, if end.is_none() => {
                    end = Some((status.ok(), Instant::now() + LAST_WORDS));
                }
                () = sleep_until(deadline), if end.is_some() => {}
                () = self.typed.notified() => {}
            }
            if let Some((status, deadline)) = &end
                && (hung_up || Instant::now() >= *deadline)
            {
                self.ended(*status);
                return;
            }
            // A program that prints without end leaves the others their turn.
            yield_now().await;
        }
    }

    /// Takes output, ring and screen in step. Others have their turn after each part.
    async fn printed(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.show(bytes);
            if !bytes.is_empty() {
                yield_now().await;
            }
        }
    }

    /// Takes a part of the output. What is left of it.
    fn show<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut screen = self.screen.borrow_mut();
        let (shown, left) = bytes.split_at(screen.follow(bytes));
        self.ring.borrow_mut().push(shown);
        if screen.titled() {
            self.title.replace(screen.title());
        }
        self.tell();
        left
    }

    fn write(&self, live: &Live) {
        let mut input = self.input.borrow_mut();
        while !input.is_empty() {
            match live.master.write(&input) {
                Ok(written) => drop(input.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => input.clear(), // the other end is closed
            }
        }
    }

    fn ended(&self, status: Option<WaitStatus>) {
        let exit = TerminalExit {
            code: status.map_or(-1, reap::code),
            signal: status.and_then(WaitStatus::terminating_signal).map(Into::into),
        };
        self.exit.replace(Some(exit));
        self.live.replace(None);
        self.input.replace(Vec::new());
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How it is now.
    pub fn info(&self) -> TerminalInfo {
        let (ring, access) = (self.ring.borrow(), self.access.borrow());
        TerminalInfo {
            id: self.id,
            epoch: self.epoch.clone(),
            name: self.name.borrow().clone(),
            title: self.title.borrow().clone(),
            size: ring.size(),
            offset: ring.end(),
            oldest: ring.oldest(),
            driving: access.driving(),
            driver: access.driver().map(str::to_owned),
            followers: self.followers.borrow().values().sum(),
            exit: self.exit.borrow().clone(),
        }
    }

    /// How the program ended, if it has.
    pub fn exit(&self) -> Option<TerminalExit> {
        self.exit.borrow().clone()
    }

    /// What comes next for somebody at a place; see [`Ring::next`].
    pub fn next(&self, place: u64, known: TerminalSize, most: usize) -> Next {
        self.ring.borrow().next(place, known, most)
    }

    /// The size that held at a place.
    pub fn size_at(&self, place: u64) -> TerminalSize {
        self.ring.borrow().size_at(place)
    }

    /// The state at this moment.
    pub fn replay(&self) -> Replay {
        let (ring, screen) = (self.ring.borrow(), self.screen.borrow());
        let begun = screen.begun().and_then(|begun| ring.since(begun)).unwrap_or_default();
        Replay { bytes: screen.replay(&begun), offset: ring.end(), size: ring.size() }
    }

    /// A client types. All of it is taken, or nothing.
    pub fn type_in(&self, client: &str, bytes: &[u8]) -> Result<(), TerminalDenied> {
        let denied = |code, reason: &str| TerminalDenied { code, reason: reason.to_owned() };
        let live = self.live.borrow().clone();
        let live = live.ok_or_else(|| denied(TerminalCode::Ended, "the program has ended"))?;
        if self.access.borrow_mut().types(client)? == Allowed::Changed {
            self.tell();
        }
        if self.input.borrow().len() + bytes.len() > MAX_INPUT {
            let reason = "the program does not read, and what waits for it is as much as may wait";
            return Err(denied(TerminalCode::InputFull, reason));
        }
        self.input.borrow_mut().extend_from_slice(bytes);
        self.write(&live);
        if !self.input.borrow().is_empty() {
            self.typed.notify_one();
        }
        Ok(())
    }

    /// A client, or a request that belongs to none, changes the size.
    pub fn resize(&self, size: TerminalSize, client: Option<&str>) -> Result<(), TerminalDenied> {
        self.access.borrow().resizes(client)?;
        if self.ring.borrow_mut().resize(size) {
            self.screen.borrow_mut().resize(size);
            if let Some(live) = &*self.live.borrow() {
                drop(live.master.resize(winsize(size))); // it may just have ended
            }
            self.tell();
        }
        Ok(())
    }

    /// A client wants to drive alone, or no more to.
    pub fn drive(&self, client: &str, drive: bool, take: bool) -> Result<(), TerminalDenied> {
        if self.access.borrow_mut().drives(client, drive, take)? == Allowed::Changed {
            self.tell();
        }
        Ok(())
    }

    pub fn rename(&self, name: String) {
        self.name.replace(name);
        self.tell();
    }

    /// Whether a command runs in it.
    pub fn is_busy(&self) -> bool {
        self.live.borrow().as_ref().is_some_and(|live| live.is_busy())
    }

    /// Ends the program: it is hung up, and killed after the grace.
    pub fn end(self: &Rc<Self>, grace: Duration) {
        let Some(live) = self.live.borrow().clone() else { return };
        if self.ending.replace(true) {
            return;
        }
        let groups = live.hang_up();
        spawn_local(async move {
            sleep(grace).await;
            live.kill(&groups);
        });
    }

    /// A client follows, until what is returned is dropped.
    pub fn join(self: &Rc<Self>, client: &str) -> Follower {
        *self.followers.borrow_mut().entry(client.to_owned()).or_default() += 1;
        Follower { terminal: Rc::clone(self), client: client.to_owned() }
    }
}

/// A client that follows.
pub struct Follower {
    pub terminal: Rc<Terminal>,
    pub client: String,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.terminal.followers.borrow_mut();
        let left = followers.get_mut(&self.client).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left > 0 {
            return;
        }
        followers.remove(&self.client);
        if self.terminal.access.borrow().driver() != Some(self.client.as_str()) {
            return;
        }
        // The line may only be cut.
        let (terminal, client) = (Rc::clone(&self.terminal), self.client.clone());
        spawn_local(async move {
            sleep(AWAY).await;
            let is_back = terminal.followers.borrow().contains_key(&client);
            if !is_back && terminal.access.borrow_mut().leaves(&client) {
                terminal.tell();
            }
        });
    }
}
