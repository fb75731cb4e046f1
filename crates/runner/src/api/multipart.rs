//! Form data (RFC 7578), read piece by piece in bounded memory. Pure.
//!
//! Our own, because the crates for it keep the headers of a part whole however long they are.

use memchr::memmem;

/// The longest headers of a part, in bytes.
const MOST_HEADERS: usize = 16 * 1024;
/// The most parts of a form.
const MOST_PARTS: usize = 64;
/// The longest boundary (RFC 2046).
const MOST_BOUNDARY: usize = 70;

/// What comes, in this order: a part, its data in any number of pieces, its end; and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Part { name: String, filename: Option<String> },
    Data(Vec<u8>),
    End,
}

/// Why it is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("the headers of a part are longer than 16 KiB")]
    LongHeaders,
    #[error("a part has no `Content-Disposition: form-data` with a name")]
    NoName,
    #[error("the form has more than 64 parts")]
    ManyParts,
    #[error("a boundary is followed by something else")]
    Boundary,
    #[error("the form was cut off")]
    Cut,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Before,
    /// Right behind a boundary.
    AtBoundary,
    Headers,
    Data,
    /// Behind the last boundary.
    After,
}

/// The reader.
pub(super) struct Multipart {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    state: State,
    buffer: Vec<u8>,
    parts: usize,
}

impl Multipart {
    /// From the request's `Content-Type`; none if that announces no form.
    pub(super) fn new(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > MOST_BOUNDARY {
            return None;
        }
        // The first boundary needs no line before it.
        let buffer = b"\r\n".to_vec();
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Some(Self { delimiter, state: State::Before, buffer, parts: 0 })
    }

    /// Takes the next bytes of the body.
    pub(super) fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Broken> {
        self.buffer.extend_from_slice(bytes);
        while self.step(events)? {}
        Ok(())
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Result<(), Broken> {
        if self.state == State::After { Ok(()) } else { Err(Broken::Cut) }
    }

    /// One step; whether another may follow without more bytes.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool, Broken> {
        match self.state {
            State::Before | State::Data => {
                let is_data = self.state == State::Data;
                let found = memmem::find(&self.buffer, &self.delimiter);
                // A delimiter may have begun at the end of what is there.
                let sure = found
                    .unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len() - 1));
                if is_data && sure > 0 {
                    events.push(Event::Data(self.buffer[..sure].to_vec()));
                }
                let end = if found.is_some() { sure + self.delimiter.len() } else { sure };
                self.buffer.drain(..end);
                if found.is_some() {
                    if is_data {
                        events.push(Event::End);
                    }
                    self.state = State::AtBoundary;
                }
                Ok(found.is_some())
            }
            State::AtBoundary => {
                // Spaces may stand before the line's end.
                let spaces = self.buffer.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                if spaces > MOST_BOUNDARY {
                    return Err(Broken::Boundary);
                }
                let Some(next) = self.buffer.get(spaces..spaces + 2) else { return Ok(false) };
                self.state = match next {
                    b"--" if spaces == 0 => State::After,
                    b"\r\n" => State::Headers,
                    _ => return Err(Broken::Boundary),
                };
                // The line's end stays: headers may be none.
                self.buffer.drain(..spaces);
                Ok(true)
            }
            State::Headers => {
                let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                    let is_long = self.buffer.len() > MOST_HEADERS;
                    return if is_long { Err(Broken::LongHeaders) } else { Ok(false) };
                };
                if end > MOST_HEADERS {
                    return Err(Broken::LongHeaders);
                }
                self.parts += 1;
                if self.parts > MOST_PARTS {
                    return Err(Broken::ManyParts);
                }
                events.push(part(&self.buffer[..end])?);
                self.buffer.drain(..end + 4);
                self.state = State::Data;
                Ok(true)
            }
            State::After => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }
}

/// The name and the file's name of a part.
fn part(headers: &[u8]) -> Result<Event, Broken> {
    let headers = String::from_utf8_lossy(headers);
    let disposition = headers.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
    });
    let (kind, parameters) = disposition.and_then(|d| d.split_once(';')).ok_or(Broken::NoName)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(Broken::NoName);
    }
    let name = parameter(parameters, "name").ok_or(Broken::NoName)?;
    let extended = parameter(parameters, "filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let (_, escaped) = rest.split_once('\'')?;
        // A `+` stands for itself here.
        let escaped = escaped.replace('+', "%2B");
        let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
        crate::http::words::unescape(&escaped).filter(|_| is_utf8)
    });
    Ok(Event::Part { name, filename: extended.or_else(|| parameter(parameters, "filename")) })
}

/// A parameter's value, with or without quotes.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// A value and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return (value, &quoted[at + 1..]),
            // Before anything else than a quote or itself, a backslash is one: paths of Windows.
            '\\' if !escaped && quoted[at + 1..].starts_with(['"', '\\']) => escaped = true,
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn read(body: &[u8], pieces: usize) -> Result<Vec<Event>, Broken> {
        let mut reader = Multipart::new(TYPE).unwrap();
        let mut events = Vec::new();
        for piece in body.chunks(pieces.max(1)) {
            reader.feed(piece, &mut events)?;
        }
        reader.finish()?;
        // Pieces of data are joined: how they are cut is of no account.
        let mut joined: Vec<Event> = Vec::new();
        for event in events {
            match (joined.last_mut(), event) {
                (Some(Event::Data(before)), Event::Data(more)) => before.extend(more),
                (_, event) => joined.push(event),
            }
        }
        Ok(joined)
    }

    fn named(name: &str, filename: Option<&str>) -> Event {
        Event::Part { name: name.into(), filename: filename.map(Into::into) }
    }

    #[test]
    fn parts_come_with_names_and_data() {
        let body = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX  \r\n\
            content-disposition: Form-Data; filename=\"x;\\\"y.txt\"; name=file\r\nContent-Type: text/plain\r\n\r\n\
            \r\n--X\r\n\r\n--XX--\r\nepilogue";
        for pieces in 1..body.len() {
            let events = read(body, pieces).unwrap();
            let expected = [
                named("a", None),
                Event::Data(b"1".to_vec()),
                Event::End,
                named("file", Some("x;\"y.txt")),
                Event::Data(b"\r\n--X\r\n".to_vec()),
                Event::End,
            ];
            assert_eq!(events, expected, "{pieces}");
        }
    }

    #[test]
    fn a_file_may_be_empty_and_have_any_name() {
        let empty = b"--XX\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%C3%A4+%20b\r\n\r\n\r\n--XX--";
        assert_eq!(read(empty, 7).unwrap(), [named("file", Some("ä+ b")), Event::End]);
        let windows = b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"C:\\a\\b\"\r\n\r\n\r\n--XX--";
        assert_eq!(read(windows, 9).unwrap()[0], named("f", Some("C:\\a\\b")));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for kind in [
            "",
            "text/plain",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=XX",
            "multipart/form-data; charset=x",
        ] {
            assert!(Multipart::new(kind).is_none(), "{kind}");
        }
        assert_eq!(read(b"", 1), Err(Broken::Cut));
        assert_eq!(
            read(b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nhalf", 5),
            Err(Broken::Cut)
        );
        assert_eq!(read(b"--XX\r\n\r\nx\r\n--XX--", 5), Err(Broken::NoName));
        assert_eq!(read(b"--XXY\r\n", 5), Err(Broken::Boundary));
        let long = [b"--XX\r\nA: ".as_slice(), &vec![b'x'; MOST_HEADERS + 2]].concat();
        assert_eq!(read(&long, 4096), Err(Broken::LongHeaders));
        let part = b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
        assert_eq!(read(&part.repeat(MOST_PARTS + 1), 4096), Err(Broken::ManyParts));
    }

    proptest! {
        #[test]
        fn any_content_comes_through_whole(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..300),
            pieces in 1usize..64,
        ) {
            prop_assume!(memmem::find(&content, b"\r\n--XX").is_none());
            let mut body = b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
            body.extend(&content);
            body.extend(b"\r\n--XX--\r\n");
            let events = read(&body, pieces).unwrap();
            let data: Vec<u8> = events.iter().filter_map(|e| match e { Event::Data(d) => Some(d.clone()), _ => None }).flatten().collect();
            prop_assert_eq!(data, content);
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..400), pieces in 1usize..64) {
            drop(read(&bytes, pieces));
        }
    }
}
