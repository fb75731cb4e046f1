//! What the three images of a build are called. Pure.
//!
//! | image | tag |
//! |---|---|
//! | versioned | `oh_v<version>_<base image>_<hash of what counts for the system stage>` |
//! | lock | `oh_v<version>_<hash of what counts up to the deps stage>` |
//! | source | `<lock>_<hash of everything>` |
//!
//! Equal names mean equal inputs, so an image that is there under its name needs no build. Which input counts
//! for which stage is said in [`fields`](crate::fields). A hash counts whole values, so whoever knows all other
//! inputs can try a weak password in one of them against a name.

use crate::{
    fields::{fields, hash, normalised},
    inputs::Inputs,
    refs::{ImageRef, RefDenied},
    stages::Stage,
};

/// What every tag begins with, by which an image's names of ours are known.
pub const TAG_HEAD: &str = "oh_v";
/// Longest tag that registries take.
const MOST_TAG: usize = 128;
/// Most of a base image's name in a tag: its end says more than its beginning.
const MOST_BASE: usize = 96;
/// Most of a version in a tag.
const MOST_VERSION: usize = 40;
/// Digits of a hash in a tag: 82 bits.
const HASH_DIGITS: usize = 16;

/// See the module; each is a whole `repository:tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub source: String,
    pub lock: String,
    pub versioned: String,
}

impl Names {
    /// `repository` has neither tag nor digest. `recipe` is a digest of the template and all that is shipped
    /// with it.
    pub fn of(repository: &str, inputs: &Inputs, recipe: &str) -> Result<Self, RefDenied> {
        let repository = ImageRef::parse(repository)?;
        let inputs = normalised(inputs)?;
        let fields = fields(&inputs, recipe);
        let mut head = format!("{TAG_HEAD}{}", escaped(&inputs.version));
        head.truncate(TAG_HEAD.len() + MOST_VERSION);

        let lock = format!("{head}_{}", h16(hash(&fields, Stage::Deps)));
        let source = format!("{lock}_{}", h16(hash(&fields, Stage::Final)));
        let base = escaped(&inputs.base_image.to_lowercase());
        let room = (MOST_TAG - head.len() - HASH_DIGITS - 2).min(MOST_BASE);
        let base = &base[base.len().saturating_sub(room)..];
        let versioned = format!("{head}_{base}_{}", h16(hash(&fields, Stage::System)));

        let name = |tag: &str| repository.with_tag(tag).map(|image| image.to_string());
        Ok(Self { source: name(&source)?, lock: name(&lock)?, versioned: name(&versioned)? })
    }

    /// The name of the image that a stage ends with.
    pub fn of_stage(&self, stage: Stage) -> &str {
        match stage {
            Stage::System => &self.versioned,
            Stage::Deps => &self.lock,
            Stage::Final => &self.source,
        }
    }
}

/// In characters that a tag may have. ASCII, so it can be cut anywhere.
fn escaped(text: &str) -> String {
    let mut tag = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '/' => tag.push_str("_s_"),
            ':' => tag.push_str("_t_"),
            '@' => tag.push_str("_d_"),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => tag.push(c),
            // The hash tells apart what a cut makes equal, so this need only be readable.
            other => tag.extend(["_x", &format!("{:x}", u32::from(other)), "_"]),
        }
    }
    tag
}

/// The first 16 bytes as one number in base 36, its least digit first, and of that the first 16 digits.
fn h16(hash: [u8; 32]) -> String {
    let mut number =
        hash.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let digit = |value: u128| char::from_digit((value % 36) as u32, 36).unwrap_or('0');
    let mut digits = String::with_capacity(HASH_DIGITS);
    for _ in 0..HASH_DIGITS {
        digits.push(digit(number));
        number /= 36;
    }
    digits
}

#[cfg(test)]
mod tests;
