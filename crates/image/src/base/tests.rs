//! Images of every kind, as they look from outside.

use super::*;
use crate::places::{READ, look_at};

/// What is found of `paths` in an image with this os-release.
fn look(release: &str, paths: &[&str]) -> BaseFacts {
    let mut found: BTreeMap<String, Option<Vec<u8>>> =
        paths.iter().map(|path| ((*path).to_owned(), None)).collect();
    if !release.is_empty() {
        found.insert("/etc/os-release".into(), Some(release.into()));
    }
    let known = look_at();
    for path in found.keys() {
        assert!(known.contains(&path.as_str()), "{path} is not looked for");
    }
    facts(&found, "")
}

const DEBIAN: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
const FEDORA: &str = "ID=fedora\nVERSION_ID=42\n";
const GLIBC_X86: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL_X86: &str = "/lib/ld-musl-x86_64.so.1";

#[test]
fn a_debian_with_git_is_seen_as_one() {
    let paths = [GLIBC_X86, "/usr/bin/apt-get", "/bin/sh", "/bin/bash", "/usr/bin/git"];
    let facts = look(DEBIAN, &paths);
    assert_eq!((facts.system, facts.libc), (System::Apt, Libc::Glibc));
    assert_eq!((facts.os.as_str(), facts.os_version.as_str()), ("debian", "12"));
    assert_eq!(facts.has, BTreeSet::from([Thing::Sh, Thing::Bash, Thing::Git]));
    assert!(facts.seen);
}

#[test]
fn the_system_is_told_by_the_program_that_installs() {
    let table: &[(&str, &[&str], System)] = &[
        (FEDORA, &["/usr/bin/dnf", "/usr/bin/yum"], System::Dnf),
        ("ID=\"rhel\"", &["/usr/bin/microdnf"], System::Dnf),
        ("ID=centos\nID_LIKE=\"rhel fedora\"", &["/usr/bin/yum"], System::Dnf),
        ("ID=alpine", &["/sbin/apk"], System::Apk),
        ("ID=\"opensuse-leap\"", &["/usr/bin/zypper", "/usr/bin/dnf"], System::Zypper),
        ("ID=x\nID_LIKE='suse'", &["/usr/bin/zypper", "/usr/bin/dnf"], System::Zypper),
        (DEBIAN, &["/usr/bin/apt-get", "/usr/bin/dnf"], System::Apt),
        (FEDORA, &["/usr/bin/apt-get", "/usr/bin/dnf"], System::Dnf),
        // A slim one without its tool, one that says nothing, and one that has nothing.
        (DEBIAN, &[], System::None),
        ("", &["/usr/bin/apt-get"], System::Apt),
        ("", &[], System::None),
    ];
    for (release, paths, system) in table {
        assert_eq!(look(release, paths).system, *system, "{release}");
    }
}

#[test]
fn the_c_library_is_known_by_its_loader() {
    let table: &[(&[&str], Libc)] = &[
        (&[GLIBC_X86], Libc::Glibc),
        (&["/lib/ld-linux-aarch64.so.1"], Libc::Glibc),
        (&["/usr/lib/aarch64-linux-gnu/libc.so.6"], Libc::Glibc),
        (&[MUSL_X86], Libc::Musl),
        (&["/usr/lib/ld-musl-aarch64.so.1"], Libc::Musl),
        (&["/bin/sh"], Libc::None),
        // A Debian with musl beside, and an Alpine with what runs glibc's programs.
        (&["/usr/bin/apt-get", GLIBC_X86, MUSL_X86], Libc::Glibc),
        (&["/sbin/apk", GLIBC_X86, MUSL_X86], Libc::Musl),
    ];
    for (paths, libc) in table {
        assert_eq!(look("", paths).libc, *libc, "{paths:?}");
    }
}

#[test]
fn a_python_counts_when_it_is_certain_that_it_makes_environments() {
    let table: &[(bool, &[&str])] = &[
        (
            true,
            &[
                "/usr/bin/python3",
                "/usr/bin/python3.11",
                "/usr/lib/python3.11/ensurepip/__init__.py",
            ],
        ),
        (
            true,
            &[
                "/usr/bin/python3",
                "/usr/bin/python3.13",
                "/usr/lib64/python3.13/ensurepip/__init__.py",
            ],
        ),
        (
            true,
            &[
                "/usr/local/bin/python3",
                "/usr/local/bin/python3.12",
                "/usr/local/lib/python3.12/ensurepip/__init__.py",
                // Debian's own behind it, which can't.
                "/usr/bin/python3",
                "/usr/bin/python3.11",
            ],
        ),
        (false, &["/usr/bin/python3", "/usr/bin/python3.11"]),
        (false, &["/usr/bin/python3"]),
        (false, &["/usr/bin/python3.11", "/usr/lib/python3.11/ensurepip/__init__.py"]),
        (
            false,
            &[
                "/usr/bin/python3",
                "/usr/bin/python3.11",
                "/usr/bin/python3.12",
                "/usr/lib/python3.12/ensurepip/__init__.py",
            ],
        ),
        (
            false,
            &[
                "/usr/local/bin/python3",
                "/usr/local/bin/python3.12",
                "/usr/bin/python3.11",
                "/usr/lib/python3.11/ensurepip/__init__.py",
            ],
        ),
    ];
    for (has, paths) in table {
        assert_eq!(look("", paths).has.contains(&Thing::Python), *has, "{paths:?}");
    }
}

#[test]
fn npm_without_node_and_the_script_that_asks_for_snap_are_not_there() {
    let has = |release: &str, paths: &[&str], thing| look(release, paths).has.contains(&thing);
    assert!(has("", &["/usr/local/bin/npm", "/usr/local/bin/node"], Thing::Npm));
    assert!(!has("", &["/usr/bin/npm"], Thing::Npm));
    let script = "/usr/bin/chromium-browser";
    assert!(has(FEDORA, &[script], Thing::Chromium));
    assert!(!has("ID=ubuntu", &[script], Thing::Chromium));
    assert!(has("ID=ubuntu", &[script, "/usr/bin/google-chrome"], Thing::Chromium));
}

#[test]
fn what_the_user_said_of_the_system_goes_before_what_was_seen() {
    let seen = look(FEDORA, &["/usr/bin/microdnf"]);
    assert_eq!(seen.clone().with_system(SystemChoice::Auto), seen);
    assert_eq!(seen.with_system(SystemChoice::Zypper).system, System::Zypper);
}

#[test]
fn the_second_os_release_stands_in_for_the_first() {
    let second = |first: Option<&str>| {
        let mut found = BTreeMap::from([(OS_RELEASE[1].into(), Some(b"ID=two".to_vec()))]);
        if let Some(first) = first {
            found.insert(OS_RELEASE[0].into(), Some(first.into()));
        }
        facts(&found, "ann").os
    };
    assert_eq!(second(None), "two");
    assert_eq!(second(Some("# ID=zero\nID=one")), "one");
}

#[test]
fn what_an_os_release_says_of_itself_is_a_short_plain_word() {
    let of = |id: &str| {
        let facts = look(&format!("ID={id}\nVERSION_ID={id}"), &[]);
        assert_eq!(facts.os, facts.os_version);
        facts.os
    };
    assert_eq!(of("opensuse-leap_15.6"), "opensuse-leap_15.6");
    assert_eq!(of("a b\u{1b}[31m\t<script>\"'$(x)\u{202e}ä\0{}"), "ab31mscriptx");
    assert_eq!(of(&"x".repeat(1 << 20)), "x".repeat(64));
    // Bytes that are no text.
    let found = BTreeMap::from([(OS_RELEASE[0].into(), Some(b"ID=de\xff\xfebian".to_vec()))]);
    assert_eq!(facts(&found, "").os, "debian");
}

#[test]
fn every_path_is_asked_for_once_and_from_the_root() {
    let paths = look_at();
    let once: BTreeSet<_> = paths.iter().collect();
    assert_eq!(once.len(), paths.len());
    assert!(paths.iter().all(|path| path.starts_with('/') && !path.ends_with('/')));
    assert!(READ.iter().all(|path| once.contains(path)));
}

#[test]
fn a_name_tells_the_system() {
    let table: &[(System, Libc, &[&str])] = &[
        (
            System::Apt,
            Libc::Glibc,
            &[
                "debian:12-slim",
                "ubuntu",
                "python:3.12",
                "node:22-bookworm",
                "nikolaik/python-nodejs:python3.12-nodejs22",
                "buildpack-deps:scm",
                "gcc",
                "golang:1.24",
                "rust:1",
                "ruby",
                "openjdk:21",
                "quay.io/jupyter/base-notebook",
                "reg.example:5000/team/thing:1",
                "static-site",
                "cubic/kubika",
            ],
        ),
        (
            System::Dnf,
            Libc::Glibc,
            &[
                "fedora:42",
                "rockylinux:9",
                "almalinux",
                "quay.io/centos/centos:stream9",
                "registry.access.redhat.com/ubi9/ubi-minimal",
                "redhat/ubi8",
                "amazonlinux:2023",
                "oraclelinux:9",
            ],
        ),
        (
            System::Apk,
            Libc::Musl,
            &["alpine", "python:3.12-alpine3.20", "node:22-alpine", "reg:5000/my-alpine:1"],
        ),
        (
            System::Zypper,
            Libc::Glibc,
            &["opensuse/leap:15.6", "opensuse/tumbleweed", "registry.suse.com/bci/bci-base"],
        ),
        (
            System::None,
            Libc::None,
            &[
                "busybox:1",
                "staithe-test/scratch:1",
                "gcr.io/distroless/cc-debian12",
                "cgr.dev/chainguard/static",
            ],
        ),
    ];
    for (system, libc, images) in table {
        for image in *images {
            let facts = guess(&ImageRef::parse(image).unwrap());
            assert_eq!((facts.system, facts.libc, facts.seen), (*system, *libc, false), "{image}");
        }
    }
}

#[test]
fn a_guess_takes_only_a_shell_for_granted() {
    let guess = |text: &str| guess(&ImageRef::parse(text).unwrap());
    assert_eq!(guess("node:22").has, BTreeSet::from([Thing::Sh]));
    assert_eq!(guess("busybox").has, BTreeSet::from([Thing::Sh]));
    assert_eq!(guess("gcr.io/distroless/static").has, BTreeSet::new());
    let os = |text: &str| (guess(text).os, guess(text).os_version);
    assert_eq!(os("ubuntu:24.04"), ("ubuntu".into(), "24.04".into()));
    assert_eq!(os("debian:bookworm"), ("debian".into(), String::new()));
    assert_eq!(os("python:3.12"), (String::new(), String::new()));
}
