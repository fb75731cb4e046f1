//! Replacing and choosing lines of a text. Pure.

use staithe_protocol::files::{FileCode, FileDenied, LineEdit};

/// The text after these replacements, which refer to the text before and don't overlap.
pub(super) fn patch(text: &str, edits: &[LineEdit]) -> Result<String, FileDenied> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut edits: Vec<&LineEdit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.start, edit.end));
    let mut patched = String::new();
    let mut done = 0;
    for edit in edits {
        let bad = |what: String| Err(FileDenied::new(FileCode::BadMessage, what));
        let (Ok(start), Ok(end)) = (usize::try_from(edit.start), usize::try_from(edit.end)) else {
            return bad("A line's number is too large.".into());
        };
        if start > end || end > lines.len() {
            let count = lines.len();
            return bad(format!("Lines {start}..{end} are not in a file of {count} lines."));
        }
        if start < done {
            return bad(format!("The edits overlap at line {start}."));
        }
        patched.extend(lines[done..start].iter().copied());
        patched.push_str(&edit.text);
        done = end;
    }
    patched.extend(lines[done..].iter().copied());
    Ok(patched)
}

/// The lines that a `read` action asks for (§8.4), 0-based, `end` not included; −1 is the end.
pub(super) fn slice(text: &str, start: i64, end: i64) -> &str {
    if start == 0 && end == -1 {
        return text;
    }
    let ends: Vec<usize> = text
        .split_inclusive('\n')
        .scan(0, |at, line| {
            *at += line.len();
            Some(*at)
        })
        .collect();
    let count = i64::try_from(ends.len()).unwrap_or(i64::MAX);
    let (begin, end) = if end == -1 {
        (start.clamp(0, count), count)
    } else {
        let begin = start.min(count - 2).max(0);
        (begin, end.min(count).max(begin + 1))
    };
    let byte = |line: i64| match usize::try_from(line) {
        Ok(0) | Err(_) => 0,
        Ok(line) => ends.get(line - 1).copied().unwrap_or(text.len()),
    };
    &text[byte(begin)..byte(end).max(byte(begin))]
}

/// The text after a `write` action: lines `start` to `end` give way to `content`. The whole of it
/// (0 to −1) is taken as it is; a part gets a newline at its end where it lacks one.
pub(super) fn replace(text: &str, content: &str, start: i64, end: i64) -> String {
    if start <= 0 && end == -1 {
        return content.to_owned();
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let start = usize::try_from(start).unwrap_or(0).min(lines.len());
    let end = usize::try_from(end).map_or(lines.len(), |end| end.clamp(start, lines.len()));
    let mut whole: String = lines[..start].concat();
    if !whole.is_empty() && !whole.ends_with('\n') {
        whole.push('\n');
    }
    whole.push_str(content);
    if !content.is_empty() && !content.ends_with('\n') {
        whole.push('\n');
    }
    whole + &lines[end..].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: u64, end: u64, text: &str) -> LineEdit {
        LineEdit { start, end, text: text.into() }
    }

    #[test]
    fn lines_are_replaced_inserted_and_removed_at_once() {
        let edits = [edit(3, 3, "x\n"), edit(0, 1, "A\n"), edit(1, 2, "")];
        assert_eq!(patch("a\nb\nc\n", &edits).unwrap(), "A\nc\nx\n");
        assert_eq!(patch("a\nb", &[edit(1, 2, "B")]).unwrap(), "a\nB");
        assert_eq!(patch("", &[edit(0, 0, "new")]).unwrap(), "new");
    }

    #[test]
    fn edits_that_overlap_or_lie_outside_are_refused() {
        for edits in [
            vec![edit(0, 2, ""), edit(1, 2, "")],
            vec![edit(0, 4, "")],
            vec![edit(2, 1, "")],
            vec![edit(u64::MAX, u64::MAX, "")],
        ] {
            assert_eq!(patch("a\nb\nc\n", &edits).unwrap_err().code, FileCode::BadMessage);
        }
    }

    #[test]
    fn a_read_gets_the_lines_that_the_reference_gives() {
        let text = "0\n1\n2\n3\n";
        assert_eq!(slice(text, 0, -1), text);
        assert_eq!(slice(text, 1, 3), "1\n2\n");
        assert_eq!(slice(text, 2, -1), "2\n3\n");
        assert_eq!(slice(text, 3, -1), "3\n");
        assert_eq!(slice(text, 9, -1), "");
        assert_eq!(slice(text, 9, 2), "2\n");
        assert_eq!(slice(text, -5, 0), "0\n");
        assert_eq!(slice("", 3, 5), "");
    }

    #[test]
    fn a_write_of_the_whole_is_verbatim_and_one_of_lines_keeps_the_others() {
        assert_eq!(replace("old", "new", 0, -1), "new");
        assert_eq!(replace("0\n1\n2\n", "x", 1, 2), "0\nx\n2\n");
        assert_eq!(replace("0\n1", "x\n", 5, -1), "0\n1\nx\n");
        assert_eq!(replace("0\n1\n", "", 0, 1), "1\n");
    }
}
