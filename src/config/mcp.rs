//! The MCP servers' part of the configuration, in the words of the agent.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use staithe_agent::mcp::settings::{McpKind, McpServer, McpSettings, McpValue, ToolFilter};

use super::{Config, image::variable, units::Span};

/// Most servers of a session.
const MOST_SERVERS: usize = 16;
/// Most bytes of a file with a secret.
const MOST_SECRET: u64 = 64 * 1024;
/// Headers that are the protocol's own.
const OWN_HEADERS: [&str; 8] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "te",
    "transfer-encoding",
];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    pub timeout: Span,
    pub start_timeout: Span,
    pub restarts: u32,
    pub restart_wait: Span,
    pub servers: BTreeMap<String, Server>,
}

/// One server, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// A program in the sandbox …
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, Written>,
    /// … or an address.
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Written>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    timeout: Option<Span>,
    start_timeout: Option<Span>,
}

/// A value: `"text"`, or where a secret one is.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(SecretString),
    Secret(Place),
}

/// One of the three.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    secret: Option<SecretString>,
    env: Option<String>,
    file: Option<PathBuf>,
}

impl Config {
    /// The servers of every session. Reads the files and variables that hold secrets.
    pub fn mcp_settings(&self) -> Result<McpSettings, Vec<String>> {
        let mcp = &self.mcp;
        let mut faults = Vec::new();
        for (key, span) in [("timeout", mcp.timeout), ("start_timeout", mcp.start_timeout)] {
            faults.extend(span.0.is_zero().then(|| format!("mcp.{key}: must be more than 0")));
        }
        if mcp.servers.len() > MOST_SERVERS {
            faults.push(format!("mcp.servers: at most {MOST_SERVERS}"));
        }
        let mut servers = Vec::new();
        for (name, written) in &mcp.servers {
            match mcp.server(name, written) {
                Ok(server) => servers.push(server),
                Err(fault) => faults.push(format!("mcp.servers.{name}: {fault}")),
            }
        }
        if faults.is_empty() { Ok(McpSettings { servers }) } else { Err(faults) }
    }

    /// What is wrong with them.
    pub(super) fn mcp_faults(&self) -> Vec<String> {
        self.mcp_settings().err().unwrap_or_default()
    }

    /// Their values that must not appear anywhere.
    pub(super) fn mcp_secrets(&self) -> Vec<String> {
        let settings = self.mcp_settings().unwrap_or_default();
        settings.servers.iter().flat_map(|server| server.kind.secrets()).collect()
    }
}

impl Mcp {
    fn server(&self, name: &str, written: &Server) -> Result<McpServer, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return Err("a name is 1 to 32 of A-Z, a-z, 0-9, _ and -".into());
        }
        let kind = match (&written.command, &written.url) {
            (Some(command), None) => written.program(command)?,
            (None, Some(url)) => written.address(url)?,
            _ => return Err("either `command` or `url` is needed".into()),
        };
        let span = |own: Option<Span>, shared: Span| match own.unwrap_or(shared).0 {
            span if span.is_zero() => Err("timeouts must be more than 0".to_owned()),
            span => Ok(span),
        };
        Ok(McpServer {
            name: name.to_owned(),
            kind,
            filter: ToolFilter { allow: written.allow.clone(), deny: written.deny.clone() },
            timeout: span(written.timeout, self.timeout)?,
            start_timeout: span(written.start_timeout, self.start_timeout)?,
            restarts: self.restarts,
            restart_wait: self.restart_wait.0,
        })
    }
}

impl Server {
    fn program(&self, command: &str) -> Result<McpKind, String> {
        if !self.headers.is_empty() {
            return Err("headers: only addresses have them".into());
        }
        if command.is_empty() || self.args.iter().any(|word| word.contains('\0')) {
            return Err("command, args: words without NUL are needed".into());
        }
        let mut env = BTreeMap::new();
        for (name, written) in &self.env {
            variable(name).map_err(|fault| format!("env: {fault}"))?;
            let value = match written {
                Written::Text(text) => McpValue::Plain(text.expose_secret().to_owned()),
                Written::Secret(place) => {
                    McpValue::Secret(place.read().map_err(|fault| format!("env.{name}: {fault}"))?)
                }
            };
            env.insert(name.clone(), value);
        }
        Ok(McpKind::Stdio { command: command.to_owned(), args: self.args.clone(), env })
    }

    fn address(&self, url: &str) -> Result<McpKind, String> {
        if !self.env.is_empty() || !self.args.is_empty() {
            return Err("args, env: only programs have them".into());
        }
        let parsed: hyper::Uri = url.parse().map_err(|_| "url: no address".to_owned())?;
        let is_http = ["http", "https"].contains(&parsed.scheme_str().unwrap_or_default());
        let has_user = parsed.authority().is_none_or(|host| host.as_str().contains('@'));
        if !is_http || has_user || url.contains('#') {
            return Err(
                "url: an http(s) address without user and password is needed; secrets go into headers"
                    .into(),
            );
        }
        let mut headers = BTreeMap::new();
        for (name, written) in &self.headers {
            let lower = name.to_ascii_lowercase();
            let known = name.parse::<hyper::header::HeaderName>().is_ok();
            if !known || lower.starts_with("mcp-") || OWN_HEADERS.contains(&lower.as_str()) {
                return Err(format!("headers: {name} can't be set"));
            }
            let value = match written {
                Written::Text(text) => text.clone(),
                Written::Secret(place) => {
                    place.read().map_err(|fault| format!("headers.{name}: {fault}"))?
                }
            };
            if value.expose_secret().parse::<hyper::header::HeaderValue>().is_err() {
                return Err(format!("headers.{name}: its value can't be sent"));
            }
            headers.insert(name.clone(), value);
        }
        Ok(McpKind::Http { url: url.to_owned(), headers })
    }
}

impl Place {
    fn read(&self) -> Result<SecretString, String> {
        let value = match (&self.secret, &self.env, &self.file) {
            (Some(secret), None, None) => secret.clone(),
            (None, Some(name), None) => std::env::var(name)
                .map_err(|_| format!("the environment has no variable {name}"))?
                .into(),
            (None, None, Some(path)) => read_file(path)?.into(),
            _ => return Err("one of `secret`, `env` and `file` is needed".into()),
        };
        if value.expose_secret().is_empty() {
            return Err("it is empty".into());
        }
        Ok(value)
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let broken = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let file = fs::File::open(path).map_err(broken)?;
    file.take(MOST_SECRET + 1).read_to_string(&mut text).map_err(broken)?;
    if text.len() as u64 > MOST_SECRET {
        return Err(format!("{}: more than {MOST_SECRET} bytes", path.display()));
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Masks what `staithe config show` must not tell of a server: `path` is the table, `name` the key in it.
pub(super) fn is_secret(path: &str, name: &str) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    match parts[..] {
        ["mcp", "servers", _, "env" | "headers"] => true,
        ["mcp", "servers", _, "env" | "headers", _] => name == "secret",
        ["mcp", "servers", _] => name == "url",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(servers: &str) -> Config {
        let mut shipped: toml::Table = crate::config::load::SHIPPED.parse().expect("TOML");
        let servers: toml::Table = servers.parse().expect("TOML");
        let mcp = shipped["mcp"].as_table_mut().expect("a table");
        mcp.insert("servers".into(), servers.into());
        shipped.try_into().expect("a configuration")
    }

    #[test]
    fn values_come_from_where_they_are_and_secrets_are_known() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("key");
        fs::write(&file, "from a file\n").expect("it is written");
        let config = config(&format!(
            "[fetch]\ncommand = 'uvx'\nargs = ['mcp-server-fetch']\nallow = ['fetch']\ntimeout = '5s'\n\
             [fetch.env]\nMODE = 'fast'\nKEY = {{ file = {file:?} }}\nHOME_OF = {{ env = 'PATH' }}\n\
             [web]\nurl = 'https://mcp.example/mcp?k=v'\nheaders = {{ Authorization = 'Bearer abc' }}\n"
        ));
        let settings = config.mcp_settings().expect("it is good");
        let [fetch, web] = &settings.servers[..] else { panic!("two servers") };
        let McpKind::Stdio { env, .. } = &fetch.kind else { panic!("a program") };
        assert!(matches!(&env["MODE"], McpValue::Plain(mode) if mode == "fast"));
        assert!(matches!(&env["KEY"], McpValue::Secret(_)));
        assert_eq!(env["KEY"].expose(), "from a file");
        assert_eq!((fetch.timeout.as_secs(), web.timeout), (5, config.mcp.timeout.0));
        let secrets = config.secrets();
        for secret in ["from a file", "Bearer abc", "abc", "k=v"] {
            assert!(secrets.iter().any(|held| held == secret), "{secret}");
        }
        assert!(!secrets.iter().any(|held| held == "fast"));
        assert!(!format!("{config:?}").contains("Bearer"));
    }

    #[test]
    fn each_fault_is_told_with_its_place() {
        for (written, expected) in [
            ("[a]", "mcp.servers.a: either `command` or `url`"),
            ("[a]\ncommand = 'x'\nurl = 'http://h/'", "either `command` or `url`"),
            ("['a b']\ncommand = 'x'", "a name is 1 to 32"),
            ("[a]\ncommand = 'x'\nheaders = { A = 'b' }", "only addresses have them"),
            ("[a]\nurl = 'http://h/'\nargs = ['b']", "only programs have them"),
            ("[a]\nurl = 'ftp://h/'", "an http(s) address"),
            ("[a]\nurl = 'https://me:word@h/'", "an http(s) address"),
            ("[a]\nurl = 'http://h/'\nheaders = { Host = 'b' }", "Host can't be set"),
            ("[a]\nurl = 'http://h/'\nheaders = { Mcp-Session-Id = 'b' }", "can't be set"),
            ("[a]\nurl = 'http://h/'\nheaders = { 'a b' = 'b' }", "can't be set"),
            (
                "[a]\nurl = 'http://h/'\nheaders = { A = \"b\\nc\" }",
                "headers.A: its value can't be sent",
            ),
            ("[a]\ncommand = 'x'\nenv = { 'A=' = 'b' }", "no name of a variable"),
            (
                "[a]\ncommand = 'x'\nenv = { A = { env = 'STAITHE_NO_SUCH' } }",
                "env.A: the environment has no",
            ),
            ("[a]\ncommand = 'x'\nenv = { A = { file = '/no/such' } }", "env.A: /no/such"),
            (
                "[a]\ncommand = 'x'\nenv = { A = { env = 'B', file = 'C' } }",
                "one of `secret`, `env` and `file`",
            ),
            ("[a]\ncommand = 'x'\nenv = { A = { secret = '' } }", "it is empty"),
            ("[a]\ncommand = 'x'\ntimeout = '0s'", "more than 0"),
        ] {
            let faults = config(written).faults();
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{written}: {faults:?}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secrets_in_it() {
        for (path, name, expected) in [
            ("mcp.servers.a.env", "KEY", true),
            ("mcp.servers.a.headers", "env", true),
            ("mcp.servers.a.headers.Authorization", "secret", true),
            ("mcp.servers.a.headers.Authorization", "env", false),
            ("mcp.servers.a", "url", true),
            ("mcp.servers.a", "command", false),
            ("mcp", "timeout", false),
        ] {
            assert_eq!(is_secret(path, name), expected, "{path}.{name}");
        }
    }
}
