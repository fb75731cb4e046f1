//! A program in the sandbox as a stream: see [`staithe_protocol::pipe`].

use hyper::Method;
use staithe_protocol::{
    pipe::{PipeDenied, PipeEnd, PipeStart, PipeStarted},
    tunnel::PROTOCOL,
};

use crate::{Link, LinkFailed, http::Reply, tunnel::Tunnel};

/// Largest answer about a pipe, in bytes.
const MOST_ANSWER: usize = 64 * 1024;

/// A program that runs: its stdin and stdout. Its `shutdown` closes stdin; the program ends when it is dropped.
pub struct Pipe {
    pub stream: Tunnel,
    pub program: PipeProgram,
}

/// The program itself. Dropping it is no harm: the program ends with its stream.
#[derive(Clone, Debug)]
pub struct PipeProgram {
    link: Link,
    id: String,
}

impl Link {
    /// Starts a program, or says why the runner did not.
    pub async fn pipe(&self, start: &PipeStart) -> Result<Result<Pipe, PipeDenied>, LinkFailed> {
        let reply = self.post_json("/pipes", start).await?;
        if reply.status() != 201 {
            return Ok(Err(read(reply).await?));
        }
        let PipeStarted { id } = read(reply).await?;
        let opened = self.upgrade(&format!("/pipes/{id}"), PROTOCOL).await?;
        let stream = match opened {
            Ok(stream) => Tunnel::new(stream),
            Err(reply) => return Ok(Err(read(reply).await?)),
        };
        Ok(Ok(Pipe { stream, program: PipeProgram { link: self.clone(), id } }))
    }
}

impl PipeProgram {
    /// Has it ended, and says how it did and what its last lines on stderr were. Only once.
    pub async fn end(self) -> Result<Result<PipeEnd, PipeDenied>, LinkFailed> {
        let path = format!("/pipes/{}", self.id);
        let reply = self.link.request(Method::DELETE, &path, &[], None).await?;
        if reply.status() != 200 {
            return Ok(Err(read(reply).await?));
        }
        Ok(Ok(read(reply).await?))
    }
}

async fn read<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<T, LinkFailed> {
    let http = |error: Box<dyn std::error::Error + Send + Sync>| LinkFailed::Http(error);
    let body = reply.whole(MOST_ANSWER).await.map_err(|error| http(error.into()))?;
    serde_json::from_slice(&body).map_err(|error| http(error.into()))
}
