//! A call's arguments, one by one: what a model may mean is taken where that can do no harm, all else is refused by
//! name. Pure.

use serde_json::{Map, Value};

use super::Misread;

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    tool: &'a str,
    all: Map<String, Value>,
}

impl<'a> Arguments<'a> {
    /// Of their JSON; nothing at all is taken for no arguments.
    pub(super) fn parse(tool: &'a str, text: &str) -> Result<Self, Misread> {
        let not_json = |why: String| Misread::NotJson { tool: tool.to_owned(), why };
        let all = match text.trim() {
            "" => Map::new(),
            text => match serde_json::from_str(text) {
                Ok(Value::Object(all)) => all,
                Ok(Value::Null) => Map::new(),
                Ok(_) => return Err(not_json("another kind of value".to_owned())),
                Err(error) => return Err(not_json(error.to_string())),
            },
        };
        Ok(Self { tool, all })
    }

    /// Refuses those that the tool does not have. One that is null counts as absent.
    pub(super) fn check(&self, known: &[&str]) -> Result<(), Misread> {
        let is_strange =
            |(name, value): &(&String, &Value)| !value.is_null() && !known.contains(&name.as_str());
        match self.all.iter().find(is_strange) {
            None => Ok(()),
            Some((name, _)) => Err(Misread::UnknownArgument {
                tool: self.tool.to_owned(),
                argument: short(name),
                known: known.iter().map(|name| (*name).to_owned()).collect(),
            }),
        }
    }

    /// All, as they are.
    pub(super) fn into_all(self) -> Map<String, Value> {
        self.all
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.all.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, name: &str, wanted: &str) -> Misread {
        Misread::Wrong {
            tool: self.tool.to_owned(),
            argument: name.to_owned(),
            wanted: wanted.to_owned(),
        }
    }

    pub(super) fn missing(&self, name: &str, when: Option<&str>) -> Misread {
        Misread::Missing {
            tool: self.tool.to_owned(),
            argument: name.to_owned(),
            when: when.map(str::to_owned),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Misread> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a text")),
        }
    }

    pub(super) fn needed(&mut self, name: &str) -> Result<String, Misread> {
        self.text(name)?.ok_or_else(|| self.missing(name, None))
    }

    /// A whole number, or a text of one.
    pub(super) fn whole(&mut self, name: &str) -> Result<Option<i64>, Misread> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match whole(&value) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "a whole number")),
            },
        }
    }

    /// Whole seconds from 1 to `longest`, or a text of a number; parts of a second are made whole.
    pub(super) fn seconds(&mut self, name: &str, longest: u64) -> Result<Option<u64>, Misread> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let time = number.and_then(|n: f64| std::time::Duration::try_from_secs_f64(n).ok());
        let seconds = time.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
        match seconds.filter(|seconds| (1..=longest).contains(seconds)) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(self.wrong(name, &format!("a number of seconds from 1 to {longest}"))),
        }
    }

    /// A truth value, or its word.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Misread> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(self.wrong(name, "`true` or `false`")),
        }
    }

    /// A list, or the JSON of one.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Misread> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => Some(list),
            Some(Value::String(text)) => serde_json::from_str(&text).ok(),
            Some(_) => None,
        };
        match list {
            Some(list) => Ok(Some(list)),
            None => Err(self.wrong(name, "a list")),
        }
    }

    /// `security_risk` as a number: 0 low, 1 medium, 2 high. A model that leaves it out says nothing of it.
    pub(super) fn risk(&mut self) -> Result<Option<i64>, Misread> {
        const NAME: &str = "security_risk";
        let Some(word) = self.text(NAME)? else { return Ok(None) };
        match word.trim().to_ascii_uppercase().as_str() {
            "LOW" => Ok(Some(0)),
            "MEDIUM" => Ok(Some(1)),
            "HIGH" => Ok(Some(2)),
            "UNKNOWN" => Ok(None),
            _ => Err(self.wrong(NAME, "`LOW`, `MEDIUM` or `HIGH`")),
        }
    }
}

/// A whole number, or a text of one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
        Value::Number(number) => number.as_i64().or_else(|| {
            let n = number.as_f64()?;
            (n.fract() == 0.0 && n.abs() < 1e15).then_some(n as i64)
        }),
        _ => None,
    }
}

/// What is repeated of a name that a model made up: all or nothing. A part of a secret would not be known as one.
pub(super) fn short(name: &str) -> String {
    const MOST: usize = 60;
    match name.chars().count() {
        0..=MOST => name.to_owned(),
        count => format!("(a name of {count} characters)"),
    }
}
