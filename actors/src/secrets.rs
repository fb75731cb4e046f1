//! What must not get out, and may grow while the server runs: of the installation, of each user, of a session.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::mask::Words;

/// All secrets that are known; clones share them. What was added stays until the server ends: it may stand in
/// texts that are still on their way.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Moves with each addition.
    version: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    common: Vec<String>,
    by_owner: HashMap<String, Vec<String>>,
}

/// It says how many there are, never which.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = lock(&self.0.known);
        write!(f, "Secrets({} and of {} users)", known.common.len(), known.by_owner.len())
    }
}

impl Secrets {
    /// Those of the configuration.
    pub fn new(common: impl IntoIterator<Item = String>) -> Self {
        let secrets = Self::default();
        lock(&secrets.0.known).common.extend(common);
        secrets
    }

    /// Hidden from now on in all sessions.
    pub fn add(&self, secret: &str) {
        self.grow(|known| &mut known.common, secret);
    }

    /// Hidden from now on in the sessions of one owner. Not in those of others, where whoever sets a secret
    /// could have any word hidden.
    pub fn add_of(&self, owner: &str, secret: &str) {
        self.grow(|known| known.by_owner.entry(owner.to_owned()).or_default(), secret);
    }

    fn grow(&self, of: impl FnOnce(&mut Known) -> &mut Vec<String>, secret: &str) {
        let mut known = lock(&self.0.known);
        let all = of(&mut known);
        if !all.iter().any(|it| it == secret) {
            all.push(secret.to_owned());
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    /// What is hidden in a session of this owner.
    pub fn mask(&self, owner: &str) -> Mask {
        let seen = Mutex::new(None);
        let own = Mutex::default();
        let owner = owner.to_owned();
        Mask(Arc::new(Scope { secrets: self.clone(), owner, own, seen }))
    }
}

/// What is hidden in one session; clones share it.
#[derive(Clone)]
pub struct Mask(Arc<Scope>);

struct Scope {
    secrets: Secrets,
    owner: String,
    /// Of this session alone.
    own: Mutex<Vec<String>>,
    /// The words as they were at a version.
    seen: Mutex<Option<(u64, Arc<Words>)>>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask(of {})", self.0.owner)
    }
}

impl Mask {
    /// Hidden from now on in this session alone.
    pub fn add(&self, secret: &str) {
        lock(&self.0.own).push(secret.to_owned());
        *lock(&self.0.seen) = None;
    }

    /// The words as they are now.
    pub fn words(&self) -> Arc<Words> {
        let mut seen = lock(&self.0.seen);
        let shared = &self.0.secrets.0;
        let version = shared.version.load(Ordering::Acquire);
        if let Some((at, words)) = &*seen
            && *at == version
        {
            return Arc::clone(words);
        }
        let known = lock(&shared.known);
        // Under the lock of what is known, no addition is missed.
        let version = shared.version.load(Ordering::Acquire);
        let of_owner = known.by_owner.get(&self.0.owner).into_iter().flatten();
        let own = lock(&self.0.own);
        let all = known.common.iter().chain(of_owner).chain(own.iter());
        let words: Arc<Words> = Arc::new(all.cloned().collect());
        *seen = Some((version, Arc::clone(&words)));
        words
    }
}

/// A panic while such a lock was held leaves plain data behind that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_hidden_at_once_where_it_is_whose_it_is() {
        let secrets = Secrets::new(["configured".to_owned()]);
        let (ann, bob) = (secrets.mask("ann"), secrets.mask("bob"));
        let text = || "configured common-1 ann-key-1 own-token".to_owned();
        assert_eq!(ann.words().hide(text()), "<secret_hidden> common-1 ann-key-1 own-token");
        secrets.add("common-1");
        secrets.add_of("ann", "ann-key-1");
        ann.add("own-token");
        let hidden = "<secret_hidden>";
        assert_eq!(ann.words().hide(text()), [hidden; 4].join(" "));
        assert_eq!(bob.words().hide(text()), format!("{hidden} {hidden} ann-key-1 own-token"));
        assert!(!format!("{secrets:?} {ann:?} {:?}", ann.words()).contains("ann-key-1"));
    }
}
