//! The WebSocket between server and runner.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use staithe_protocol::runner::{Answer, Call, CallFailed, Foreground, FromRunner, ToRunner};
use tokio::task::{JoinHandle, spawn_local};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{app::App, environment, git, lines::Line};

/// The largest message that is taken, in bytes.
const MOST_MESSAGE: usize = 32 * 1024 * 1024;
/// Buffers of a line, in bytes.
const BUFFER: usize = 16 * 1024;
/// Calls that may wait for their answers on one line.
const MOST_CALLS: usize = 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// Calls that run, by number.
type Calls = Rc<RefCell<HashMap<u64, JoinHandle<()>>>>;

/// Speaks on a line until it is cut. What was begun goes on.
pub async fn serve(app: Rc<App>, upgraded: Upgraded) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(usize::MAX) // one answer may be large; only one is written at a time
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (sink, stream) = socket.split();
    let line = app.lines.open();
    line.say(FromRunner::Hello(app.hello()));
    app.plugins.tell(&line);
    app.ports.tell(&line);
    let calls = Calls::default();
    tokio::select! {
        () = listen(&app, stream, &line, &calls) => {}
        () = speak(sink, &line) => {}
    }
    app.lines.close(&line);
    for (_, call) in calls.borrow_mut().drain() {
        call.abort(); // only the waiting: actions run in tasks of their own
    }
}

async fn speak(mut sink: SplitSink<Socket, Message>, line: &Line) {
    loop {
        let mut next = Some(line.next().await);
        while let Some(message) = next {
            let Ok(text) = serde_json::to_string(&message) else { return };
            if sink.feed(Message::text(text)).await.is_err() {
                return;
            }
            next = line.try_next();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn listen(app: &Rc<App>, mut stream: SplitStream<Socket>, line: &Rc<Line>, calls: &Calls) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) => match serde_json::from_str::<ToRunner>(&text) {
                Ok(ToRunner::Request { id, call }) => take(app, line, calls, id, call),
                Ok(ToRunner::Cancel { id }) => {
                    if let Some(call) = calls.borrow_mut().remove(&id) {
                        call.abort();
                    }
                }
                Err(error) => refuse(line, number(&text), &error.to_string()),
            },
            Message::Binary(_) => refuse(line, 0, "a message is text"),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// Begins a call.
fn take(app: &Rc<App>, line: &Rc<Line>, calls: &Calls, id: u64, call: Call) {
    if calls.borrow().len() >= MOST_CALLS {
        return refuse(line, id, "too many calls wait for their answers on this line");
    }
    if calls.borrow().contains_key(&id) {
        return refuse(line, id, "a call with this number waits for its answer already");
    }
    let task = spawn_local({
        let (app, line, calls) = (Rc::clone(app), Rc::clone(line), Rc::clone(calls));
        async move {
            let answer = answer(&app, call).await;
            calls.borrow_mut().remove(&id);
            line.say(FromRunner::Answer { id, answer });
        }
    });
    calls.borrow_mut().insert(id, task);
}

async fn answer(app: &Rc<App>, call: Call) -> Answer {
    match call {
        Call::Act { key, action, limits, source } => {
            let observation = Box::new(app.act_for(source, key, action, limits).await);
            Answer::Observed { observation }
        }
        Call::Interrupt { only } => {
            let in_kernel = only != Some(Foreground::Shell)
                && app.plugins.jupyter().is_some_and(|jupyter| jupyter.interrupt());
            let in_shell = only != Some(Foreground::Kernel) && app.shells.interrupt().await;
            Answer::Interrupted { running: in_shell || in_kernel }
        }
        Call::File { op, origin } => match app.file(op, origin).await {
            Ok(done) => Answer::FileDone { done },
            Err(denied) => Answer::FileDenied { denied },
        },
        Call::Configure { env } => match environment::check(&env) {
            Ok(()) => {
                app.shells.configure(env).await;
                Answer::Configured {}
            }
            Err(message) => Answer::Failed { error: bad_request(message) },
        },
        Call::Equip { services } => {
            app.equip(services);
            Answer::Equipped {}
        }
        Call::Clone { wish, timeout_ms } => {
            match git::clone(app, &wish, Duration::from_millis(timeout_ms)).await {
                Ok(cloned) => Answer::Cloned { cloned },
                Err(denied) => Answer::NotCloned { denied },
            }
        }
        Call::Info {} => Answer::Info { info: app.info() },
    }
}

fn refuse(line: &Line, id: u64, message: &str) {
    let error = bad_request(message.to_owned());
    line.say(FromRunner::Answer { id, answer: Answer::Failed { error } });
}

fn bad_request(message: String) -> CallFailed {
    CallFailed { code: "bad_request".to_owned(), message }
}

/// The number of a call that can't be read otherwise; 0 if it has none.
fn number(text: &str) -> u64 {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    serde_json::from_str::<Numbered>(text).map_or(0, |numbered| numbered.id)
}
