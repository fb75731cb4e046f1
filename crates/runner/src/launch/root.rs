//! The root of a sandbox: an empty tree into which the host's programs are bound, read-only.
//!
//! Two turns of `pivot_root`: the first makes a scratch tree the root and leaves the host's below it,
//! as the source of every bind; the second leaves both behind.

use std::{
    ffi::CString,
    fs, io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use rustix::{
    mount::{self, MountFlags, MountPropagationFlags, UnmountFlags},
    process,
};

use super::{At, LaunchFailed, Spec, etc, fence::PROGRAMS};

/// The workspace, in the sandbox.
pub(super) const WORKSPACE: &str = "/workspace";
/// The directory shared with the server, in the sandbox.
pub(super) const RUN_DIR: &str = "/run/staithe";
/// The runner, in the sandbox. A bind of its own, never a file of the host's tree: through
/// `/proc/1/exe` a sandbox of root could write that one.
pub(super) const RUNNER: &str = "/run/staithe-runner";

/// The host's root after the first turn.
const OLD: &str = "/old";
/// The sandbox's root until the second.
const NEW: &str = "/new";

/// First version of Linux whose `pid_max` belongs to the PID namespace. On older ones it is the
/// machine's.
const OWN_PID_MAX: (u32, u32) = (6, 14);
/// The least that Linux takes there.
const LEAST_PID_MAX: u64 = 301;

/// Shown, but not for writing: as the host's root one could change the machine here.
const PROC_READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];
/// Not shown: the machine's insides, and keys that no namespace keeps apart.
const PROC_HIDDEN: &[&str] = &[
    "acpi",
    "asound",
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "scsi",
    "sched_debug",
    "timer_list",
];

/// A tree under construction: what is mounted where, and how it is sealed in the end.
struct Tree {
    seals: Vec<(PathBuf, MountFlags)>,
}

/// Builds it and makes it the root of this process. Whether the number of processes is limited.
pub(super) fn build(spec: &Spec, runner: &Path) -> Result<bool, LaunchFailed> {
    mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .at("keep mounts apart from the host's")?;
    let plan = Plan::of(spec, runner)?;
    mount_tmpfs(&spec.run_dir, "mode=0700,size=64k").at("mount a scratch tree")?;
    make_dir(&inside(&spec.run_dir, OLD)).at("make the scratch tree")?;
    make_dir(&inside(&spec.run_dir, NEW)).at("make the scratch tree")?;
    process::pivot_root(&spec.run_dir, inside(&spec.run_dir, OLD)).at("leave the host's root")?;
    process::chdir("/").at("leave the host's root")?;

    mount_tmpfs(Path::new(NEW), "mode=0755,size=1m").at("mount the root")?;
    let mut tree = Tree { seals: vec![(NEW.into(), MountFlags::RDONLY | MountFlags::NODEV)] };
    tree.etc(&plan)?;
    tree.own(spec, &plan)?;
    tree.devices(spec)?;
    let limited = tree.proc(spec)?;
    // Last, since from here on a file made in the wrong place would be made on the host.
    tree.programs(&plan)?;
    tree.seal().at("seal the mounts")?;

    process::chdir(NEW).at("enter the new root")?;
    process::pivot_root(".", ".").at("enter the new root")?;
    mount::unmount(".", UnmountFlags::DETACH).at("leave the host behind")?;
    process::chdir("/").at("enter the new root")?;
    Ok(limited)
}

/// Every source, resolved while the host's names still hold.
struct Plan {
    /// Links at the root such as `bin`, and where they lead.
    links: Vec<(PathBuf, PathBuf)>,
    /// Readable trees and files, with their place.
    readable: Vec<(PathBuf, PathBuf)>,
    /// What of `/etc` is shown, with its place.
    etc: Vec<(PathBuf, PathBuf)>,
    hidden: Vec<PathBuf>,
    workspace: PathBuf,
    run_dir: PathBuf,
    runner: PathBuf,
}

impl Plan {
    fn of(spec: &Spec, runner: &Path) -> Result<Self, LaunchFailed> {
        let resolve = |path: &Path| fs::canonicalize(path).at(format!("find {}", path.display()));
        let known = |path: PathBuf| fs::canonicalize(&path).ok().map(|source| (source, path));
        let (mut links, mut readable) = (Vec::new(), Vec::new());
        for path in PROGRAMS.iter().map(PathBuf::from) {
            match fs::read_link(&path) {
                Ok(target) => links.push((target, path)),
                Err(_) => readable.extend(known(path)),
            }
        }
        for path in &spec.read_only_paths {
            readable.push((resolve(path)?, path.clone()));
        }
        Ok(Self {
            links,
            readable,
            etc: etc::harmless().into_iter().filter_map(known).collect(),
            hidden: spec.hidden_paths.iter().filter_map(|p| fs::canonicalize(p).ok()).collect(),
            workspace: resolve(&spec.workspace)?,
            run_dir: resolve(&spec.run_dir)?,
            runner: resolve(runner)?,
        })
    }
}

impl Tree {
    /// The host's programs, with what must not be seen among them covered.
    fn programs(&mut self, plan: &Plan) -> Result<(), LaunchFailed> {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        for (target, link) in &plan.links {
            symlink(target, inside(Path::new(NEW), link)).at("link the programs")?;
        }
        for (source, place) in &plan.readable {
            self.bind(source, place, flags)?;
            for hidden in plan.hidden.iter().filter_map(|h| h.strip_prefix(source).ok()) {
                let cover = place.join(hidden);
                let cover = cover.strip_prefix("/").unwrap_or(&cover);
                mount_tmpfs(&Path::new(NEW).join(cover), "mode=0000,size=4k")
                    .at(format!("cover {}", cover.display()))?;
            }
        }
        Ok(())
    }

    /// Harmless files of the host's `/etc`, and accounts of its own.
    fn etc(&mut self, plan: &Plan) -> Result<(), LaunchFailed> {
        let flags =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        for (source, place) in &plan.etc {
            // A link into a tree that is bound anyway costs no mount.
            if source.starts_with("/usr") && source != place {
                make_parent(&inside(Path::new(NEW), place)).at("make /etc")?;
                symlink(source, inside(Path::new(NEW), place)).at("make /etc")?;
            } else {
                self.bind(source, place, flags)?;
            }
        }
        let write = |name: &str, text: &str| {
            let path = Path::new(NEW).join("etc").join(name);
            make_parent(&path)?;
            fs::write(path, text)
        };
        write("passwd", etc::PASSWD).at("write the accounts")?;
        write("group", etc::GROUP).at("write the accounts")
    }

    /// What is the sandbox's own: workspace, socket, runner, temporary files.
    fn own(&mut self, spec: &Spec, plan: &Plan) -> Result<(), LaunchFailed> {
        let safe = MountFlags::NOSUID | MountFlags::NODEV;
        self.bind(&plan.workspace, Path::new(WORKSPACE), safe)?;
        self.bind(&plan.run_dir, Path::new(RUN_DIR), safe | MountFlags::NOEXEC)?;
        self.bind(&plan.runner, Path::new(RUNNER), safe | MountFlags::RDONLY)?;
        let tmp = Path::new(NEW).join("tmp");
        self.fresh("tmpfs", &tmp, safe, &format!("mode=1777,size={}", spec.tmpfs_bytes))?;
        for dir in ["home", "var", "mnt", "srv"] {
            make_dir(&Path::new(NEW).join(dir)).at("make the root's directories")?;
        }
        for (target, link) in [("/tmp", "var/tmp"), ("/run", "var/run")] {
            symlink(target, Path::new(NEW).join(link)).at("make the root's directories")?;
        }
        Ok(())
    }

    /// Harmless devices, and terminals of its own.
    fn devices(&mut self, spec: &Spec) -> Result<(), LaunchFailed> {
        let dev = Path::new(NEW).join("dev");
        let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
        let sealed = quiet | MountFlags::RDONLY;
        self.fresh("tmpfs", &dev, quiet, "mode=0755,size=64k")?;
        // Read-only binds: a device can be written all the same, but not its mode on the host.
        for device in ["null", "zero", "full", "random", "urandom", "tty"] {
            self.bind(&Path::new("/dev").join(device), &Path::new("/dev").join(device), sealed)?;
        }
        self.fresh("devpts", &dev.join("pts"), quiet, "newinstance,ptmxmode=0666,mode=0620")?;
        let size = format!("mode=1777,size={}", spec.tmpfs_bytes);
        self.fresh("tmpfs", &dev.join("shm"), quiet | MountFlags::NODEV, &size)?;
        let links = [
            ("pts/ptmx", "ptmx"),
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
        ];
        for (target, link) in links {
            symlink(target, dev.join(link)).at("make /dev")?;
        }
        self.seals.push((dev, sealed));
        Ok(())
    }

    /// The sandbox's own processes. Whether their number is limited.
    fn proc(&mut self, spec: &Spec) -> Result<bool, LaunchFailed> {
        let proc = Path::new(NEW).join("proc");
        let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        self.fresh("proc", &proc, safe, "")?;
        let limit = spec.pids_limit.max(LEAST_PID_MAX);
        let limited = has_own_pid_max()
            && fs::write(proc.join("sys/kernel/pid_max"), limit.to_string()).is_ok();
        for path in PROC_READ_ONLY.iter().map(|name| proc.join(name)).filter(|p| p.exists()) {
            mount::mount_bind(&path, &path).at("protect /proc")?;
            self.seals.push((path, safe | MountFlags::RDONLY));
        }
        for path in PROC_HIDDEN.iter().map(|name| proc.join(name)).filter(|p| p.exists()) {
            if path.is_dir() {
                mount_tmpfs(&path, "mode=0555,size=4k").at("protect /proc")?;
                self.seals.push((path, safe | MountFlags::RDONLY));
            } else {
                mount::mount_bind(Path::new(NEW).join("dev/null"), &path).at("protect /proc")?;
                // Not NODEV: what covers it is a device.
                self.seals.push((path, MountFlags::RDONLY | MountFlags::NOSUID));
            }
        }
        Ok(limited)
    }

    /// Binds a file or tree of the host, with all that is mounted in it.
    fn bind(&mut self, source: &Path, place: &Path, flags: MountFlags) -> Result<(), LaunchFailed> {
        let (from, to) = (inside(Path::new(OLD), source), inside(Path::new(NEW), place));
        let step = || format!("show {} at {}", source.display(), place.display());
        if fs::symlink_metadata(&to).is_err() {
            make_parent(&to).at(step())?;
            if from.is_dir() {
                make_dir(&to).at(step())?;
            } else {
                fs::File::create(&to).map(std::mem::drop).at(step())?;
            }
        }
        mount::mount_bind_recursive(&from, &to).at(step())?;
        self.seals.push((to, flags));
        Ok(())
    }

    /// Mounts a file system of the sandbox's own.
    fn fresh(
        &mut self,
        kind: &str,
        at: &Path,
        flags: MountFlags,
        options: &str,
    ) -> Result<(), LaunchFailed> {
        let step = || format!("mount {kind} at {}", at.display());
        make_dir(at).at(step())?;
        mount_new(kind, at, flags, options).at(step())?;
        self.seals.push((at.to_owned(), flags));
        Ok(())
    }

    /// Gives every mount its flags. A bind takes none when it is made, and what is mounted within it
    /// needs them too; flags that the host set must be kept, or the kernel refuses.
    fn seal(&self) -> io::Result<()> {
        let table = fs::read_to_string(Path::new(OLD).join("proc/self/mountinfo"))?;
        for line in table.lines() {
            let mut fields = line.split(' ').skip(4);
            let point = PathBuf::from(unescape(fields.next().unwrap_or_default()));
            let within = self.seals.iter().filter(|(at, _)| point.starts_with(at));
            let Some((_, wanted)) = within.max_by_key(|(at, _)| at.as_os_str().len()) else {
                continue;
            };
            let flags = *wanted | flags_of(fields.next().unwrap_or_default()) | MountFlags::BIND;
            match mount::mount_remount(&point, flags, c"") {
                // What another mount covers can't be named, nor seen.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// The flags of a mount as the kernel's table says them.
fn flags_of(options: &str) -> MountFlags {
    options.split(',').fold(MountFlags::empty(), |flags, option| {
        flags
            | match option {
                "ro" => MountFlags::RDONLY,
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                "nosymfollow" => MountFlags::NOSYMFOLLOW,
                _ => MountFlags::empty(),
            }
    })
}

/// A path of the kernel's table, where blanks are written as octal numbers.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// Whether `pid_max` is the namespace's own here.
fn has_own_pid_max() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OWN_PID_MAX
}

/// `path`, which is absolute, below `root`.
fn inside(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), make_dir)
}

fn mount_tmpfs(at: &Path, options: &str) -> io::Result<()> {
    mount_new("tmpfs", at, MountFlags::NOSUID | MountFlags::NODEV, options)
}

fn mount_new(kind: &str, at: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(mount::mount(kind, at, kind, flags, options.as_c_str())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_in_a_mount_point_is_read_back() {
        assert_eq!(unescape("/new/a\\040b\\134c"), "/new/a b\\c");
    }

    #[test]
    fn flags_that_the_host_set_are_kept() {
        let flags = flags_of("ro,nosuid,relatime,unknown");
        assert_eq!(flags, MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::RELATIME);
    }
}
