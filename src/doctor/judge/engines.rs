//! Local sandboxes, and which engine it will be. Pure.

use super::docker;
use crate::{
    config::EngineChoice,
    doctor::{
        facts::{Docker, Engines, Local, Trouble},
        finding::Finding,
    },
};

/// Judges the engines that were looked at, and says which it will be.
pub(crate) fn engines(engines: &Engines) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(found) = &engines.docker {
        findings.extend(docker::docker(found, engines.choice == EngineChoice::Docker));
    }
    if let Some(found) = &engines.local {
        findings.extend(local(found));
    }
    findings.push(chosen(engines));
    findings
}

/// What the kernel grants.
fn local(local: &Local) -> Vec<Finding> {
    match local {
        Local::NotTried(why) => vec![Finding::warn(
            "local.sandbox",
            format!("not tried: {why}"),
            "Mend what failed above, then run this again",
        )],
        Local::Failed(Trouble { cause, remedy }) => {
            vec![Finding::fail("local.sandbox", cause.as_str(), remedy.as_str())]
        }
        Local::Works { tier, exposes, hint } => granted(tier, exposes, hint.as_ref()),
    }
}

fn granted(tier: &str, exposes: &[String], hint: Option<&Trouble>) -> Vec<Finding> {
    let weak = "Use Docker for what is not trusted (sandbox.engine = \"docker\")";
    let mut findings = Vec::new();
    if tier == "none" {
        let found = "tier none: commands can do on this machine whatever the server's user can";
        findings.push(Finding::warn("local.sandbox", found, weak));
        return findings;
    }
    findings.push(Finding::ok("local.sandbox", format!("tier {tier}, tried just now")));
    findings.push(match (tier, hint) {
        ("namespaces", _) => Finding::ok("local.user_namespaces", "granted"),
        (_, Some(Trouble { cause, remedy })) => {
            Finding::warn("local.user_namespaces", cause.as_str(), remedy.as_str())
        }
        (_, None) => Finding::warn(
            "local.user_namespaces",
            "refused, or not asked for by sandbox.local.tier: sandboxes see other processes",
            "Let ordinary users make user namespaces (in a container: its seccomp profile must), or use Docker",
        ),
    });
    for (check, word, good) in
        [("local.landlock", "Landlock", "there"), ("local.seccomp", "system call", "there")]
    {
        findings.push(match exposes.iter().find(|said| said.contains(word)) {
            None => Finding::ok(check, good),
            Some(said) => Finding::warn(
                check,
                said.as_str(),
                "Use a kernel of 5.13 or newer that has it switched on, or use Docker",
            ),
        });
    }
    findings
}

/// Which engine the server will take.
fn chosen(engines: &Engines) -> Finding {
    let docker = engines.docker.as_ref().is_some_and(Docker::answers);
    let fails = |found: &str, remedy: &str| Finding::fail("engine", found, remedy);
    match (engines.choice, docker, &engines.local) {
        (EngineChoice::Docker, true, _) => Finding::ok("engine", "docker"),
        (EngineChoice::Docker, ..) => fails(
            "docker is asked for and can't be used",
            "Mend Docker as said above, or set sandbox.engine to \"local\"",
        ),
        (EngineChoice::Auto, true, _) => Finding::ok(
            "engine",
            "auto → docker; should it not answer at a start, local: set sandbox.engine to be sure",
        ),
        (EngineChoice::Auto, _, Some(Local::Works { .. })) => {
            Finding::ok("engine", "auto → local, since docker can't be used")
        }
        (EngineChoice::Local, _, Some(Local::Works { .. })) => Finding::ok("engine", "local"),
        (choice, _, Some(Local::NotTried(_))) => {
            let way = if choice == EngineChoice::Auto { "auto → " } else { "" };
            let found = format!("{way}local, if what failed above is mended");
            Finding::warn("engine", found, "Do what → says above, then run this again")
        }
        (EngineChoice::Local, ..) => fails(
            "local is asked for and can't be used",
            "Mend it as said above, or install Docker and set sandbox.engine to \"docker\"",
        ),
        (EngineChoice::Auto, ..) => fails(
            "auto → none: neither docker nor local can be used",
            "Mend one of them as said above",
        ),
    }
}

#[cfg(test)]
mod tests;
