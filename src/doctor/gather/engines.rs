//! Docker is only asked what it is; of the local engine one sandbox without a session is tried.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use staithe_engine::{
    EngineFailed,
    docker::{DockerEngine, Probed},
};
use staithe_image::{names::Names, render};
use tokio::{net::UnixStream, process::Command, time::timeout};

use super::{accounts, machine, scratch::Scratch};
use crate::{
    boot,
    config::{Config, SuspendBy},
    doctor::facts::{Answers, Docker, Local, Reach, SandboxImage, Trouble},
};

/// How long docker may take to say what it is.
const DOCKER_LIMIT: Duration = Duration::from_secs(8);
/// Switches by which kernels and distributions refuse user namespaces: name, the value that does, one
/// that does not.
const SWITCHES: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// Asks docker.
pub(crate) async fn docker(config: &Config) -> Docker {
    let address = match DockerEngine::address(&config.sandbox.docker.host) {
        Ok(address) => address,
        Err(error) => {
            return Docker { address: String::new(), reach: Reach::NoAddress(trouble(&error)) };
        }
    };
    let reach = match timeout(DOCKER_LIMIT, reach(config, &address)).await {
        Ok(reach) => reach,
        Err(_) => Reach::Hangs { seconds: DOCKER_LIMIT.as_secs() },
    };
    Docker { address, reach }
}

async fn reach(config: &Config, address: &str) -> Reach {
    if let Some(socket) = address.strip_prefix("unix://").map(Path::new) {
        match UnixStream::connect(socket).await {
            Ok(_) => {}
            Err(error) => match (error.kind(), accounts::denied(socket)) {
                (io::ErrorKind::PermissionDenied, Ok(denied)) => return Reach::Denied(denied),
                (io::ErrorKind::NotFound, _) => return Reach::Missing,
                (io::ErrorKind::ConnectionRefused, _) => return Reach::NobodyListens,
                _ => {} // the engine's own words are as good
            },
        }
    }
    let image = &image_of(config);
    if !address.starts_with("ssh://") {
        return answered(config, image, probe(config, image, Path::new("/")).await);
    }
    // Such a connection has sockets of its own, whose paths must be short.
    match Scratch::make(&std::env::temp_dir()) {
        Ok(own) => {
            let probed = probe(config, image, own.path()).await;
            hang_up(own.path()).await;
            answered(config, image, probed)
        }
        Err(error) => Reach::Unusable(Trouble {
            cause: format!("no temporary folder can be made for ssh: {error}"),
            remedy: "Set TMPDIR to a folder that can be written".to_owned(),
        }),
    }
}

/// The image that sessions would be made of.
fn image_of(config: &Config) -> String {
    let sandbox = &config.sandbox;
    let built = || {
        let inputs = sandbox.image_inputs(sandbox.image()).ok()?;
        Names::of(&sandbox.image.repository, &inputs, &render::recipe_digest()).ok()
    };
    match sandbox.builds_images().then(built).flatten() {
        Some(names) => names.source,
        None => sandbox.image().to_owned(),
    }
}

async fn probe(config: &Config, image: &str, own: &Path) -> Result<Probed, EngineFailed> {
    DockerEngine::probe(&config.docker("", own, PathBuf::new(), String::new()), image).await
}

fn answered(config: &Config, image: &str, probed: Result<Probed, EngineFailed>) -> Reach {
    match probed {
        Ok(probed) => Reach::Answers(Box::new(answers(config, image, probed))),
        Err(error) => Reach::Unusable(trouble(&error)),
    }
}

fn answers(config: &Config, image: &str, probed: Probed) -> Answers {
    let ahead = probed.system_time.as_deref().and_then(|time| {
        let theirs: jiff::Timestamp = time.parse().ok()?;
        Some(theirs.as_second() - jiff::Timestamp::now().as_second())
    });
    Answers {
        facts: probed.capabilities.facts,
        lacks: probed.capabilities.lacks,
        can_pause: probed.capabilities.pause,
        wants_pause: config.sandbox.suspend_by == SuspendBy::Pause,
        image: SandboxImage {
            name: image.to_owned(),
            is_there: probed.image_is_there,
            is_built: config.sandbox.builds_images(),
        },
        pull: config.sandbox.docker.pull,
        data_root: probed.data_root.map(|root| {
            let space = machine::space(&root);
            (root, space)
        }),
        ahead,
    }
}

/// Ends the connection that ssh would keep for a while.
async fn hang_up(dir: &Path) {
    let sockets = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let controls = sockets.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ssh-")
    });
    for control in controls {
        let ended = Command::new("ssh")
            .arg("-o")
            .arg(format!("ControlPath={}", control.display()))
            .args(["-O", "exit", "--", "staithe"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await;
        if let Err(error) = ended {
            eprintln!("staithe: a connection by ssh stays for a minute: {error}");
        }
    }
}

fn trouble(error: &EngineFailed) -> Trouble {
    let (cause, remedy) = match error {
        EngineFailed::Unavailable { cause, remedy, .. }
        | EngineFailed::Unsupported { cause, remedy }
        | EngineFailed::Image { cause, remedy, .. } => (cause.clone(), remedy.clone()),
        EngineFailed::Operation { source, remedy, .. } => {
            (format!("{error}: {source}"), remedy.clone())
        }
        EngineFailed::NotFound(_) | EngineFailed::NameTaken(_) | EngineFailed::Foreign { .. } => {
            (error.to_string(), "Read the engine's log".to_owned())
        }
    };
    Trouble { cause, remedy }
}

/// Tries the local engine in a folder that goes again. Blocks for some tens of milliseconds.
pub(crate) fn local(config: &Config, dir: &Path) -> Local {
    match boot::local_engine(config, dir) {
        Ok(engine) => {
            let isolation = engine.isolation();
            Local::Works { tier: isolation.tier, exposes: isolation.exposes, hint: hint() }
        }
        Err(error) => Local::Failed(match error.downcast_ref::<EngineFailed>() {
            Some(failed) => trouble(failed),
            None => Trouble {
                cause: format!("{error:#}"),
                remedy: "Change that key, or set sandbox.engine to \"docker\"".to_owned(),
            },
        }),
    }
}

/// The switch that keeps user namespaces from ordinary users here, if one is known to.
fn hint() -> Option<Trouble> {
    let refuses = |(name, value, _): &&(&str, &str, &str)| {
        let file = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::read_to_string(file).is_ok_and(|found| found.trim() == *value)
    };
    SWITCHES.iter().find(refuses).map(|(name, value, other)| Trouble {
        cause: format!("refused by this machine: {name} = {value}"),
        remedy: format!(
            "Allow them (sysctl -w {name}={other}, and in /etc/sysctl.d for good), or use Docker"
        ),
    })
}
