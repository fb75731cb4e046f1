//! How images are built here, as the configuration says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{faults::MakeFailed, upkeep};
use crate::config::{BuilderChoice, Config, Pull, Rebuild};

/// How images are built here, by value.
#[derive(Clone, Debug)]
pub struct Ways {
    pub repository: String,
    pub owner: String,
    /// Holds logs and locks.
    pub dir: PathBuf,
    pub builder: BuilderChoice,
    pub timeout: Duration,
    /// Bytes and processors that one step may use, as far as the builder can hold that; 0: no limit.
    pub memory: u64,
    pub cpus: f64,
    /// The network of the steps; empty: the builder's own.
    pub network: String,
    /// Certificates of authorities, each with its file's name.
    pub authorities: Vec<(String, Vec<u8>)>,
    /// Finished stages are kept here.
    pub cache_dir: Option<PathBuf>,
    /// When a base is fetched.
    pub fetch: Pull,
    pub rebuild: Rebuild,
    pub keep: upkeep::Policy,
    pub secrets: Vec<String>,
}

impl Ways {
    /// As the configuration says. Reads the folder of certificates.
    pub fn of(config: &Config, owner: &str, data_dir: &Path) -> Result<Self, MakeFailed> {
        let image = &config.sandbox.image;
        let set = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
        Ok(Self {
            repository: image.repository.clone(),
            owner: owner.to_owned(),
            dir: data_dir.join("images"),
            builder: image.builder,
            timeout: image.build_timeout.0,
            memory: config.sandbox.docker.memory.0,
            cpus: config.sandbox.docker.cpus,
            network: image.network.clone(),
            authorities: match set(&image.ca_dir) {
                Some(dir) => authorities(&dir)?,
                None => Vec::new(),
            },
            cache_dir: set(&image.cache_dir),
            fetch: config.sandbox.docker.pull,
            rebuild: image.rebuild,
            keep: upkeep::Policy { keep: image.keep, keep_for: image.keep_for.0 },
            secrets: config.secrets(),
        })
    }
}

/// Every `*.crt` and `*.pem` of a folder.
pub(super) fn authorities(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, MakeFailed> {
    let read = || -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let certificate = path.extension().is_some_and(|end| end == "crt" || end == "pem");
            if let (true, Some(name)) = (certificate, path.file_name()) {
                found.push((name.to_string_lossy().into_owned(), fs::read(&path)?));
            }
        }
        found.sort();
        Ok(found)
    };
    read().map_err(|source| MakeFailed::File {
        what: "the folder of sandbox.image.ca_dir".into(),
        source,
    })
}
