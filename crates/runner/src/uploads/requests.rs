//! The requests of tus below `/uploads`.

use std::rc::Rc;

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderMap, HeaderValue},
};
use staithe_protocol::files::{FileCode, FileDenied};
use tokio::task::spawn_local;

use super::{Open, metadata::Wanted, record::Record};
use crate::{
    app::App,
    calendar::Moment,
    files::{Precondition, Upload},
    http::{
        files::{origin, precondition},
        pour::{End, pour},
        words::{Answer, Body, Refusal, bad, empty, fault, header_value, nothing_at},
    },
    shell::live::nonce,
};

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue =
    HeaderValue::from_static("creation,creation-with-upload,expiration,termination");
const CONTENT: &str = "application/offset+octet-stream";

/// Answers a request below `/uploads`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let speaks = request.headers().get("tus-resumable").is_some_and(|version| version == VERSION);
    let answered = if request.method() == Method::OPTIONS {
        let mut response = empty(StatusCode::NO_CONTENT);
        response.headers_mut().insert("tus-extension", EXTENSIONS);
        Ok(response)
    } else if speaks {
        route(app, request).await
    } else {
        let text = "`Tus-Resumable: 1.0.0` is expected.";
        let denied = FileDenied::new(FileCode::BadMessage, text);
        Err(Refusal::Coded(StatusCode::PRECONDITION_FAILED, denied))
    };
    let mut response = answered.unwrap_or_else(|refusal| refusal.response());
    let headers = response.headers_mut();
    headers.insert("tus-resumable", VERSION);
    headers.insert("tus-version", VERSION);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn route(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let id = path.strip_prefix("/uploads").unwrap_or_default().trim_start_matches('/').to_owned();
    match (request.method(), id.as_str()) {
        (&Method::POST, "") => create(app, request).await,
        (&Method::HEAD, id) if !id.is_empty() => head(app, id).await,
        (&Method::PATCH, id) if !id.is_empty() => patch(app, id, request).await,
        (&Method::DELETE, id) if !id.is_empty() => {
            let open = app.uploads.get(id).map_err(Refusal::File)?;
            let _held = open.take().await;
            remove(app, id, &open).await;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(nothing_at(&path)),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| bad(&format!("`{name}` is no number")))
}

/// Whether the body is content.
fn has_content(request: &Request<Incoming>) -> bool {
    request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == CONTENT)
}

async fn create(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let headers = request.headers();
    let length =
        number(headers, "upload-length")?.ok_or_else(|| bad("`Upload-Length` is missing"))?;
    let metadata = headers.get("upload-metadata").and_then(|text| text.to_str().ok());
    let wanted = Wanted::parse(metadata.unwrap_or_default()).map_err(Refusal::File)?;
    let origin = origin(headers);
    app.uploads.has_room().map_err(Refusal::File)?;
    let made = app
        .on_files(move |files| {
            let upload = files.begin_upload(&wanted.path, wanted.create_parents)?;
            files.may_upload(&upload, &wanted.precondition(), length)?;
            let path = upload.path().to_owned();
            let temporary = upload.keep().unwrap_or_default();
            Ok(Record { wanted, path, temporary, length, origin })
        })
        .await
        .ok_or_else(fault)?;
    let record = made.map_err(Refusal::File)?;
    let id = nonce().map_err(|_| fault())?;
    let open = match app.uploads.add(id.clone(), record.clone()) {
        Ok(open) => open,
        Err(denied) => {
            drop(app.on_files(move |files| resume(files, &record).map(drop)).await);
            return Err(Refusal::File(denied));
        }
    };
    let mut offset = 0;
    if length == 0 || has_content(&request) {
        let precondition = open.record.wanted.precondition();
        let begun = append(app, &id, &open, 0, precondition, request.into_body()).await;
        offset = match begun {
            Ok(offset) => offset,
            Err(refusal) => {
                // The client never learns where it is.
                remove(app, &id, &open).await;
                return Err(refusal);
            }
        };
    }
    let mut response = told(&open, offset)?;
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::LOCATION, header_value(&format!("/uploads/{id}"))?);
    Ok(response)
}

fn resume(files: &crate::files::Files, record: &Record) -> Result<Upload, FileDenied> {
    files.resume_upload(&record.path, &record.temporary)
}

/// How far one is.
fn told(open: &Open, offset: u64) -> Result<Response<Body>, Refusal> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert("upload-offset", HeaderValue::from(offset));
    headers.insert("upload-length", HeaderValue::from(open.record.length));
    if let Some(done) = open.done.borrow().as_ref() {
        let tag = format!("\"{}\"", done.version.as_deref().unwrap_or_default());
        headers.insert(header::ETAG, header_value(&tag)?);
    } else {
        let when = std::time::SystemTime::now() + open.left();
        headers.insert("upload-expires", header_value(&http_date(when))?);
    }
    Ok(response)
}

/// A time as HTTP says it (RFC 9110 §5.6.7).
fn http_date(when: std::time::SystemTime) -> String {
    let seconds = when.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Moment { year, month, day, hour, minute, second, weekday } = Moment::at(seconds);
    let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][usize::from(weekday % 7)];
    let month =
        ["Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]
            [usize::from(month % 12)];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

async fn head(app: &Rc<App>, id: &str) -> Answer {
    let open = app.uploads.get(id).map_err(Refusal::File)?;
    // Whoever asks has lost the request that wrote, which may be putting the file in place.
    let _held = open.take().await;
    if open.done.borrow().is_some() {
        return Ok(with_status(told(&open, open.record.length)?, StatusCode::OK));
    }
    let size = opened(app, id, &open).await?.1;
    Ok(with_status(told(&open, size)?, StatusCode::OK))
}

fn with_status(mut response: Response<Body>, status: StatusCode) -> Response<Body> {
    *response.status_mut() = status;
    response
}

/// What came, and how much of it. Gone, the upload is forgotten.
async fn opened(app: &Rc<App>, id: &str, open: &Open) -> Result<(Kept, u64), Refusal> {
    let record = open.record.clone();
    // Kept from the first moment: nobody may wait for it any more when it is opened.
    let resumed = app.on_files(move |files| {
        resume(files, &record).map(|upload| (upload.size(), Kept(Some(upload))))
    });
    match resumed.await.ok_or_else(fault)? {
        Ok((size, kept)) => Ok((kept, size)),
        Err(denied) if denied.code == FileCode::NotFound => {
            app.uploads.forget(id);
            let text = "What came of the upload, or its folder, is gone.";
            Err(Refusal::File(FileDenied::new(FileCode::NotFound, text)))
        }
        Err(denied) => Err(Refusal::File(denied)),
    }
}

/// Content that stays when a request ends, however it ends.
struct Kept(Option<Upload>);

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.0.take().and_then(Upload::keep));
    }
}

impl crate::http::pour::Sink for Kept {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied> {
        self.0.as_mut().map_or(Ok(()), |upload| upload.write(bytes))
    }
}

async fn patch(app: &Rc<App>, id: &str, request: Request<Incoming>) -> Answer {
    if !has_content(&request) {
        let text = format!("`Content-Type: {CONTENT}` is expected.");
        let denied = FileDenied::new(FileCode::BadMessage, text);
        return Err(Refusal::Coded(StatusCode::UNSUPPORTED_MEDIA_TYPE, denied));
    }
    let open = app.uploads.get(id).map_err(Refusal::File)?;
    let offset = number(request.headers(), "upload-offset")?;
    let offset = offset.ok_or_else(|| bad("`Upload-Offset` is missing"))?;
    let said = precondition(request.headers())?;
    let precondition = said.unwrap_or_else(|| open.record.wanted.precondition());
    let size = append(app, id, &open, offset, precondition, request.into_body()).await?;
    told(&open, size)
}

/// Writes a body at the end of what came, and puts the file in place once it is whole. The new size.
/// It is a task of its own, which holds the upload until its last write is done: when the connection
/// breaks, what waits for this is dropped, and a thread may be writing then.
async fn append(
    app: &Rc<App>,
    id: &str,
    open: &Rc<Open>,
    offset: u64,
    precondition: Precondition,
    body: Incoming,
) -> Result<u64, Refusal> {
    let (app, id, open) = (Rc::clone(app), id.to_owned(), Rc::clone(open));
    let task =
        spawn_local(async move { append_all(&app, &id, &open, offset, precondition, body).await });
    task.await.map_err(|_| fault())?
}

async fn append_all(
    app: &Rc<App>,
    id: &str,
    open: &Open,
    offset: u64,
    precondition: Precondition,
    body: Incoming,
) -> Result<u64, Refusal> {
    let length = open.record.length;
    let (_held, outdone) = open.take().await;
    if open.done.borrow().is_some() {
        return elsewhere(offset, length).map(|()| length);
    }
    let (kept, size) = opened(app, id, open).await?;
    elsewhere(offset, size)?;
    let too_much = |size: u64| {
        let text = format!("The upload has {length} bytes, and this would make {size}.");
        Refusal::File(FileDenied::new(FileCode::TooLarge, text))
    };
    let announced = size.saturating_add(body.size_hint().lower());
    if announced > length {
        return Err(too_much(announced));
    }
    let limited = Limited { kept, left: length - size };
    let poured = pour(body, limited, outdone).await;
    let (Limited { mut kept, left }, end) = poured.ok_or_else(fault)?;
    let size = length - left;
    match end {
        End::Whole => {}
        End::Cut(reason) => return Err(bad(&reason)),
        End::Denied(denied) => return Err(Refusal::File(denied)),
    }
    open.touched.set(tokio::time::Instant::now());
    if left > 0 {
        return Ok(size);
    }
    let mode = open.record.wanted.mode;
    let finished = app.place(&app.files, length, move |files| match kept.0.as_mut() {
        Some(upload) => files.finish_upload(upload, &precondition, mode),
        None => Err(FileDenied::new(FileCode::Internal, "The upload is gone.")),
    });
    let done = finished.await.ok_or_else(fault)?.map_err(Refusal::File)?;
    app.watch.own(open.record.origin.clone(), &done.path, done.version.as_deref());
    app.uploads.finished(id, open, done);
    Ok(size)
}

/// A body may only go on where the one before ended.
fn elsewhere(offset: u64, size: u64) -> Result<(), Refusal> {
    if offset == size {
        return Ok(());
    }
    let text = format!("{size} bytes have come: go on there.");
    let denied = FileDenied::new(FileCode::BadMessage, text);
    Err(Refusal::Coded(StatusCode::CONFLICT, denied))
}

/// No more than was announced.
struct Limited {
    kept: Kept,
    left: u64,
}

impl crate::http::pour::Sink for Limited {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let text = "More came than the upload's length.";
            return Err(FileDenied::new(FileCode::TooLarge, text));
        };
        self.kept.write(bytes)?;
        self.left = left;
        Ok(())
    }
}

/// Removes one, with what came of it.
pub(super) async fn remove(app: &Rc<App>, id: &str, open: &Open) {
    let record = open.record.clone();
    if open.done.borrow().is_none() {
        // Dropped without being kept, it is gone.
        drop(app.on_files(move |files| resume(files, &record).map(drop)).await);
    }
    app.uploads.forget(id);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_said_as_http_says_them() {
        for (seconds, said) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(seconds)), said);
        }
    }
}
