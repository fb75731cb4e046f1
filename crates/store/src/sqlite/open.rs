//! The data directory: its lock, its files and the version of its tables.

use std::{
    error::Error,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreFailed;

const DATABASE: &str = "staithe.db";
const LOCK: &str = "store.lock";

/// The version of the tables below, kept in the file's `user_version`. 0 is an empty file.
const VERSION: i64 = 1;

const READERS: usize = 3;

/// How long a connection waits for another one, such as an operator's shell.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The statements that one connection keeps prepared; there are fewer than this.
const STATEMENTS: usize = 32;

/// How often the lock is tried before it is another server's.
const LOOKS: usize = 5;

const TABLES: &str = "
CREATE TABLE sessions (
    id         TEXT    NOT NULL PRIMARY KEY,
    body       BLOB    NOT NULL,
    updated_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE events (
    session TEXT    NOT NULL,
    id      INTEGER NOT NULL,
    body    BLOB    NOT NULL,
    PRIMARY KEY (session, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE event_references (
    session TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    event   INTEGER NOT NULL,
    digest  BLOB    NOT NULL,
    PRIMARY KEY (session, name)
) WITHOUT ROWID, STRICT;

CREATE TABLE claims (
    scope  TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    digest BLOB    NOT NULL,
    value  TEXT    NOT NULL,
    at_ms  INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX claims_by_value ON claims (value);
CREATE INDEX claims_by_age ON claims (at_ms);
";

/// Holds the directory against other servers for as long as it lives. The lock is the kernel's,
/// so a killed server leaves none behind.
pub(super) struct DirLock(#[expect(dead_code, reason = "closing the file releases it")] File);

/// Creates the directory if need be and takes it for this process.
pub(super) fn lock(dir: &Path) -> Result<DirLock, StoreFailed> {
    if !dir.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| failed(dir, "create the data directory", source))?;
    }
    let file =
        private_file(&dir.join(LOCK)).map_err(|source| failed(dir, "create store.lock", source))?;
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(DirLock(file)),
            Err(TryLockError::WouldBlock) => pause(),
            Err(TryLockError::Error(source)) => return Err(failed(dir, "lock store.lock", source)),
        }
    }
    Err(StoreFailed::Locked { dir: dir.to_owned() })
}

/// Whether another process holds the directory.
pub(super) fn is_held(dir: &Path) -> io::Result<bool> {
    let file = match File::open(dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    // Shared: many may look at once. It goes with the file.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whoever only looks ([`is_held`]) has it for microseconds.
#[expect(clippy::disallowed_methods, reason = "no actor is on the thread that opens a store")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// The connection of the writer, with the tables in place. The caller holds the lock.
pub(super) fn writing(dir: &Path) -> Result<Connection, StoreFailed> {
    private_file(&dir.join(DATABASE))
        .and_then(|_| sync_dirs(dir))
        .map_err(|source| failed(dir, "create staithe.db", source))?;
    let mut db = connect(dir).map_err(|source| failed(dir, "open staithe.db", source))?;
    upgrade(&mut db, dir)?;
    Ok(db)
}

/// The connections of the readers.
pub(super) fn reading(dir: &Path) -> Result<Vec<Connection>, StoreFailed> {
    let reader = || {
        let db = connect(dir)?;
        db.execute_batch("PRAGMA query_only = ON")?;
        Ok(db)
    };
    (0..READERS)
        .map(|_| reader())
        .collect::<rusqlite::Result<_>>()
        .map_err(|source| failed(dir, "open a reader of staithe.db", source))
}

pub(super) fn failed(
    dir: &Path,
    step: &'static str,
    source: impl Error + Send + Sync + 'static,
) -> StoreFailed {
    StoreFailed::Open { dir: dir.to_owned(), step, source: Arc::new(source) }
}

fn connect(dir: &Path) -> rusqlite::Result<Connection> {
    // No `CREATE`: the file is there, with our mode, which its WAL takes over.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(dir.join(DATABASE), flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8192;",
    )?;
    Ok(db)
}

/// Brings an older file to [`VERSION`]; refuses a newer one.
fn upgrade(db: &mut Connection, dir: &Path) -> Result<(), StoreFailed> {
    let create = |db: &mut Connection| {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    let found = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| failed(dir, "read the version of staithe.db", source))?;
    match found {
        VERSION => Ok(()),
        0 => create(db).map_err(|source| failed(dir, "create the tables of staithe.db", source)),
        _ => Err(StoreFailed::TooNew { dir: dir.to_owned(), found, known: VERSION }),
    }
}

/// Opens or creates a file that only its owner may read.
fn private_file(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Makes the names of the files durable. Their contents are `SQLite`'s business.
fn sync_dirs(dir: &Path) -> std::io::Result<()> {
    let dir = dir.canonicalize()?;
    File::open(&dir)?.sync_all()?;
    match dir.parent() {
        // A parent that we may pass through but not read was not created by us.
        Some(parent) => match File::open(parent) {
            Ok(parent) => parent.sync_all(),
            Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}
