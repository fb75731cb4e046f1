//! Images in a file: written whole or not at all, and taken in.

use std::{
    io,
    path::{Path, PathBuf},
};

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::StreamExt;
use tokio::{
    fs::{File, rename},
    io::AsyncWriteExt,
};
use tokio_util::io::ReaderStream;

use super::{DockerEngine, call::Failure, create::uuid, images::next, io_failed};
use crate::{EngineFailed, chain::chain};

/// Zeros at a tar's end.
const END: usize = 1024;

impl DockerEngine {
    pub(super) async fn save_images(&self, names: &[&str], to: &Path) -> Result<(), EngineFailed> {
        let what = names.join(", ");
        let part = Part::beside(to);
        let failed = |error| io_failed("save", &what, error);
        let mut file = File::create_new(&part.0).await.map_err(failed)?;
        let mut stream = self.0.docker.export_images(names).boxed();
        let mut end = End::default();
        while let Some(bytes) = next(&mut stream).await.map_err(|it| it.of("save", &what))? {
            end.take(&bytes);
            file.write_all(&bytes).await.map_err(failed)?;
        }
        // What goes wrong once it has begun, the engine can only say in the middle of the tar.
        if !end.is_one() {
            let failure = Failure::Refused("the engine broke off; its log says why".into());
            return Err(failure.of("save", &what));
        }
        file.sync_all().await.map_err(failed)?;
        rename(&part.0, to).await.map_err(failed)
    }

    pub(super) async fn load_images(&self, from: &Path) -> Result<(), EngineFailed> {
        let what = from.display().to_string();
        let file = File::open(from).await.map_err(|error| io_failed("load", &what, error))?;
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let stream = ReaderStream::with_capacity(file, 64 * 1024);
        let mut stream = self.0.docker.import_image_stream(options, stream, None).boxed();
        while next(&mut stream).await.map_err(|it| it.of("load", &what))?.is_some() {}
        Ok(())
    }
}

/// A file that is not whole yet: it goes unless it is renamed.
struct Part(PathBuf);

impl Part {
    fn beside(to: &Path) -> Self {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", uuid()));
        Self(to.with_file_name(name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(error = chain(&error), "half a file of images is left over")
            }
        }
    }
}

/// Whether a stream of bytes ends as a tar does.
#[derive(Default)]
struct End {
    zeros: usize,
    length: usize,
}

impl End {
    fn take(&mut self, bytes: &[u8]) {
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == bytes.len() { self.zeros + zeros } else { zeros };
        self.length += bytes.len();
    }

    fn is_one(&self) -> bool {
        self.zeros >= END && self.length.is_multiple_of(512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tar_that_broke_off_is_told_from_a_whole_one() {
        let ends = |pieces: &[&[u8]]| {
            let mut end = End::default();
            for piece in pieces {
                end.take(piece);
            }
            end.is_one()
        };
        let (full, zeros) = ([7; 512], [0; 512]);
        assert!(ends(&[&full, &zeros, &zeros]));
        assert!(ends(&[&[&full[..], &zeros[..]].concat(), &zeros[..100], &zeros[100..]]));
        assert!(!ends(&[&full, &zeros]));
        assert!(!ends(&[&full, &zeros, &zeros, br#"{"error":"no space left on device"}"#]));
        assert!(!ends(&[]));
    }
}
