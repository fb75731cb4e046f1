//! Pictures in base64 taken out of text: they are no words, and many. Pure.

use std::borrow::Cow;

/// How pictures begin in base64: PNG, JPEG, GIF, WebP.
const STARTS: [&str; 4] = ["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR"];
/// Begins the data of a data URL.
const DATA: &str = ";base64,";
/// Shorter runs may be anything.
const LEAST: usize = 200;
const PLACE: &str = "[picture in base64 left out]";

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// The same text with a note in the place of each picture.
pub(super) fn without(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if !is_base64(bytes[at]) {
            at += 1;
            continue;
        }
        let end = bytes[at..].iter().position(|b| !is_base64(*b)).map_or(bytes.len(), |n| at + n);
        // ASCII borders a run on both sides, or the text's ends do, so these are places between characters.
        let run = &text[at..end];
        let is_picture = run.len() >= LEAST
            && (text[..at].ends_with(DATA) || STARTS.iter().any(|start| run.starts_with(start)));
        if is_picture {
            kept.push_str(&text[copied..at]);
            kept.push_str(PLACE);
            copied = end + bytes[end..].iter().take(2).take_while(|b| **b == b'=').count();
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[copied..]);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_and_everything_else_stays() {
        let png = format!("iVBORw0KGgo{}==", "Ab1/".repeat(80));
        assert_eq!(without(&png), PLACE);
        assert_eq!(without(&format!("a={png}=")), format!("a={PLACE}="));
        let any = "Zm9v".repeat(60);
        assert_eq!(
            without(&format!("ä![](data:image/svg+xml;base64,{any}) b\n{png}\nende")),
            format!("ä![](data:image/svg+xml;base64,{PLACE}) b\n{PLACE}\nende")
        );
        for text in ["", "iVBORw0KGgo short", "words and more words", &any, "日本語"] {
            assert_eq!(without(text), text);
        }
    }
}
