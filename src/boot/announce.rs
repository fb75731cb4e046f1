//! How whoever started the server learns that it serves, and ends it.

use std::{
    fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, pin::Pin, time::Duration,
};

use serde::Serialize;
use serde_json::json;
use staithe_protocol::frames::Role;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::Instant,
};

use crate::{
    auth::{Identity, sign_in::LINK_TTL},
    front::Front,
    served::FILE,
};

/// How long the token of a run and a link's sign-in hold.
const RUN_TOKEN_TTL: Duration = Duration::from_hours(30 * 24);
/// Ends when the server is to end; who asked.
pub(super) type Asked = Pin<Box<dyn Future<Output = &'static str>>>;

/// Who started the server: who is told that it serves, and who asks it to end.
pub(super) enum Caller {
    /// Signals end it.
    Person,
    /// As well; one line of JSON on stdout is for it.
    Program,
    /// Another command of this process.
    Command(Embedded),
}

/// The ends of a server within another command.
pub struct Embedded {
    pub ready: oneshot::Sender<Ready>,
    /// Asked for, or dropped.
    pub end: oneshot::Receiver<()>,
}

/// Where a server is, and what opens it.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    pub url: String,
    pub sandbox_url: String,
    /// Signs a browser in, once.
    pub login_url: String,
    /// An operator's, for this run.
    pub token: String,
}

/// Where the server is, with what opens it.
pub(super) fn ready(front: &Front, url: String, sandbox_url: String) -> anyhow::Result<Ready> {
    let operator = Identity {
        subject: "operator".into(),
        role: Role::Operator,
        session: None,
        until: None,
        link: None,
    };
    let token = front.keys.sign(&operator, RUN_TOKEN_TTL).map_err(anyhow::Error::msg)?;
    let link = front.keys.sign_link(&operator, LINK_TTL).map_err(anyhow::Error::msg)?;
    Ok(Ready { login_url: format!("{url}/login?token={link}"), url, sandbox_url, token })
}

/// Says that the server serves, and returns what ends when it is to end.
pub(super) fn announce(
    front: &Front,
    ready: Ready,
    data_dir: &Path,
    caller: Caller,
    started: Instant,
) -> anyhow::Result<Asked> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(data_dir.join(FILE))?;
    let Ready { url, sandbox_url, login_url, .. } = &ready;
    serde_json::to_writer(
        &mut file,
        &json!({ "url": url, "kid": front.keys.current(), "pid": std::process::id() }),
    )?;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(url, sandbox_url, data_dir = %data_dir.display(), took_ms, "serving");
    let is_program = match caller {
        Caller::Command(Embedded { ready: tell, end }) => {
            if tell.send(ready).is_err() {
                anyhow::bail!("whoever started this server is gone");
            }
            return Ok(Box::pin(async {
                drop(end.await);
                "its command"
            }));
        }
        Caller::Program => true,
        Caller::Person => false,
    };
    // Listened for before anybody knows that it serves.
    let asked = asked_to_end();
    if is_program {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(&ready)?)?;
        stdout.flush()?;
    } else {
        eprintln!(
            "\nStaithe serves {url}\nOpen this link to sign in; it works once:\n\n    {login_url}\n"
        );
    }
    Ok(Box::pin(asked))
}

/// Takes the word back: nobody looks for a server here that ends. `asked` is who wants that.
pub(super) fn withdraw(data_dir: &Path, asked: &str) {
    tracing::info!(asked, "ending");
    if let Err(error) = fs::remove_file(data_dir.join(FILE)) {
        tracing::warn!(%error, "server.json could not be removed");
    }
}

/// Listens from this call on, not only from the first poll: a signal in between is not lost.
pub(super) fn asked_to_end() -> impl Future<Output = &'static str> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut term), Ok(mut int)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    }
}
