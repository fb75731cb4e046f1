//! Groups of models by name, and what they are in the words of the agent's crate.

use std::{collections::BTreeMap, env, fs, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use staithe_agent::settings::{ModelSettings, Price, Provider};

use super::units::Span;

/// A file of a key is no longer, in bytes.
const MOST_KEY: usize = 4096;

/// One group. What a user's own leaves out is as here, which is as `config.toml` shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    pub model: String,
    pub provider: Provider,
    pub base_url: String,
    pub key: SecretString,
    pub key_file: PathBuf,
    pub key_env: String,
    pub native_tools: Choice,
    pub vision: Choice,
    pub window: u64,
    pub max_output: u64,
    pub temperature: f64,
    pub reasoning: String,
    pub caching: bool,
    pub price: GroupPrice,
    pub silence: Span,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            model: String::new(),
            provider: Provider::Openai,
            base_url: String::new(),
            key: SecretString::default(),
            key_file: PathBuf::new(),
            key_env: String::new(),
            native_tools: Choice::Auto,
            vision: Choice::Auto,
            window: 0,
            max_output: 0,
            temperature: -1.0,
            reasoning: String::new(),
            caching: true,
            price: GroupPrice::default(),
            silence: Span(Duration::from_mins(2)),
        }
    }
}

/// What may be known of the model, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    Auto,
    Yes,
    No,
}

impl Choice {
    fn known(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Yes => Some(true),
            Self::No => Some(false),
        }
    }
}

/// US dollars for a million tokens; see `config.toml` for what −1 is.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupPrice {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_write: f64,
}

impl Default for GroupPrice {
    fn default() -> Self {
        Self { input: -1.0, output: -1.0, cache_read: -1.0, cache_write: -1.0 }
    }
}

impl GroupPrice {
    fn known(self) -> Option<Price> {
        let or_input = |price: f64| if price < 0.0 { self.input } else { price };
        (self.input >= 0.0).then(|| Price {
            input: self.input,
            output: self.output,
            cache_read: or_input(self.cache_read),
            cache_write: or_input(self.cache_write),
        })
    }
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The user set it.
    User,
    /// An operator set it for all.
    Installation,
    /// It stands in the configuration.
    Config,
    File,
    Environment,
}

impl Group {
    /// The key that the configuration leads to. An error says why a file can't be used.
    pub fn configured_key(&self) -> Result<Option<(SecretString, KeySource)>, String> {
        if !self.key.expose_secret().is_empty() {
            return Ok(Some((self.key.clone(), KeySource::Config)));
        }
        if !self.key_file.as_os_str().is_empty() {
            let text = fs::read_to_string(&self.key_file)
                .map_err(|error| format!("{}: {error}", self.key_file.display()))?;
            let key = text.trim();
            if key.is_empty() || key.len() > MOST_KEY {
                return Err(format!("{}: holds no key", self.key_file.display()));
            }
            return Ok(Some((key.into(), KeySource::File)));
        }
        let name = Some(&self.key_env).filter(|name| !name.is_empty());
        let key = name.and_then(|name| env::var(name).ok());
        let key = key.filter(|key| !key.trim().is_empty());
        Ok(key.map(|key| (key.trim().into(), KeySource::Environment)))
    }

    /// Whether it is asked without a key where none is there: one's own server may want none.
    pub fn needs_key(&self) -> bool {
        self.provider != Provider::Ollama && self.base_url.is_empty()
    }

    /// The group with a key.
    pub fn settings(&self, key: Option<SecretString>) -> ModelSettings {
        ModelSettings {
            model: self.model.clone(),
            provider: self.provider,
            base_url: self.base_url.clone(),
            key,
            native_tools: self.native_tools.known(),
            vision: self.vision.known(),
            window: self.window,
            max_output: self.max_output,
            temperature: (self.temperature >= 0.0).then_some(self.temperature),
            reasoning: Some(self.reasoning.clone()).filter(|reasoning| !reasoning.is_empty()),
            caching: self.caching,
            price: self.price.known(),
            silence: self.silence.0,
        }
    }
}

/// What is wrong with the groups.
pub(super) fn faults(groups: &BTreeMap<String, Group>) -> Vec<String> {
    groups.iter().flat_map(|(name, group)| of_group(name, group)).collect()
}

fn of_group(name: &str, group: &Group) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |good: bool, key: &str, fault: &str| {
        if !good {
            faults.push(format!("models.{name}.{key}: {fault}"));
        }
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    let good = !name.is_empty() && name.len() <= 64 && name.chars().all(plain);
    check(good, "*", "a group's name is up to 64 of a-z, 0-9, - and _");
    check(!group.model.trim().is_empty(), "model", "the provider's name of the model is needed");
    let url = &group.base_url;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let address = authority.is_some_and(|it| !it.is_empty() && !it.contains('@'));
    check(
        url.is_empty() || address && !url.contains(char::is_whitespace),
        "base_url",
        "an http or https address without user and password",
    );
    let key = group.key.expose_secret();
    let visible = key.len() <= MOST_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    check(visible, "key", "up to 4096 visible ASCII characters without spaces");
    if let Err(fault) = group.configured_key() {
        check(false, "key_file", &fault);
    }
    check((-1.0..=2.0).contains(&group.temperature), "temperature", "0 to 2, or -1");
    check(
        ["", "low", "medium", "high"].contains(&group.reasoning.as_str()),
        "reasoning",
        "low, medium, high or empty",
    );
    let GroupPrice { input, output, cache_read, cache_write } = group.price;
    let amounts = [input, output, cache_read, cache_write];
    check(amounts.iter().all(|price| price.is_finite()), "price", "numbers are expected");
    check(input < 0.0 || output >= 0.0, "price", "with input, output is needed too");
    check(!group.silence.0.is_zero(), "silence", "more than 0s");
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{Overrides, SHIPPED, load};

    #[test]
    fn the_shipped_groups_show_every_key_and_its_default() {
        let shipped: toml::Table = SHIPPED.parse().unwrap();
        let mut shown = shipped["models"]["openai"].as_table().unwrap().clone();
        for name in ["model", "key_env"] {
            shown.remove(name);
        }
        let told: Group = toml::Table::try_into(shown.clone()).unwrap();
        let text = |group: &Group| format!("{group:?}");
        assert_eq!(text(&told), text(&Group::default()));
        // A field that the file does not show is missed by its own name.
        let fields = text(&Group::default());
        let named = |key: &String| fields.contains(&format!("{key}: "));
        assert!(shown.keys().all(named), "{fields}");
        assert_eq!(shown.len() + 2, 15, "{fields}");
    }

    #[test]
    fn a_group_of_ones_own_needs_no_more_than_a_model_and_faults_come_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("staithe.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write("[models.mine]\nmodel = \"m\"\nbase_url = \"http://h/v1\"\n");
        let config = load(Some(&file), &Overrides::default()).unwrap();
        assert_eq!((config.models["mine"].key_env.as_str(), config.models.len()), ("", 5));
        assert!(!config.models["mine"].needs_key());
        write(
            "[models.mine]\nbase_url = \"http://u:p@h/\"\nreasoning = \"much\"\nkey_file = \"/none\"\n\
             [agent]\nmodel = \"other\"\n[agent.view]\nfill = 2.0\n[git.tokens]\n\"git.example\" = \"x\"\n",
        );
        let denied = load(Some(&file), &Overrides::default()).unwrap_err().to_string();
        for key in [
            "models.mine.model",
            "models.mine.base_url",
            "models.mine.reasoning",
            "models.mine.key_file",
            "agent.model",
            "agent.view.fill",
            "git.tokens.git.example",
        ] {
            assert!(denied.contains(key), "{key}: {denied}");
        }
        write("[models.mine]\nmodell = \"m\"\n");
        let denied = load(Some(&file), &Overrides::default()).unwrap_err().to_string();
        assert!(denied.contains("models.mine.modell") && denied.contains("unknown"), "{denied}");
    }

    #[test]
    fn no_key_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("staithe.toml");
        let text = "[core]\nmaster_key = \"master-key-master-key-master-key\"\n\
            [models.openai]\nkey = \"sk-shown-never\"\n[git.tokens]\n\"git.example\" = \"ann:tok-shown-never\"\n";
        std::fs::write(&file, text).unwrap();
        let shown = crate::config::load::show(Some(&file), &Overrides::default()).unwrap();
        let config = load(Some(&file), &Overrides::default()).unwrap();
        let secrets = config.secrets();
        for secret in ["master-key-master", "sk-shown-never", "tok-shown-never"] {
            assert!(!shown.contains(secret), "{shown}");
            assert!(!format!("{config:?}").contains(secret));
            assert!(secrets.iter().any(|it| it.starts_with(secret)), "{secret}");
        }
        assert!(shown.contains("\"git.example\" = \"***\""), "{shown}");
    }
}
