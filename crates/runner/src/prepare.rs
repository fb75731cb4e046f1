//! Before anything untrusted runs: the folders, the sockets, and the step from root to the session's
//! user, which is for good.
//!
//! Root in a container may be weaker than it looks: without capabilities over files it can't even
//! write where the user can. So what root can't do is tried again as the user.

use std::{
    fs::{self, DirBuilder},
    io::Read as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{Access, AtFlags, CWD, Mode, OFlags, access, chownat, fstat, open},
    process::{DumpableBehavior, Gid, Uid, getegid, geteuid, set_dumpable_behavior, umask},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid, set_thread_uid,
    },
};

use crate::{
    account::{Account, Entry, find_entry, resolve},
    cli::Serve,
    fault::Fault,
    listen::{self, Listeners},
};

/// Most bytes of `/etc/passwd` and `/etc/group` that are read: they are the image's.
const MOST_ACCOUNTS: u64 = 4 * 1024 * 1024;
/// What the files have that all users of the sandbox may see, until shells start.
const OURS: Mode = Mode::from_raw_mode(0o022);

/// What is ready.
pub struct Prepared {
    pub listeners: Listeners,
    /// The line of `/etc/passwd` of the user that this program is now.
    pub entry: Option<Entry>,
    /// It was another one before.
    pub became: bool,
}

/// Prepares everything. To be called while this process has one thread: the kernel keeps users per
/// thread, and a thread inherits its maker's.
pub fn prepare(told: &Serve) -> Result<Prepared, Fault> {
    hide()?;
    umask(OURS);
    let passwd = read_accounts("/etc/passwd");
    let mut early = Listeners::default();
    let account = account(told, &passwd)?;
    if let Some(account) = &account {
        drop(make_folders(told)); // tried again below
        early = listen::bind_early(told, account);
        give_folders(told, account);
        become_user(account)?;
        // The kernel opened this process up again when its user changed.
        hide()?;
    }
    make_folders(told)?;
    let listeners = listen::bind(told, early)?;
    umask(Mode::from_raw_mode(0o002));
    let became = account.is_some();
    let entry = match account {
        Some(account) => account.entry,
        None => find_entry(&passwd, |entry| entry.uid == geteuid().as_raw()),
    };
    Ok(Prepared { listeners, entry, became })
}

/// No program in the sandbox may look into this process, where the key is.
pub fn hide() -> Result<(), Fault> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| Fault::os("can't hide from other programs", errno))
}

/// Whom to become; none if this program is that user, or none is told.
fn account(told: &Serve, passwd: &str) -> Result<Option<Account>, Fault> {
    let Some(spec) = &told.user else { return Ok(None) };
    let account = resolve(spec, passwd, &read_accounts("/etc/group"))
        .map_err(|unknown| Fault::config(format!("--user {spec:?}: {unknown}")))?;
    if geteuid().is_root() {
        return Ok(Some(account));
    }
    let same_group = !spec.contains(':') || getegid().as_raw() == account.gid;
    if geteuid().as_raw() == account.uid && same_group {
        return Ok(None);
    }
    Err(Fault::config(format!("--user {spec:?}: only root can become another user")))
}

/// The text of an image's file, as far as it is one.
fn read_accounts(path: &str) -> String {
    // A pipe that nobody writes to must not hold us up.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    if let Ok(file) = open(path, flags, Mode::empty()) {
        // What was read before an error is as good as it gets.
        drop(fs::File::from(file).take(MOST_ACCOUNTS).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes what is missing; the folder for outputs is nobody else's business.
fn make_folders(told: &Serve) -> Result<(), Fault> {
    let state = make_folder(&told.state_dir, 0o700)?;
    let workspace = make_folder(&told.workspace, 0o755)?;
    if let Some(dir) = &told.socket_dir {
        make_folder(dir, 0o755)?;
    }
    if access(state, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let text = format!("the state folder {} can't be written to", told.state_dir.display());
        return Err(Fault::config(text));
    }
    if access(workspace, Access::READ_OK | Access::EXEC_OK).is_err() {
        let text = format!("the workspace {} can't be read", told.workspace.display());
        return Err(Fault::config(text));
    }
    Ok(())
}

fn make_folder(dir: &Path, mode: u32) -> Result<&Path, Fault> {
    if dir.is_dir() {
        return Ok(dir);
    }
    let parents = match dir.parent() {
        Some(parent) => fs::create_dir_all(parent),
        None => Ok(()),
    };
    parents.and_then(|()| DirBuilder::new().mode(mode).create(dir)).map_err(|error| {
        Fault::config(format!("the folder {} can't be made: {error}", dir.display()))
    })?;
    Ok(dir)
}

/// Gives the user what must be its own. Where that fails the user finds out, and says so.
fn give_folders(told: &Serve, account: &Account) {
    let (uid, gid) = ids(account);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The image could have put a link there, to a folder that is not ours to give.
    if let Ok(state) = open(&told.state_dir, flags | OFlags::NOFOLLOW, Mode::empty())
        && fstat(&state).is_ok_and(|stat| stat.st_uid != account.uid)
    {
        chownat(&state, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH).ok();
    }
    if is_new(&told.workspace) {
        chownat(CWD, &told.workspace, Some(uid), Some(gid), AtFlags::empty()).ok();
    }
}

/// Whether this is a folder that nobody has used: root's, and empty.
fn is_new(workspace: &Path) -> bool {
    let is_roots = fs::metadata(workspace).is_ok_and(|meta| meta.uid() == 0);
    // A volume's own folder is no use of it.
    let mut entries = fs::read_dir(workspace).into_iter().flatten().flatten();
    is_roots
        && fs::read_dir(workspace).is_ok()
        && entries.all(|entry| entry.file_name() == "lost+found")
}

/// The user's and the group's numbers, as the kernel's interface wants them.
pub fn ids(account: &Account) -> (Uid, Gid) {
    (Uid::from_raw(account.uid), Gid::from_raw(account.gid))
}

/// Becomes the user and gives up all capabilities.
fn become_user(account: &Account) -> Result<(), Fault> {
    let (uid, gid) = ids(account);
    let refused = |what: &'static str| {
        move |errno: rustix::io::Errno| Fault::os(format!("can't become the user: {what}"), errno)
    };
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups).map_err(refused("setgroups"))?;
    set_thread_res_gid(gid, gid, gid).map_err(refused("setgid"))?;
    if uid.is_root() {
        return Ok(()); // it was wanted so
    }
    set_thread_res_uid(uid, uid, uid).map_err(refused("setuid"))?;
    // They are gone with root, unless somebody set the bits that keep them.
    clear_ambient_capability_set().map_err(refused("capabilities"))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(refused("capabilities"))?;
    if set_thread_uid(Uid::ROOT).is_ok() {
        return Err(Fault::os("can't become the user", std::io::Error::other("root comes back")));
    }
    Ok(())
}
