//! Judgements about docker.

use super::*;

fn at(reach: Reach) -> Docker {
    Docker { address: "unix:///run/d.sock".into(), reach }
}

fn answers() -> Answers {
    let facts = [
        ("engine", "docker 20.10.24"),
        ("api", "1.41"),
        ("cgroup", "v2"),
        ("storage", "overlay2 on extfs"),
        ("rootless", "no"),
        ("user namespaces", "no"),
        ("live restore", "no"),
    ];
    Answers {
        facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        lacks: Vec::new(),
        can_pause: true,
        wants_pause: false,
        image: SandboxImage { name: "img:1".into(), is_there: true, is_built: false },
        pull: Pull::Missing,
        data_root: None,
        ahead: None,
    }
}

/// The last finding of a docker that can't be used.
fn absent(reach: Reach) -> Finding {
    docker(&at(reach), true).pop().expect("a finding")
}

fn found(answers: &Answers, check: &str) -> Finding {
    let findings = docker(&at(Reach::Answers(Box::new(answers.clone()))), true);
    let found = findings.into_iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("nothing about {check}"))
}

fn remedy(finding: &Finding) -> &str {
    finding.remedy.as_deref().unwrap_or_default()
}

#[test]
fn each_way_of_not_answering_has_its_own_remedy() {
    let told = Trouble { cause: "too old".into(), remedy: "Install a newer one".into() };
    let mut remedies = std::collections::BTreeSet::new();
    for (reach, word) in [
        (Reach::Missing, "apt install docker.io"),
        (Reach::NobodyListens, "restart docker"),
        (Reach::Hangs { seconds: 8 }, "docker info"),
        (Reach::Denied(Denied::default()), "the user whose engine it is"),
        (Reach::Unusable(told.clone()), "Install a newer one"),
    ] {
        let finding = absent(reach);
        assert_eq!((finding.check, finding.status), ("docker.answer", Status::Fail));
        assert!(remedy(&finding).contains(word), "{}", remedy(&finding));
        remedies.insert(finding.remedy);
    }
    assert_eq!(remedies.len(), 5);
    let nowhere = Docker { address: String::new(), reach: Reach::NoAddress(told) };
    assert_eq!(docker(&nowhere, true).len(), 1, "there is no address to show");
}

#[test]
fn docker_may_be_absent_where_another_engine_can_be_taken() {
    let findings = docker(&at(Reach::Missing), false);
    assert_eq!(findings.iter().map(|it| it.status).max(), Some(Status::Warn));
}

#[test]
fn a_closed_socket_is_opened_by_its_group() {
    let denied = |group: &str, mode, listed| {
        let socket = SocketOwner { owner: "root".into(), group: group.into(), mode, listed };
        absent(Reach::Denied(Denied { user: "ann".into(), socket: Some(socket) }))
    };
    let group = denied("docker", 0o660, false);
    assert!(group.found.contains("root:docker with mode 0660, we are ann"), "{}", group.found);
    assert!(remedy(&group).contains("usermod -aG docker ann"));
    assert!(remedy(&denied("docker", 0o660, true)).contains("newgrp docker"));
    assert!(remedy(&denied("root", 0o600, false)).contains("chgrp docker /run/d.sock"));
}

#[test]
fn an_engine_that_can_all_that_is_asked_has_no_warning() {
    let findings = docker(&at(Reach::Answers(Box::new(answers()))), true);
    assert!(findings.iter().all(|it| it.status == Status::Ok), "{findings:?}");
    let rootless = |value: &str, userns: &str| {
        let mut answers = answers();
        answers.facts[4].1 = value.into();
        answers.facts[5].1 = userns.into();
        found(&answers, "docker.rootless").found
    };
    assert!(rootless("yes", "yes").starts_with("yes"));
    assert!(rootless("no", "yes").contains("nobody"));
    assert!(rootless("no", "no").contains("root's"));
}

#[test]
fn what_it_lacks_is_a_warning_unless_nothing_can_start() {
    for (lack, status, word) in [
        ("sandbox.docker.disk: can't limit disks", Status::Warn, "set sandbox.docker.disk to"),
        ("sandbox.docker.runtime: no runtime \"x\"", Status::Fail, "Install that runtime"),
        ("the engine has no seccomp: more", Status::Warn, "accept it"),
    ] {
        let finding = found(&Answers { lacks: vec![lack.into()], ..answers() }, "docker.lacks");
        assert_eq!(finding.status, status, "{lack}");
        assert!(remedy(&finding).contains(word), "{}", remedy(&finding));
    }
    let no_pause = Answers { wants_pause: true, can_pause: false, ..answers() };
    assert_eq!(found(&no_pause, "docker.pause").status, Status::Warn);
}

#[test]
fn a_missing_image_means_what_the_policy_of_pulling_makes_of_it() {
    let named = |is_there, is_built| SandboxImage { name: "img:1".into(), is_there, is_built };
    let image = |is_there, pull| {
        found(&Answers { image: named(is_there, false), pull, ..answers() }, "docker.image")
    };
    assert_eq!(image(true, Pull::Missing).status, Status::Ok);
    assert!(image(true, Pull::Always).found.contains("newer"));
    assert!(remedy(&image(false, Pull::Missing)).contains("docker pull img:1"));
    assert_eq!(image(false, Pull::Always).status, Status::Warn);
    assert_eq!(image(false, Pull::Never).status, Status::Fail);
    let built =
        |is_there| found(&Answers { image: named(is_there, true), ..answers() }, "docker.image");
    assert_eq!(built(true).status, Status::Ok);
    assert!(remedy(&built(false)).contains("staithe image build"));
    let mut podman = Answers { image: named(false, false), ..answers() };
    podman.facts[0].1 = "podman 4.3".into();
    assert!(remedy(&found(&podman, "docker.image")).contains("podman pull"));
}

#[test]
fn clocks_that_disagree_are_told() {
    let clock = |ahead| found(&Answers { ahead: Some(ahead), ..answers() }, "docker.clock");
    assert_eq!(clock(-MOST_SKEW).status, Status::Ok);
    assert_eq!(clock(31).found, "the engine's clock is 31 s ahead of ours");
    assert_eq!(clock(-7200).found, "the engine's clock is 7200 s behind ours");
}
