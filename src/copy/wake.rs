//! A session whose sandbox sleeps is woken to be copied from or into, and put to rest again.

use std::{collections::BTreeSet, time::Duration};

use hyper::Method;
use serde_json::Value;
use staithe_protocol::SessionId;
use tokio::time::{Instant, sleep};

use super::{
    CopyFailed, Place,
    wire::{Ask, Server, whole},
};

/// How long a sandbox may take to be ready, its turn in the queue included.
const WAKING: Duration = Duration::from_mins(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Wakes every session that is copied from or into; those that slept.
pub(super) async fn wake<'a>(
    server: &Server,
    places: impl Iterator<Item = &'a Place>,
) -> Result<Vec<SessionId>, CopyFailed> {
    let sessions: BTreeSet<_> = places
        .filter_map(|place| match place {
            Place::There(id, _) => Some(*id),
            _ => None,
        })
        .collect();
    let mut slept = Vec::new();
    for id in sessions {
        if one(server, id).await? {
            slept.push(id);
        }
    }
    Ok(slept)
}

/// Lets them sleep again, as far as that can be done: the copy is there.
pub(super) async fn rest(server: &Server, sessions: &[SessionId]) {
    for id in sessions {
        if let Err(error) = ask(server, Method::POST, &format!("/api/sessions/{id}/stop")).await {
            eprintln!("staithe: the sandbox of {id} was started and could not be stopped: {error}");
        }
    }
}

/// Whether it slept.
async fn one(server: &Server, id: SessionId) -> Result<bool, CopyFailed> {
    let at = format!("/api/sessions/{id}");
    let late = Instant::now() + WAKING;
    let mut started = false;
    loop {
        let session = ask(server, Method::GET, &at).await?;
        match session["phase"].as_str().unwrap_or_default() {
            "ready" => return Ok(started),
            "failed" if started => {
                let why = session["fault"]["cause"].as_str().unwrap_or("see the page");
                return Err(CopyFailed::Here(format!("{id} can't be started: {why}")));
            }
            "suspended" | "stopped" | "failed" if !started => {
                ask(server, Method::POST, &format!("{at}/start")).await?;
                started = true;
            }
            phase if Instant::now() > late => {
                return Err(CopyFailed::Here(format!("{id} is {phase} for too long")));
            }
            _ => {}
        }
        sleep(LOOK).await;
    }
}

async fn ask(server: &Server, method: Method, path: &str) -> Result<Value, CopyFailed> {
    let answer = whole(server.ask(Ask::new(method, path)).await?).await?;
    serde_json::from_slice(&answer).map_err(CopyFailed::cut)
}
