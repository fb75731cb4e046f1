//! Entries of a zip archive, in the order of its directory and never all of them in memory.

use std::{
    fs::File,
    io::{Read as _, empty},
};

use staithe_protocol::files::{FileCode, FileDenied, MAX_PATH};
use zip::{
    ZipReadOptions,
    read::Config,
    result::ZipError,
    unstable::read::ZipIterable, // holds no list of all entries, as the stable reader does
};

use super::unpack::{Head, Kind, Tree, bad};
use crate::calendar::Moment;

fn unreadable(error: &ZipError) -> FileDenied {
    FileDenied::new(FileCode::BadMessage, format!("The archive can't be read: {error}."))
}

pub(super) fn read(archive: &File, tree: &mut Tree<'_>) -> Result<(), FileDenied> {
    let mut archive =
        ZipIterable::try_new(archive, Config::default()).map_err(|error| unreadable(&error))?;
    let files = archive.files().map_err(|error| unreadable(&error))?;
    while let Some(entry) = files.next() {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let path = entry.name_raw().to_vec();
        let shown = String::from_utf8_lossy(&path).into_owned();
        if entry.encrypted() {
            return Err(bad(&shown, "is encrypted"));
        }
        let mode = entry.unix_mode();
        let mtime = entry.last_modified().map(|time| {
            let moment = Moment {
                year: time.year().into(),
                month: time.month(),
                day: time.day(),
                hour: time.hour(),
                minute: time.minute(),
                second: time.second(),
                weekday: 0,
            };
            moment.seconds()
        });
        // The upper bits of a mode say what it is; those of a device are refused.
        let kind = match mode.map_or(0, |mode| mode & 0o170_000) {
            _ if path.ends_with(b"/") => Kind::Folder,
            0o040_000 => Kind::Folder,
            0 | 0o100_000 => Kind::File,
            0o120_000 => Kind::Link(vec![]),
            _ => return Err(bad(&shown, "is no file, folder or link")),
        };
        let head = Head { path, kind, mode, mtime };
        if matches!(head.kind, Kind::Folder) {
            tree.add(&head, &mut empty())?;
            continue;
        }
        let mut content = entry
            .with_reader(files.reader_mut(), ZipReadOptions::new())
            .map_err(|error| unreadable(&error))?;
        if matches!(head.kind, Kind::Link(_)) {
            let mut target = Vec::new();
            let read = (&mut content).take(MAX_PATH as u64 + 1).read_to_end(&mut target);
            read.map_err(|error| unreadable(&ZipError::Io(error)))?;
            if target.len() > MAX_PATH {
                return Err(bad(&shown, "is a link to a path of more than 4096 bytes"));
            }
            tree.add(&Head { kind: Kind::Link(target), ..head }, &mut empty())?;
        } else {
            tree.add(&head, &mut content)?;
        }
    }
    Ok(())
}
