//! One kernel: begun by the gateway's REST interface, spoken to on its WebSocket.

use std::{io, net::Ipv4Addr, rc::Rc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpStream, task::spawn_local};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, client::IntoClientRequest as _, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use super::{super::probe::Ask, cell::Message};

/// The largest message that is taken, in bytes. The gateway keeps text below it; see its arguments.
const MOST_MESSAGE: usize = 64 * 1024 * 1024;
/// Buffer of its line, in bytes.
const BUFFER: usize = 16 * 1024;
/// A gateway that makes a kernel may take so long. Whoever waits for it gives up earlier; the answer names what
/// is to be ended then.
const MAKING: Duration = Duration::from_mins(2);

/// A gateway that answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Gateway {
    pub port: u16,
    /// The value of `Authorization`.
    pub authorization: String,
}

impl Gateway {
    /// A request to it, with JSON or without.
    pub fn ask<'a>(&'a self, method: Method, path: &'a str, body: Option<String>) -> Ask<'a> {
        let authorization = Some(self.authorization.as_str());
        Ask { port: self.port, method, path, authorization, body }
    }
}

/// A kernel. It is ended when this is dropped, even when it is deaf.
pub struct Kernel {
    made: Made,
    socket: WebSocketStream<TcpStream>,
    next: u64,
}

impl Kernel {
    /// Begins one; by the name of its kind, or the gateway's default.
    pub async fn begin(gateway: Rc<Gateway>, name: &str) -> io::Result<Self> {
        let name = name.to_owned();
        // Once it is asked for it is made, whether somebody still waits or not.
        let made = spawn_local(async move { Made::make(gateway, &name).await });
        let made = made.await.map_err(io::Error::other)??;
        let socket = connect(&made.gateway, &made.id).await?;
        Ok(Self { made, socket, next: 0 })
    }

    /// What it runs in.
    pub fn gateway(&self) -> &Rc<Gateway> {
        &self.made.gateway
    }

    /// Sends code; the id that its messages name. `expressions` are told with the reply of code that went
    /// well.
    pub async fn execute(
        &mut self,
        code: &str,
        silent: bool,
        expressions: &[(&str, &str)],
    ) -> io::Result<String> {
        self.next += 1;
        let id = format!("{}-{}", self.made.id, self.next);
        let expressions: serde_json::Map<_, _> = expressions
            .iter()
            .map(|(name, expression)| ((*name).to_owned(), (*expression).into()))
            .collect();
        let message = json!({
            "header": {
                "msg_id": id, "msg_type": "execute_request", "username": "", "session": self.made.id,
                "version": "5.3", "date": "",
            },
            "parent_header": {},
            "metadata": {},
            "channel": "shell",
            "buffers": [],
            "content": {
                "code": code, "silent": silent, "store_history": !silent,
                "user_expressions": expressions,
                // Nobody is there to answer `input()`: it is told so at once.
                "allow_stdin": false,
                "stop_on_error": true,
            },
        });
        let message = tungstenite::Message::text(message.to_string());
        self.socket.send(message).await.map_err(io::Error::other)?;
        Ok(id)
    }

    /// The next message; none when its line is cut. Cancel safe.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match self.socket.next().await?.ok()? {
                tungstenite::Message::Text(text) => {
                    if let Ok(message) = serde_json::from_str(&text) {
                        return Some(message);
                    }
                }
                tungstenite::Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Interrupts what runs in it. Done elsewhere: its messages must be read meanwhile.
    pub fn interrupt(&self) {
        let (gateway, path) =
            (Rc::clone(&self.made.gateway), format!("/api/kernels/{}/interrupt", self.made.id));
        // One that does not take it is deaf, which is seen by the clock.
        spawn_local(async move { gateway.ask(Method::POST, &path, None).send().await.is_ok() });
    }
}

/// What a gateway made; taken away when it is dropped.
struct Made {
    gateway: Rc<Gateway>,
    id: String,
}

impl Made {
    async fn make(gateway: Rc<Gateway>, name: &str) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Begun {
            id: String,
        }
        let wanted = if name.is_empty() { json!({}) } else { json!({ "name": name }) };
        let ask = gateway.ask(Method::POST, "/api/kernels", Some(wanted.to_string()));
        let (status, body) = ask.send_within(MAKING).await?;
        if status != StatusCode::CREATED {
            let said = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
            return Err(io::Error::other(format!("the gateway answered {status}: {said}")));
        }
        let Begun { id } = serde_json::from_slice(&body)?;
        Ok(Self { gateway, id })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let (gateway, path) = (Rc::clone(&self.gateway), format!("/api/kernels/{}", self.id));
        // One that is gone already is as good.
        spawn_local(async move { gateway.ask(Method::DELETE, &path, None).send().await.is_ok() });
    }
}

async fn connect(gateway: &Gateway, id: &str) -> io::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.port)).await?;
    let url = format!("ws://127.0.0.1:{}/api/kernels/{id}/channels?session_id={id}", gateway.port);
    let mut request = url.into_client_request().map_err(io::Error::other)?;
    let authorization = HeaderValue::from_str(&gateway.authorization).map_err(io::Error::other)?;
    request.headers_mut().insert("Authorization", authorization);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let (socket, _) =
        client_async_with_config(request, stream, Some(config)).await.map_err(io::Error::other)?;
    Ok(socket)
}
