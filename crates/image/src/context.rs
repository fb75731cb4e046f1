//! What a builder gets beside the Dockerfile: the scripts, the locks, certificates, archives.
//!
//! Sorted, with fixed times, owners and modes, so that the same request gives the same bytes. An archive of
//! this machine is named, not read: it is streamed when the context is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use crate::{
    render::{self, Request},
    stages::Stage,
};

/// Names what this program writes into a folder, so that the next run can take it away.
const MANIFEST: &str = ".staithe-build";
/// The same while it is written; takes the place of the other when it is whole.
const NEW_MANIFEST: &str = ".staithe-build.new";

/// Files of a build, by their names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    entries: BTreeMap<String, Entry>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub mode: u32,
    pub content: Content,
}

/// Where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A file of this machine.
    File(PathBuf),
}

/// Puts a context together. `ca_files` are certificates with their names; they are only there for helper
/// stages and mounts, see [`Request::ca`].
pub fn assemble(
    request: &Request<'_>,
    dockerfile: String,
    ca_files: &[(String, Vec<u8>)],
) -> Context {
    let inputs = request.inputs;
    let mut entries = BTreeMap::new();
    let mut put =
        |name: &str, mode, content| entries.insert(name.to_owned(), Entry { mode, content });
    let bytes = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    put("Dockerfile", 0o644, Content::Bytes(dockerfile.into_bytes()));
    for (name, executable, text) in render::SHIPPED {
        put(name, if executable { 0o755 } else { 0o644 }, bytes(text));
    }
    put("jupyter.lock", 0o644, bytes(render::jupyter_lock(inputs)));
    put("node.lock", 0o644, bytes(&render::node_lock(inputs)));
    // Only where they are unpacked: other parts of a chain need not wait for them.
    if request.stages.contains(&Stage::Deps) {
        for (name, path) in render::local_archives(inputs, request.facts) {
            put(&name, 0o644, Content::File(path));
        }
    }
    if request.ca {
        let mut ca_files: Vec<_> = ca_files.iter().collect();
        ca_files.sort();
        for (number, (name, content)) in ca_files.into_iter().enumerate() {
            // By number: whatever the files are called, they stay in their folder and two stay two.
            let kind = Path::new(name).extension().and_then(|kind| kind.to_str());
            let kind = kind.filter(|kind| kind.chars().all(|c| c.is_ascii_alphanumeric()));
            let name = format!("ca/{number:03}.{}", kind.unwrap_or("crt"));
            put(&name, 0o644, Content::Bytes(content.clone()));
        }
    }
    Context { entries }
}

impl Context {
    /// The files, by name.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// A further file, in place of one of that name.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) {
        let entry = Entry { mode: 0o644, content: Content::Bytes(bytes) };
        self.entries.insert(name.to_owned(), entry);
    }

    /// Writes it as a tar, the same bytes every time.
    pub fn write_tar(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        for (name, entry) in &self.entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(entry.mode);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            match &entry.content {
                Content::Bytes(bytes) => {
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, name, &bytes[..])?;
                }
                Content::File(path) => {
                    let (file, size) = open(path)?;
                    header.set_size(size);
                    tar.append_data(&mut header, name, Exactly { file, left: size, path })?;
                }
            }
        }
        tar.finish()
    }

    /// Writes it as a folder: makes it, or brings one up to date that an earlier call wrote, however far that came.
    pub fn write_folder(&self, folder: &Path) -> Result<(), FolderFailed> {
        fs::create_dir_all(folder)
            .map_err(|source| FolderFailed::Io { path: folder.to_owned(), source })?;
        for step in self.steps(folder)? {
            step.take(folder)?;
        }
        Ok(())
    }

    /// What is left to be done to a folder. The list names all that is there after each step, so the next call
    /// knows its own files wherever this one ends.
    fn steps(&self, folder: &Path) -> Result<Vec<Step<'_>>, FolderFailed> {
        let listed = listed(folder)?;
        let mut there = Vec::new();
        files_in(folder, folder, &mut there)
            .map_err(|source| FolderFailed::Io { path: folder.to_owned(), source })?;
        there.retain(|name| name != MANIFEST && name != NEW_MANIFEST);
        if let Some(other) = there.iter().find(|name| !listed.contains(*name)) {
            return Err(FolderFailed::Others { folder: folder.to_owned(), file: other.clone() });
        }
        let names: BTreeSet<String> = self.entries.keys().cloned().collect();
        let mut steps = vec![Step::List(names.iter().chain(&there).cloned().collect())];
        steps.extend(there.into_iter().map(Step::Remove));
        steps.extend(self.entries.iter().map(|(name, entry)| Step::Write(name, entry)));
        steps.push(Step::List(names));
        Ok(steps)
    }
}

/// One change of a folder.
enum Step<'a> {
    List(BTreeSet<String>),
    Remove(String),
    Write(&'a str, &'a Entry),
}

impl Step<'_> {
    fn take(&self, folder: &Path) -> Result<(), FolderFailed> {
        let (name, taken) = match self {
            Self::List(names) => (MANIFEST, list(folder, names)),
            Self::Remove(name) => (name.as_str(), remove(folder, name)),
            Self::Write(name, entry) => (*name, write(folder, name, entry.mode, &entry.content)),
        };
        taken.map_err(|source| FolderFailed::Io { path: folder.join(name), source })
    }
}

/// Why a folder was not written.
#[derive(Debug, thiserror::Error)]
pub enum FolderFailed {
    #[error("{} is not empty: {file} was not written by an earlier build; name another folder", folder.display())]
    Others { folder: PathBuf, file: String },
    #[error("{} can't be written", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The names of what an earlier call wrote or was about to.
fn listed(folder: &Path) -> Result<BTreeSet<String>, FolderFailed> {
    match fs::read_to_string(folder.join(MANIFEST)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(source) => Err(FolderFailed::Io { path: folder.join(MANIFEST), source }),
    }
}

/// Writes the list: the old one or the new one is there, and never half of one.
fn list(folder: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    let text: String =
        names.iter().map(String::as_str).chain([MANIFEST]).flat_map(|name| [name, "\n"]).collect();
    match fs::remove_file(folder.join(NEW_MANIFEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(folder, NEW_MANIFEST, 0o644, &Content::Bytes(text.into_bytes()))?;
    fs::rename(folder.join(NEW_MANIFEST), folder.join(MANIFEST))
}

/// Removes a file, and its folders once nothing is in them.
fn remove(folder: &Path, name: &str) -> io::Result<()> {
    let path = folder.join(name);
    fs::remove_file(&path)?;
    for above in path.ancestors().skip(1).take_while(|above| *above != folder) {
        if fs::remove_dir(above).is_err() {
            break;
        }
    }
    Ok(())
}

/// Whatever is in a folder and is no folder, links not followed.
fn files_in(top: &Path, folder: &Path, all: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            files_in(top, &path, all)?;
        } else {
            let name = path.strip_prefix(top).unwrap_or(&path);
            debug_assert!(name.components().all(|part| matches!(part, Component::Normal(_))));
            all.push(name.to_string_lossy().into_owned());
        }
    }
    all.sort();
    Ok(())
}

fn write(folder: &Path, name: &str, mode: u32, content: &Content) -> io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    // Whatever the mask of this process: builders see the mode.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    match content {
        Content::Bytes(bytes) => file.write_all(bytes),
        Content::File(source) => io::copy(&mut open(source)?.0, &mut file).map(|_| ()),
    }
}

/// A file of this machine and its length; its name is in the error.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let opened = File::open(path).and_then(|file| {
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        Ok((file, about.len()))
    });
    opened.map_err(|error| {
        io::Error::new(error.kind(), format!("{} can't be read: {error}", path.display()))
    })
}

/// A file that must stay as long as its header says, or the tar would be out of step.
struct Exactly<'a> {
    file: File,
    left: u64,
    path: &'a Path,
}

impl io::Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..room])?;
        if read == 0 && room > 0 {
            let path = self.path.display();
            return Err(io::Error::other(format!("{path} became shorter while it was read")));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
