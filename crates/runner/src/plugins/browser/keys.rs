//! The names of keys, as the protocol's key events want them. Pure.

/// A key and what is held with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Press {
    pub key: String,
    pub code: String,
    /// Windows' number of it; 0 where none is needed.
    pub number: u32,
    /// What it types, unless something is held that makes a command of it.
    pub text: Option<String>,
    /// Alt 1, Control 2, Meta 4, Shift 8.
    pub modifiers: u32,
}

const NAMED: [(&str, u32, Option<&str>); 18] = [
    ("Enter", 13, Some("\r")),
    ("Tab", 9, None),
    ("Escape", 27, None),
    ("Backspace", 8, None),
    ("Delete", 46, None),
    ("Insert", 45, None),
    ("ArrowUp", 38, None),
    ("ArrowDown", 40, None),
    ("ArrowLeft", 37, None),
    ("ArrowRight", 39, None),
    ("Home", 36, None),
    ("End", 35, None),
    ("PageUp", 33, None),
    ("PageDown", 34, None),
    ("Space", 32, Some(" ")),
    ("F1", 112, None),
    ("F2", 113, None),
    ("F5", 116, None),
];

/// The bit of something that is held.
pub(super) fn modifier(name: &str) -> Option<u32> {
    Some(match name {
        "Alt" => 1,
        "Control" | "Ctrl" | "ControlOrMeta" => 2,
        "Meta" => 4,
        "Shift" => 8,
        _ => return None,
    })
}

/// Whether a key types something while these are held: with Shift it does.
fn is_typed(modifiers: u32) -> bool {
    modifiers & !8 == 0
}

/// Reads `Control+a`, `Enter`, `Shift+Tab`, `x`.
pub(super) fn press(text: &str) -> Result<Press, String> {
    let mut modifiers = 0;
    let mut rest = text;
    // The last `+` may be the key itself.
    while let Some((name, after)) =
        rest.split_once('+').filter(|(name, after)| !name.is_empty() && !after.is_empty())
    {
        modifiers |= modifier(name).ok_or_else(|| format!("There is no key {name:?} to hold."))?;
        rest = after;
    }
    if let Some((name, number, typed)) = NAMED.iter().find(|(name, ..)| *name == rest) {
        let key = if *name == "Space" { " " } else { name };
        return Ok(Press {
            key: key.to_owned(),
            code: (*name).to_owned(),
            number: *number,
            text: typed.filter(|_| is_typed(modifiers)).map(str::to_owned),
            modifiers,
        });
    }
    let mut chars = rest.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return Err(format!("There is no key {rest:?}."));
    };
    let upper = c.to_ascii_uppercase();
    let code = match upper {
        'A'..='Z' => format!("Key{upper}"),
        '0'..='9' => format!("Digit{upper}"),
        _ => String::new(),
    };
    let number = if upper.is_ascii_alphanumeric() { u32::from(upper) } else { 0 };
    let text = is_typed(modifiers).then(|| c.to_string());
    Ok(Press { key: c.to_string(), code, number, text, modifiers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_what_is_held() {
        let enter = press("Enter").unwrap();
        assert_eq!((enter.number, enter.text.as_deref(), enter.modifiers), (13, Some("\r"), 0));
        let all = press("Control+a").unwrap();
        assert_eq!(
            (all.key.as_str(), all.code.as_str(), all.text, all.modifiers),
            ("a", "KeyA", None, 2)
        );
        let back = press("Control+Shift+Tab").unwrap();
        assert_eq!((back.key.as_str(), back.modifiers), ("Tab", 10));
        assert_eq!(press("+").unwrap().text.as_deref(), Some("+"));
        assert_eq!(press("Shift++").unwrap().key, "+");
        assert_eq!(press("ä").unwrap().text.as_deref(), Some("ä"));
        assert!(press("Hyper+x").is_err() && press("Entre").is_err() && press("").is_err());
    }
}
