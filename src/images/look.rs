//! What a base image has, seen by looking into it.

use std::collections::BTreeMap;

use staithe_engine::{
    EngineFailed,
    images::{Found, ImageInfo, Images},
};
use staithe_image::{
    base::{self, BaseFacts},
    inputs::Inputs,
    places,
};

/// Looks into an image that is there.
pub(super) async fn into(
    images: &dyn Images,
    image: &ImageInfo,
    inputs: &Inputs,
) -> Result<BaseFacts, EngineFailed> {
    let mut found = images.look_into(&image.id, &places::look_at(), false).await?;
    found.extend(images.look_into(&image.id, places::READ, true).await?);
    let found: BTreeMap<String, Option<Vec<u8>>> = found
        .into_iter()
        .map(|(path, found)| match found {
            Found::File(content) => (path, content),
            Found::Folder => (path, None),
        })
        .collect();
    Ok(base::facts(&found, &image.user).with_system(inputs.system))
}
