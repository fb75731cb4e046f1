//! How much of a model's window texts fill, as far as that can be told without the model's own count. Pure.

use crate::model::Image;

/// What a picture fills, in quarters of a token.
const IMAGE: u64 = 6_000;

/// A text, in quarters of a token: four letters of ASCII are about one token, one of another script is most of one.
pub(crate) fn text(text: &str) -> u64 {
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    let ascii = text.bytes().filter(u8::is_ascii).count();
    units(ascii) + 3 * units(other)
}

pub(crate) fn images(images: &[Image]) -> u64 {
    units(images.len()) * IMAGE
}

fn units(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How many of its own tokens a model counts for one that was estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gauge {
    ratio: f64,
    learned: bool,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { ratio: 1.0, learned: false }
    }
}

impl Gauge {
    /// Tokens of so many quarters.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; the ratio is positive and small"
    )]
    pub(crate) fn tokens(self, quarters: u64) -> u64 {
        (quarters as f64 / 4.0 * self.ratio).ceil() as u64
    }

    /// Of one question, what was estimated by this and what the provider counted. The first is believed, those after
    /// it half.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn learn(&mut self, estimated: u64, counted: u64) {
        if estimated == 0 || counted == 0 {
            return;
        }
        let seen = (self.ratio * counted as f64 / estimated as f64).clamp(0.25, 4.0);
        self.ratio = if self.learned { f64::midpoint(self.ratio, seen) } else { seen };
        self.learned = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_with_a_token_a_letter_weigh_more() {
        assert_eq!(text("abcdefgh"), 8);
        assert_eq!(text("日本"), 6);
        assert_eq!(images(&[Image(String::new())]), IMAGE);
    }

    #[test]
    fn the_estimate_follows_what_the_provider_counts() {
        let mut gauge = Gauge::default();
        assert_eq!(gauge.tokens(400), 100);
        gauge.learn(100, 150);
        assert_eq!(gauge.tokens(400), 150);
        gauge.learn(150, 100);
        assert_eq!(gauge.tokens(400), 125);
        for nothing in [(0, 5), (5, 0)] {
            gauge.learn(nothing.0, nothing.1);
        }
        assert_eq!(gauge.tokens(400), 125);
        for _ in 0..40 {
            gauge.learn(1, 1_000_000);
        }
        assert!(gauge.tokens(400) <= 400, "never more than four times");
    }
}
