//! Keys that people set, on the disk: one small file in the data directory, each key in it sealed, written whole and
//! put in place at once. The key that opens them is beside it, or in the configuration.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use data_encoding::{BASE64, HEXLOWER};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seal::{Seal, VERSION};
use crate::keeping;

/// The files in the data directory.
const FILE: &str = "model-keys.json";
const MASTER: &str = "master.key";
/// The most keys of all holders. One holder has no more than there are groups of models.
const MOST: usize = 100_000;

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// All users' that have none of their own.
    Installation,
    User(String),
}

impl Holder {
    fn name(&self) -> String {
        match self {
            Self::Installation => "installation".to_owned(),
            Self::User(subject) => format!("user:{subject}"),
        }
    }

    /// The user that it is; none: all of them.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Installation => None,
            Self::User(subject) => Some(subject),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("user:") {
            Some(subject) => Some(Self::User(subject.to_owned())),
            None => (name == "installation").then_some(Self::Installation),
        }
    }
}

/// A key that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// None: it can't be opened with the master key of now.
    pub key: Option<SecretString>,
    /// RFC 3339.
    pub since: String,
}

/// The keys can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum VaultFailed {
    #[error("{file} can't be read or written")]
    File {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file} can't be understood: move it away to begin without stored keys")]
    Malformed {
        file: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{file} is of a later version of this program")]
    Later { file: String },
    #[error("no more than {MOST} keys are kept")]
    Full,
    #[error("a key could not be sealed")]
    Sealing,
}

#[derive(Default, Serialize, Deserialize)]
struct Written {
    version: u32,
    /// By holder, by name of the group.
    keys: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    /// Base64.
    sealed: String,
    since: String,
}

/// See the module.
pub struct Vault {
    dir: PathBuf,
    /// Of the configuration; empty: the file's.
    master: SecretString,
    /// What holds: read at any time, as it is taken out, not while it is looked at.
    held: RwLock<Arc<Held>>,
    /// Of those who write, one after the other, through the disk. Readers wait for none of them.
    writing: Mutex<()>,
}

#[derive(Clone, Default)]
struct Held {
    /// By holder, by name of the group.
    keys: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Made at first need.
    seal: Option<Arc<Seal>>,
}

impl Held {
    fn count(&self) -> usize {
        self.keys.values().map(BTreeMap::len).sum()
    }

    fn kept(&self, holder: &str, name: &str, entry: &Entry) -> Kept {
        kept(self.seal.as_deref(), holder, name, entry)
    }
}

impl Vault {
    /// Reads what is kept. Makes nothing.
    pub fn open(dir: &Path, master: SecretString) -> Result<Self, VaultFailed> {
        let path = dir.join(FILE);
        let file = path.display().to_string();
        let written = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| VaultFailed::Malformed { file: file.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Written::default(),
            Err(source) => return Err(VaultFailed::File { file, source }),
        };
        if written.version > VERSION {
            return Err(VaultFailed::Later { file });
        }
        let seal = match master.expose_secret() {
            "" => read_master(dir)?.map(|master| Seal::new(&master)),
            master => Some(Seal::new(master)),
        };
        let held = Held { keys: written.keys, seal: seal.map(Arc::new) };
        Ok(Self {
            dir: dir.to_owned(),
            master,
            held: RwLock::new(Arc::new(held)),
            writing: Mutex::default(),
        })
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A key, if one is kept.
    pub fn get(&self, holder: &Holder, name: &str) -> Option<Kept> {
        let (held, holder) = (self.held(), holder.name());
        let entry = held.keys.get(&holder)?.get(name)?;
        Some(held.kept(&holder, name, entry))
    }

    /// All of them, for the mask.
    pub fn all(&self) -> Vec<(Holder, String, Kept)> {
        let held = self.held();
        let mut all = Vec::new();
        for (holder, keys) in &held.keys {
            for (name, entry) in keys {
                if let Some(whose) = Holder::named(holder) {
                    all.push((whose, name.clone(), held.kept(holder, name, entry)));
                }
            }
        }
        all
    }

    /// Names of models whose keys can't be opened, one for each key.
    pub fn unreadable(&self) -> Vec<String> {
        let all = self.all().into_iter();
        all.filter(|(_, _, kept)| kept.key.is_none()).map(|(_, name, _)| name).collect()
    }

    /// Whether the file beside it opens a key that the configuration's master key does not: it was set later.
    pub fn opened_by_its_file(&self) -> bool {
        if self.master.expose_secret().is_empty() {
            return false;
        }
        let Ok(Some(master)) = read_master(&self.dir) else { return false };
        let (held, file) = (self.held(), Seal::new(&master));
        held.keys.iter().any(|(holder, keys)| {
            keys.iter().any(|(name, entry)| {
                held.kept(holder, name, entry).key.is_none()
                    && kept(Some(&file), holder, name, entry).key.is_some()
            })
        })
    }

    /// Keeps a key in place of an earlier one. It is on the disk when this returns; `taken` is called when it is, before
    /// anybody can have it. Blocks.
    pub fn set(
        &self,
        holder: &Holder,
        name: &str,
        key: &str,
        taken: impl FnOnce(),
    ) -> Result<(), VaultFailed> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::clone(&self.held());
        let whose = holder.name();
        let replaces = held.keys.get(&whose).is_some_and(|keys| keys.contains_key(name));
        if !replaces && held.count() >= MOST {
            return Err(VaultFailed::Full);
        }
        let seal = match &held.seal {
            Some(seal) => Arc::clone(seal),
            None => Arc::new(self.make_seal()?),
        };
        let sealed = seal.seal(&whose, name, key).map_err(|_| VaultFailed::Sealing)?;
        let since = jiff::Timestamp::now().to_string();
        let entry = Entry { sealed: BASE64.encode(&sealed), since };
        held.keys.entry(whose).or_default().insert(name.to_owned(), entry);
        held.seal = Some(seal);
        self.replace(held, taken)
    }

    /// Forgets a key; whether there was one. Blocks.
    pub fn remove(&self, holder: &Holder, name: &str) -> Result<bool, VaultFailed> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::clone(&self.held());
        let of_holder = held.keys.get_mut(&holder.name());
        if of_holder.and_then(|keys| keys.remove(name)).is_none() {
            return Ok(false);
        }
        held.keys.retain(|_, keys| !keys.is_empty());
        self.replace(held, || ())?;
        Ok(true)
    }

    /// What can't be written holds not.
    fn replace(&self, held: Held, taken: impl FnOnce()) -> Result<(), VaultFailed> {
        let written = Written { version: VERSION, keys: held.keys };
        let bytes = serde_json::to_vec_pretty(&written).map_err(|source| {
            VaultFailed::Malformed { file: self.dir.join(FILE).display().to_string(), source }
        })?;
        put(&self.dir, FILE, &bytes)?;
        taken();
        let held = Arc::new(Held { keys: written.keys, seal: held.seal });
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    fn make_seal(&self) -> Result<Seal, VaultFailed> {
        debug_assert!(self.master.expose_secret().is_empty(), "a configured one is there already");
        let halves = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        let bytes: Vec<u8> = halves.iter().flat_map(|half| *half.as_bytes()).collect();
        let master = HEXLOWER.encode(&bytes);
        put(&self.dir, MASTER, master.as_bytes())?;
        Ok(Seal::new(&master))
    }
}

fn kept(seal: Option<&Seal>, holder: &str, name: &str, entry: &Entry) -> Kept {
    let sealed = BASE64.decode(entry.sealed.as_bytes()).ok();
    let key = seal.zip(sealed).and_then(|(seal, sealed)| seal.open(holder, name, &sealed).ok());
    Kept { key: key.map(SecretString::from), since: entry.since.clone() }
}

fn read_master(dir: &Path) -> Result<Option<String>, VaultFailed> {
    let path = dir.join(MASTER);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => Ok(Some(text.trim().to_owned())),
        Ok(_) => {
            // A new one would make all that is kept unreadable.
            let source = io::Error::new(io::ErrorKind::InvalidData, "it holds no master key");
            Err(VaultFailed::File { file: path.display().to_string(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VaultFailed::File { file: path.display().to_string(), source }),
    }
}

/// Whole or not at all, and for the owner's eyes.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), VaultFailed> {
    let file = || dir.join(name).display().to_string();
    keeping::put(dir, name, bytes).map_err(|source| VaultFailed::File { file: file(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(dir: &Path, master: &str) -> Vault {
        Vault::open(dir, master.to_owned().into()).unwrap()
    }

    fn shown(kept: Option<Kept>) -> Option<String> {
        Some(kept?.key?.expose_secret().to_owned())
    }

    #[test]
    fn keys_are_found_again_and_never_in_clear_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let ann = Holder::User("ann".into());
        let vault = open(dir.path(), "");
        assert!(!dir.path().join(MASTER).exists(), "made at first need");
        vault.set(&ann, "openai", "sk-ann-123456", || ()).unwrap();
        vault.set(&Holder::Installation, "openai", "sk-all-123456", || ()).unwrap();
        for name in [FILE, MASTER] {
            let path = dir.path().join(name);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            assert!(!fs::read_to_string(&path).unwrap().contains("123456"), "{name}");
        }
        let again = open(dir.path(), "");
        assert_eq!(shown(again.get(&ann, "openai")).as_deref(), Some("sk-ann-123456"));
        assert_eq!(again.all().len(), 2);
        assert!(again.get(&Holder::User("bob".into()), "openai").is_none());
        assert!(again.remove(&ann, "openai").unwrap() && !again.remove(&ann, "openai").unwrap());
        assert!(open(dir.path(), "").get(&ann, "openai").is_none());
        assert!(!format!("{:?}", again.get(&Holder::Installation, "openai")).contains("123456"));
    }

    #[test]
    fn another_master_key_opens_nothing_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let one = "the first master key of the operator";
        open(dir.path(), one).set(&Holder::Installation, "openai", "sk-123456", || ()).unwrap();
        assert!(!dir.path().join(MASTER).exists());
        let other = open(dir.path(), "another master key of the operator");
        assert!(other.get(&Holder::Installation, "openai").unwrap().key.is_none());
        other.set(&Holder::Installation, "gemini", "g-123456", || ()).unwrap();
        let key = open(dir.path(), one).get(&Holder::Installation, "openai");
        assert_eq!(shown(key).as_deref(), Some("sk-123456"));
    }

    #[test]
    fn a_master_key_that_is_set_first_or_changed_is_known_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let made = open(dir.path(), "");
        made.set(&Holder::Installation, "openai", "sk-123456", || ()).unwrap();
        assert!(made.unreadable().is_empty() && !made.opened_by_its_file());
        let configured = open(dir.path(), "a master key of the operator's own");
        assert_eq!(configured.unreadable(), ["openai"]);
        assert!(configured.opened_by_its_file());
        // As the log says it: what the file holds, as the configuration's.
        let master = fs::read_to_string(dir.path().join(MASTER)).unwrap();
        assert!(open(dir.path(), &master).unreadable().is_empty());
        fs::remove_file(dir.path().join(MASTER)).unwrap();
        let gone = open(dir.path(), "");
        assert_eq!((gone.unreadable().len(), gone.opened_by_its_file()), (1, false));
    }

    #[test]
    fn a_full_vault_still_replaces_and_says_of_what_it_refused_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ann = Holder::User("ann".into());
        let vault = open(dir.path(), "");
        vault.set(&ann, "openai", "sk-ann-123456", || ()).unwrap();
        let mut held = Held::clone(&vault.held());
        let entry = held.keys[&ann.name()]["openai"].clone();
        let many = (1..MOST).map(|number| (number.to_string(), entry.clone())).collect();
        held.keys.insert("user:many".to_owned(), many);
        *vault.held.write().unwrap() = Arc::new(held);
        let refused = || panic!("it was not taken");
        assert!(matches!(vault.set(&ann, "gemini", "g-123456", refused), Err(VaultFailed::Full)));
        vault.set(&ann, "openai", "sk-new-123456", || ()).unwrap();
        assert_eq!(shown(vault.get(&ann, "openai")).as_deref(), Some("sk-new-123456"));
    }

    #[test]
    fn whoever_reads_waits_for_nobody_who_writes() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), "");
        vault.set(&Holder::Installation, "openai", "sk-123456", || ()).unwrap();
        let read = || shown(vault.get(&Holder::Installation, "openai"));
        // In the middle of a write, what was there holds.
        let amid = || assert_eq!(read().as_deref(), Some("sk-123456"));
        vault.set(&Holder::Installation, "openai", "sk-654321", amid).unwrap();
        assert_eq!(read().as_deref(), Some("sk-654321"));
    }
}
