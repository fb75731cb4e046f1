//! Into a session: a file by an upload that resumes, a folder as an archive.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use hyper::{Method, body::Bytes};
use staithe_protocol::SessionId;
use tokio::sync::mpsc;

use super::{
    Copied, CopyFailed, Course, Tries,
    wire::{Ask, address, body_of, header, whole},
};
use crate::cli::cp::OnConflict;

/// What is read and sent at once, in bytes.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for the network.
const PIECES: usize = 4;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// A file here to a file there.
pub(super) async fn file(
    course: &Course<'_>,
    from: &str,
    (id, to): (SessionId, &str),
) -> Result<Copied, CopyFailed> {
    if course.on_conflict == OnConflict::Skip && course.server.stat(id, to).await?.is_some() {
        return Ok(Copied { from: from.to_owned(), to: format!("{id}:{to}"), bytes: 0 });
    }
    let here = |error: io::Error| CopyFailed::Here(format!("{from}: {error}"));
    let meta = std::fs::metadata(from).map_err(here)?;
    if !tells_its_length(from, &meta).map_err(here)? {
        course.bar.begin(from, 0);
        let name = from.to_owned();
        let open = move || {
            File::open(&name)
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
        };
        let bytes = once(course, (id, to), open).await?;
        return Ok(Copied { from: from.to_owned(), to: format!("{id}:{to}"), bytes });
    }
    let length = meta.len();
    let word = |text: &str| BASE64.encode(text.as_bytes());
    let mut metadata = format!(
        "path {},create_parents,mode {}",
        word(to),
        word(&format!("{:o}", meta.permissions().mode() & 0o777))
    );
    match course.on_conflict {
        OnConflict::Overwrite => metadata.push_str(",force"),
        OnConflict::Skip | OnConflict::Fail => {
            metadata = format!("{metadata},if_match {}", word("absent"));
        }
    }
    let uploads = format!("/api/sessions/{id}/uploads");
    let mut ask = Ask::new(Method::POST, &uploads);
    ask.headers = vec![
        ("Tus-Resumable", "1.0.0".to_owned()),
        ("Upload-Length", length.to_string()),
        ("Upload-Metadata", metadata),
    ];
    let made = course.server.ask(ask).await?;
    let upload = header(&made, "location").map(str::to_owned);
    let upload = upload.ok_or_else(|| CopyFailed::cut("the server named no upload"))?;
    course.bar.begin(from, length);
    let mut offset = 0;
    let mut is_done = is_in_place(&made);
    let mut tries = Tries::new();
    // All bytes may have come without the file being in place: then a piece of nothing puts it there.
    while !is_done {
        match send(course, (from, &upload), offset).await {
            Ok((came, done)) if done || came > offset => (offset, is_done) = (came, done),
            Ok(_) => {
                let words = "it became shorter while it was copied";
                return Err(CopyFailed::Here(format!("{from}: {words}")));
            }
            Err(error) if error.may_pass() || error.is_elsewhere() => {
                offset = tries.wait(error, offset, || came(course, &upload)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Copied { from: from.to_owned(), to: format!("{id}:{to}"), bytes: length })
}

/// Whether a file has as many bytes as it says: no pipe and no device does, nor do the files of `/proc`.
fn tells_its_length(path: &str, meta: &Metadata) -> io::Result<bool> {
    if meta.is_file() && meta.len() == 0 {
        return Ok(File::open(path)?.read(&mut [0])? == 0);
    }
    Ok(meta.is_file())
}

/// How much has come.
async fn came(course: &Course<'_>, upload: &str) -> Result<u64, CopyFailed> {
    let mut ask = Ask::new(Method::HEAD, upload);
    ask.headers = vec![("Tus-Resumable", "1.0.0".to_owned())];
    offset_of(&course.server.ask(ask).await?)
}

fn offset_of(response: &hyper::Response<hyper::body::Incoming>) -> Result<u64, CopyFailed> {
    let offset = header(response, "upload-offset").and_then(|text| text.parse().ok());
    offset.ok_or_else(|| CopyFailed::cut("the server told no offset"))
}

/// Whether the file of an upload is in place: only then it has a version.
fn is_in_place(response: &hyper::Response<hyper::body::Incoming>) -> bool {
    header(response, "etag").is_some()
}

/// Sends the rest of a file; how much has come then, and whether the file is in place.
async fn send(
    course: &Course<'_>,
    (from, upload): (&str, &str),
    offset: u64,
) -> Result<(u64, bool), CopyFailed> {
    let mut file =
        File::open(from).map_err(|error| CopyFailed::Here(format!("{from}: {error}")))?;
    file.seek(SeekFrom::Start(offset))
        .map_err(|error| CopyFailed::Here(format!("{from}: {error}")))?;
    let (pieces, queue) = mpsc::channel(PIECES);
    let bar = course.bar.clone();
    bar.at(offset);
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match file.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
                Err(error) => Err(error),
            };
            let length = piece.as_ref().map_or(0, Bytes::len);
            if pieces.blocking_send(piece).is_err() {
                return; // the connection is gone
            }
            bar.more(length as u64);
        }
    });
    let mut ask = Ask::new(Method::PATCH, upload);
    ask.headers = vec![
        ("Tus-Resumable", "1.0.0".to_owned()),
        ("Content-Type", "application/offset+octet-stream".to_owned()),
        ("Upload-Offset", offset.to_string()),
    ];
    ask.body = body_of(queue);
    let sent = course.server.ask(ask).await;
    drop(read.await);
    let response = sent?;
    Ok((offset_of(&response)?, is_in_place(&response)))
}

/// A folder here to a folder there.
pub(super) async fn folder(
    course: &Course<'_>,
    from: &str,
    (id, to): (SessionId, &str),
) -> Result<Copied, CopyFailed> {
    let root = PathBuf::from(from);
    let bar = course.bar.clone();
    let left_out = move |path: &Path| {
        bar.tell(&format!("{}: a socket, a pipe or a device is left out", path.display()));
    };
    let pack = move |pieces| pack(&root, Packed { pieces, waiting: Vec::new() }, left_out);
    course.bar.begin(from, 0);
    let bytes = archive(course, (id, to), pack).await?;
    Ok(Copied { from: from.to_owned(), to: format!("{id}:{to}"), bytes })
}

/// Packs what lies in a folder. Only files, folders and links can be had there; else it is left out.
fn pack(root: &Path, out: impl Write, left_out: impl Fn(&Path)) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    archive.follow_symlinks(false);
    archive.sparse(false); // the sandbox knows files without holes only
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
                left_out(&path);
                continue;
            }
            let name = path.strip_prefix(root).map_err(io::Error::other)?;
            archive.append_path_with_name(&path, name)?;
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    archive.into_inner()?.flush()
}

/// stdin: an archive for a folder, or a file's bytes.
pub(super) async fn stdin(
    course: &Course<'_>,
    (id, to): (SessionId, &str),
) -> Result<Copied, CopyFailed> {
    course.bar.begin("-", 0);
    let open = || Ok(io::stdin());
    let bytes = if to.is_empty() || to.ends_with('/') {
        archive(course, (id, to), move |pieces| pass(open()?, pieces)).await?
    } else {
        once(course, (id, to), open).await?
    };
    Ok(Copied { from: "-".to_owned(), to: format!("{id}:{to}"), bytes })
}

/// Bytes that can be read once only, and that nobody knows the number of, to a file there; how many came.
async fn once<R: Read>(
    course: &Course<'_>,
    (id, to): (SessionId, &str),
    open: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> Result<u64, CopyFailed> {
    let address = format!("{}?create_parents=1", address(id, "files", to));
    let condition = match course.on_conflict {
        OnConflict::Overwrite => ("X-Force", "true".to_owned()),
        OnConflict::Skip | OnConflict::Fail => ("If-None-Match", "*".to_owned()),
    };
    let read = move |pieces| pass(open()?, pieces);
    let answer = stream(course, &address, vec![condition], read).await?;
    Ok(answer["size"].as_u64().unwrap_or(0))
}

/// Passes on what is read.
fn pass(mut from: impl Read, pieces: Pieces) -> io::Result<()> {
    let mut out = Packed { pieces, waiting: Vec::new() };
    io::copy(&mut from, &mut out)?;
    out.flush()
}

/// Sends an archive while it is made; the bytes that came out of it.
async fn archive(
    course: &Course<'_>,
    (id, to): (SessionId, &str),
    pack: impl FnOnce(Pieces) -> io::Result<()> + Send + 'static,
) -> Result<u64, CopyFailed> {
    let path = address(id, "archive", to.trim_end_matches('/'));
    let address = format!("{path}?format=tar&on_conflict={}", course.on_conflict.as_str());
    let answer = stream(course, &address, vec![], pack).await?;
    Ok(answer["bytes"].as_u64().unwrap_or(0))
}

async fn stream(
    course: &Course<'_>,
    address: &str,
    headers: Vec<(&'static str, String)>,
    make: impl FnOnce(Pieces) -> io::Result<()> + Send + 'static,
) -> Result<serde_json::Value, CopyFailed> {
    let (pieces, queue) = mpsc::channel(PIECES);
    let making = tokio::task::spawn_blocking(move || {
        let broken = pieces.clone();
        make(pieces).map_err(|error| {
            let words = error.to_string();
            // What was sent must not pass for the whole.
            drop(broken.blocking_send(Err(error)));
            words
        })
    });
    let mut ask = Ask::new(Method::PUT, address);
    ask.headers = headers;
    ask.body = body_of(queue);
    let sent = course.server.ask(ask).await;
    let written = making.await.map_err(CopyFailed::cut)?;
    match (sent, written) {
        (Ok(response), Ok(())) => {
            serde_json::from_slice(&whole(response).await?).map_err(CopyFailed::cut)
        }
        (Err(refused @ CopyFailed::Refused { .. }), _) => Err(refused),
        (_, Err(words)) => Err(CopyFailed::Here(words)),
        (Err(error), Ok(())) => Err(error),
    }
}

/// A writer into a channel.
struct Packed {
    pieces: Pieces,
    waiting: Vec<u8>,
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.waiting));
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, convert::Infallible};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::copy::{bar::Bar, wire::Server};

    /// Answers one request on each connection, in turn, and nobody after; nothing at all is a cut. Keeps
    /// what was asked.
    async fn answer(
        listener: TcpListener,
        answers: &[&str],
        asked: &RefCell<Vec<String>>,
    ) -> Infallible {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            let ends = |request: &str| {
                let is_chunked = request.contains("transfer-encoding: chunked");
                request.ends_with(if is_chunked { "0\r\n\r\n" } else { "\r\n\r\n" })
            };
            while !ends(&request) {
                let mut piece = [0; 4096];
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "{request}");
                request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            let (method, _) = request.split_once(' ').unwrap();
            let body = request.split_once("\r\n\r\n").unwrap().1;
            asked.borrow_mut().push(format!("{method} {body}"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        drop(listener);
        std::future::pending().await
    }

    /// Uploads a file of four bytes to a server that answers so; the outcome, and what was asked.
    async fn upload(answers: &[&str]) -> (Result<Copied, CopyFailed>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("f");
        std::fs::write(&from, "four").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = crate::caller::Address::parse(&url).unwrap();
        let course = Course {
            server: Server { address, token: "t".to_owned() },
            on_conflict: OnConflict::Overwrite,
            ignore: &[],
            bar: Bar::new(),
        };
        let to = (SessionId::generate(), "f");
        let asked = RefCell::new(Vec::new());
        let outcome = tokio::select! {
            outcome = file(&course, from.to_str().unwrap(), to) => outcome,
            never = answer(listener, answers, &asked) => match never {},
        };
        (outcome, asked.into_inner())
    }

    const MADE: &str = "HTTP/1.1 201 Created\r\nLocation: /u\r\nUpload-Offset: 0\r\n\
                        Content-Length: 0\r\n\r\n";

    #[tokio::test]
    async fn a_file_whose_bytes_all_came_is_copied_only_once_it_is_in_place() {
        let all = "HTTP/1.1 200 OK\r\nUpload-Offset: 4\r\n\r\n";
        let done = "HTTP/1.1 204 No Content\r\nUpload-Offset: 4\r\nETag: \"v\"\r\n\r\n";
        let (outcome, asked) = upload(&[MADE, "", all, done]).await;
        assert_eq!(outcome.unwrap().bytes, 4);
        let sent = ["POST ", "PATCH 4\r\nfour\r\n0\r\n\r\n", "HEAD ", "PATCH 0\r\n\r\n"];
        assert_eq!(asked, sent);

        let refused = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
        let (outcome, _) = upload(&[MADE, "", all, refused]).await;
        assert!(matches!(outcome, Err(CopyFailed::Refused { status: 409, .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_not_copied() {
        let half = "HTTP/1.1 204 No Content\r\nUpload-Offset: 2\r\n\r\n";
        let (outcome, asked) = upload(&[MADE, half, half]).await;
        assert!(
            matches!(&outcome, Err(CopyFailed::Here(words)) if words.contains("shorter")),
            "{outcome:?}"
        );
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn a_folder_is_packed_with_holes_filled_and_without_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        File::create(at("sub/holes")).unwrap().set_len(1_000_000).unwrap();
        std::os::unix::fs::symlink("sub", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let left_out = RefCell::new(Vec::new());
        let mut packed = Vec::new();
        pack(dir.path(), &mut packed, |path| left_out.borrow_mut().push(path.to_owned())).unwrap();
        assert_eq!(left_out.into_inner(), [at("socket")]);
        let mut archive = tar::Archive::new(packed.as_slice());
        let mut found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
                (name, entry.header().entry_type(), entry.size())
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            found,
            [
                ("link".to_owned(), tar::EntryType::Symlink, 0),
                ("sub".to_owned(), tar::EntryType::Directory, 0),
                ("sub/holes".to_owned(), tar::EntryType::Regular, 1_000_000),
            ]
        );
    }
}
