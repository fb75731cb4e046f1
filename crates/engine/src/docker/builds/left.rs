//! What a build of the first builder leaves when it does not come to its end: images without a name and
//! containers, by the ids that the builder told. An engine that is started again keeps both.
//!
//! A program in a step can print any id in the builder's words, so an id alone is never believed:
//!
//! - A container is the build's when it has the build's mark, a random name among its extra hosts. Only who
//!   asks the engine for a container can give it that, and only the builder is asked for it with this mark: a
//!   sandbox, a container of another build or of anybody else has not got it, whatever it is made of, runs or
//!   is labelled with, and whenever it was made. A step can read its mark; without the engine that is no use.
//! - An image can't carry a mark, since that would change it. It is the build's when the engine says that it
//!   was made since the build began, upon the image that was told, and has no name. Its id is then a hash
//!   that nobody could know before, so no Dockerfile can hold it, and no container sees ids of images. An
//!   image that a container or another image is made of is refused by the engine.
//!
//! Who builds or looks into an image holds `DATA/builds/lock` shared; a pass that can't have it alone leaves
//! all this to a later one. A failed build takes its own away; when the engine is away, or this server was
//! killed meanwhile, the next pass does, by what [`written`] says.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::{
    models::{ContainerInspectResponse, ImageSummary},
    query_parameters::{
        InspectContainerOptions, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    },
};
use tokio::{task::spawn_blocking, time::sleep};

use super::classic::Made;
use crate::{
    EngineFailed, LABEL_OWNER,
    chain::chain,
    docker::{
        DockerEngine,
        call::{Failure, call},
        io_failed, private_dir,
    },
};

pub(super) use written::Left;
use written::SUFFIX;

mod written;

/// Tries to remove what the engine itself is still at, and the time between two.
const TRIES: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(100);

/// Held by whoever makes images or containers that a pass would take for left over.
pub(in crate::docker) struct Busy(#[expect(dead_code, reason = "held until it is dropped")] File);

impl DockerEngine {
    pub(super) fn left_dir(&self) -> PathBuf {
        self.0.config.data_dir.join("builds")
    }

    /// While what is returned is held, no pass takes anything of a build or a look away.
    pub(in crate::docker) async fn busy(&self) -> Result<Busy, EngineFailed> {
        let dir = self.left_dir();
        let locked = spawn_blocking(move || {
            let file = lock_file(&dir)?;
            file.lock_shared()?; // waits for a pass
            Ok(Busy(file))
        });
        let locked = locked.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        locked.map_err(|error| io_failed("build", "an image", error))
    }

    /// The time by the engine's clock in seconds since 1970; the end of all time when it doesn't tell.
    pub(super) async fn its_time(&self) -> i64 {
        let info = call(self.deadline(), self.0.docker.info()).await;
        let told = info.ok().and_then(|info| info.system_time);
        let time = told.and_then(|told| told.parse::<jiff::Timestamp>().ok());
        time.map_or(i64::MAX, jiff::Timestamp::as_second)
    }

    /// Waits a little for the image of a step that copies files: nobody tells of it any more. A step that
    /// copies for longer leaves it.
    pub(super) async fn await_late(&self, left: &mut Left) {
        let Some((parent, target)) = left.copying.clone() else { return };
        let Ok(before) = self.nameless().await else { return };
        let before: Vec<_> = before.into_iter().map(|image| image.id).collect();
        for _ in 0..TRIES {
            sleep(BETWEEN).await;
            let Ok(now) = self.nameless().await else { return };
            for image in now.into_iter().filter(|image| !before.contains(&image.id)) {
                let made = Made { id: short(&image.id).to_owned(), parent: Some(parent.clone()) };
                // Another build may make one upon the same at this moment.
                if is_that(&image, &made, left.began) && self.copies_to(&image.id, &target).await {
                    left.images.push(made);
                    return;
                }
            }
        }
    }

    async fn copies_to(&self, image: &str, target: &str) -> bool {
        let history = call(self.deadline(), self.0.docker.image_history(image)).await;
        let newest = history.ok().and_then(|history| history.into_iter().next());
        newest.is_some_and(|step| step.created_by.trim_end().ends_with(&format!(" in {target}")))
    }

    /// All images without a name, also those between a named one and its base.
    async fn nameless(&self) -> Result<Vec<ImageSummary>, EngineFailed> {
        let options = ListImagesOptionsBuilder::default().all(true).build();
        let list = call(self.deadline(), self.0.docker.list_images(Some(options))).await;
        let mut all = list.map_err(|failure| failure.of("list", "images"))?;
        all.retain(is_unnamed);
        Ok(all)
    }

    /// Takes away what a build left. What can't be is left to the next pass.
    pub(super) async fn take_away(&self, left: Left) {
        match self.remove_left(&left).await {
            Ok(()) => left.forget().await,
            Err(error) => {
                left.write().await;
                tracing::warn!(
                    error = chain(&error),
                    "what a build left is left over until the next pass"
                );
            }
        }
    }

    /// Removes what builds left that are no more. Tells what it removed; nothing while anybody builds.
    pub(in crate::docker) async fn sweep_builds(
        &self,
        owner: &str,
    ) -> Result<Vec<String>, EngineFailed> {
        let dir = self.left_dir();
        let failed = |error| io_failed("sweep the builds of", owner, error);
        let lock = lock_file(&dir).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Vec::new()),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut removed = Vec::new();
        for path in fs::read_dir(&dir).map_err(failed)?.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|end| end == SUFFIX) {
                let left = Left::read(path).await.map_err(failed)?;
                self.remove_left(&left).await?;
                removed.extend(left.images.iter().map(|made| format!("image {}", made.id)));
                left.forget().await;
            }
        }
        removed.extend(self.remove_looks(owner).await?);
        removed.extend(self.remove_unnamed(owner).await?);
        Ok(removed)
    }

    async fn remove_left(&self, left: &Left) -> Result<(), EngineFailed> {
        for container in &left.containers {
            self.remove_marked(container, &left.mark()).await?;
        }
        for _ in 0..TRIES {
            if left.images.is_empty() || !self.remove_made(left).await? {
                break;
            }
            // The engine may be ending the build yet.
            sleep(BETWEEN).await;
        }
        Ok(())
    }

    /// Removes a container when it is of the build that has this mark.
    async fn remove_marked(&self, container: &str, mark: &str) -> Result<(), EngineFailed> {
        let inspect = self.0.docker.inspect_container(container, None::<InspectContainerOptions>);
        match call(self.deadline(), inspect).await {
            Ok(found) => match found.id.as_ref().filter(|_| is_marked(&found, mark)) {
                Some(id) => self.remove_by_id(id).await,
                None => Ok(()),
            },
            Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure.of("inspect", container)),
        }
    }

    /// Removes images that a build made, the newest first, but those that got a name meanwhile. True when
    /// something of them is in use.
    async fn remove_made(&self, left: &Left) -> Result<bool, EngineFailed> {
        let all = self.nameless().await?;
        let mut used = false;
        for made in left.images.iter().rev() {
            let is_it = |image: &&ImageSummary| is_that(image, made, left.began);
            let Some(found) = all.iter().find(is_it) else { continue };
            // Its parents are removed one by one, so that none of another build's go with it.
            used |= !self.remove_image_by_id(&found.id, true).await?;
        }
        Ok(used)
    }

    /// Images of this installation that lost their name, or never got one.
    async fn remove_unnamed(&self, owner: &str) -> Result<Vec<String>, EngineFailed> {
        let filters = [
            ("label".to_owned(), vec![format!("{LABEL_OWNER}={owner}")]),
            ("dangling".to_owned(), vec!["true".to_owned()]),
        ];
        let options = ListImagesOptionsBuilder::default().filters(&filters.into()).build();
        let list = call(self.deadline(), self.0.docker.list_images(Some(options))).await;
        let all = list.map_err(|failure| failure.of("list images of", owner))?;
        let mut removed = Vec::new();
        for image in all.iter().filter(|image| is_unnamed(image)) {
            if self.remove_image_by_id(&image.id, false).await? {
                removed.push(format!("image {}", image.id));
            }
        }
        Ok(removed)
    }

    /// False when a container or another image is made of it.
    async fn remove_image_by_id(&self, id: &str, alone: bool) -> Result<bool, EngineFailed> {
        let options = RemoveImageOptionsBuilder::default().noprune(alone).build();
        let remove = self.0.docker.remove_image(id, Some(options), None);
        match call(self.deadline(), remove).await {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(true),
            Err(Failure::Conflict(_)) => Ok(false),
            Err(failure) => Err(failure.of("remove", id)),
        }
    }
}

fn lock_file(dir: &Path) -> io::Result<File> {
    private_dir(dir)?;
    File::options().create(true).truncate(false).write(true).open(dir.join("lock"))
}

fn is_unnamed(image: &ImageSummary) -> bool {
    let named = |name: &String| !name.contains("<none>");
    !image.repo_tags.iter().any(named) && !image.repo_digests.iter().any(named)
}

/// Whether a build that began then made this, and not only printed its id.
fn is_that(image: &ImageSummary, made: &Made, began: i64) -> bool {
    let parent = match &made.parent {
        Some(parent) => short(&image.parent_id).starts_with(parent),
        None => image.parent_id.is_empty(),
    };
    let is_id = short(&image.id).starts_with(&made.id);
    is_id && parent && image.created >= began && is_unnamed(image)
}

fn is_marked(container: &ContainerInspectResponse, mark: &str) -> bool {
    let hosts = container.host_config.as_ref().and_then(|config| config.extra_hosts.as_ref());
    hosts.is_some_and(|hosts| hosts.iter().any(|host| host == mark))
}

fn short(id: &str) -> &str {
    id.trim_start_matches("sha256:")
}

#[cfg(test)]
mod tests {
    use bollard::models::HostConfig;

    use super::*;

    fn made(id: &str, parent: Option<&str>) -> Made {
        Made { id: id.into(), parent: parent.map(str::to_owned) }
    }

    #[test]
    fn only_a_nameless_image_of_the_builds_time_upon_the_same_parent_is_the_builds() {
        let image = |names: &[&str], parent: &str, created| ImageSummary {
            id: "sha256:aabbcc".into(),
            parent_id: parent.into(),
            repo_tags: names.iter().map(|name| (*name).to_owned()).collect(),
            created,
            ..ImageSummary::default()
        };
        let (upon, none) = (made("aabb", Some("bb")), made("aabb", None));
        assert!(is_that(&image(&["<none>:<none>"], "sha256:bb00", 7), &upon, 7));
        assert!(is_that(&image(&[], "", 8), &none, 7));
        assert!(!is_that(&image(&["a:1"], "sha256:bb00", 7), &upon, 7));
        assert!(!is_that(&image(&[], "sha256:cc00", 7), &upon, 7));
        assert!(!is_that(&image(&[], "sha256:bb00", 6), &upon, 7), "it was there before");
        assert!(
            !is_that(&image(&[], "sha256:bb00", 7), &upon, i64::MAX),
            "nobody knows since when"
        );
    }

    #[test]
    fn only_a_container_with_the_builds_own_mark_is_the_builds() {
        let container = |hosts: Option<&[&str]>| ContainerInspectResponse {
            host_config: Some(HostConfig {
                extra_hosts: hosts.map(|hosts| hosts.iter().map(|it| (*it).to_owned()).collect()),
                ..HostConfig::default()
            }),
            ..ContainerInspectResponse::default()
        };
        assert!(is_marked(&container(Some(&["other:1.2.3.4", "mark"])), "mark"));
        assert!(!is_marked(&container(Some(&["another-mark"])), "mark"));
        assert!(!is_marked(&container(None), "mark"));
        assert!(!is_marked(&ContainerInspectResponse::default(), "mark"));
    }
}
