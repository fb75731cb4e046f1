//! Requests that go on: attach, exec, logs, waiting, events.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use staithe_protocol::runner::SOCKET_NAME;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf},
    net::UnixStream,
    sync::{broadcast::error::RecvError, mpsc},
};

use super::{
    Inner,
    answers::{Answer, Outcome, empty, frame, json, refused, stream, upgraded},
    routes::Recorded,
    world::{Exec, FakeContainer, World, meets},
};

/// Chunks that may wait for a slow client.
const WAITING: usize = 64;
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

type Io = TokioIo<Upgraded>;

impl Inner {
    /// Stdin goes to the container, its output comes; also to one that is started later.
    pub(super) fn attach(self: &Arc<Self>, asked: &Recorded, upgrade: OnUpgrade) -> Outcome {
        let it = self.world().container(&asked.id)?.clone();
        let (stdin, stdout) = (asked.flag("stdin"), asked.flag("stdout") || asked.flag("stderr"));
        let from = if asked.flag("logs") { 0 } else { it.log.len() };
        let this = self.clone();
        self.spawn(async move {
            let Ok(io) = upgrade.await else { return };
            let (read, mut write) = tokio::io::split(TokioIo::new(io));
            let input = async {
                if stdin {
                    this.take_stdin(&it.id, read).await;
                }
                std::future::pending::<()>().await;
            };
            let output = async {
                this.print(&it, from, stdout, &mut write).await;
                write.shutdown().await.ok(); // the client may be gone
            };
            tokio::select! { () = input => {}, () = output => {} }
        });
        Ok(upgraded())
    }

    async fn take_stdin(&self, id: &str, mut read: ReadHalf<Io>) {
        let mut buffer = BytesMut::with_capacity(4096);
        while read.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
            self.world().feed(id, &buffer.split());
        }
    }

    /// Writes what a container prints from a line on, until this run of it ends.
    async fn print(
        &self,
        it: &FakeContainer,
        mut from: usize,
        show: bool,
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut changes = self.world().changes.subscribe();
        loop {
            let (lines, ended) = {
                let world = self.world();
                match world.containers.get(&it.id) {
                    Some(now) => (now.log[from.min(now.log.len())..].to_vec(), now.ends > it.ends),
                    None => (Vec::new(), true),
                }
            };
            from += lines.len();
            for line in lines.iter().filter(|_| show) {
                if to.write_all(&shown(it, line)).await.is_err() {
                    return;
                }
            }
            if ended || changes.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn logs(self: &Arc<Self>, asked: &Recorded) -> Outcome {
        let it = self.world().container(&asked.id)?.clone();
        let wanted = |(stream, _): &&(u8, String)| {
            asked.flag(if *stream == 1 { "stdout" } else { "stderr" })
        };
        let lines: Vec<_> = it.log.iter().filter(wanted).collect();
        let tail = asked.word("tail").parse().unwrap_or(lines.len());
        let mut first = BytesMut::new();
        lines[lines.len().saturating_sub(tail)..]
            .iter()
            .for_each(|line| first.extend(shown(&it, line)));
        let (send, receive) = mpsc::channel(WAITING);
        if !first.is_empty() {
            send.try_send(first.freeze()).expect("there is room for one");
        }
        if asked.flag("follow") && it.status.lives() {
            let this = self.clone();
            self.spawn(async move {
                let (mut near, mut far) = tokio::io::duplex(4096);
                let pass = async {
                    let mut buffer = BytesMut::with_capacity(4096);
                    while far.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
                        if send.send(buffer.split().freeze()).await.is_err() {
                            return;
                        }
                    }
                };
                let print = async {
                    this.print(&it, it.log.len(), true, &mut near).await;
                    near.shutdown().await.ok();
                };
                tokio::join!(print, pass);
            });
        }
        Ok(stream(MULTIPLEXED, receive))
    }

    /// Answers when the container does not run, has ended once more, or is gone.
    pub(super) async fn wait(&self, asked: &Recorded) -> Outcome {
        let (it, mut changes) = {
            let mut world = self.world();
            (world.container(&asked.id)?.clone(), world.changes.subscribe())
        };
        let condition = asked.word("condition").to_owned();
        let mut code = it.exit_code;
        loop {
            let done = match self.world().containers.get(&it.id) {
                None => true,
                Some(now) => {
                    code = now.exit_code;
                    match condition.as_str() {
                        "removed" => false,
                        "next-exit" => now.ends > it.ends,
                        _ => !now.status.lives(),
                    }
                }
            };
            if done {
                return Ok(json(200, &json!({ "StatusCode": code })));
            }
            changes.changed().await.ok();
        }
    }

    pub(super) fn events(self: &Arc<Self>, asked: &Recorded) -> Answer {
        let mut events = self.world().events.subscribe();
        let (send, receive) = mpsc::channel(WAITING);
        let asked = asked.clone();
        self.spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = send.closed() => return,
                };
                match event {
                    Ok(event) if is_wanted(&event, &asked) => {
                        if send.send(Bytes::from(format!("{event}\n"))).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        stream("application/json", receive)
    }

    /// A scripted program prints and ends; any other is taken for a bridge to the runner's socket.
    pub(super) fn start_exec(self: &Arc<Self>, asked: &Recorded, upgrade: OnUpgrade) -> Outcome {
        let (exec, script, socket) = {
            let mut world = self.world();
            let Some(exec) = world.execs.get(&asked.id).cloned() else {
                return refused(404, format!("No such exec instance: {}", asked.id));
            };
            let it = world.container(&exec.container)?.clone();
            if it.status.word() != "running" {
                return refused(409, format!("Container {} is not running", it.id));
            }
            let command = exec.body["Cmd"].to_string();
            let scripts = world.programs.iter();
            let script = scripts.rev().find(|(word, ..)| command.contains(word.as_str())).cloned();
            let socket = it.runner.as_ref().map(|_| it.socket(&world.dir));
            if let Some(exec) = world.execs.get_mut(&asked.id) {
                exec.running = true;
            }
            (exec, script, socket)
        };
        let (this, id) = (self.clone(), asked.id.clone());
        let detached = asked.body["Detach"] == true;
        self.spawn(async move {
            let io = if detached { None } else { upgrade.await.ok().map(TokioIo::new) };
            let code = match (script, socket) {
                (Some((_, output, code)), _) => {
                    say(io, &exec, 1, output.as_str()).await.map(|()| code)
                }
                (None, Some(socket)) => match UnixStream::connect(&socket).await {
                    Ok(line) => bridge(io, line, &exec).await.map(|()| 0),
                    Err(error) => {
                        say(io, &exec, 2, &format!("{SOCKET_NAME}: {error}")).await.map(|()| 1)
                    }
                },
                (None, None) => say(io, &exec, 2, "exec failed: no such file").await.map(|()| 126),
            };
            let mut world = this.world();
            if let Some(exec) = world.execs.get_mut(&id) {
                exec.running = false;
                exec.exit_code = Some(code.unwrap_or(137));
            }
            world.changed();
        });
        Ok(if detached { empty(200) } else { upgraded() })
    }
}

impl World {
    pub(super) fn create_exec(&mut self, asked: &Recorded) -> Outcome {
        let it = self.container(&asked.id)?;
        match it.status.word() {
            "running" => {}
            "paused" => {
                let message =
                    format!("Container {} is paused, unpause the container before exec", it.id);
                return refused(409, message);
            }
            _ => return refused(409, format!("Container {} is not running", it.id)),
        }
        let container = it.id.clone();
        let id = self.id();
        let exec = Exec { container, body: asked.body.clone(), running: false, exit_code: None };
        self.execs.insert(id.clone(), exec);
        Ok(json(201, &json!({ "Id": id })))
    }

    pub(super) fn inspect_exec(&self, asked: &Recorded) -> Outcome {
        match self.execs.get(&asked.id) {
            Some(exec) => Ok(json(
                200,
                &json!({
                    "ID": asked.id, "Running": exec.running, "ExitCode": exec.exit_code,
                    "ContainerID": exec.container, "Pid": 0, "CanRemove": false,
                    "OpenStdin": exec.body["AttachStdin"] == true, "OpenStdout": true, "OpenStderr": true,
                }),
            )),
            None => refused(404, format!("No such exec instance: {}", asked.id)),
        }
    }
}

fn shown(it: &FakeContainer, (stream, line): &(u8, String)) -> Bytes {
    let line = format!("{line}\n");
    if it.body["Tty"] == true { line.into() } else { frame(*stream, line.as_bytes()) }
}

async fn say(io: Option<Io>, exec: &Exec, stream: u8, text: &str) -> io::Result<()> {
    let Some(mut io) = io else { return Ok(()) };
    let raw = exec.body["Tty"] == true;
    let bytes =
        if raw { Bytes::copy_from_slice(text.as_bytes()) } else { frame(stream, text.as_bytes()) };
    io.write_all(&bytes).await?;
    io.shutdown().await
}

/// Bytes come in as they are and go out in frames.
async fn bridge(io: Option<Io>, line: UnixStream, exec: &Exec) -> io::Result<()> {
    let Some(io) = io else { return Ok(()) };
    let (mut from_client, mut to_client) = tokio::io::split(io);
    let (mut from_runner, mut to_runner) = line.into_split();
    let raw = exec.body["Tty"] == true;
    let inward = async {
        tokio::io::copy(&mut from_client, &mut to_runner).await?;
        to_runner.shutdown().await
    };
    let outward = async {
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        while from_runner.read_buf(&mut buffer).await? > 0 {
            let bytes = buffer.split().freeze();
            to_client.write_all(&if raw { bytes } else { frame(1, &bytes) }).await?;
        }
        to_client.shutdown().await
    };
    // When the runner hangs up it is over; the client may close its half and go on reading.
    tokio::select! {
        ended = outward => ended,
        failed = async { match inward.await { Ok(()) => std::future::pending().await, failed => failed } } => failed,
    }
}

fn is_wanted(event: &Value, asked: &Recorded) -> bool {
    let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let one_of = |filter: &str, value: &str| {
        let wanted = asked.filter(filter);
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == value)
    };
    let attributes = super::world::words(&event["Actor"]["Attributes"]);
    let id = event["Actor"]["ID"].as_str().unwrap_or_default();
    let name = attributes.get("name").map_or("", String::as_str);
    one_of("type", &word("Type"))
        && one_of("event", &word("Action"))
        && (one_of("container", id) || one_of("container", name))
        && meets(&attributes, &asked.filter("label"))
}
