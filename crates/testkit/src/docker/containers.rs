//! Requests about containers.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    answers::{Answer, Outcome, Refused, empty, json, refused},
    routes::Recorded,
    volumes,
    world::{FakeContainer, Status, World, meets, named},
};

const TIME: &str = "2024-01-01T00:00:00.000000000Z";

impl World {
    pub(super) fn create_container(&mut self, asked: &Recorded) -> Outcome {
        let body = &asked.body;
        let image = body["Image"].as_str().unwrap_or_default();
        let Some(image) = self.image(image).cloned() else {
            return refused(404, format!("No such image: {image}"));
        };
        let id = self.id();
        let name = match asked.word("name").trim_start_matches('/') {
            "" => format!("nameless_{}", &id[..8]),
            name => name.to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !name.chars().all(plain) || name.len() < 2 {
            return refused(
                400,
                format!(
                    "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                ),
            );
        }
        if let Some(there) = self.containers.values().find(|it| it.name == name) {
            return refused(409, taken(&name, &there.id));
        }
        let networks = match body["HostConfig"]["NetworkMode"].as_str().unwrap_or_default() {
            "" | "default" => "bridge",
            mode => mode,
        };
        let it = FakeContainer {
            id: id.clone(),
            name,
            status: Status::Created,
            image: image.id,
            body: body.clone(),
            exit_code: 0,
            out_of_memory: false,
            stdin: Vec::new(),
            log: Vec::new(),
            networks: [networks.to_owned()].into(),
            files: image.files,
            runner: None,
            pid: 0,
            starts: 0,
            ends: 0,
        };
        self.mount(&it)?;
        self.containers.insert(id.clone(), it);
        self.tell_of("create", &id, &[]);
        Ok(json(201, &json!({ "Id": id, "Warnings": [] })))
    }

    /// Folders must be there; volumes are made.
    fn mount(&mut self, it: &FakeContainer) -> Result<(), Refused> {
        for mount in it.body["HostConfig"]["Mounts"].as_array().into_iter().flatten() {
            let source = mount["Source"].as_str().unwrap_or_default();
            if mount["Type"] == "bind" && !Path::new(source).exists() {
                return refused(
                    400,
                    format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
                    ),
                );
            }
            if mount["Type"] == "volume" {
                self.make_volume(source, &mount["VolumeOptions"]["Labels"]);
            }
        }
        for name in it.volumes() {
            self.make_volume(&name, &Value::Null);
        }
        Ok(())
    }

    pub(super) fn list_containers(&self, asked: &Recorded) -> Answer {
        let (labels, names) = (asked.filter("label"), asked.filter("name"));
        let (statuses, ids) = (asked.filter("status"), asked.filter("id"));
        let all = asked.flag("all") || !statuses.is_empty();
        let found = self.containers.values().filter(|it| {
            (all || it.status.lives())
                && meets(&it.labels(), &labels)
                && named(&it.name, &names)
                && (statuses.is_empty() || statuses.iter().any(|s| s == it.status.word()))
                && (ids.is_empty() || ids.iter().any(|id| it.id.starts_with(id.as_str())))
        });
        json(200, &found.map(summary).collect())
    }

    pub(super) fn inspect_container(&mut self, asked: &Recorded) -> Outcome {
        let it = self.container(&asked.id)?;
        let mut config = it.body.clone();
        if let Some(config) = config.as_object_mut() {
            config.remove("HostConfig");
            config.remove("NetworkingConfig");
        }
        let started = if it.starts > 0 { TIME } else { "0001-01-01T00:00:00Z" };
        let body = json!({
            "Id": it.id, "Name": format!("/{}", it.name), "Created": TIME, "Driver": "overlay2",
            "Path": "", "Args": [], "RestartCount": 0, "Platform": "linux", "Image": it.image,
            "State": {
                "Status": it.status.word(), "Running": it.status.lives(), "Paused": it.status == Status::Paused,
                "Restarting": false, "OOMKilled": it.out_of_memory, "Dead": false, "Pid": it.pid,
                "ExitCode": it.exit_code, "Error": "", "StartedAt": started, "FinishedAt": started,
            },
            "Config": config, "HostConfig": it.body["HostConfig"], "Mounts": mounts(it),
            "NetworkSettings": { "Networks": networks(it) },
        });
        Ok(json(200, &body))
    }

    pub(super) fn start_container(&mut self, asked: &Recorded) -> Outcome {
        Ok(empty(if self.start(&asked.id)? { 204 } else { 304 }))
    }

    /// Its programs end when they are asked to.
    pub(super) fn stop_container(&mut self, asked: &Recorded) -> Outcome {
        let id = self.id_of(&asked.id)?;
        if !self.containers[&id].status.lives() {
            return Ok(empty(304));
        }
        self.end(&id, 143, false);
        self.tell_of("stop", &id, &[]);
        Ok(empty(204))
    }

    pub(super) fn kill_container(&mut self, asked: &Recorded) -> Outcome {
        let id = self.id_of(&asked.id)?;
        if !self.containers[&id].status.lives() {
            return refused(
                409,
                format!("Cannot kill container: {}: Container {id} is not running", asked.id),
            );
        }
        let code = match asked.word("signal") {
            "" | "9" | "KILL" | "SIGKILL" => 137,
            "15" | "TERM" | "SIGTERM" => 143,
            // Others are handled by the programs, or are none of theirs.
            _ => return Ok(empty(204)),
        };
        self.tell_of("kill", &id, &[("signal", (code - 128).to_string())]);
        self.end(&id, code, false);
        Ok(empty(204))
    }

    pub(super) fn pause_container(&mut self, asked: &Recorded, pause: bool) -> Outcome {
        let it = self.container(&asked.id)?;
        let (from, to, word, status) = if pause {
            (Status::Running, Status::Paused, "pause", 409)
        } else {
            (Status::Paused, Status::Running, "unpause", 500)
        };
        if it.status != from {
            return refused(status, format!("Container {} is not {}", it.id, from.word()));
        }
        it.status = to;
        let id = it.id.clone();
        self.tell_of(word, &id, &[]);
        Ok(empty(204))
    }

    pub(super) fn rename_container(&mut self, asked: &Recorded) -> Outcome {
        let id = self.id_of(&asked.id)?;
        let name = asked.word("name").trim_start_matches('/');
        if name.is_empty() {
            return refused(400, "Neither old nor new names may be empty");
        }
        if let Some(there) = self.containers.values().find(|it| it.name == name) {
            return refused(409, taken(name, &there.id));
        }
        let it = self.containers.get_mut(&id).expect("it was found");
        let old = std::mem::replace(&mut it.name, name.to_owned());
        self.tell_of("rename", &id, &[("oldName", format!("/{old}"))]);
        Ok(empty(204))
    }

    pub(super) fn remove_container(&mut self, asked: &Recorded) -> Outcome {
        let id = self.id_of(&asked.id)?;
        let status = self.containers[&id].status;
        if status.lives() && !asked.flag("force") {
            let message = format!(
                "You cannot remove a {} container {id}. Stop the container before attempting removal or force remove",
                status.word()
            );
            return refused(409, message);
        }
        self.remove(&id);
        Ok(empty(204))
    }

    pub(super) fn top(&mut self, asked: &Recorded) -> Outcome {
        let it = self.container(&asked.id)?;
        if !it.status.lives() {
            return refused(409, format!("Container {} is not running", it.id));
        }
        let body = json!({ "Titles": ["PID", "CMD"], "Processes": [[it.pid.to_string(), "staithe-runner"]] });
        Ok(json(200, &body))
    }

    pub(super) fn container_stats(&mut self, asked: &Recorded) -> Outcome {
        let mut stats = self.stats.clone();
        let it = self.container(&asked.id)?;
        if !it.status.lives() {
            stats = json!({ "read": "0001-01-01T00:00:00Z", "cpu_stats": {}, "memory_stats": {}, "pids_stats": {} });
        }
        stats["id"] = it.id.clone().into();
        stats["name"] = format!("/{}", it.name).into();
        Ok(json(200, &stats))
    }
}

fn taken(name: &str, by: &str) -> String {
    format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )
}

fn summary(it: &FakeContainer) -> Value {
    json!({
        "Id": it.id, "Names": [format!("/{}", it.name)], "Image": it.body["Image"], "ImageID": it.image,
        "Command": "", "Created": 1_700_000_000, "Labels": it.labels(), "State": it.status.word(),
        "Status": it.status.word(), "Ports": [], "Mounts": mounts(it),
        "HostConfig": { "NetworkMode": it.body["HostConfig"]["NetworkMode"].as_str().unwrap_or("default") },
        "NetworkSettings": { "Networks": networks(it) },
    })
}

fn mounts(it: &FakeContainer) -> Value {
    let mounts = it.mounts().into_iter().map(|(kind, source, target, read_only)| {
        let name = if kind == "volume" { source.clone() } else { String::new() };
        let source = if kind == "volume" { volumes::mountpoint(&source) } else { source };
        json!({
            "Type": kind, "Name": name, "Source": source, "Destination": target, "RW": !read_only,
            "Driver": "local", "Mode": "", "Propagation": "",
        })
    });
    mounts.collect()
}

/// An address of its own, as long as it runs.
fn networks(it: &FakeContainer) -> Value {
    let address = if it.status.lives() && !it.networks.contains("none") {
        format!("172.30.{}.{}", it.pid / 250 % 250, it.pid % 250 + 2)
    } else {
        String::new()
    };
    let of = |name: &String| (name.clone(), json!({ "NetworkID": name, "IPAddress": address }));
    Value::Object(it.networks.iter().map(of).collect::<Map<_, _>>())
}
