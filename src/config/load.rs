//! Where values come from: the shipped file, the user's file, the environment, flags; in that order.

use std::path::{Path, PathBuf};

use config::{File, FileFormat};

use super::Config;

/// The shipped defaults, compiled in.
pub const SHIPPED: &str = include_str!("../../config.toml");
/// Tables whose keys are the user's own.
const FREE_TABLES: [&str; 5] = [
    "sandbox.runtime_startup_env_vars",
    "sandbox.secret_env",
    "sandbox.image.build_args",
    "git.tokens",
    "mcp.servers",
];
/// The table whose tables are the user's own, and the one that shows which keys they have.
const GROUPS: &str = "models";
const GROUP: &str = "models.openai";

/// Values from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides(pub Vec<(&'static str, String)>);

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration can't be used:\n{}", .0.iter().map(|f| format!("  - {f}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigDenied(pub Vec<String>);

/// The effective configuration, checked whole: all its faults are told at once.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigDenied> {
    let (config, _) = layers(file, overrides)?;
    let faults = config.faults();
    if faults.is_empty() { Ok(config) } else { Err(ConfigDenied(faults)) }
}

/// The effective configuration as TOML, secrets masked.
pub fn show(file: Option<&Path>, overrides: &Overrides) -> Result<String, ConfigDenied> {
    let (_, mut tree) = layers(file, overrides)?;
    redact(&mut tree, "");
    toml::to_string(&tree).map_err(|error| ConfigDenied(vec![error.to_string()]))
}

fn layers(
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<(Config, toml::Table), ConfigDenied> {
    let denied = |fault: String| ConfigDenied(vec![fault]);
    let shipped: toml::Table = SHIPPED.parse().expect("the shipped file is checked by a test");
    let mut builder =
        config::Config::builder().add_source(File::from_str(SHIPPED, FileFormat::Toml));
    let mut unknown = Vec::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| denied(format!("{}: {error}", path.display())))?;
        let table: toml::Table =
            text.parse().map_err(|error| denied(format!("{}: {error}", path.display())))?;
        collect_unknown(&table, &shipped, "", &path.display().to_string(), &mut unknown);
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with("STAITHE__").then_some((name, value))
    });
    for (name, value) in environment {
        let Ok(value) = value.into_string() else {
            unknown.push(format!("{name} in the environment: not UTF-8"));
            continue;
        };
        let key = name["STAITHE__".len()..].to_lowercase().replace("__", ".");
        let free = FREE_TABLES.iter().find(|table| key.starts_with(&format!("{table}.")));
        // Names in free tables keep their case: they become environment variables.
        let key = free.map_or(key.clone(), |table| {
            let last = name.rsplit("__").next().unwrap_or_default();
            format!("{table}.{last}")
        });
        if free.is_none() && lookup(&shipped, &key).is_none() {
            unknown.push(format!("{name} in the environment: unknown{}", nearest(&key, &shipped)));
        }
        builder = set(builder, &key, value, &shipped).map_err(|e| denied(e.to_string()))?;
    }
    if !unknown.is_empty() {
        return Err(ConfigDenied(unknown));
    }
    for (key, value) in &overrides.0 {
        builder = builder.set_override(*key, value.clone()).map_err(|e| denied(e.to_string()))?;
    }
    let built = builder.build().map_err(|error| denied(error.to_string()))?;
    let tree: toml::Table =
        built.clone().try_deserialize().map_err(|error| denied(error.to_string()))?;
    let config = built.try_deserialize().map_err(|error| denied(error.to_string()))?;
    Ok((config, tree))
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

/// Sets a value from the environment; a list is written with commas.
fn set(
    builder: Builder,
    key: &str,
    value: String,
    shipped: &toml::Table,
) -> Result<Builder, config::ConfigError> {
    if matches!(lookup(shipped, key), Some(toml::Value::Array(_))) {
        let items: Vec<String> =
            value.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        return builder.set_override(key, items);
    }
    builder.set_override(key, value)
}

fn lookup<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    // Any group has the keys of the one that shows them.
    let in_group = key.strip_prefix(GROUPS).and_then(|rest| rest.strip_prefix('.'));
    let shown =
        in_group.and_then(|rest| rest.split_once('.')).map(|(_, key)| format!("{GROUP}.{key}"));
    let key = match (&shown, in_group) {
        (Some(shown), _) => shown,
        (None, Some(_)) => GROUP,
        (None, None) => key,
    };
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    Some(value)
}

fn collect_unknown(
    table: &toml::Table,
    shipped: &toml::Table,
    path: &str,
    file: &str,
    unknown: &mut Vec<String>,
) {
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if FREE_TABLES.contains(&key.as_str()) {
            continue;
        }
        match (lookup(shipped, &key), value) {
            (None, _) => {
                unknown.push(format!("{key} in {file}: unknown{}", nearest(&key, shipped)));
            }
            (Some(toml::Value::Table(_)), toml::Value::Table(inner)) => {
                collect_unknown(inner, shipped, &key, file, unknown);
            }
            (Some(toml::Value::Table(_)), _) => {
                unknown.push(format!("{key} in {file}: a table is expected"));
            }
            _ => {}
        }
    }
}

/// Every key of the shipped file.
pub fn keys(table: &toml::Table, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            toml::Value::Table(inner) if key != GROUPS && !FREE_TABLES.contains(&key.as_str()) => {
                all.extend(keys(inner, &key));
            }
            _ => all.push(key),
        }
    }
    all
}

fn nearest(key: &str, shipped: &toml::Table) -> String {
    let best = keys(shipped, "")
        .into_iter()
        .map(|known| (strsim::jaro_winkler(key, &known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.7)
        .map_or(String::new(), |(_, known)| format!("; did you mean {known}?"))
}

fn redact(table: &mut toml::Table, path: &str) {
    for (name, value) in table.iter_mut() {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let secret =
            ["core.jwt_secret", "core.master_key", "auth.access_token", "auth.operator_token"]
                .contains(&key.as_str())
                || ["sandbox.secret_env", "git.tokens"].contains(&path)
                || (path.starts_with("models.") && name == "key")
                || super::mcp::is_secret(path, name);
        match value {
            toml::Value::Table(inner) => redact(inner, &key),
            toml::Value::String(text) if secret && !text.is_empty() => "***".clone_into(text),
            _ => {}
        }
    }
}

/// The data directory that holds, by the XDG base directory specification when none is set.
pub fn data_dir(config: &Config) -> Result<PathBuf, ConfigDenied> {
    if !config.server.data_dir.as_os_str().is_empty() {
        return std::path::absolute(&config.server.data_dir)
            .map_err(|error| ConfigDenied(vec![format!("server.data_dir: {error}")]));
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("staithe"))
        .ok_or_else(|| {
            ConfigDenied(vec!["server.data_dir: neither HOME nor XDG_STATE_HOME is set".into()])
        })
}
