//! Streams to what listens in the sandbox: see [`staithe_protocol::tunnel`].

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsFd,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use staithe_protocol::tunnel::{END, MOST_FRAME, PROTOCOL};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, tcp, unix},
    task::spawn_local,
    time::timeout,
};

use crate::{
    app::App,
    http::words::{Answer, Refusal, bad, empty, nothing_at},
};

/// Tunnels that may be open at a time. Each costs two buffers of [`MOST_FRAME`].
const MOST_TUNNELS: usize = 512;
/// How long a port may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A program that takes nothing so long is waited for only while the server is there.
const STALLED: Duration = Duration::from_secs(10);

/// How many are open; one per process.
#[derive(Default)]
pub struct Tunnels(Rc<Cell<usize>>);

/// One of the places; given back when it is dropped.
struct Place(Rc<Cell<usize>>);

impl Tunnels {
    fn take(&self) -> Option<Place> {
        let open = self.0.get();
        (open < MOST_TUNNELS).then(|| {
            self.0.set(open + 1);
            Place(Rc::clone(&self.0))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Answers a request below `/tunnel`.
pub async fn answer(app: &Rc<App>, mut request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let port = path.strip_prefix("/tunnel/").ok_or_else(|| nothing_at(path))?;
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| bad("a port is a number from 1 to 65535"))?;
    let asks = request.headers().get(header::UPGRADE).is_some_and(|wanted| wanted == PROTOCOL);
    if request.method() != Method::GET || !asks {
        return Err(bad("a tunnel is opened here, by `Upgrade: staithe-tunnel`"));
    }
    if app.ports.is_withheld(port) {
        return Err(refused(StatusCode::FORBIDDEN, "This port is not given out."));
    }
    let place = app.tunnels.take().ok_or_else(|| {
        refused(StatusCode::SERVICE_UNAVAILABLE, "Too many tunnels are open in this sandbox.")
    })?;
    let target = connect(port).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    spawn_local(async move {
        if let Ok(upgraded) = upgrade.await {
            carry(upgraded, target).await;
        }
        drop(place);
    });
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

fn refused(status: StatusCode, detail: &str) -> Refusal {
    Refusal::Detail(status, detail.to_owned())
}

/// Programs listen on either loopback, or on both.
async fn connect(port: u16) -> Result<TcpStream, Refusal> {
    let mut late = false;
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        match timeout(CONNECT, TcpStream::connect((address, port))).await {
            // A port that connects to itself: nothing listens, and the kernel gave this very port.
            Ok(Ok(stream)) if stream.local_addr().ok() == stream.peer_addr().ok() => {}
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).ok(); // it then only is slower
                return Ok(stream);
            }
            Ok(Err(_)) => {}
            Err(_) => late = true,
        }
    }
    Err(if late {
        refused(StatusCode::GATEWAY_TIMEOUT, "What listens took no connection in time.")
    } else {
        refused(StatusCode::BAD_GATEWAY, "Nothing listens on this port.")
    })
}

/// The server's half that is read.
trait Source: AsyncRead + Unpin {
    /// Whether nobody is at its other end any more. Reading tells it too, but only after all that was sent
    /// before.
    fn is_gone(&self) -> bool;
}

impl Source for unix::OwnedReadHalf {
    fn is_gone(&self) -> bool {
        is_gone(self.as_ref())
    }
}

impl Source for tcp::OwnedReadHalf {
    fn is_gone(&self) -> bool {
        is_gone(self.as_ref())
    }
}

fn is_gone(stream: impl AsFd) -> bool {
    // What hangs up and what fails is always told.
    let mut asked = [PollFd::new(&stream, PollFlags::RDHUP)];
    match poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(told) => told > 0,
        Err(errno) => errno != Errno::INTR,
    }
}

/// Carries bytes until both directions are ended, or one side is gone.
async fn carry(upgraded: Upgraded, target: TcpStream) {
    // What a connection was before: one of what `Guest` has.
    match upgraded.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let (read, write) = parts.io.into_inner().into_split();
            join(Server { early: parts.read_buf, read }, write, target).await;
        }
        Err(upgraded) => {
            if let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() {
                let (read, write) = parts.io.into_inner().into_split();
                join(Server { early: parts.read_buf, read }, write, target).await;
            }
        }
    }
}

async fn join(
    from_server: Server<impl Source>,
    mut to_server: impl AsyncWrite + Unpin,
    mut target: TcpStream,
) {
    let carried = {
        let (mut from_target, mut to_target) = target.split();
        both(inward(from_server, &mut to_target), outward(&mut from_target, &mut to_server)).await
    };
    if carried.is_err() {
        // Broken off is not ended: the program is told so by a reset.
        target.set_zero_linger().ok();
    }
}

/// What comes from the server.
struct Server<R> {
    /// Came with the request.
    early: Bytes,
    read: R,
}

impl<R: Source> Server<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.early.is_empty() {
            return self.read.read(buffer).await;
        }
        let length = self.early.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.early.split_to(length));
        Ok(length)
    }

    async fn length(&mut self) -> io::Result<u16> {
        let mut bytes = [0; 2];
        let mut have = 0;
        while have < bytes.len() {
            match self.read(&mut bytes[have..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => have += read,
            }
        }
        Ok(u16::from_be_bytes(bytes))
    }
}

/// `inward` gives the server's half back once the server has ended its direction. Its end then means that
/// nobody is there any more, as when a client closes what it has ended.
async fn both(
    inward: impl Future<Output = io::Result<Server<impl Source>>>,
    outward: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let (mut inward, mut outward) = (Box::pin(inward), Box::pin(outward));
    tokio::select! {
        server = &mut inward => {
            let mut server = server?;
            let mut byte = [0];
            tokio::select! {
                biased;
                ended = &mut outward => ended,
                _ = server.read(&mut byte) => Ok(()),
            }
        }
        ended = &mut outward => {
            ended?;
            inward.await.map(drop)
        }
    }
}

async fn inward<R: Source>(
    mut server: Server<R>,
    target: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Server<R>> {
    let mut buffer = vec![0; MOST_FRAME];
    loop {
        let mut left = usize::from(server.length().await?);
        if left == usize::from(END) {
            target.shutdown().await?;
            return Ok(server);
        }
        while left > 0 {
            let most = left.min(buffer.len());
            let read = server.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            pass(&buffer[..read], target, &server.read).await?;
            left -= read;
        }
    }
}

/// Writes all of it. One who does not read would hold this for ever after the server has gone.
async fn pass(
    mut bytes: &[u8],
    target: &mut (impl AsyncWrite + Unpin),
    server: &impl Source,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match timeout(STALLED, target.write(bytes)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written?..],
            Err(_) if server.is_gone() => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

async fn outward(
    target: &mut (impl AsyncRead + Unpin),
    server: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; 2 + MOST_FRAME];
    loop {
        let read = target.read(&mut buffer[2..]).await?;
        let length = u16::try_from(read).map_err(io::Error::other)?;
        buffer[..2].copy_from_slice(&length.to_be_bytes());
        server.write_all(&buffer[..2 + read]).await?;
        server.flush().await?;
        if read == 0 {
            return Ok(()); // the frame that ends
        }
    }
}
