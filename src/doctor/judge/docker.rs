//! Docker: where it is, whether it answers, what it can do. Pure.

use crate::{
    config::Pull,
    doctor::{
        facts::{Answers, Denied, Docker, Reach, SandboxImage, SocketOwner, Trouble},
        finding::{Finding, Status},
    },
};

/// A clock that is off by more makes times in one session's events disagree.
const MOST_SKEW: i64 = 30;

/// Judges what was found. Where another engine may take its place, docker's absence is a warning.
pub(crate) fn docker(docker: &Docker, required: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !docker.address.is_empty() {
        findings.push(Finding::ok("docker.address", docker.address.as_str()));
    }
    let absent = if required { Status::Fail } else { Status::Warn };
    match &docker.reach {
        Reach::Answers(answers) => findings.extend(abilities(answers)),
        reach => {
            let Trouble { cause, remedy } = trouble(docker, reach);
            findings.push(Finding::bad("docker.answer", absent, cause, remedy));
        }
    }
    findings
}

/// Why it can't be used, and what to do.
fn trouble(docker: &Docker, reach: &Reach) -> Trouble {
    let of = |cause: &str, remedy: &str| Trouble { cause: cause.into(), remedy: remedy.into() };
    match reach {
        Reach::NoAddress(trouble) | Reach::Unusable(trouble) => trouble.clone(),
        Reach::Missing => of(
            "no socket is there",
            "Start Docker (systemctl start docker) or install it (on Debian: apt install docker.io); if it listens elsewhere, set sandbox.docker.host or DOCKER_HOST",
        ),
        Reach::NobodyListens => of(
            "a socket is there and nobody listens: the engine has ended",
            "Start it again: systemctl restart docker (its log: journalctl -u docker)",
        ),
        Reach::Hangs { seconds } => Trouble {
            cause: format!("it takes connections and does not answer within {seconds} s"),
            remedy: "See whether it works at all (docker info); restart it if that hangs too: systemctl restart docker"
                .into(),
        },
        Reach::Denied(denied) => self::denied(docker, denied),
        Reach::Answers(_) => of("", ""),
    }
}

fn denied(docker: &Docker, denied: &Denied) -> Trouble {
    let user = &denied.user;
    let Some(SocketOwner { owner, group, mode, listed }) = &denied.socket else {
        return Trouble {
            cause: format!("permission denied: {user} may not look into the socket's folder"),
            remedy: "Run the server as the user whose engine it is, or set sandbox.docker.host to another socket"
                .into(),
        };
    };
    let path = docker.address.trim_start_matches("unix://");
    let cause = format!(
        "permission denied: the socket is {owner}:{group} with mode {mode:04o}, we are {user}"
    );
    let remedy = if mode & 0o020 == 0 {
        format!(
            "Start the engine so that a group may use it (dockerd --group docker; for now: chgrp docker {path} && chmod 660 {path}), and add {user} to that group"
        )
    } else if *listed {
        format!(
            "{user} was added to the group {group}, which counts from the next log-in on: log out and in, or run `newgrp {group}`"
        )
    } else {
        format!(
            "Add {user} to the group {group} (sudo usermod -aG {group} {user}), then log in again. Who is in it is as good as root here"
        )
    };
    Trouble { cause, remedy }
}

/// An engine that answers.
fn abilities(answers: &Answers) -> Vec<Finding> {
    let fact = |name: &str| {
        let found = answers.facts.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let yes = |name: &str| fact(name) == "yes";
    let mut findings = vec![
        Finding::ok("docker.answer", fact("engine")),
        Finding::ok("docker.api", format!("{} (1.41 or newer is needed)", fact("api"))),
        Finding::ok("docker.cgroup", fact("cgroup")),
        Finding::ok("docker.storage", fact("storage")),
        Finding::ok(
            "docker.rootless",
            if yes("rootless") {
                "yes: the engine is an ordinary user's"
            } else if yes("user namespaces") {
                "no, but root in a sandbox is nobody on this machine"
            } else {
                "no: the engine is root's"
            },
        ),
        Finding::ok(
            "docker.live_restore",
            if yes("live restore") {
                "on: sandboxes outlive a restart of the engine"
            } else {
                "off: when the engine restarts, sandboxes end and are started again"
            },
        ),
    ];
    findings.extend(answers.lacks.iter().map(|lack| self::lack(lack)));
    if answers.wants_pause && !answers.can_pause {
        findings.push(Finding::warn(
            "docker.pause",
            "sandbox.suspend_by: this engine can't pause a sandbox, so idle ones are stopped",
            "Set sandbox.suspend_by to \"stop\"",
        ));
    }
    findings.push(image(answers, fact("engine").starts_with("podman")));
    if let Some((root, Some(space))) = &answers.data_root {
        let place = root.display().to_string();
        let remedy = "Free space where the engine keeps images and sandboxes: docker system df, docker system prune";
        findings.push(super::space("docker.space", &place, *space, remedy));
    }
    findings.extend(answers.ahead.map(skew));
    findings
}

/// What the configuration asks and the engine has not.
fn lack(lack: &str) -> Finding {
    let key = lack.split_once(": ").map_or("", |(key, _)| key);
    let (status, remedy) = match key {
        "sandbox.docker.runtime" => (
            Status::Fail,
            "Install that runtime for the engine, or set sandbox.docker.runtime to \"\"",
        ),
        "sandbox.docker.memory_swap" => {
            (Status::Warn, "Turn swap off (swapoff -a), or boot the kernel with swapaccount=1")
        }
        "sandbox.docker.memory" | "sandbox.docker.pids_limit" | "sandbox.docker.cpus" => (
            Status::Warn,
            "Use cgroup v2, for a rootless engine with all controllers delegated (systemd: Delegate=yes), or ask for less",
        ),
        "sandbox.docker.disk" => (
            Status::Warn,
            "Put the engine's data on such a disk, or set sandbox.docker.disk to \"0\"",
        ),
        _ => (Status::Warn, "Use an engine that has it, or accept it"),
    };
    Finding::bad("docker.lacks", status, lack, remedy)
}

fn image(answers: &Answers, podman: bool) -> Finding {
    let SandboxImage { name: image, is_there, is_built } = &answers.image;
    let program = if podman { "podman" } else { "docker" };
    if *is_built {
        return built_image(image, *is_there);
    }
    match (is_there, answers.pull) {
        (true, Pull::Always) => Finding::ok(
            "docker.image",
            format!("{image} is there; each start looks for a newer one"),
        ),
        (true, _) => Finding::ok("docker.image", format!("{image} is there")),
        (false, Pull::Never) => Finding::fail(
            "docker.image",
            format!(
                "{image} is not there, and sandbox.docker.pull = \"never\": no sandbox can start"
            ),
            format!(
                "Run `{program} pull {image}`, or name another in sandbox.runtime_container_image"
            ),
        ),
        (false, _) => Finding::warn(
            "docker.image",
            format!("{image} is not there: the first session fetches it, which may take minutes"),
            format!(
                "Run `{program} pull {image}` now, or name another in sandbox.runtime_container_image"
            ),
        ),
    }
}

fn built_image(image: &str, is_there: bool) -> Finding {
    if is_there {
        return Finding::ok("docker.image", format!("{image} is built"));
    }
    Finding::warn(
        "docker.image",
        format!("{image} is not built: the first session builds it, which may take minutes"),
        "Run `staithe image build` now, with the same configuration",
    )
}

fn skew(ahead: i64) -> Finding {
    if ahead.abs() <= MOST_SKEW {
        return Finding::ok("docker.clock", "the engine's clock and ours agree");
    }
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    Finding::warn(
        "docker.clock",
        format!("the engine's clock is {} s {which} ours", ahead.abs()),
        "Set both clocks by the network (timedatectl set-ntp true)",
    )
}

#[cfg(test)]
mod tests;
