//! What must not get out, and may grow while the server runs: of the installation, of each user, of a session.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::mask::Words;

/// Of each owner: secrets that hold no more, and are hidden still, for they may stand in texts on their way.
const MOST_RETIRED: usize = 32;

/// All secrets that are known; clones share them. What was added stays until the server ends; what has a name may be
/// replaced, and is hidden a while longer.
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
    /// Of all users, by name.
    named: Named,
    by_owner: HashMap<String, Named>,
}

/// Secrets of one owner that may be replaced.
#[derive(Default)]
struct Named {
    held: BTreeMap<String, String>,
    retired: VecDeque<String>,
}

impl Named {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.held.values().chain(&self.retired)
    }

    /// Whether anything changed.
    fn put(&mut self, name: &str, secret: Option<&str>) -> bool {
        let before = match secret {
            Some(secret) => self.held.insert(name.to_owned(), secret.to_owned()),
            None => self.held.remove(name),
        };
        if before.as_deref() == secret {
            return false;
        }
        if let Some(before) = before {
            self.retired.retain(|it| *it != before);
            self.retired.push_back(before);
            if self.retired.len() > MOST_RETIRED {
                self.retired.pop_front();
            }
        }
        true
    }
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
        let mut known = lock(&self.0.known);
        if !known.common.iter().any(|it| it == secret) {
            known.common.push(secret.to_owned());
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Hidden from now on in the sessions of one owner, or of all where none is told, in place of the one of that
    /// name, which is hidden until 32 more were replaced; none: nothing takes its place. Not in the sessions of others,
    /// where whoever sets a secret could have any word hidden.
    pub fn put(&self, owner: Option<&str>, name: &str, secret: Option<&str>) {
        let mut known = lock(&self.0.known);
        let of = match owner {
            None => &mut known.named,
            Some(owner) => known.by_owner.entry(owner.to_owned()).or_default(),
        };
        if of.put(name, secret) {
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
        let own = lock(&self.0.own);
        let known = lock(&shared.known);
        // Under the lock of what is known, no addition is missed.
        let version = shared.version.load(Ordering::Acquire);
        let of_owner = known.by_owner.get(&self.0.owner).into_iter().flat_map(Named::all);
        let all = known.common.iter().chain(known.named.all()).chain(of_owner).chain(own.iter());
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
        secrets.put(Some("ann"), "openai", Some("ann-key-1"));
        ann.add("own-token");
        let hidden = "<secret_hidden>";
        assert_eq!(ann.words().hide(text()), [hidden; 4].join(" "));
        assert_eq!(bob.words().hide(text()), format!("{hidden} {hidden} ann-key-1 own-token"));
        assert!(!format!("{secrets:?} {ann:?} {:?}", ann.words()).contains("ann-key-1"));
    }

    #[test]
    fn what_was_replaced_is_hidden_for_a_while_and_what_holds_always() {
        let secrets = Secrets::default();
        let (ann, bob) = (secrets.mask("ann"), secrets.mask("bob"));
        secrets.put(Some("ann"), "gemini", Some("g-of-ann"));
        secrets.put(None, "gemini", Some("g-of-all"));
        let key = |number: usize| format!("key-{number:04}");
        for number in 0..1000 {
            secrets.put(Some("ann"), "openai", Some(&key(number)));
        }
        let hidden = |mask: &Mask, text: String| mask.words().hide(text.clone()) != text;
        for text in
            ["g-of-ann".to_owned(), "g-of-all".to_owned(), key(999), key(999 - MOST_RETIRED)]
        {
            assert!(hidden(&ann, text.clone()), "{text}");
        }
        assert!(!hidden(&ann, key(998 - MOST_RETIRED)), "they are bounded");
        assert!(hidden(&bob, "g-of-all".to_owned()) && !hidden(&bob, "g-of-ann".to_owned()));
        secrets.put(Some("ann"), "gemini", None);
        assert!(hidden(&ann, "g-of-ann".to_owned()), "a while longer");
        assert_eq!(lock(&secrets.0.known).by_owner["ann"].all().count(), 1 + MOST_RETIRED);
    }
}
