//! What the fake daemon has: containers, networks, volumes, images; and how they change.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use staithe_protocol::runner::SOCKET_NAME;
use tokio::sync::{broadcast, watch};

use super::{
    Boot,
    answers::{Refused, refused},
    images::FakeImage,
};
use crate::FakeRunner;

/// A container's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Paused,
    Exited,
}

impl Status {
    /// The daemon's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }

    pub(super) fn lives(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A container of the fake.
#[derive(Clone)]
pub struct FakeContainer {
    pub id: String,
    pub name: String,
    pub status: Status,
    /// Its image's id.
    pub image: String,
    /// The body that it was made with.
    pub body: Value,
    pub exit_code: i64,
    pub out_of_memory: bool,
    /// What came on its stdin since it last ended.
    pub stdin: Vec<u8>,
    /// What it printed: 1 for stdout, 2 for stderr.
    pub log: Vec<(u8, String)>,
    /// Names of the networks that it is in.
    pub networks: BTreeSet<String>,
    pub(super) files: BTreeMap<String, Bytes>,
    pub(super) runner: Option<FakeRunner>,
    pub(super) pid: u64,
    /// How often it has started and ended.
    pub(super) starts: u64,
    pub(super) ends: u64,
}

impl FakeContainer {
    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        words(&self.body["Labels"])
    }

    /// Mounts as kind, source, target, and whether they are read-only, whichever way they were asked for.
    pub fn mounts(&self) -> Vec<(String, String, String, bool)> {
        let host = &self.body["HostConfig"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mounts = host["Mounts"].as_array().into_iter().flatten().map(|mount| {
            let read_only = mount["ReadOnly"] == true;
            (text(&mount["Type"]), text(&mount["Source"]), text(&mount["Target"]), read_only)
        });
        let binds = host["Binds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let binds = binds.filter_map(|bind| {
            let mut parts = bind.split(':');
            let (source, target) = (parts.next()?, parts.next()?);
            let read_only =
                parts.next().is_some_and(|options| options.split(',').any(|o| o == "ro"));
            let kind = if source.starts_with('/') { "bind" } else { "volume" };
            Some((kind.to_owned(), source.to_owned(), target.to_owned(), read_only))
        });
        mounts.chain(binds).collect()
    }

    /// Volumes that it uses.
    pub fn volumes(&self) -> BTreeSet<String> {
        let volumes = self.mounts().into_iter().filter(|(kind, ..)| kind == "volume");
        volumes.map(|(_, source, ..)| source).collect()
    }

    /// Where its runner listens: in the folder that it shares with the host, or where only an exec
    /// gets.
    pub(super) fn socket(&self, dir: &Path) -> PathBuf {
        let shared = self.mounts().into_iter().find(|(kind, source, target, read_only)| {
            let run = target.rsplit('/').next().is_some_and(|last| last.contains("run"));
            kind == "bind" && !read_only && run && Path::new(source).is_dir()
        });
        match shared {
            Some((_, source, ..)) => Path::new(&source).join(SOCKET_NAME),
            None => dir.join(format!("{}.sock", &self.id[..12])),
        }
    }
}

/// A network of the fake.
#[derive(Clone, Debug)]
pub struct FakeNetwork {
    pub id: String,
    pub name: String,
    /// The body that it was made with.
    pub body: Value,
}

/// A volume of the fake.
#[derive(Clone, Debug)]
pub struct FakeVolume {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub(super) files: BTreeMap<String, Bytes>,
}

/// A program that was asked for beside the first.
#[derive(Clone)]
pub(super) struct Exec {
    pub(super) container: String,
    pub(super) body: Value,
    pub(super) running: bool,
    pub(super) exit_code: Option<i64>,
}

pub(super) struct World {
    pub(super) containers: BTreeMap<String, FakeContainer>,
    pub(super) networks: BTreeMap<String, FakeNetwork>,
    pub(super) volumes: BTreeMap<String, FakeVolume>,
    pub(super) images: Vec<FakeImage>,
    /// Names of images that were sent to a registry.
    pub(super) pushed: Vec<String>,
    /// Images that can be pulled.
    pub(super) offered: BTreeMap<String, Value>,
    pub(super) execs: BTreeMap<String, Exec>,
    /// Answers to execs: a word of the command, output, exit code.
    pub(super) programs: Vec<(String, String, i64)>,
    pub(super) api_version: String,
    pub(super) info: Map<String, Value>,
    pub(super) stats: Value,
    pub(super) boot: Boot,
    pub(super) events: broadcast::Sender<Value>,
    pub(super) changes: watch::Sender<u64>,
    pub(super) dir: PathBuf,
    made: u64,
}

impl World {
    pub(super) fn new(dir: &Path) -> Self {
        let (events, _) = broadcast::channel(1024);
        Self {
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: Vec::new(),
            pushed: Vec::new(),
            offered: BTreeMap::new(),
            execs: BTreeMap::new(),
            programs: Vec::new(),
            api_version: "1.41".into(),
            info: super::system::info(),
            stats: super::system::stats(),
            boot: Boot::Runner,
            events,
            changes: watch::Sender::new(0),
            dir: dir.to_owned(),
            made: 0,
        }
    }

    /// A new id, of 64 hexadecimal digits.
    pub(super) fn id(&mut self) -> String {
        self.made += 1;
        // Odd, so that no two numbers give the same.
        let mixed = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{mixed:016x}").repeat(4)
    }

    /// The full id of a container by its id, a beginning of it, or its name.
    pub(super) fn id_of(&self, key: &str) -> Result<String, Refused> {
        let name = key.trim_start_matches('/');
        let by_name = self.containers.values().find(|it| it.name == name);
        let beginning = || {
            let long_enough = name.len() >= 4;
            self.containers.values().find(|it| long_enough && it.id.starts_with(name))
        };
        match by_name.or_else(beginning) {
            Some(found) => Ok(found.id.clone()),
            None => refused(404, format!("No such container: {key}")),
        }
    }

    pub(super) fn container(&mut self, key: &str) -> Result<&mut FakeContainer, Refused> {
        let id = self.id_of(key)?;
        Ok(self.containers.get_mut(&id).expect("it was found"))
    }

    /// Wakes whoever waits for a change.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells of something that happened.
    pub(super) fn tell(
        &self,
        kind: &str,
        action: &str,
        id: &str,
        attributes: &BTreeMap<String, String>,
    ) {
        let mut event = json!({
            "Type": kind, "Action": action, "scope": "local", "time": 1_700_000_000,
            "timeNano": 1_700_000_000_000_000_000_u64, "Actor": { "ID": id, "Attributes": attributes },
        });
        if kind == "container" {
            event["status"] = action.into();
            event["id"] = id.into();
            event["from"] = attributes.get("image").cloned().unwrap_or_default().into();
        }
        self.events.send(event).ok(); // nobody may be listening
        self.changed();
    }

    pub(super) fn tell_of(&self, action: &str, id: &str, more: &[(&str, String)]) {
        let Some(it) = self.containers.get(id) else { return };
        let mut attributes = it.labels();
        attributes.insert("name".into(), it.name.clone());
        attributes.insert("image".into(), it.body["Image"].as_str().unwrap_or_default().to_owned());
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.tell("container", action, id, &attributes);
    }

    /// Runs a container that does not run; false when it does already.
    pub(super) fn start(&mut self, key: &str) -> Result<bool, Refused> {
        let id = self.id_of(key)?;
        let it = &self.containers[&id];
        match it.status {
            Status::Running => return Ok(false),
            Status::Paused => {
                return refused(409, "cannot start a paused container, try unpause instead");
            }
            Status::Created | Status::Exited => {}
        }
        for network in &it.networks {
            let built_in = ["bridge", "host", "none"].contains(&network.as_str());
            if !built_in && self.network(network).is_err() {
                return refused(404, format!("network {network} not found"));
            }
        }
        self.made += 1;
        let pid = 40_000_000 + self.made; // beyond what a kernel gives, so that nobody is hit by mistake
        let it = self.containers.get_mut(&id).expect("it was found");
        it.status = Status::Running;
        it.pid = pid;
        it.starts += 1;
        (it.exit_code, it.out_of_memory) = (0, false);
        self.tell_of("start", &id, &[]);
        if let Boot::Exits { code, log } = self.boot.clone() {
            let it = self.containers.get_mut(&id).expect("it was found");
            it.log.extend(log.into_iter().map(|line| (2, line)));
            self.end(&id, code, false);
        } else {
            self.feed(&id, &[]);
        }
        Ok(true)
    }

    /// Bytes on a container's stdin. Its runner runs as soon as it has its key, the first line.
    pub(super) fn feed(&mut self, id: &str, bytes: &[u8]) {
        let (runs, dir) = (matches!(self.boot, Boot::Runner), self.dir.clone());
        let Some(it) = self.containers.get_mut(id) else { return };
        it.stdin.extend(bytes);
        let key = it.stdin.iter().position(|byte| *byte == b'\n').map(|end| &it.stdin[..end]);
        if let (Some(key), Status::Running, None, true) = (key, it.status, &it.runner, runs) {
            let key = String::from_utf8_lossy(key).into_owned();
            it.runner = Some(FakeRunner::listen(&it.socket(&dir), &key));
        }
        self.changed();
    }

    /// A container's processes end.
    pub(super) fn end(&mut self, id: &str, code: i64, out_of_memory: bool) {
        let Some(it) = self.containers.get_mut(id).filter(|it| it.status.lives()) else { return };
        if let Some(runner) = it.runner.take() {
            runner.end();
        }
        it.status = Status::Exited;
        (it.exit_code, it.out_of_memory, it.pid) = (code, out_of_memory, 0);
        it.ends += 1;
        it.stdin.clear();
        let removed = it.body["HostConfig"]["AutoRemove"] == true;
        if out_of_memory {
            self.tell_of("oom", id, &[]);
        }
        self.tell_of("die", id, &[("exitCode", code.to_string())]);
        if removed {
            self.remove(id);
        }
    }

    /// A container is no more.
    pub(super) fn remove(&mut self, id: &str) {
        self.end(id, 137, false);
        self.tell_of("destroy", id, &[]);
        self.containers.remove(id);
        self.execs.retain(|_, exec| exec.container != id);
        self.changed();
    }

    /// A network by id or name.
    pub(super) fn network(&self, key: &str) -> Result<&FakeNetwork, Refused> {
        let by_id = self.networks.get(key);
        match by_id.or_else(|| self.networks.values().find(|it| it.name == key)) {
            Some(found) => Ok(found),
            None => refused(404, format!("network {key} not found")),
        }
    }
}

/// An object of texts.
pub(super) fn words(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether these labels meet all wanted ones, each `name` or `name=value`.
pub(super) fn meets(labels: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|it| it == value),
        None => labels.contains_key(wanted.as_str()),
    })
}

/// Whether a name meets a filter: the daemon takes a regular expression; of these the fake knows anchors.
pub(super) fn named(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty()
        || wanted.iter().any(|wanted| {
            let from_start = wanted.starts_with('^');
            let plain =
                wanted.trim_start_matches('^').trim_start_matches("/?").trim_start_matches('/');
            let to_end = plain.ends_with('$');
            let plain = plain.trim_end_matches('$');
            match (from_start, to_end) {
                (true, true) => name == plain,
                (true, false) => name.starts_with(plain),
                (false, true) => name.ends_with(plain),
                (false, false) => name.contains(plain),
            }
        })
}
