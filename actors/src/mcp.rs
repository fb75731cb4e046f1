//! The way of MCP servers into a sandbox: programs behind its runner.

use futures_util::{FutureExt as _, future::BoxFuture};
use staithe_agent::mcp::door::{Door, Opened, Program};
use staithe_link::{Link, pipe::PipeProgram};
use staithe_protocol::pipe::PipeStart;

/// Opens programs over a line. For one sandbox: another one's line makes another door.
#[derive(Clone, Debug)]
pub struct LinkDoor(pub Link);

/// A program over there.
struct Remote(PipeProgram);

impl Door for LinkDoor {
    fn open(&self, start: PipeStart) -> BoxFuture<'static, Result<Opened, String>> {
        let link = self.0.clone();
        async move {
            let pipe = link.pipe(&start).await.map_err(|error| error.to_string())?;
            let pipe = pipe.map_err(|denied| denied.reason)?;
            let program = Box::new(Remote(pipe.program));
            Ok(Opened { stream: Box::new(pipe.stream), program })
        }
        .boxed()
    }
}

impl Program for Remote {
    fn end(self: Box<Self>) -> BoxFuture<'static, String> {
        async move {
            // Without the runner nothing is known of it.
            let Ok(Ok(end)) = self.0.end().await else { return String::new() };
            let how = format!("It ended with {}.", end.code);
            if end.log.is_empty() { how } else { format!("{how} Its last lines:\n{}", end.log) }
        }
        .boxed()
    }
}
