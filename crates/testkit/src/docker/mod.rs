//! A fake of the Docker Engine API on a unix socket: it records every request, keeps containers, networks,
//! volumes and images, and fails where the test says so.
//!
//! | what | how |
//! |---|---|
//! | what was asked | [`FakeDockerd::requests`], [`FakeDockerd::routes`] |
//! | what is there, and what is left over | [`FakeDockerd::containers`], [`networks`](FakeDockerd::networks), [`volumes`](FakeDockerd::volumes) |
//! | what goes wrong | [`FakeDockerd::fail`] with a route's name and a [`Fault`]; a name may end in `*` |
//! | what happens by itself | [`FakeDockerd::exit`], [`remove`](FakeDockerd::remove), [`go_away`](FakeDockerd::go_away) |
//! | who runs in a container | [`FakeDockerd::runner`], a [`FakeRunner`] |
//!
//! A started container's runner listens on `runner.sock` in the folder that is bound to a target whose last
//! part has `run` in it, and elsewhere when there is none; it gets its key as the first line on stdin. An
//! exec is a bridge to that socket, unless [`FakeDockerd::program`] says what it prints. Signals end a
//! container at once.

mod answers;
mod archive;
mod builds;
mod containers;
mod faults;
mod images;
mod networks;
mod routes;
mod serve;
mod streams;
mod system;
#[cfg(test)]
mod tests;
mod volumes;
mod world;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::FakeRunner;
use builds::Said;
use faults::{Faults, Rule};
use world::World;

pub use builds::Then;
pub use faults::Fault;
pub use images::FakeImage;
pub use routes::Recorded;
pub use world::{FakeContainer, FakeNetwork, FakeVolume, Status};

/// What containers do when they are started.
#[derive(Clone, Debug)]
pub enum Boot {
    /// Their runner answers as soon as it has its key.
    Runner,
    /// They run, and nothing in them answers.
    Silent,
    /// They print this on stderr and end at once.
    Exits { code: i64, log: Vec<String> },
}

/// See the module. Clones are the same daemon.
#[derive(Clone)]
pub struct FakeDockerd {
    inner: Arc<Inner>,
}

struct Inner {
    dir: TempDir,
    world: Mutex<World>,
    script: Mutex<Script>,
    released: watch::Sender<u64>,
    /// Counts goings-away: connections of before end.
    away: watch::Sender<u64>,
}

#[derive(Default)]
struct Script {
    requests: Vec<Recorded>,
    faults: Faults,
    builds: Option<Said>,
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

impl FakeDockerd {
    /// A daemon of API 1.41 with nothing on it, at a socket of its own; must be called within a runtime.
    ///
    /// # Panics
    ///
    /// When the socket can't be made.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory for sockets");
        let inner = Inner {
            world: Mutex::new(World::new(dir.path())),
            script: Mutex::default(),
            released: watch::Sender::new(0),
            away: watch::Sender::new(0),
            dir,
        };
        let this = Self { inner: Arc::new(inner) };
        this.inner.listen();
        this
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.inner.socket()
    }

    /// The same as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    // ---- what was asked --------------------------------------------------------------------------

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.inner.script().requests.clone()
    }

    /// Their routes.
    pub fn routes(&self) -> Vec<String> {
        self.inner.script().requests.iter().map(|request| request.route.clone()).collect()
    }

    /// Those of one route.
    pub fn requests_of(&self, route: &str) -> Vec<Recorded> {
        let of_route = |request: &Recorded| request.route == route;
        self.requests().into_iter().filter(of_route).collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.inner.script().requests.clear();
    }

    // ---- what goes wrong -------------------------------------------------------------------------

    /// The next request of this route fails. `*` is every route.
    pub fn fail(&self, route: &str, fault: Fault) {
        self.rule(route, 0, Some(1), fault);
    }

    /// The request of this route after `skip` others fails.
    pub fn fail_after(&self, route: &str, skip: usize, fault: Fault) {
        self.rule(route, skip, Some(1), fault);
    }

    /// Every request of this route fails, until it is mended.
    pub fn fail_always(&self, route: &str, fault: Fault) {
        self.rule(route, 0, None, fault);
    }

    /// Nothing fails any more; requests that hang go on hanging.
    pub fn mend(&self) {
        self.inner.script().faults.0.clear();
    }

    /// Requests under [`Fault::Hold`] go on.
    pub fn release(&self) {
        self.inner.released.send_modify(|released| *released += 1);
    }

    fn rule(&self, route: &str, skip: usize, times: Option<usize>, fault: Fault) {
        let rule = Rule { route: route.to_owned(), skip, times, fault };
        self.inner.script().faults.0.push(rule);
    }

    // ---- what is there ---------------------------------------------------------------------------

    /// All containers.
    pub fn containers(&self) -> Vec<FakeContainer> {
        self.inner.world().containers.values().cloned().collect()
    }

    /// One of them by name or id.
    pub fn container(&self, key: &str) -> Option<FakeContainer> {
        self.inner.world().container(key).ok().cloned()
    }

    /// All images.
    pub fn images(&self) -> Vec<FakeImage> {
        self.inner.world().images.clone()
    }

    /// Names of the images that were sent to a registry.
    pub fn pushed(&self) -> Vec<String> {
        self.inner.world().pushed.clone()
    }

    /// All networks but the daemon's own.
    pub fn networks(&self) -> Vec<FakeNetwork> {
        self.inner.world().networks.values().cloned().collect()
    }

    /// All volumes.
    pub fn volumes(&self) -> Vec<FakeVolume> {
        self.inner.world().volumes.values().cloned().collect()
    }

    /// What was left over, in words; empty when nothing was.
    pub fn leftovers(&self) -> Vec<String> {
        let world = self.inner.world();
        let containers = world.containers.values().map(|it| format!("container {}", it.name));
        let networks = world.networks.values().map(|it| format!("network {}", it.name));
        let volumes = world.volumes.values().map(|it| format!("volume {}", it.name));
        containers.chain(networks).chain(volumes).collect()
    }

    /// The runner of a running container that has got its key.
    pub fn runner(&self, key: &str) -> Option<FakeRunner> {
        self.container(key)?.runner
    }

    // ---- what it is like -------------------------------------------------------------------------

    /// The newest API that it speaks, such as `1.30`.
    pub fn set_api_version(&self, version: &str) {
        version.clone_into(&mut self.inner.world().api_version);
    }

    /// One key of `/info`.
    pub fn set_info(&self, key: &str, value: Value) {
        self.inner.world().info.insert(key.to_owned(), value);
    }

    /// What `/containers/{id}/stats` says of running containers.
    pub fn set_stats(&self, stats: Value) {
        self.inner.world().stats = stats;
    }

    /// What containers do from now on when they are started.
    pub fn set_boot(&self, boot: Boot) {
        self.inner.world().boot = boot;
    }

    /// An image that is there.
    pub fn add_image(&self, name: &str) {
        self.add_image_with(name, json!({ "Env": [], "Cmd": ["/bin/sh"], "User": "" }));
    }

    /// An image that is there, with its configuration.
    pub fn add_image_with(&self, name: &str, config: Value) {
        self.inner.world().add_image(name, config);
    }

    /// A file in an image that is there.
    pub fn add_file(&self, image: &str, path: &str, content: &[u8]) {
        if let Some(image) = self.inner.world().image_mut(image) {
            image.files.insert(path.to_owned(), content.to_vec().into());
        }
    }

    /// An image without a name that was made upon another; its id.
    ///
    /// # Panics
    ///
    /// When the other is not there.
    pub fn add_nameless(&self, parent: &str, config: Value) -> String {
        let mut world = self.inner.world();
        let parent = world.image(parent).expect("the other image").id.clone();
        let id = world.add_image("nameless", config);
        let image = world.image_mut(&id).expect("it was made");
        image.names.clear();
        image.parent = parent;
        id
    }

    /// What all builds say from now on, word by word, and how they go on then.
    pub fn set_build(&self, words: &[Value], then: Then) {
        let words = words.iter().map(builds::line).collect();
        self.inner.script().builds = Some(Said { words, then });
    }

    /// The same with words that are no JSON.
    pub fn set_build_text(&self, text: &str, then: Then) {
        self.inner.script().builds = Some(Said { words: vec![text.to_owned()], then });
    }

    /// An image that can be pulled.
    pub fn offer_image(&self, name: &str) {
        let config = json!({ "Env": [], "Cmd": ["/bin/sh"], "User": "" });
        self.inner.world().offered.insert(images::tagged(name, ""), config);
    }

    /// What an exec prints, and its exit code, when its command has this word.
    pub fn program(&self, word: &str, output: &str, code: i64) {
        self.inner.world().programs.push((word.to_owned(), output.to_owned(), code));
    }

    // ---- what happens by itself ------------------------------------------------------------------

    /// A container prints a line.
    pub fn print(&self, key: &str, line: &str) {
        let mut world = self.inner.world();
        if let Ok(it) = world.container(key) {
            it.log.push((1, line.to_owned()));
        }
        world.changed();
    }

    /// A container's first program ends.
    pub fn exit(&self, key: &str, code: i64) {
        self.end(key, code, false);
    }

    /// The kernel kills a container that used too much memory.
    pub fn exhaust_memory(&self, key: &str) {
        self.end(key, 137, true);
    }

    fn end(&self, key: &str, code: i64, out_of_memory: bool) {
        let mut world = self.inner.world();
        if let Ok(id) = world.id_of(key) {
            world.end(&id, code, out_of_memory);
        }
    }

    /// Somebody removes a container by hand.
    pub fn remove(&self, key: &str) {
        let mut world = self.inner.world();
        if let Ok(id) = world.id_of(key) {
            world.remove(&id);
        }
    }

    /// Somebody makes a container by hand, stopped.
    ///
    /// # Panics
    ///
    /// When the daemon refuses it.
    pub fn make(&self, name: &str, body: &Value) {
        let query = format!("name={name}");
        let asked =
            Recorded::new("POST", "/containers/create", &query, body.to_string().as_bytes());
        self.inner.world().create_container(&asked).expect("it can be made");
    }

    /// The daemon ends, and its containers with it: every connection is cut and its socket is gone.
    pub fn go_away(&self) {
        self.inner.away.send_modify(|away| *away += 1);
        std::fs::remove_file(self.socket()).ok(); // it may be away already
        let mut world = self.inner.world();
        let all: Vec<_> = world.containers.keys().cloned().collect();
        for id in &all {
            world.end(id, 137, false);
        }
    }

    /// The daemon is there again; its containers are as they were left.
    pub fn come_back(&self) {
        self.inner.listen();
    }
}
