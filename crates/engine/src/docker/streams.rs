//! Streams through the engine: a runner reached by an exec, a key given on stdin, events, logs.

use std::{
    collections::HashMap,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::EventMessage,
    query_parameters::{AttachContainerOptionsBuilder, EventsOptionsBuilder, LogsOptionsBuilder},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use staithe_protocol::SandboxId;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::broadcast,
};
use tokio_util::io::StreamReader;

use super::{
    body::{runner_path, socket_in_sandbox},
    call::{Failure, call},
};
use crate::{Dial, LABEL_OWNER, SandboxExited, Stream, chain::chain};

/// Longest line of a log that is told.
const LONGEST_LINE: usize = 4096;
/// Between two tries to follow an engine's events.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Streams to a runner through `exec`.
pub(super) struct ExecDial {
    pub(super) docker: Docker,
    pub(super) container: String,
    pub(super) deadline: Duration,
}

impl fmt::Debug for ExecDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec in {}", self.container)
    }
}

#[async_trait]
impl Dial for ExecDial {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let failed = |failure: Failure| io::Error::other(failure.of("exec in", &self.container));
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(false),
            // A terminal would change bytes.
            tty: Some(false),
            user: Some("0:0".to_owned()),
            cmd: Some(vec![runner_path(), "bridge".into(), "--socket".into(), socket_in_sandbox()]),
            ..Default::default()
        };
        let made = call(self.deadline, self.docker.create_exec(&self.container, options))
            .await
            .map_err(failed)?;
        let start = StartExecOptions { detach: false, tty: false, output_capacity: None };
        let started = call(self.deadline, self.docker.start_exec(&made.id, Some(start)))
            .await
            .map_err(failed)?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(io::Error::other("the engine did not attach to the exec"));
        };
        let bytes = output.map_ok(LogOutput::into_bytes).map_err(|e| io::Error::other(chain(&e)));
        Ok(Box::new(ExecStream { read: StreamReader::new(Box::pin(bytes)), write: input }))
    }
}

type Output = Pin<Box<dyn futures_util::Stream<Item = io::Result<Bytes>> + Send>>;

struct ExecStream {
    read: StreamReader<Output, Bytes>,
    write: Pin<Box<dyn AsyncWrite + Send>>,
}

impl AsyncRead for ExecStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for ExecStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.as_mut().poll_shutdown(cx)
    }
}

/// A container's stdin, attached before it starts.
pub(super) struct Stdin(Pin<Box<dyn AsyncWrite + Send>>);

impl Stdin {
    pub(super) async fn attach(
        docker: &Docker,
        id: &str,
        deadline: Duration,
    ) -> Result<Self, Failure> {
        let options = AttachContainerOptionsBuilder::default().stdin(true).stream(true).build();
        Ok(Self(call(deadline, docker.attach_container(id, Some(options))).await?.input))
    }

    /// Writes one line, and closes it for ever.
    pub(super) async fn give(mut self, line: &str, deadline: Duration) -> Result<(), Failure> {
        let give = async {
            self.0.write_all(format!("{line}\n").as_bytes()).await?;
            self.0.flush().await?;
            self.0.shutdown().await
        };
        call(deadline, async { give.await.map_err(bollard::errors::Error::from) }).await
    }
}

/// The last lines that a container printed.
pub(super) async fn logs(docker: &Docker, id: &str, tail: usize) -> Result<Vec<String>, Failure> {
    let options =
        LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail.to_string()).build();
    let mut stream = std::pin::pin!(docker.logs(id, Some(options)));
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece?.into_bytes());
        // More than can be told: the oldest goes.
        let most = tail.saturating_mul(LONGEST_LINE).max(LONGEST_LINE);
        if text.len() > 2 * most {
            text.drain(..text.len() - most);
        }
    }
    let text = String::from_utf8_lossy(&text);
    let cut = |line: &str| line.chars().take(LONGEST_LINE).collect::<String>();
    let lines: Vec<String> = text.lines().map(cut).collect();
    Ok(lines[lines.len().saturating_sub(tail)..].to_vec())
}

/// Follows the engine's events until nobody listens any more. A lost event does no harm: it only says
/// "look", and whoever depends on a sandbox also watches its line.
pub(super) async fn follow(
    docker: Docker,
    owner: String,
    exits: Arc<broadcast::Sender<SandboxExited>>,
) {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![format!("{LABEL_OWNER}={owner}")]),
        ("event".to_owned(), vec!["die".to_owned(), "oom".to_owned()]),
    ]);
    let mut pause = FIRST_PAUSE;
    let mut ran_out = std::collections::HashSet::new();
    loop {
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let mut events = std::pin::pin!(docker.events(Some(options)));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    pause = FIRST_PAUSE;
                    if let Some(exit) = exit_of(event, &mut ran_out) {
                        drop(exits.send(exit)); // nobody listening is no failure
                    }
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "the engine's events ended");
                    break;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// What an event means to whoever waits for ends.
fn exit_of(
    event: EventMessage,
    ran_out: &mut std::collections::HashSet<String>,
) -> Option<SandboxExited> {
    let actor = event.actor?;
    let id = actor.id?;
    let attributes = actor.attributes.unwrap_or_default();
    match event.action.as_deref()? {
        "oom" => {
            ran_out.insert(id);
            None
        }
        "die" => Some(SandboxExited {
            name: attributes.get("name").cloned().unwrap_or_default(),
            code: attributes.get("exitCode").and_then(|code| code.parse().ok()),
            out_of_memory: ran_out.remove(&id),
            id: SandboxId(id),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(action: &str) -> EventMessage {
        let attributes = [("name", "staithe-x"), ("exitCode", "137")];
        EventMessage {
            action: Some(action.into()),
            actor: Some(EventActor {
                id: Some("abc".into()),
                attributes: Some(attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn an_end_after_memory_ran_out_says_so_once() {
        let mut ran_out = std::collections::HashSet::new();
        assert_eq!(exit_of(event("oom"), &mut ran_out), None);
        let first = exit_of(event("die"), &mut ran_out).expect("an end");
        assert_eq!(
            (first.code, first.out_of_memory, first.name.as_str()),
            (Some(137), true, "staithe-x")
        );
        let next = exit_of(event("die"), &mut ran_out).expect("an end");
        assert!(!next.out_of_memory);
        assert_eq!(exit_of(event("exec_die"), &mut ran_out), None);
    }
}
