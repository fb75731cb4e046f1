//! Landlock: which paths can be read and which written. With an own root a second wall, without one
//! the only wall there is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::{Spec, etc};

/// The newest version that this was written for; older kernels give what they have.
const NEWEST: ABI = ABI::V9;

/// The host's directories that hold programs, their libraries and nobody's data.
pub(super) const PROGRAMS: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt"];

/// What a path may be used for.
pub(super) struct Fence {
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
}

impl Fence {
    /// Within a root of its own, in the sandbox's names.
    pub(super) fn own_root() -> Self {
        let write = ["/workspace", "/tmp", "/dev", "/run/staithe", "/proc"];
        Self { read: vec!["/".into()], write: write.map(PathBuf::from).into() }
    }

    /// On the host's root, in the host's names.
    pub(super) fn host_root(spec: &Spec, runner: &Path) -> Self {
        let hidden: Vec<PathBuf> =
            spec.hidden_paths.iter().filter_map(|p| fs::canonicalize(p).ok()).collect();
        let mut read = vec![runner.to_owned(), "/proc".into()];
        for path in PROGRAMS.iter().map(PathBuf::from).chain(spec.read_only_paths.iter().cloned()) {
            if let Ok(path) = fs::canonicalize(path) {
                around(&path, &hidden, &mut read);
            }
        }
        read.extend(etc::harmless());
        read.extend(["/etc/passwd", "/etc/group"].map(PathBuf::from));
        let devices = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"];
        let mut write: Vec<PathBuf> = devices.map(|d| Path::new("/dev").join(d)).into();
        write.extend([spec.workspace.clone(), spec.run_dir.clone()]);
        if !hidden.iter().any(|h| h.starts_with("/tmp")) {
            write.push("/tmp".into());
        }
        Self { read, write }
    }

    /// Puts it up around this process and all that come from it. Landlock's version in use, 0 when
    /// this kernel has none.
    pub(super) fn apply(self) -> io::Result<u32> {
        self.restrict().map_err(io::Error::other)
    }

    fn restrict(self) -> Result<u32, RulesetError> {
        let all = AccessFs::from_all(NEWEST);
        let see = AccessFs::from_read(NEWEST);
        let mut ruleset =
            Ruleset::default().handle_access(all)?.scope(Scope::from_all(NEWEST))?.create()?;
        for path in &self.read {
            ruleset = allow(ruleset, path, see)?;
        }
        for path in &self.write {
            ruleset = allow(ruleset, path, all)?;
        }
        let status = ruleset.restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, _) => 0,
            (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi as u32,
            _ => 0,
        })
    }
}

/// Allows `access` at and below a path; one that isn't there needs no rule.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(ruleset) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    ruleset.add_rule(PathBeneath::new(file, access))
}

/// Collects `path`, or as much of it as leaves the hidden paths out: Landlock can only allow.
fn around(path: &Path, hidden: &[PathBuf], found: &mut Vec<PathBuf>) {
    if hidden.iter().any(|h| path.starts_with(h)) {
        return;
    }
    if !hidden.iter().any(|h| h.starts_with(path)) {
        found.push(path.to_owned());
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_symlink()) {
            continue; // a rule on a link is a rule on what it leads to
        }
        around(&entry.path(), hidden, found);
    }
}
