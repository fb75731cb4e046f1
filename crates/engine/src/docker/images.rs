//! Images: whether one is there, who it runs as, and fetching it.

use std::{collections::BTreeMap, time::Duration};

use bollard::{
    auth::DockerCredentials, models::CreateImageInfo, query_parameters::CreateImageOptionsBuilder,
};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{
    DockerEngine,
    call::{Failure, call},
    settings::Pull,
};
use crate::EngineFailed;

/// A fetch that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_mins(2);
/// Between two words of progress.
const TELL_EVERY: Duration = Duration::from_millis(300);

impl DockerEngine {
    /// The user that the image names; none when it is root. [`EngineFailed::Image`] when there is no
    /// such image.
    pub(super) async fn image_user(&self, image: &str) -> Result<Option<String>, EngineFailed> {
        let inspect = self.0.docker.inspect_image(image);
        match call(self.0.config.deadline, inspect).await {
            Ok(found) => {
                let user = found.config.and_then(|config| config.user).unwrap_or_default();
                Ok(not_root(&user))
            }
            Err(Failure::NotFound(_)) => Err(missing(image, self.0.config.pull)),
            Err(other) => Err(other.of("inspect the image of", image)),
        }
    }

    pub(super) async fn image_is_there(&self, image: &str) -> Result<bool, EngineFailed> {
        if self.0.config.pull == Pull::Always {
            return Ok(false); // so that it is asked for
        }
        match self.image_user(image).await {
            Ok(_) => Ok(true),
            Err(EngineFailed::Image { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Fetches an image.
    pub(super) async fn pull(
        &self,
        image: &str,
        progress: &(dyn for<'a> Fn(&'a str) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        if self.0.config.pull == Pull::Never {
            return self.image_user(image).await.map(drop);
        }
        let failed = |cause: String| EngineFailed::Image {
            image: image.to_owned(),
            remedy: remedy_of(&cause).to_owned(),
            cause,
        };
        let options = CreateImageOptionsBuilder::default().from_image(&with_tag(image)).build();
        let credentials = credentials_for(image);
        let mut stream =
            std::pin::pin!(self.0.docker.create_image(Some(options), None, credentials));
        let mut layers = Layers::default();
        let mut told = Instant::now();
        loop {
            match timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(word))) => {
                    if let Some(message) =
                        word.error_detail.as_ref().and_then(|e| e.message.clone())
                    {
                        return Err(failed(message));
                    }
                    layers.take(word);
                    if told.elapsed() >= TELL_EVERY {
                        told = Instant::now();
                        progress(&layers.shown());
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(match Failure::from(error) {
                        Failure::Unreachable(cause) => super::call::unreachable(&cause),
                        other => failed(other.words()),
                    });
                }
                Ok(None) => break,
                Err(_) => {
                    return Err(failed(format!("nothing came for {} s", SILENCE.as_secs())));
                }
            }
        }
        self.image_user(image).await.map(drop)
    }
}

fn missing(image: &str, pull: Pull) -> EngineFailed {
    let remedy = match pull {
        Pull::Never => format!(
            "Fetch or build it (docker pull {image}), or set sandbox.docker.pull to \"missing\""
        ),
        Pull::Missing | Pull::Always => format!("Fetch or build it: docker pull {image}"),
    };
    EngineFailed::Image {
        image: image.to_owned(),
        cause: "the engine doesn't have it".to_owned(),
        remedy,
    }
}

fn remedy_of(cause: &str) -> &'static str {
    let lower = cause.to_lowercase();
    if lower.contains("manifest unknown") || lower.contains("not found") || lower.contains("denied")
    {
        "See that its name and tag are right, and that this machine is signed in where it comes from (docker login)"
    } else if lower.contains("no space left") {
        "Free space where the engine keeps its data (docker system prune)"
    } else if lower.contains("toomanyrequests") || lower.contains("rate limit") {
        "The registry limits how much is fetched: wait, or sign in (docker login)"
    } else {
        "See that the engine's machine reaches the registry, or fetch the image by hand (docker pull, docker load)"
    }
}

/// A user that is not root.
pub(super) fn not_root(user: &str) -> Option<String> {
    let name = user.split(':').next().unwrap_or_default();
    (!matches!(name, "" | "0" | "root")).then(|| user.to_owned())
}

/// Without tag or digest the engine would fetch every tag.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || image.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// The registry in an image's name; none for the engine's default one.
fn registry_of(image: &str) -> Option<&str> {
    let first = image.split_once('/')?.0;
    (first.contains('.') || first.contains(':') || first == "localhost").then_some(first)
}

#[derive(Deserialize)]
struct ClientConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// What `docker login` left for this image's registry. Credential helpers are not asked: they may wait
/// for a person.
fn credentials_for(image: &str) -> Option<DockerCredentials> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let file = dir.or_else(|| Some(home?.join(".docker")))?.join("config.json");
    let config: ClientConfig = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let registry = registry_of(image);
    let fits = |key: &str| match registry {
        Some(registry) => key.trim_start_matches("https://").trim_end_matches('/') == registry,
        None => key.contains("index."),
    };
    let (address, auth) = config.auths.into_iter().find(|(key, _)| fits(key))?;
    Some(DockerCredentials {
        auth: (!auth.auth.is_empty()).then_some(auth.auth),
        identitytoken: auth.identitytoken,
        serveraddress: Some(address),
        ..Default::default()
    })
}

/// Progress of all layers together.
#[derive(Default)]
struct Layers(BTreeMap<String, (String, i64, i64)>);

impl Layers {
    fn take(&mut self, word: CreateImageInfo) {
        let (Some(id), Some(status)) = (word.id, word.status) else { return };
        let detail = word.progress_detail.unwrap_or_default();
        let layer = self.0.entry(id).or_default();
        layer.0 = status;
        layer.1 = detail.current.unwrap_or(layer.1);
        layer.2 = detail.total.unwrap_or(layer.2);
    }

    fn shown(&self) -> String {
        let done = |status: &str| status == "Pull complete" || status == "Already exists";
        let complete = self.0.values().filter(|layer| done(&layer.0)).count();
        let loading = self.0.values().filter(|layer| layer.0 == "Downloading");
        let (current, total) =
            loading.fold((0, 0), |sum, layer| (sum.0 + layer.1, sum.1 + layer.2));
        let mib = |bytes: i64| bytes / (1024 * 1024);
        if total > 0 {
            format!(
                "{complete} of {} layers, {} of {} MiB under way",
                self.0.len(),
                mib(current),
                mib(total)
            )
        } else {
            format!("{complete} of {} layers", self.0.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        assert_eq!(with_tag("debian"), "debian:latest");
        assert_eq!(with_tag("host:5000/debian"), "host:5000/debian:latest");
        assert_eq!(with_tag("host:5000/debian:12"), "host:5000/debian:12");
        assert_eq!(with_tag("debian@sha256:00"), "debian@sha256:00");
        assert_eq!(registry_of("nikolaik/python"), None);
        assert_eq!(registry_of("debian"), None);
        assert_eq!(registry_of("example.org/a/b:1"), Some("example.org"));
        assert_eq!(registry_of("localhost:5000/b"), Some("localhost:5000"));
    }

    #[test]
    fn root_by_any_name_is_no_other_user() {
        for user in ["", "0", "root", "0:0", "root:root", "0:1000"] {
            assert_eq!(not_root(user), None, "{user}");
        }
        assert_eq!(not_root("node").as_deref(), Some("node"));
        assert_eq!(not_root("1000:0").as_deref(), Some("1000:0"));
    }

    #[test]
    fn progress_adds_the_layers_up() {
        let word = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: Some(bollard::models::ProgressDetail { current, total }),
            ..Default::default()
        };
        let mut layers = Layers::default();
        layers.take(word("a", "Pull complete", None, None));
        layers.take(word("b", "Downloading", Some(3 << 20), Some(10 << 20)));
        assert_eq!(layers.shown(), "1 of 2 layers, 3 of 10 MiB under way");
        layers.take(word("b", "Pull complete", None, None));
        assert_eq!(layers.shown(), "2 of 2 layers");
    }
}
