//! What a build of the first builder leaves when it does not come to its end: images without a name and
//! containers, by the ids that the builder told. An engine that is started again keeps both.
//!
//! They carry no label of ours, so they are written down as they appear, in a file under `DATA/builds/`. A
//! failed build takes its own away; when the engine is away, or this server was killed meanwhile, the next
//! pass does. Who builds or looks into an image holds `DATA/builds/lock` shared; a pass that can't have it
//! alone leaves all this to a later one.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::{
    models::ImageSummary,
    query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder},
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{Reader, classic::Made};
use crate::{
    EngineFailed, LABEL_OWNER,
    chain::chain,
    docker::{
        DockerEngine,
        call::{Failure, call},
        io_failed, private_dir,
    },
};

/// How a file of leftovers ends.
const SUFFIX: &str = "left";
/// Tries to remove what the engine itself is still at, and the time between two.
const TRIES: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(100);

/// Held by whoever makes images or containers that a pass would take for left over.
pub(in crate::docker) struct Busy(#[expect(dead_code, reason = "held until it is dropped")] File);

/// What one build left so far.
pub(in crate::docker) struct Left {
    path: PathBuf,
    images: Vec<Made>,
    containers: Vec<String>,
    /// What the step under way copies files upon, and where to. The builder ends no such step early.
    copying: Option<(String, String)>,
}

impl Left {
    pub(super) fn begin(dir: &Path, build: &str) -> Result<Self, EngineFailed> {
        let path = dir.join(format!("{build}.{SUFFIX}"));
        File::create_new(&path).map_err(|error| io_failed("build", build, error))?;
        Ok(Self { path, images: Vec::new(), containers: Vec::new(), copying: None })
    }

    /// Writes down what is new.
    pub(super) fn note(&mut self, reader: &Reader) {
        let Reader::Classic(classic) = reader else { return };
        self.copying = classic.copying();
        let images = classic.made.iter().skip(self.images.len()).cloned().collect::<Vec<_>>();
        let is_new = |id: &&String| !self.containers.contains(id);
        let containers = classic.containers.iter().filter(is_new).cloned().collect::<Vec<_>>();
        if images.is_empty() && containers.is_empty() {
            return;
        }
        let lines = lines_of(&images, &containers);
        self.images.extend(images);
        self.containers.extend(containers);
        let file = File::options().append(true).open(&self.path);
        if let Err(error) = file.and_then(|mut file| file.write_all(lines.as_bytes())) {
            tracing::warn!(error = chain(&error), "what a build leaves could not be written down");
        }
    }

    /// There is nothing to take away.
    pub(super) fn forget(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(error = chain(&error), "what a build leaves could not be forgotten");
        }
    }

    fn read(path: PathBuf) -> io::Result<Self> {
        let (images, containers) = read_lines(&fs::read_to_string(&path)?);
        Ok(Self { path, images, containers, copying: None })
    }
}

fn lines_of(images: &[Made], containers: &[String]) -> String {
    let image = |made: &Made| {
        let parent = made.parent.as_deref().unwrap_or_default();
        format!("image {} {parent}\n", made.id)
    };
    let images = images.iter().map(image);
    images.chain(containers.iter().map(|id| format!("container {id}\n"))).collect()
}

fn read_lines(text: &str) -> (Vec<Made>, Vec<String>) {
    let (mut images, mut containers) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("image"), Some(id), parent) => {
                images.push(Made { id: id.to_owned(), parent: parent.map(str::to_owned) });
            }
            (Some("container"), Some(id), _) => containers.push(id.to_owned()),
            _ => {}
        }
    }
    (images, containers)
}

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
                if is_that(&image, &made) && self.copies_to(&image.id, &target).await {
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
            Ok(()) => left.forget(),
            Err(error) => {
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
                let left = Left::read(path).map_err(failed)?;
                self.remove_left(&left).await?;
                removed.extend(left.images.iter().map(|made| format!("image {}", made.id)));
                left.forget();
            }
        }
        removed.extend(self.remove_looks(owner).await?);
        removed.extend(self.remove_unnamed(owner).await?);
        Ok(removed)
    }

    async fn remove_left(&self, left: &Left) -> Result<(), EngineFailed> {
        for _ in 0..TRIES {
            for container in &left.containers {
                self.remove_by_id(container).await?;
            }
            if left.images.is_empty() || !self.remove_made(&left.images).await? {
                break;
            }
            // The engine may be ending the build yet.
            sleep(BETWEEN).await;
        }
        Ok(())
    }

    /// Removes images that a build made, the newest first, but those that got a name meanwhile. True when
    /// something of them is in use.
    async fn remove_made(&self, made: &[Made]) -> Result<bool, EngineFailed> {
        let all = self.nameless().await?;
        let mut used = false;
        for made in made.iter().rev() {
            let Some(found) = all.iter().find(|image| is_that(image, made)) else { continue };
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

/// Whether this is what a build made: a step can print any id, so its parent must be the build's as well.
fn is_that(image: &ImageSummary, made: &Made) -> bool {
    let parent = match &made.parent {
        Some(parent) => short(&image.parent_id).starts_with(parent),
        None => image.parent_id.is_empty(),
    };
    short(&image.id).starts_with(&made.id) && parent && is_unnamed(image)
}

fn short(id: &str) -> &str {
    id.trim_start_matches("sha256:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, parent: Option<&str>) -> Made {
        Made { id: id.into(), parent: parent.map(str::to_owned) }
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let images = vec![made("aa", Some("bb")), made("cc", None)];
        let containers = vec!["dd".to_owned()];
        let text = lines_of(&images, &containers);
        assert_eq!(read_lines(&text), (images, containers));
        assert_eq!(read_lines("ima\nimage\n\nnonsense x"), (vec![], vec![]));
    }

    #[test]
    fn only_a_nameless_image_upon_the_same_parent_is_the_builds() {
        let image = |names: &[&str], parent: &str| ImageSummary {
            id: "sha256:aabbcc".into(),
            parent_id: parent.into(),
            repo_tags: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ImageSummary::default()
        };
        assert!(is_that(&image(&["<none>:<none>"], "sha256:bb00"), &made("aabb", Some("bb"))));
        assert!(is_that(&image(&[], ""), &made("aabb", None)));
        assert!(!is_that(&image(&["a:1"], "sha256:bb00"), &made("aabb", Some("bb"))));
        assert!(!is_that(&image(&[], "sha256:cc00"), &made("aabb", Some("bb"))));
    }
}
