//! Judgements about the machine.

use super::*;
use crate::doctor::{facts::Space, finding::Status};

fn refused(kind: ErrorKind) -> Refused {
    Refused { kind, words: format!("{kind}") }
}

fn dir() -> DataDir {
    DataDir {
        path: "/data".into(),
        is_there: true,
        refused: None,
        closed: Vec::new(),
        space: Some(Space { free: 50 << 30, total: 100 << 30, free_files: None }),
        remote: None,
        running: None,
        longest_socket: 90,
    }
}

fn running() -> Running {
    Running { pid: 7, url: "http://127.0.0.1:3000".into() }
}

fn remedy(finding: &Finding) -> &str {
    finding.remedy.as_deref().unwrap_or_default()
}

#[test]
fn a_fault_is_to_be_corrected_where_it_is() {
    let file = Path::new("/etc/staithe.toml");
    for (fault, file, word) in [
        ("log.colour in /etc/staithe.toml: unknown", Some(file), "Correct it in /etc/staithe.toml"),
        ("/etc/staithe.toml: No such file or directory (os error 2)", Some(file), "--config"),
        ("STAITHE__X in the environment: unknown", Some(file), "environment variable"),
        ("limits.max_sessions: must be at least 1", Some(file), "in /etc/staithe.toml, in an"),
        ("limits.max_sessions: must be at least 1", None, "or by a flag"),
    ] {
        let findings = config_faults(&[fault.to_owned()], file);
        assert_eq!(findings[0].status, Status::Fail);
        assert!(remedy(&findings[0]).contains(word), "{fault}: {}", remedy(&findings[0]));
    }
    assert_eq!(config_faults(&["a".into(), "b".into()], None).len(), 2, "each is told");
    let drawn =
        "x: TOML parse error at line 1, column 8\n  |\n1 | [server\n  | ^\nunclosed table\n";
    let findings = config_faults(&[drawn.to_owned()], None);
    assert_eq!(findings[0].found, "x: TOML parse error at line 1, column 8: unclosed table");
}

#[test]
fn who_can_come_in_is_said() {
    let listeners = |address: &str| {
        let open = format!("{address}:3000").parse().expect("an address");
        let own = "127.0.0.1:3001".parse().expect("an address");
        [("server.listen", open), ("server.sandbox_listen", own)]
    };
    assert_eq!(exposure(listeners("127.0.0.1"), &[]).status, Status::Ok);
    let open = exposure(listeners("0.0.0.0"), &[]);
    assert_eq!(open.status, Status::Warn);
    assert!(open.found.contains("server.listen = 0.0.0.0:3000; a token"), "{}", open.found);
    let named = exposure(listeners("0.0.0.0"), &["work.example".into()]);
    assert!(named.status == Status::Ok && named.found.contains("TLS"));
}

#[test]
fn each_way_in_which_a_data_directory_is_refused_has_its_remedy() {
    for (kind, is_there, word) in [
        (ErrorKind::StorageFull, true, "Free space"),
        (ErrorKind::ReadOnlyFilesystem, true, "writable"),
        (ErrorKind::NotADirectory, false, "in the way"),
        (ErrorKind::PermissionDenied, true, "chown -R USER /data"),
        (ErrorKind::PermissionDenied, false, "install -d"),
        (ErrorKind::Other, true, "server.data_dir"),
    ] {
        let facts = DataDir { refused: Some(refused(kind)), is_there, ..dir() };
        let finding = &data_dir(&facts)[0];
        assert_eq!(finding.status, Status::Fail);
        assert!(remedy(finding).contains(word), "{kind}: {}", remedy(finding));
    }
}

#[test]
fn what_is_odd_about_a_data_directory_is_told() {
    let checks = |facts: &DataDir| -> Vec<_> {
        data_dir(facts).iter().map(|it| (it.check, it.status)).collect()
    };
    let good = [("data_dir", Status::Ok), ("data_dir.space", Status::Ok)];
    assert_eq!(checks(&dir()), good);
    let closed = vec![("staithe.db".to_owned(), "root".to_owned())];
    let odd = DataDir {
        closed,
        remote: Some("NFS"),
        longest_socket: 108,
        running: Some(running()),
        ..dir()
    };
    assert_eq!(
        checks(&odd)[1..],
        [
            ("data_dir.files", Status::Fail),
            ("data_dir.disk", Status::Warn),
            ("data_dir.length", Status::Fail),
            ("data_dir.space", Status::Ok),
            ("data_dir.server", Status::Ok),
        ]
    );
    assert!(
        !checks(&DataDir { longest_socket: 107, ..dir() })
            .contains(&("data_dir.length", Status::Fail))
    );
}

#[test]
fn a_runner_that_does_not_run_fails_and_one_that_has_no_place_waits() {
    let refused = |noexec| RunnerTried::Refused { words: "Permission denied".into(), noexec };
    for (tried, status, word) in [
        (RunnerTried::Runs, Status::Ok, ""),
        (RunnerTried::NotPlaced("full".into()), Status::Warn, "data directory first"),
        (refused(true), Status::Fail, "Mount it with exec"),
        (refused(false), Status::Fail, "security module"),
        (RunnerTried::Failed("signal 4".into()), Status::Fail, "architecture"),
    ] {
        let finding = runner(&tried);
        assert_eq!(finding.status, status, "{tried:?}");
        assert!(remedy(&finding).contains(word), "{tried:?}");
    }
}

#[test]
fn ports_are_judged_by_what_refuses_them() {
    let of = |kind: Option<ErrorKind>, address: &str| Port {
        check: "listen",
        key: "server.listen",
        address: address.parse().expect("an address"),
        refused: kind.map(refused),
    };
    let free = port(&of(None, "127.0.0.1:0"), None);
    assert_eq!(free.found, "any free port of 127.0.0.1");
    for (kind, word) in [
        (ErrorKind::AddrInUse, "another port"),
        (ErrorKind::PermissionDenied, "1024"),
        (ErrorKind::AddrNotAvailable, "ip address"),
        (ErrorKind::Other, "another address"),
    ] {
        let finding = port(&of(Some(kind), "127.0.0.1:80"), None);
        assert_eq!(finding.status, Status::Fail);
        assert!(remedy(&finding).contains(word), "{kind}");
    }
    let own = port(&of(Some(ErrorKind::AddrInUse), "127.0.0.1:3000"), Some(&running()));
    assert!(own.status == Status::Ok && own.found.contains("process 7"));
}

#[test]
fn a_clock_before_the_program_fails() {
    assert_eq!(clock(0).status, Status::Fail);
    assert!(clock(0).found.contains("1970-01-01"));
    assert_eq!(clock(WRITTEN - 1).status, Status::Fail);
    assert_eq!(clock(WRITTEN).status, Status::Ok);
    assert!(clock(WRITTEN).found.starts_with("2026-01-01T00:00:00Z"));
}

#[test]
fn few_open_files_are_a_warning() {
    assert_eq!(open_files(Some(1024)).status, Status::Warn);
    assert_eq!(open_files(Some(FEW_OPEN_FILES)).status, Status::Ok);
    assert_eq!(open_files(None).status, Status::Ok);
}
