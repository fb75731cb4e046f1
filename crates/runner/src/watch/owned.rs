//! Who made which change, as far as it was made through us. Pure.

use std::{collections::VecDeque, time::Duration};

use staithe_protocol::{
    files::EntryType,
    watch::{Change, ChangeOp},
};
use tokio::time::Instant;

/// How long a change may take to be seen.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// The most that is remembered.
const MOST: usize = 1024;

/// The last changes that clients made.
#[derive(Debug, Default)]
pub struct Owned(VecDeque<Own>);

#[derive(Debug)]
struct Own {
    at: Instant,
    origin: String,
    path: String,
    version: Option<String>,
}

impl Owned {
    /// A path has this version by somebody's doing.
    pub fn note(&mut self, origin: String, path: &str, version: Option<&str>, at: Instant) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Own {
            at,
            origin,
            path: path.to_owned(),
            version: version.map(str::to_owned),
        });
    }

    /// Who made a change.
    pub fn origin(&mut self, change: &Change, now: Instant) -> Option<&str> {
        while self.0.front().is_some_and(|own| now.duration_since(own.at) > KEPT_FOR) {
            self.0.pop_front();
        }
        self.0.iter().rev().find(|own| own.made(change)).map(|own| &*own.origin)
    }
}

impl Own {
    fn made(&self, change: &Change) -> bool {
        let same = self.version.is_some() && self.version == change.version;
        if self.path == change.path {
            return same;
        }
        match change.op {
            // What was in a folder that was removed.
            ChangeOp::Delete => same && is_beneath(&change.path, &self.path),
            // A folder that was made for what is in it.
            ChangeOp::Create => {
                change.kind == Some(EntryType::Dir) && is_beneath(&self.path, &change.path)
            }
            _ => false,
        }
    }
}

fn is_beneath(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
