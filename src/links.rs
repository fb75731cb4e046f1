//! Links that let others into one session: who made them, until when they hold, and that they can be taken back.
//!
//! They are in one small file of the data directory, written whole and put in place at once. The secret of a link is a
//! signed token that is shown once and kept nowhere; what is kept says whether it still holds.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use staithe_protocol::{SessionId, api::ShareLink, frames::Role};
use tokio::sync::watch;

use crate::{auth::Identity, error::ApiError, keeping};

/// The file in the data directory.
const FILE: &str = "links.json";
/// The form that this program writes.
const VERSION: u32 = 1;
/// Links of one session at a time, and of all.
const MOST_OF_SESSION: usize = 64;
const MOST: usize = 100_000;
/// How often a link that is in use is looked at: clocks are set, too.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// A link as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub session: SessionId,
    pub role: Role,
    pub name: String,
    pub created_by: String,
    /// Seconds since 1970, as the next one.
    pub created: i64,
    pub expires: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct Written {
    version: u32,
    links: BTreeMap<String, Kept>,
}

/// The links can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LinksFailed {
    #[error("{file} can't be read or written")]
    File {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file} can't be understood: move it away to begin without links")]
    Malformed {
        file: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{file} is of a later version of this program")]
    Later { file: String },
}

/// See the module.
pub struct Links {
    dir: PathBuf,
    /// What holds: read at any time, as it is taken out, not while it is looked at.
    held: RwLock<Arc<BTreeMap<String, Kept>>>,
    /// Of those who write, one after the other, through the disk.
    writing: Mutex<()>,
    /// When each was last followed or used, since this server began.
    used: Mutex<HashMap<String, i64>>,
    /// Told when one is taken back.
    changed: watch::Sender<()>,
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Links {
    /// Reads what is kept. Makes nothing.
    pub fn open(dir: &Path) -> Result<Self, LinksFailed> {
        let path = dir.join(FILE);
        let file = path.display().to_string();
        let written: Written = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| LinksFailed::Malformed { file: file.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Written::default(),
            Err(source) => return Err(LinksFailed::File { file, source }),
        };
        if written.version > VERSION {
            return Err(LinksFailed::Later { file });
        }
        Ok(Self {
            dir: dir.to_owned(),
            held: RwLock::new(Arc::new(written.links)),
            writing: Mutex::default(),
            used: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    fn held(&self) -> Arc<BTreeMap<String, Kept>> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a new link; its id.
    pub fn add(&self, link: Kept) -> Result<String, ApiError> {
        let id = uuid::Uuid::new_v4().as_simple().to_string();
        self.change(|links| {
            let full = links.len() >= MOST
                || links.values().filter(|other| other.session == link.session).count()
                    >= MOST_OF_SESSION;
            if full {
                let detail = format!("a session has at most {MOST_OF_SESSION} links at a time");
                return Err(ApiError::denied(StatusCode::CONFLICT, "link.too_many", detail));
            }
            links.insert(id.clone(), link);
            Ok(())
        })?;
        Ok(id)
    }

    /// Takes one back: whoever came by it is out.
    pub fn remove(&self, session: SessionId, id: &str) -> Result<(), ApiError> {
        self.change(|links| {
            let there = links.get(id).is_some_and(|link| link.session == session);
            if !there {
                let detail = "there is no such link, or it is over";
                return Err(ApiError::denied(StatusCode::NOT_FOUND, "link.not_found", detail));
            }
            links.remove(id);
            Ok(())
        })?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changed.send_replace(());
        Ok(())
    }

    /// Takes all of a session's back: it is deleted.
    pub fn forget(&self, session: SessionId) -> Result<(), ApiError> {
        if self.held().values().all(|link| link.session != session) {
            return Ok(());
        }
        self.change(|links| {
            links.retain(|_, link| link.session != session);
            Ok(())
        })?;
        self.changed.send_replace(());
        Ok(())
    }

    /// Those of a session that hold, the oldest first.
    pub fn of(&self, session: SessionId) -> Vec<ShareLink> {
        let now = now();
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut links: Vec<(i64, ShareLink)> = self
            .held()
            .iter()
            .filter(|(_, link)| link.session == session && link.expires > now)
            .map(|(id, link)| (link.created, shown(id, link, used.get(id).copied())))
            .collect();
        links.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.id.cmp(&other.id)));
        links.into_iter().map(|(_, link)| link).collect()
    }

    /// Whether whoever came by this link is still let in; everybody else is none of its business.
    pub fn check(&self, identity: &Identity) -> Result<(), ApiError> {
        let Some(id) = &identity.link else { return Ok(()) };
        let now = now();
        let held = self.held();
        let holds = held.get(id).is_some_and(|link| {
            link.expires > now
                && identity.session == Some(link.session)
                // An editor may hand a token to look on.
                && (identity.role == link.role || identity.role == Role::Viewer)
        });
        if !holds {
            let detail = "this link was taken back, or its time is over";
            return Err(ApiError::denied(StatusCode::UNAUTHORIZED, "auth.link_over", detail));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), now);
        Ok(())
    }

    /// Returns when whoever came by this link is to be let out; never for others.
    pub async fn over(&self, identity: Identity) {
        if identity.link.is_none() {
            return std::future::pending().await;
        }
        let mut changed = self.changed.subscribe();
        while self.check(&identity).is_ok() {
            let left = identity.at_most(LOOK_AGAIN);
            tokio::select! {
                // It lives as long as the links.
                _ = changed.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    fn change(
        &self,
        work: impl FnOnce(&mut BTreeMap<String, Kept>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut links = (*self.held()).clone();
        let now = now();
        links.retain(|_, link| link.expires > now);
        work(&mut links)?;
        let written = Written { version: VERSION, links };
        let bytes = serde_json::to_vec_pretty(&written)
            .map_err(|error| ApiError::failed("link.not_kept", error))?;
        keeping::put(&self.dir, FILE, &bytes)
            .map_err(|error| ApiError::failed("link.not_kept", error))?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(written.links);
        Ok(())
    }
}

/// As a body of the REST interface.
pub fn shown(id: &str, link: &Kept, used: Option<i64>) -> ShareLink {
    let time = |second| jiff::Timestamp::from_second(second).unwrap_or_default().to_string();
    ShareLink {
        id: id.to_owned(),
        role: link.role,
        name: link.name.clone(),
        created_at: time(link.created),
        created_by: link.created_by.clone(),
        expires_at: time(link.expires),
        last_used_at: used.map(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(last: u8) -> SessionId {
        format!("0190c0de0000700080000000000000{last:02x}").parse().unwrap()
    }

    fn link(session: SessionId, left: i64) -> Kept {
        let created = now();
        Kept {
            session,
            role: Role::Viewer,
            name: "a review".into(),
            created_by: "ann".into(),
            created,
            expires: created + left,
        }
    }

    fn guest(session: SessionId, id: &str) -> Identity {
        Identity {
            subject: "guest".into(),
            role: Role::Viewer,
            session: Some(session),
            until: Some(u64::MAX),
            link: Some(id.to_owned()),
        }
    }

    #[test]
    fn a_link_holds_over_a_restart_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let links = Links::open(dir.path()).unwrap();
        let (one, other) = (session(1), session(2));
        let id = links.add(link(one, 600)).unwrap();
        let links = Links::open(dir.path()).unwrap();
        assert!(links.check(&guest(one, &id)).is_ok());
        assert_eq!(links.of(one).len(), 1);
        assert!(links.of(one)[0].last_used_at.is_some());
        assert!(links.of(other).is_empty());
        assert_eq!(links.check(&guest(other, &id)).unwrap_err().code, "auth.link_over");
        let editor = Identity { role: Role::Editor, ..guest(one, &id) }; // the link is a viewer's
        assert_eq!(links.check(&editor).unwrap_err().code, "auth.link_over");
        assert_eq!(links.remove(other, &id).unwrap_err().code, "link.not_found");
        links.remove(one, &id).unwrap();
        assert_eq!(links.check(&guest(one, &id)).unwrap_err().code, "auth.link_over");
        assert!(Links::open(dir.path()).unwrap().of(one).is_empty());
    }

    #[test]
    fn a_link_whose_time_is_over_lets_nobody_in_and_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let links = Links::open(dir.path()).unwrap();
        let id = links.add(link(session(1), -1)).unwrap();
        assert_eq!(links.check(&guest(session(1), &id)).unwrap_err().code, "auth.link_over");
        links.add(link(session(1), 600)).unwrap();
        assert_eq!(Links::open(dir.path()).unwrap().held().len(), 1);
        links.forget(session(1)).unwrap();
        assert!(Links::open(dir.path()).unwrap().held().is_empty());
    }

    #[test]
    fn a_session_has_a_bounded_number_of_links() {
        let dir = tempfile::tempdir().unwrap();
        let links = Links::open(dir.path()).unwrap();
        for _ in 0..MOST_OF_SESSION {
            links.add(link(session(1), 600)).unwrap();
        }
        assert_eq!(links.add(link(session(1), 600)).unwrap_err().code, "link.too_many");
        assert!(links.add(link(session(2), 600)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_came_by_a_link_is_told_when_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let links = Arc::new(Links::open(dir.path()).unwrap());
        let id = links.add(link(session(1), 600)).unwrap();
        let guest = guest(session(1), &id);
        let waiting = tokio::spawn({
            let links = Arc::clone(&links);
            async move { links.over(guest).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        links.remove(session(1), &id).unwrap();
        waiting.await.unwrap();
    }
}
