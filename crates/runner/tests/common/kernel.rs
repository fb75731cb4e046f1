//! A real kernel gateway, installed once from the same list that images are built with. Needs Python with `venv`, and
//! the first time its package index.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The gateway's program below this folder, made by the list below the workspace's `root` when it isn't there. Takes
/// minutes then.
pub(crate) fn jupyter(root: &Path, folder: &Path) -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let lock = root.join("templates/runtime/jupyter.lock");
        let place = folder.join("jupyter");
        let list = std::fs::read_to_string(&lock).expect("the list of packages");
        // Its programs name the place, so that one that was moved is made anew.
        let wanted = format!("{}\n{list}", place.display());
        let (program, made) = (place.join("bin/jupyter"), place.join("made-from"));
        if std::fs::read_to_string(&made).is_ok_and(|from| from == wanted) {
            return program;
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place));
        run(Command::new(place.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--requirement"])
            .arg(lock));
        std::fs::write(made, wanted).expect("our own folder");
        program
    })
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("python3 is here");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
