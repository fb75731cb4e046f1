//! Durations and sizes as people write them: `"10s"`, `"64MiB"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// A duration; a bare number is seconds, as in the reference's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A size in bytes; a bare number is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Whole seconds of a time on the command line: `90s`, `10m`; a bare number is seconds.
pub fn seconds(text: &str) -> Result<u64, String> {
    let millis = parse(text, &SPANS).or_else(|| parse(&format!("{text}s"), &SPANS));
    let seconds = millis.map(|millis| millis.div_ceil(1000));
    seconds.ok_or_else(|| "a time such as 90s, 10m or 2h is expected".to_owned())
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = match Written::deserialize(deserializer)? {
            Written::Number(seconds) => seconds.checked_mul(1000),
            Written::Text(text) => {
                parse(&text, &SPANS).or_else(|| parse(&format!("{text}s"), &SPANS))
            }
        };
        let millis = millis.ok_or_else(|| {
            D::Error::custom("a duration such as \"10s\", \"5m\" or \"1h\" is expected")
        })?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Some(bytes),
            Written::Text(text) => {
                parse(&text, &SIZES).or_else(|| parse(&format!("{text}B"), &SIZES))
            }
        };
        bytes.map(Self).ok_or_else(|| D::Error::custom("a size such as \"64MiB\" is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_people_write_them() {
        for (text, millis) in
            [("10s", 10_000), ("5m", 300_000), ("250ms", 250), ("7d", 604_800_000)]
        {
            assert_eq!(parse(text, &SPANS), Some(millis), "{text}");
        }
        assert_eq!(parse("64MiB", &SIZES), Some(64 << 20));
        for bad in ["", "s", "-1s", "1 year", "99999999999999999999s", "1.5s"] {
            assert_eq!(parse(bad, &SPANS), None, "{bad}");
        }
    }
}
