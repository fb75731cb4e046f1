//! Opening a data directory: what is taken and what is refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use staithe_protocol::ids::SessionId;
use staithe_store::{Claim, NewClaim, SqliteStore, Store, StoreFailed, sqlite};

use crate::{check_logs, event, open, raw, referenced, row, temp_dir};

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let dir = temp_dir();
    let session = SessionId::generate();
    let record = row(session, "{}");
    let claim = NewClaim {
        scope: "user".to_owned(),
        key: "key".to_owned(),
        digest: [3; 32],
        value: session,
        record: record.clone(),
        now_ms: 0,
    };
    let store = open(dir.path());
    store.claim(claim.clone()).await.expect("it is written");
    store.append(referenced(session, 0)).await.expect("it follows");
    store.shutdown();

    let store = open(dir.path());
    assert_eq!(store.get_session(session).await.expect("it reads"), Some(record));
    assert!(store.find_reference(session, "r0").await.expect("it reads").is_some());
    let existing = Claim::Existing { value: session, digest: [3; 32] };
    assert_eq!(store.claim(claim).await.expect("it reads"), existing);
    let twice = store.append(event(session, 0)).await;
    assert!(matches!(twice, Err(StoreFailed::Diverged { .. })), "{twice:?}");
    store.append(event(session, 1)).await.expect("it follows");
    assert_eq!(check_logs(&store, &[session]).await[&session], 2);
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_released() {
    let dir = temp_dir();
    let first = open(dir.path());
    let refused = SqliteStore::open(dir.path()).expect_err("it is in use");
    assert!(matches!(refused, StoreFailed::Locked { .. }), "{refused:?}");
    assert!(sqlite::is_held(dir.path()).expect("it looks"));
    let told = refused.to_string();
    assert!(told.contains(&dir.path().display().to_string()), "{told}");
    assert!(told.contains("a directory of its own"), "{told}");
    first.shutdown();
    assert!(!sqlite::is_held(dir.path()).expect("it looks"));
    assert!(!sqlite::is_held(&dir.path().join("none")).expect("it looks"));
    open(dir.path());
    open(dir.path()); // the last clone going releases it too
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let dir = temp_dir();
    open(dir.path()).shutdown();
    raw(dir.path()).pragma_update(None, "user_version", 99).expect("the version is set");
    let refused = SqliteStore::open(dir.path()).expect_err("it is newer");
    assert!(matches!(refused, StoreFailed::TooNew { found: 99, known: 1, .. }), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains("version 99") && told.contains("up to 1"), "{told}");
    let version: i64 = raw(dir.path())
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("the version is read");
    assert_eq!(version, 99);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let dir = temp_dir();
    let path = dir.path().join("staithe.db");
    let text = b"a letter to a friend, long enough to be taken for a page of something".repeat(20);
    fs::write(&path, &text).expect("a file");
    let refused = SqliteStore::open(dir.path()).expect_err("it is no database");
    assert!(matches!(refused, StoreFailed::Open { .. }), "{refused:?}");
    assert_eq!(fs::read(&path).expect("the file"), text);
}

#[test]
fn a_file_in_the_directorys_place_is_named() {
    let dir = temp_dir();
    let path = dir.path().join("data");
    fs::write(&path, "").expect("a file");
    let refused = SqliteStore::open(&path).expect_err("it is a file").to_string();
    assert!(refused.contains("create the data directory in"), "{refused}");
    assert!(refused.contains(&path.display().to_string()), "{refused}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_may_read_what_is_stored() {
    let parent = temp_dir();
    let dir = parent.path().join("a/b");
    let store = open(&dir);
    store.append(event(SessionId::generate(), 0)).await.expect("it follows");
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(&dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 4, "{files:?}"); // database, its log and index, lock
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_database_that_others_may_read_is_closed_to_them() {
    let dir = temp_dir();
    open(dir.path()).shutdown();
    let path = dir.path().join("staithe.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("the mode is set");
    open(dir.path());
    assert_eq!(mode(&path), 0o600);
}
