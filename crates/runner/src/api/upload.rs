//! Files that come as form data.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode, body::Incoming, header};
use serde_json::json;
use staithe_protocol::files::{FileCode, FileDenied};

use super::{
    absolute, invalid,
    multipart::{Event, Multipart},
    refused,
    zip::unzip_into,
};
use crate::{
    app::App,
    files::{Precondition, Upload},
    http::words::{self, Answer, Refusal, ok, query},
};

/// The largest file that is taken, in bytes.
const MOST: u64 = 8 * 1024 * 1024 * 1024;
/// What is collected before it is written, in bytes.
const PIECE: usize = 256 * 1024;

/// Where the field `file` goes.
enum Target {
    /// It has not come yet.
    None,
    File(Box<Upload>),
    /// To be unpacked once it is whole.
    Archive(File),
}

/// What the request says beside the file.
struct Asked {
    destination: String,
    recursive: bool,
}

/// Takes a file, or a zip that is unpacked.
pub(super) async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let recursive = match query(&request, "recursive").as_deref().map(str::to_ascii_lowercase) {
        None => false,
        Some(word) => match word.as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return Err(invalid(&["query", "recursive"], "Input should be a valid boolean")),
        },
    };
    let destination = query(&request, "destination").unwrap_or_else(|| "/".to_owned());
    let asked = Asked { destination: absolute(destination, "destination")?, recursive };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let no_form = || invalid(&["body", "file"], "A multipart form with the field `file` is needed");
    let mut form = Multipart::new(kind.unwrap_or_default()).ok_or_else(no_form)?;

    let mut body = request.into_body();
    let (mut target, mut filename, mut size) = (Target::None, None, 0_u64);
    let (mut events, mut waiting) = (Vec::new(), Vec::new());
    // Data of other fields is passed over.
    let mut is_file = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| words::bad(&format!("the body was cut: {error}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        form.feed(&piece, &mut events).map_err(|broken| words::bad(&broken.to_string()))?;
        for event in events.drain(..) {
            match event {
                Event::Part { name, filename: given } => {
                    is_file = name == "file" && matches!(target, Target::None);
                    if is_file {
                        let given = given.ok_or_else(no_form)?;
                        target = begin(app, &asked, &given).await?;
                        filename = Some(given);
                    }
                }
                Event::Data(data) if is_file => {
                    size += data.len() as u64;
                    if size > MOST {
                        let text = "The file has more than 8 GiB.";
                        return Err(refused(&FileDenied::new(FileCode::TooLarge, text)));
                    }
                    waiting.extend_from_slice(&data);
                    if waiting.len() >= PIECE {
                        (target, waiting) = write(target, waiting).await?;
                    }
                }
                Event::Data(_) => {}
                Event::End => is_file = false,
            }
        }
    }
    form.finish().map_err(|broken| words::bad(&broken.to_string()))?;
    let filename = filename.ok_or_else(no_form)?;
    (target, _) = write(target, waiting).await?;
    finish(app, target, &asked.destination, size).await?;
    Ok(ok(&json!({
        "filename": filename,
        "destination": asked.destination,
        "recursive": asked.recursive,
    })))
}

async fn begin(app: &Rc<App>, asked: &Asked, filename: &str) -> Result<Target, Refusal> {
    let is_name = !matches!(filename, "" | "." | "..") && !filename.contains(['/', '\\', '\0']);
    if !is_name {
        let text = format!("{filename:?} is no file's name.");
        return Err(Refusal::Detail(StatusCode::BAD_REQUEST, text));
    }
    // Before the first byte, so that whoever may not write there learns so at once.
    let folder = asked.destination.clone();
    let made = app.on_reach(move |files| files.make_folder(&folder)).await;
    made.ok_or_else(words::fault)?.map_err(|denied| refused(&denied))?;
    let is_zip = filename.to_ascii_lowercase().ends_with(".zip");
    if asked.recursive || is_zip {
        return temporary(app).map(Target::Archive).map_err(|error| refused(&full(&error)));
    }
    let path = format!("{}/{filename}", asked.destination.trim_end_matches('/'));
    let begun = app.on_reach(move |files| files.begin_upload(&path, true)).await;
    let begun = begun.ok_or_else(words::fault)?;
    begun.map(|upload| Target::File(Box::new(upload))).map_err(|denied| refused(&denied))
}

/// Writes what came, on a thread where that may block. What it is to go on with.
async fn write(mut target: Target, mut waiting: Vec<u8>) -> Result<(Target, Vec<u8>), Refusal> {
    let written = tokio::task::spawn_blocking(move || {
        let written = match &mut target {
            Target::File(upload) => upload.write(&waiting),
            Target::Archive(file) => file.write_all(&waiting).map_err(|error| full(&error)),
            Target::None => Ok(()),
        };
        waiting.clear();
        written.map(|()| (target, waiting))
    });
    written.await.map_err(|_| words::fault())?.map_err(|denied| refused(&denied))
}

async fn finish(app: &Rc<App>, target: Target, folder: &str, size: u64) -> Result<(), Refusal> {
    let folder = folder.to_owned();
    let done = match target {
        Target::File(mut upload) => {
            let placed = app.place(&app.reach, size, move |files| {
                files.finish_upload(&mut upload, &Precondition::Force, None).map(drop)
            });
            placed.await
        }
        Target::Archive(mut file) => {
            let files = Arc::clone(&app.reach);
            let unpacked = app.long.work(move || {
                file.rewind().map_err(|error| full(&error))?;
                unzip_into(&files, file, size, &folder)
            });
            unpacked.await
        }
        Target::None => Some(Ok(())),
    };
    done.ok_or_else(words::fault)?.map_err(|denied| refused(&denied))
}

/// A file that is gone when it is closed.
fn temporary(app: &App) -> std::io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = app.api.state_dir.join(format!("upload-{number}"));
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let file = crate::state::open(&path, &mut options)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn full(error: &std::io::Error) -> FileDenied {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FileCode::NoSpace,
        _ => FileCode::Internal,
    };
    FileDenied::new(code, format!("The archive could not be kept: {error}."))
}
