//! The head of an instruction file: a strict small part of YAML. Pure.
//!
//! ```text
//! ---
//! name: git            # words, 'quoted' or "quoted"
//! triggers: [push, "pull request"]
//! agents:
//!   - CodeActAgent
//! ---
//! ```
//! Keys at the left edge, each once; values are words or a list of words. All else is a fault with its line.

use std::collections::BTreeMap;

/// What a key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Words(String),
    List(Vec<String>),
}

/// What is wrong in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub line: usize,
    pub why: String,
}

/// The keys of the head, and the text behind it. A text without a head has no keys.
pub(super) type Parts<'a> = (BTreeMap<String, Value>, &'a str);

/// Takes a text apart.
pub(super) fn split(text: &str) -> Result<Parts<'_>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n').enumerate();
    let mut read = match lines.next() {
        Some((_, first)) if first.trim_end() == "---" => first.len(),
        _ => return Ok((BTreeMap::new(), text)),
    };
    let mut keys = BTreeMap::new();
    let mut list: Option<(usize, String, Vec<String>)> = None;
    for (at, line) in lines {
        read += line.len();
        let number = at + 1;
        let wrong = |why: &str| Wrong { line: number, why: why.to_owned() };
        let line = line.trim_end();
        if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(item) = item(line) {
            let (.., items) = list.as_mut().ok_or_else(|| wrong("an item of no list"))?;
            items.push(words(item).map_err(|why| wrong(&why))?);
            continue;
        }
        if let Some((started, key, items)) = list.take() {
            close(&mut keys, started, key, items)?;
        }
        if line == "---" {
            return Ok((keys, &text[read..]));
        }
        if line.starts_with([' ', '\t']) {
            return Err(wrong("keys stand at the left edge, and can't hold other keys"));
        }
        let (key, value) = line.split_once(':').ok_or_else(|| wrong("`key: value` is expected"))?;
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if key.is_empty() || !key.chars().all(is_key) {
            return Err(wrong("a key has letters, digits, `_` and `-` only"));
        }
        if keys.contains_key(key) {
            return Err(wrong(&format!("`{key}` is there twice")));
        }
        if !value.is_empty() && !value.starts_with([' ', '\t']) {
            return Err(wrong("a space is missing behind the colon"));
        }
        match value.trim() {
            value if value.is_empty() || value.starts_with('#') => {
                list = Some((number, key.to_owned(), Vec::new()));
            }
            value => {
                let value = self::value(value).map_err(|why| wrong(&why))?;
                keys.insert(key.to_owned(), value);
            }
        }
    }
    Err(Wrong { line: 1, why: "the closing `---` is missing".to_owned() })
}

/// A key without a value is one with no words; a list has items.
fn close(
    keys: &mut BTreeMap<String, Value>,
    line: usize,
    key: String,
    items: Vec<String>,
) -> Result<(), Wrong> {
    let value = if items.is_empty() { Value::Words(String::new()) } else { Value::List(items) };
    match keys.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(Wrong { line, why: "a key is there twice".to_owned() }),
    }
}

/// What stands behind the dash of a list's item.
fn item(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(' ').strip_prefix('-')?;
    rest.strip_prefix(' ').or_else(|| rest.is_empty().then_some(""))
}

fn value(text: &str) -> Result<Value, String> {
    let Some(mut rest) = text.strip_prefix('[') else { return words(text).map(Value::Words) };
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix(']') {
            nothing(behind)?;
            return Ok(Value::List(items));
        }
        if rest.is_empty() {
            return Err("the list is not closed by `]` on its line".to_owned());
        }
        let behind = if rest.starts_with(['"', '\'']) {
            let (text, behind) = quoted(rest)?;
            items.push(text);
            behind
        } else {
            let end = rest.find([',', ']']).unwrap_or(rest.len());
            items.push(plain(rest[..end].trim())?);
            &rest[end..]
        };
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) => next,
            None if behind.starts_with(']') => behind,
            None => return Err("a comma or `]` is missing in the list".to_owned()),
        };
    }
}

/// A word or some, quoted or not, with maybe a comment behind.
fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.starts_with(['"', '\'']) {
        let (value, behind) = quoted(text)?;
        nothing(behind)?;
        return Ok(value);
    }
    let end = text.find(" #").unwrap_or(text.len());
    plain(text[..end].trim_end())
}

/// Only a comment may stand here.
fn nothing(text: &str) -> Result<(), String> {
    match text.trim_start() {
        "" => Ok(()),
        comment if comment.starts_with('#') => Ok(()),
        _ => Err("something stands behind the value".to_owned()),
    }
}

/// Words without quotes: none that mean something else in YAML.
fn plain(text: &str) -> Result<String, String> {
    let is_special = text.starts_with(['&', '*', '!', '|', '>', '{', '[', '%', '@', '`']);
    if is_special || text.contains(": ") || text.ends_with(':') {
        return Err(format!("{:?} has to be in quotes", text.chars().take(40).collect::<String>()));
    }
    Ok(text.to_owned())
}

/// A text in quotes, and what stands behind it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    let quote = letters.next().map(|(_, quote)| quote);
    while let Some((at, letter)) = letters.next() {
        if Some(letter) == quote {
            let behind = &text[at + letter.len_utf8()..];
            if letter == '\'' && behind.starts_with('\'') {
                letters.next();
                value.push('\'');
                continue;
            }
            return Ok((value, behind));
        }
        if letter == '\\' && quote == Some('"') {
            match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('"' | '\\' | '/')) => value.push(escaped),
                _ => return Err("this `\\` is not understood".to_owned()),
            }
            continue;
        }
        value.push(letter);
    }
    Err("a quote is not closed on its line".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_lists_are_read() {
        let text = "---\r\nname: git # the name\ntype: \"know\\\"ledge\"\nagent: 'it''s'\n\n# note\ntriggers:\n- push\n  - \"pull: request\"\nflow: [a b, 'c, d', \"e\"] # so\nempty:\nnone: []\n---\nBody\n---\n";
        let (keys, body) = split(text).unwrap();
        let words = |text: &str| Value::Words(text.to_owned());
        let list = |items: &[&str]| Value::List(items.iter().map(|i| (*i).to_owned()).collect());
        assert_eq!(body, "Body\n---\n");
        assert_eq!(
            keys.into_iter().collect::<Vec<_>>(),
            [
                ("agent".to_owned(), words("it's")),
                ("empty".to_owned(), words("")),
                ("flow".to_owned(), list(&["a b", "c, d", "e"])),
                ("name".to_owned(), words("git")),
                ("none".to_owned(), list(&[])),
                ("triggers".to_owned(), list(&["push", "pull: request"])),
                ("type".to_owned(), words("know\"ledge")),
            ]
        );
        for text in ["", "no head", "--- x\n", "# Title\n---\n"] {
            assert_eq!(split(text).unwrap(), (BTreeMap::new(), text));
        }
    }

    #[test]
    fn what_is_beyond_the_part_is_a_fault_with_its_line() {
        for (text, line, why) in [
            ("---\nname: x\n", 1, "closing"),
            ("---\nname x\n---\n", 2, "`key: value`"),
            ("---\nname:x\n---\n", 2, "space"),
            ("---\na: 1\na: 2\n---\n", 3, "twice"),
            ("---\na:\na: 2\n---\n", 3, "twice"),
            ("---\ntools:\n  stdio: x\n---\n", 3, "left edge"),
            ("---\n- x\n---\n", 2, "no list"),
            ("---\nname: |\n---\n", 2, "quotes"),
            ("---\nname: {a: b}\n---\n", 2, "quotes"),
            ("---\nname: a: b\n---\n", 2, "quotes"),
            ("---\nname: \"x\n---\n", 2, "not closed"),
            ("---\nname: \"\\q\"\n---\n", 2, "not understood"),
            ("---\nname: 'x' y\n---\n", 2, "behind"),
            ("---\nlist: [a\n---\n", 2, "comma or `]`"),
            ("---\nlist: ['a' b]\n---\n", 2, "comma or `]`"),
            ("---\nna me: x\n---\n", 2, "letters"),
        ] {
            let wrong = split(text).unwrap_err();
            assert!(wrong.line == line && wrong.why.contains(why), "{text:?}: {wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(---\n|key: |- |\\[|\\]|,|'|\"|\\\\|#|\n| |ä|[a-z:]){0,40}") {
            drop(split(&format!("---\n{text}")));
            drop(split(&text));
        }
    }
}
