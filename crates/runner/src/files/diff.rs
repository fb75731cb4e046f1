//! A unified diff put to a text. Strict: every hunk must fit at the very line that it names. Pure.

use staithe_protocol::files::{FileCode, FileDenied};

/// The most hunks of one diff.
const MOST_HUNKS: usize = 100_000;

/// One hunk: what is to be there, and what is there afterwards.
struct Hunk {
    /// The first of the old lines, 0-based.
    at: usize,
    /// The lines themselves, with their newlines.
    old: Vec<String>,
    new: Vec<String>,
    /// Where it stands in the diff, 1-based.
    line: usize,
}

/// The text after a unified diff of one file. Names in its head mean nothing here.
pub(super) fn apply(text: &str, diff: &str) -> Result<String, FileDenied> {
    let hunks = parse(diff)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut patched = String::with_capacity(text.len());
    let mut done = 0;
    for hunk in hunks {
        let end = hunk.at.saturating_add(hunk.old.len());
        if hunk.at < done {
            return bad(hunk.line, "the hunk overlaps the one before");
        }
        if end > lines.len() {
            let count = lines.len();
            return bad(hunk.line, &format!("the hunk ends at line {end} of {count}"));
        }
        let there = &lines[hunk.at..end];
        let differs = there.iter().zip(&hunk.old).position(|(line, wanted)| line != wanted);
        if let Some(differs) = differs {
            let number = hunk.at + differs + 1;
            let (is, said) = (there[differs], &hunk.old[differs]);
            let words = format!("line {number} of the file is {is:?}, not {said:?}");
            return bad(hunk.line, &words);
        }
        patched.extend(lines[done..hunk.at].iter().copied());
        patched.extend(hunk.new);
        done = end;
    }
    let rest = &lines[done..];
    if !rest.is_empty() && !patched.is_empty() && !patched.ends_with('\n') {
        let words = "`\\ No newline at end of file` stands before the file's end";
        return Err(FileDenied::new(FileCode::BadMessage, words));
    }
    patched.extend(rest.iter().copied());
    Ok(patched)
}

fn bad<T>(line: usize, what: &str) -> Result<T, FileDenied> {
    let text = format!("The diff can't be used: line {line}: {what}.");
    Err(FileDenied::new(FileCode::BadMessage, text))
}

fn parse(diff: &str) -> Result<Vec<Hunk>, FileDenied> {
    let mut hunks = Vec::new();
    let mut lines = diff.split_inclusive('\n').zip(1..).peekable();
    let mut headed = false;
    while let Some((line, number)) = lines.next() {
        if let Some(head) = line.strip_prefix("@@ ") {
            let Some((at, old, new)) = ranges(head) else {
                return bad(number, "this is no `@@ -line,count +line,count @@`");
            };
            if hunks.len() == MOST_HUNKS {
                return bad(number, "there are too many hunks");
            }
            let mut hunk = Hunk { at, old: vec![], new: vec![], line: number };
            body(&mut hunk, (old, new), &mut lines)?;
            hunks.push(hunk);
        } else if line.starts_with("--- ") {
            if headed {
                return bad(number, "the diff is of more than one file");
            }
            headed = true;
        } else if !hunks.is_empty() && !line.trim().is_empty() {
            return bad(number, "the hunk is longer than its head says");
        }
    }
    if hunks.is_empty() {
        return bad(1, "there is no hunk");
    }
    Ok(hunks)
}

/// `-line,count +line,count @@ …`: the first old line, 0-based, and both counts.
fn ranges(head: &str) -> Option<(usize, usize, usize)> {
    let (old, rest) = head.strip_prefix('-')?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(usize, usize)> {
        match text.split_once(',') {
            Some((line, count)) => Some((line.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((line, old), (_, new)) = (pair(old)?, pair(new)?);
    // Of no lines, the one before is named.
    let at = if old == 0 { line } else { line.checked_sub(1)? };
    Some((at, old, new))
}

/// The lines of a hunk, as many as its head says.
fn body<'a>(
    hunk: &mut Hunk,
    (mut old, mut new): (usize, usize),
    lines: &mut std::iter::Peekable<impl Iterator<Item = (&'a str, usize)>>,
) -> Result<(), FileDenied> {
    let mut last = (false, false);
    while old > 0 || new > 0 || lines.peek().is_some_and(|(line, _)| line.starts_with('\\')) {
        let Some((line, number)) = lines.next() else {
            return bad(hunk.line, "the hunk is shorter than its head says");
        };
        let (sign, text) = match line.as_bytes().first() {
            // An editor took the blank off an empty line.
            Some(b'\n') => (b' ', line),
            Some(sign @ (b' ' | b'-' | b'+' | b'\\')) => (*sign, &line[1..]),
            _ => return bad(number, "a line begins with none of ` `, `-`, `+`"),
        };
        if sign == b'\\' {
            let sides = [(last.0, &mut hunk.old), (last.1, &mut hunk.new)];
            for (_, side) in sides.into_iter().filter(|(is_last, _)| *is_last) {
                if let Some(line) = side.last_mut() {
                    line.truncate(line.trim_end_matches('\n').len());
                }
            }
            last = (false, false);
            continue;
        }
        last = (sign != b'+', sign != b'-');
        let mut line = text.to_owned();
        if !line.ends_with('\n') {
            line.push('\n'); // the diff's own last line
        }
        for (is_meant, left, side) in
            [(last.0, &mut old, &mut hunk.old), (last.1, &mut new, &mut hunk.new)]
        {
            if is_meant {
                let Some(less) = left.checked_sub(1) else {
                    return bad(number, "the hunk is longer than its head says");
                };
                *left = less;
                side.push(line.clone());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hunks_are_put_where_they_say() {
        let diff = "diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n\
                    @@ -1,2 +1,3 @@ fn x()\n a\n+A\n b\n@@ -4 +5,0 @@\n-d\n";
        assert_eq!(apply("a\nb\nc\nd\n", diff).unwrap(), "a\nA\nb\nc\n");
        assert_eq!(apply("", "@@ -0,0 +1,2 @@\n+a\n+b").unwrap(), "a\nb\n");
        let ends = "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n";
        assert_eq!(apply("a\nb", ends).unwrap(), "a\nc");
        assert_eq!(apply("a\n\nb\n", "@@ -1,3 +1,2 @@\n a\n\n-b\n").unwrap(), "a\n\n");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_line() {
        let text = "a\nb\nc\n";
        for (diff, words) in [
            ("", "no hunk"),
            ("@@ -1 +1 @@\n-b\n+x\n", "line 1 of the file is \"a\\n\", not \"b\\n\""),
            ("@@ -3,2 +3,2 @@\n-c\n-d\n+x\n+y\n", "ends at line 4 of 3"),
            ("@@ -1,2 +1,1 @@\n-a\n", "shorter"),
            ("@@ -1,1 +1,1 @@\n-a\n+b\n+c\n", "longer"),
            ("@@ -2 +2 @@\n-b\n+x\n@@ -1 +1 @@\n-a\n+y\n", "overlaps"),
            ("@@ -0 +1 @@\n-a\n+b\n", "no `@@"),
            ("@@ -x +1 @@\n-a\n+b\n", "no `@@"),
            ("@@ -1 +1 @@\n-a\n*b\n", "none of"),
            (
                "--- a\n+++ a\n@@ -1 +1 @@\n-a\n+b\n--- c\n+++ c\n@@ -1 +1 @@\n-a\n+b\n",
                "more than one",
            ),
            ("@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n", "before the file's end"),
            ("@@ -18446744073709551615,9 +1 @@\n-a\n+b\n", "shorter"),
        ] {
            let denied = apply(text, diff).unwrap_err();
            assert_eq!(denied.code, FileCode::BadMessage, "{diff:?}");
            assert!(denied.message.contains(words), "{diff:?}: {}", denied.message);
        }
    }

    /// Parts of a text: kept lines, or old ones that give way to new ones.
    type Part = (Vec<String>, Vec<String>, Vec<String>);

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        let lines = |range| prop::collection::vec("[ab +@\\\\-]{1,3}\r?", range);
        prop::collection::vec((lines(1..5), lines(0..3), lines(0..3)), 1..8)
    }

    /// Both texts and the diff between them, each hunk with one line of context before it.
    fn texts(parts: &[Part], final_newline: bool) -> (String, String, String) {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let mut hunks = Vec::new();
        for (kept, gone, come) in parts {
            old.extend(kept.clone());
            new.extend(kept.clone());
            let context = &kept[kept.len() - 1];
            hunks.push((old.len(), new.len(), context.clone(), gone.clone(), come.clone()));
            old.extend(gone.clone());
            new.extend(come.clone());
        }
        let (last_old, last_new) = (old.len(), new.len());
        let mut diff = String::from("--- a\n+++ b\n");
        for (at, to, context, gone, come) in hunks {
            let (ends_old, ends_new) = (at + gone.len() == last_old, to + come.len() == last_new);
            let (old, new) = (gone.len() + 1, come.len() + 1);
            diff.extend([format!("@@ -{at},{old} +{to},{new} @@\n")]);
            let mut line = |sign: char, line: &str, is_end: bool| {
                diff.extend([format!("{sign}{line}\n")]);
                if is_end && !final_newline {
                    diff += "\\ No newline at end of file\n";
                }
            };
            let alike = (ends_old && gone.is_empty()) == (ends_new && come.is_empty());
            if alike {
                line(' ', &context, ends_old && gone.is_empty());
            } else {
                // The context is the end of one text only: it differs in its newline.
                line('-', &context, ends_old && gone.is_empty());
            }
            for (n, text) in gone.iter().enumerate() {
                line('-', text, ends_old && n + 1 == gone.len());
            }
            if !alike {
                line('+', &context, ends_new && come.is_empty());
            }
            for (n, text) in come.iter().enumerate() {
                line('+', text, ends_new && n + 1 == come.len());
            }
        }
        let join = |lines: Vec<String>| lines.join("\n") + if final_newline { "\n" } else { "" };
        (join(old), join(new), diff)
    }

    proptest! {
        #[test]
        fn a_diff_makes_the_one_text_of_the_other(parts in parts(), final_newline: bool) {
            let (old, new, diff) = texts(&parts, final_newline);
            prop_assert_eq!(apply(&old, &diff).map_err(|denied| denied.message), Ok(new));
        }

        #[test]
        fn no_text_and_no_diff_make_it_panic(text in "[ab\n]{0,20}", diff in "(@@ -[0-9]{0,2}(,[0-9])? \\+[0-9](,[0-9])? @@\n|[ +\\\\-][ab]?\n|--- a\n){0,12}") {
            drop(apply(&text, &diff));
        }
    }
}
