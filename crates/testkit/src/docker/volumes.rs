//! Requests about volumes and images.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    answers::{Answer, Outcome, empty, json, refused, stream},
    routes::Recorded,
    world::{FakeVolume, World, meets, named, words},
};

/// Where the daemon would keep a volume.
pub(super) fn mountpoint(name: &str) -> String {
    format!("/var/lib/docker/volumes/{name}/_data")
}

fn shown(it: &FakeVolume) -> Value {
    json!({
        "Name": it.name, "Driver": "local", "Mountpoint": mountpoint(&it.name), "Labels": it.labels,
        "Scope": "local", "Options": {}, "CreatedAt": "2024-01-01T00:00:00Z",
    })
}

impl World {
    /// The volume of a name; one that is there stays as it is.
    pub(super) fn make_volume(&mut self, name: &str, labels: &Value) -> &FakeVolume {
        if !self.volumes.contains_key(name) {
            let it =
                FakeVolume { name: name.to_owned(), labels: words(labels), files: BTreeMap::new() };
            self.volumes.insert(name.to_owned(), it.clone());
            self.tell("volume", "create", name, &it.labels);
        }
        &self.volumes[name]
    }

    pub(super) fn create_volume(&mut self, asked: &Recorded) -> Answer {
        let name = match asked.body["Name"].as_str().unwrap_or_default() {
            "" => self.id(),
            name => name.to_owned(),
        };
        json(201, &shown(self.make_volume(&name, &asked.body["Labels"])))
    }

    pub(super) fn list_volumes(&self, asked: &Recorded) -> Answer {
        let (labels, names) = (asked.filter("label"), asked.filter("name"));
        let found = self
            .volumes
            .values()
            .filter(|it| meets(&it.labels, &labels) && named(&it.name, &names));
        json(200, &json!({ "Volumes": found.map(shown).collect::<Vec<_>>(), "Warnings": [] }))
    }

    pub(super) fn inspect_volume(&self, asked: &Recorded) -> Outcome {
        match self.volumes.get(&asked.id) {
            Some(it) => Ok(json(200, &shown(it))),
            None => refused(404, format!("get {}: no such volume", asked.id)),
        }
    }

    pub(super) fn remove_volume(&mut self, asked: &Recorded) -> Outcome {
        let Some(it) = self.volumes.get(&asked.id) else {
            return refused(404, format!("get {}: no such volume", asked.id));
        };
        if let Some(user) = self.containers.values().find(|c| c.volumes().contains(&it.name)) {
            return refused(409, format!("remove {}: volume is in use - [{}]", it.name, user.id));
        }
        let labels = it.labels.clone();
        self.volumes.remove(&asked.id);
        self.tell("volume", "destroy", &asked.id, &labels);
        Ok(empty(204))
    }

    /// An image's configuration, by its name with or without `:latest`.
    pub(super) fn image(&self, name: &str) -> Option<&Value> {
        self.images.get(&tagged(name, ""))
    }

    pub(super) fn inspect_image(&self, asked: &Recorded) -> Outcome {
        let Some(config) = self.image(&asked.id) else {
            return refused(404, format!("No such image: {}", asked.id));
        };
        let name = tagged(&asked.id, "");
        Ok(json(
            200,
            &json!({
                "Id": format!("sha256:{:064x}", name.len()), "RepoTags": [name], "RepoDigests": [], "Config": config,
                "Os": "linux", "Architecture": "amd64", "Size": 1_000_000, "Created": "2024-01-01T00:00:00Z",
                "RootFS": { "Type": "layers", "Layers": [] },
            }),
        ))
    }

    pub(super) fn list_images(&self, asked: &Recorded) -> Answer {
        let wanted = asked.filter("reference");
        let found = self.images.keys().filter(|name| {
            wanted.is_empty() || wanted.iter().any(|wanted| tagged(wanted, "") == **name)
        });
        let shown = |name: &String| {
            json!({
                "Id": format!("sha256:{:064x}", name.len()), "ParentId": "", "RepoTags": [name], "RepoDigests": [],
                "Created": 1_700_000_000, "Size": 1_000_000, "SharedSize": -1, "Labels": {}, "Containers": -1,
            })
        };
        json(200, &found.map(shown).collect())
    }

    pub(super) fn remove_image(&mut self, asked: &Recorded) -> Outcome {
        match self.images.remove(&tagged(&asked.id, "")) {
            Some(_) => Ok(json(200, &json!([{ "Untagged": asked.id }]))),
            None => refused(404, format!("No such image: {}", asked.id)),
        }
    }

    /// Gets an image that is offered, in three steps that are told.
    pub(super) fn pull(&mut self, asked: &Recorded) -> Outcome {
        let name = tagged(asked.word("fromImage"), asked.word("tag"));
        let Some(config) = self.offered.get(&name).cloned() else {
            let plain = asked.word("fromImage");
            let message = format!(
                "pull access denied for {plain}, repository does not exist or may require 'docker login': denied"
            );
            return refused(404, message);
        };
        self.images.insert(name.clone(), config);
        self.tell("image", "pull", &name, &BTreeMap::new());
        let lines = [
            json!({ "status": format!("Pulling from {name}"), "id": "1" }),
            json!({
                "status": "Downloading", "id": "a1b2", "progress": "[==>  ] 1MB/2MB",
                "progressDetail": { "current": 1_000_000, "total": 2_000_000 },
            }),
            json!({ "status": format!("Status: Downloaded newer image for {name}") }),
        ];
        let (send, receive) = mpsc::channel(lines.len());
        for line in lines {
            send.try_send(Bytes::from(format!("{line}\r\n")))
                .expect("there is room for all of them");
        }
        Ok(stream("application/json", receive))
    }
}

/// A name with its tag.
pub(super) fn tagged(name: &str, tag: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    match (tag, last.contains([':', '@'])) {
        ("", true) => name.to_owned(),
        ("", false) => format!("{name}:latest"),
        (tag, _) if tag.contains(':') => format!("{name}@{tag}"),
        (tag, _) => format!("{name}:{tag}"),
    }
}
