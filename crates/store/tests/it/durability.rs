//! What was acknowledged is there, whatever was cut.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use staithe_protocol::ids::{EventId, SessionId};
use staithe_store::{SqliteStore, Store};
use tempfile::TempDir;

use crate::{check_logs, open, raw, referenced, row, temp_dir};

/// Names the data directory to a copy of this test program that is to be killed.
const CHILD: &str = "STAITHE_STORE_TEST_CHILD";

/// Not a test of its own: the program that `a_killed_writer_has_kept_its_word` starts.
#[test]
fn the_writer_that_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&dir));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..8 {
        tasks.spawn_local(write_until_killed(store.clone()));
    }
    runtime.block_on(tasks);
}

async fn write_until_killed(store: SqliteStore) {
    let session = SessionId::generate();
    store.put_session(row(session, "{}")).await.expect("it is written");
    for id in 0.. {
        store.append(referenced(session, id)).await.expect("it follows");
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {session} {id}").expect("the parent reads");
        out.flush().expect("the parent reads");
    }
}

/// The newest id acknowledged in each session by a writer that was killed after so many.
fn acknowledged_until_killed(dir: &Path, after: usize) -> BTreeMap<SessionId, u64> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["durability::the_writer_that_is_killed", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut acknowledged = BTreeMap::new();
    let mut seen = 0;
    let stdout = child.stdout.take().expect("it is piped");
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("a line");
        let mut words = line.split(' ');
        // A line that the kill has cut short has no whole id: it doesn't count.
        if let (Some("acknowledged"), Some(session), Some(id)) =
            (words.next(), words.next(), words.next())
        {
            acknowledged.insert(session.parse().expect("an id"), id.parse().expect("an id"));
            seen += 1;
            if seen == after {
                child.kill().expect("the child is killed"); // SIGKILL; what it printed is read on
            }
        }
    }
    assert!(seen >= after, "the child ended by itself after {seen}");
    child.wait().expect("the child is gone");
    acknowledged
}

#[tokio::test]
async fn a_killed_writer_has_kept_its_word() {
    for after in [1, 60, 977] {
        let dir = temp_dir();
        let acknowledged = acknowledged_until_killed(dir.path(), after);
        let store = open(dir.path());
        let sessions: Vec<_> = acknowledged.keys().copied().collect();
        let lengths = check_logs(&store, &sessions).await;
        for (session, newest) in acknowledged {
            assert!(lengths[&session] > newest, "{session} lost {newest}: {lengths:?}");
            assert!(store.get_session(session).await.expect("it reads").is_some());
        }
        check_references(&store, &lengths).await;
        check_integrity(dir.path());
    }
}

/// Each event has its reference and nothing else has: they were written together.
async fn check_references(store: &SqliteStore, lengths: &BTreeMap<SessionId, u64>) {
    for (session, length) in lengths {
        for id in [0, length / 2, length.saturating_sub(1), *length] {
            let hit = store.find_reference(*session, &format!("r{id}")).await.expect("it reads");
            assert_eq!(hit.map(|hit| hit.event), (id < *length).then_some(EventId(id)));
        }
    }
}

fn check_integrity(dir: &Path) {
    let verdict: String = raw(dir)
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .expect("the check runs");
    assert_eq!(verdict, "ok");
}

/// Sessions with events in the database and later ones in the log, as a copy of the two files.
struct Left {
    sessions: Vec<SessionId>,
    files: TempDir,
    /// Bytes in the log.
    log: u64,
}

/// How many events each session has in the database, and in all.
const FOLDED: u64 = 5;
const WRITTEN: u64 = 40;

impl Left {
    async fn new() -> Self {
        let sessions: Vec<_> = (0..6).map(|_| SessionId::generate()).collect();
        let (dir, files) = (temp_dir(), temp_dir());
        let store = open(dir.path());
        append(&store, &sessions, 0..FOLDED).await;
        store.shutdown(); // folds the log into the database
        // A reader of an early state keeps the log from being folded while we write and copy.
        let early = raw(dir.path());
        early.execute_batch("BEGIN; SELECT count(*) FROM events;").expect("it reads");
        let store = open(dir.path());
        append(&store, &sessions, FOLDED..WRITTEN).await;
        for file in ["staithe.db", "staithe.db-wal"] {
            fs::copy(dir.path().join(file), files.path().join(file)).expect("a copy");
        }
        let log = fs::metadata(files.path().join("staithe.db-wal")).expect("the log").len();
        Self { sessions, files, log }
    }

    /// Opens a copy after `change` was done to its log; gives the number of events in each session.
    async fn check(&self, change: impl FnOnce(&mut fs::File)) -> Vec<u64> {
        let dir = temp_dir();
        for file in ["staithe.db", "staithe.db-wal"] {
            fs::copy(self.files.path().join(file), dir.path().join(file)).expect("a copy");
        }
        let log = OpenOptions::new().append(true).open(dir.path().join("staithe.db-wal"));
        change(&mut log.expect("the log"));
        let store = open(dir.path());
        let lengths = check_logs(&store, &self.sessions).await;
        check_references(&store, &lengths).await;
        for (session, length) in &lengths {
            store.append(referenced(*session, *length)).await.expect("the log goes on");
        }
        store.shutdown();
        check_integrity(dir.path());
        self.sessions.iter().map(|session| lengths[session]).collect()
    }
}

/// One event at a time, round about, so that every prefix is a different one.
async fn append(store: &SqliteStore, sessions: &[SessionId], ids: std::ops::Range<u64>) {
    for id in ids {
        for session in sessions {
            store.append(referenced(*session, id)).await.expect("it follows");
        }
    }
}

/// The same numbers in every run.
fn numbers(below: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    })
}

#[tokio::test]
async fn a_log_cut_anywhere_leaves_a_prefix() {
    let left = Left::new().await;
    let mut cuts: Vec<u64> = numbers(left.log).take(50).collect();
    cuts.extend([0, 1, 32, left.log - 1, left.log]);
    cuts.sort_unstable();
    let mut before = 0;
    for cut in cuts {
        let lengths = left.check(|log| log.set_len(cut).expect("it is cut")).await;
        // They were written round about, so a prefix of all is a falling staircase of one step.
        assert!(lengths.is_sorted_by(|a, b| a >= b), "{cut}: {lengths:?}");
        assert!(lengths[0] - lengths[lengths.len() - 1] <= 1, "{cut}: {lengths:?}");
        let written: u64 = lengths.iter().sum();
        assert!(written >= before, "a longer log gave less at {cut}");
        before = written;
    }
    assert_eq!(before, WRITTEN * left.sessions.len() as u64);
    let nothing = left.check(|log| log.set_len(0).expect("it is cut")).await;
    assert!(nothing.iter().all(|length| *length == FOLDED), "{nothing:?}");
}

#[tokio::test]
async fn garbage_behind_the_log_is_ignored() {
    let left = Left::new().await;
    for length in [1, 24, 4120, 20_000] {
        let garbage: Vec<u8> = numbers(256).take(length).map(|n| n.to_le_bytes()[0]).collect();
        let lengths = left.check(|log| log.write_all(&garbage).expect("it is appended")).await;
        assert!(lengths.iter().all(|length| *length == WRITTEN), "{lengths:?}");
    }
}

#[tokio::test]
async fn garbage_in_place_of_the_logs_end_is_ignored() {
    let left = Left::new().await;
    for cut in numbers(left.log).take(10) {
        let garbage: Vec<u8> = numbers(256).take(9000).map(|n| n.to_le_bytes()[0]).collect();
        left.check(|log| {
            log.set_len(cut).expect("it is cut");
            log.write_all(&garbage).expect("it is appended");
        })
        .await;
    }
}
