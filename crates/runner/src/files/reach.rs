//! What the sandbox API needs of files beside the operations.

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use staithe_protocol::files::FileDenied;

use super::Files;

impl Files {
    /// Opens a folder to read what it holds.
    pub fn open_folder(&self, path: &str) -> Result<OwnedFd, FileDenied> {
        self.root.open_at(&self.root.relative(path)?, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Makes a folder and those above it, where they are missing.
    pub fn make_folder(&self, path: &str) -> Result<(), FileDenied> {
        self.root.make_folders(&self.root.relative(path)?)
    }
}
