//! A request's body into something that blocks, piece by piece, on a thread where it may.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use staithe_protocol::files::FileDenied;

/// What is collected before it is written, in bytes.
const PIECE: usize = 256 * 1024;

/// Takes content.
pub trait Sink: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied>;
}

/// How a body ended.
#[derive(Debug)]
pub enum End {
    /// All of it was written.
    Whole,
    /// It was cut, or somebody else goes on with it; what came was written.
    Cut(String),
    /// The sink did not take it.
    Denied(FileDenied),
}

/// Writes a body until it ends or `cancelled` does. The sink comes back, unless writing panicked.
pub async fn pour<S: Sink>(
    mut body: Incoming,
    mut sink: S,
    cancelled: impl Future<Output = ()>,
) -> Option<(S, End)> {
    let mut cancelled = std::pin::pin!(cancelled);
    let mut collected = Vec::new();
    let mut end = None;
    while end.is_none() {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = &mut cancelled => {
                end = Some(End::Cut("another request goes on with it".to_owned()));
                None
            }
        };
        match frame {
            None => end = end.or(Some(End::Whole)),
            Some(Err(error)) => end = Some(End::Cut(format!("the body was cut: {error}"))),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    collected.extend_from_slice(&piece);
                }
            }
        }
        if collected.len() < PIECE && (end.is_none() || collected.is_empty()) {
            continue;
        }
        let written = tokio::task::spawn_blocking(move || {
            let written = sink.write(&collected);
            collected.clear();
            (sink, collected, written)
        });
        let denied;
        (sink, collected, denied) = written.await.ok()?;
        if let Err(denied) = denied {
            end = Some(End::Denied(denied));
        }
    }
    Some((sink, end.unwrap_or(End::Whole)))
}
