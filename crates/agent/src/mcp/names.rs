//! What tools of servers are called before the model. Pure.
//!
//! A tool keeps its name where nothing else has it, ours among it; else the server's name comes before it. Names are
//! such as every provider takes: up to 64 of `A-Z a-z 0-9 _ -`.

use std::collections::{BTreeMap, BTreeSet};

/// The longest name, in bytes.
pub const LONGEST: usize = 64;

/// The names of these tools, `(server, tool)`, in the same order. `taken` are names of other tools.
pub fn names<'a>(
    tools: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    taken: &BTreeSet<String>,
) -> Vec<String> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (_, tool) in tools.clone() {
        *count.entry(clean(tool)).or_default() += 1;
    }
    let mut used = taken.clone();
    // Those that keep their names do so whoever comes before them.
    used.extend(count.iter().filter(|(_, count)| **count == 1).map(|(name, _)| name.clone()));
    let mut given = Vec::new();
    for (server, tool) in tools {
        let plain = clean(tool);
        let keeps = count.get(&plain) == Some(&1) && !taken.contains(&plain);
        let name = if keeps { plain } else { free(&qualified(server, tool), &used) };
        used.insert(name.clone());
        given.push(name);
    }
    given
}

/// The name that a tool has where its own is taken.
pub fn qualified(server: &str, tool: &str) -> String {
    clean(&format!("{server}_{tool}"))
}

/// The name itself, or with the first number that makes it another one.
fn free(name: &str, used: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u32| {
        let number = format!("_{number}");
        format!("{}{number}", &name[..name.len().min(LONGEST - number.len())])
    });
    let mut all = std::iter::once(name.to_owned()).chain(numbered);
    all.find(|name| !used.contains(name)).unwrap_or_default()
}

fn clean(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let cleaned: String = name.chars().map(fits).take(LONGEST).collect();
    if cleaned.is_empty() { "_".to_owned() } else { cleaned }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(tools: &[(&str, &str)], expected: &[&str]) {
        let taken = BTreeSet::from(["execute_bash".to_owned(), "web_search".to_owned()]);
        assert_eq!(names(tools.iter().copied(), &taken), expected);
    }

    #[test]
    fn a_server_is_named_where_tools_clash() {
        check(&[("a", "read"), ("b", "write")], &["read", "write"]);
        check(&[("a", "read"), ("b", "read")], &["a_read", "b_read"]);
        check(&[("a", "execute_bash")], &["a_execute_bash"]);
        check(&[("a", "web/search"), ("b.c", "web search")], &["a_web_search", "b_c_web_search"]);
        check(&[("a", "x"), ("b", "x"), ("c", "a_x")], &["a_x_2", "b_x", "a_x"]);
        check(&[("a", "")], &["_"]);
    }

    proptest! {
        #[test]
        fn every_tool_has_a_name_of_its_own_that_providers_take(
            tools in prop::collection::vec(("[a-c]{1,3}", "[a-c_.é]{0,3}|.{0,80}"), 0..20)
        ) {
            let taken = BTreeSet::from(["a".to_owned(), "a_a".to_owned()]);
            let pairs = tools.iter().map(|(server, tool)| (server.as_str(), tool.as_str()));
            let named = names(pairs, &taken);
            prop_assert_eq!(named.len(), tools.len());
            let distinct: BTreeSet<&String> = named.iter().collect();
            prop_assert_eq!(distinct.len(), named.len());
            for name in &named {
                prop_assert!((1..=LONGEST).contains(&name.len()), "{}", name);
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
                prop_assert!(!taken.contains(name));
            }
        }
    }
}
