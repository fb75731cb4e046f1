//! What is written beside a Dockerfile, as a tar and as a folder.

mod dockerfiles {
    pub(crate) mod cases;
}

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use dockerfiles::cases::{Case, NASTY, all};
use staithe_image::{
    context::{Context, FolderFailed, assemble},
    inputs::{Download, Plugin, System},
    render::render,
    stages::Stage,
};
use tempfile::tempdir;

fn assembled(case: &Case, ca: &[(String, Vec<u8>)]) -> Context {
    let request = case.request();
    assemble(&request, render(&request).expect("it can be built"), ca)
}

fn vscode() -> Case {
    Case::new("test", "debian:12", System::Apt, &[Plugin::Vscode])
}

fn archive(source: &Path) -> Case {
    vscode().with(|case| {
        case.inputs.vscode = Download {
            version: String::new(),
            source: source.to_str().expect("a plain name").to_owned(),
            checksum: format!("sha256:{}", "0".repeat(64)),
        };
    })
}

fn tar(context: &Context) -> Vec<u8> {
    let mut bytes = Vec::new();
    context.write_tar(&mut bytes).expect("it is written");
    bytes
}

/// Every file below a folder: mode and content.
fn tree(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
            let name = path.strip_prefix(folder).expect("it is below").display().to_string();
            all.insert(name, (mode, fs::read(&path).expect("a file")));
        }
    }
    all
}

#[test]
fn a_context_has_every_file_that_its_dockerfile_copies() {
    for case in all() {
        let context = assembled(&case, &[("a.crt".to_owned(), b"A".to_vec())]);
        let request = case.request();
        for line in render(&request).expect("it can be built").lines() {
            let Some(words) = line.strip_prefix("COPY ") else { continue };
            let words: Vec<&str> = words.split(' ').collect();
            if words[0].starts_with("--from") {
                continue;
            }
            for name in &words[..words.len() - 1] {
                let there = |entry: &String| {
                    entry == name || entry.starts_with(name) && name.ends_with('/')
                };
                assert!(context.entries().keys().any(there), "{}: {name}", case.name);
            }
        }
    }
}

#[test]
fn the_same_request_gives_the_same_tar() {
    let (one, two) = ("one.crt".to_owned(), "two".to_owned());
    let case = vscode().with(|case| case.ca = true);
    let first = assembled(&case, &[(one.clone(), b"1".to_vec()), (two.clone(), b"2".to_vec())]);
    let again = assembled(&case, &[(two, b"2".to_vec()), (one, b"1".to_vec())]);
    assert_eq!(tar(&first), tar(&again));
    let bytes = tar(&first);
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut names = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let about = (header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        assert_eq!(about, (0, 0, 0));
        names.push(entry.path().expect("a name").display().to_string());
    }
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.contains(&"ca/000.crt".to_owned()), "{names:?}");
}

#[test]
fn an_archive_of_this_machine_is_in_the_tar_under_a_name_of_ours() {
    let dir = tempdir().expect("a folder");
    let source = dir.path().join("it's code.tgz");
    fs::write(&source, vec![7; 100_000]).expect("a file");
    let bytes = tar(&assembled(&archive(&source), &[]));
    let mut archive = tar::Archive::new(&bytes[..]);
    let found = archive
        .entries()
        .expect("a tar")
        .map(|entry| entry.expect("an entry"))
        .find(|entry| entry.path().is_ok_and(|path| path == Path::new("archives/vscode.tgz")));
    assert_eq!(found.expect("it is there").size(), 100_000);
}

#[test]
fn an_archive_is_sent_only_with_the_part_that_unpacks_it() {
    for stage in [Stage::System, Stage::Deps, Stage::Final] {
        let case = archive(Path::new("/srv/code.tgz")).with(|case| case.stages = vec![stage]);
        let there = assembled(&case, &[]).entries().contains_key("archives/vscode.tgz");
        assert_eq!(there, stage == Stage::Deps, "{stage:?}");
    }
}

#[test]
fn an_archive_that_is_not_there_is_named_in_the_error() {
    let dir = tempdir().expect("a folder");
    let context = assembled(&archive(&dir.path().join("gone.tgz")), &[]);
    let error = context.write_tar(&mut Vec::new()).expect_err("it is not there");
    assert!(error.to_string().contains("gone.tgz"), "{error}");
}

#[test]
fn a_folder_written_twice_is_the_same_to_the_byte() {
    let (one, two) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let context =
        assembled(&vscode().with(|case| NASTY.clone_into(&mut case.inputs.extra_deps)), &[]);
    context.write_folder(&one.path().join("new/deep")).expect("it is written");
    context.write_folder(two.path()).expect("it is written");
    let first = tree(two.path());
    context.write_folder(two.path()).expect("it is written again");
    assert_eq!(tree(two.path()), first);
    assert_eq!(tree(&one.path().join("new/deep")), first);
    assert_eq!(first["make-vscode"].0, 0o755);
    assert_eq!(first["Dockerfile"].0, 0o644);
}

#[test]
fn what_an_earlier_run_wrote_and_this_one_does_not_is_taken_away() {
    let (dir, other) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let with_ca = vscode().with(|case| case.ca = true);
    let certificates = [("a.crt".to_owned(), b"A".to_vec())];
    assembled(&with_ca, &certificates).write_folder(dir.path()).expect("it is written");
    assert!(dir.path().join("ca/000.crt").exists());
    assembled(&vscode(), &[]).write_folder(dir.path()).expect("it is written");
    assembled(&vscode(), &[]).write_folder(other.path()).expect("it is written");
    assert_eq!(tree(dir.path()), tree(other.path()));
    assert!(!dir.path().join("ca").exists());
}

#[test]
fn an_empty_folder_of_others_stays() {
    let dir = tempdir().expect("a folder");
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    assembled(&vscode(), &[]).write_folder(dir.path()).expect("it is written");
    assembled(&vscode(), &[]).write_folder(dir.path()).expect("it is written");
    assert!(dir.path().join("empty").is_dir());
}

#[test]
fn a_folder_with_other_files_in_it_is_left_as_it_is() {
    let dir = tempdir().expect("a folder");
    fs::create_dir(dir.path().join("src")).expect("a folder");
    fs::write(dir.path().join("src/mine"), "mine").expect("a file");
    let context = assembled(&vscode(), &[]);
    let error = context.write_folder(dir.path()).expect_err("there are other files");
    assert!(
        matches!(error, FolderFailed::Others { ref file, .. } if file == "src/mine"),
        "{error}"
    );
    assert_eq!(tree(dir.path()).len(), 1);

    let dir = tempdir().expect("a folder");
    context.write_folder(dir.path()).expect("it is written");
    fs::write(dir.path().join("mine"), "mine").expect("a file");
    let before = tree(dir.path());
    assert!(context.write_folder(dir.path()).is_err());
    assert_eq!(tree(dir.path()), before);
}

#[test]
fn a_link_in_place_of_a_file_is_not_written_through() {
    let (dir, outside) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let kept = outside.path().join("kept");
    fs::write(&kept, "kept").expect("a file");
    let context = assembled(&vscode(), &[]);
    context.write_folder(dir.path()).expect("it is written");
    fs::remove_file(dir.path().join("lib.sh")).expect("it is there");
    symlink(&kept, dir.path().join("lib.sh")).expect("a link");
    context.write_folder(dir.path()).expect("it is written");
    assert_eq!(fs::read_to_string(&kept).expect("a file"), "kept");
    assert!(!dir.path().join("lib.sh").is_symlink());
}
