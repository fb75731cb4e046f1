//! Removal of temporary files whose runner was killed before it could remove them.

use std::{
    collections::{HashSet, VecDeque},
    os::fd::OwnedFd,
};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, fstat, statat, unlinkat};
use staithe_protocol::files::EntryType;

use super::{Files, list::remove_folder, replace::is_temporary, version};

/// The most names that are looked at, and the most folders that are remembered meanwhile.
const MOST_NAMES: usize = 200_000;
const MOST_FOLDERS: usize = 20_000;

/// What is removed.
pub(crate) struct Sweep {
    /// Only what was changed before this time, in seconds since 1970.
    pub before: f64,
    /// Names that uploads go on with; they stay.
    pub kept: HashSet<String>,
}

impl Files {
    /// Removes what is left in the workspace: upper folders first, and of a very large workspace only in a
    /// part. How many were removed.
    pub(crate) fn sweep(&self, sweep: &Sweep) -> usize {
        let mut folders = VecDeque::from([String::new()]);
        let (mut device, mut names, mut removed) = (None, 0, 0);
        while let Some(path) = folders.pop_front() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let Ok(folder) = self.root.open_at(&path, flags) else { continue };
            let here = fstat(&folder).ok().map(|stat| stat.st_dev);
            // Other file systems are none of the workspace's.
            if here.is_none() || *device.get_or_insert(here) != here {
                continue;
            }
            let Ok(entries) = Dir::read_from(&folder) else { continue };
            for entry in entries.map_while(Result::ok) {
                names += 1;
                if names > MOST_NAMES {
                    return removed;
                }
                let Ok(name) = entry.file_name().to_str() else { continue };
                if sweep.takes(name) {
                    removed += usize::from(sweep.remove(&folder, name));
                } else if !matches!(name, "." | "..")
                    && folders.len() < MOST_FOLDERS
                    && is_folder(&folder, name, entry.file_type())
                {
                    let above = if path.is_empty() { "" } else { "/" };
                    folders.push_back(format!("{path}{above}{name}"));
                }
            }
        }
        removed
    }
}

impl Sweep {
    /// Whether it is a name that a runner gave, and none that is gone on with.
    fn takes(&self, name: &str) -> bool {
        is_temporary(name) && !self.kept.contains(name)
    }

    fn remove(&self, folder: &OwnedFd, name: &str) -> bool {
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { return false };
        if version::mtime(&stat) >= self.before {
            return false;
        }
        match version::kind(&stat) {
            EntryType::File => unlinkat(folder, name, AtFlags::empty()).is_ok(),
            EntryType::Dir => remove_folder(folder, name).is_ok(),
            EntryType::Symlink | EntryType::Other => false, // none of a runner's
        }
    }
}

fn is_folder(folder: &OwnedFd, name: &str, kind: FileType) -> bool {
    match kind {
        FileType::Directory => true,
        // Some file systems don't say.
        FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| version::kind(&stat) == EntryType::Dir),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, create_dir_all, write},
        os::unix::fs::symlink,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;

    #[test]
    fn only_what_is_old_and_nobody_goes_on_with_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join("work").join(path);
        let temporary = |digit: &str| format!(".staithe-{}.tmp", digit.repeat(32));
        let age = |path: &std::path::Path| {
            File::open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1000)).unwrap();
        };
        let [old, kept, young] = ["1", "2", "3"].map(temporary);
        create_dir_all(at(&format!("a/b/{old}/tree/x"))).unwrap();
        write(at(&format!("a/b/{old}/archive")), "an archive").unwrap();
        age(&at(&format!("a/b/{old}")));
        for path in
            [old.clone(), format!("a/{kept}"), format!("../{old}"), "a/.staithe-1.tmp".into()]
        {
            write(at(&path), "content").unwrap();
            age(&at(&path));
        }
        write(at(&young), "content").unwrap();
        symlink("..", at("a/link")).unwrap();
        symlink("../..", at("a/out")).unwrap();
        let files = Files::open(&at("")).unwrap();
        let sweep = Sweep { before: 2000.0, kept: HashSet::from([kept.clone()]) };
        assert_eq!((files.sweep(&sweep), files.sweep(&sweep)), (2, 0));
        assert!(!at(&old).exists() && !at(&format!("a/b/{old}")).exists());
        for path in [format!("a/{kept}"), young, format!("../{old}"), "a/.staithe-1.tmp".into()] {
            assert!(at(&path).exists(), "{path}");
        }
    }
}
