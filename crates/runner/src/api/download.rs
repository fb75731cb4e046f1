//! Folders that go out as zip, packed as their reader takes them.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
};
use staithe_protocol::files::{FileCode, FileDenied};
use tokio::sync::mpsc;

use super::{
    absolute, attachment, invalid, refused,
    zip::{zip_file, zip_folder},
};
use crate::{
    app::App,
    http::{
        pieces::{Pieces, Unsent, pieces},
        words::{self, Answer, Body, Refusal, query},
    },
};

/// Bytes that are handed over at once, and how many times that may wait.
const PIECE: usize = 64 * 1024;
const MOST_PIECES: usize = 4;
/// A reader that takes nothing for so long is given up: it would hold the place of another.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is packed.
enum What {
    Folder(OwnedFd),
    File(File),
}

/// Sends a folder, or a file, as zip.
pub(super) async fn answer(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let path = query(request, "path");
    let path = path.ok_or_else(|| invalid(&["query", "path"], "Field required"))?;
    let path = absolute(path, "path")?;
    let opened = app.on_reach({
        let path = path.clone();
        move |files| match files.open_folder(&path) {
            Err(FileDenied { code: FileCode::NotDirectory, .. }) => {
                files.open_for_stream(&path).map(|opened| What::File(opened.file))
            }
            folder => folder.map(What::Folder),
        }
    });
    let what = opened.await.ok_or_else(words::fault)?.map_err(|denied| refused(&denied))?;
    let Ok(place) = Arc::clone(&app.api.downloads).try_acquire_owned() else {
        let text = "Too many folders are being sent; try again later.".to_owned();
        return Err(Refusal::Detail(StatusCode::SERVICE_UNAVAILABLE, text));
    };

    let name = path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let name = name.unwrap_or("files").to_owned();
    let disposition = attachment(&format!("{name}.zip"))?;
    let (pieces, receive) = pieces(MOST_PIECES, PATIENCE);
    let files = Arc::clone(&app.reach);
    // Of its own: a slow reader must not hold a thread that file operations need.
    let packing = std::thread::Builder::new().name("zip".to_owned()).spawn(move || {
        let _place = place;
        let mut out = BufWriter::with_capacity(PIECE, Handing { pieces: &pieces, is_gone: false });
        let packed = match what {
            What::Folder(folder) => zip_folder(&files, &folder, &path, &mut out),
            What::File(file) => zip_file(file, &name, &mut out),
        };
        let packed = packed.and_then(|()| out.flush());
        drop(out);
        if let Err(error) = packed {
            // The body is cut, so that its reader sees that it isn't whole.
            pieces.end(Err(error));
        }
    });
    packing.map_err(|_| words::fault())?;
    let mut response = Response::new(body(receive));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn body(receive: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    let body = stream::unfold(receive, |mut receive| async move {
        let piece = receive.recv().await?;
        Some((piece.map(Frame::data), receive))
    });
    StreamBody::new(body).boxed_unsync()
}

/// Hands over what is written; an error once nobody takes it.
struct Handing<'a> {
    pieces: &'a Pieces<io::Result<Bytes>>,
    /// It was said once; what an archive's writer then tidies up goes nowhere.
    is_gone: bool,
}

impl Write for Handing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_gone {
            return Ok(bytes.len());
        }
        let sent = self.pieces.send(Ok(Bytes::copy_from_slice(bytes)));
        self.is_gone = sent.is_err();
        match sent {
            Ok(()) => Ok(bytes.len()),
            Err(Unsent::Gone) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(Unsent::Stalled(_)) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
