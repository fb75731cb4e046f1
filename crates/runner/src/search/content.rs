//! The lines of one file that match.

use std::{
    fs::File,
    io::{self, Read},
};

use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};
use staithe_protocol::search::{ContentSearch, Found, MAX_CONTEXT, MatchRange};

use super::pattern::Pattern;

/// The longest text that is told of a line, in bytes, and how much of it may stand before the first match.
const MOST_TEXT: usize = 1000;
const BEFORE: usize = 200;
/// Matches told of one line.
const MOST_RANGES: usize = 100;
/// The longest line that is searched, in bytes.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// A searcher for such a search.
pub(super) fn searcher(search: &ContentSearch) -> Searcher {
    let context = usize::try_from(search.context.min(MAX_CONTEXT)).unwrap_or(0);
    SearcherBuilder::new()
        .line_number(true)
        .before_context(context)
        .after_context(context)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(LONGEST_LINE))
        .build()
}

/// What takes lines; false ends the search.
pub(super) trait Take {
    /// Whether to go on at all: asked while a file is read.
    fn goes_on(&self) -> bool;
    fn take(&mut self, found: &Found) -> bool;
}

/// How a file's search ended.
pub(super) struct Searched {
    /// Lines that matched.
    pub lines: u64,
    pub binary: bool,
    /// A line was too long, or the file could not be read to its end.
    pub broken: bool,
}

/// Searches one file.
pub(super) fn file(
    searcher: &mut Searcher,
    pattern: &Pattern,
    path: &str,
    file: File,
    most: u64,
    to: &mut impl Take,
) -> Searched {
    let lines = std::cell::RefCell::new(Lines { pattern, path, most, to, count: 0, binary: false });
    let reader = Watched { file, lines: &lines };
    let ended = searcher.search_reader(pattern, reader, Into(&lines));
    let Lines { count, binary, .. } = lines.into_inner();
    Searched { lines: count, binary, broken: ended.is_err() }
}

struct Lines<'a, T> {
    pattern: &'a Pattern,
    path: &'a str,
    most: u64,
    to: &'a mut T,
    /// Lines that matched.
    count: u64,
    binary: bool,
}

/// A file that ends when nobody wants more of it.
struct Watched<'a, 'b, T> {
    file: File,
    lines: &'a std::cell::RefCell<Lines<'b, T>>,
}

impl<T: Take> Read for Watched<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.lines.borrow().to.goes_on() { self.file.read(buffer) } else { Ok(0) }
    }
}

struct Into<'a, 'b, T>(&'a std::cell::RefCell<Lines<'b, T>>);

impl<T: Take> Sink for Into<'_, '_, T> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        let lines = &mut *self.0.borrow_mut();
        let line = without_end(found.bytes());
        let ranges = lines.pattern.all(line, MOST_RANGES);
        if ranges.is_empty() {
            return Ok(true); // it matches nothing, or only the line's end
        }
        lines.count += 1;
        let number = found.line_number().unwrap_or(0);
        let goes_on = lines.to.take(&matched(lines.path, number, line, &ranges));
        Ok(goes_on && lines.count < lines.most)
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> io::Result<bool> {
        let lines = &mut *self.0.borrow_mut();
        let line = without_end(found.bytes());
        let end = boundary(line, MOST_TEXT.min(line.len()));
        let (text, lossy) = text(&line[..end]);
        Ok(lines.to.take(&Found::Context {
            path: lines.path.to_owned(),
            line: found.line_number().unwrap_or(0),
            text,
            cut_after: (line.len() - end) as u64,
            lossy,
        }))
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.0.borrow_mut().binary = true;
        Ok(false)
    }

    fn finish(&mut self, _: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.0.borrow_mut().binary |= end.binary_byte_offset().is_some();
        Ok(())
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Text of bytes, and whether some could not be read.
fn text(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
    }
}

/// The next place from `at` on where no letter of UTF-8 is cut.
fn boundary(line: &[u8], at: usize) -> usize {
    let inside = |byte: &&u8| (**byte & 0xc0) == 0x80;
    at + line[at..].iter().take(3).take_while(inside).count()
}

/// A line that matches, cut to what may be told of it.
fn matched(path: &str, number: u64, line: &[u8], ranges: &[(usize, usize)]) -> Found {
    let first = ranges.first().map_or(0, |(start, _)| *start);
    let start = if line.len() <= MOST_TEXT { 0 } else { first.saturating_sub(BEFORE) };
    let start = boundary(line, start);
    let end = boundary(line, line.len().min(start + MOST_TEXT));
    let (shown, lossy) = text(&line[start..end]);
    let units = |at: usize| {
        let before = String::from_utf8_lossy(&line[start..at.clamp(start, end)]);
        before.encode_utf16().count() as u64
    };
    let within = |range: &&(usize, usize)| range.0 < end;
    let ranges = ranges.iter().take_while(within).map(|&(from, to)| MatchRange {
        start: from as u64,
        end: to as u64,
        text_start: units(from),
        text_end: units(to),
    });
    Found::Match {
        path: path.to_owned(),
        line: number,
        text: shown,
        cut_before: start as u64,
        cut_after: (line.len() - end) as u64,
        ranges: ranges.collect(),
        lossy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct All(Vec<Found>);

    impl Take for All {
        fn goes_on(&self) -> bool {
            true
        }

        fn take(&mut self, found: &Found) -> bool {
            self.0.push(found.clone());
            true
        }
    }

    fn search(query: &str, content: &[u8], around: u32) -> (Vec<Found>, Searched) {
        let asked = ContentSearch {
            query: query.to_owned(),
            context: around,
            regex: true,
            ..ContentSearch::default()
        };
        let mut stored = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut stored, content).unwrap();
        io::Seek::rewind(&mut stored).unwrap();
        let mut all = All(Vec::new());
        let pattern = Pattern::new(&asked).unwrap();
        let ended = file(&mut searcher(&asked), &pattern, "f", stored, 100, &mut all);
        (all.0, ended)
    }

    fn lines(found: &[Found]) -> Vec<(u64, &str)> {
        let of = |found| match found {
            &Found::Match { line, ref text, .. } | &Found::Context { line, ref text, .. } => {
                (line, text.as_str())
            }
            other => panic!("{other:?}"),
        };
        found.iter().map(of).collect()
    }

    #[test]
    fn lines_are_told_with_those_around_them() {
        let (found, ended) = search("b", b"1\n2\nab\r\n4\n5\nb", 1);
        assert_eq!(lines(&found), [(2, "2"), (3, "ab"), (4, "4"), (5, "5"), (6, "b")]);
        assert_eq!((ended.lines, ended.binary, ended.broken), (2, false, false));
        let Found::Match { ranges, .. } = &found[1] else { panic!("{found:?}") };
        assert_eq!(ranges[..], [MatchRange { start: 1, end: 2, text_start: 1, text_end: 2 }]);
    }

    #[test]
    fn a_long_line_is_cut_around_its_first_match_and_offsets_stay_right() {
        let line = format!("{}é😀needle😀needle{}needle", "x".repeat(5000), "y".repeat(5000));
        let (found, _) = search("needle", line.as_bytes(), 0);
        let Found::Match { text, cut_before, cut_after, ranges, lossy, .. } = &found[0] else {
            panic!("{found:?}")
        };
        assert!(!lossy && text.len() <= MOST_TEXT + 3);
        let at = |offset: u64| usize::try_from(offset).unwrap();
        assert_eq!(at(*cut_before) + text.len() + at(*cut_after), line.len());
        assert_eq!(ranges.len(), 2);
        let units: Vec<u16> = text.encode_utf16().collect();
        for range in ranges {
            let shown = &units[at(range.text_start)..at(range.text_end)];
            assert_eq!(String::from_utf16(shown).unwrap(), "needle");
            assert_eq!(&line[at(range.start)..at(range.end)], "needle");
        }
    }

    #[test]
    fn utf_16_is_read_by_its_mark_and_broken_text_is_marked() {
        let wide: Vec<u8> =
            "\u{feff}one\ntwö\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (found, ended) = search("tw.", &wide, 0);
        assert_eq!(lines(&found), [(2, "twö")]);
        assert!(!ended.binary);
        let (found, _) = search("b", b"a\xffb", 0);
        let Found::Match { text, lossy, ranges, .. } = &found[0] else { panic!("{found:?}") };
        assert_eq!((text.as_str(), *lossy), ("a\u{fffd}b", true));
        assert_eq!(ranges[0], MatchRange { start: 2, end: 3, text_start: 2, text_end: 3 });
    }

    #[test]
    fn what_is_no_text_is_left_and_a_line_without_end_is_given_up() {
        let (found, ended) = search("a", b"\0a\n", 0);
        assert!(found.is_empty() && ended.binary);
        let (_, ended) = search("a", "x".repeat(LONGEST_LINE * 3).as_bytes(), 0);
        assert!(ended.broken && !ended.binary);
    }

    #[test]
    fn a_match_of_nothing_is_none() {
        let (found, ended) = search("x*", b"aaa\nbxx\n", 0);
        assert_eq!(lines(&found), [(2, "bxx")]);
        assert_eq!(ended.lines, 1);
        let (found, _) = search("a$", b"a\r\nba\nab\n", 0);
        assert_eq!(lines(&found), [(1, "a"), (2, "ba")]);
    }
}
