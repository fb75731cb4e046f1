//! `staithe session export`: a trajectory into a file, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use futures_util::StreamExt as _;
use http_body_util::BodyStream;
use hyper::{Method, Response, body::Incoming};
use staithe_protocol::SessionId;

use super::{
    place::{self, Found, Start},
    wire::{RunFailed, Server},
};
use crate::cli::run::Export;

/// Writes it; the exit code.
pub(super) async fn run(wanted: &Export) -> Result<u8, RunFailed> {
    let id: SessionId =
        wanted.id.parse().map_err(|error| RunFailed::Usage(format!("ID: {error}")))?;
    let Found { server, own } = place::find(&wanted.place, Start::IfServedBefore).await?;
    let exported = export(wanted, &server, id).await;
    if let Some(own) = own {
        own.end().await?;
    }
    exported.map(|()| 0)
}

async fn export(wanted: &Export, server: &Server, id: SessionId) -> Result<(), RunFailed> {
    let response =
        server.send(Method::GET, &format!("/api/sessions/{id}/trajectory"), None).await?;
    match wanted.output.as_deref().filter(|path| *path != Path::new("-")) {
        None => copy(response, &mut io::stdout().lock()).await?,
        Some(path) => {
            let draft = draft(path);
            let written = write(response, &draft).await;
            let placed = written.and_then(|()| {
                fs::rename(&draft, path)
                    .map_err(|error| RunFailed::Here(format!("{}: {error}", path.display())))
            });
            if placed.is_err() {
                drop(fs::remove_file(&draft)); // it may not be there
            }
            placed?;
        }
    }
    Ok(())
}

/// Where it is while it is not whole.
fn draft(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

async fn write(response: Response<Incoming>, path: &Path) -> Result<(), RunFailed> {
    let mut file = File::create(path)
        .map_err(|error| RunFailed::Here(format!("{}: {error}", path.display())))?;
    copy(response, &mut file).await
}

async fn copy(response: Response<Incoming>, to: &mut impl Write) -> Result<(), RunFailed> {
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        if let Ok(piece) = frame.map_err(RunFailed::cut)?.into_data() {
            to.write_all(&piece).map_err(RunFailed::here)?;
        }
    }
    to.flush().map_err(RunFailed::here)
}
