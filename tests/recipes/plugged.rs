//! A stage whose sandboxes have a real kernel and a real browser: on docker, those of an image that is made for it.

use crate::{common::docker, recipes, stage::Stage};

/// With two models, whose agents ask nobody.
pub(crate) async fn stage() -> Stage {
    let ca = tempfile::tempdir().unwrap();
    let tables = format!(
        "confirm = \"never\"\n[sandbox]\nbase_container_image = \"{}\"\n\
         plugins = [\"jupyter\", \"browser\"]\n\
         [sandbox.docker]\nhost = \"{}\"\npull = \"never\"\n\
         [sandbox.image]\nrepository = \"{}\"\nbuilder = \"classic\"\nca_dir = \"{}\"\n\
         [plugins]\ndeadline = \"2m\"\n",
        docker::IMAGE,
        docker::host(),
        docker::repository(),
        recipes::authorities_in(ca.path()).display(),
    );
    let env = [
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", ""),
        ("STAITHE__SANDBOX__DOCKER__MEMORY", "2GiB"),
    ];
    let stage = Stage::with(&["", ""], &tables, &env).await;
    let (config, data) = (stage.config(), stage.dir.path().to_owned());
    let built = tokio::task::spawn_blocking(move || recipes::image(&config, &data, &["build"]));
    assert_eq!(built.await.unwrap()["built_from"], "scratch");
    stage
}
