//! Files of a workspace, and what is told of them.

use super::*;
use crate::prompt::Repository;

fn file(name: &str, text: &str) -> Found {
    Found { path: format!("/w/{name}"), text: text.to_owned(), cut: false }
}

fn microagent(name: &str, text: &str) -> Found {
    file(&format!(".openhands/microagents/{name}.md"), text)
}

#[test]
fn the_repository_goes_before_the_workspace_and_is_looked_at_once() {
    let file = |path: &str| Place::File(path.to_owned());
    let both = places("/w/", Some("/w/r"));
    assert_eq!(both.len(), 6);
    assert_eq!(both[0], file("/w/r/AGENTS.md"));
    assert_eq!(both[3], file("/w/AGENTS.md"));
    assert_eq!(both[5], Place::Folder("/w/.openhands/microagents".into()));
    assert_eq!(places("/w", Some("/w/")).len(), 3);
    assert_eq!(places("/", None)[0], file("/AGENTS.md"));
}

#[test]
fn what_has_no_triggers_is_always_told_with_its_file() {
    let all = Instructions::read(&[
        file("AGENTS.md", "---\nnot: a head here\n---\nRun make.\n"),
        file(".openhands_instructions", "Use tabs."),
        microagent(
            "repo",
            "---\nname: repo\ntype: repo\nagent: CodeActAgent\nversion: 1.0.0\n---\nBe brief.",
        ),
        microagent("empty", "---\nname: empty\n---\n"),
        microagent("git", "---\ntriggers: [push]\n---\nNever force."),
    ]);
    let facts = Facts {
        working_dir: "/w".into(),
        date: Some("2026-11-26".into()),
        repository: Some(Repository { name: "o/r".into(), directory: "/w/r".into(), branch: None }),
        ..Facts::default()
    };
    let recall = all.workspace(&facts);
    assert_eq!(
        recall.repo_instructions,
        "# /w/AGENTS.md\n---\nnot: a head here\n---\nRun make.\n\n# /w/.openhands_instructions\nUse tabs.\n\n# /w/.openhands/microagents/repo.md\nBe brief."
    );
    assert_eq!((recall.repo_name.as_str(), recall.working_dir.as_str()), ("o/r", "/w"));
    assert_eq!((recall.content.as_str(), all.faults()), ("Added workspace context", [].as_slice()));
}

#[test]
fn knowledge_is_called_by_a_word_of_the_message_once() {
    let all = Instructions::read(&[
        microagent(
            "git",
            "---\nname: Git\ntype: knowledge\ntriggers:\n- git\n- Pull Request\n---\nNever force.",
        ),
        microagent("c", "---\ntriggers: ['c++', /deploy, 发布]\n---\nC."),
        microagent("ever", "---\ntriggers: [\"\"]\n---\nEver."),
    ]);
    let mut told = Told::default();
    told.take(&Observation::Recall(all.called_by("x", &told).unwrap())); // what is always called
    for (message, triggers) in [
        ("a digit", vec![]),
        ("git_dir", vec![]),
        ("GIT!", vec!["git"]),
        ("open a pull request.", vec!["Pull Request"]),
        ("use C++", vec!["c++"]),
        ("please /deploy it", vec!["/deploy"]),
        ("/deployment", vec![]),
        ("请发布新版本", vec!["发布"]),
        ("git and c++", vec!["git", "c++"]),
        ("", vec![]),
    ] {
        let called = all.called_by(message, &told).map(|recall| recall.microagent_knowledge);
        let found: Vec<String> =
            called.unwrap_or_default().into_iter().map(|known| known.trigger).collect();
        assert_eq!(found, triggers, "{message}");
    }
    let first = all.called_by("git", &told).unwrap();
    assert_eq!(first.microagent_knowledge[0].name, "Git");
    told.take(&Observation::Recall(first));
    assert_eq!(all.called_by("git", &told), None);
}

#[test]
fn what_is_wrong_is_told_and_the_rest_is_used() {
    let all = Instructions::read(&[
        microagent("open", "---\nname: x\n"),
        microagent("kind", "---\ntype: magic\n---\nx"),
        microagent("none", "---\ntype: knowledge\n---\nx"),
        microagent("word", "---\ntriggers: push\n---\nx"),
        microagent("one", "---\nname: same\ntriggers: [a]\n---\nx"),
        microagent("two", "---\nname: same\ntriggers: [b]\n---\nx"),
        microagent("long", &format!("---\ntriggers: [{}]\n---\nx", "t".repeat(101))),
        Found { cut: true, ..file("AGENTS.md", "Run make.") },
    ]);
    let said: Vec<String> = all.faults().iter().map(ToString::to_string).collect();
    for (at, words) in [
        "open.md:1: the closing",
        "kind.md:1: `type` has to be",
        "none.md:1: `type: knowledge` needs `triggers`",
        "word.md:1: `triggers` has to be a list",
        "two.md:1: there is other knowledge called `same`",
        "long.md:1: a trigger has more than 100",
        "AGENTS.md:1: only its first 64 KiB",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(said[at].contains(words), "{said:?}");
    }
    let recall = all.workspace(&Facts::default());
    assert!(recall.repo_instructions.contains("Run make."));
    assert!(recall.content.contains("\nNot used: /w/.openhands/microagents/open.md:1:"));
    assert!(!all.is_empty() && Instructions::read(&[]).is_empty());
}

#[test]
fn long_files_are_cut_with_a_note() {
    let long = "x".repeat(50_000);
    let all = Instructions::read(&[
        file("AGENTS.md", &long),
        file(".openhands_instructions", &long),
        microagent("a", &long),
        microagent("k", &format!("---\ntriggers: [k]\n---\n{long}")),
    ]);
    let told = all.workspace(&Facts::default()).repo_instructions;
    assert!(told.len() < MOST_ALWAYS + 300 && told.contains("read the files for the rest"));
    let known = all.called_by("k", &Told::default()).unwrap().microagent_knowledge;
    assert!(known[0].content.contains("read /w/.openhands/microagents/k.md for the rest"));
    assert!(known[0].content.len() < MOST_TOLD + 300);
}
