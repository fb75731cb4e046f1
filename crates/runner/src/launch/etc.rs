//! What of the host's `/etc` a sandbox sees: programs need these, and none of them is a secret.
//!
//! Nothing is ever taken as a whole that holds keys somewhere (`ssl/private`, `pki/tls/private`).

use std::{fs, path::PathBuf};

/// Names below `/etc`. One that ends in `*` stands for all with that beginning.
const HARMLESS: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "bash_completion.d",
    "ca-certificates",
    "ca-certificates.conf",
    "chromium.d",
    "debian_version",
    "fonts",
    "gai.conf",
    "gitconfig",
    "host.conf",
    "hosts",
    "inputrc",
    "java-*",
    "ld.so.*",
    "locale.alias",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mime.types",
    "nanorc",
    "networks",
    "nsswitch.conf",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python*",
    "R",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "skel",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "vim",
    "xattr.conf",
];

/// Accounts as the sandbox sees them.
pub(super) const PASSWD: &str = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
    staithe:x:1000:1000:staithe:/workspace:/bin/bash\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

/// Groups as the sandbox sees them.
pub(super) const GROUP: &str = "root:x:0:\ntty:x:5:\nstaithe:x:1000:\nnogroup:x:65534:\n";

/// The harmless paths that this host has.
pub(super) fn harmless() -> Vec<PathBuf> {
    let all: Vec<String> = fs::read_dir("/etc")
        .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    let mut paths = Vec::new();
    for name in HARMLESS {
        if let Some(beginning) = name.strip_suffix('*') {
            let alike = all.iter().filter(|n| n.starts_with(beginning));
            paths.extend(alike.map(|n| PathBuf::from("/etc").join(n)));
        } else {
            paths.push(PathBuf::from("/etc").join(name));
        }
    }
    paths.retain(|p| p.exists()); // also false for a symlink that leads nowhere
    paths
}
