//! Folders that are exchanged for symlinks as fast as they can be, while everything is done in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use staithe_protocol::files::{FileCode, FileDenied, FileOp};

use super::{
    Format,
    pack::Pack,
    unpack::{Limits, OnConflict, Unpacking},
};
use crate::{
    files::{Files, Precondition, Way, ignore::Ignore},
    http::pour::Sink as _,
};

/// How often each thing is done, by each of two threads.
const ROUNDS: usize = 800;
const SECRET: &str = "what nobody may read";

/// All that lies in a folder: contents, and when it was changed.
fn all_of(dir: &Path, found: &mut BTreeMap<PathBuf, (String, std::time::SystemTime)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let changed = std::fs::symlink_metadata(&path).unwrap().modified().unwrap();
        let content = std::fs::read_to_string(&path).unwrap_or_default();
        if path.is_dir() {
            all_of(&path, found);
        }
        found.insert(path, (content, changed));
    }
}

fn op(value: serde_json::Value) -> FileOp {
    serde_json::from_value(value).unwrap()
}

/// A folder as a tar archive.
fn packed(files: &Files, path: &str) -> Result<Vec<u8>, FileDenied> {
    let folder = files.root().open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut pack = Pack::begin(folder, Ignore::new(&[]).unwrap(), Format::Tar).unwrap();
    let mut all = Vec::new();
    while let Some(piece) = pack.next().unwrap() {
        all.extend(piece);
    }
    Ok(all)
}

fn tar_of_one(name: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, &b"in"[..]).unwrap();
    archive.into_inner().unwrap()
}

/// One thing that a client may ask for; what was read by it.
fn ask(files: &Files, round: usize, thread: usize) -> Result<Vec<u8>, FileDenied> {
    let own = format!("{thread}-{round}");
    let json = |value| {
        files.carry_out(op(value)).map(|done| {
            let entries = done.entries.unwrap_or_default();
            let names = entries.into_iter().map(|entry| entry.path).collect::<String>();
            (done.content.unwrap_or_default() + &names).into_bytes()
        })
    };
    match round % 13 {
        0 | 1 => json(serde_json::json!({ "op": "read", "path": "d/f" })),
        2 => json(serde_json::json!({ "op": "list", "path": "p", "depth": 9, "versions": true })),
        3 => json(
            serde_json::json!({ "op": "write", "path": "d/f", "content": "inside", "force": true }),
        ),
        4 => json(
            serde_json::json!({ "op": "create", "path": format!("p/q/{own}/new"), "content": "x", "create_parents": true }),
        ),
        5 => json(
            serde_json::json!({ "op": "delete", "path": "t/u", "recursive": true, "force": true }),
        ),
        6 => {
            json(serde_json::json!({ "op": "mkdir", "path": format!("d/{own}"), "parents": true }))
        }
        7 => json(
            serde_json::json!({ "op": "rename", "path": "d/f", "to": "p/q/f", "overwrite": true }),
        ),
        8 => json(
            serde_json::json!({ "op": "delete", "path": "p", "recursive": true, "force": true }),
        ),
        9 => packed(files, ["d", "p", "t", ""][round / 13 % 4]),
        10 => {
            let mut unpacking =
                Unpacking::begin(files, ["d/sub", "t/u/sub", "p/q"][round / 13 % 3])?;
            unpacking.write(&tar_of_one("deep/g")).unwrap();
            let limits = Limits::default();
            unpacking.finish(files, Format::Tar, limits, OnConflict::Overwrite).map(|_| vec![])
        }
        11 => {
            let mut upload = files.begin_upload("p/q/f", true)?;
            upload.write(b"inside").unwrap();
            let path = upload.path().to_owned();
            let kept = upload.keep().unwrap();
            let mut upload = files.resume_upload(&path, &kept)?;
            upload.write(b" and on")?;
            files.finish_upload(&mut upload, &Precondition::Force, None).map(|_| vec![])
        }
        _ => {
            json(serde_json::json!({ "op": "patch", "path": "d/f", "if_match": "x", "edits": [] }))
        }
    }
}

/// Exchanges two paths until told to stop; makes them where they are missing.
fn exchange(work: &Path, real: &str, link: &str, target: &str, stop: &AtomicBool) -> u64 {
    let (real, link) = (work.join(real), work.join(link));
    let mut exchanged = 0;
    while !stop.load(Ordering::Relaxed) {
        if renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).is_ok() {
            exchanged += 1;
            continue;
        }
        // Somebody deleted one of them.
        for folder in [&real, &link] {
            drop(std::fs::create_dir_all(folder.parent().unwrap()));
        }
        drop(std::os::unix::fs::symlink(target, &link));
        if std::fs::create_dir(&real).is_ok() {
            drop(std::fs::write(real.join("f"), "inside"));
            drop(std::fs::create_dir(real.join("sub")));
            drop(std::fs::write(real.join("sub/g"), "inside"));
        }
    }
    exchanged
}

fn nothing_outside_is_touched(way: Way) {
    let dir = tempfile::tempdir().unwrap();
    let (work, outside) = (dir.path().join("work"), dir.path().join("outside"));
    std::fs::create_dir(&work).unwrap();
    std::fs::create_dir_all(outside.join("sub/deep")).unwrap();
    for file in ["f", "sub/g", "sub/deep/g"] {
        std::fs::write(outside.join(file), SECRET).unwrap();
    }
    let mut before = BTreeMap::new();
    all_of(dir.path().join("outside").as_path(), &mut before);
    let files = Files::open_in_way(&work, way).unwrap();
    let stop = AtomicBool::new(false);
    let (done, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let codes = std::sync::Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        let absolute = outside.to_str().unwrap();
        let swappers = [
            scope.spawn(|| exchange(&work, "d", "evil", "../outside", &stop)),
            scope.spawn(|| exchange(&work, "p/q", "p/r", "../../outside", &stop)),
            scope.spawn(|| exchange(&work, "t/u/sub", "t/u/evil", absolute, &stop)),
        ];
        let askers: Vec<_> = (0..2)
            .map(|thread| {
                let (files, done, refused, codes) = (&files, &done, &refused, &codes);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        match ask(files, round, thread) {
                            Ok(read) => {
                                let read = String::from_utf8_lossy(&read);
                                assert!(!read.contains(SECRET), "round {round}");
                                done.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(denied) => {
                                codes.lock().unwrap().insert(denied.code.as_str());
                                assert_ne!(denied.code, FileCode::Internal, "{denied:?}");
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                })
            })
            .collect();
        let asked: Vec<_> = askers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        for asked in asked {
            asked.unwrap();
        }
        for swapper in swappers {
            assert!(swapper.join().unwrap() > 0, "it did exchange");
        }
    });
    let (done, refused) = (done.into_inner(), refused.into_inner());
    let codes = codes.into_inner().unwrap();
    assert!(done > 100 && refused > 100, "{done} done, {refused} refused: {codes:?}");
    assert!(codes.contains("OUTSIDE_WORKSPACE"), "{codes:?}");
    let mut after = BTreeMap::new();
    all_of(&outside, &mut after);
    assert_eq!(after, before, "nothing outside was changed");
}

#[test]
fn exchanging_folders_for_links_lets_nothing_out_where_the_kernel_watches() {
    nothing_outside_is_touched(Way::Kernel);
}

#[test]
fn exchanging_folders_for_links_lets_nothing_out_where_paths_are_walked() {
    nothing_outside_is_touched(Way::Walk);
}
