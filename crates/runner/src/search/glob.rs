//! Globs as git has them, and lists of them as in `.gitignore`. Pure.

/// A piece of a glob.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `**/`: any number of folders, also none.
    Folders,
    /// `**` at the end: all that is below.
    Rest,
    /// `[a-z]`: ranges, and whether they are what must not be.
    Class {
        ranges: Vec<(u8, u8)>,
        not: bool,
    },
}

/// One glob, matched against a whole path or a whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Piece>);

impl Glob {
    /// None: it can match nothing, like `[a`.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let begins = at == 0 || text[at - 1] == b'/';
            match text[at] {
                b'*' if begins && text[at..].starts_with(b"**/") => {
                    pieces.push(Piece::Folders);
                    at += 3;
                }
                b'*' if begins && &text[at..] == b"**" => {
                    pieces.push(Piece::Rest);
                    at += 2;
                }
                b'*' => {
                    while text.get(at) == Some(&b'*') {
                        at += 1;
                    }
                    pieces.push(Piece::Star);
                }
                b'?' => {
                    pieces.push(Piece::Any);
                    at += 1;
                }
                b'[' => {
                    let (piece, end) = class(text, at + 1)?;
                    pieces.push(piece);
                    at = end;
                }
                b'\\' => {
                    pieces.push(Piece::Byte(*text.get(at + 1)?));
                    at += 2;
                }
                byte => {
                    pieces.push(Piece::Byte(byte));
                    at += 1;
                }
            }
        }
        Some(Self(pieces))
    }

    /// Whether it matches the whole text.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let pieces = &self.0;
        let (mut at, mut piece) = (0, 0);
        // Where to go on after a failure: the last `*`, and the last `**/` before it.
        let mut star: Option<(usize, usize)> = None;
        let mut folders: Option<(usize, usize)> = None;
        while at < text.len() {
            let byte = text[at];
            let fits = match pieces.get(piece) {
                Some(Piece::Rest) => return true,
                Some(Piece::Folders) => {
                    piece += 1;
                    folders = Some((at, piece));
                    star = None;
                    continue;
                }
                Some(Piece::Star) => {
                    piece += 1;
                    star = Some((at, piece));
                    continue;
                }
                Some(Piece::Any) => byte != b'/',
                Some(Piece::Byte(wanted)) => byte == *wanted,
                Some(Piece::Class { ranges, not }) => {
                    let within = ranges.iter().any(|(low, high)| (low..=high).contains(&&byte));
                    byte != b'/' && within != *not
                }
                None => false,
            };
            if fits {
                at += 1;
                piece += 1;
            } else if let Some((from, next)) = star.filter(|(from, _)| text[*from] != b'/') {
                star = Some((from + 1, next));
                (at, piece) = (from + 1, next);
            } else if let Some((from, next)) = folders {
                let Some(slash) = memchr::memchr(b'/', &text[from..]) else { return false };
                folders = Some((from + slash + 1, next));
                star = None;
                (at, piece) = (from + slash + 1, next);
            } else {
                return false;
            }
        }
        pieces[piece..].iter().all(|piece| matches!(piece, Piece::Star | Piece::Folders))
    }
}

/// A class from behind its `[`, and where it ends.
fn class(text: &[u8], start: usize) -> Option<(Piece, usize)> {
    let not = matches!(text.get(start), Some(b'!' | b'^'));
    let first = start + usize::from(not);
    let mut at = first;
    let mut ranges = Vec::new();
    loop {
        let low = match *text.get(at)? {
            b']' if at > first => return Some((Piece::Class { ranges, not }, at + 1)),
            b'[' if text.get(at + 1) == Some(&b':') => {
                let end = memchr::memmem::find(&text[at..], b":]")?;
                ranges.extend_from_slice(named(&text[at + 2..at + end])?);
                at += end + 2;
                continue;
            }
            b'\\' => {
                at += 1;
                *text.get(at)?
            }
            byte => byte,
        };
        at += 1;
        let is_range = text.get(at) == Some(&b'-') && text.get(at + 1).is_some_and(|b| *b != b']');
        if !is_range {
            ranges.push((low, low));
            continue;
        }
        at += 1;
        if text[at] == b'\\' {
            at += 1;
        }
        ranges.push((low, *text.get(at)?));
        at += 1;
    }
}

fn named(name: &[u8]) -> Option<&'static [(u8, u8)]> {
    Some(match name {
        b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
        b"digit" => &[(b'0', b'9')],
        b"alnum" => &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')],
        b"lower" => &[(b'a', b'z')],
        b"upper" => &[(b'A', b'Z')],
        b"space" => &[(b' ', b' '), (b'\t', b'\r')],
        b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        _ => return None,
    })
}

/// One line of a list.
#[derive(Clone, Debug)]
struct Rule {
    glob: Glob,
    /// For a path from the list's folder on; else for a name anywhere below it.
    whole: bool,
    only_folders: bool,
    /// `!`: takes back what a line before it said.
    back: bool,
}

/// A list of globs; the last that matches decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

/// The most lines of a list that count.
const MOST_RULES: usize = 5_000;

impl Rules {
    /// A `.gitignore`'s.
    pub(crate) fn of_file(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self(text.lines().take(MOST_RULES).filter_map(rule).collect())
    }

    /// Of a client's globs, where `{a,b}` stands for two. None: there is one that can't be.
    pub(super) fn of_globs(globs: &[String]) -> Option<Self> {
        let mut rules = Vec::new();
        for glob in globs {
            for glob in braces(glob)? {
                let glob = glob.strip_prefix("./").unwrap_or(&glob);
                // A `!` or `#` means nothing here.
                let escaped = glob.starts_with(['!', '#']);
                let line = if escaped { format!("\\{glob}") } else { glob.to_owned() };
                rules.push(rule(&line)?);
            }
        }
        Some(Self(rules))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the list says of a path, relative to its folder: left out, taken back, or nothing.
    pub(crate) fn says(&self, path: &str, is_folder: bool) -> Option<bool> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let of = |rule: &&Rule| {
            (is_folder || !rule.only_folders)
                && rule.glob.matches(if rule.whole { path } else { name }.as_bytes())
        };
        self.0.iter().rev().find(of).map(|rule| !rule.back)
    }

    /// Whether it matches a path, or a folder above it.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.says(path, false) == Some(true)
            || path.match_indices('/').any(|(at, _)| self.says(&path[..at], true) == Some(true))
    }
}

fn rule(line: &str) -> Option<Rule> {
    let mut text = line.trim_end_matches('\r');
    // Spaces at the end don't count, unless the last one that does is escaped.
    while let Some(shorter) = text.strip_suffix(' ') {
        let escapes = shorter.len() - shorter.trim_end_matches('\\').len();
        if escapes % 2 == 1 {
            break;
        }
        text = shorter;
    }
    if text.starts_with('#') {
        return None;
    }
    let (back, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (only_folders, text) = text.strip_suffix('/').map_or((false, text), |rest| (true, rest));
    let whole = text.contains('/');
    let text = text.strip_prefix('/').unwrap_or(text);
    if text.is_empty() {
        return None;
    }
    Some(Rule { glob: Glob::new(text)?, whole, only_folders, back })
}

/// What `{a,b}` stands for, at most 64 globs. None: there are more, or a brace is open.
fn braces(glob: &str) -> Option<Vec<String>> {
    const MOST: usize = 64;
    let mut done = Vec::new();
    let mut waiting = vec![glob.to_owned()];
    while let Some(glob) = waiting.pop() {
        let Some(open) = glob.find('{') else {
            done.push(glob);
            continue;
        };
        let mut depth = 0_usize;
        let mut cuts = vec![open];
        let mut close = None;
        for (at, letter) in glob[open..].char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 1 => {
                    close = Some(open + at);
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 1 => cuts.push(open + at),
                _ => {}
            }
        }
        let close = close?;
        cuts.push(close);
        for pair in cuts.windows(2) {
            waiting.push([&glob[..open], &glob[pair[0] + 1..pair[1]], &glob[close + 1..]].concat());
        }
        if waiting.len() + done.len() > MOST {
            return None;
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glob_matches_as_in_git() {
        for (glob, good, bad) in [
            ("*.rs", &["a.rs", ".rs"][..], &["a.rsx", "d/a.rs"][..]),
            ("a?c", &["abc"], &["ac", "a/c"]),
            ("src/**/x", &["src/x", "src/a/x", "src/a/b/x"], &["src/xx", "x"]),
            ("src/**", &["src/a", "src/a/b"], &["src", "srcs/a"]),
            ("**/x/*.c", &["x/a.c", "a/b/x/a.c"], &["x/y/a.c", "ax/a.c"]),
            ("a**b", &["ab", "axxb"], &["a/b"]),
            ("[a-c]x[!0-9]", &["bxy"], &["dxy", "bx1", "bx/"]),
            ("[]]", &["]"], &["["]),
            ("[[:digit:]_]", &["7", "_"], &["a"]),
            ("\\*", &["*"], &["a"]),
            ("*a*b*c", &["xaxbxc", "abcabc"], &["xaxc", "abcd"]),
        ] {
            let glob_of = Glob::new(glob).unwrap();
            for text in good {
                assert!(glob_of.matches(text.as_bytes()), "{glob} {text}");
            }
            for text in bad {
                assert!(!glob_of.matches(text.as_bytes()), "{glob} {text}");
            }
        }
        assert_eq!(Glob::new("[a"), None);
        assert_eq!(Glob::new("a\\"), None);
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rules = Rules::of_file("# said\n*.log\n!keep.log\n/top\nbuild/\na/b\n\\#x\nspace\\ \n");
        for (path, is_folder, says) in [
            ("d/x.log", false, Some(true)),
            ("d/keep.log", false, Some(false)),
            ("top", false, Some(true)),
            ("d/top", false, None),
            ("d/build", true, Some(true)),
            ("build", false, None),
            ("a/b", false, Some(true)),
            ("c/a/b", false, None),
            ("#x", false, Some(true)),
            ("space ", false, Some(true)),
            ("said", false, None),
        ] {
            assert_eq!(rules.says(path, is_folder), says, "{path}");
        }
    }

    #[test]
    fn globs_of_clients_may_have_braces_and_cover_folders() {
        let globs = |globs: &[&str]| {
            Rules::of_globs(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>())
        };
        let rules = globs(&["*.{rs,toml}", "docs", "./src/{a,b{1,2}}/x"]).unwrap();
        for good in ["d/a.rs", "Cargo.toml", "docs/a/b", "x/docs/c", "src/a/x", "src/b2/x"] {
            assert!(rules.covers(good), "{good}");
        }
        for bad in ["a.c", "doc/a", "src/b/x", "y/src/a/x"] {
            assert!(!rules.covers(bad), "{bad}");
        }
        assert!(globs(&["{a"]).is_none() && globs(&["[a"]).is_none() && globs(&[""]).is_none());
        assert!(globs(&["{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"]).is_none());
    }

    /// The same by trying everything.
    fn slowly(pieces: &[Piece], text: &[u8]) -> bool {
        let Some((piece, rest)) = pieces.split_first() else { return text.is_empty() };
        match piece {
            Piece::Rest => !text.is_empty(),
            Piece::Star => {
                let most = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
                (0..=most).any(|length| slowly(rest, &text[length..]))
            }
            Piece::Folders => {
                slowly(rest, text)
                    || (0..text.len()).any(|at| text[at] == b'/' && slowly(rest, &text[at + 1..]))
            }
            one => {
                let fits = Glob(vec![one.clone()]);
                !text.is_empty() && fits.matches(&text[..1]) && slowly(rest, &text[1..])
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_way_through_a_glob_is_missed(glob in r"(\*\*/|\*|\?|a|b|/|\[ab\]){0,7}(\*\*)?", text in "[ab/]{1,10}") {
            let glob = Glob::new(&glob).unwrap();
            prop_assert_eq!(glob.matches(text.as_bytes()), slowly(&glob.0, text.as_bytes()), "{:?}", glob);
        }
    }
}
