//! The client: how the engine is connected to.

use std::{path::Path, process::Stdio, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    process::Command,
};

use super::{
    host::{Host, Tls},
    unavailable,
};
use crate::{EngineFailed, chain::chain};

/// bollard's own limit in seconds: beyond every deadline of ours, so that ours hold.
const NEVER: u64 = 24 * 3600;
/// The socket whose connections go by ssh.
const SSH_SOCKET: &str = "ssh.sock";

/// A client, not connected yet. `own_dir` is for the socket of an ssh connection.
pub(super) fn open(host: &Host, own_dir: &Path) -> Result<Docker, EngineFailed> {
    let opened = match host {
        Host::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), NEVER, API_DEFAULT_VERSION)
        }
        Host::Tcp { address, tls: None } => {
            Docker::connect_with_http(&format!("tcp://{address}"), NEVER, API_DEFAULT_VERSION)
        }
        Host::Tcp { address, tls: Some(Tls { ca, cert, key }) } => Docker::connect_with_ssl(
            &format!("tcp://{address}"),
            key,
            cert,
            ca,
            NEVER,
            API_DEFAULT_VERSION,
        ),
        Host::Ssh { destination } => {
            let socket = forward(destination, own_dir).map_err(|error| {
                unavailable(
                    format!("a connection by ssh to {destination} can't be prepared: {error}"),
                    "Let the server's user write its data directory",
                )
            })?;
            Docker::connect_with_unix(&socket, NEVER, API_DEFAULT_VERSION)
        }
    };
    opened.map_err(|error| match super::call::Failure::from(error) {
        super::call::Failure::Unreachable(cause) => super::call::unreachable(&cause),
        other => unavailable(
            format!("{} can't be used: {}", host.shown(), other.words()),
            "See that the certificates in DOCKER_CERT_PATH are there and can be read",
        ),
    })
}

/// A further client beside one that was opened: it shares no connection with it.
pub(super) fn again(host: &Host, own_dir: &Path) -> Result<Docker, EngineFailed> {
    match host {
        Host::Ssh { .. } => open(&Host::Unix(own_dir.join(SSH_SOCKET)), own_dir),
        host => open(host, own_dir),
    }
}

/// A socket of our own whose connections go through `ssh DESTINATION docker system dial-stdio`, as the
/// docker client's do. One master connection is shared by all.
fn forward(destination: &str, own_dir: &Path) -> std::io::Result<String> {
    let path = own_dir.join(SSH_SOCKET);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(&path)?;
    let (destination, control) = (destination.to_owned(), own_dir.join("ssh-%C"));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let line = ssh(&destination, &control);
                    tokio::spawn(carry(stream, line));
                }
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "a connection to the engine by ssh was not taken"
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(path.to_string_lossy().into_owned())
}

fn ssh(destination: &str, control: &Path) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"])
        .args(["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o"])
        .arg(format!("ControlPath={}", control.display()))
        .args(["--", destination, "docker", "system", "dial-stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    ssh
}

async fn carry(mut stream: UnixStream, mut ssh: Command) {
    let outcome = async {
        let mut child = ssh.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("ssh has no pipes"));
        };
        copy_bidirectional(&mut stream, &mut tokio::io::join(stdout, stdin)).await?;
        Ok(())
    };
    if let Err(error) = outcome.await {
        tracing::warn!(error = chain(&error), "a connection to the engine by ssh ended");
    }
}
