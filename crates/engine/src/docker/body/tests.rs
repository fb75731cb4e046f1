//! What every sandbox is made with.

use super::*;
use crate::docker::settings::{ExtraMount, tests::shape};

fn spec() -> SandboxSpec {
    SandboxSpec {
        name: "staithe-x".into(),
        session: None,
        generation: staithe_protocol::Generation(1),
        labels: Labels::from([(LABEL_OWNER.to_owned(), "me".to_owned())]),
        image: Some("base:1".into()),
        resources: staithe_protocol::api::Resources::default(),
        workspace: None,
        key: "very secret".into(),
        env: [("A".to_owned(), "secret value".to_owned())].into(),
    }
}

fn plan(line: LineKind, user: Option<&str>) -> Plan {
    Plan {
        token: "t".into(),
        run_dir: "/data/run/t".into(),
        network: Some("staithe-x".into()),
        workspace: "staithe-x".into(),
        user: user.map(str::to_owned),
        line,
        runner: RunnerSource::File("/data/runner/r".into()),
    }
}

fn facts() -> Facts {
    Facts { cpus: 2, swap_limit: true, ..Facts::default() }
}

fn body(shape: &SandboxShape, line: LineKind, user: Option<&str>) -> ContainerCreateBody {
    container(shape, &facts(), &spec(), &plan(line, user))
}

#[test]
fn every_sandbox_is_locked_in() {
    let body = body(&shape(), LineKind::Socket, None);
    let host = body.host_config.expect("a host's part");
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(host.cap_add, Some(vec!["CHOWN".to_owned(), "SETUID".to_owned()]));
    assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!(host.privileged, Some(false));
    assert_eq!(host.port_bindings, None, "no port is published");
    assert_eq!(host.publish_all_ports, None);
    assert_eq!((host.pids_limit, host.memory), (Some(100), Some(1 << 30)));
    assert_eq!(host.memory_swap, Some(1 << 30), "no swap beyond the memory");
    assert_eq!(host.nano_cpus, Some(2_000_000_000));
    assert_eq!(host.network_mode.as_deref(), Some("staithe-x"));
}

#[test]
fn an_image_can_t_pretend_to_be_something_of_ours() {
    let mut plan = plan(LineKind::Socket, None);
    plan.network = None;
    let labels = container(&shape(), &facts(), &spec(), &plan).labels.expect("labels");
    for label in ["session", "pool", "kind", "network"] {
        assert_eq!(labels[&format!("staithe.{label}")], "", "{label}");
    }
}

#[test]
fn the_key_is_nowhere_to_be_seen() {
    let text = serde_json::to_string(&body(&shape(), LineKind::Socket, None)).expect("a body");
    assert!(!text.contains("very secret"), "{text}");
}

#[test]
fn whoever_becomes_another_user_brings_only_what_that_step_needs() {
    let body = body(&shape(), LineKind::Socket, Some("1000:1000"));
    let added = body.host_config.and_then(|host| host.cap_add).expect("capabilities");
    assert_eq!(added, ["CHOWN", "SETUID", "SETGID"]);
    assert!(body.cmd.expect("arguments").ends_with(&["--user".into(), "1000:1000".into()]));
}

#[test]
fn only_a_socket_line_lets_a_sandbox_write_a_folder_of_this_machine() {
    let writable_binds = |line| {
        let mounts = body(&shape(), line, None).host_config.and_then(|host| host.mounts);
        let mounts = mounts.expect("mounts").into_iter();
        let writable = |m: &Mount| m.typ == Some(MountType::BIND) && m.read_only != Some(true);
        mounts.filter(writable).filter_map(|mount| mount.source).collect::<Vec<_>>()
    };
    assert_eq!(writable_binds(LineKind::Socket), ["/data/run/t"]);
    assert_eq!(writable_binds(LineKind::Exec), Vec::<String>::new());
    assert_eq!(writable_binds(LineKind::Tcp), Vec::<String>::new());
}

#[test]
fn a_read_only_root_has_room_for_what_programs_must_write() {
    let shape = SandboxShape { read_only_rootfs: true, ..shape() };
    let host = body(&shape, LineKind::Socket, None).host_config.expect("a host's part");
    assert_eq!(host.readonly_rootfs, Some(true));
    let folders = host.tmpfs.expect("folders in memory");
    assert!(
        ["/tmp", "/var/tmp", "/run"].iter().all(|path| folders.contains_key(*path)),
        "{folders:?}"
    );
    let mounts = host.mounts.expect("mounts");
    assert!(mounts.iter().any(|mount| mount.target.as_deref() == Some("/.staithe/state")));
}

#[test]
fn processors_are_cut_down_to_what_is_there() {
    let shape = SandboxShape { cpus: 16.0, ..shape() };
    let host = body(&shape, LineKind::Socket, None).host_config.expect("a host's part");
    assert_eq!(host.nano_cpus, Some(2_000_000_000));
}

#[test]
fn a_session_s_own_limits_stand_in_for_the_configuration_s() {
    let resources = staithe_protocol::api::Resources { memory: Some(256 << 20), cpus: Some(0.5) };
    let spec = SandboxSpec { resources, ..spec() };
    let shape = SandboxShape { memory_swap: 8 << 30, ..shape() };
    let host = host_config(&shape, &facts(), &plan(LineKind::Socket, None), &spec);
    assert_eq!((host.memory, host.memory_swap), (Some(256 << 20), Some(256 << 20)));
    assert_eq!(host.nano_cpus, Some(500_000_000));
    assert_ne!(config_hash(&shape, &spec, "r"), config_hash(&shape, &self::spec(), "r"));
}

#[test]
fn any_changed_setting_changes_the_hash_and_a_secret_does_not() {
    let hash = |shape: &SandboxShape, spec: &SandboxSpec| config_hash(shape, spec, "r");
    let first = hash(&shape(), &spec());
    assert_eq!(first, hash(&shape(), &spec()));
    let other_value = SandboxSpec { env: [("A".to_owned(), "other".to_owned())].into(), ..spec() };
    assert_eq!(first, hash(&shape(), &other_value));
    let changed = [
        SandboxShape { memory: 1, ..shape() },
        SandboxShape { network: "none".into(), ..shape() },
        SandboxShape { user: "root".into(), ..shape() },
        SandboxShape {
            mounts: vec![ExtraMount { source: "v1".into(), target: "/v".into(), read_only: true }],
            ..shape()
        },
    ];
    for shape in changed {
        assert_ne!(first, hash(&shape, &spec()));
    }
    assert_ne!(first, hash(&shape(), &SandboxSpec { image: Some("base:2".into()), ..spec() }));
    assert_ne!(first, config_hash(&shape(), &spec(), "another runner"));
}
