//! A folder of the doctor's own, which goes when it does.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What is written to see that writing works.
const PAGE: [u8; 4096] = [b'.'; 4096];

/// The folder. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one beside or in the place that is looked at, and writes to its disk.
    pub(crate) fn make(place: &Path) -> io::Result<Self> {
        let name = uuid::Uuid::new_v4().as_simple().to_string();
        let path = place.join(format!(".doctor-{}", &name[..8]));
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Self(path);
        let file = scratch.0.join("page");
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(&PAGE)?;
        file.sync_all()?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("staithe: {} is left over: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::make(dir.path()).expect("it is made");
        fs::write(scratch.path().join("x"), "y").expect("it is written");
        drop(scratch);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}
