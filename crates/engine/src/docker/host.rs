//! Where the engine is: what the configuration, the environment and docker's contexts say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::unavailable;
use crate::EngineFailed;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Unix(PathBuf),
    Tcp { address: String, tls: Option<Tls> },
    Ssh { destination: String },
}

/// Files of a connection by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) ca: PathBuf,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

impl Tls {
    fn in_dir(dir: &Path) -> Self {
        Self { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") }
    }
}

/// What is read beside the configuration.
pub(super) struct Surroundings {
    /// An environment variable that is set and not empty.
    pub(super) env: fn(&str) -> Option<String>,
    pub(super) home: Option<PathBuf>,
}

impl Surroundings {
    /// The process's.
    pub(super) fn here() -> Self {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { env, home: env("HOME").map(PathBuf::from) }
    }
}

impl Host {
    /// As the docker client looks for it: what is configured, `DOCKER_HOST`, the context in use, the
    /// usual sockets of Docker and Podman.
    pub(super) fn find(configured: &str, around: &Surroundings) -> Result<Self, EngineFailed> {
        if !configured.is_empty() {
            return Self::parse(configured, env_tls(around, "1"));
        }
        if let Some(host) = (around.env)("DOCKER_HOST") {
            let verify = (around.env)("DOCKER_TLS_VERIFY").unwrap_or_default();
            return Self::parse(&host, env_tls(around, &verify));
        }
        if let Some(context) = context_of(around) {
            return in_context(&context, around);
        }
        let runtime_dir = (around.env)("XDG_RUNTIME_DIR").map(PathBuf::from);
        let of_user = |name: &str| runtime_dir.as_ref().map(|dir| dir.join(name));
        let sockets = [
            Some(PathBuf::from("/var/run/docker.sock")),
            of_user("docker.sock"),
            of_user("podman/podman.sock"),
            Some(PathBuf::from("/run/podman/podman.sock")),
        ];
        let there = sockets.into_iter().flatten().find(|socket| socket.exists());
        there.map(Self::Unix).ok_or_else(|| {
            unavailable(
                "no socket of Docker or Podman is on this machine",
                "Install Docker (docker.io) or Podman and start it, set sandbox.docker.host, or use --engine local",
            )
        })
    }

    fn parse(host: &str, tls: Option<Tls>) -> Result<Self, EngineFailed> {
        if let Some(path) = host.strip_prefix("unix://") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if let Some(destination) = host.strip_prefix("ssh://") {
            // What begins with a dash would be an option of ssh.
            let fine = !destination.is_empty() && !destination.starts_with('-');
            if fine && !destination.contains(char::is_whitespace) {
                return Ok(Self::Ssh { destination: destination.trim_end_matches('/').to_owned() });
            }
        }
        for scheme in ["tcp://", "http://", "https://"] {
            if let Some(address) = host.strip_prefix(scheme) {
                let address = address.trim_end_matches('/').to_owned();
                return Ok(Self::Tcp { address, tls });
            }
        }
        Err(unavailable(
            format!("{host:?} is no address of an engine"),
            "Write unix:///path, tcp://host:port or ssh://user@host",
        ))
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp { address, tls } => {
                format!("tcp://{address}{}", if tls.is_some() { " (TLS)" } else { "" })
            }
            Self::Ssh { destination } => format!("ssh://{destination}"),
        }
    }
}

fn env_tls(around: &Surroundings, verify: &str) -> Option<Tls> {
    let asked = !verify.is_empty() && verify != "0";
    let dir = (around.env)("DOCKER_CERT_PATH").map(PathBuf::from);
    let usual = || {
        around
            .home
            .as_ref()
            .map(|home| home.join(".docker"))
            .filter(|dir| dir.join("cert.pem").exists())
    };
    asked.then(|| dir.or_else(usual)).flatten().map(|dir| Tls::in_dir(&dir))
}

#[derive(Deserialize)]
struct ClientConfig {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

fn docker_dir(around: &Surroundings) -> Option<PathBuf> {
    (around.env)("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(around.home.as_ref()?.join(".docker")))
}

/// The context in use, unless it is the default one.
fn context_of(around: &Surroundings) -> Option<String> {
    let configured = || {
        let file = fs::read(docker_dir(around)?.join("config.json")).ok()?;
        Some(serde_json::from_slice::<ClientConfig>(&file).ok()?.current_context)
    };
    let context = (around.env)("DOCKER_CONTEXT").or_else(configured)?;
    (!context.is_empty() && context != "default").then_some(context)
}

fn in_context(context: &str, around: &Surroundings) -> Result<Host, EngineFailed> {
    let bad = |cause: String| {
        unavailable(cause, "Choose another with `docker context use`, or set sandbox.docker.host")
    };
    let dir = docker_dir(around).unwrap_or_default().join("contexts");
    let name = HEXLOWER.encode(&Sha256::digest(context));
    let meta = fs::read(dir.join("meta").join(&name).join("meta.json"))
        .map_err(|e| bad(format!("the docker context {context} can't be read: {e}")))?;
    let meta: Meta = serde_json::from_slice(&meta)
        .map_err(|e| bad(format!("the docker context {context} can't be understood: {e}")))?;
    let endpoint = meta.endpoints.get("docker").filter(|endpoint| !endpoint.host.is_empty());
    let endpoint =
        endpoint.ok_or_else(|| bad(format!("the docker context {context} names no engine")))?;
    let tls = dir.join("tls").join(&name).join("docker");
    Host::parse(&endpoint.host, tls.join("cert.pem").exists().then(|| Tls::in_dir(&tls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(home: &Path, env: fn(&str) -> Option<String>) -> Surroundings {
        Surroundings { env, home: Some(home.to_owned()) }
    }

    #[test]
    fn the_configuration_comes_before_the_environment() {
        let around = Surroundings {
            env: |name| (name == "DOCKER_HOST").then(|| "tcp://elsewhere:2375".to_owned()),
            home: None,
        };
        let found = Host::find("unix:///a.sock", &around).expect("a host");
        assert_eq!(found, Host::Unix("/a.sock".into()));
        let found = Host::find("", &around).expect("a host");
        assert_eq!(found.shown(), "tcp://elsewhere:2375");
    }

    #[test]
    fn tls_is_taken_when_it_is_asked_for() {
        let around = Surroundings {
            env: |name| match name {
                "DOCKER_HOST" => Some("tcp://far:2376".to_owned()),
                "DOCKER_TLS_VERIFY" => Some("1".to_owned()),
                "DOCKER_CERT_PATH" => Some("/certs".to_owned()),
                _ => None,
            },
            home: None,
        };
        let Host::Tcp { tls: Some(tls), .. } = Host::find("", &around).expect("a host") else {
            panic!("no TLS");
        };
        assert_eq!(tls.ca, PathBuf::from("/certs/ca.pem"));
    }

    #[test]
    fn a_context_is_followed() {
        let home = tempfile::tempdir().expect("a directory");
        let docker = home.path().join(".docker");
        let name = HEXLOWER.encode(&Sha256::digest("far"));
        let meta = docker.join("contexts/meta").join(name);
        fs::create_dir_all(&meta).expect("a folder");
        fs::write(docker.join("config.json"), r#"{"currentContext":"far"}"#).expect("written");
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://me@far"}}}"#;
        fs::write(meta.join("meta.json"), text).expect("written");
        let found = Host::find("", &around(home.path(), |_| None)).expect("a host");
        assert_eq!(found, Host::Ssh { destination: "me@far".into() });
        fs::remove_dir_all(&meta).expect("removed");
        let failed = Host::find("", &around(home.path(), |_| None)).expect_err("no such context");
        assert!(failed.to_string().contains("context far"), "{failed}");
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        let nothing = Surroundings { env: |_| None, home: None };
        for host in
            ["ssh://-oProxyCommand=x", "ssh://", "ssh://a b", "ftp://x", "/var/run/docker.sock"]
        {
            assert!(Host::find(host, &nothing).is_err(), "{host}");
        }
    }
}
