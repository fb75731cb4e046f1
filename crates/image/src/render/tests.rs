//! What is denied, and what is quoted how. The recipes themselves are in `tests/dockerfiles`.

use crate::stages::BuildFrom;
use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use crate::{
    base::{Libc, Thing},
    inputs::{Download, Mirrors, Plugin, System, SystemChoice},
};

fn inputs(plugins: &[Plugin]) -> Inputs {
    Inputs {
        version: "0.1.0".to_owned(),
        base_image: "base:1".to_owned(),
        platform: String::new(),
        plugins: plugins.iter().copied().collect(),
        extra_deps: String::new(),
        build_args: [].into(),
        system: SystemChoice::Auto,
        user: String::new(),
        tools_image: String::new(),
        mirrors: Mirrors::default(),
        node: Download::default(),
        vscode: Download::default(),
        jupyter_requirements: String::new(),
    }
}

fn facts(system: System, libc: Libc, has: &[Thing]) -> BaseFacts {
    BaseFacts {
        system,
        libc,
        has: has.iter().copied().collect::<BTreeSet<_>>(),
        user: String::new(),
        os: String::new(),
        os_version: String::new(),
        seen: true,
    }
}

fn debian() -> BaseFacts {
    facts(System::Apt, Libc::Glibc, &[Thing::Sh])
}

fn rendered(inputs: &Inputs, facts: &BaseFacts) -> Result<String, RecipeDenied> {
    let stages = BuildFrom::Scratch.stages();
    render(&Request { inputs, facts, base: "base:1", stages, mounts: false, ca: false })
}

#[track_caller]
fn denied(inputs: &Inputs, facts: &BaseFacts) -> RecipeDenied {
    let denied = rendered(inputs, facts).expect_err("it can't be built");
    assert!(!denied.remedy().is_empty());
    denied
}

#[track_caller]
fn denied_value(change: impl FnOnce(&mut Inputs)) -> String {
    let mut inputs = inputs(&[Plugin::Vscode]);
    change(&mut inputs);
    denied(&inputs, &debian()).to_string()
}

#[test]
fn what_a_base_cannot_run_is_denied_before_anything_is_built() {
    let musl = facts(System::Apk, Libc::Musl, &[Thing::Sh]);
    assert_eq!(denied(&inputs(&[Plugin::Vscode]), &musl), RecipeDenied::VscodeOnMusl);

    let mut ubuntu = debian();
    ubuntu.os = "ubuntu".to_owned();
    let snap = denied(&inputs(&[Plugin::Browser]), &ubuntu);
    assert!(matches!(snap, RecipeDenied::NoChromium { .. }), "{snap}");

    let busybox = facts(System::None, Libc::None, &[Thing::Sh]);
    for plugin in [Plugin::Browser, Plugin::Jupyter, Plugin::Vscode] {
        let denied = denied(&inputs(&[plugin]), &busybox);
        assert!(matches!(denied, RecipeDenied::NoPackages { .. }), "{denied}");
    }
    let distroless = facts(System::None, Libc::Glibc, &[Thing::Sh]);
    let denied = denied(&inputs(&[Plugin::Jupyter]), &distroless);
    assert!(matches!(denied, RecipeDenied::NoProgram { .. }), "{denied}");
}

#[test]
fn a_tools_image_is_not_laid_over_a_base_that_has_a_c_library() {
    let mut inputs = inputs(&[Plugin::Browser]);
    inputs.tools_image = "debian:12".to_owned();
    let distroless = facts(System::None, Libc::Glibc, &[Thing::Sh]);
    assert_eq!(denied(&inputs, &distroless), RecipeDenied::NoPackages { what: "a Chromium" });
}

#[test]
fn extra_lines_need_a_shell_of_the_base_or_of_the_tools() {
    let mut inputs = inputs(&[]);
    inputs.extra_deps = "id".to_owned();
    let scratch = facts(System::None, Libc::None, &[]);
    assert!(matches!(denied(&inputs, &scratch), RecipeDenied::NoShell { .. }));
    inputs.tools_image = "debian:12".to_owned();
    assert!(rendered(&inputs, &scratch).is_ok());
}

#[test]
fn what_a_base_has_is_not_made_again() {
    let all = [Thing::Sh, Thing::Jupyter, Thing::Vscode, Thing::Chromium];
    let musl = facts(System::Apk, Libc::Musl, &all);
    let text = rendered(&inputs(&Plugin::ALL), &musl).expect("nothing is to be made");
    assert!(!text.contains("make-") && !text.contains("chromium"), "{text}");
}

#[test]
fn a_download_without_a_checksum_is_denied() {
    let said = denied_value(|inputs| inputs.vscode.version = "4.111.0".to_owned());
    assert_eq!(said, "vscode has no checksum");
    let said = denied_value(|inputs| inputs.node.source = "https://files.test/node.tgz".to_owned());
    assert_eq!(said, "node has no checksum");
    let said = denied_value(|inputs| inputs.node.version = "22.1.0".to_owned());
    assert_eq!(said, "node has no checksum");
    let said = denied_value(|inputs| inputs.vscode.checksum = "sha256:12".to_owned());
    assert!(said.starts_with("the checksum of vscode is neither"), "{said}");
}

#[test]
fn a_value_that_would_leave_its_line_is_denied() {
    let evil = "x\nRUN evil".to_owned();
    let said = denied_value(|inputs| "a\0b".clone_into(&mut inputs.extra_deps));
    assert!(said.contains("zero byte"), "{said}");
    let said = denied_value(|inputs| inputs.base_image = evil.clone());
    assert!(said.contains("line break"), "{said}");
    let said = denied_value(|inputs| inputs.mirrors.pypi = format!("http://{evil}"));
    assert!(said.contains("no address"), "{said}");
    let said = denied_value(|inputs| inputs.platform = evil.clone());
    assert!(said.contains("the platform"), "{said}");
    let said = denied_value(|inputs| inputs.user = format!("{evil}:1000"));
    assert!(said.contains("the user"), "{said}");
    let said = denied_value(|inputs| {
        inputs.build_args.insert("NAME".to_owned(), evil.clone());
    });
    assert!(said.contains("NAME"), "{said}");
    for name in ["", "A B", "1A", "A=1 B", evil.as_str()] {
        let said = denied_value(|inputs| {
            inputs.build_args.insert(name.to_owned(), String::new());
        });
        assert!(said.contains("the build argument"), "{said}");
    }
}

#[test]
fn users_are_a_name_and_numbers() {
    for wrong in ["dev", "dev:", "dev:x", "dev:-1", "dev:+1", "dev:1:2:3", ":1", "a b:1", "-a:1"] {
        let said = denied_value(|inputs| wrong.clone_into(&mut inputs.user));
        assert!(said.starts_with("the user"), "{wrong}: {said}");
    }
}

#[test]
fn steps_run_as_root_with_its_group_and_the_bases_user_is_restored_as_it_was() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("0:0", &[]),
        // Alone it would be looked up in a list of users.
        ("0", &["0:0"]),
        ("root", &["0:0"]),
        ("4711", &["0:0", "4711", "0:0", "4711"]),
        ("node", &["0:0", "node", "0:0", "node"]),
        ("4711:20", &["0:0", "4711:20", "0:0", "4711:20"]),
        ("0:20", &["0:0", "0:20", "0:0", "0:20"]),
    ];
    for (user, expected) in table {
        let inputs = Inputs { extra_deps: "id".to_owned(), ..inputs(&[]) };
        let facts = BaseFacts { user: (*user).to_owned(), ..debian() };
        let text = rendered(&inputs, &facts).expect("it can be built");
        let users: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("USER ")).collect();
        assert_eq!(users, *expected, "{user:?}");
    }
}

#[test]
fn the_base_after_from_is_a_name_of_an_image() {
    let (inputs, facts) = (inputs(&[]), debian());
    for wrong in ["", "a b", "a\nRUN b", "$A", "--platform=x", "a AS b"] {
        let request = Request {
            inputs: &inputs,
            facts: &facts,
            base: wrong,
            stages: BuildFrom::Lock.stages(),
            mounts: false,
            ca: false,
        };
        assert!(render(&request).is_err(), "{wrong}");
    }
}

#[test]
fn quoted_words_mean_themselves() {
    assert_eq!(quote::shell("it's $A"), r"'it'\''s $A'");
    assert_eq!(quote::argument(r#"a "b" $C \"#), r#""a \"b\" \$C \\""#);
    assert_eq!(quote::json(&["a\n\"b\"", r"\"]), r#"["a\n\"b\"", "\\"]"#);
    assert_eq!(quote::replacement(r"a|b&c\d"), r"a\|b\&c\\d");
}

#[test]
fn both_ways_to_write_a_checksum_become_hex() {
    let sha256 = format!("sha256:{}", "Ab".repeat(32));
    assert_eq!(quote::checksum("node", &sha256), Ok(("sha256", "ab".repeat(32))));
    let (kind, hex) = quote::checksum("vscode", shipped::VSCODE_CHECKSUM).expect("npm's way");
    assert_eq!((kind, hex.len()), ("sha512", 128));
}

#[test]
fn shipped_files_name_no_host_but_what_is_in_comments_of_none() {
    let texts = shipped::SHIPPED.iter().map(|(_, _, text)| *text);
    for text in texts.chain([shipped::JUPYTER_LOCK, shipped::NODE_LOCK, shipped::TEMPLATE]) {
        for word in ["--index-url", "--extra-index-url", "--find-links", "registry=", "://."] {
            assert!(!text.contains(word), "{word}");
        }
        for (at, _) in text.match_indices("://") {
            let host = &text[at + 3..];
            assert!(host.starts_with(['*', '[']), "{}", &text[at..text.len().min(at + 40)]);
        }
    }
}

#[test]
fn the_digest_is_of_every_file_that_is_shipped() {
    assert_eq!(recipe_digest().len(), 64);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/runtime");
    let mut there = BTreeSet::new();
    for folder in ["", "bin/"] {
        for entry in fs::read_dir(top.join(folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{folder}{}", entry.file_name().display());
            if entry.path().is_file() && !name.starts_with('.') {
                there.insert((name, fs::read_to_string(entry.path()).expect("text")));
            }
        }
    }
    let counted = shipped::counted().into_iter().filter(|(name, _)| *name != "vscode");
    let counted: BTreeSet<_> =
        counted.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    assert_eq!(there, counted);
}
