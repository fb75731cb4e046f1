//! A `BuildKit` build on a runtime of its own.
//!
//! The client gives the engine a session (by which it asks for credentials) and never ends it: measured, each
//! build kept a connection and a task for good, here and in the engine. Ending the runtime that they live on
//! ends them.

use std::collections::HashMap;

use bollard::{
    Docker, auth::DockerCredentials, body_try_stream, errors::Error, models::BuildInfo,
    query_parameters::BuildImageOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::{runtime::Builder, sync::mpsc, task::spawn_blocking};

/// Words of the engine that may wait.
const AHEAD: usize = 16;

/// The build's answer. `docker` must have no connection yet; dropping what is returned ends the build.
pub(super) fn stream(
    docker: Docker,
    options: BuildImageOptions,
    credentials: HashMap<String, DockerCredentials>,
    context: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = Result<BuildInfo, Error>> + Send {
    let (words, receive) = mpsc::channel(AHEAD);
    spawn_blocking(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // Nobody may wait for it any more.
                words.blocking_send(Err(Error::IOError { err: error })).ok();
                return;
            }
        };
        runtime.block_on(async {
            let body = body_try_stream(context);
            let answer = docker.build_image(options, Some(credentials), Some(body));
            let mut answer = std::pin::pin!(answer);
            loop {
                let word = tokio::select! {
                    word = answer.next() => word,
                    () = words.closed() => None,
                };
                let Some(word) = word else { break };
                if words.send(word).await.is_err() {
                    break;
                }
            }
        });
    });
    stream::unfold(receive, |mut receive| async {
        receive.recv().await.map(|word| (word, receive))
    })
}
