//! The reference's sandbox API (§8): what its own clients ask of the program in a sandbox.
//!
//! | request | answer |
//! |---|---|
//! | `GET /alive`, `GET /server_info` | without a key |
//! | `POST /execute_action` `{"action":{…}}` | the observation; 400 what is no action for a sandbox |
//! | `POST /upload_file?destination=&recursive=` | multipart, field `file`; a zip is unpacked |
//! | `GET /download_files?path=` | a folder as zip |
//! | `POST /list_files` `{"path":…}` | sorted names, folders with `/`; `[]` where there is none |
//! | `GET /vscode/connection_token` | `{"token":…}` |
//! | `POST /update_mcp_server` | 501: MCP servers are not kept here |
//!
//! A body that can't be read is answered with 422 and `errors`; every other refusal with `detail`.
//!
//! | file | what |
//! |---|---|
//! | `asked`, `shape` (pure) | the action and its limits; the observation as readers of all versions take it |
//! | `multipart` (pure) | form data, piece by piece |
//! | `execute`, `upload`, `download` | the endpoints |
//! | `zip` | folders as zip both ways |

mod asked;
mod download;
mod execute;
mod multipart;
mod shape;
mod upload;
mod zip;

use std::{cell::Cell, path::PathBuf, rc::Rc, sync::Arc};

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};
use serde_json::{Value, json};
use staithe_protocol::files::{FileCode, FileDenied};
use tokio::sync::{Mutex, Semaphore};

use crate::{
    app::App,
    http::words::{self, Answer, Refusal, ok, read_body, status_of},
};

/// Folders that are sent at once: each takes a thread for as long as its reader takes.
const MOST_DOWNLOADS: usize = 4;
/// The endpoints that need the key.
const ENDPOINTS: [(&str, Method); 7] = [
    ("/alive", Method::GET),
    ("/server_info", Method::GET),
    ("/execute_action", Method::POST),
    ("/upload_file", Method::POST),
    ("/download_files", Method::GET),
    ("/list_files", Method::POST),
    ("/update_mcp_server", Method::POST),
];
/// Where the token of VS Code is told.
const TOKEN: &str = "/vscode/connection_token";

/// What the API remembers; one per process.
pub struct Api {
    /// One action at a time, in the order they came.
    turn: Rc<Mutex<()>>,
    waiting: Rc<Cell<usize>>,
    downloads: Arc<Semaphore>,
    /// Where an archive is kept until it is unpacked.
    pub state_dir: PathBuf,
    /// A `run` that prints nothing for so long is answered, in milliseconds.
    pub no_change_ms: u64,
}

impl Api {
    pub fn new(state_dir: PathBuf, no_change_ms: u64) -> Self {
        Self {
            turn: Rc::default(),
            waiting: Rc::default(),
            downloads: Arc::new(Semaphore::new(MOST_DOWNLOADS)),
            state_dir,
            no_change_ms,
        }
    }
}

/// Whether this is a path of the API.
pub fn has(path: &str) -> bool {
    path == TOKEN || ENDPOINTS.iter().any(|(endpoint, _)| *endpoint == path)
}

/// Answers `/alive` and `/server_info`, for which no key is needed.
pub fn without_key(app: &App, request: &Request<Incoming>) -> Option<Answer> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/alive") => Some(Ok(ok(&json!({ "status": "ok" })))),
        (&Method::GET, "/server_info") => Some(Ok(ok(&app.info()))),
        _ => None,
    }
}

/// Answers all others.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let known = ENDPOINTS.iter().find(|(endpoint, _)| *endpoint == path);
    let method = known.map_or(Method::GET, |(_, method)| method.clone());
    if request.method() != method {
        let mut response =
            words::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "detail": "Method Not Allowed" }));
        let allowed = words::header_value(method.as_str())?;
        response.headers_mut().insert(header::ALLOW, allowed);
        return Ok(response);
    }
    match path.as_str() {
        "/execute_action" => execute::answer(app, request).await,
        "/upload_file" => upload::answer(app, request).await,
        "/download_files" => download::answer(app, &request).await,
        "/list_files" => list(app, request).await,
        "/update_mcp_server" => no_mcp(request).await,
        TOKEN => Ok(ok(&json!({ "token": app.vscode_token() }))),
        path => Err(words::nothing_at(path)),
    }
}

/// Names in a folder; relative paths are seen from the workspace, as none at all is.
async fn list(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let body = read_value(request).await?;
    let path = match body.get("path") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(path)) => path.clone(),
        Some(_) => return Err(invalid(&["body", "path"], "Input should be a valid string")),
    };
    let path = app.from_workspace(&path);
    let names = app.on_reach(move |files| files.names(&path)).await;
    Ok(ok(&names.ok_or_else(words::fault)?))
}

async fn no_mcp(request: Request<Incoming>) -> Answer {
    let servers = read_value(request).await?;
    if !servers.is_array() {
        return Err(invalid(&["body"], "Input should be a valid list"));
    }
    let text = "MCP servers are not kept in this sandbox: start them where the agent runs.";
    Err(Refusal::Detail(StatusCode::NOT_IMPLEMENTED, text.to_owned()))
}

/// A body of JSON; 422 if it is none.
async fn read_value(request: Request<Incoming>) -> Result<Value, Refusal> {
    let bytes = read_body(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| invalid(&["body"], &error.to_string()))
}

/// 422, in the reference's form.
fn invalid(place: &[&str], message: &str) -> Refusal {
    let body = json!({
        "detail": "Invalid request parameters",
        "errors": [{ "loc": place, "msg": message, "type": "value_error" }],
    });
    Refusal::Whole(StatusCode::UNPROCESSABLE_ENTITY, body)
}

/// A refused file operation, in this API's form.
fn refused(denied: &FileDenied) -> Refusal {
    let status = match denied.code {
        FileCode::OutsideWorkspace => StatusCode::FORBIDDEN,
        FileCode::NotDirectory | FileCode::IsDirectory => StatusCode::BAD_REQUEST,
        code => status_of(code),
    };
    Refusal::Whole(status, json!({ "detail": denied.message, "code": denied.code }))
}

/// A parameter that is an absolute path.
fn absolute(path: String, name: &str) -> Result<String, Refusal> {
    if path.starts_with('/') {
        return Ok(path);
    }
    let text = format!("`{name}` must be an absolute path.");
    Err(Refusal::Detail(StatusCode::BAD_REQUEST, text))
}

/// A name that a header may carry between quotes.
fn attachment(name: &str) -> Result<HeaderValue, Refusal> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    if name.chars().all(is_plain) && !name.contains(' ') {
        return words::header_value(&format!("attachment; filename={name}"));
    }
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let escaped: String = name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    words::header_value(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}"))
}
