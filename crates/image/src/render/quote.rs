//! Values of people, each quoted for its place in a Dockerfile, or refused. Pure.

use data_encoding::{BASE64, HEXLOWER};

use super::denied::RecipeDenied;

/// A word of a shell.
pub(super) fn shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A value after `ARG name=`: nothing in it is a variable.
pub(super) fn argument(value: &str) -> String {
    let mut quoted = String::from('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// Words as a JSON array, the form of `RUN` in which a builder reads nothing else into them.
pub(super) fn json(words: &[&str]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect();
    format!("[{}]", words.join(", "))
}

/// What stands for itself on the right of a `sed` substitution that is separated by `|`.
pub(super) fn replacement(value: &str) -> String {
    value.replace('\\', r"\\").replace('&', r"\&").replace('|', r"\|")
}

/// A value on one line.
pub(super) fn one_line<'a>(key: &str, value: &'a str) -> Result<&'a str, RecipeDenied> {
    if value.chars().any(char::is_control) {
        return bad(key, "has a line break or another control character in it");
    }
    Ok(value)
}

/// A value of letters, digits and these others, which isn't empty and begins with no sign.
pub(super) fn simple<'a>(key: &str, value: &'a str, others: &str) -> Result<&'a str, RecipeDenied> {
    let fits = |character: char| character.is_ascii_alphanumeric() || others.contains(character);
    let begins =
        value.chars().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == '_');
    if !begins || !value.chars().all(fits) {
        return bad(key, "has characters in it that can't be there, or is empty");
    }
    Ok(value)
}

/// An address of a mirror or an archive.
pub(super) fn address<'a>(key: &str, value: &'a str) -> Result<&'a str, RecipeDenied> {
    if !is_address(value) || value.contains(char::is_whitespace) {
        return bad(key, "is no address that begins with http:// or https://");
    }
    one_line(key, value)
}

pub(super) fn is_address(value: &str) -> bool {
    value.starts_with("http://") || value.starts_with("https://")
}

/// The name of a variable.
pub(super) fn variable(name: &str) -> Result<&str, RecipeDenied> {
    let key = format!("the build argument {name:?}");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return bad(&key, "begins with a digit, so it is no name of a variable");
    }
    simple(&key, name, "_")
}

/// A checksum as the word for the program that makes it (`sha256`, `sha512`) and its hex digits.
pub(super) fn checksum(
    key: &'static str,
    value: &str,
) -> Result<(&'static str, String), RecipeDenied> {
    if value.is_empty() {
        return Err(RecipeDenied::NoChecksum { key });
    }
    let (kind, bytes, length) = if let Some(hex) = value.strip_prefix("sha256:") {
        ("sha256", HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes()), 32)
    } else if let Some(base64) = value.strip_prefix("sha512-") {
        ("sha512", BASE64.decode(base64.as_bytes()), 64)
    } else {
        return Err(RecipeDenied::BadChecksum { key });
    };
    match bytes {
        Ok(bytes) if bytes.len() == length => Ok((kind, HEXLOWER.encode(&bytes))),
        _ => Err(RecipeDenied::BadChecksum { key }),
    }
}

/// `NAME:UID[:GID]`.
pub(super) struct User<'a> {
    pub(super) name: &'a str,
    pub(super) uid: u32,
    pub(super) gid: Option<u32>,
}

pub(super) fn user(value: &str) -> Result<User<'_>, RecipeDenied> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let mut parts = value.split(':');
    let (name, uid, gid) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let (Some(uid), true) = (uid.and_then(number), parts.next().is_none()) else {
        return bad("the user", "is not written as NAME:UID or NAME:UID:GID");
    };
    let gid = match gid {
        Some(text) => match number(text) {
            Some(gid) => Some(gid),
            None => return bad("the user", "is not written as NAME:UID or NAME:UID:GID"),
        },
        None => None,
    };
    Ok(User { name: simple("the user", name, "_-")?, uid, gid })
}

fn bad<T>(key: &str, problem: &'static str) -> Result<T, RecipeDenied> {
    Err(RecipeDenied::BadValue { key: key.to_owned(), problem })
}
