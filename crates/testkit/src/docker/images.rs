//! Requests about images: listed, named, removed, fetched, sent, put into files and taken out of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    answers::{Answer, Outcome, bytes, json, refused, stream},
    archive,
    routes::Recorded,
    world::{World, meets, words},
};

/// An image of the fake.
#[derive(Clone, Debug)]
pub struct FakeImage {
    /// `sha256:…`.
    pub id: String,
    /// `repository:tag`; empty for one without a name.
    pub names: Vec<String>,
    /// What its configuration says.
    pub config: Value,
    /// What is in it, by path.
    pub files: BTreeMap<String, Bytes>,
    /// What it was made upon.
    pub parent: String,
}

impl FakeImage {
    fn summary(&self) -> Value {
        let names =
            if self.names.is_empty() { vec!["<none>:<none>".into()] } else { self.names.clone() };
        json!({
            "Id": self.id, "ParentId": self.parent, "RepoTags": names, "RepoDigests": [],
            "Created": 1_700_000_000, "Size": 1_000_000, "SharedSize": -1,
            "Labels": self.config["Labels"], "Containers": -1,
        })
    }
}

impl World {
    /// An image of this name; one that had it loses it.
    pub(super) fn add_image(&mut self, name: &str, config: Value) -> String {
        let id = format!("sha256:{}", self.id());
        let name = tagged(name, "");
        self.lose(&name);
        let names = vec![name];
        let (files, parent) = (BTreeMap::new(), String::new());
        self.images.push(FakeImage { id: id.clone(), names, config, files, parent });
        id
    }

    fn lose(&mut self, name: &str) {
        for image in &mut self.images {
            image.names.retain(|it| it != name);
        }
    }

    /// An image by its name with or without `:latest`, its id or a beginning of it.
    pub(super) fn image(&self, key: &str) -> Option<&FakeImage> {
        let name = tagged(key, "");
        let id = key.trim_start_matches("sha256:");
        let is_id = id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let of_id = |it: &&FakeImage| is_id && it.id.trim_start_matches("sha256:").starts_with(id);
        let by_name = self.images.iter().find(|it| it.names.contains(&name));
        by_name.or_else(|| self.images.iter().find(of_id))
    }

    pub(super) fn image_mut(&mut self, key: &str) -> Option<&mut FakeImage> {
        let id = self.image(key)?.id.clone();
        self.images.iter_mut().find(|it| it.id == id)
    }

    fn known(&self, key: &str) -> Result<FakeImage, super::answers::Refused> {
        match self.image(key) {
            Some(image) => Ok(image.clone()),
            None => refused(404, format!("No such image: {key}")),
        }
    }

    pub(super) fn inspect_image(&self, asked: &Recorded) -> Outcome {
        let image = self.known(&asked.id)?;
        let body = json!({
            "Id": image.id, "RepoTags": image.names, "RepoDigests": [], "Config": image.config,
            "Os": "linux", "Architecture": "amd64", "Size": 1_000_000, "Created": "2024-01-01T00:00:00Z",
            "RootFS": { "Type": "layers", "Layers": [] },
        });
        Ok(json(200, &body))
    }

    pub(super) fn list_images(&self, asked: &Recorded) -> Answer {
        let (wanted, labels) = (asked.filter("reference"), asked.filter("label"));
        let dangling = asked.filter("dangling").iter().any(|it| it == "true" || it == "1");
        let found = self.images.iter().filter(|it| {
            let named = |wanted: &String| it.names.contains(&tagged(wanted, ""));
            (wanted.is_empty() || wanted.iter().any(named))
                && meets(&words(&it.config["Labels"]), &labels)
                && (!dangling || it.names.is_empty())
        });
        json(200, &found.map(FakeImage::summary).collect())
    }

    pub(super) fn image_history(&self, asked: &Recorded) -> Outcome {
        let image = self.known(&asked.id)?;
        let item = |id: &str, by: &str| {
            json!({
                "Id": id, "Created": 1_700_000_000, "CreatedBy": by, "Tags": image.names,
                "Size": 500_000, "Comment": "",
            })
        };
        let newest_first = [item(&image.id, "RUN make"), item("<missing>", "FROM base")];
        Ok(json(200, &newest_first.into_iter().collect()))
    }

    pub(super) fn tag_image(&mut self, asked: &Recorded) -> Outcome {
        let image = self.known(&asked.id)?;
        let name = tagged(asked.word("repo"), asked.word("tag"));
        self.lose(&name);
        if let Some(image) = self.image_mut(&image.id) {
            image.names.push(name);
        }
        Ok(super::answers::empty(201))
    }

    pub(super) fn remove_image(&mut self, asked: &Recorded) -> Outcome {
        let image = self.known(&asked.id)?;
        let name = tagged(&asked.id, "");
        if image.names.len() > 1 && image.names.contains(&name) {
            self.lose(&name);
            return Ok(json(200, &json!([{ "Untagged": name }])));
        }
        if let Some(child) = self.images.iter().find(|it| it.parent == image.id) {
            let message =
                format!("conflict: unable to delete {}: {} is made of it", image.id, child.id);
            return refused(409, message);
        }
        if let Some(user) = self.containers.values().find(|it| it.image == image.id) {
            let message = format!(
                "conflict: unable to remove repository reference \"{}\" (must force) - container {} is using its referenced image",
                asked.id, user.id
            );
            return refused(409, message);
        }
        self.images.retain(|it| it.id != image.id);
        Ok(json(200, &json!([{ "Untagged": name }, { "Deleted": image.id }])))
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
        self.add_image(&name, config);
        self.tell("image", "pull", &name, &BTreeMap::new());
        Ok(told(&[
            json!({ "status": format!("Pulling from {name}"), "id": "1" }),
            json!({
                "status": "Downloading", "id": "a1b2", "progress": "[==>  ] 1MB/2MB",
                "progressDetail": { "current": 1_000_000, "total": 2_000_000 },
            }),
            json!({ "status": format!("Status: Downloaded newer image for {name}") }),
        ]))
    }

    /// Whatever is sent is taken.
    pub(super) fn push(&mut self, asked: &Recorded) -> Outcome {
        let name = tagged(&asked.id, asked.word("tag"));
        self.known(&name)?;
        self.pushed.push(name);
        Ok(told(&[
            json!({ "status": "Pushing", "id": "a1b2", "progressDetail": { "current": 1, "total": 2 } }),
            json!({ "status": "Pushed", "id": "a1b2", "progressDetail": {} }),
        ]))
    }

    /// A tar of one file that tells of the images.
    pub(super) fn save_images(&self, asked: &Recorded) -> Outcome {
        let mut saved = Vec::new();
        for (key, name) in asked.pairs.iter().filter(|(key, _)| key == "names") {
            let image = self.known(name)?;
            saved.push(json!({ key: name, "Id": image.id, "Config": image.config }));
        }
        let content = Value::Array(saved).to_string();
        Ok(bytes(200, "application/x-tar", archive::tar("manifest.json", content.as_bytes())))
    }

    pub(super) fn load_images(&mut self, body: &Bytes) -> Outcome {
        let manifest = archive::entries(body).and_then(|files| {
            let (_, content) = files.into_iter().find(|(name, _)| name == "manifest.json")?;
            serde_json::from_slice::<Vec<Value>>(&content).ok()
        });
        let Some(images) = manifest else {
            return refused(
                400,
                "open /var/lib/docker/tmp/manifest.json: no such file or directory",
            );
        };
        for saved in images {
            let text = |key: &str| saved[key].as_str().unwrap_or_default().to_owned();
            self.add_image(&text("names"), saved["Config"].clone());
            if let Some(image) = self.image_mut(&text("names")) {
                image.id = text("Id");
            }
        }
        Ok(told(&[json!({ "stream": "Loaded image\n" })]))
    }
}

/// An answer line by line.
fn told(lines: &[Value]) -> Answer {
    let (send, receive) = mpsc::channel(lines.len());
    for line in lines {
        send.try_send(Bytes::from(format!("{line}\r\n"))).expect("there is room for all of them");
    }
    stream("application/json", receive)
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
