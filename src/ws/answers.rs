//! Carrying one frame out: exactly one answer to each command.

use std::rc::Rc;

use actix_web::{http::StatusCode, web};
use bytes::Bytes;
use serde_json::Value;
use staithe_actors::{
    SessionHandle, mail,
    runtime::messages::{DoFile, InterruptCommand},
    session::messages::{GetRuntime, SubmitAction},
};
use staithe_protocol::{
    SessionId,
    files::FileOp,
    frames::{ClientFrame, MAX_REF, ServerFrame},
    terminal::TerminalInfo,
    watch::Interest,
};

use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::Front,
    routes::events::submission,
    ws::{
        side::Side,
        terminals::{self, Terminals},
        watching::{self, Watching},
    },
};

/// A frame as bytes.
#[expect(clippy::missing_panics_doc, reason = "it can't: the keys are strings")]
pub fn encode(frame: &ServerFrame) -> Bytes {
    Bytes::from(serde_json::to_vec(frame).expect("a frame is plain data with string keys"))
}

/// A refusal.
pub(super) fn denied(reference: Option<String>, code: &str, reason: String) -> Box<ServerFrame> {
    Box::new(ServerFrame::Denied {
        reference,
        code: code.to_owned(),
        reason,
        current_version: None,
        current_content: None,
        moved_to: None,
    })
}

/// A frame that could be read, or the answer to one that could not.
pub fn parse(text: &str) -> Result<ClientFrame, Box<ServerFrame>> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| denied(None, "frame.malformed", format!("not JSON: {error}")))?;
    let Some(object) = value.as_object() else {
        return Err(denied(None, "frame.malformed", "a frame is a JSON object".into()));
    };
    let reference = object.get("ref").and_then(Value::as_str).map(str::to_owned);
    if reference.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_REF) {
        return Err(denied(None, "ref.malformed", format!("ref: 1 to {MAX_REF} bytes")));
    }
    let Some(kind) = object.get("type").and_then(Value::as_str) else {
        return Err(denied(reference, "frame.malformed", "type: a string is missing".into()));
    };
    match kind {
        "do" | "file" | "interrupt" | "ping" | "watch" | "unwatch" | "terminal.open"
        | "terminal.resize" | "terminal.close" | "terminal.detach" | "terminal.list"
        | "terminal.rename" | "terminal.drive" => {}
        _ => {
            let reason = format!(
                "{kind:?} is no frame: do, file, watch, terminal.*, interrupt or ping is expected"
            );
            return Err(denied(reference, "frame.unknown", reason));
        }
    }
    let needs_ref = matches!(kind, "do" | "file" | "watch" | "unwatch")
        || kind.starts_with("terminal.") && kind != "terminal.resize";
    if needs_ref && reference.is_none() {
        return Err(denied(None, "ref.missing", "ref: a string is missing".into()));
    }
    let code = if kind == "file" { "BAD_MESSAGE" } else { "frame.malformed" };
    serde_json::from_value(value).map_err(|error| denied(reference, code, error.to_string()))
}

/// What commands need.
#[derive(Clone)]
pub struct Hands {
    pub front: web::Data<Front>,
    pub identity: Identity,
    pub id: SessionId,
    pub session: SessionHandle,
    /// What this socket carries beside events.
    pub side: Rc<Side>,
    /// The terminals that it follows.
    pub terminals: Rc<Terminals>,
    /// This socket's name, for those who watch what it does.
    pub socket: Rc<str>,
}

impl Hands {
    /// For one socket.
    pub fn new(
        front: web::Data<Front>,
        identity: Identity,
        id: SessionId,
        session: SessionHandle,
    ) -> Self {
        let socket = uuid::Uuid::new_v4().as_simple().to_string().into();
        let (side, terminals) = (Rc::default(), Rc::default());
        Self { front, identity, id, session, side, terminals, socket }
    }

    /// Takes a binary message: input for a terminal.
    pub fn binary(&self, bytes: &Bytes) -> Result<(), Box<ServerFrame>> {
        terminals::type_in(self, bytes)
    }

    /// Begins to carry a command out. The command is in its actor's mailbox when this returns, so that
    /// two commands in a row are taken in that order.
    pub fn carry_out(
        &self,
        frame: ClientFrame,
    ) -> std::pin::Pin<Box<dyn Future<Output = Option<ServerFrame>>>> {
        match frame {
            ClientFrame::Do { reference, action } => {
                let taken = self.allow(Need::Write).and_then(|()| {
                    let submit = submission(&action, Some(&reference))?;
                    Ok(mail::ask(&self.session.addr, SubmitAction(submit)))
                });
                Box::pin(async move {
                    let outcome = match taken {
                        Ok(taken) => flatten(taken.await),
                        Err(error) => Err(error),
                    };
                    Some(answer(reference, outcome, Done::event))
                })
            }
            ClientFrame::File { reference, op } => {
                let hands = self.clone();
                Box::pin(async move {
                    let outcome = hands.file(op, reference.clone()).await;
                    Some(answer(reference, outcome, Done::file))
                })
            }
            ClientFrame::Interrupt { reference } => {
                let hands = self.clone();
                Box::pin(async move {
                    let outcome = hands.interrupt().await;
                    let reference = reference?;
                    Some(answer(reference, outcome, Done::running))
                })
            }
            ClientFrame::TerminalOpen { .. }
            | ClientFrame::TerminalResize { .. }
            | ClientFrame::TerminalClose { .. }
            | ClientFrame::TerminalDetach { .. }
            | ClientFrame::TerminalList { .. }
            | ClientFrame::TerminalRename { .. }
            | ClientFrame::TerminalDrive { .. } => {
                let hands = self.clone();
                Box::pin(async move { terminals::carry_out(&hands, frame).await })
            }
            ClientFrame::Watch { reference, interest, epoch, seq } => {
                let outcome = self.watch(&reference, interest, epoch.zip(seq));
                Box::pin(std::future::ready(Some(answer(reference, outcome, |done, ()| {
                    done.plain()
                }))))
            }
            ClientFrame::Unwatch { reference } => {
                let outcome = self.unwatch(&reference);
                Box::pin(std::future::ready(Some(answer(reference, outcome, |done, ()| {
                    done.plain()
                }))))
            }
            ClientFrame::Ping { nonce } => {
                Box::pin(std::future::ready(Some(ServerFrame::Pong { nonce })))
            }
        }
    }

    pub(super) fn allow(&self, need: Need) -> Result<(), ApiError> {
        self.front.authorize(&self.identity, need, self.id)
    }

    async fn file(
        &self,
        op: FileOp,
        reference: String,
    ) -> Result<staithe_protocol::files::FileDone, ApiError> {
        self.allow(if op.mutates() { Need::Write } else { Need::Read })?;
        let runtime = mail::ask(&self.session.addr, GetRuntime).await?;
        let origin = Some(format!("client:{}/{reference}", self.socket));
        Ok(mail::ask(&runtime, DoFile { op, reference: Some(reference), origin }).await??)
    }

    /// Begins a watch, in place of one of this name.
    fn watch(
        &self,
        reference: &str,
        interest: Interest,
        cursor: Option<(String, u64)>,
    ) -> Result<(), ApiError> {
        self.allow(Need::Read)?;
        if let Some(fault) = interest.fault() {
            return Err(ApiError::bad_request("watch.malformed", fault));
        }
        let name = watching::name(reference);
        self.side.close(&name);
        if self.side.count_of(watching::PREFIX) >= watching::MOST {
            let detail = format!("at most {} watches on one socket", watching::MOST);
            return Err(ApiError::bad_request("watch.too_many", detail));
        }
        let (session, reference) = (self.session.clone(), reference.to_owned());
        let watching = Watching { session, reference, interest, cursor };
        self.side.open(&name, watching.frames());
        Ok(())
    }

    fn unwatch(&self, reference: &str) -> Result<(), ApiError> {
        self.allow(Need::Read)?;
        if self.side.close(&watching::name(reference)) {
            return Ok(());
        }
        Err(ApiError::bad_request("watch.unknown", "there is no watch with this ref"))
    }

    async fn interrupt(&self) -> Result<bool, ApiError> {
        self.allow(Need::Write)?;
        let runtime = mail::ask(&self.session.addr, GetRuntime).await?;
        Ok(mail::ask(&runtime, InterruptCommand { only: None }).await??)
    }
}

fn flatten<T, E1, E2>(outcome: Result<Result<T, E2>, E1>) -> Result<T, ApiError>
where
    ApiError: From<E1> + From<E2>,
{
    Ok(outcome??)
}

/// A `done` that is being filled in.
pub(super) struct Done(String);

impl Done {
    pub(super) fn plain(self) -> ServerFrame {
        ServerFrame::Done {
            reference: self.0,
            event_id: None,
            running: None,
            file: None,
            terminals: None,
        }
    }

    fn event(self, id: staithe_protocol::EventId) -> ServerFrame {
        let mut done = self.plain();
        if let ServerFrame::Done { event_id, .. } = &mut done {
            *event_id = Some(id);
        }
        done
    }

    fn running(self, was_running: bool) -> ServerFrame {
        let mut done = self.plain();
        if let ServerFrame::Done { running, .. } = &mut done {
            *running = Some(was_running);
        }
        done
    }

    fn file(self, made: staithe_protocol::files::FileDone) -> ServerFrame {
        let mut done = self.plain();
        if let ServerFrame::Done { file, .. } = &mut done {
            *file = Some(Box::new(made));
        }
        done
    }

    pub(super) fn terminals(self, those: Option<Vec<TerminalInfo>>) -> ServerFrame {
        let mut done = self.plain();
        if let ServerFrame::Done { terminals, .. } = &mut done {
            *terminals = those;
        }
        done
    }
}

/// The one answer to a command.
pub(super) fn answer<T>(
    reference: String,
    outcome: Result<T, ApiError>,
    done: impl FnOnce(Done, T) -> ServerFrame,
) -> ServerFrame {
    let error = match outcome {
        Ok(value) => return done(Done(reference), value),
        Err(error) => error,
    };
    let (code, reason) = (error.code.to_owned(), error.detail);
    match error.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            let retry_after = error.retry_after.unwrap_or(1);
            ServerFrame::Unavailable { reference, code, reason, retry_after }
        }
        StatusCode::INTERNAL_SERVER_ERROR => {
            let id = error.id.unwrap_or_default().into();
            ServerFrame::Failed { reference, code, reason, id }
        }
        _ => ServerFrame::Denied {
            reference: Some(reference),
            code,
            reason,
            current_version: error.current_version.map(Into::into),
            current_content: error.current_content.map(Into::into),
            moved_to: error.moved_to.map(|moved| moved.0),
        },
    }
}
