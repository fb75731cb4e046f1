//! Patterns for paths, as in a `.gitignore`: `*` and `?` stay within a name, `**` crosses names, `[…]` is
//! one character of a set, `\` takes the next one as it is. Pure.

/// Whether a pattern matches a whole path. Takes time in the product of both lengths at most.
pub fn matches(pattern: &str, path: &str) -> bool {
    const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];
    if !pattern.contains(SPECIAL) {
        return pattern == path;
    }
    // The usual kind, without further ado.
    if let Some(end) = pattern.strip_prefix('*').filter(|end| !end.contains(SPECIAL))
        && !path.contains('/')
    {
        return path.ends_with(end);
    }
    let pattern = pieces(pattern);
    let text: Vec<char> = path.chars().collect();
    // `reached[i]`: the pattern so far can end before the i-th character.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for piece in &pattern {
        reached = step(piece, &reached, &text);
    }
    reached[text.len()]
}

#[derive(Debug)]
enum Piece {
    One(char),
    AnyOne,
    Any,
    /// `**/` at the front or between: nothing, or names with their slashes.
    Folders,
    /// `/**` at the end: something beneath.
    Beneath,
    Set {
        not: bool,
        ranges: Vec<(char, char)>,
    },
}

fn step(piece: &Piece, reached: &[bool], text: &[char]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    match piece {
        Piece::Any | Piece::Folders | Piece::Beneath => {
            let mut carried = false; // an earlier place from which it goes on
            for at in 0..reached.len() {
                let before = at.checked_sub(1).map(|before| text[before]);
                match piece {
                    Piece::Any => {
                        carried = reached[at] || (carried && before != Some('/'));
                        next[at] = carried;
                    }
                    Piece::Folders => {
                        next[at] = reached[at] || (carried && before == Some('/'));
                        carried |= reached[at];
                    }
                    _ => {
                        next[at] = carried;
                        carried |= reached[at];
                    }
                }
            }
        }
        Piece::One(_) | Piece::AnyOne | Piece::Set { .. } => {
            for (at, &c) in text.iter().enumerate() {
                next[at + 1] = reached[at] && one(piece, c);
            }
        }
    }
    next
}

fn one(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::One(wanted) => *wanted == c,
        Piece::AnyOne => c != '/',
        Piece::Set { not, ranges } => {
            c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not
        }
        Piece::Any | Piece::Folders | Piece::Beneath => false,
    }
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let begins = at == 0 || chars[at - 1] == '/';
        let rest = &chars[at..];
        at += 1;
        match c {
            '*' if begins && rest.starts_with(&['*', '*', '/']) => {
                pieces.push(Piece::Folders);
                at += 2;
            }
            '*' if begins && rest == ['*', '*'] => {
                pieces.push(Piece::Beneath);
                at += 1;
            }
            '*' => pieces.push(Piece::Any),
            '?' => pieces.push(Piece::AnyOne),
            '\\' => {
                pieces.push(Piece::One(chars.get(at).copied().unwrap_or('\\')));
                at += 1;
            }
            '[' => match set(&chars[at..]) {
                Some((set, length)) => {
                    pieces.push(set);
                    at += length;
                }
                None => pieces.push(Piece::One('[')),
            },
            c => pieces.push(Piece::One(c)),
        }
    }
    pieces
}

/// What stands after `[`, and its length with the `]`.
fn set(chars: &[char]) -> Option<(Piece, usize)> {
    let not = matches!(chars.first(), Some('!' | '^'));
    let mut at = usize::from(not);
    let first = at;
    let mut ranges = Vec::new();
    loop {
        let mut low = *chars.get(at)?;
        if low == ']' && at > first {
            return Some((Piece::Set { not, ranges }, at + 1));
        }
        if low == '\\' {
            at += 1;
            low = *chars.get(at)?;
        }
        at += 1;
        let mut high = low;
        if chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|c| *c != ']') {
            at += 1;
            if chars[at] == '\\' {
                at += 1;
            }
            high = *chars.get(at)?;
            at += 1;
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let matching = [
            ("a", "a"),
            ("*.rs", "main.rs"),
            ("src/*.rs", "src/a.rs"),
            ("src/**", "src/a/b.rs"),
            ("**/a", "a"),
            ("**/a", "b/c/a"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/x/y/b"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("\\*", "*"),
            ("**", "a/b"),
            ("a**b", "axxb"),
            ("é*", "éa"),
        ];
        for (pattern, path) in matching {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        let other = [
            ("a", "b"),
            ("*.rs", "src/main.rs"),
            ("src/**", "src"),
            ("**/a", "ba"),
            ("a?c", "a/c"),
            ("[!a]", "/"),
            ("[a-c]x", "dx"),
            ("a/**/b", "ab"),
            ("a**b", "a/b"),
            ("[ab", "a"),
        ];
        for (pattern, path) in other {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(255).replace('a', "ab")));
    }
}
