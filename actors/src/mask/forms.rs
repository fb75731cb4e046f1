//! How a secret may be written. Pure.

use super::SHORTEST;

/// All of it: the secret, what a terminal or a shell makes of its line breaks, and each between the quotes of JSON,
/// once and twice. Most secrets are of letters and digits, and have one form.
pub(super) fn of(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    let bare = secret.trim();
    if bare.len() >= SHORTEST {
        forms.push(bare.to_owned());
    }
    let lines = secret.replace("\r\n", "\n");
    forms.extend([lines.replace('\n', "\r\n"), lines.trim().replace('\n', "\r\n"), lines]);
    forms.retain(|form| form.len() >= SHORTEST);
    for from in 0..forms.len() {
        let once = quoted(&forms[from]);
        let twice: Vec<String> = once.iter().flat_map(|form| quoted(form)).collect();
        forms.extend(once);
        forms.extend(twice);
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// As serde and as others write it.
fn quoted(text: &str) -> [String; 4] {
    let usual = escape(text);
    let (slashed, ascii) = (usual.replace('/', "\\/"), ascii(&usual));
    let both = ascii.replace('/', "\\/");
    [usual, slashed, ascii, both]
}

/// As it stands between the quotes of JSON.
pub(super) fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With letters beyond ASCII escaped.
fn ascii(escaped: &str) -> String {
    let mut text = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let digits = [12, 8, 4, 0].map(|shift| (*unit >> shift) & 15);
            text.push_str("\\u");
            text.extend(digits.map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_secret_has_one_form_and_another_has_those_of_json() {
        assert_eq!(of("sk-0123456789"), ["sk-0123456789"]);
        let forms = of("a\"b/€\ncd");
        for form in [
            "a\"b/€\ncd",
            "a\"b/€\r\ncd",
            r#"a\"b/€\ncd"#,
            r#"a\"b\/€\ncd"#,
            r#"a\"b/\u20ac\ncd"#,
            r#"a\\\"b/€\\ncd"#,
            r#"a\\\"b/\\u20ac\\ncd"#,
        ] {
            assert!(forms.iter().any(|it| it == form), "{form} is not among {forms:?}");
        }
        assert!(of(" secret\n").contains(&"secret".to_owned()), "as a shell takes it from a file");
        assert!(of(" a    \n").iter().all(|form| form.len() >= SHORTEST));
    }
}
