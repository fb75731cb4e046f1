//! Where a path leads, and what lies there. Pure: by its letters alone.

/// Names in a path behind which secrets lie.
const SECRET: [&str; 18] = [
    ".ssh/",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    ".aws/",
    ".netrc",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".kube/config",
    ".docker/config.json",
    ".gnupg",
    "/etc/shadow",
    "/etc/sudoers",
    "/environ",
    ".config/gcloud",
    ".cargo/credentials",
    "credentials.json",
];

/// Whether a text names a place of secrets.
pub(super) fn is_secret(text: &str) -> bool {
    SECRET.iter().any(|name| text.contains(name))
        || text.rsplit('/').next() == Some(".ssh")
        || is_dotenv(text)
}

/// `.env`, but not `.env.example`.
fn is_dotenv(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or_default();
    name == ".env" || matches!(name, ".env.local" | ".env.production")
}

/// The session's own files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    workspace: String,
}

impl Place {
    pub(super) fn new(workspace: &str) -> Self {
        Self { workspace: normal(workspace).unwrap_or_else(|| "/".to_owned()) }
    }

    pub(super) fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Where a path leads, seen from a folder; none if that can't be known.
    pub(super) fn resolved(path: &str, from: Option<&str>) -> Option<String> {
        if path.starts_with('~') {
            return None;
        }
        if path.starts_with('/') {
            return normal(path);
        }
        normal(&format!("{}/{path}", from?))
    }

    /// Whether a path may lead out of the workspace and of what is temporary.
    pub(super) fn is_outside(&self, path: &str, from: Option<&str>) -> bool {
        if matches!(path, "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty") {
            return false;
        }
        let Some(path) = Self::resolved(path, from) else { return true };
        let below = |folder: &str| {
            let folder = folder.trim_end_matches('/');
            !folder.is_empty()
                && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        !(path == self.workspace || below(&self.workspace) || below("/tmp"))
    }
}

/// An absolute path without `.`, `..` and doubled slashes; none if it climbs above the root.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
