//! Images: what is there, what is in it, and building one.
//!
//! An engine without images has none of this ([`Engine::images`](crate::Engine::images)).

use std::{collections::BTreeMap, fmt, io, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{EngineFailed, Labels};

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// The engine's id of its content, `sha256:…`.
    pub id: String,
    /// Every `repository:tag` that names it; empty for one that lost its name.
    pub names: Vec<String>,
    /// `repository@sha256:…`, where it was pulled or pushed.
    pub digests: Vec<String>,
    pub labels: Labels,
    /// Bytes, all layers together.
    pub size: u64,
    /// Seconds since 1970.
    pub created: i64,
    /// `os/arch[/variant]`.
    pub platform: String,
    /// Whom it runs as; empty: root.
    pub user: String,
}

/// One step in an image's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What made it, as the builder wrote it.
    pub created_by: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub created: i64,
}

/// What is at a path in an image, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file, with its content when that was asked for and is at most [`LOOK_MAX`] bytes.
    File(Option<Vec<u8>>),
    Folder,
}

/// Largest file that [`Images::look_into`] reads.
pub const LOOK_MAX: usize = 1 << 20;

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// Docker's first builder: every engine has one like it.
    Classic,
    /// `BuildKit`: parallel stages, mounts in a step.
    BuildKit,
}

/// Writes a build's context as a tar, from the beginning, every time it is called.
pub type WriteContext = Arc<dyn Fn(&mut dyn io::Write) -> io::Result<()> + Send + Sync>;

/// What is to be built.
#[derive(Clone)]
pub struct BuildOrder {
    /// The name that it gets once it is whole: `repository:tag`.
    pub name: String,
    pub builder: Builder,
    /// Holds a `Dockerfile` at its top. Streamed: it may be larger than memory.
    pub context: WriteContext,
    pub labels: Labels,
    pub build_args: BTreeMap<String, String>,
    /// `os/arch[/variant]`; empty: the engine's own.
    pub platform: String,
    /// No step is taken from the builder's cache.
    pub anew: bool,
    /// Most bytes of memory that a step may use, swap included; 0: no limit. The classic builder of Docker
    /// keeps it; `BuildKit` in Docker takes no limits, and its steps use what the machine has.
    pub memory: u64,
    /// Most processors that a step may use; 0: no limit. Kept as `memory` is.
    pub cpus: f64,
    /// What steps can reach: empty: the builder's default; `none`: nothing; or, with the classic builder, a
    /// network's name. `BuildKit` in Docker knows `default`, `none` and `host`, and refuses other names.
    /// What the builder itself fetches (`FROM`, `ADD` of an address) is not held back by it.
    pub network: String,
    /// From its beginning to its end.
    pub limit: Duration,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// What a build tells as it goes on, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildNews {
    /// A step began. `BuildKit` runs several at a time: the newest counts. Its text is at most 2,000
    /// characters.
    Step { number: u32, of: u32, text: String },
    /// A step printed a line: without its end, colours and control characters, at most 2,000 characters.
    /// Secrets in it are not hidden: hide them before it is cut any shorter, or half of one is shown.
    Line(String),
}

/// What is told of what goes on.
pub type Tell<'a, T> = &'a (dyn Fn(T) + Send + Sync);

/// Why nothing was built. Whatever it was, nothing of the build is left but what the builder's cache keeps.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailed {
    /// A step failed.
    #[error("step {number} of {of} failed: {text}: {cause}")]
    Step {
        number: u32,
        of: u32,
        text: String,
        /// In the builder's words.
        cause: String,
        /// What the step printed last, oldest first; at most 50 lines, each as in [`BuildNews::Line`].
        tail: Vec<String>,
    },
    /// The image that it is built on can't be had.
    #[error("the base image {image} can't be had: {cause}")]
    Base { image: String, cause: String },
    /// The engine's disk is full.
    #[error("no space is left where the engine keeps its data: {cause}")]
    DiskFull { cause: String, tail: Vec<String> },
    /// It took too long.
    #[error("it was not done within {} s, in step {number} of {of}: {text}", limit.as_secs())]
    TimedOut { limit: Duration, number: u32, of: u32, text: String, tail: Vec<String> },
    /// Nobody wants it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// The context could not be read here.
    #[error("the context can't be read: {0}")]
    Context(io::Error),
    /// The engine is away, refused, or can't do it.
    #[error(transparent)]
    Engine(#[from] EngineFailed),
}

/// What an engine does with images. Each method may be called at any time.
#[async_trait]
pub trait Images: fmt::Debug + Send + Sync {
    /// Who can build here, the better one first. Not tried: it follows from the product that the
    /// engine said it is when it was connected to. Docker has both, any other product only the classic one.
    fn builders(&self) -> Vec<Builder>;

    /// `os/arch` of the engine itself.
    fn platform(&self) -> String;

    /// Every image that carries all these labels, newest first.
    async fn list(&self, labels: &Labels) -> Result<Vec<ImageInfo>, EngineFailed>;

    /// One image by name or id; none when it isn't there. Fetches nothing.
    async fn inspect(&self, image: &str) -> Result<Option<ImageInfo>, EngineFailed>;

    /// An image's history, oldest first.
    async fn layers(&self, image: &str) -> Result<Vec<Layer>, EngineFailed>;

    /// What is at these paths of an image that is there; paths where nothing is are left out. Nothing of the
    /// image is run. `read`: files' contents too.
    async fn look_into(
        &self,
        image: &str,
        paths: &[&str],
        read: bool,
    ) -> Result<BTreeMap<String, Found>, EngineFailed>;

    /// The files right in a folder of an image that is there, by their names, each at most [`LOOK_MAX`] bytes;
    /// larger ones and all but files are left out. Empty when there is no such folder.
    async fn read_folder(
        &self,
        image: &str,
        folder: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, EngineFailed>;

    /// Removes what builds and looks of this installation left that are no more, because their process or the
    /// engine was killed. Tells what was removed; nothing while anybody builds.
    async fn sweep(&self) -> Result<Vec<String>, EngineFailed>;

    /// The ids of images that containers, running or not, are made of.
    async fn used(&self) -> Result<Vec<String>, EngineFailed>;

    /// Builds, and tells the new image's id.
    async fn build(
        &self,
        order: BuildOrder,
        tell: Tell<'_, BuildNews>,
    ) -> Result<String, BuildFailed>;

    /// Gives an image a further name; one that had it loses it.
    async fn tag(&self, image: &str, name: &str) -> Result<(), EngineFailed>;

    /// Takes a name away, and with the last one the image. Fails while a container is made of it.
    /// Removing what is not there is no error.
    async fn remove(&self, name: &str) -> Result<(), EngineFailed>;

    /// Fetches an image for a platform (empty: the engine's own), whatever the settings say of fetching;
    /// tells in words. False: there is none.
    async fn pull(
        &self,
        name: &str,
        platform: &str,
        tell: Tell<'_, String>,
    ) -> Result<bool, EngineFailed>;

    /// Sends an image to the registry in its name; tells in words.
    async fn push(&self, name: &str, tell: Tell<'_, String>) -> Result<(), EngineFailed>;

    /// Writes images with their names into a file, which is there whole or not at all.
    async fn save(&self, names: &[&str], to: &Path) -> Result<(), EngineFailed>;

    /// Takes the images of such a file in.
    async fn load(&self, from: &Path) -> Result<(), EngineFailed>;
}
