//! Groups of models with the keys that hold: a user's own, else the installation's, else the configuration's.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use staithe_actors::{
    Secrets,
    models::{Models, NoModel},
};
use staithe_agent::{
    model::Model,
    settings::{ModelSettings, Price, Provider},
};

use super::vault::{Holder, Kept, Vault, VaultFailed};
use crate::config::{
    Config,
    models::{Group, KeySource},
};

/// Which of several groups with a key is the default where none is named.
const PREFERRED: [&str; 3] = ["anthropic", "openai", "gemini"];
/// A shorter key would be half told by its end.
const TELLS_ITS_END: usize = 16;

/// Makes an adapter of settings. Boot gives it.
pub type Adapter = dyn Fn(&ModelSettings) -> Result<Arc<dyn Model>, String> + Send + Sync + 'static;

/// See the module.
pub struct Book {
    groups: BTreeMap<String, Group>,
    /// Of the configuration, read once.
    configured: BTreeMap<String, (SecretString, KeySource)>,
    model: String,
    condense_model: String,
    vault: Vault,
    secrets: Secrets,
    adapter: Box<Adapter>,
}

/// It tells no key.
impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.groups.keys()).finish()
    }
}

/// What is known of a key without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    pub source: KeySource,
    /// The last four characters of a key that is long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<String>,
    /// RFC 3339; of a key that somebody set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// A group as its users see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelView {
    pub name: String,
    pub provider: Provider,
    pub model: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base_url: String,
    /// Whether a session uses it that asks for none.
    pub default: bool,
    pub usable: bool,
    /// Why it is not usable: a code and words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub needs_key: bool,
    pub key: Option<KeyView>,
    /// As the configuration has it; absent: as is known of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Tokens that go in, as the configuration has it; absent: as is known of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

impl ModelView {
    /// Leaves what is to be known to choose a model: nothing of keys and addresses.
    pub fn veil(&mut self) {
        self.key = None;
        self.base_url.clear();
    }
}

struct Found {
    key: SecretString,
    view: KeyView,
}

impl Book {
    /// Over the configuration and what is kept in the data directory. All keys are hidden from here on.
    pub fn open(
        config: &Config,
        data_dir: &Path,
        secrets: Secrets,
        adapter: Box<Adapter>,
    ) -> Result<Self, VaultFailed> {
        let mut configured = BTreeMap::new();
        for (name, group) in &config.models {
            // A file that can't be read was told as a fault of the configuration.
            if let Ok(Some((key, source))) = group.configured_key() {
                secrets.add(key.expose_secret());
                configured.insert(name.clone(), (key, source));
            }
        }
        let vault = Vault::open(data_dir, config.core.master_key.clone())?;
        for (holder, name, kept) in vault.all() {
            if let Some(key) = kept.key {
                secrets.put(holder.subject(), &name, Some(key.expose_secret()));
            }
        }
        say_unreadable(&vault);
        Ok(Self {
            groups: config.models.clone(),
            configured,
            model: config.agent.model.clone(),
            condense_model: config.agent.condense_model.clone(),
            vault,
            secrets,
            adapter,
        })
    }

    /// Which model a session uses that asks for none, in the log.
    pub fn say_default(&self) {
        if let Some(model) = self.default_for("") {
            tracing::info!(model, "sessions have a default model");
        } else {
            tracing::info!(
                "no model has a key: set one in the page, or OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY"
            );
        }
    }

    /// All groups, as a user with this subject sees them.
    pub fn views(&self, owner: &str) -> Vec<ModelView> {
        let usual = self.default_for(owner);
        self.groups.keys().filter_map(|name| self.view_of(owner, name, usual.as_deref())).collect()
    }

    /// One of them.
    pub fn view(&self, owner: &str, name: &str) -> Option<ModelView> {
        self.view_of(owner, name, self.default_for(owner).as_deref())
    }

    fn view_of(&self, owner: &str, name: &str, usual: Option<&str>) -> Option<ModelView> {
        let group = self.groups.get(name)?;
        let found = self.key(owner, name);
        let problem = self.settings(owner, name).err();
        let ModelSettings { price, .. } = group.settings(None);
        Some(ModelView {
            name: name.to_owned(),
            provider: group.provider,
            model: group.model.clone(),
            base_url: group.base_url.clone(),
            default: usual == Some(name),
            usable: problem.is_none(),
            code: problem.as_ref().map(NoModel::code),
            reason: problem.as_ref().map(ToString::to_string),
            needs_key: group.needs_key(),
            key: found.ok().flatten().map(|found| found.view),
            price,
            window: Some(group.window).filter(|window| *window > 0),
        })
    }

    /// Keeps a key, which is hidden from here on. Blocks.
    pub fn set_key(&self, holder: &Holder, name: &str, key: &str) -> Result<(), VaultFailed> {
        // Hidden before anybody can be given it, and only if it is taken.
        self.vault.set(holder, name, key, || self.secrets.put(holder.subject(), name, Some(key)))
    }

    /// Forgets a key; whether there was one. Blocks.
    pub fn remove_key(&self, holder: &Holder, name: &str) -> Result<bool, VaultFailed> {
        let was_there = self.vault.remove(holder, name)?;
        self.secrets.put(holder.subject(), name, None);
        Ok(was_there)
    }

    /// Whether there is such a group.
    pub fn knows(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// The key that holds for a user; an error when one is kept that can't be opened.
    fn key(&self, owner: &str, name: &str) -> Result<Option<Found>, NoModel> {
        let own = (Holder::User(owner.to_owned()), KeySource::User);
        for (holder, source) in [own, (Holder::Installation, KeySource::Installation)] {
            match self.vault.get(&holder, name) {
                None => {}
                Some(Kept { key: Some(key), since }) => {
                    return Ok(Some(Found { view: view(&key, source, Some(since)), key }));
                }
                Some(Kept { key: None, .. }) => {
                    let cause = "the master key is another one now; set it again".to_owned();
                    return Err(NoModel::BadKey { name: name.to_owned(), cause });
                }
            }
        }
        let configured = self.configured.get(name).cloned();
        Ok(configured.map(|(key, source)| Found { view: view(&key, source, None), key }))
    }
}

fn view(key: &SecretString, source: KeySource, since: Option<String>) -> KeyView {
    let text = key.expose_secret();
    let end = (text.len() >= TELLS_ITS_END).then(|| text.get(text.len() - 4..)).flatten();
    KeyView { source, ends_with: end.map(str::to_owned), since }
}

/// Keys that the master key of now does not open, and what is to be done: once, at the start.
fn say_unreadable(vault: &Vault) {
    let unreadable = vault.unreadable();
    if unreadable.is_empty() {
        return;
    }
    let (keys, names) = (unreadable.len(), unreadable.join(", "));
    if vault.opened_by_its_file() {
        tracing::warn!(
            keys,
            names,
            "stored keys of models can't be opened with core.master_key, but with master.key of the data directory: set core.master_key to what that file holds, or set the keys again"
        );
    } else {
        tracing::warn!(
            keys,
            names,
            "stored keys of models can't be opened: the master key is another one. bring the earlier core.master_key or master.key back, or set the keys again"
        );
    }
}

impl Models for Book {
    fn default_for(&self, owner: &str) -> Option<String> {
        if !self.model.is_empty() {
            return Some(self.model.clone());
        }
        let names = PREFERRED.into_iter().filter(|name| self.groups.contains_key(*name));
        let others =
            self.groups.keys().map(String::as_str).filter(|name| !PREFERRED.contains(name));
        let has_key = |name: &&str| matches!(self.key(owner, name), Ok(Some(_)));
        names.chain(others).find(has_key).map(str::to_owned)
    }

    fn condenser_of(&self, name: &str) -> String {
        if self.condense_model.is_empty() { name } else { &self.condense_model }.to_owned()
    }

    fn settings(&self, owner: &str, name: &str) -> Result<ModelSettings, NoModel> {
        let group = self.groups.get(name).ok_or_else(|| NoModel::Unknown(name.to_owned()))?;
        let key = self.key(owner, name)?;
        if key.is_none() && group.needs_key() {
            return Err(NoModel::NoKey(name.to_owned()));
        }
        Ok(group.settings(key.map(|found| found.key)))
    }

    fn model(&self, owner: &str, name: &str) -> Result<Arc<dyn Model>, NoModel> {
        let settings = self.settings(owner, name)?;
        (self.adapter)(&settings)
            .map_err(|cause| NoModel::Unusable { name: name.to_owned(), cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{Overrides, load};

    fn book(dir: &Path, text: &str) -> (Book, Secrets) {
        let file = dir.join("staithe.toml");
        std::fs::write(&file, text).unwrap();
        let config = load(Some(&file), &Overrides::default()).unwrap();
        let secrets = Secrets::new(config.secrets());
        let adapter = Box::new(|_: &ModelSettings| Err("none here".to_owned()));
        (Book::open(&config, dir, secrets.clone(), adapter).unwrap(), secrets)
    }

    /// No key of the machine that the test runs on counts.
    const ALONE: &str = "[models.openai]\nkey_env = \"\"\n[models.anthropic]\nkey_env = \"\"\n\
        [models.gemini]\nkey_env = \"\"\n";

    #[test]
    fn ones_own_key_counts_before_the_installations_and_that_before_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let (book, _) = book(
            dir.path(),
            &ALONE.replacen("key_env", "key = \"sk-of-the-config-1234\"\nkey_env", 1),
        );
        let source = |owner: &str| book.view(owner, "openai").unwrap().key.unwrap().source;
        let key = |owner: &str| {
            let settings = book.settings(owner, "openai").unwrap();
            settings.key.unwrap().expose_secret().to_owned()
        };
        assert_eq!(
            (source("ann"), key("ann").as_str()),
            (KeySource::Config, "sk-of-the-config-1234")
        );
        book.set_key(&Holder::Installation, "openai", "sk-of-all-1234567890").unwrap();
        book.set_key(&Holder::User("ann".into()), "openai", "sk-of-ann-1234567890").unwrap();
        assert_eq!((source("ann"), key("ann").as_str()), (KeySource::User, "sk-of-ann-1234567890"));
        assert_eq!(
            (source("bob"), key("bob").as_str()),
            (KeySource::Installation, "sk-of-all-1234567890")
        );
        assert!(book.remove_key(&Holder::User("ann".into()), "openai").unwrap());
        assert_eq!(source("ann"), KeySource::Installation);
        let view = book.view("bob", "openai").unwrap().key.unwrap();
        assert_eq!(view.ends_with.as_deref(), Some("7890"));
        assert!(view.since.is_some());
    }

    #[test]
    fn the_default_is_the_first_that_has_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let (book, secrets) = book(dir.path(), ALONE);
        assert_eq!(book.default_for("ann"), None);
        let view = book.view("ann", "openai").unwrap();
        assert_eq!((view.usable, view.code), (false, Some("model.no_key")));
        assert!(book.view("ann", "ollama").unwrap().usable, "it needs no key");
        let mask = secrets.mask("ann");
        book.set_key(&Holder::User("ann".into()), "gemini", "g-1234567890").unwrap();
        assert_eq!(book.default_for("ann").as_deref(), Some("gemini"));
        assert_eq!(book.default_for("bob"), None);
        book.set_key(&Holder::Installation, "anthropic", "a-1234567890").unwrap();
        assert_eq!(book.default_for("ann").as_deref(), Some("anthropic"));
        let hidden = "<secret_hidden> <secret_hidden>";
        assert_eq!(mask.words().hide("g-1234567890 a-1234567890".into()), hidden);
        let text = "g-1234567890 <secret_hidden>";
        assert_eq!(secrets.mask("bob").words().hide("g-1234567890 a-1234567890".into()), text);
        assert_eq!(book.condenser_of("gemini"), "gemini");
        assert_eq!(book.settings("ann", "none").unwrap_err().code(), "model.unknown_name");
        assert!(
            book.views("ann")
                .iter()
                .all(|view| view.key.as_ref().is_none_or(|key| key.ends_with.is_none()))
        );
    }
}
