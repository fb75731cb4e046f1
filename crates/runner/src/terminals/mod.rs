//! Terminals: programs on terminals of their own, which many clients may share.
//!
//! | file | what |
//! |---|---|
//! | `ring` (pure) | the newest output by its place, and the sizes that held for it |
//! | `ink`, `modes`, `screen` (pure) | what a terminal shows, and how to bring another one to the same state |
//! | `access` (pure) | who may type and change the size |
//! | `program` | which program, its start and its end |
//! | `terminal` | the loop that holds one terminal together |
//! | `stream` | one client's stream of one terminal |
//! | `requests` | what is asked over HTTP |
//!
//! A terminal is read whether or not anybody follows it. Who follows has a place in its ring and nothing
//! else; who is too slow for the ring gets the screen as it is.
//!
//! Typing counts as use of the sandbox, output does not: a clock that somebody left open must not keep a
//! sandbox awake for ever, and whoever watches keeps it awake by its socket. What must run to its end
//! without anybody is a command.

pub mod access;
pub mod ink;
pub mod modes;
pub mod program;
pub mod requests;
pub mod ring;
pub mod screen;
pub mod stream;
pub mod terminal;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use staithe_protocol::terminal::{
    MAX_NAME, MAX_SIZE, NewTerminal, TerminalAsk, TerminalCode, TerminalDenied, TerminalInfo,
    TerminalSettings, TerminalSize,
};
use tokio::{task::spawn_local, time::Instant, time::sleep};

use self::terminal::Terminal;
use crate::app::App;

pub use requests::answer;

/// All of it; one per process.
#[derive(Default)]
pub struct Terminals {
    settings: RefCell<TerminalSettings>,
    all: RefCell<BTreeMap<u32, Rc<Terminal>>>,
    last: Cell<u32>,
}

fn denied(code: TerminalCode, reason: impl Into<String>) -> TerminalDenied {
    TerminalDenied { code, reason: reason.into() }
}

/// Somebody uses the sandbox.
fn used(app: &App) {
    app.shells.view.active.set(Instant::now());
}

impl Terminals {
    /// Whether a command runs in any of them: then the sandbox is in use, though nobody watches.
    pub fn are_busy(&self) -> bool {
        self.all.borrow().values().any(|terminal| terminal.is_busy())
    }

    /// How terminals are kept from now on.
    pub fn configure(&self, settings: TerminalSettings) {
        self.settings.replace(settings);
    }

    /// All of them, the oldest first.
    fn list(&self) -> Vec<TerminalInfo> {
        self.all.borrow().values().map(|terminal| terminal.info()).collect()
    }

    fn find(&self, id: u32) -> Result<Rc<Terminal>, TerminalDenied> {
        let found = self.all.borrow().get(&id).cloned();
        found.ok_or_else(|| denied(TerminalCode::Unknown, format!("there is no terminal {id}")))
    }

    /// Opens a new one.
    fn open(&self, app: &Rc<App>, new: &NewTerminal) -> Result<TerminalInfo, TerminalDenied> {
        let ground = &app.shells.ground;
        if ground.ending.get() {
            return Err(denied(TerminalCode::NotStarted, "the sandbox ends"));
        }
        if let Some(name) = &new.name {
            check_name(name)?;
        }
        check_size(TerminalSize { cols: new.cols.unwrap_or(80), rows: new.rows.unwrap_or(24) })?;
        self.make_room()?;
        let id = self.last.get() + 1;
        let driving = self.settings.borrow().driver;
        let terminal = Terminal::open(id, &app.epoch, new, driving, ground)?;
        self.last.set(id);
        self.all.borrow_mut().insert(id, Rc::clone(&terminal));
        used(app);
        let info = terminal.info();
        spawn_local(forget_when_ended(Rc::clone(app), terminal));
        Ok(info)
    }

    /// An ended one goes for a new one.
    fn make_room(&self) -> Result<(), TerminalDenied> {
        let max = usize::try_from(self.settings.borrow().max).unwrap_or(usize::MAX);
        let mut all = self.all.borrow_mut();
        while all.len() >= max {
            let ended = all.values().find(|terminal| terminal.exit().is_some());
            let Some(id) = ended.map(|terminal| terminal.id) else {
                let reason = format!("{max} terminals are open; no more can be");
                return Err(denied(TerminalCode::TooMany, reason));
            };
            all.remove(&id);
        }
        Ok(())
    }

    /// Does what is asked of a terminal.
    fn carry_out(&self, id: u32, ask: TerminalAsk) -> Result<TerminalInfo, TerminalDenied> {
        let terminal = self.find(id)?;
        match ask {
            TerminalAsk::Resize { size, client } => {
                check_size(size)?;
                terminal.resize(size, client.as_deref())?;
            }
            TerminalAsk::Rename { name } => {
                check_name(&name)?;
                terminal.rename(name);
            }
            TerminalAsk::Drive { client, drive, take } => terminal.drive(&client, drive, take)?,
            TerminalAsk::Close {} if terminal.exit().is_some() => {
                self.all.borrow_mut().remove(&id);
            }
            TerminalAsk::Close {} => {
                terminal.end(Duration::from_millis(self.settings.borrow().grace_ms));
            }
        }
        Ok(terminal.info())
    }
}

/// An ended terminal stays a while for who comes late.
async fn forget_when_ended(app: Rc<App>, terminal: Rc<Terminal>) {
    let mut changes = terminal.changes();
    while terminal.exit().is_none() && changes.changed().await.is_ok() {}
    let keep = Duration::from_millis(app.terminals.settings.borrow().keep_ended_ms);
    let id = terminal.id;
    drop(terminal);
    sleep(keep).await;
    app.terminals.all.borrow_mut().remove(&id);
}

fn check_size(size: TerminalSize) -> Result<(), TerminalDenied> {
    let is_good = |length: u16| (1..=MAX_SIZE).contains(&length);
    if is_good(size.cols) && is_good(size.rows) {
        return Ok(());
    }
    Err(denied(TerminalCode::Malformed, format!("cols, rows: 1 to {MAX_SIZE}")))
}

fn check_name(name: &str) -> Result<(), TerminalDenied> {
    if (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control) {
        return Ok(());
    }
    let reason = format!("name: 1 to {MAX_NAME} bytes without control characters");
    Err(denied(TerminalCode::Malformed, reason))
}
