//! Changes to a text, and how they differ. Pure.

use std::ops::Range;

/// A file's text as it is edited: lines end with `\n`, whatever they end with on the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub content: String,
    /// All its lines end with `\r\n` on the disk.
    is_dos: bool,
}

impl Text {
    pub(super) fn new(stored: &str) -> Self {
        let ends = stored.matches('\n').count();
        let is_dos = ends > 0
            && stored.matches("\r\n").count() == ends
            && stored.matches('\r').count() == ends;
        let content = if is_dos { stored.replace("\r\n", "\n") } else { stored.to_owned() };
        Self { content, is_dos }
    }

    /// A parameter, with ends of lines like the text's.
    pub(super) fn like(&self, parameter: &str) -> String {
        if self.is_dos { parameter.replace("\r\n", "\n") } else { parameter.to_owned() }
    }

    /// Another content as it is stored on the disk.
    pub(super) fn stored(&self, content: &str) -> String {
        if self.is_dos { content.replace('\n', "\r\n") } else { content.to_owned() }
    }
}

/// Why a text was not found exactly once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Not {
    /// Not even without the spaces around it, which is how it is given here.
    Found { old: String },
    /// It begins in each of these lines, 1-based.
    Unique { old: String, lines: Vec<usize> },
}

/// A changed text, and which of its lines show the change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub content: String,
    /// Lines to show, 0-based.
    pub shown: Range<usize>,
    /// The number that the first of them has, 1-based.
    pub first: usize,
}

/// Replaces what occurs exactly once.
pub(super) fn replace(text: &str, old: &str, new: &str, around: usize) -> Result<Changed, Not> {
    let (old, new) = if text.contains(old) { (old, new) } else { (old.trim(), new.trim()) };
    let found: Vec<usize> = text.match_indices(old).map(|(at, _)| at).collect();
    let line_of = |at: usize| text[..at].matches('\n').count() + 1;
    let at = match found[..] {
        [] => return Err(Not::Found { old: old.to_owned() }),
        [at] => at,
        _ => {
            let lines = lines_at(text, &found);
            return Err(Not::Unique { old: old.to_owned(), lines });
        }
    };
    let line = line_of(at);
    let content = [&text[..at], new, &text[at + old.len()..]].concat();
    let start = line.saturating_sub(around);
    let end = line + around + new.matches('\n').count();
    Ok(Changed { content, shown: start..end, first: start + 1 })
}

/// The lines of these places, which ascend; each line once.
fn lines_at(text: &str, places: &[usize]) -> Vec<usize> {
    let (mut line, mut done) = (1, 0);
    let mut lines: Vec<usize> = Vec::new();
    for &at in places {
        line += text[done..at].matches('\n').count();
        done = at;
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines
}

/// How many lines a text has; a last one needs no end.
pub(super) fn count_lines(text: &str) -> usize {
    text.split_inclusive('\n').count()
}

/// Inserts lines after line `after`, which is at most the last; 0 is before the first.
pub(super) fn insert(text: &str, after: usize, new: &str, around: usize) -> Changed {
    let at: usize = text.split_inclusive('\n').take(after).map(str::len).sum();
    let (before, behind) = text.split_at(at);
    // A last line without an end gets one, or the new text would become a part of it.
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let content = [before, end, new, "\n", behind].concat();
    let added = new.split('\n').count();
    let start = after.saturating_sub(around);
    let shown = start..(after + around + added).min(count_lines(text) + added);
    Changed { content, shown, first: start + 1 }
}

/// Some lines of a text.
pub(super) fn lines(text: &str, range: Range<usize>) -> &str {
    let mut ends = text.split_inclusive('\n').map(str::len);
    let start: usize = ends.by_ref().take(range.start).sum();
    let length: usize = ends.take(range.len()).sum();
    &text[start..start + length]
}

/// The difference as a unified diff of one hunk, with three lines around it. Empty: none.
pub(super) fn difference(path: &str, before: &str, after: &str) -> String {
    const AROUND: usize = 3;
    if before == after {
        return String::new();
    }
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let most = old.len().min(new.len()) - head;
    let ends = old.iter().rev().zip(new.iter().rev());
    let tail = ends.take(most).take_while(|(one, other)| one == other).count();
    let from = head.saturating_sub(AROUND);
    let around = tail.min(AROUND);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let extent = |length: usize| {
        // A unified diff counts from 1, but names the line before an empty part.
        let start = if length == 0 { from } else { from + 1 };
        if length == 1 { start.to_string() } else { format!("{start},{length}") }
    };
    let mut diff = format!(
        "--- {path}\n+++ {path}\n@@ -{} +{} @@\n",
        extent(old_end + around - from),
        extent(new_end + around - from)
    );
    let mut put = |sign: char, lines: &[&str]| {
        for line in lines {
            diff.push(sign);
            diff.push_str(line);
            if !line.ends_with('\n') {
                diff.push_str("\n\\ No newline at end of file\n");
            }
        }
    };
    put(' ', &old[from..head]);
    put('-', &old[head..old_end]);
    put('+', &new[head..new_end]);
    put(' ', &old[old_end..old_end + around]);
    diff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_dos_keeps_its_ends_of_lines() {
        let text = Text::new("a\r\nb\r\n");
        assert_eq!(text.content, "a\nb\n");
        assert_eq!(text.stored("a\nB\n"), "a\r\nB\r\n");
        for mixed in ["a\r\nb\n", "a\rb\r\n", "a\n", ""] {
            let text = Text::new(mixed);
            assert_eq!((text.content.as_str(), text.is_dos), (mixed, false));
        }
    }

    #[test]
    fn one_occurrence_is_replaced_and_shown_with_what_is_around_it() {
        let text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let changed = replace(text, "6", "six\nseven", 4).unwrap();
        assert_eq!(changed.content, "1\n2\n3\n4\n5\nsix\nseven\n7\n8\n9\n");
        assert_eq!((changed.shown, changed.first), (2..11, 3));
    }

    #[test]
    fn spaces_around_the_text_are_forgiven_if_it_is_not_found_with_them() {
        assert_eq!(replace("a b c", "\n b \n", " x ", 4).unwrap().content, "a x c");
        assert_eq!(replace("a", " z ", "", 4), Err(Not::Found { old: "z".into() }));
    }

    #[test]
    fn several_occurrences_are_told_by_their_lines() {
        let lines = vec![1, 3];
        assert_eq!(replace("x x\n\nx", "x", "", 4), Err(Not::Unique { old: "x".into(), lines }));
    }

    #[test]
    fn nothing_can_be_replaced_in_an_empty_text_only() {
        assert_eq!(replace("", "", "new", 4).unwrap().content, "new");
        let lines = vec![1, 2];
        assert_eq!(replace("a\n", "", "n", 4), Err(Not::Unique { old: String::new(), lines }));
    }

    #[test]
    fn lines_are_inserted_and_never_glued_to_the_last() {
        let changed = insert("1\n2\n3\n4\n5\n6\n7\n", 5, "x\ny", 4);
        assert_eq!(changed.content, "1\n2\n3\n4\n5\nx\ny\n6\n7\n");
        assert_eq!((changed.shown, changed.first), (1..9, 2));
        assert_eq!(insert("a", 1, "b", 4).content, "a\nb\n");
        assert_eq!(insert("", 0, "b", 4).content, "b\n");
    }

    #[test]
    fn a_difference_is_one_hunk_with_three_lines_around_it() {
        assert_eq!(
            difference("/f", "1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\nfive\n6\n7\n8\n9"),
            "--- /f\n+++ /f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
        assert_eq!(
            difference("/f", "", "a"),
            "--- /f\n+++ /f\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n"
        );
        assert_eq!(difference("/f", "a", "a"), "");
    }

    /// Applies a difference of [`difference`]'s form.
    fn apply(before: &str, diff: &str) -> String {
        let mut hunk = diff.split_inclusive('\n').skip(2).peekable();
        let Some(head) = hunk.next() else { return before.to_owned() };
        let range = head.split(' ').nth(1).unwrap().trim_start_matches('-');
        let (start, length) = range.split_once(',').unwrap_or((range, "1"));
        let (start, length): (usize, usize) = (start.parse().unwrap(), length.parse().unwrap());
        let start = if length == 0 { start } else { start - 1 };
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let mut after = old[..start].concat();
        while let Some(line) = hunk.next() {
            let bare = hunk.next_if(|next| next.starts_with('\\')).is_some();
            let line = if bare { line.trim_end_matches('\n') } else { line };
            if !line.starts_with('-') {
                after.push_str(&line[1..]);
            }
        }
        after + &old[start + length..].concat()
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_text_to_the_other(before in "[ab\n]{0,30}", after in "[ab\n]{0,30}") {
            prop_assert_eq!(apply(&before, &difference("f", &before, &after)), after);
        }

        #[test]
        fn lines_of_a_text_are_a_part_of_it(text in "[ab\n]{0,30}", start in 0_usize..12, more in 0_usize..12) {
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            let wanted: String = all.iter().skip(start).take(more).copied().collect();
            prop_assert_eq!(lines(&text, start..start + more), wanted);
        }
    }
}
