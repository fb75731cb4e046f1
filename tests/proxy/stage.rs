//! A server with a session, a program of the test's own that the session's sandbox reaches, and the door
//! through which the proxy is asked: itself, or an nginx before it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    common::Server,
    wire::{Head, PATIENCE, Wire},
};

/// How the proxy is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Direct,
    /// Behind an nginx.
    Nginx,
    /// Behind an nginx, below a path of its own.
    Below,
}

/// Where the programs are that are asked for.
pub(crate) enum Ground {
    /// The sandbox has the machine's network: each case listens by itself.
    Machine,
    /// Something in the sandbox leads from this port to that listener.
    Relay { port: u16, listener: Arc<TcpListener> },
}

/// See the module.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) viewer: String,
    /// A token of another session.
    pub(crate) stranger: String,
    pub(crate) other_id: String,
    pub(crate) ground: Ground,
    pub(crate) nginx: Option<Nginx>,
}

/// A program that is asked through the proxy.
pub(crate) struct Origin {
    pub(crate) port: u16,
    listener: Arc<TcpListener>,
}

impl Origin {
    /// The next connection to it.
    pub(crate) async fn accept(&self) -> Wire {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        Wire::new(accepted.expect("the proxy connects").unwrap().0)
    }

    /// The next request, its body read; what it is answered with.
    pub(crate) async fn answer(&self, response: impl AsRef<[u8]>) -> (Head, Vec<u8>, Wire) {
        let mut wire = self.accept().await;
        let head = wire.head().await;
        let body = wire.body(&head).await.expect("a whole body").0;
        wire.send(response).await;
        (head, body, wire)
    }
}

/// One case's view of the stage.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) door: Door,
}

impl Case<'_> {
    pub(crate) async fn origin(&self) -> Origin {
        match &self.stage.ground {
            Ground::Machine => self.origin_at("127.0.0.1:0").await,
            Ground::Relay { port, listener } => {
                Origin { port: *port, listener: Arc::clone(listener) }
            }
        }
    }

    pub(crate) async fn origin_at(&self, address: &str) -> Origin {
        let listener = TcpListener::bind(address).await.unwrap();
        Origin { port: listener.local_addr().unwrap().port(), listener: Arc::new(listener) }
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.door == Door::Direct
    }

    /// Where the browser's connections go.
    pub(crate) fn address(&self) -> SocketAddr {
        match (self.door, &self.stage.nginx) {
            (Door::Direct, _) => sandbox_address(&self.stage.server),
            (_, Some(nginx)) => nginx.address,
            (_, None) => panic!("no nginx stands before this stage"),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address().to_string()
    }

    /// What stands before `/s/`.
    pub(crate) fn outer(&self) -> &'static str {
        if self.door == Door::Below { "/below" } else { "" }
    }

    /// The prefix of a port as the browser sees it.
    pub(crate) fn prefix(&self, port: u16) -> String {
        format!("{}/s/{}/p/{port}", self.outer(), self.stage.id)
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address()).await.unwrap())
    }

    /// Sends exactly this.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Wire {
        let mut wire = self.connect().await;
        wire.send(bytes).await;
        wire
    }

    /// A request's bytes: with `Host` and the session's token, unless it brings its own.
    pub(crate) fn bytes(
        &self,
        port: u16,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Vec<u8> {
        let (method, path) = line.split_once(' ').unwrap();
        let mut text = format!("{method} {}{path} HTTP/1.1\r\n", self.prefix(port));
        let has = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        if !has("host") {
            text += &["Host: ", &self.host(), "\r\n"].concat();
        }
        if !has("authorization") && !has("cookie") {
            text += &["Authorization: Bearer ", &self.stage.token, "\r\n"].concat();
        }
        for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
            text += &[name, ": ", value, "\r\n"].concat();
        }
        if !body.is_empty() && !has("transfer-encoding") && !has("content-length") {
            text += &["Content-Length: ", &body.len().to_string(), "\r\n"].concat();
        }
        format!("{text}\r\n{body}").into_bytes()
    }

    pub(crate) async fn ask(
        &self,
        port: u16,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Wire {
        self.raw(self.bytes(port, line, headers, body)).await
    }

    /// A request that never reaches a program: the whole answer.
    pub(crate) async fn told(
        &self,
        port: u16,
        line: &str,
        headers: &[(&str, &str)],
    ) -> (Head, String) {
        let mut wire = self.ask(port, line, headers, "").await;
        let head = wire.head().await;
        let body = wire.body(&head).await.expect("a whole answer").0;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// A GET that a program answers with these headers: what the browser gets, and what was asked.
    pub(crate) async fn relayed(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        response: &str,
    ) -> (Head, Head, Vec<u8>) {
        let origin = self.origin().await;
        let mut wire = self.ask(origin.port, line, headers, "").await;
        let (asked, _, program) = origin.answer(response).await;
        drop(program);
        let head = wire.head().await;
        let body = wire.body(&head).await.expect("a whole answer").0;
        (head, asked, body)
    }
}

pub(crate) fn sandbox_address(server: &Server) -> SocketAddr {
    server.sandbox_url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// An nginx as a person would set it up; ended by its id.
pub(crate) struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    /// Before the proxy at this address.
    pub(crate) async fn start(dir: &Path, proxy: SocketAddr) -> Self {
        let address = {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap()
        };
        let at = dir.display();
        let headers = "proxy_http_version 1.1;
            proxy_bind 127.0.0.2;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
            client_max_body_size 0;";
        let config = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
    uwsgi_temp_path {at}/u; scgi_temp_path {at}/c;
    large_client_header_buffers 4 64k;
    proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen {address};
        location / {{ {headers} proxy_set_header X-Forwarded-Prefix ''; proxy_pass http://{proxy}; }}
        location /below/ {{
            {headers}
            proxy_set_header X-Forwarded-Prefix /below;
            proxy_pass http://{proxy}/;
        }}
    }}
}}
"
        );
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("nginx.conf"), config).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(dir)
            .arg("-e")
            .arg(dir.join("error.log"))
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is there: Debian's package nginx-light");
        let begun = tokio::time::Instant::now();
        let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
        while TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx does not begin: see {at}/error.log");
            look.tick().await;
        }
        Self { process, address }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
