//! The files that every build is made with, compiled in. Pure.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The Node that `node.lock` pins.
pub const NODE_VERSION: &str = "22.20.0";
/// The VS Code server whose checksum is known here.
pub const VSCODE_VERSION: &str = "4.112.0";
/// What npm says of that version's package.
pub(super) const VSCODE_CHECKSUM: &str = "sha512-syY0Jyggi+Cz3fvdS8fLz0hvx5HeN05qJPqlM7QTNCbHGCMgQcH9tdS7LytaMwS5sbsRiXfRZF9XZWSXtzma4Q==";

macro_rules! runtime {
    ($name:literal) => {
        include_str!(concat!("../../../../templates/runtime/", $name))
    };
}

pub(crate) const TEMPLATE: &str = runtime!("Dockerfile.tera");
pub(super) const JUPYTER_LOCK: &str = runtime!("jupyter.lock");
pub(super) const NODE_LOCK: &str = runtime!("node.lock");

/// Files of every context: name, executable, content.
pub(crate) const SHIPPED: [(&str, bool, &str); 8] = [
    ("bin/staithe-sbom", true, runtime!("bin/staithe-sbom")),
    ("bin/staithe-user", true, runtime!("bin/staithe-user")),
    ("lib.sh", false, runtime!("lib.sh")),
    ("make-jupyter", true, runtime!("make-jupyter")),
    ("make-root", true, runtime!("make-root")),
    ("make-vscode", true, runtime!("make-vscode")),
    ("vscode.lock", false, runtime!("vscode.lock")),
    ("with-ca", true, runtime!("with-ca")),
];

/// Hex SHA-256 over every shipped file: whoever changes one gets images of another name.
pub fn recipe_digest() -> String {
    let mut hasher = Sha256::new();
    for part in counted().into_iter().flat_map(|(name, text)| [name, text]) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    HEXLOWER.encode(&hasher.finalize())
}

/// What is in the digest, by name.
pub(super) fn counted() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("Dockerfile.tera", TEMPLATE),
        ("jupyter.lock", JUPYTER_LOCK),
        ("node.lock", NODE_LOCK),
        // No file, but it decides just as much.
        ("vscode", VSCODE_CHECKSUM),
    ];
    all.extend(SHIPPED.map(|(name, _, text)| (name, text)));
    all
}
