//! `staithe image explain`.

use super::CommandFailed;
use crate::cli::image::ImageExplain;
pub(super) async fn run(_wanted: &ImageExplain) -> Result<(), CommandFailed> { Ok(()) }
