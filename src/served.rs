//! The server that lives on a data directory: whether one does, and its proof of it, before a token is shown to it.
//!
//! `server.json` says where the last server was. Its port may be another program's by now, so two things are asked: the
//! lock of the store, whether any server lives, and whoever listens, for a word that only who has the directory's keys
//! can sign: `GET /health?nonce=N` answers with `proof`, a token for nothing else, for this nonce and this address.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::auth::keys::Keys;

/// Where a server says how it is reached.
pub(crate) const FILE: &str = "server.json";
/// How long it may take to prove itself.
const DEADLINE: Duration = Duration::from_secs(2);
/// The largest answer, in bytes.
const MOST_ANSWER: usize = 64 * 1024;

/// How a data directory stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No server has it.
    Free,
    /// One has it that can't be reached, or not yet; why.
    Silent(String),
    Serves(Served),
}

/// A server that has proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// `http://address:port`.
    pub(crate) url: String,
    /// The name of the key that it signs with.
    pub(crate) kid: String,
}

/// Looks for the server of a data directory.
pub(crate) async fn look(dir: &Path) -> anyhow::Result<Standing> {
    let held = crate::boot::is_held(dir);
    if !held.with_context(|| format!("{}: store.lock", dir.display()))? {
        return Ok(Standing::Free);
    }
    Ok(match proven(dir).await {
        Ok(served) => Standing::Serves(served),
        Err(error) => Standing::Silent(format!("{error:#}")),
    })
}

/// The server of a data directory; an error where there is none.
pub(crate) async fn find(dir: &Path) -> anyhow::Result<Served> {
    match look(dir).await? {
        Standing::Serves(served) => Ok(served),
        Standing::Free => bail!(
            "no server runs on {}; name its data directory by --data-dir, or its address by --url",
            dir.display()
        ),
        Standing::Silent(why) => bail!("a server has {}, but {why}", dir.display()),
    }
}

async fn proven(dir: &Path) -> anyhow::Result<Served> {
    let file = dir.join(FILE);
    let word = std::fs::read(&file).context("it has not said yet where it listens")?;
    let word: Value = serde_json::from_slice(&word).context("server.json can't be read")?;
    let text = |name: &str| word[name].as_str().unwrap_or_default().to_owned();
    let served = Served { url: text("url"), kid: text("kid") };
    let address: SocketAddr = served
        .url
        .strip_prefix("http://")
        .and_then(|address| address.parse().ok())
        .context("server.json has no address")?;
    // Not made here: who has none can't be proved anything to.
    if !dir.join("keys.json").exists() {
        bail!("keys.json is not there");
    }
    let keys = Keys::load(dir, &"".into(), "".into(), "".into())?;
    let nonce = uuid::Uuid::new_v4().as_simple().to_string();
    let asked = timeout(DEADLINE, ask(address, &nonce)).await;
    let proof = asked.ok().and_then(Result::ok).with_context(|| format!("{address} is silent"))?;
    if !keys.is_proof(&proof, &nonce, &served.url) {
        bail!(
            "what listens at {address} is another program: it does not know the directory's keys"
        );
    }
    Ok(served)
}

/// What listens there says to prove itself; empty where it says nothing of the kind.
async fn ask(address: SocketAddr, nonce: &str) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .uri(format!("/health?nonce={nonce}"))
        .header("Host", address.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let body = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(answer["proof"].as_str().unwrap_or_default().to_owned())
}

/// Whether an address that a person gave is that of a server on this machine, by whatever name of the loopback.
pub(crate) fn is_same(given: &str, url: &str) -> bool {
    let host = |url: &str| {
        let host = url.strip_prefix("http://")?.trim_end_matches('/').to_owned();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Some(if has_port { host } else { format!("{host}:80") })
    };
    let (Some(given), Some(own)) = (host(given), host(url)) else { return false };
    let Ok(own) = own.parse::<SocketAddr>() else { return false };
    let here = own.ip().is_loopback() || own.ip().is_unspecified();
    given == own.to_string()
        || here && given == format!("localhost:{}", own.port())
        || here
            && given.parse::<SocketAddr>().is_ok_and(|given| {
                given.port() == own.port()
                    && own.ip().is_unspecified()
                    && (given.ip().is_loopback() || given.ip().is_unspecified())
            })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn an_address_is_ones_own_by_any_name_of_the_loopback_and_no_other() {
        for (given, url, same) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("http://127.0.0.1:3000/", "http://127.0.0.1:3000", true),
            ("http://localhost:3000", "http://127.0.0.1:3000", true),
            ("http://localhost", "http://127.0.0.1:80", true),
            ("http://127.0.0.1:3000", "http://0.0.0.0:3000", true),
            ("http://[::1]:3000", "http://[::]:3000", true),
            ("http://127.0.0.1:3001", "http://127.0.0.1:3000", false),
            ("http://127.0.0.2:3000", "http://127.0.0.1:3000", false),
            ("http://localhost:3000", "http://192.0.2.1:3000", false),
            ("http://staithe.example:3000", "http://0.0.0.0:3000", false),
            ("https://127.0.0.1:3000", "http://127.0.0.1:3000", false),
            ("http://127.0.0.1:3000@evil.example", "http://127.0.0.1:3000", false),
            ("", "", false),
        ] {
            assert_eq!(is_same(given, url), same, "{given} {url}");
        }
    }

    /// A program that answers everything with this.
    async fn other_program(answer: String) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("it binds");
        let address = listener.local_addr().expect("it has an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let read = stream.read(&mut asked).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
                assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
                drop(stream.write_all(format!("{head}{answer}").as_bytes()).await);
            }
        });
        address
    }

    #[tokio::test]
    async fn only_a_server_that_lives_and_knows_the_keys_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(look(dir.path()).await.expect("it looks"), Standing::Free);
        let store = staithe_store::SqliteStore::open(dir.path()).expect("it opens");
        let silent = |standing: Standing| match standing {
            Standing::Silent(why) => why,
            other => panic!("{other:?}"),
        };
        let why = silent(look(dir.path()).await.expect("it looks"));
        assert!(why.contains("not said yet"), "{why}");
        let keys = Keys::load(dir.path(), &"".into(), "".into(), "".into()).expect("keys");
        // It signs with these keys, but for another question and another address.
        let proof = keys.prove(&"0".repeat(32), "http://127.0.0.1:1").expect("it signs");
        for answer in ["{}".to_owned(), "no JSON".to_owned(), format!("{{\"proof\":\"{proof}\"}}")]
        {
            let address = other_program(answer.clone()).await;
            let word = format!("{{\"url\":\"http://{address}\",\"kid\":\"{}\"}}", keys.current());
            fs::write(dir.path().join(FILE), word).expect("it is written");
            let why = silent(look(dir.path()).await.expect("it looks"));
            assert!(why.contains("another program"), "{answer}: {why}");
        }
        store.shutdown();
        assert_eq!(look(dir.path()).await.expect("it looks"), Standing::Free);
    }
}
