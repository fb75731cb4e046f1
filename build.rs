//! Builds the runner as one static binary and leaves it where `src/boot.rs` embeds it; and what the
//! page loads (`web/embed.rs`).
//!
//! It has its own target directory: `+crt-static` must not reach build scripts and macros, and cargo
//! holds a lock on the outer one. Why not musl, and what is measured: `docs/decisions/002-runner.md`.

#[path = "web/embed.rs"]
mod embed;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let target = env::var("TARGET").expect("cargo sets it");
    for watched in [
        "crates/runner/src",
        "crates/runner/Cargo.toml",
        "crates/protocol/src",
        "Cargo.lock",
        "static",
        "templates",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-env-changed=STAITHE_RUNNER");
    embed::embed(&root, &out, &target_dir(&out));
    // For the benches, which measure the very binary that is embedded.
    println!("cargo::rustc-env=OUT_DIR_OF_STAITHE={}", out.display());
    let runner = out.join("staithe-runner");
    if let Some(ready) = env::var_os("STAITHE_RUNNER") {
        fs::copy(&ready, &runner).expect("STAITHE_RUNNER names a runner that was built before");
        tell_hash(&runner);
        return;
    }
    // Beside the outer target directory's own folders, so that profiles share one build of it.
    let shared = target_dir(&out).join("runner");
    let built = build(&root, &shared, &target);
    fs::copy(built, &runner).expect("the runner was just built");
    tell_hash(&runner);
}

/// The server names the runner by its content. Told here, so that no start has to read it, which would
/// keep it in memory.
fn tell_hash(runner: &Path) {
    let hash = Sha256::digest(fs::read(runner).expect("the runner was just copied"));
    let hash = HEXLOWER.encode(&hash[..8]);
    println!("cargo::rustc-env=STAITHE_RUNNER_HASH={hash}");
}

fn build(root: &Path, target_dir: &Path, target: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--package", "staithe-runner", "--bin", "staithe-runner"])
        .args(["--profile", "runner", "--target", target])
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Clippy's and other wrappers are for the outer build.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER");
    let status = command.status().expect("cargo, which runs this script, can be run");
    assert!(
        status.success(),
        "the static runner could not be built; a C library for static linking is needed \
         (Debian: apt-get install gcc libc6-dev)"
    );
    target_dir.join(target).join("runner").join("staithe-runner")
}

/// `<target>/<profile>/build/<package>/out` → `<target>`.
fn target_dir(out: &Path) -> PathBuf {
    out.ancestors().nth(4).expect("cargo's layout of OUT_DIR").to_owned()
}
