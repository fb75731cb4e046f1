//! Makes the user and the working directory, as root; before anything else runs here.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown},
    path::{Path, PathBuf},
};

use rustix::{fs::Mode, process::umask};

use super::{
    cli::Alone,
    users::{Added, BASH, Image, Plan, plan},
};
use crate::fault::Fault;

/// The most entries of a working directory that are given to the user.
const MOST_GIVEN: usize = 1_000_000;

/// Makes what is missing. Without root there is nothing to make but the folder, and it is said.
pub(super) fn prepare(told: &Alone, is_root: bool, note: &dyn Fn(&str)) -> Result<(), Fault> {
    if !told.working_dir.is_absolute() {
        let dir = told.working_dir.display();
        return Err(Fault::config(format!("--working-dir {dir} is no absolute path")));
    }
    umask(Mode::from_raw_mode(0o002));
    let owner = if is_root { Some(user(told)?) } else { None };
    if owner.is_none() {
        note(
            "not started by root: everything runs as the user who started it, --username means nothing",
        );
    }
    fs::create_dir_all(&told.working_dir).map_err(|error| {
        let dir = told.working_dir.display();
        Fault::config(format!("the working directory {dir} can't be made: {error}"))
    })?;
    let Some((uid, _)) = owner else { return Ok(()) };
    make_tmp().map_err(|error| Fault::os("can't make /tmp", error))?;
    if told.working_dir.parent().is_none() {
        note("the working directory is /, which stays root's");
        return Ok(());
    }
    give(&told.working_dir, uid).map_err(|error| {
        Fault::os(format!("can't give {} to the user", told.working_dir.display()), error)
    })
}

/// Clients put files there, and so do programs; an image may lack it.
fn make_tmp() -> io::Result<()> {
    match DirBuilder::new().create("/tmp") {
        Ok(()) => fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The user's number and group; made if it isn't there.
fn user(told: &Alone) -> Result<(u32, u32), Fault> {
    let read = |path: &str| match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::os(format!("can't read {path}"), error)),
    };
    let image = Image {
        passwd: read("/etc/passwd")?.unwrap_or_default(),
        shadow: read("/etc/shadow")?,
        group: read("/etc/group")?.unwrap_or_default(),
        sudoers: read("/etc/sudoers")?,
        has_bash: Path::new(BASH).is_file(),
    };
    let wrong = |text: String| Fault::config(format!("--username {:?}: {text}", told.username));
    match plan(&image, &told.username, told.user_id).map_err(wrong)? {
        Plan::Keep { uid, gid } => Ok((uid, gid)),
        Plan::Add(added) => {
            let refused =
                |error| Fault::os(format!("can't add the user {:?}", told.username), error);
            add(&added).map_err(refused)?;
            Ok((added.uid, 0))
        }
    }
}

fn add(added: &Added) -> io::Result<()> {
    fs::create_dir_all("/etc")?;
    replace("/etc/passwd", &added.passwd, 0o644)?;
    for (path, text, mode) in [
        ("/etc/shadow", &added.shadow, 0o640),
        ("/etc/group", &added.group, 0o644),
        ("/etc/sudoers", &added.sudoers, 0o440),
    ] {
        if let Some(text) = text {
            replace(path, text, mode)?;
        }
    }
    let home = Path::new(&added.home);
    if !home.is_dir() {
        fs::create_dir_all(home.parent().unwrap_or(home))?;
        DirBuilder::new().mode(0o755).create(home)?;
        copy_skeleton(Path::new("/etc/skel"), home, added.uid)?;
    }
    chown(home, Some(added.uid), Some(0))
}

/// Puts a file's new text in its place at once, with the owner and mode that it had.
fn replace(path: &str, text: &str, mode: u32) -> io::Result<()> {
    let before = fs::metadata(path).ok();
    let new = format!("{path}.staithe");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    let mode = before.as_ref().map_or(mode, |meta| meta.mode() & 0o7777);
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    if let Some(meta) = &before {
        chown(&new, Some(meta.uid()), Some(meta.gid()))?;
    }
    match fs::rename(&new, path) {
        // A file that a container's engine mounted can't be replaced, and is written to.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            fs::write(path, text)?;
            fs::remove_file(&new)
        }
        result => result,
    }
}

/// The files that every new home has; folders among them are rare and left out.
fn copy_skeleton(from: &Path, home: &Path, uid: u32) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) }; // the image has none
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let to = home.join(entry.file_name());
            fs::copy(entry.path(), &to)?;
            chown(&to, Some(uid), Some(0))?;
        }
    }
    Ok(())
}

/// Gives a folder and all in it to the user and root's group, and lets the group write to it.
fn give(dir: &Path, uid: u32) -> io::Result<()> {
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    chown(dir, Some(uid), Some(0))?;
    let mode = fs::metadata(dir)?.mode();
    fs::set_permissions(dir, fs::Permissions::from_mode((mode & 0o7777) | 0o060))?;
    let mut given = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let meta = entry.metadata()?; // a symlink's own
            given += 1;
            if given > MOST_GIVEN {
                return Err(io::Error::other("it holds more than a million files"));
            }
            // A second name of a file elsewhere is not the folder's to give.
            let is_elsewhere = meta.is_file() && meta.nlink() > 1;
            if !is_elsewhere && (meta.uid(), meta.gid()) != (uid, 0) {
                lchown(entry.path(), Some(uid), Some(0))?;
            }
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}
