//! Images: whether one is there, who it runs as, and fetching it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    auth::DockerCredentials, errors::Error, models::ProgressDetail,
    query_parameters::CreateImageOptionsBuilder,
};
use data_encoding::BASE64;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use staithe_protocol::Progress;
use tokio::time::Instant;

use super::{
    DockerEngine,
    call::{Failure, call},
    settings::Pull,
};
use crate::EngineFailed;

/// A fetch that says nothing for so long is given up.
pub(super) const SILENCE: Duration = Duration::from_mins(2);
/// Between two words of progress.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(300);

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

    /// Has an image, fetching it when the settings allow that.
    pub(super) async fn have_image(
        &self,
        image: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        if self.0.config.pull == Pull::Never {
            return self.image_user(image).await.map(drop);
        }
        match self.fetch(image, "", progress).await {
            Ok(()) => self.image_user(image).await.map(drop),
            Err(NotFetched::None(cause)) => Err(not_had(image, cause)),
            Err(NotFetched::Failed(error)) => Err(error),
        }
    }

    /// Fetches an image, whatever the settings say; without a platform for the engine's own.
    pub(super) async fn fetch(
        &self,
        image: &str,
        platform: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), NotFetched> {
        let options = CreateImageOptionsBuilder::default()
            .from_image(&with_tag(image))
            .platform(platform)
            .build();
        let credentials = credentials_for(image);
        let mut stream =
            std::pin::pin!(self.0.docker.create_image(Some(options), None, credentials));
        let began = Instant::now();
        let mut layers = Layers::default();
        let mut told = began;
        while let Some(word) =
            next(&mut stream).await.map_err(|failure| not_fetched(image, failure))?
        {
            if let Some(message) = word.error_detail.as_ref().and_then(|e| e.message.clone()) {
                return Err(not_fetched(image, Failure::Refused(message)));
            }
            layers.take(word.id, word.status, word.progress_detail);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                progress(layers.progress(image, began.elapsed()));
            }
        }
        Ok(())
    }
}

/// Why an image was not fetched.
pub(super) enum NotFetched {
    /// Where it would come from, there is none, or none for us.
    None(String),
    Failed(EngineFailed),
}

fn not_fetched(image: &str, failure: Failure) -> NotFetched {
    let is_none = match &failure {
        Failure::NotFound(_) => true,
        Failure::Refused(cause) => {
            let lower = cause.to_lowercase();
            ["manifest unknown", "does not exist", "not found: "]
                .iter()
                .any(|it| lower.contains(it))
        }
        _ => false,
    };
    match failure {
        Failure::Unreachable(cause) => NotFetched::Failed(super::call::unreachable(&cause)),
        failure if is_none => NotFetched::None(failure.words()),
        failure => NotFetched::Failed(not_had(image, failure.words())),
    }
}

pub(super) fn not_had(image: &str, cause: String) -> EngineFailed {
    EngineFailed::Image { image: image.to_owned(), remedy: remedy_of(&cause).to_owned(), cause }
}

/// What comes next of something that may take long: it may take as long as it says something.
pub(super) async fn next<T>(
    stream: &mut (impl Stream<Item = Result<T, Error>> + Unpin),
) -> Result<Option<T>, Failure> {
    call(SILENCE, async { stream.next().await.transpose() }).await
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
pub(super) fn with_tag(image: &str) -> String {
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

/// What `docker login` left. Credential helpers are not asked: they may wait for a person.
fn signed_in() -> BTreeMap<String, Auth> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let Some(dir) = dir.or_else(|| Some(home?.join(".docker"))) else { return BTreeMap::new() };
    let config = std::fs::read(dir.join("config.json")).ok();
    let config = config.and_then(|text| serde_json::from_slice::<ClientConfig>(&text).ok());
    config.map(|config| config.auths).unwrap_or_default()
}

/// What it left for this image's registry.
pub(super) fn credentials_for(image: &str) -> Option<DockerCredentials> {
    let registry = registry_of(image);
    let fits = |key: &str| match registry {
        Some(registry) => key.trim_start_matches("https://").trim_end_matches('/') == registry,
        None => key.contains("index."),
    };
    let (address, auth) = signed_in().into_iter().find(|(key, _)| fits(key))?;
    Some(auth.credentials(address))
}

/// All of them: which a build needs, its Dockerfile says.
pub(super) fn all_credentials() -> HashMap<String, DockerCredentials> {
    let all = signed_in().into_iter();
    all.map(|(address, auth)| (address.clone(), auth.credentials(address))).collect()
}

impl Auth {
    /// The engine takes name and password apart; `docker login` keeps them in one word.
    fn credentials(self, address: String) -> DockerCredentials {
        let plain = BASE64.decode(self.auth.as_bytes()).ok();
        let plain = plain.and_then(|plain| String::from_utf8(plain).ok()).unwrap_or_default();
        let (name, password) = plain.split_once(':').unwrap_or_default();
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        DockerCredentials {
            username: some(name),
            password: some(password.trim_end_matches('\0')),
            auth: some(&self.auth),
            identitytoken: self.identitytoken,
            serveraddress: Some(address),
            ..Default::default()
        }
    }
}

/// Progress of all layers together.
#[derive(Default)]
struct Layers(BTreeMap<String, (String, i64, i64)>);

impl Layers {
    fn take(&mut self, id: Option<String>, status: Option<String>, detail: Option<ProgressDetail>) {
        let (Some(id), Some(status)) = (id, status) else { return };
        // That line is about the image.
        if status.starts_with("Pulling from") {
            return;
        }
        let detail = detail.unwrap_or_default();
        let layer = self.0.entry(id).or_default();
        layer.0 = status;
        layer.1 = detail.current.unwrap_or(layer.1);
        layer.2 = detail.total.unwrap_or(layer.2);
    }

    fn complete(&self) -> usize {
        let done = ["Pull complete", "Already exists"];
        self.0.values().filter(|layer| done.contains(&layer.0.as_str())).count()
    }

    fn progress(&self, image: &str, since: Duration) -> Progress {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Progress {
            image: image.to_owned(),
            number: count(self.complete()),
            of: count(self.0.len()),
            text: self.shown(),
            lines: Vec::new(),
            seconds: since.as_secs(),
        }
    }

    fn shown(&self) -> String {
        let complete = self.complete();
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
    fn what_docker_login_keeps_in_one_word_is_taken_apart() {
        let auth = Auth { auth: BASE64.encode(b"me:a:secret"), identitytoken: None };
        let credentials = auth.credentials("example.org".into());
        assert_eq!(credentials.username.as_deref(), Some("me"));
        assert_eq!(credentials.password.as_deref(), Some("a:secret"));
        assert_eq!(credentials.serveraddress.as_deref(), Some("example.org"));
        let broken = Auth { auth: "%".into(), identitytoken: Some("t".into()) };
        let credentials = broken.credentials("example.org".into());
        assert_eq!((credentials.username, credentials.identitytoken), (None, Some("t".into())));
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
        let mut layers = Layers::default();
        let mut take = |id: &str, status: &str, current, total| {
            let detail = Some(ProgressDetail { current, total });
            layers.take(Some(id.into()), Some(status.into()), detail);
            layers.progress("an-image:1", Duration::from_secs(7))
        };
        take("1", "Pulling from debian", None, None);
        take("a", "Pull complete", None, None);
        let half = take("b", "Downloading", Some(3 << 20), Some(10 << 20));
        assert_eq!(half.text, "1 of 2 layers, 3 of 10 MiB under way");
        assert_eq!((half.image.as_str(), half.number, half.of), ("an-image:1", 1, 2));
        assert_eq!(half.seconds, 7);
        assert_eq!(take("b", "Pull complete", None, None).text, "2 of 2 layers");
    }
}
