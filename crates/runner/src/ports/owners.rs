//! Whose sockets are whose, as far as the kernel lets us see.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use crate::reap::descendants;

/// Most descriptors that one look goes through: a sandbox full of processes must not cost more.
const MOST_DESCRIPTORS: usize = 100_000;

/// A process and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) program: Option<String>,
}

/// The owners of these sockets, by inode, among the processes of the sandbox. Where several share one, it is
/// the oldest's.
pub(super) fn owners(inodes: &HashSet<u64>) -> HashMap<u64, Owner> {
    let mut pids: Vec<u32> = descendants()
        .into_iter()
        .filter_map(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
        .chain([std::process::id()])
        .collect();
    pids.sort_unstable();
    let mut found = HashMap::new();
    let mut left = MOST_DESCRIPTORS;
    for pid in pids {
        let folder = Path::new("/proc").join(pid.to_string());
        let mut program = None;
        for entry in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
            left = left.saturating_sub(1);
            if left == 0 || found.len() == inodes.len() {
                return found;
            }
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let inode = target.to_str().and_then(|text| {
                text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
            });
            let Some(inode) = inode.filter(|inode| inodes.contains(inode)) else { continue };
            let program = program.get_or_insert_with(|| name(&folder));
            let owner = Owner { pid, program: program.clone() };
            found.entry(inode).or_insert(owner);
        }
    }
    found
}

fn name(folder: &Path) -> Option<String> {
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty()).then_some(name)
}
