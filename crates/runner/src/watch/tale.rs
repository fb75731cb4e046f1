//! What is to be told: changes in their order, as many as are worth telling one by one. Pure.

use staithe_protocol::{
    files::EntryType,
    watch::{Change, ChangeOp, MOST_KEPT},
};

use super::look::Now;

/// Who did what nobody else is known to have done.
pub const SHELL: &str = "shell";
pub const AGENT: &str = "agent";

/// The changes of one time.
#[derive(Debug, Default)]
pub struct Tale {
    pub changes: Vec<Change>,
    /// There were more than are kept, or it is not known which: clients list again.
    pub lost: bool,
}

impl Tale {
    /// Something is at a path.
    pub fn is(&mut self, op: ChangeOp, path: String, now: &Now, agent: bool) {
        self.add(Change {
            kind: Some(now.kind),
            version: now.version.clone(),
            size: Some(now.size),
            mtime: Some(now.mtime),
            mode: Some(now.mode),
            ..plain(op, path, agent)
        });
    }

    /// Something has another path.
    pub fn moved(&mut self, from: String, path: String, now: &Now, agent: bool) {
        self.is(ChangeOp::Rename, path, now, agent);
        if let Some(change) = self.changes.last_mut().filter(|_| !self.lost) {
            change.from = Some(from);
        }
    }

    /// Nothing is at a path any more.
    pub fn gone(&mut self, path: String, kind: Option<EntryType>, agent: bool) {
        let version = Some("absent".to_owned());
        self.add(Change { kind, version, ..plain(ChangeOp::Delete, path, agent) });
    }

    /// A repository has another `HEAD`.
    pub fn branch(&mut self, path: String) {
        self.add(plain(ChangeOp::BranchChanged, path, false));
    }

    /// It can't be told one by one.
    pub fn lose(&mut self) {
        *self = Self { changes: Vec::new(), lost: true };
    }

    fn add(&mut self, change: Change) {
        if self.lost {
        } else if self.changes.len() < MOST_KEPT {
            self.changes.push(change);
        } else {
            self.lose();
        }
    }
}

fn plain(op: ChangeOp, path: String, agent: bool) -> Change {
    Change {
        op,
        path,
        from: None,
        kind: None,
        version: None,
        size: None,
        mtime: None,
        mode: None,
        origin: if agent { AGENT } else { SHELL }.to_owned(),
        content: None,
    }
}
