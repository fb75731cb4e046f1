//! What a build left, written down: a file `DATA/builds/BUILD.left` for each build that goes on.
//!
//! An id is written when it is new, at most twice 256 of them. Nothing is synced: what is written outlives
//! this server however it ends. When the machine itself falls the last ids may be lost, and what they name
//! stays with the engine until somebody prunes it.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use crate::{
    EngineFailed,
    chain::chain,
    docker::{
        builds::{Reader, classic::Made},
        io_failed,
    },
};

/// How such a file ends.
pub(super) const SUFFIX: &str = "left";

/// What one build seems to have left so far.
#[derive(Debug)]
pub(in crate::docker::builds) struct Left {
    /// Named by the build's own id.
    path: PathBuf,
    /// Seconds since 1970, by the engine's clock.
    pub(super) began: i64,
    pub(super) images: Vec<Made>,
    pub(super) containers: Vec<String>,
    /// What the step under way copies files upon, and where to. The builder ends no such step early.
    pub(super) copying: Option<(String, String)>,
}

impl Left {
    pub(in crate::docker::builds) async fn begin(
        dir: &Path,
        build: &str,
        began: i64,
    ) -> Result<Self, EngineFailed> {
        let path = dir.join(format!("{build}.{SUFFIX}"));
        let left = Self { path, began, images: Vec::new(), containers: Vec::new(), copying: None };
        let created = OpenOptions::new().create_new(true).append(true).open(&left.path).await;
        let written = match created {
            Ok(file) => add(file, &head(began)).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| io_failed("build", build, error))?;
        Ok(left)
    }

    /// What every container of the build has among its extra hosts, and no other has.
    pub(in crate::docker::builds) fn mark(&self) -> String {
        let build = self.path.file_stem().unwrap_or_default().to_string_lossy();
        format!("{build}.staithe-build.invalid:127.0.0.1")
    }

    /// Writes down what is new.
    pub(in crate::docker::builds) async fn note(&mut self, reader: &Reader) {
        let Reader::Classic(classic) = reader else { return };
        self.copying = classic.copying();
        let images = classic.made.get(self.images.len()..).unwrap_or_default();
        let containers = classic.containers.get(self.containers.len()..).unwrap_or_default();
        if images.is_empty() && containers.is_empty() {
            return;
        }
        let lines = lines_of(images, containers);
        self.images.extend_from_slice(images);
        self.containers.extend_from_slice(containers);
        let written = match OpenOptions::new().append(true).open(&self.path).await {
            Ok(file) => add(file, &lines).await,
            Err(error) => Err(error),
        };
        warn_unless(written);
    }

    /// Writes all of it anew: a note may have been given up, or something been found after the last.
    pub(super) async fn write(&self) {
        let text = head(self.began) + &lines_of(&self.images, &self.containers);
        warn_unless(fs::write(&self.path, text).await);
    }

    /// There is nothing to take away.
    pub(in crate::docker::builds) async fn forget(self) {
        if let Err(error) = fs::remove_file(&self.path).await {
            tracing::warn!(error = chain(&error), "what a build leaves could not be forgotten");
        }
    }

    pub(super) async fn read(path: PathBuf) -> io::Result<Self> {
        let (began, images, containers) = read_lines(&fs::read_to_string(&path).await?);
        Ok(Self { path, began, images, containers, copying: None })
    }
}

async fn add(mut file: fs::File, lines: &str) -> io::Result<()> {
    file.write_all(lines.as_bytes()).await?;
    file.flush().await
}

fn warn_unless(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::warn!(error = chain(&error), "what a build leaves could not be written down");
    }
}

fn head(began: i64) -> String {
    format!("began {began}\n")
}

fn lines_of(images: &[Made], containers: &[String]) -> String {
    let image = |made: &Made| {
        let parent = made.parent.as_deref().unwrap_or_default();
        format!("image {} {parent}\n", made.id)
    };
    let images = images.iter().map(image);
    images.chain(containers.iter().map(|id| format!("container {id}\n"))).collect()
}

/// Without its beginning nothing was made since then.
fn read_lines(text: &str) -> (i64, Vec<Made>, Vec<String>) {
    let (mut began, mut images, mut containers) = (i64::MAX, Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("began"), Some(time), _) => began = time.parse().unwrap_or(i64::MAX),
            (Some("image"), Some(id), parent) => {
                images.push(Made { id: id.to_owned(), parent: parent.map(str::to_owned) });
            }
            (Some("container"), Some(id), _) => containers.push(id.to_owned()),
            _ => {}
        }
    }
    (began, images, containers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::builds::classic::Classic;

    #[test]
    fn what_is_written_down_is_read_again() {
        let made = |id: &str, parent: Option<&str>| Made {
            id: id.into(),
            parent: parent.map(str::to_owned),
        };
        let images = vec![made("aa", Some("bb")), made("cc", None)];
        let containers = vec!["dd".to_owned()];
        let text = head(7) + &lines_of(&images, &containers);
        assert_eq!(read_lines(&text), (7, images, containers));
        let nothing = (i64::MAX, vec![], vec![]);
        assert_eq!(read_lines("beg\nbegan x\nima\nimage\n\nnonsense x"), nothing);
    }

    #[tokio::test]
    async fn what_is_new_is_written_once_and_what_is_not_costs_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut left = Left::begin(dir.path(), "build", 7).await.expect("it is written");
        let mut classic = Classic::default();
        for words in ["Step 1/2 : RUN x", " ---> Running in 95335d1984c9\n"] {
            classic.take(words);
        }
        let mut reader = Reader::Classic(classic);
        let path = dir.path().join("build.left");
        left.note(&reader).await;
        let written = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(written, "began 7\ncontainer 95335d1984c9\n");
        // Without its file, whatever would be written makes it anew or fails.
        std::fs::remove_file(&path).expect("it was there");
        if let Reader::Classic(classic) = &mut reader {
            classic.take("output\n");
        }
        left.note(&reader).await;
        assert!(!path.exists());
        left.write().await;
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), written);
        let read = Left::read(path.clone()).await.expect("it can be read");
        assert_eq!((read.mark(), read.containers), (left.mark(), left.containers.clone()));
        left.forget().await;
        assert!(!path.exists());
    }
}
