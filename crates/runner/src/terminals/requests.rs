//! What is asked over HTTP.
//!
//! | request | meaning |
//! |---|---|
//! | `GET /terminals` | `{"terminals": [TerminalInfo]}` |
//! | `POST /terminals` | `NewTerminal`; 201 and its `TerminalInfo` |
//! | `POST /terminals/{id}` | `TerminalAsk`; its `TerminalInfo` as it is then |
//! | `GET /terminals/{id}/stream?client=&from=&epoch=&type=1` | a WebSocket; see `stream`. What can't be followed is told on it by `gone` |
//!
//! Refused is with a `TerminalDenied`.

use std::rc::Rc;

use hyper::{Method, Request, StatusCode, body::Incoming};
use staithe_protocol::terminal::{
    NewTerminal, TerminalAsk, TerminalCode, TerminalDenied, TerminalList,
};

use super::{
    denied,
    stream::{self, Wish},
    terminal::Terminal,
};
use crate::{
    app::App,
    http::words::{Answer, bad, json, nothing_at, ok, query, read_json, upgrade},
};

/// The longest name of a client, in bytes.
const MOST_CLIENT: usize = 200;

/// Answers a request below `/terminals`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(2);
    let id = parts.next().map(str::parse::<u32>);
    let rest: Vec<&str> = parts.collect();
    let method = request.method().clone();
    match (method, id, rest.as_slice()) {
        (Method::GET, None, []) => Ok(ok(&TerminalList { terminals: app.terminals.list() })),
        (Method::POST, None, []) => {
            let new: NewTerminal = read_json(request).await?;
            Ok(match app.terminals.open(app, &new) {
                Ok(info) => json(StatusCode::CREATED, &info),
                Err(denied) => json(status_of(denied.code), &denied),
            })
        }
        (Method::POST, Some(Ok(id)), []) => {
            let ask: TerminalAsk = read_json(request).await?;
            Ok(match app.terminals.carry_out(id, ask) {
                Ok(info) => ok(&info),
                Err(denied) => json(status_of(denied.code), &denied),
            })
        }
        (Method::GET, Some(Ok(id)), ["stream"]) => follow(app, id, request),
        _ => Err(nothing_at(&path)),
    }
}

fn follow(app: &Rc<App>, id: u32, request: Request<Incoming>) -> Answer {
    let client = query(&request, "client").unwrap_or_else(|| "unnamed".to_owned());
    if client.len() > MOST_CLIENT {
        return Err(bad("`client` is too long"));
    }
    let from = query(&request, "from").map(|from| from.parse::<u64>());
    let from = from.transpose().map_err(|_| bad("`from` is no place"))?;
    let may_type = query(&request, "type").as_deref() == Some("1");
    let found = find(app, id, from, query(&request, "epoch").as_deref());
    let app = Rc::clone(app);
    upgrade(request, move |upgraded| async move {
        match found {
            Ok(terminal) => {
                stream::serve(app, terminal, Wish { client, from, may_type }, upgraded).await;
            }
            Err(denied) => stream::refuse(upgraded, denied).await,
        }
    })
}

fn find(
    app: &App,
    id: u32,
    from: Option<u64>,
    epoch: Option<&str>,
) -> Result<Rc<Terminal>, TerminalDenied> {
    if epoch.is_some_and(|epoch| epoch != app.epoch) {
        let reason = "the sandbox began anew since, and its terminals with it";
        return Err(denied(TerminalCode::OtherEpoch, reason));
    }
    let terminal = app.terminals.find(id)?;
    let end = terminal.info().offset;
    if from.is_some_and(|from| from > end) {
        let reason = format!("from: the program has printed {end} bytes");
        return Err(denied(TerminalCode::BeyondEnd, reason));
    }
    Ok(terminal)
}

fn status_of(code: TerminalCode) -> StatusCode {
    match code {
        TerminalCode::Malformed | TerminalCode::BeyondEnd => StatusCode::BAD_REQUEST,
        TerminalCode::Unknown => StatusCode::NOT_FOUND,
        TerminalCode::OtherEpoch => StatusCode::GONE,
        TerminalCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        TerminalCode::InputFull => StatusCode::PAYLOAD_TOO_LARGE,
        TerminalCode::NotStarted
        | TerminalCode::Ended
        | TerminalCode::NotDriver
        | TerminalCode::WatchOnly
        | TerminalCode::NotFollowed
        | TerminalCode::FollowedAlready => StatusCode::CONFLICT,
    }
}
