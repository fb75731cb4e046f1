//! Frames from and to the server as bytes to and from something else in the sandbox.

use std::{io, os::fd::AsFd, time::Duration};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use staithe_protocol::tunnel::{END, MOST_FRAME};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, tcp, unix},
    time::timeout,
};

/// A program that takes nothing so long is waited for only while the server is there.
const STALLED: Duration = Duration::from_secs(10);

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

/// Carries bytes until both directions are ended, or one side is gone, which is an error.
pub async fn carry(
    upgraded: Upgraded,
    from_target: &mut (impl AsyncRead + Unpin),
    to_target: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // What a connection was before: one of what `Guest` has.
    match upgraded.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let (read, mut write) = parts.io.into_inner().into_split();
            let server = Server { early: parts.read_buf, read };
            both(inward(server, to_target), outward(from_target, &mut write)).await
        }
        Err(upgraded) => {
            let parts = upgraded
                .downcast::<TokioIo<TcpStream>>()
                .map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
            let (read, mut write) = parts.io.into_inner().into_split();
            let server = Server { early: parts.read_buf, read };
            both(inward(server, to_target), outward(from_target, &mut write)).await
        }
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
