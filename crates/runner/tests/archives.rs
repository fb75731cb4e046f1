//! Folders as archives, both ways.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use common::{KEY, Runner, eventually};
use hyper::Method;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use staithe_protocol::runner::KEY_HEADER;
use tar::{EntryType, Header};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

async fn pack(runner: &Runner, query: &str) -> (u16, Vec<u8>) {
    let path = format!("/archive?{query}");
    let (status, _, body) = runner.http(Method::GET, &path, &[(KEY_HEADER, KEY)], "").await;
    (status.as_u16(), body.to_vec())
}

async fn unpack(runner: &Runner, query: &str, archive: Vec<u8>) -> (u16, Value) {
    let path = format!("/archive?{query}");
    let (status, _, body) = runner.http(Method::PUT, &path, &[(KEY_HEADER, KEY)], archive).await;
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// What lies in a folder: kind, mode, time and content of each path.
fn all_of(dir: &Path) -> BTreeMap<String, (char, u32, i64, Vec<u8>)> {
    fn walk(dir: &Path, prefix: &str, found: &mut BTreeMap<String, (char, u32, i64, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                walk(&path, &format!("{name}/"), found);
                found.insert(name, ('d', meta.mode() & 0o777, 0, vec![]));
            } else if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(name, ('l', 0, 0, target.into_os_string().into_encoded_bytes()));
            } else {
                let content = std::fs::read(&path).unwrap();
                // A zip's times are of two seconds.
                found.insert(name, ('f', meta.mode() & 0o777, meta.mtime() / 2, content));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, "", &mut found);
    found
}

/// A folder with all kinds of things.
fn fill(dir: &Path) {
    std::fs::create_dir_all(dir.join("a/empty")).unwrap();
    std::fs::create_dir_all(dir.join("node_modules/x")).unwrap();
    std::fs::write(dir.join("node_modules/x/y"), "y").unwrap();
    std::fs::write(dir.join("a/ä b"), "text").unwrap();
    std::fs::write(dir.join("a/run"), "#!").unwrap();
    std::fs::set_permissions(dir.join("a/run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(dir.join("a/none"), "").unwrap();
    let big: Vec<u8> =
        (0..3_000_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 7 == 0)]).collect();
    std::fs::write(dir.join("big"), big).unwrap();
    let deep = format!("{}/{}", "n".repeat(90), "m".repeat(200));
    std::fs::create_dir_all(dir.join(&deep)).unwrap();
    std::fs::write(dir.join(&deep).join("f"), "deep").unwrap();
    symlink("../big", dir.join("a/link")).unwrap();
    symlink(format!("{deep}/f"), dir.join("long link")).unwrap();
}

#[tokio::test]
async fn a_folder_goes_out_and_comes_back_in_every_form() {
    let runner = Runner::start().await;
    let dir = runner.workspace().join("d");
    fill(&dir);
    let before = all_of(&dir);
    for format in ["zip", "tar", "tar.zst"] {
        let (status, archive) = pack(&runner, &format!("path=d&format={format}")).await;
        assert_eq!(status, 200);
        let (_, again) = pack(&runner, &format!("path=d&format={format}")).await;
        assert!(archive == again, "{format}: the same archive twice");
        let (status, told) =
            unpack(&runner, &format!("path=back/{format}&format={format}"), archive).await;
        assert_eq!((status, &told["entries"]), (200, &json!(before.len())), "{told}");
        let after = all_of(&runner.workspace().join("back").join(format));
        assert_eq!(after, before, "{format}");
        let (_, some) =
            pack(&runner, &format!("path=d&format={format}&ignore=node_modules%2F&ignore=big"))
                .await;
        unpack(&runner, &format!("path=some/{format}&format={format}"), some).await;
        let some = all_of(&runner.workspace().join("some").join(format));
        let wanted: BTreeMap<_, _> = before
            .clone()
            .into_iter()
            .filter(|(path, _)| !path.starts_with("node_modules") && path != "big")
            .collect();
        assert_eq!(some, wanted, "{format}");
    }
    let (status, _) = pack(&runner, "path=none&format=zip").await;
    assert_eq!(status, 404);
    let (status, _) = pack(&runner, "path=d&format=rar").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn other_programs_read_what_is_packed_and_what_is_not_is_told() {
    let runner = Runner::start().await;
    std::fs::write(runner.workspace().join("f"), "content").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        runner.workspace().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let (_, zip) = pack(&runner, "format=zip").await;
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut told = String::new();
    zip.by_name(".staithe-left-out.txt").unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "\"pipe\": it is a socket, a pipe or a device\n");
    let mut content = String::new();
    zip.by_name("f").unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    let (_, tar) = pack(&runner, "format=tar").await;
    let listed = std::process::Command::new("tar")
        .arg("-t")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut listed = listed.unwrap();
    listed.stdin.take().unwrap().write_all(&tar).unwrap();
    let listed = String::from_utf8(listed.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(listed, "f\n.staithe-left-out.txt\n");
}

/// A tar archive of entries as they are written, whatever they say.
fn tar_of(entries: &[(EntryType, &str, &str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, path, link, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o4755);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

#[tokio::test]
async fn an_archive_that_leaves_or_lies_is_refused_whole() {
    const FILE: EntryType = EntryType::Regular;
    let runner = Runner::start().await;
    let outside = runner.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, runner.workspace().join("there")).unwrap();
    let good = (FILE, "good", "", &b"good"[..]);
    let absolute = outside.join("f");
    for (entry, code) in [
        ((FILE, "../outside/f", "", &b"x"[..]), "OUTSIDE_WORKSPACE"),
        ((FILE, "a/../../outside/f", "", b"x"), "OUTSIDE_WORKSPACE"),
        ((FILE, absolute.to_str().unwrap(), "", b"x"), "OUTSIDE_WORKSPACE"),
        ((EntryType::Symlink, "l", "../outside", b""), "OUTSIDE_WORKSPACE"),
        ((EntryType::Symlink, "l", "/etc", b""), "OUTSIDE_WORKSPACE"),
        ((EntryType::Link, "l", "../outside/f", b""), "OUTSIDE_WORKSPACE"),
        ((EntryType::Link, "l", "none", b""), "BAD_MESSAGE"),
        ((FILE, "good", "", b"again"), "BAD_MESSAGE"),
        ((FILE, "good/below", "", b"x"), "BAD_MESSAGE"),
        ((EntryType::Fifo, "p", "", b""), "BAD_MESSAGE"),
        ((EntryType::Char, "c", "", b""), "BAD_MESSAGE"),
        ((EntryType::Block, "b", "", b""), "BAD_MESSAGE"),
        ((EntryType::GNUSparse, "s", "", b""), "BAD_MESSAGE"),
    ] {
        for compressed in [false, true] {
            let tar = tar_of(&[good, entry]);
            let (format, body) = if compressed {
                ("tar.zst", compress_to_vec(tar.as_slice(), CompressionLevel::Fastest))
            } else {
                ("tar", tar)
            };
            let (_, told) = unpack(&runner, &format!("path=new&format={format}"), body).await;
            assert_eq!(told["code"], code, "{} {}: {told}", entry.1, entry.2);
        }
    }
    // Through a link in the archive, and through one that is there.
    let through = tar_of(&[
        (EntryType::Symlink, "l", "d", b""),
        (EntryType::Directory, "d", "", b""),
        (FILE, "l/f", "", b"x"),
    ]);
    assert_eq!(unpack(&runner, "path=new&format=tar", through).await.1["code"], "BAD_MESSAGE");
    // A link that stays inside where it lies, and would leave from where its other name is.
    let other_name = tar_of(&[
        (EntryType::Symlink, "a/b/c/l", "../../../outside", b""),
        (EntryType::Link, "l", "a/b/c/l", b""),
    ]);
    assert_eq!(unpack(&runner, "path=new&format=tar", other_name).await.1["code"], "BAD_MESSAGE");
    for path in ["there", "there/new", "../outside"] {
        let (_, told) = unpack(
            &runner,
            &format!("path={path}&format=tar&on_conflict=overwrite"),
            tar_of(&[good]),
        )
        .await;
        let code = told["code"].as_str().unwrap();
        assert!(
            ["OUTSIDE_WORKSPACE", "NOT_DIRECTORY", "BAD_MESSAGE"].contains(&code),
            "{path}: {told}"
        );
    }
    for (format, junk) in
        [("tar", &b"junk that is no archive"[..]), ("tar.zst", b"junk"), ("zip", b"junk")]
    {
        let (_, told) = unpack(&runner, &format!("path=new&format={format}"), junk.to_vec()).await;
        assert_eq!(told["code"], "BAD_MESSAGE", "{format}: {told}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let left: Vec<_> = all_of(&runner.workspace()).into_keys().collect();
    assert_eq!(left, ["there"], "nothing was left over");
}

/// Threads of the runner for what takes long.
fn long_threads(runner: &Runner) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", runner.pid())).unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "long").count()
}

#[tokio::test]
async fn archives_are_unpacked_where_they_hold_no_thread_of_other_files() {
    let runner = Runner::start().await;
    let names: Vec<String> = (0..3_000).map(|number| format!("f{number}")).collect();
    let entries: Vec<_> =
        names.iter().map(|name| (EntryType::Regular, name.as_str(), "", &b"x"[..])).collect();
    let tar = tar_of(&entries);
    let unpackings = (0..6).map(|number| {
        let (runner, tar) = (&runner, tar.clone());
        async move { unpack(runner, &format!("path=d{number}&format=tar"), tar).await }
    });
    let seen = eventually("one is unpacked", async || {
        Some(long_threads(&runner)).filter(|threads| *threads > 0)
    });
    let (told, seen) =
        futures_util::future::join(futures_util::future::join_all(unpackings), seen).await;
    assert!(seen <= 3, "{seen}");
    for (status, told) in told {
        assert_eq!((status, &told["entries"]), (200, &json!(3_000)), "{told}");
    }
    eventually("they rest", async || (long_threads(&runner) == 0).then_some(())).await;
}

fn zip_of(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, mode, content) in entries {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*path, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn what_is_larger_than_allowed_is_refused_before_it_is_there() {
    let runner = Runner::start().await;
    let zeros = vec![0; 40 * 1024 * 1024];
    let zip = zip_of(&[("bomb", 0o644, &zeros)]);
    let tar = tar_of(&[(EntryType::Regular, "bomb", "", &zeros)]);
    let zst = compress_to_vec(tar.as_slice(), CompressionLevel::Fastest);
    let many: Vec<String> = (0..30).map(|n| format!("f{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), 0o644, &b""[..])).collect();
    for (format, archive, limit, words) in [
        ("zip", &zip, "max_ratio=100", "100 times its size"),
        ("tar.zst", &zst, "max_ratio=100", "100 times its size"),
        ("zip", &zip, "max_bytes=1000000", "1000000 bytes"),
        ("tar", &tar, "max_bytes=1000000", "1000000 bytes"),
        ("zip", &zip_of(&many), "max_entries=29", "29 entries"),
    ] {
        let query = format!("path=d&format={format}&{limit}");
        let (status, told) = unpack(&runner, &query, archive.clone()).await;
        assert_eq!((status, &told["code"]), (413, &json!("TOO_LARGE")), "{format} {limit}: {told}");
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    }
    assert!(all_of(&runner.workspace()).is_empty(), "nothing was left over");
    let (status, told) =
        unpack(&runner, "path=d&format=tar&max_ratio=100&max_entries=1", tar).await;
    assert_eq!((status, &told["bytes"]), (200, &json!(zeros.len())), "{told}");
}

#[tokio::test]
async fn what_is_there_stays_gives_way_or_stops_it_all() {
    let runner = Runner::start().await;
    let dir = runner.workspace().join("d");
    let archive = tar_of(&[
        (EntryType::Directory, "s/", "", b""),
        (EntryType::Regular, "s/new", "", b"new"),
        (EntryType::Regular, "s/old", "", b"theirs"),
    ]);
    let reset = || {
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(dir.join("s")).unwrap();
        std::fs::write(dir.join("s/old"), "ours").unwrap();
    };
    let content = |name: &str| std::fs::read_to_string(dir.join("s").join(name)).ok();
    for (on_conflict, status, old, new) in [
        ("fail", 409, "ours", None),
        ("skip", 200, "ours", Some("new".to_owned())),
        ("overwrite", 200, "theirs", Some("new".to_owned())),
    ] {
        reset();
        let query = format!("path=d&format=tar&on_conflict={on_conflict}");
        let (told_status, told) = unpack(&runner, &query, archive.clone()).await;
        assert_eq!(told_status, status, "{told}");
        assert_eq!((content("old").as_deref(), content("new")), (Some(old), new));
        if on_conflict == "skip" {
            assert_eq!(told["skipped"], 1);
        }
    }
    assert_eq!(
        std::fs::metadata(dir.join("s/new")).unwrap().mode() & 0o7777,
        0o755,
        "no owner's rights"
    );
    reset();
    std::fs::remove_dir_all(dir.join("s")).unwrap();
    std::fs::write(dir.join("s"), "a file").unwrap();
    let (_, told) =
        unpack(&runner, "path=d&format=tar&on_conflict=overwrite", archive.clone()).await;
    assert_eq!(told["code"], "NOT_DIRECTORY");
    // Into the workspace itself.
    let (status, _) = unpack(&runner, "format=tar&on_conflict=fail", archive).await;
    assert_eq!(status, 200);
    let mut left: Vec<_> =
        std::fs::read_dir(runner.workspace()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["d", "s"]);
}
