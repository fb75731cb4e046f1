//! Requests about volumes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answers::{Answer, Outcome, empty, json, refused},
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
}
