//! Small files of the data directory that hold secrets: written whole, and put in place at once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Puts a file in place, readable by its owner alone. After a crash there is the old one or the new one, whole; two
/// programs that write it at once don't write into each other's.
pub fn put(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!("{name}.{}", uuid::Uuid::new_v4().as_simple()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, dir.join(name))
    };
    if let Err(error) = write() {
        drop(fs::remove_file(&draft));
        return Err(error);
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_its_owners_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "a.json", b"one").unwrap();
        put(dir.path(), "a.json", b"two").unwrap();
        assert!(put(dir.path(), "no/such", b"x").is_err());
        let path = dir.path().join("a.json");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
