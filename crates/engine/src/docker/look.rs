//! Looking into an image: a container that is never started, and its files through the engine.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

use bollard::{
    container::PathStatResponse,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, CreateContainerOptions,
        DownloadFromContainerOptionsBuilder,
    },
};
use futures_util::StreamExt;

use super::{
    DockerEngine,
    body::LABEL_KIND,
    call::{Failure, call},
    images::not_had,
};
use crate::{
    EngineFailed, LABEL_OWNER, Labels,
    chain::chain,
    images::{Found, LOOK_MAX},
};

/// The kind of a container that is only looked into.
const KIND: &str = "look";
/// Links that are followed, one after another.
const LINKS: usize = 8;
/// A tar's head and end around one file.
const AROUND: usize = 64 * 1024;
/// Most bytes of a folder that is read.
const FOLDER_MAX: usize = 32 << 20;
/// Bits of a file's mode as the engine says it.
const IS_FOLDER: u32 = 1 << 31;
const IS_LINK: u32 = 1 << 27;
/// Devices, pipes, sockets and what else is no file.
const IS_OTHER: u32 = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19);

impl DockerEngine {
    pub(super) async fn look_into_image(
        &self,
        image: &str,
        paths: &[&str],
        read: bool,
    ) -> Result<BTreeMap<String, Found>, EngineFailed> {
        let _busy = self.busy().await?;
        let looked = Looked::make(self, image).await?;
        let mut found = BTreeMap::new();
        for path in paths {
            if let Some(what) = looked.at(path, read).await? {
                found.insert((*path).to_owned(), what);
            }
        }
        looked.remove().await?;
        Ok(found)
    }

    pub(super) async fn read_folder_of_image(
        &self,
        image: &str,
        folder: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, EngineFailed> {
        let _busy = self.busy().await?;
        let looked = Looked::make(self, image).await?;
        let files = match looked.at(folder, false).await? {
            Some(Found::Folder) => looked.files(folder).await?,
            _ => BTreeMap::new(),
        };
        looked.remove().await?;
        Ok(files)
    }

    /// Removes containers of looks that are no more.
    pub(super) async fn remove_looks(&self, owner: &str) -> Result<Vec<String>, EngineFailed> {
        let labels = Labels::from([
            (LABEL_OWNER.to_owned(), owner.to_owned()),
            (LABEL_KIND.to_owned(), KIND.to_owned()),
        ]);
        let mut removed = Vec::new();
        for container in self.all_containers(&labels).await? {
            self.remove_by_id(&container.id.0).await?;
            removed.push(format!("container {}", container.name));
        }
        Ok(removed)
    }
}

/// A container of an image. It is removed also when nobody waits for that.
struct Looked {
    engine: DockerEngine,
    container: String,
    removed: bool,
}

impl Looked {
    async fn make(engine: &DockerEngine, image: &str) -> Result<Self, EngineFailed> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // Never run; an image without a program can't do without.
            entrypoint: Some(vec!["/never-run".to_owned()]),
            labels: Some(HashMap::from([
                (LABEL_OWNER.to_owned(), engine.0.config.owner.clone()),
                (LABEL_KIND.to_owned(), KIND.to_owned()),
            ])),
            host_config: Some(HostConfig {
                network_mode: Some("none".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let (owned, image) = (engine.clone(), image.to_owned());
        // On its own, so that a container whose maker was given up is known and removed.
        let make = tokio::spawn(async move {
            let create = owned.0.docker.create_container(None::<CreateContainerOptions>, body);
            match call(owned.deadline(), create).await {
                Ok(made) => Ok(Self { container: made.id, engine: owned, removed: false }),
                Err(Failure::NotFound(cause)) => Err(not_had(&image, cause)),
                Err(failure) => Err(failure.of("look into", &image)),
            }
        });
        make.await.unwrap_or_else(|panic| {
            Err(Failure::Refused(panic.to_string()).of("look into", "an image"))
        })
    }

    async fn at(&self, path: &str, read: bool) -> Result<Option<Found>, EngineFailed> {
        let mut path = normal("/", path);
        for _ in 0..=LINKS {
            let Some(stat) = self.stat(&path).await? else { return Ok(None) };
            if stat.file_mode & IS_LINK == 0 {
                return self.found(&path, &stat, read).await;
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            path = normal(folder, &stat.link_target);
        }
        Ok(None) // a circle
    }

    async fn stat(&self, path: &str) -> Result<Option<PathStatResponse>, EngineFailed> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let docker = &self.engine.0.docker;
        let stat = docker.get_container_archive_info(&self.container, Some(options));
        match call(self.engine.deadline(), stat).await {
            Ok(stat) => Ok(Some(stat)),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure @ Failure::Refused(_)) => self.refused(path, failure).await,
            Err(failure) => Err(failure.of("look into", path)),
        }
    }

    /// Such an answer has no body. Asking for the file itself tells why: links in a circle lead nowhere.
    async fn refused(
        &self,
        path: &str,
        failure: Failure,
    ) -> Result<Option<PathStatResponse>, EngineFailed> {
        match self.read_tar(path, LOOK_MAX + AROUND).await {
            Err(Failure::Refused(words)) if words.contains("too many links") => Ok(None),
            Err(failure) => Err(failure.of("look into", path)),
            Ok(_) => Err(failure.of("look into", path)),
        }
    }

    async fn found(
        &self,
        path: &str,
        stat: &PathStatResponse,
        read: bool,
    ) -> Result<Option<Found>, EngineFailed> {
        if stat.file_mode & IS_FOLDER != 0 {
            return Ok(Some(Found::Folder));
        }
        if stat.file_mode & IS_OTHER != 0 {
            return Ok(None);
        }
        let small = usize::try_from(stat.size).is_ok_and(|size| size <= LOOK_MAX);
        let content = if read && small { Some(self.read(path).await?) } else { None };
        Ok(Some(Found::File(content)))
    }

    async fn read(&self, path: &str) -> Result<Vec<u8>, EngineFailed> {
        let tar = self.read_tar(path, LOOK_MAX + AROUND).await;
        let content = tar.and_then(|tar| only_file(&tar).map_err(unreadable));
        content.map_err(|failure| failure.of("look into", path))
    }

    async fn files(&self, path: &str) -> Result<BTreeMap<String, Vec<u8>>, EngineFailed> {
        let tar = self.read_tar(path, FOLDER_MAX).await;
        let files = tar.and_then(|tar| files_right_in(&tar).map_err(unreadable));
        files.map_err(|failure| failure.of("look into", path))
    }

    /// What the engine packs at a path, cut off after `most` bytes.
    async fn read_tar(&self, path: &str, most: usize) -> Result<Vec<u8>, Failure> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let download = self.engine.0.docker.download_from_container(&self.container, Some(options));
        let whole = async {
            let mut download = std::pin::pin!(download);
            let mut tar = Vec::new();
            while let Some(bytes) = download.next().await {
                tar.extend_from_slice(&bytes?);
                if tar.len() > most {
                    break; // it grew, and is cut off: no tar any more
                }
            }
            Ok(tar)
        };
        call(self.engine.deadline(), whole).await
    }

    async fn remove(mut self) -> Result<(), EngineFailed> {
        self.engine.remove_by_id(&self.container).await?;
        self.removed = true;
        Ok(())
    }
}

impl Drop for Looked {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (engine, container) = (self.engine.clone(), std::mem::take(&mut self.container));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = engine.remove_by_id(&container).await {
                tracing::warn!(
                    error = chain(&error),
                    "a container that was looked into is left over until the next pass"
                );
            }
        });
    }
}

/// A path from the image's root, without dots; `path` may begin at `folder`.
fn normal(folder: &str, path: &str) -> String {
    let from = if path.starts_with('/') { "" } else { folder };
    let mut parts = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unreadable(error: std::io::Error) -> Failure {
    Failure::Refused(error.to_string())
}

/// The content of a tar's first file.
fn only_file(tar: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let Some(first) = archive.entries()?.next() else {
        return Err(std::io::Error::other("the engine gave no file"));
    };
    let mut content = Vec::new();
    first?.read_to_end(&mut content)?;
    Ok(content)
}

/// The files of a tar that holds one folder, by their names.
fn files_right_in(tar: &[u8]) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let right_in = path.components().count() == 2 && entry.header().entry_type().is_file();
        let small = usize::try_from(entry.size()).is_ok_and(|size| size <= LOOK_MAX);
        if let (true, true, Some(name)) = (right_in, small, path.file_name()) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.insert(name.to_string_lossy().into_owned(), content);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_right_in_a_folder_are_read() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in [("sbom/a.txt", "one"), ("sbom/deep/b.txt", "two"), ("c", "three")] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, bytes.as_bytes()).unwrap();
        }
        let files = files_right_in(&tar.into_inner().unwrap()).unwrap();
        assert_eq!(files, BTreeMap::from([("a.txt".to_owned(), b"one".to_vec())]));
    }

    #[test]
    fn links_lead_nowhere_but_into_the_image() {
        for (folder, path, whole) in [
            ("/bin", "dash", "/bin/dash"),
            ("/etc", "../usr/lib/os-release", "/usr/lib/os-release"),
            ("/etc", "/usr/lib/os-release", "/usr/lib/os-release"),
            ("/", "../../etc/passwd", "/etc/passwd"),
            ("", "./a//b/", "/a/b"),
            ("/", "", "/"),
        ] {
            assert_eq!(normal(folder, path), whole, "{folder} {path}");
        }
    }
}
