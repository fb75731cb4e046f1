//! `staithe admin …`: the operators' endpoints in the terminal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use staithe_protocol::{SessionId, frames::Role};
use tokio::time::timeout;

use crate::{
    auth::{Identity, keys::Keys, sign_in::LINK_TTL},
    caller::Address,
    cli::{Admin, AdminCommand, DataDir},
    config::load::{self, Overrides},
    routes::body::encode,
    served::{self, Served, Standing},
};

/// How long an answer may take: deleting waits for a sandbox to end.
const DEADLINE: Duration = Duration::from_mins(1);
/// How long a token that the command signs for itself holds.
const TOKEN_TTL: Duration = Duration::from_mins(5);

fn data_dir(given: &DataDir) -> anyhow::Result<PathBuf> {
    match &given.data_dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(load::data_dir(&load::load(None, &Overrides::default())?)?),
    }
}

/// What signs for the server of a data directory.
fn keys(dir: &Path, served: &Served) -> anyhow::Result<Keys> {
    let config = load::load(None, &Overrides::default())?;
    let keys = Keys::load(dir, &config.core.jwt_secret, "".into(), "".into())?;
    Ok(keys.signing_with(dir, &served.kid)?)
}

fn operator() -> Identity {
    Identity {
        subject: "operator".into(),
        role: Role::Operator,
        session: None,
        until: None,
        link: None,
    }
}

/// `staithe login-link`
pub fn login_link(given: &DataDir) -> anyhow::Result<()> {
    let dir = data_dir(given)?;
    let served = runtime()?.block_on(served::find(&dir))?;
    let link = keys(&dir, &served)?.sign_link(&operator(), LINK_TTL).map_err(anyhow::Error::msg)?;
    say(&format!("{}/login?token={link}", served.url));
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// `staithe rotate-keys`
pub fn rotate_keys(given: &DataDir) -> anyhow::Result<()> {
    let kid = Keys::rotate(&data_dir(given)?)?;
    say(&format!("key {kid} signs once the server is started again"));
    Ok(())
}

/// The server's address and a token for it: those that are given, or those of the server that runs on the data directory.
/// A token is signed for that one alone, once it has proved itself: whoever else listens gets none.
pub async fn reach(
    url: &Option<String>,
    token: &Option<String>,
    given: &DataDir,
    ttl: Duration,
) -> anyhow::Result<(String, String)> {
    let dir = match (url, token) {
        (Some(url), Some(token)) => return Ok((url.clone(), token.clone())),
        _ => data_dir(given)?,
    };
    let served = match url {
        None => served::find(&dir).await?,
        Some(url) => match served::look(&dir).await? {
            Standing::Serves(served) if served::is_same(url, &served.url) => served,
            _ => bail!(
                "{url} needs a token: give one by --token or STAITHE_TOKEN. Only for the server that runs on the \
                 data directory (here {}) a command signs one itself",
                dir.display()
            ),
        },
    };
    let token = match token {
        Some(token) => token.clone(),
        None => keys(&dir, &served)?.sign(&operator(), ttl).map_err(anyhow::Error::msg)?,
    };
    Ok((served.url, token))
}

/// `staithe admin …`
pub fn run(admin: &Admin) -> anyhow::Result<()> {
    let (method, path) = request(&admin.command)?;
    let runtime = runtime()?;
    let reached = reach(&admin.url, &admin.token, &admin.data_dir, TOKEN_TTL);
    let (url, token) = runtime.block_on(reached)?;
    let answer = runtime
        .block_on(async { timeout(DEADLINE, ask(&url, &token, method, &path)).await })
        .with_context(|| format!("{url} did not answer within {} s", DEADLINE.as_secs()))??;
    if admin.json {
        say(&serde_json::to_string_pretty(&answer)?);
    } else {
        say(&render(&admin.command, &answer)?);
    }
    Ok(())
}

fn request(command: &AdminCommand) -> anyhow::Result<(Method, String)> {
    let of = |id: &str, rest: &str| -> anyhow::Result<String> {
        let id: SessionId = id.parse()?;
        Ok(format!("/api/admin/sessions/{id}{rest}"))
    };
    Ok(match command {
        AdminCommand::Sessions { phase, query } => {
            let text = |name, value: &Option<String>| {
                value.as_ref().map(|value| format!("&{name}={}", encode(value))).unwrap_or_default()
            };
            let filter = format!("{}{}", text("phase", phase), text("q", query));
            (Method::GET, format!("/api/admin/sessions?limit=500{filter}"))
        }
        AdminCommand::Show { id } => (Method::GET, of(id, "")?),
        AdminCommand::Log { id } => (Method::GET, of(id, "/log")?),
        AdminCommand::Stop { id } => (Method::POST, of(id, "/stop")?),
        AdminCommand::Delete { id } => (Method::DELETE, of(id, "")?),
        AdminCommand::Drain => (Method::POST, "/api/admin/drain".into()),
        AdminCommand::Reconcile => (Method::POST, "/api/admin/reconcile".into()),
        AdminCommand::Config => (Method::GET, "/api/admin/config".into()),
    })
}

async fn ask(url: &str, token: &str, method: Method, path: &str) -> anyhow::Result<Value> {
    let address = Address::parse(url).map_err(anyhow::Error::msg)?;
    let connected = address.connect().await;
    let stream = connected.with_context(|| format!("nothing answers at {url}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", &address.authority)
        .header("Authorization", format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    let answer: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
    if status.is_success() {
        return Ok(answer);
    }
    bail!(
        "{} ({})",
        answer["detail"].as_str().unwrap_or("the server refused"),
        answer["code"].as_str().unwrap_or(status.as_str())
    )
}

fn render(command: &AdminCommand, answer: &Value) -> anyhow::Result<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(match command {
        AdminCommand::Sessions { .. } => {
            let sessions = answer["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut lines = vec![format!(
                "{:<32}  {:<9}  {:>7}  {:>7}  {:<10}  TITLE",
                "ID", "PHASE", "EVENTS", "CLIENTS", "OWNER"
            )];
            lines.extend(sessions.iter().map(|session| {
                format!(
                    "{:<32}  {:<9}  {:>7}  {:>7}  {:<10}  {}",
                    text(&session["id"]),
                    text(&session["phase"]),
                    session["head"].as_i64().unwrap_or(-1) + 1,
                    session["clients"],
                    text(&session["owner"]),
                    text(&session["title"]),
                )
            }));
            lines.push(format!("{} in all", answer["total"]));
            lines.join("\n")
        }
        AdminCommand::Log { .. } => {
            let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
            lines.iter().map(text).collect::<Vec<_>>().join("\n")
        }
        AdminCommand::Config => text(&answer["config"]),
        AdminCommand::Delete { .. } => "deleted".to_owned(),
        AdminCommand::Stop { .. } => format!("phase: {}", text(&answer["phase"])),
        _ => serde_json::to_string_pretty(answer)?,
    })
}

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}
