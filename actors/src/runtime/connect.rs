//! The first word of a sandbox's runner.

use std::{io, sync::Arc, time::Duration};

use staithe_engine::{Engine, EngineFailed, Line};
use staithe_link::{Address, Link, LinkEvent, Stream};
use staithe_protocol::{Fault, SandboxId, StartStep, runner::Hello};
use tokio::{sync::mpsc, time::timeout};

/// The engine can't be reached.
pub(super) const ENGINE_UNAVAILABLE: &str = "sandbox.engine_unavailable";
/// The engine ended the connection in the middle of a call.
pub(super) const ENGINE_CUT: &str = "sandbox.engine_cut";

/// A sandbox whose runner answers.
pub(crate) struct Connected {
    pub(crate) sandbox: SandboxId,
    pub(crate) link: Link,
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    pub(crate) hello: Hello,
}

/// Opens the line to a started sandbox and waits for its runner.
pub(crate) async fn connect(
    engine: &dyn Engine,
    sandbox: &SandboxId,
    key: &str,
    within: Duration,
) -> Result<Connected, Fault> {
    let place = engine.line(sandbox).await;
    let place = place.map_err(|error| fault_of(StartStep::Connect, &error))?;
    let (link, mut events) = Link::open(address_of(place), key);
    let first_word = async {
        loop {
            match events.recv().await {
                Some(LinkEvent::Up(hello)) => return Some(hello),
                Some(_) => {}
                None => return None,
            }
        }
    };
    match timeout(within, first_word).await {
        Ok(Some(hello)) => Ok(Connected { sandbox: sandbox.clone(), link, events, hello }),
        _ => Err(no_answer(format!("the runner did not answer within {} s", within.as_secs()))),
    }
}

/// The fault of a runner that does not answer.
pub(super) fn no_answer(cause: String) -> Fault {
    Fault {
        code: "sandbox.no_answer".into(),
        step: Some(StartStep::Connect),
        cause,
        remedy: "See the sandbox's last log lines; raise sandbox.start_timeout on a slow machine."
            .into(),
        log_tail: Vec::new(),
    }
}

/// Where the engine says that the runner listens, in the words of the line.
fn address_of(line: Line) -> Address {
    match line {
        Line::Unix(path) => Address::Unix(path),
        Line::Tcp(address) => Address::Tcp(address),
        Line::Dialed(dial) => Address::Dialed(Arc::new(move || {
            let dial = Arc::clone(&dial);
            Box::pin(async move { Ok(Box::new(dial.dial().await?) as Box<dyn Stream>) })
        })),
    }
}

/// An engine's error as a fault.
pub fn fault_of(step: StartStep, error: &EngineFailed) -> Fault {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause = format!("{cause}: {inner}");
        source = inner.source();
    }
    let (code, remedy) = match error {
        EngineFailed::Unavailable { remedy, .. } => (ENGINE_UNAVAILABLE, remedy.clone()),
        EngineFailed::Unsupported { remedy, .. } => ("sandbox.unsupported", remedy.clone()),
        EngineFailed::Image { remedy, .. } => ("sandbox.image_unavailable", remedy.clone()),
        EngineFailed::Foreign { .. } => (
            "sandbox.not_ours",
            "Remove it or rename it, or set another sandbox.name_prefix.".to_owned(),
        ),
        EngineFailed::Operation { remedy, source, .. } => {
            let code = match source.kind() {
                io::ErrorKind::ConnectionAborted => ENGINE_CUT,
                io::ErrorKind::TimedOut => "sandbox.engine_timed_out",
                io::ErrorKind::StorageFull => "sandbox.disk_full",
                _ => "sandbox.start_failed",
            };
            (code, remedy.clone())
        }
        EngineFailed::NotFound(_) | EngineFailed::NameTaken(_) => {
            ("sandbox.start_failed", "Start the session again.".to_owned())
        }
    };
    Fault { code: code.into(), step: Some(step), cause, remedy, log_tail: Vec::new() }
}
