//! Images in a file: written whole or not at all, and taken in.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};
use tokio::{
    fs::{File, rename},
    io::AsyncWriteExt,
    task::spawn_blocking,
};
use tokio_util::io::ReaderStream;

use super::{DockerEngine, call::Failure, create::uuid, io_failed};
use crate::{EngineFailed, chain::chain};

/// Zeros at a tar's end.
const END: usize = 1024;
/// Between a file's name and what tells its part from others.
const PART: &str = ".part-";
/// A part is locked by who writes it, right after it is made.
const SURELY_LOCKED: Duration = Duration::from_mins(1);

impl DockerEngine {
    pub(super) async fn save_images(&self, names: &[&str], to: &Path) -> Result<(), EngineFailed> {
        let what = names.join(", ");
        let failed = |error| io_failed("save", &what, error);
        let target = to.to_owned();
        let begun = spawn_blocking(move || Part::beside(&target)).await;
        let (part, file) =
            begun.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(failed)?;
        let mut file = File::from_std(file);
        let mut stream = self.0.docker.export_images(names).boxed();
        let (mut end, none) = (End::default(), AtomicU64::new(0));
        loop {
            let next = self.next_at_last(&mut stream, &none).await;
            let Some(bytes) = next.map_err(|it| it.of("save", &what))? else { break };
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
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let stream = ReaderStream::with_capacity(file, 64 * 1024).inspect_ok(move |bytes| {
            counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        });
        let mut stream = self.0.docker.import_image_stream(options, stream, None).boxed();
        let failed = |failure: Failure| failure.of("load", &what);
        while self.next_at_last(&mut stream, &sent).await.map_err(failed)?.is_some() {}
        Ok(())
    }
}

/// A file that is not whole yet: it goes unless it is renamed.
struct Part(PathBuf);

impl Part {
    /// A new one, locked as long as it is open. Those of processes that were killed go.
    fn beside(to: &Path) -> io::Result<(Self, fs::File)> {
        if let Some(folder) = to.parent() {
            remove_abandoned(folder);
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!("{PART}{}", uuid()));
        let part = Self(to.with_file_name(name));
        let file = fs::File::create_new(&part.0)?;
        // Where files can't be locked, nobody takes an abandoned one away either.
        file.lock().ok();
        Ok((part, file))
    }
}

/// Removes parts that nobody writes any more.
fn remove_abandoned(folder: &Path) {
    // One that can't be read fails the save itself, too.
    let Ok(entries) =
        fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_part(path)) {
        match is_abandoned(&path) {
            Ok(false) => {}
            Ok(true) => drop(Part(path)),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, error = chain(&error), "half a file of images can't be looked at");
            }
        }
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once(PART)
        .is_some_and(|(_, id)| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_abandoned(path: &Path) -> io::Result<bool> {
    let file = fs::File::open(path)?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(age >= SURELY_LOCKED && file.try_lock().is_ok())
}

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(error = chain(&error), "half a file of images is left over");
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
    fn parts_that_nobody_writes_any_more_go_with_the_next_save() {
        let dir = tempfile::tempdir().expect("a folder");
        let make = |name: &str, age: Duration| {
            let path = dir.path().join(name);
            let file = fs::File::create_new(&path).expect("it is new");
            file.set_modified(std::time::SystemTime::now() - age).expect("it is ours");
            (path, file)
        };
        let id = "0123456789abcdef0123456789abcdef";
        let (abandoned, file) = make(&format!("a.tar.part-{id}"), SURELY_LOCKED * 2);
        drop(file);
        let (young, _) = make(&format!("b.tar.part-{id}"), Duration::ZERO);
        let (other, _) = make("c.part-1", SURELY_LOCKED * 2);
        let (written, file) = make(&format!("d.tar.part-{id}"), SURELY_LOCKED * 2);
        file.lock().expect("nobody else has it");
        let (part, _own) = Part::beside(&dir.path().join("a.tar")).expect("it is made");
        assert!(!abandoned.exists());
        assert!(young.exists() && other.exists() && written.exists() && part.0.exists());
        assert!(is_part(&part.0));
    }

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
