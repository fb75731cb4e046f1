//! Giving up: inherited files, capabilities, limits.

use std::{fs, io, os::fd::BorrowedFd};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{self, Resource, Rlimit},
    thread::{self, CapabilitySet, CapabilitySets},
};

use super::{Spec, Tier};

/// Open files that a process in a sandbox may have.
const OPEN_FILES: u64 = 65_536;

/// Every capability there could be, known today or not.
pub(super) fn each_capability() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit))
}

/// Lets no open file but the first three reach the next program.
pub(super) fn close_on_exec() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|n| n.parse::<i32>().ok()).filter(|n| *n > 2)
        else {
            continue;
        };
        #[expect(unsafe_code, reason = "a file that was inherited has no owner in this process")]
        // SAFETY: the kernel has just listed the descriptor, nothing here closes one meanwhile, and
        // the borrow ends with this statement.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl_setfd(file, FdFlags::CLOEXEC)?;
    }
    Ok(())
}

/// Drops all capabilities from every set, for good.
pub(super) fn capabilities() -> io::Result<()> {
    let held = thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in each_capability() {
            // Numbers that the kernel doesn't know are refused: there is nothing to drop then.
            if thread::capability_is_in_bounding_set(capability).unwrap_or(false) {
                thread::remove_capability_from_bounding_set(capability)?;
            }
        }
    }
    thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}

/// Sets the limits that the kernel keeps per process or per user.
pub(super) fn limits(spec: &Spec, tier: Tier) -> io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, OPEN_FILES)?;
    if tier == Tier::Namespaces {
        // Counted per user namespace. Without one it would count all that the server's user runs,
        // and a busy user's sandboxes could run nothing.
        lower(Resource::Nproc, spec.pids_limit)?;
    }
    Ok(())
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let hard = process::getrlimit(resource).maximum.map_or(limit, |now| now.min(limit));
    process::setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) })?;
    Ok(())
}
