//! Every kind of recipe, compared with the files in `tests/dockerfiles`;
//! `STAITHE_BLESS=1 cargo test -p staithe-image --test dockerfiles` writes them anew. What `hadolint` says of
//! them is a step of `scripts/test`.

mod dockerfiles {
    pub(crate) mod cases;
}

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use dockerfiles::cases::{Case, all};
use staithe_image::render::render;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfiles")
}

#[test]
fn each_case_is_rendered_as_its_file_has_it() {
    let bless = env::var_os("STAITHE_BLESS").is_some_and(|bless| bless == "1");
    let mut wrong = Vec::new();
    for case in all() {
        let text = render(&case.request()).expect("it can be built");
        let file = folder().join(format!("{}.Dockerfile", case.name));
        if bless {
            fs::write(&file, &text).expect("it is written");
        }
        if fs::read_to_string(&file).is_ok_and(|expected| expected == text) {
            continue;
        }
        wrong.push(format!("--- {} is now\n{text}", file.display()));
    }
    assert!(
        wrong.is_empty(),
        "STAITHE_BLESS=1 cargo test -p staithe-image --test dockerfiles writes these:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn there_are_thirty_cases_and_no_file_without_one() {
    let cases: BTreeSet<String> =
        all().iter().map(|case| format!("{}.Dockerfile", case.name)).collect();
    assert!(cases.len() >= 30, "{}", cases.len());
    let files = fs::read_dir(folder()).expect("there is a folder");
    let names = files.map(|file| file.expect("it can be read").file_name());
    let files: BTreeSet<String> = names
        .map(|name| name.into_string().expect("a plain name"))
        .filter(|name| name.ends_with(".Dockerfile"))
        .collect();
    assert_eq!(files, cases);
}

#[test]
fn no_line_of_a_person_begins_an_instruction() {
    let known = ["#", "FROM ", "RUN ", "COPY ", "USER ", "ENV PATH=", "ARG ", " "];
    for case in all() {
        let text = render(&case.request()).expect("it can be built");
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(known.iter().any(|begin| line.starts_with(begin)), "{}: {line}", case.name);
            assert!(!line.contains("evil") || line.starts_with("RUN ["), "{}: {line}", case.name);
        }
    }
}

#[test]
fn a_chain_of_builds_makes_what_the_one_file_makes() {
    for case in all().into_iter().filter(|case| case.stages.len() == 3) {
        let whole = render(&case.request()).expect("it can be built");
        let mut parts = String::new();
        let mut base = case.base.as_str();
        for stage in &case.stages {
            let one = Case { base: base.to_owned(), stages: vec![*stage], ..case.clone() };
            let text = render(&one.request()).expect("it can be built");
            parts.push_str(&text[text.find("\nFROM").expect("there is one")..]);
            base = stage.as_str();
        }
        assert_eq!(&whole[whole.find("\nFROM").expect("there is one")..], parts, "{}", case.name);
    }
}
