//! What can go wrong in the store.

use std::{error::Error, path::PathBuf, sync::Arc};

use staithe_protocol::ids::{EventId, SessionId};

/// What lies under a failure. Shared, because one failed commit answers many callers.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// The store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreFailed {
    /// The data directory or the database in it can't be used; `step` is what was tried.
    #[error("could not {step} in {}", dir.display())]
    Open {
        /// The data directory.
        dir: PathBuf,
        /// What was being done, as a verb with its object.
        step: &'static str,
        /// What the system or `SQLite` said.
        #[source]
        source: Cause,
    },

    /// Another server holds the data directory.
    #[error(
        "the data directory {} is in use by another server; stop that one, or give this one a \
         directory of its own",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },

    /// The database was written by a newer release, whose tables this one doesn't know.
    #[error(
        "the database in {} has version {found}, but this release knows versions up to {known}; \
         install the release that wrote it, or restore a backup",
        dir.display()
    )]
    TooNew {
        /// The data directory.
        dir: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this release reads.
        known: i64,
    },

    /// The transaction was rolled back. After a failing disk, and only then, what it held may
    /// still appear when the file is opened again.
    #[error("could not write to the store")]
    Write {
        /// What `SQLite` said.
        #[source]
        source: Cause,
    },

    /// A query failed, or a row does not have the shape it was written in.
    #[error("could not read from the store")]
    Read {
        /// What `SQLite` said.
        #[source]
        source: Cause,
    },

    /// The store was shut down.
    #[error("the store is closed")]
    Closed,

    /// Too much waits to be written. Nothing was queued.
    #[error("the store's write queue is full")]
    Full,

    /// An event's id is not the one after its session's newest. Nothing was written.
    #[error("event {offered} of session {session} was refused: the log continues with {expected}")]
    Diverged {
        /// The session whose log it is.
        session: SessionId,
        /// The id the log takes next.
        expected: EventId,
        /// The id that was given.
        offered: EventId,
    },
}

impl StoreFailed {
    pub(crate) fn read(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Read { source: Arc::new(source) }
    }
}
