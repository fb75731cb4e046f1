//! Keys that people set, on the disk: one small file in the data directory, each key in it sealed, written whole and
//! put in place at once. The key that opens them is beside it, or in the configuration.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use data_encoding::{BASE64, HEXLOWER};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seal::{Seal, VERSION};

/// The files in the data directory.
const FILE: &str = "model-keys.json";
const MASTER: &str = "master.key";
/// The most keys of one holder, and of all.
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
    state: Mutex<State>,
}

struct State {
    written: Written,
    /// Made at first need.
    seal: Option<Seal>,
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
        let state = Mutex::new(State { written, seal });
        Ok(Self { dir: dir.to_owned(), master, state })
    }

    /// A key, if one is kept.
    pub fn get(&self, holder: &Holder, name: &str) -> Option<Kept> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = holder.name();
        let entry = state.written.keys.get(&holder)?.get(name)?;
        Some(kept(state.seal.as_ref(), &holder, name, entry))
    }

    /// All of them, for the mask.
    pub fn all(&self) -> Vec<(Holder, String, Kept)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (holder, keys) in &state.written.keys {
            for (name, entry) in keys {
                if let Some(whose) = Holder::named(holder) {
                    all.push((whose, name.clone(), kept(state.seal.as_ref(), holder, name, entry)));
                }
            }
        }
        all
    }

    /// Keeps a key in place of an earlier one. It is on the disk when this returns. Blocks.
    pub fn set(&self, holder: &Holder, name: &str, key: &str) -> Result<(), VaultFailed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.written.keys.values().map(BTreeMap::len).sum::<usize>() >= MOST {
            return Err(VaultFailed::Full);
        }
        if state.seal.is_none() {
            state.seal = Some(self.make_seal()?);
        }
        let seal = state.seal.as_ref().ok_or(VaultFailed::Sealing)?;
        let whose = holder.name();
        let sealed = seal.seal(&whose, name, key).map_err(|_| VaultFailed::Sealing)?;
        let since = jiff::Timestamp::now().to_string();
        let entry = Entry { sealed: BASE64.encode(&sealed), since };
        let mut keys = state.written.keys.clone();
        keys.entry(whose).or_default().insert(name.to_owned(), entry);
        self.replace(&mut state, keys)
    }

    /// Forgets a key; whether there was one. Blocks.
    pub fn remove(&self, holder: &Holder, name: &str) -> Result<bool, VaultFailed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = state.written.keys.clone();
        let of_holder = keys.get_mut(&holder.name());
        if of_holder.and_then(|keys| keys.remove(name)).is_none() {
            return Ok(false);
        }
        keys.retain(|_, keys| !keys.is_empty());
        self.replace(&mut state, keys)?;
        Ok(true)
    }

    /// What can't be written holds not.
    fn replace(
        &self,
        state: &mut State,
        keys: BTreeMap<String, BTreeMap<String, Entry>>,
    ) -> Result<(), VaultFailed> {
        let written = Written { version: VERSION, keys };
        let bytes = serde_json::to_vec_pretty(&written).map_err(|source| {
            VaultFailed::Malformed { file: self.dir.join(FILE).display().to_string(), source }
        })?;
        put(&self.dir, FILE, &bytes)?;
        state.written = written;
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
    let path = dir.join(name);
    let draft = dir.join(format!("{name}.new"));
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| VaultFailed::File { file: path.display().to_string(), source })
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
        vault.set(&ann, "openai", "sk-ann-123456").unwrap();
        vault.set(&Holder::Installation, "openai", "sk-all-123456").unwrap();
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
        open(dir.path(), one).set(&Holder::Installation, "openai", "sk-123456").unwrap();
        assert!(!dir.path().join(MASTER).exists());
        let other = open(dir.path(), "another master key of the operator");
        assert!(other.get(&Holder::Installation, "openai").unwrap().key.is_none());
        other.set(&Holder::Installation, "gemini", "g-123456").unwrap();
        let key = open(dir.path(), one).get(&Holder::Installation, "openai");
        assert_eq!(shown(key).as_deref(), Some("sk-123456"));
    }
}
