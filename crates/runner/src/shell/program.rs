//! Which shell there is, and how it is spoken to.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::{line, posix, scan::Nonces};

/// The names of shells, the best first.
const NAMES: [&str; 4] = ["bash", "sh", "ash", "dash"];
/// Where they are looked for beside the `PATH`.
const USUAL: [&str; 3] = ["/bin", "/usr/bin", "/usr/local/bin"];

/// A shell's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    pub dialect: Dialect,
}

/// How a shell is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Bash,
    /// Any other: dash, the ash of busybox.
    Posix,
}

impl Dialect {
    /// For an interactive shell without start-up files.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["--noprofile", "--norc", "--noediting", "-i"],
            Self::Posix => &["-i"],
        }
    }

    /// First line typed to a new shell.
    pub fn init(self, nonces: &Nonces) -> String {
        match self {
            Self::Bash => line::init(nonces),
            Self::Posix => posix::init(nonces),
        }
    }

    /// Runs the command in `file`.
    pub fn command(self, file: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
        match self {
            Self::Bash => line::command(file, nonces, status, traced),
            Self::Posix => posix::command(file, nonces, status, traced),
        }
    }

    /// The file's text.
    pub fn file(self, command: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
        match self {
            Self::Bash => line::file(command, nonces, status, traced),
            Self::Posix => posix::file(command, nonces, status, traced),
        }
    }

    /// Asks an idle shell how things stand.
    pub fn question(self, nonces: &Nonces) -> String {
        match self {
            Self::Bash => line::question(nonces),
            Self::Posix => posix::question(nonces),
        }
    }

    /// What the shell waits for after it said `end` with these nonces; none if it prompts at once.
    pub fn go_on(self, nonces: &Nonces) -> Option<String> {
        match self {
            Self::Bash => None,
            Self::Posix => Some(posix::go_on(nonces)),
        }
    }

    /// Whether files in this folder can be named in what is typed.
    pub fn takes(self, folder: &str) -> bool {
        match self {
            Self::Bash => folder.len() < line::LONGEST_NAME,
            Self::Posix => line::quote(folder).len() < posix::LONGEST_NAME,
        }
    }
}

/// Where a shell is: as `STAITHE_SHELL` says, in the `PATH`, or in the usual places.
pub fn find(path: &OsStr) -> Option<Program> {
    if let Some(told) = std::env::var_os("STAITHE_SHELL") {
        return Some(PathBuf::from(told)).filter(|shell| is_program(shell)).map(program);
    }
    let dirs: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .chain(USUAL.map(PathBuf::from))
        .collect();
    let all = NAMES.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    all.into_iter().find(|shell| is_program(shell)).map(program)
}

/// Whether this user can run it.
pub fn is_program(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// What it is in truth: `sh` may be a bash, and `bash` a busybox.
fn program(path: PathBuf) -> Program {
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = real.file_name().unwrap_or_default().as_encoded_bytes();
    if name == b"bash" {
        // By the name `sh` it would behave as one.
        return Program { path: real, dialect: Dialect::Bash };
    }
    let is_bash = path.ends_with("bash") && !name.starts_with(b"busybox");
    Program { path, dialect: if is_bash { Dialect::Bash } else { Dialect::Posix } }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        for name in ["bin-bash", "busybox", "real", "plain"] {
            std::fs::write(at(name), "").unwrap();
            let mode = if name == "plain" { 0o644 } else { 0o755 };
            std::fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(at("b")).unwrap();
        std::fs::rename(at("real"), at("b/bash")).unwrap();
        symlink(at("b/bash"), at("sh")).unwrap();
        symlink(at("busybox"), at("bash")).unwrap();
        let posix = Program { path: at("bash"), dialect: Dialect::Posix };
        assert_eq!(program(at("bash")), posix);
        let bash = Program { path: at("b/bash"), dialect: Dialect::Bash };
        assert_eq!(program(at("sh")), bash);
        assert!(!is_program(&at("plain")) && !is_program(&at("none")) && !is_program(&at("b")));
    }
}
