//! Which paths the letters of a query are in, and how well. Pure.

/// A path that matches.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// The higher the better.
    pub score: i64,
    /// The letters that match, in UTF-16 code units.
    pub positions: Vec<u64>,
}

/// Letters in order, without spaces and without regard to case.
#[derive(Debug)]
pub(super) struct Query(Vec<char>);

fn folded(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

impl Query {
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().filter(|letter| !letter.is_whitespace()).map(folded).collect())
    }

    /// None: some letter is missing. All letters in the last name are better than letters all over.
    pub(super) fn fit(&self, path: &str) -> Option<Fit> {
        let letters: Vec<char> = path.chars().collect();
        let name = letters.iter().rposition(|letter| *letter == '/').map_or(0, |at| at + 1);
        let found = match self.within(&letters, name) {
            Some(found) => found,
            None => self.within(&letters, 0)?,
        };
        let score = score(&letters, name, &found);
        let mut units = 0;
        let mut positions = Vec::with_capacity(found.len());
        let mut next = found.iter().peekable();
        for (at, letter) in letters.iter().enumerate() {
            if next.next_if(|wanted| **wanted == at).is_some() {
                positions.push(units);
            }
            units += letter.len_utf16() as u64;
        }
        Some(Fit { score, positions })
    }

    /// Where the letters are from `start` on: as early as they all can be, and then as close together.
    fn within(&self, letters: &[char], start: usize) -> Option<Vec<usize>> {
        let mut at = start;
        for wanted in &self.0 {
            at += letters[at..].iter().position(|letter| folded(*letter) == *wanted)? + 1;
        }
        let mut found = Vec::with_capacity(self.0.len());
        for wanted in self.0.iter().rev() {
            at = letters[..at].iter().rposition(|letter| folded(*letter) == *wanted)?;
            found.push(at);
        }
        found.reverse();
        Some(found)
    }
}

fn score(letters: &[char], name: usize, found: &[usize]) -> i64 {
    let mut score = 0;
    let mut before = None;
    for &at in found {
        score += 16;
        let previous = at.checked_sub(1).map(|at| letters[at]);
        let begins = previous.is_none_or(|previous| {
            !previous.is_alphanumeric() || (previous.is_lowercase() && letters[at].is_uppercase())
        });
        if begins {
            score += 12;
        }
        if before.is_some_and(|before: usize| before + 1 == at) {
            score += 16;
        }
        before = Some(at);
    }
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return 0 };
    if *first >= name {
        score += 40;
    }
    if *first == name {
        score += 20;
    }
    let whole = *first == name && last + 1 == letters.len() && last + 1 - first == found.len();
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX / 4);
    score + if whole { 100 } else { 0 }
        - length(last - first + 1 - found.len())
        - length(letters.len()) / 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best<'a>(query: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let query = Query::new(query);
        let mut fits: Vec<_> =
            paths.iter().filter_map(|path| Some((query.fit(path)?.score, *path))).collect();
        fits.sort_by_key(|(score, _)| -score);
        fits.into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn what_a_person_means_comes_first() {
        assert_eq!(best("main", &["src/domain/x.rs", "src/main.rs", "m/a/i/n"])[0], "src/main.rs");
        assert_eq!(best("main.rs", &["src/main.rs.bak", "src/main.rs"])[0], "src/main.rs");
        assert_eq!(best("fb", &["foobar.c", "FooBar.c", "afb.c"]).len(), 3);
        assert_eq!(best("fooba", &["f/o/o/b/a", "foo_bar"])[0], "foo_bar");
        assert_eq!(best("xyz", &["zyx"]), Vec::<&str>::new());
    }

    #[test]
    fn positions_are_those_of_javascript() {
        let fit = Query::new("B a").fit("😀/b😀A").unwrap();
        assert_eq!(fit.positions, [3, 6]);
    }

    proptest! {
        #[test]
        fn every_subsequence_fits(path in "[abc/é]{1,20}", keep in prop::collection::vec(any::<bool>(), 20)) {
            let query: String = path.chars().zip(keep).filter_map(|(l, k)| k.then_some(l)).collect();
            let fit = Query::new(&query).fit(&path).unwrap();
            let letters: Vec<char> = path.chars().collect();
            let found: String = fit.positions.iter().map(|at| letters[usize::try_from(*at).unwrap()]).collect();
            prop_assert_eq!(found, query);
        }
    }
}
