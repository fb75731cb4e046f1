//! What is looked for, as a regular expression. Pure.

use regex_automata::{
    meta::{Config, Regex},
    util::syntax,
};
use staithe_protocol::search::{Case, ContentSearch, MAX_QUERY};

/// The largest automaton, in bytes, and its cache.
const MOST_AUTOMATON: usize = 2 * 1024 * 1024;

/// Finds what was asked for, in one line at a time.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Says what is wrong with a query.
    pub(super) fn new(search: &ContentSearch) -> Result<Self, String> {
        if search.query.is_empty() {
            return Err("The query is empty.".to_owned());
        }
        if search.query.len() > MAX_QUERY {
            return Err(format!("The query has more than {MAX_QUERY} bytes."));
        }
        if search.query.contains(['\n', '\0']) {
            return Err(
                "The query has a newline or a NUL; lines are searched one by one.".to_owned()
            );
        }
        let text = if search.regex { search.query.clone() } else { escaped(&search.query) };
        let text = if search.whole_word {
            format!(r"\b{{start-half}}(?:{text})\b{{end-half}}")
        } else {
            text
        };
        let insensitive = match search.case {
            Case::Sensitive => false,
            Case::Insensitive => true,
            Case::Smart => !has_upper(&search.query, search.regex),
        };
        let form = syntax::Config::new().utf8(false).case_insensitive(insensitive).nest_limit(100);
        let limits = Config::new()
            .nfa_size_limit(Some(MOST_AUTOMATON))
            .hybrid_cache_capacity(MOST_AUTOMATON)
            .utf8_empty(false);
        let regex = Regex::builder().syntax(form).configure(limits).build(&text);
        regex.map(Self).map_err(|error| {
            let reason =
                error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            format!("The query is no regular expression: {reason}.")
        })
    }

    /// All matches in a line, without empty ones, at most so many.
    pub(super) fn all(&self, line: &[u8], most: usize) -> Vec<(usize, usize)> {
        let found = self.0.find_iter(line).map(|found| (found.start(), found.end()));
        found.filter(|(start, end)| start < end).take(most).collect()
    }
}

/// A text as a regular expression for itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Whether a query has an upper case letter; `\W` in a regular expression is none.
fn has_upper(query: &str, regex: bool) -> bool {
    let mut letters = query.chars();
    while let Some(letter) = letters.next() {
        if regex && letter == '\\' {
            letters.next();
        } else if letter.is_uppercase() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(search: &ContentSearch, line: &str) -> Vec<String> {
        let pattern = Pattern::new(search).unwrap();
        pattern.all(line.as_bytes(), 9).into_iter().map(|(a, b)| line[a..b].to_owned()).collect()
    }

    fn text(query: &str) -> ContentSearch {
        ContentSearch { query: query.to_owned(), ..ContentSearch::default() }
    }

    #[test]
    fn case_is_smart_unless_told_otherwise() {
        assert_eq!(found(&text("straße"), "STRASSE Straße STRAßE"), ["Straße", "STRAßE"]);
        assert_eq!(found(&text("Ab"), "ab Ab AB"), ["Ab"]);
        let sensitive = ContentSearch { case: Case::Sensitive, ..text("ab") };
        assert_eq!(found(&sensitive, "ab Ab"), ["ab"]);
        let insensitive = ContentSearch { case: Case::Insensitive, ..text("AB") };
        assert_eq!(found(&insensitive, "ab Ab"), ["ab", "Ab"]);
        let regex = ContentSearch { regex: true, ..text(r"\Ba") };
        assert_eq!(found(&regex, "xA"), ["A"]);
    }

    #[test]
    fn whole_words_are_those_of_every_language() {
        let word = |query: &str| ContentSearch { whole_word: true, ..text(query) };
        assert_eq!(found(&word("für"), "für fürs dafür").len(), 1);
        assert_eq!(found(&word("-x"), "a -x b").len(), 1);
        let either = ContentSearch { regex: true, ..word("a|b") };
        assert_eq!(found(&either, "a ab b").len(), 2);
    }

    #[test]
    fn a_query_that_can_not_be_is_refused_in_words() {
        let regex = ContentSearch { regex: true, ..text("(") };
        assert!(
            Pattern::new(&regex).unwrap_err().starts_with("The query is no regular expression:")
        );
        let huge = ContentSearch { regex: true, ..text(r"\w{1000}{1000}") };
        for bad in [&text(""), &text("a\nb"), &text(&"x".repeat(5000)), &huge] {
            assert!(Pattern::new(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_text_finds_itself(query in "[^\n\0]{1,20}") {
            let sensitive = ContentSearch { case: Case::Sensitive, ..text(&query) };
            let all = found(&sensitive, &format!("x{query}y"));
            prop_assert_eq!(&all[0], &query);
        }
    }
}
