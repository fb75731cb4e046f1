//! What a base image has, seen by looking into it.

use std::collections::BTreeMap;

use staithe_engine::{EngineFailed, images::{Found, ImageInfo, Images}};
use staithe_image::{
    base::{self, BaseFacts},
    inputs::{Inputs, SystemChoice},
};

/// Looks into an image that is there.
pub(super) async fn into(
    images: &dyn Images,
    image: &ImageInfo,
    inputs: &Inputs,
) -> Result<BaseFacts, EngineFailed> {
    let found = images.look_into(&image.id, base::LOOK_AT, true).await?;
    let found: BTreeMap<String, Option<Vec<u8>>> = found
        .into_iter()
        .map(|(path, found)| match found {
            Found::File(content) => (path, content),
            Found::Folder => (path, None),
        })
        .collect();
    Ok(chosen(base::facts(&found, &image.user), inputs.system))
}

/// With the system that the configuration names, whatever was seen.
pub(super) fn chosen(facts: BaseFacts, choice: SystemChoice) -> BaseFacts {
    BaseFacts { system: choice.or(facts.system), ..facts }
}
