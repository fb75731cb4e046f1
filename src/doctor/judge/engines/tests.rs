//! Judgements about local sandboxes and the choice.

use super::*;
use crate::doctor::{facts::Reach, finding::Status};

fn trouble(cause: &str) -> Trouble {
    Trouble { cause: cause.into(), remedy: "Mend it".into() }
}

fn works(tier: &str, exposes: &[&str], hint: Option<Trouble>) -> Local {
    let exposes = exposes.iter().map(|said| (*said).to_owned()).collect();
    Local::Works { tier: tier.into(), exposes, hint }
}

fn bad(findings: &[Finding]) -> Vec<(&str, Status)> {
    let bad = findings.iter().filter(|it| it.status != Status::Ok);
    bad.map(|it| (it.check, it.status)).collect()
}

#[test]
fn what_the_kernel_refuses_is_named() {
    assert_eq!(bad(&local(&works("namespaces", &[], None))), []);
    let weaker = works(
        "namespaces",
        &[
            "Landlock, the second wall around files, is missing in this kernel.",
            "Every system call can be made",
        ],
        None,
    );
    assert_eq!(
        bad(&local(&weaker)),
        [("local.landlock", Status::Warn), ("local.seccomp", Status::Warn)]
    );
    let refused = local(&works("landlock", &[], Some(trouble("refused: x = 0"))));
    assert_eq!(bad(&refused), [("local.user_namespaces", Status::Warn)]);
    assert!(refused.iter().any(|it| it.found == "refused: x = 0"));
    assert_eq!(bad(&local(&works("landlock", &[], None))).len(), 1);
    assert_eq!(bad(&local(&works("none", &[], None))), [("local.sandbox", Status::Warn)]);
    assert_eq!(bad(&local(&Local::Failed(trouble("no")))), [("local.sandbox", Status::Fail)]);
}

#[test]
fn the_engine_is_the_one_that_the_server_would_take() {
    let gone = || Some(Docker { address: "unix:///x".into(), reach: Reach::Missing });
    let good = || Some(works("namespaces", &[], None));
    let of = |choice, docker, local| chosen(&Engines { choice, docker, local });
    for (choice, docker, local, status, found) in [
        (EngineChoice::Local, None, good(), Status::Ok, "local"),
        (EngineChoice::Auto, gone(), good(), Status::Ok, "auto → local, since"),
        (EngineChoice::Docker, gone(), None, Status::Fail, "docker is asked for"),
        (
            EngineChoice::Local,
            None,
            Some(Local::Failed(trouble("x"))),
            Status::Fail,
            "local is asked",
        ),
        (
            EngineChoice::Auto,
            gone(),
            Some(Local::Failed(trouble("x"))),
            Status::Fail,
            "auto → none",
        ),
        (
            EngineChoice::Auto,
            gone(),
            Some(Local::NotTried("x".into())),
            Status::Warn,
            "auto → local, if",
        ),
        (EngineChoice::Local, None, Some(Local::NotTried("x".into())), Status::Warn, "local, if"),
    ] {
        let finding = of(choice, docker, local);
        assert_eq!(finding.status, status, "{found}");
        assert!(finding.found.starts_with(found), "{}", finding.found);
    }
}
