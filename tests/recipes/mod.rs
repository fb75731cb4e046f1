//! Images made ahead by the command line, of this machine's registries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Where this machine's authorities are, when its own programs are told to look there.
pub(crate) fn authorities() -> Option<String> {
    std::env::var("NODE_EXTRA_CA_CERTS").ok().filter(|path| Path::new(path).exists())
}

/// A folder with them, for `sandbox.image.ca_dir`.
pub(crate) fn authorities_in(dir: &Path) -> PathBuf {
    let ca = dir.join("ca");
    fs::create_dir(&ca).unwrap();
    if let Some(path) = authorities() {
        fs::copy(path, ca.join("machine.crt")).unwrap();
    }
    ca
}

/// What `staithe image …` printed, as JSON.
pub(crate) fn image(config: &Path, data_dir: &Path, words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_staithe"))
        .arg("image")
        .args(words)
        .args(["--json", "--config"])
        .arg(config)
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}
