//! The ports that programs in the sandbox listen on.
//!
//! While somebody hears it, the kernel is asked every second or so. Only when it shows other listening sockets
//! than before are the processes gone through for whose they are.

mod diag;
mod owners;
mod table;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    fs::File,
    io::Read as _,
    rc::Rc,
    time::Duration,
};

use staithe_protocol::{
    plugin::PluginState,
    port::{Port, PortSettings},
    runner::FromRunner,
};
use tokio::{
    task::spawn_local,
    time::{self, Instant},
};

use self::{
    owners::{Owner, owners},
    table::{Socket, Told, listening},
};
use crate::{app::App, lines::Line};

/// The most that is read of one table, in bytes: some 25,000 sockets.
const MOST_TABLE: u64 = 4 * 1024 * 1024;
/// The most ports that are told of.
const MOST_PORTS: usize = 256;
/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
/// What a look costs is waited this many times before the next one: a hundredth of a core at most.
const REST: u32 = 100;
/// But not for longer than this, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(3);

/// All of it; one per process.
#[derive(Default)]
pub struct Ports {
    settings: RefCell<PortSettings>,
    /// The runner's own.
    own: Cell<Option<u16>>,
    told: RefCell<Told>,
    /// Whether there was a first look.
    looked: Cell<bool>,
    looks: Cell<bool>,
}

impl Ports {
    /// The port that the runner itself listens on.
    pub fn keep_own(&self, port: Option<u16>) {
        self.own.set(port);
    }

    /// Whether a port is the runner's own, or the server's.
    pub fn is_withheld(&self, port: u16) -> bool {
        self.own.get() == Some(port) || self.settings.borrow().withheld.contains(&port)
    }

    /// Says on a new line what is known.
    pub fn tell(&self, line: &Line) {
        if self.looked.get() {
            line.say(FromRunner::Ports { ports: self.told.borrow().ports() });
        }
    }

    fn every(&self) -> Option<Duration> {
        let every = Duration::from_millis(self.settings.borrow().every_ms);
        (!every.is_zero()).then(|| every.max(SHORTEST))
    }

    fn port(&self, socket: Socket, owner: Option<&Owner>, plugins: &[PluginState]) -> Option<Port> {
        let is_ours = owner.is_some_and(|owner| owner.pid == std::process::id());
        let is_strange = owner.is_none() && self.settings.borrow().owned_only;
        if is_ours || is_strange || self.is_withheld(socket.port) {
            return None;
        }
        Some(Port {
            port: socket.port,
            pid: owner.map(|owner| owner.pid),
            program: owner.and_then(|owner| owner.program.clone()),
            plugin: plugins
                .iter()
                .find(|plugin| plugin.port == Some(socket.port))
                .map(|plugin| plugin.name.clone()),
        })
    }
}

/// Looks as these settings say, from now on.
pub fn equip(app: &Rc<App>, settings: PortSettings) {
    app.ports.settings.replace(settings);
    if !app.ports.looks.replace(true) {
        spawn_local(look_again_and_again(Rc::clone(app)));
    }
}

async fn look_again_and_again(app: Rc<App>) {
    let mut known: Vec<Socket> = Vec::new();
    let mut whose = HashMap::new();
    while let Some(every) = app.ports.every() {
        let mut rest = Duration::ZERO;
        if app.lines.any() {
            let begun = Instant::now();
            let now = sockets();
            rest = begun.elapsed() * REST;
            if now != known {
                let inodes: HashSet<u64> = now.iter().map(|socket| socket.inode).collect();
                let found = tokio::task::spawn_blocking(move || owners(&inodes));
                whose = found.await.unwrap_or_default();
                known = now;
            }
            let plugins = app.plugins.states();
            let ports =
                known.iter().filter_map(|it| app.ports.port(*it, whose.get(&it.inode), &plugins));
            let changed = app.ports.told.borrow_mut().look(ports.take(MOST_PORTS));
            // The first look is told in any case: what was known of an earlier runner is over.
            if !app.ports.looked.replace(true) || changed {
                let ports = app.ports.told.borrow().ports();
                app.lines.say(&FromRunner::Ports { ports });
            }
        }
        time::sleep(every.max(rest.min(LONGEST))).await;
    }
    app.ports.looks.set(false);
}

/// The listening sockets, one for each port: the one that was opened first. Where the kernel does not answer
/// (gVisor has no such list), its tables are read, which cost more and say the same.
fn sockets() -> Vec<Socket> {
    let mut sockets = diag::listening().unwrap_or_else(|_| tables());
    sockets.sort_unstable();
    sockets.dedup_by_key(|socket| socket.port);
    sockets
}

fn tables() -> Vec<Socket> {
    let mut sockets = Vec::new();
    let mut text = String::new();
    for path in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        text.clear();
        // Without IPv6 there is no second table.
        let Ok(file) = File::open(path) else { continue };
        if file.take(MOST_TABLE).read_to_string(&mut text).is_ok() {
            sockets.extend(listening(&text));
        }
    }
    sockets
}
