//! A stage whose sandboxes have a real kernel and a real browser: on the local engine, those of this machine.

use std::path::Path;

use crate::stage::Stage;

/// With two models, whose agents ask nobody.
pub(crate) async fn stage() -> Stage {
    let jupyter = tokio::task::spawn_blocking(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        crate::kernel::jupyter(root, Path::new(env!("CARGO_TARGET_TMPDIR")))
    });
    let jupyter = jupyter.await.unwrap();
    let prefix = |program: &Path| program.parent().and_then(Path::parent).unwrap().to_owned();
    // Its Python may be one of this machine that lies elsewhere.
    let python = prefix(&jupyter.with_file_name("python").canonicalize().unwrap());
    let mut shown = vec![prefix(jupyter)];
    shown.extend((!python.starts_with("/usr")).then_some(python));
    let tables = format!(
        "confirm = \"never\"\n[sandbox]\nplugins = [\"jupyter\", \"browser\"]\n\
         [sandbox.local]\nread_only_paths = {shown:?}\n\
         [plugins]\ndeadline = \"2m\"\n[plugins.jupyter]\npaths = [\"{}\"]\n",
        jupyter.display(),
    );
    Stage::new(&["", ""], &tables).await
}
