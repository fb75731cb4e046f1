//! The lines of one file that match.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Cursor, Read},
};

use staithe_protocol::search::{ContentSearch, Found, MAX_CONTEXT, MatchRange};

use super::pattern::Pattern;

/// The longest text that is told of a line, in bytes, and how much of it may stand before the first match.
const MOST_TEXT: usize = 1000;
const BEFORE: usize = 200;
/// Matches told of one line.
const MOST_RANGES: usize = 100;
/// The longest line that is searched, and the largest file of UTF-16, in bytes.
const LONGEST_LINE: usize = 4 * 1024 * 1024;
const LARGEST_WIDE: u64 = 8 * 1024 * 1024;
/// Read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// What takes lines; false ends the search.
pub(super) trait Take {
    /// Whether to go on at all: asked while a file is read.
    fn goes_on(&self) -> bool;
    fn take(&mut self, found: &Found) -> bool;
}

/// How a file's search ended.
#[derive(Default)]
pub(super) struct Searched {
    /// Lines that matched.
    pub lines: u64,
    pub binary: bool,
    /// A line was too long, or the file could not be read to its end.
    pub broken: bool,
}

/// What is looked for, and how.
pub(super) struct Searcher {
    pattern: Pattern,
    /// Lines told before and after a match.
    around: usize,
    /// Lines that match in one file.
    most: u64,
}

impl Searcher {
    pub(super) fn new(pattern: Pattern, search: &ContentSearch, most: u64) -> Self {
        let around = usize::try_from(search.context.min(MAX_CONTEXT)).unwrap_or(0);
        Self { pattern, around, most }
    }

    /// Searches one file.
    pub(super) fn file(&self, path: &str, file: File, to: &mut impl Take) -> Searched {
        let lines = Lines {
            searcher: self,
            path,
            to,
            number: 0,
            before: VecDeque::new(),
            after: 0,
            searched: Searched::default(),
        };
        lines.search(file)
    }
}

/// The way through one file.
struct Lines<'a, T> {
    searcher: &'a Searcher,
    path: &'a str,
    to: &'a mut T,
    /// Of the last line, from 1.
    number: u64,
    /// The last lines that were not told.
    before: VecDeque<(u64, Vec<u8>)>,
    /// How many of the next lines are told, whatever they are.
    after: usize,
    searched: Searched,
}

impl<T: Take> Lines<'_, T> {
    fn search(mut self, mut file: File) -> Searched {
        let mut mark = [0; 3];
        let length = read_full(&mut file, &mut mark);
        let result = match length.map(|length| &mark[..length]) {
            Ok([0xff, 0xfe, rest @ ..]) => self.wide(rest, file, u16::from_le_bytes),
            Ok([0xfe, 0xff, rest @ ..]) => self.wide(rest, file, u16::from_be_bytes),
            Ok([0xef, 0xbb, 0xbf]) => self.read(file),
            Ok(start) => self.read(Cursor::new(start.to_vec()).chain(file)),
            Err(error) => Err(error),
        };
        self.searched.broken = result.is_err();
        self.searched
    }

    /// UTF-16 is made UTF-8 first.
    fn wide(&mut self, start: &[u8], file: File, unit: fn([u8; 2]) -> u16) -> io::Result<()> {
        let mut bytes = start.to_vec();
        file.take(LARGEST_WIDE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST_WIDE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let letters = char::decode_utf16(units);
        let text: String = letters.map(|l| l.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.read(Cursor::new(text.into_bytes()))
    }

    /// Goes through all lines; ends early when nobody wants more.
    fn read(&mut self, mut from: impl Read) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(PIECE);
        let mut piece = vec![0; PIECE];
        while self.to.goes_on() {
            let length = match from.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            let piece = &piece[..length];
            if memchr::memchr(0, piece).is_some() {
                self.searched.binary = true;
                return Ok(());
            }
            // Only what is new can have a line's end.
            let mut done = 0;
            let known = buffer.len();
            buffer.extend_from_slice(piece);
            for end in memchr::memchr_iter(b'\n', piece) {
                let line = &buffer[done..known + end];
                done = known + end + 1;
                if !self.line(line) {
                    return Ok(());
                }
            }
            buffer.drain(..done);
            if length == 0 {
                if !buffer.is_empty() {
                    self.line(&buffer);
                }
                return Ok(());
            }
            if buffer.len() > LONGEST_LINE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        Ok(())
    }

    /// One line, without its `\n`. Whether to go on.
    fn line(&mut self, line: &[u8]) -> bool {
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_full = self.searched.lines >= self.searcher.most;
        let ranges =
            if is_full { Vec::new() } else { self.searcher.pattern.all(line, MOST_RANGES) };
        if !ranges.is_empty() {
            while let Some((number, line)) = self.before.pop_front() {
                if !self.context(number, &line) {
                    return false;
                }
            }
            self.searched.lines += 1;
            self.after = self.searcher.around;
            let found = matched(self.path, self.number, line, &ranges);
            let is_last = self.searched.lines >= self.searcher.most && self.after == 0;
            return self.to.take(&found) && !is_last;
        }
        if self.after > 0 {
            self.after -= 1;
            return self.context(self.number, line) && !(is_full && self.after == 0);
        }
        if self.searcher.around > 0 {
            if self.before.len() == self.searcher.around {
                self.before.pop_front();
            }
            let end = line.len().min(MOST_TEXT + 4);
            self.before.push_back((self.number, line[..end].to_vec()));
        }
        true
    }

    fn context(&mut self, number: u64, line: &[u8]) -> bool {
        let end = boundary(line, MOST_TEXT.min(line.len()));
        let (text, lossy) = text(&line[..end]);
        let cut = line.len() > end;
        self.to.take(&Found::Context { path: self.path.to_owned(), line: number, text, cut, lossy })
    }
}

/// Fills a buffer as far as there is something.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
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
        let ended = Searcher::new(pattern, &asked, 100).file("f", stored, &mut all);
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
    fn lines_are_whole_wherever_a_piece_ends() {
        let filler = "y".repeat(PIECE - 5);
        let (found, _) =
            search("needle", format!("{filler}\n12needle\n{filler}needle").as_bytes(), 0);
        assert_eq!(found.len(), 2);
        assert_eq!(lines(&found)[0], (2, "12needle"));
        assert!(matches!(&found[1], Found::Match { line: 3, .. }));
    }

    #[test]
    fn a_file_that_has_enough_is_left_after_its_last_context() {
        let asked = ContentSearch { query: "x".to_owned(), context: 1, ..ContentSearch::default() };
        let mut stored = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut stored, b"x\nx\nx\nx\n").unwrap();
        io::Seek::rewind(&mut stored).unwrap();
        let mut all = All(Vec::new());
        let pattern = Pattern::new(&asked).unwrap();
        let ended = Searcher::new(pattern, &asked, 2).file("f", stored, &mut all);
        assert_eq!((ended.lines, lines(&all.0)), (2, vec![(1, "x"), (2, "x"), (3, "x")]));
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
