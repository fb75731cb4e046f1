//! Which part of a file a request asks for (RFC 9110 §14). Pure.

use std::ops::Range;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: no range, one that can't be read, or several at once.
    Whole,
    /// These bytes; never none.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

/// By the headers `Range` and `If-Range`, for a file of this size and strong tag (with its quotes).
pub fn asked(range: Option<&str>, if_range: Option<&str>, tag: &str, size: u64) -> Asked {
    if if_range.is_some_and(|wanted| wanted.trim() != tag) {
        return Asked::Whole;
    }
    let Some(spec) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), _) if first >= size => match last.trim() {
            "" => Asked::Nothing,
            text if number(text).is_some() => Asked::Nothing,
            _ => Asked::Whole,
        },
        (Some(first), Some(last)) => Asked::Part(first..size.min(last.saturating_add(1))),
        (Some(first), None) if last.trim().is_empty() => Asked::Part(first..size),
        (None, Some(length)) if first.trim().is_empty() => match size.min(length) {
            0 => Asked::Nothing,
            length => Asked::Part(size - length..size),
        },
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(range: &str) -> Asked {
        asked(Some(range), None, "\"v\"", 10)
    }

    #[test]
    fn parts_are_taken_from_either_end() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("bytes=8-", 8..10),
            ("bytes=8-99999999999999999999999", 8..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
            (" bytes= 1 - 2 ", 1..3),
        ] {
            assert_eq!(check(range), Asked::Part(part), "{range}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_and_what_is_no_range_is_nothing_said() {
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(check(range), Asked::Nothing, "{range}");
        }
        for range in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=4-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=x-1",
            "bytes=1-x",
            "bytes=+1-2",
        ] {
            assert_eq!(check(range), Asked::Whole, "{range}");
        }
        assert_eq!(asked(Some("bytes=-1"), None, "", 0), Asked::Nothing);
    }

    #[test]
    fn a_part_of_another_version_is_never_sent() {
        let part = |tag| asked(Some("bytes=1-"), Some(tag), "\"v\"", 10);
        assert_eq!(part("\"v\""), Asked::Part(1..10));
        assert_eq!(part("\"w\""), Asked::Whole);
        assert_eq!(part("Wed, 21 Oct 2015 07:28:00 GMT"), Asked::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_file_and_is_not_empty(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", size in 0..200_u64) {
            if let Asked::Part(part) = asked(Some(&range), None, "", size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
