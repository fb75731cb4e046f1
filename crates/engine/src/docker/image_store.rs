//! What the docker engine does with images.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    path::Path,
};

use async_trait::async_trait;
use bollard::{
    models::{BollardDate, ImageInspect},
    query_parameters::{
        ListContainersOptionsBuilder, ListImagesOptionsBuilder, PushImageOptionsBuilder,
        RemoveImageOptions, TagImageOptionsBuilder,
    },
};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    DockerEngine,
    call::{Failure, call},
    images::{NotFetched, TELL_EVERY, credentials_for, next, with_tag},
};
use crate::{
    EngineFailed, Labels,
    images::{BuildFailed, BuildNews, BuildOrder, Builder, Found, ImageInfo, Images, Layer, Tell},
};

/// The engine, as one who keeps images.
pub(super) struct DockerImages(pub(super) DockerEngine);

impl fmt::Debug for DockerImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DockerImages")
    }
}

#[async_trait]
impl Images for DockerImages {
    fn builders(&self) -> Vec<Builder> {
        self.0.builders_here()
    }

    fn platform(&self) -> String {
        self.0.0.facts.platform.clone()
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ImageInfo>, EngineFailed> {
        let labels = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).digests(true).build();
        let list = self.0.0.docker.list_images(Some(options));
        let mut found = self.call(list).await.map_err(|it| it.of("list", "images"))?;
        found.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        let mut all = Vec::new();
        for summary in found {
            // A list tells neither platform nor user. One that is gone meanwhile is not listed.
            if let Some(info) = self.inspect(&summary.id).await? {
                all.push(ImageInfo { created: summary.created, ..info });
            }
        }
        Ok(all)
    }

    async fn inspect(&self, image: &str) -> Result<Option<ImageInfo>, EngineFailed> {
        match self.call(self.0.0.docker.inspect_image(image)).await {
            Ok(found) => Ok(Some(info(found))),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure.of("inspect", image)),
        }
    }

    async fn layers(&self, image: &str) -> Result<Vec<Layer>, EngineFailed> {
        let history = self.call(self.0.0.docker.image_history(image)).await;
        let history = history.map_err(|failure| failure.of("read the history of", image))?;
        let layers = history.into_iter().rev().map(|item| Layer {
            created_by: item.created_by,
            size: u64::try_from(item.size).unwrap_or(0),
            created: item.created,
        });
        Ok(layers.collect())
    }

    async fn look_into(
        &self,
        image: &str,
        paths: &[&str],
        read: bool,
    ) -> Result<BTreeMap<String, Found>, EngineFailed> {
        self.0.look_into_image(image, paths, read).await
    }

    async fn read_folder(
        &self,
        image: &str,
        folder: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, EngineFailed> {
        self.0.read_folder_of_image(image, folder).await
    }

    async fn sweep(&self) -> Result<Vec<String>, EngineFailed> {
        self.0.sweep_builds(&self.0.0.config.owner).await
    }

    async fn used(&self) -> Result<Vec<String>, EngineFailed> {
        let mut used: Vec<_> = self.users().await?.into_iter().map(|(image, _)| image).collect();
        used.sort();
        used.dedup();
        Ok(used)
    }

    async fn build(
        &self,
        order: BuildOrder,
        tell: Tell<'_, BuildNews>,
    ) -> Result<String, BuildFailed> {
        self.0.build_image(&order, tell).await
    }

    async fn tag(&self, image: &str, name: &str) -> Result<(), EngineFailed> {
        let name = with_tag(name);
        let (repository, tag) = split(&name);
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        let tagged = self.call(self.0.0.docker.tag_image(image, Some(options))).await;
        tagged.map_err(|failure| failure.of("name", image))
    }

    async fn remove(&self, name: &str) -> Result<(), EngineFailed> {
        let remove = self.0.0.docker.remove_image(name, None::<RemoveImageOptions>, None);
        match self.call(remove).await {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(()),
            Err(Failure::Conflict(cause)) => Err(self.in_use(name, cause).await),
            Err(failure) => Err(failure.of("remove", name)),
        }
    }

    async fn pull(
        &self,
        name: &str,
        platform: &str,
        tell: Tell<'_, String>,
    ) -> Result<bool, EngineFailed> {
        match self.0.fetch(name, platform, &|progress| tell(progress.text)).await {
            Ok(()) => Ok(true),
            Err(NotFetched::None(_)) => Ok(false),
            Err(NotFetched::Failed(error)) => Err(error),
        }
    }

    async fn push(&self, name: &str, tell: Tell<'_, String>) -> Result<(), EngineFailed> {
        let whole = with_tag(name);
        let (repository, tag) = split(&whole);
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        let credentials = credentials_for(name);
        let mut stream = self.0.0.docker.push_image(repository, Some(options), credentials).boxed();
        let mut told = Instant::now();
        // Which layer a word is about, the client does not tell.
        while let Some(word) = next(&mut stream).await.map_err(|it| it.of("push", name))? {
            if let (Some(status), true) = (word.status, told.elapsed() >= TELL_EVERY) {
                told = Instant::now();
                tell(status);
            }
        }
        Ok(())
    }

    async fn save(&self, names: &[&str], to: &Path) -> Result<(), EngineFailed> {
        self.0.save_images(names, to).await
    }

    async fn load(&self, from: &Path) -> Result<(), EngineFailed> {
        self.0.load_images(from).await
    }
}

impl DockerImages {
    async fn call<T>(
        &self,
        made: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failure> {
        call(self.0.deadline(), made).await
    }

    /// Every container by its image's id.
    async fn users(&self) -> Result<Vec<(String, String)>, EngineFailed> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let list = self.call(self.0.0.docker.list_containers(Some(options))).await;
        let all = list.map_err(|failure| failure.of("list", "containers"))?;
        let user = |container: bollard::models::ContainerSummary| {
            let name = container.names.and_then(|names| names.into_iter().next());
            let name = name.or(container.id).unwrap_or_default();
            Some((container.image_id?, name.trim_start_matches('/').to_owned()))
        };
        Ok(all.into_iter().filter_map(user).collect())
    }

    /// Who keeps an image from being removed.
    async fn in_use(&self, name: &str, cause: String) -> EngineFailed {
        let id = self.inspect(name).await.ok().flatten().map(|found| found.id);
        let users = self.users().await.unwrap_or_default();
        let by: Vec<_> = users
            .into_iter()
            .filter(|(image, _)| Some(image) == id.as_ref())
            .map(|(_, container)| container)
            .collect();
        let cause =
            if by.is_empty() { cause } else { format!("{cause} (made of it: {})", by.join(", ")) };
        EngineFailed::Operation {
            operation: "remove",
            name: name.to_owned(),
            source: io::Error::new(io::ErrorKind::ResourceBusy, cause),
            remedy: "Remove what is made of it first (docker rm), or end its session".into(),
        }
    }
}

fn info(found: ImageInspect) -> ImageInfo {
    let config = found.config.unwrap_or_default();
    let part = |part: Option<String>| part.filter(|part| !part.is_empty());
    let platform: Vec<_> = [part(found.os), part(found.architecture), part(found.variant)]
        .into_iter()
        .flatten()
        .collect();
    let real = |names: Option<Vec<String>>| -> Vec<String> {
        names.unwrap_or_default().into_iter().filter(|name| !name.contains("<none>")).collect()
    };
    ImageInfo {
        id: found.id.unwrap_or_default(),
        names: real(found.repo_tags),
        digests: real(found.repo_digests),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        created: found.created.map_or(0, BollardDate::unix_timestamp),
        platform: platform.join("/"),
        user: config.user.unwrap_or_default(),
    }
}

/// Repository and tag of a name that has one.
fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split("host:5000/a/b:1"), ("host:5000/a/b", "1"));
        assert_eq!(split("host:5000/a/b"), ("host:5000/a/b", "latest"));
        assert_eq!(split("a:1"), ("a", "1"));
    }
}
