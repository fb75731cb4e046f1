//! Which VS Code server there is.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::super::{Trouble, program};
use crate::shell::{Ground, program::is_program};

/// Where images have one, the best first: what Staithe's own builds put there, the reference's images, the `PATH`.
const USUAL: [&str; 4] = [
    "/opt/staithe/vscode/bin/code-server-oss",
    "/openhands/.openvscode-server/bin/openvscode-server",
    "openvscode-server",
    "code-server",
];

/// A server's program.
pub struct Server {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// The first that there is, of `paths` and then of the usual ones.
pub fn find(ground: &Ground, paths: &[String]) -> Result<Server, Trouble> {
    let candidates = paths.iter().map(String::as_str).chain(USUAL);
    let Some(program) = program::find(ground, candidates) else {
        let looked = if paths.is_empty() { "" } else { "plugins.vscode.paths and " };
        return Err(Trouble::lasting(
            format!(
                "There is no VS Code server in this sandbox (looked at {looked}the usual places)."
            ),
            "Have one built into the image: name \"vscode\" in sandbox.plugins and leave \
             sandbox.runtime_container_image empty. Or mount one with sandbox.docker.extra_mounts and name \
             its program in plugins.vscode.paths.",
        ));
    };
    Ok(Server { program, arguments: Vec::new() }).and_then(|server| inner(ground, server))
}

/// code-server's own program is another server around VS Code's, with other flags and a sign-in of its own.
/// VS Code's is within it.
fn inner(ground: &Ground, server: Server) -> Result<Server, Trouble> {
    if server.program.file_name().is_none_or(|name| name != "code-server") {
        return Ok(server);
    }
    let real = server.program.canonicalize().unwrap_or_else(|_| server.program.clone());
    // `<root>/bin/code-server` in its archives, `<root>/out/node/entry.js` in npm's package.
    let roots = real.ancestors().skip(1).take(3);
    let found = roots.map(|root| (root, root.join("lib/vscode/out/server-main.js")));
    let found = found.into_iter().find(|(_, main)| main.is_file());
    let node = found.as_ref().and_then(|(root, _)| node(ground, root));
    match (found, node) {
        (Some((_, main)), Some(program)) => {
            Ok(Server { program, arguments: vec![main.into_os_string()] })
        }
        _ => Err(Trouble::lasting(
            format!(
                "{} is there, but not the VS Code server and the Node that belong to it.",
                server.program.display()
            ),
            "Name the program of an openvscode-server or a code-server-oss in plugins.vscode.paths.",
        )),
    }
}

fn node(ground: &Ground, root: &Path) -> Option<PathBuf> {
    let own = root.join("lib/node");
    Some(own).filter(|node| is_program(node)).or_else(|| program::find(ground, ["node"]))
}
