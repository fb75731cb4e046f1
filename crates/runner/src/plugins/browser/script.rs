//! The text of `browse_interactive`: calls like those of Python, one after the other. Pure.
//!
//! ```text
//! goto("https://example.com"); click('12')
//! fill("a5", "text")          # a comment
//! select_option('7', ["red", "blue"])
//! ```

use serde_json::Value;

/// The longest text, in bytes, and the most calls in it.
const MOST_TEXT: usize = 64 * 1024;
const MOST_CALLS: usize = 32;
/// Lists in each other.
const DEEPEST: usize = 8;

/// A call: what is done, by parameters in the order of [`CALLS`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub name: &'static str,
    /// One for each parameter; null where it was left out and may be.
    pub values: Vec<Value>,
    /// As it was written.
    pub text: String,
}

/// Every call: its name, its parameters, how many of them must be given.
const CALLS: [(&str, &[&str], usize); 21] = [
    ("noop", &["wait_ms"], 0),
    ("goto", &["url"], 1),
    ("go_back", &[], 0),
    ("go_forward", &[], 0),
    ("click", &["bid", "button", "modifiers"], 1),
    ("dblclick", &["bid", "button", "modifiers"], 1),
    ("hover", &["bid"], 1),
    ("focus", &["bid"], 1),
    ("clear", &["bid"], 1),
    ("fill", &["bid", "value"], 2),
    ("press", &["bid", "key_comb"], 2),
    ("select_option", &["bid", "options"], 2),
    ("scroll", &["delta_x", "delta_y"], 2),
    ("drag_and_drop", &["from_bid", "to_bid"], 2),
    ("upload_file", &["bid", "file"], 2),
    ("keyboard_type", &["text"], 1),
    ("keyboard_press", &["key"], 1),
    ("tab_close", &[], 0),
    ("tab_focus", &["index"], 1),
    ("send_msg_to_user", &["text"], 1),
    ("report_infeasible", &["reason"], 1),
];
/// The call that has two names.
const NEW_TAB: &str = "new_tab";

/// Reads all calls; the error says what is wrong and where.
pub(super) fn parse(text: &str) -> Result<Vec<Call>, String> {
    if text.len() > MOST_TEXT {
        return Err("The text of the calls has more than 64 KiB.".to_owned());
    }
    let mut reader = Reader { text, at: 0 };
    let mut calls = Vec::new();
    loop {
        reader.skip_between();
        if reader.rest().is_empty() {
            break;
        }
        calls.push(reader.call()?);
        if calls.len() > MOST_CALLS {
            return Err(format!("At most {MOST_CALLS} calls can be made at once."));
        }
        reader.skip_spaces();
        if !reader.rest().is_empty() && !reader.rest().starts_with(['\n', '\r', ';', '#']) {
            return Err(reader.wrong("a new line or the end"));
        }
    }
    if calls.is_empty() { Err("There is no call in the text.".to_owned()) } else { Ok(calls) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, wanted: &str) -> String {
        let line = self.text[..self.at].matches('\n').count() + 1;
        let found: String = self.rest().chars().take(20).collect();
        format!("Line {line}: {wanted} was expected, not {found:?}.")
    }

    /// Spaces, and a comment up to its line's end.
    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if self.rest().starts_with('#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// What may stand between calls.
    fn skip_between(&mut self) {
        loop {
            let before = self.at;
            self.skip_spaces();
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(['\n', '\r', ';']).len();
            if self.at == before {
                return;
            }
        }
    }

    /// What may stand between the parts of a call: it may have many lines.
    fn skip_inside(&mut self) {
        loop {
            let before = self.at;
            self.skip_spaces();
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(['\n', '\r']).len();
            if self.at == before {
                return;
            }
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn call(&mut self) -> Result<Call, String> {
        let start = self.at;
        let word = self.word();
        if word.is_empty() {
            return Err(self.wrong("the name of a call"));
        }
        let (name, parameters, required) = if matches!(word, NEW_TAB | "tab_new") {
            (NEW_TAB, [].as_slice(), 0)
        } else {
            let known = CALLS.iter().find(|(name, ..)| *name == word);
            let (name, parameters, required) = known.ok_or_else(|| unknown(word))?;
            (*name, *parameters, *required)
        };
        self.skip_spaces();
        if !self.takes("(") {
            return Err(self.wrong("an opening parenthesis"));
        }
        let mut values = vec![None; parameters.len()];
        let mut next = 0;
        loop {
            self.skip_inside();
            if self.takes(")") {
                break;
            }
            let at = match self.keyword() {
                None => next,
                Some(keyword) => parameters
                    .iter()
                    .position(|parameter| *parameter == keyword)
                    .ok_or_else(|| format!("{name} has no parameter {keyword:?}."))?,
            };
            next = at + 1;
            let value = self.value(0)?;
            let place = values
                .get_mut(at)
                .ok_or_else(|| format!("{name} takes at most {} values.", parameters.len()))?;
            if place.replace(value).is_some() {
                return Err(format!("{name} was given {:?} twice.", parameters[at]));
            }
            self.skip_inside();
            if !self.takes(",") && !self.rest().starts_with(')') {
                return Err(self.wrong("a comma or a closing parenthesis"));
            }
        }
        if let Some(missing) = (0..required).find(|at| values[*at].is_none()) {
            return Err(format!("{name} needs its {:?}.", parameters[missing]));
        }
        let values = values.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Call { name, values, text: self.text[start..self.at].to_owned() })
    }

    /// `name=` before a value.
    fn keyword(&mut self) -> Option<&'a str> {
        let before = self.at;
        let word = self.word();
        self.skip_spaces();
        if !word.is_empty() && self.takes("=") {
            self.skip_inside();
            return Some(word);
        }
        self.at = before;
        None
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err("Lists lie too deep in each other.".to_owned());
        }
        for close in ["\"\"\"", "'''", "\"", "'"] {
            if self.takes(close) {
                return self.string(close).map(Value::String);
            }
        }
        if self.takes("[") || self.takes("(") {
            let mut all = Vec::new();
            loop {
                self.skip_inside();
                if self.takes("]") || self.takes(")") {
                    return Ok(Value::Array(all));
                }
                all.push(self.value(depth + 1)?);
                self.skip_inside();
                if !self.takes(",") && !self.rest().starts_with([']', ')']) {
                    return Err(self.wrong("a comma or the list's end"));
                }
            }
        }
        for (word, value) in
            [("True", Value::Bool(true)), ("False", Value::Bool(false)), ("None", Value::Null)]
        {
            if self.takes(word) {
                return Ok(value);
            }
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'));
        let number = &rest[..end.unwrap_or(rest.len())];
        let value = match number.parse::<i64>() {
            Ok(whole) => Some(Value::from(whole)),
            Err(_) => number.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
        };
        let value = value.ok_or_else(|| self.wrong("a text in quotes, a number or a list"))?;
        self.at += number.len();
        Ok(value)
    }

    /// The rest of a text up to its closing quotes.
    fn string(&mut self, close: &str) -> Result<String, String> {
        let mut value = String::new();
        loop {
            if self.takes(close) {
                return Ok(value);
            }
            let mut next = self.rest().chars();
            match next.next() {
                None => return Err(format!("A text is not closed by {close}.")),
                Some('\n') if close.len() == 1 => {
                    return Err(format!("A text is not closed by {close} on its line."));
                }
                Some('\\') => {
                    let escaped = next.next().ok_or("A text ends with a backslash.")?;
                    self.at += 1 + escaped.len_utf8();
                    self.escaped(escaped, &mut value)?;
                }
                Some(c) => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
            }
        }
    }

    fn escaped(&mut self, escaped: char, value: &mut String) -> Result<(), String> {
        let plain = match escaped {
            'n' => "\n",
            't' => "\t",
            'r' => "\r",
            '0' => "\0",
            '\n' => "",
            '\\' => "\\",
            '\'' => "'",
            '"' => "\"",
            'x' | 'u' | 'U' => return self.code(escaped, value),
            other => {
                // As Python does.
                value.extend(['\\', other]);
                ""
            }
        };
        value.push_str(plain);
        Ok(())
    }

    /// A character by its number.
    fn code(&mut self, kind: char, value: &mut String) -> Result<(), String> {
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            _ => 8,
        };
        let code = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, 16).ok());
        let c = code.and_then(char::from_u32).ok_or_else(|| self.wrong("a character's code"))?;
        self.at += digits;
        value.push(c);
        Ok(())
    }
}

fn unknown(word: &str) -> String {
    let names: Vec<&str> = CALLS.iter().map(|(name, ..)| *name).chain([NEW_TAB]).collect();
    let word: String = word.chars().take(40).collect();
    format!("There is no call {word:?}. There are: {}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn calls(text: &str) -> Vec<(&'static str, Value)> {
        parse(text).unwrap().into_iter().map(|call| (call.name, call.values.into())).collect()
    }

    #[test]
    fn calls_are_read_as_python_reads_them() {
        assert_eq!(
            calls(
                "goto(\"https://example.com\"); click('12')\n\n# then\nfill(bid='a5', value=\"x\\n\\u00e4\\\"\") # so\n"
            ),
            [
                ("goto", json!(["https://example.com"])),
                ("click", json!(["12", null, null])),
                ("fill", json!(["a5", "x\nä\""])),
            ]
        );
        assert_eq!(calls("scroll(0, -200.5)"), [("scroll", json!([0, -200.5]))]);
        assert_eq!(calls("noop()\ntab_new()"), [("noop", json!([null])), ("new_tab", json!([]))]);
        let select = "select_option('7',\n  ['red', 'blue',],\n)";
        assert_eq!(calls(select), [("select_option", json!(["7", ["red", "blue"]]))]);
        let modifiers = "click(12, modifiers=[\"Shift\"], button='right')";
        assert_eq!(calls(modifiers), [("click", json!([12, "right", ["Shift"]]))]);
        assert_eq!(
            calls("send_msg_to_user('''a\n'b' \\d''')"),
            [("send_msg_to_user", json!(["a\n'b' \\d"]))]
        );
        assert_eq!(parse("  click( '1' ) ").unwrap()[0].text, "click( '1' )");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "no call"),
            ("# nothing", "no call"),
            ("dance()", "no call \"dance\""),
            ("click", "parenthesis"),
            ("click(", "was expected"),
            ("click()", "\"bid\""),
            ("click('1', 'left', [], 4)", "at most 3"),
            ("click('1', bid='2')", "twice"),
            ("click(bud='1')", "no parameter \"bud\""),
            ("click('1') click('2')", "new line"),
            ("click('1", "not closed"),
            ("click('1\n')", "not closed"),
            ("click(x)", "in quotes"),
            ("goto('\\u12')", "code"),
            ("import os", "no call \"import\""),
            ("click('1')\nclick(", "Line 2"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(parse(&"noop()\n".repeat(MOST_CALLS + 1)).is_err());
        assert!(parse(&"x".repeat(MOST_TEXT + 1)).is_err());
        let deep = format!("fill('1', {})", "[".repeat(5000));
        assert!(parse(&deep).unwrap_err().contains("deep"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(click|goto|fill|\\(|\\)|'|\"|\\[|\\]|,|=|\\\\|\n|#|;|ä|[a-z0-9 ]){0,60}") {
            drop(parse(&text));
        }

        #[test]
        fn any_text_comes_through_quotes(text in ".*") {
            let quoted: String = text.chars().map(|c| match c {
                '\\' => "\\\\".to_owned(),
                '\'' => "\\'".to_owned(),
                '\n' => "\\n".to_owned(),
                c => c.to_string(),
            }).collect();
            let read = calls(&format!("goto('{quoted}')"));
            prop_assert_eq!(&read[0].1[0], &Value::String(text));
        }
    }
}
