//! The server, the sessions and the tokens that the rows are played on.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    common::{Client, Server, client::run_frame},
    wire::{self, Answer, RawSocket, Request},
};

/// The configured token of the role `user`.
pub(crate) const USER: &str = "a-user-of-the-tests";

/// See the module.
pub(crate) struct Stage {
    pub(crate) server: Server,
    dir: tempfile::TempDir,
    /// The operator's session: all rows attack it.
    pub(crate) sid: String,
    /// The same, as the first part of its addresses.
    pub(crate) at: String,
    /// A session of the user.
    pub(crate) other: String,
    /// Tokens: of `sid`'s editor and viewer, and of `other`'s editor.
    pub(crate) editor: String,
    pub(crate) viewer: String,
    pub(crate) stranger: String,
    /// The socket that all text frames share.
    pub(crate) socket: Mutex<RawSocket>,
    next: std::sync::atomic::AtomicU32,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server::start_with(
            dir.path(),
            &[
                ("STAITHE__AUTH__ACCESS_TOKEN", USER),
                ("STAITHE__CORE__FILE_UPLOADS_MAX_FILE_SIZE_MB", "1"),
                ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "100000"),
                ("STAITHE__LIMITS__REQUEST_BURST", "100000"),
                ("STAITHE__LIMITS__SIGN_IN_ATTEMPTS_PER_MINUTE", "5"),
                ("STAITHE__SANDBOX__NO_CHANGE_TIMEOUT", "500ms"),
            ],
        )
        .await;
        let (sid, editor) = server.session().await;
        let mine = [("authorization", "Bearer a-user-of-the-tests")];
        let (status, _, body) = server.post("/api/sessions", &mine, &json!({})).await;
        assert_eq!(status, 201);
        let other: Value = serde_json::from_slice(&body).expect("a session");
        let at = format!("/api/sessions/{sid}");
        let (_, _, body) =
            server.post(&format!("{at}/tokens"), &[], &json!({ "role": "viewer" })).await;
        let viewer: Value = serde_json::from_slice(&body).expect("a token");
        server.phase(&sid, "ready", Duration::from_secs(30)).await;
        let word = |value: &Value, key: &str| value[key].as_str().expect(key).to_owned();
        let request = Request::get(format!("{at}/ws?after=-1"));
        let socket = RawSocket::join(server.address(), &request, &server.token).await;
        Self {
            socket: Mutex::new(socket.map_err(|answer| answer.head).expect("it may join")),
            dir,
            at,
            other: word(&other, "id"),
            stranger: word(&other, "token"),
            viewer: word(&viewer, "token"),
            server,
            sid,
            editor,
            next: 0.into(),
        }
    }

    /// A `ref` that nobody used.
    pub(crate) fn reference(&self) -> String {
        let next = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("row-{next}")
    }

    /// Sends a request, as the operator unless it says otherwise.
    pub(crate) async fn ask(&self, request: &Request) -> Option<Answer> {
        let bytes = request.bytes(self.server.address(), &self.server.token);
        wire::exchange(self.server.address(), &bytes).await
    }

    /// A socket of its own in the session.
    pub(crate) async fn join(&self, token: &str) -> RawSocket {
        let request = Request::get(format!("{}/ws", self.at));
        let socket = RawSocket::join(self.server.address(), &request, token).await;
        socket.map_err(|answer| answer.head).expect("it may join")
    }

    /// Joins as a client should.
    pub(crate) async fn client(&self) -> Client {
        let head = self.server.json(&self.at).await["head"].as_i64().expect("a head");
        Client::connect(&self.server, &self.sid, &self.server.token, head).await
    }

    /// Runs a command; its observation.
    pub(crate) async fn run(&self, command: &str) -> Value {
        self.client().await.run(&self.reference(), command).await
    }

    /// Has an action taken; its observation. How it was refused, when it was.
    pub(crate) async fn act(&self, action: &Value) -> Result<Value, String> {
        let mut client = self.client().await;
        let mut frame = run_frame(&self.reference(), "");
        frame["action"] = action.clone();
        let answer = client.ask(&frame).await;
        if answer["type"] != "done" {
            return Err(wire::shown(&Ok(answer)));
        }
        let cause = &answer["event_id"];
        // The observation may have overtaken the answer: the log has it.
        loop {
            let path = format!("{}/events?after={cause}&limit=1000", self.at);
            let page = self.server.json(&path).await;
            let events = page["events"].as_array().expect("events");
            if let Some(event) = events.iter().find(|event| event["cause"] == *cause) {
                return Ok(event.clone());
            }
            client.recv_json(Duration::from_secs(20)).await.map_err(|error| error.to_string())?;
        }
    }

    /// A token signed by the server's own key: with other claims, and under another header.
    pub(crate) fn minted(&self, change: impl Fn(&mut Header, &mut Value)) -> String {
        let file = std::fs::read(self.dir.path().join("keys.json")).expect("the keys");
        let file: Value = serde_json::from_slice(&file).expect("the keys");
        let kid = file["current"].as_str().expect("a kid");
        let key = file["keys"][kid].as_str().expect("a key");
        let now = jiff::Timestamp::now().as_second();
        let mut header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        let mut claims = json!({
            "iss": "staithe", "sub": "operator", "role": "operator", "use": "access",
            "iat": now, "exp": now + 600, "jti": "0",
        });
        change(&mut header, &mut claims);
        let key = EncodingKey::from_secret(key.as_bytes());
        jsonwebtoken::encode(&header, &claims, &key).expect("it signs")
    }

    /// The same claims under `alg: none`.
    pub(crate) fn unsigned(&self) -> String {
        let good = self.minted(|_, _| {});
        let claims = good.split('.').nth(1).expect("claims");
        let kid = jsonwebtoken::decode_header(&good).expect("a header").kid.expect("a kid");
        let header = json!({ "alg": "none", "typ": "JWT", "kid": kid }).to_string();
        format!("{}.{claims}.", base64url(header.as_bytes()))
    }
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[(all >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}
