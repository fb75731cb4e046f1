//! Folders as archives, both ways: `/archive?path=&format=zip|tar|tar.zst`.
//!
//! | file | what |
//! |---|---|
//! | `names` (pure) | where entries may lie |
//! | `walk`, `pack`, `tar_out`, `zip_out` | a folder becomes an archive, piece by piece |
//! | `unpack`, `tar_in`, `zip_in`, `install` | an archive becomes a folder |
//!
//! Out: entries are relative to the folder, sorted by bytes, symlinks as symlinks, owners left out. What
//! can't be packed is told in a last entry `.staithe-left-out.txt`. In: absolute and climbing entries,
//! symlinks that leave, devices, duplicates and what is larger than allowed refuse the whole archive,
//! before anything is in its place.

mod install;
mod names;
mod pack;
mod tar_in;
mod tar_out;
mod unpack;
mod walk;
mod zip_in;
mod zip_out;

#[cfg(test)]
mod race;

use std::{io, rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
};
use rustix::fs::OFlags;
use staithe_protocol::files::{FileCode, FileDenied};

use self::{
    pack::Pack,
    unpack::{Limits, OnConflict, Unpacking},
};
use crate::{
    app::App,
    files::{confine::denied_io, ignore::Ignore},
    http::{
        files::origin,
        pour::{End, pour},
        words::{Answer, Body, Refusal, bad, fault, nothing_at, ok, queries, query},
    },
};

/// How an archive is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Zip,
    Tar,
    TarZst,
}

impl Format {
    fn of(request: &Request<Incoming>) -> Result<Self, Refusal> {
        match query(request, "format").as_deref() {
            Some("zip") => Ok(Self::Zip),
            Some("tar") => Ok(Self::Tar),
            Some("tar.zst") => Ok(Self::TarZst),
            _ => Err(wrong("`format` is `zip`, `tar` or `tar.zst`.")),
        }
    }

    fn media(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
            Self::TarZst => "application/zstd",
        })
    }
}

fn wrong(text: &str) -> Refusal {
    Refusal::File(FileDenied::new(FileCode::BadMessage, text))
}

/// Answers a request for `/archive`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/archive") => pack(app, &request).await,
        (&Method::PUT, "/archive") => unpack(app, request).await,
        (_, path) => Err(nothing_at(path)),
    }
}

/// `GET /archive?path=&format=&ignore=…`: the folder. `ignore` is a pattern as in a `.gitignore` of it.
async fn pack(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let format = Format::of(request)?;
    let path = query(request, "path").unwrap_or_default();
    let patterns: Option<Vec<String>> = queries(request, "ignore").collect();
    let patterns = patterns.ok_or_else(|| bad("`ignore` is no text"))?;
    let begun = app
        .on_files(move |files| {
            let ignore = Ignore::new(&patterns)?;
            let path = files.relative(&path)?;
            let folder = files.root().open_at(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            Pack::begin(folder, ignore, format).map_err(|error| denied_io(&error, &path))
        })
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    let mut response = Response::new(pieces(begun));
    response.headers_mut().insert(header::CONTENT_TYPE, format.media());
    Ok(response)
}

/// An archive as it is taken.
fn pieces(pack: Pack) -> Body {
    let pieces = stream::unfold(Some(pack), |pack| async move {
        let mut pack = pack?;
        let made = tokio::task::spawn_blocking(move || {
            let piece = pack.next();
            (pack, piece)
        });
        match made.await {
            Ok((pack, Ok(Some(piece)))) => Some((Ok(Frame::data(Bytes::from(piece))), Some(pack))),
            Ok((_, Ok(None))) => None,
            Ok((_, Err(error))) => Some((Err(error), None)),
            Err(lost) => Some((Err(io::Error::other(lost)), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// `PUT /archive?path=&format=&on_conflict=fail|overwrite|skip&max_entries=&max_bytes=&max_ratio=`: the
/// body is unpacked into the folder, which is made if it is missing.
async fn unpack(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let format = Format::of(&request)?;
    let on_conflict = match query(&request, "on_conflict").as_deref() {
        None | Some("fail") => OnConflict::Fail,
        Some("overwrite") => OnConflict::Overwrite,
        Some("skip") => OnConflict::Skip,
        Some(_) => return Err(wrong("`on_conflict` is `fail`, `overwrite` or `skip`.")),
    };
    let limit = |name: &str| match query(&request, name).map(|text| text.parse::<u64>()) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(wrong(&format!("`{name}` is no number."))),
    };
    let limits = Limits {
        entries: limit("max_entries")?,
        bytes: limit("max_bytes")?,
        ratio: limit("max_ratio")?,
    };
    let path = query(&request, "path").unwrap_or_default();
    let origin = origin(request.headers());
    let begun = app.on_files(move |files| Unpacking::begin(files, &path));
    let unpacking = begun.await.ok_or_else(fault)?.map_err(Refusal::File)?;
    let poured = pour(request.into_body(), unpacking, std::future::pending()).await;
    let (unpacking, end) = poured.ok_or_else(fault)?;
    // What is left of it is removed on a thread where it may take its time.
    let files = Arc::clone(&app.files);
    let done = app.long.work(move || {
        let mut unpacking = unpacking;
        match end {
            End::Whole => {
                unpacking.finish(&files, format, limits, on_conflict).map_err(Refusal::File)
            }
            End::Cut(reason) => Err(bad(&reason)),
            End::Denied(denied) => Err(Refusal::File(denied)),
        }
    });
    let done = done.await.ok_or_else(fault)??;
    app.watch.own(origin, &done.path, Some("dir"));
    Ok(ok(&done))
}
