//! What a session's sandbox is made from.

use staithe_engine::{
    Engine, LABEL_CONFIG, LABEL_GENERATION, LABEL_IMAGE, LABEL_OWNER, LABEL_SESSION, Labels,
    SandboxSpec,
};
use staithe_protocol::Generation;

use super::Origin;
use crate::images::supply::Supply;

/// The specification for an attempt.
pub(super) fn of(origin: &Origin, generation: Generation) -> SandboxSpec {
    let mut spec = SandboxSpec {
        name: format!("{}{}", origin.settings.name_prefix, origin.session_id),
        session: Some(origin.session_id),
        generation,
        labels: Labels::from([
            (LABEL_SESSION.to_owned(), origin.session_id.to_string()),
            (LABEL_GENERATION.to_owned(), generation.to_string()),
            (LABEL_OWNER.to_owned(), origin.owner.clone()),
        ]),
        image: origin.image.as_deref().map(|asked| resolve(origin.supply.as_ref(), asked)),
        resources: origin.resources,
        workspace: origin.workspace.clone(),
        key: origin.key.clone(),
        env: origin.settings.env.clone(),
    };
    describe(&mut spec, &*origin.engine);
    spec
}

/// The image that sandboxes are made of when `asked` is asked for.
pub(crate) fn resolve(supply: Option<&Supply>, asked: &str) -> String {
    supply.map_or_else(|| asked.to_owned(), |supply| supply.name_of(asked))
}

/// Adds the labels that say what it is made from.
pub(crate) fn describe(spec: &mut SandboxSpec, engine: &dyn Engine) {
    if let Some(image) = &spec.image {
        spec.labels.insert(LABEL_IMAGE.to_owned(), image.clone());
    }
    if let Some(config) = engine.config_of(spec) {
        spec.labels.insert(LABEL_CONFIG.to_owned(), config);
    }
}

/// The labels that say whose it is.
pub(super) fn mine(spec: &SandboxSpec) -> Labels {
    [LABEL_SESSION, LABEL_OWNER]
        .into_iter()
        .filter_map(|label| Some((label.to_owned(), spec.labels.get(label)?.clone())))
        .collect()
}
