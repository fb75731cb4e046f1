//! The repository that a session begins with: a real runner, the machine's own git, a server on loopback.

mod common;
#[path = "../../testkit/src/git.rs"]
#[expect(
    unreachable_pub,
    reason = "the tests' own server, of the room that this one does not depend on"
)]
mod git;

use std::{fs, path::Path};

use common::Runner;
use git::GitServer;
use staithe_protocol::{
    git::GitCode,
    runner::{Answer, Call, CloneWish, Cloned, Credential},
    secret::Secret,
};

const TOKEN: &str = "ghp-token-that-nobody-sees";

fn wish(server: &GitServer, branch: Option<&str>, token: Option<&str>) -> CloneWish {
    CloneWish {
        url: format!("{}/project.git", server.url),
        branch: branch.map(str::to_owned),
        credential: token
            .map(|token| Credential { user: "x-access-token".into(), token: Secret::new(token) }),
    }
}

async fn ask(runner: &Runner, wish: CloneWish) -> Result<Cloned, GitCode> {
    let mut line = runner.line().await;
    match line.call(Call::Clone { wish, timeout_ms: 60_000 }).await {
        Answer::Cloned { cloned } => Ok(cloned),
        Answer::NotCloned { denied } => {
            assert!(!denied.message.contains(TOKEN), "{denied}");
            Err(denied.code)
        }
        other => panic!("{other:?}"),
    }
}

/// Every file below a folder that has these bytes in it, or in its name.
fn holding(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let text = path.to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(holding(&path, needle));
        } else if let Ok(content) = fs::read(&path)
            && content.windows(needle.len()).any(|window| window == needle.as_bytes())
        {
            found.push(text);
        }
    }
    found
}

#[tokio::test]
async fn a_token_opens_a_repository_and_is_left_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let server = GitServer::start(dir.path(), "x-access-token", TOKEN).await;
    let runner = Runner::start().await;
    server.hold(true);
    let clone = ask(&runner, wish(&server, Some("other"), Some(TOKEN)));
    let look = async {
        while server.counts()[1] == 0 {
            tokio::task::yield_now().await;
        }
        // Git waits for its answer, and the token is in use. What a command sees of the sandbox then; the command
        // itself must not have the words that it looks for.
        let all = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'";
        let count = |words: &str| format!("{all} | grep -c '{words}'; ");
        let mut line = runner.line().await;
        let seen = line.run(&[count("project[.]git"), count("nobody-[s]ees")].concat()).await;
        let counts: Vec<u32> = seen.content.lines().map(|line| line.parse().unwrap()).collect();
        assert!(counts[0] > 0, "git is at work: {}", seen.content);
        assert_eq!(counts[1], 0, "the token is on no command line and in no environment");
        assert_eq!(holding(runner.workspace().parent().unwrap(), TOKEN), Vec::<String>::new());
        server.hold(false);
    };
    let cloned = tokio::join!(clone, look).0.unwrap();
    assert_eq!((cloned.folder.as_str(), cloned.was_there), ("project", false));
    assert_eq!(cloned.commit.len(), 40, "{cloned:?}");
    let work = runner.workspace();
    assert_eq!(fs::read_to_string(work.join("project/a.txt")).unwrap(), "other\n");
    let [without, with] = server.counts();
    assert!(without >= 1 && with >= 1, "it was asked first, then shown: {without}, {with}");
    let config = fs::read_to_string(work.join("project/.git/config")).unwrap();
    assert!(config.contains(&server.url) && !config.contains("helper"), "{config}");
    assert_eq!(holding(work.parent().unwrap(), TOKEN), Vec::<String>::new());
    let mut line = runner.line().await;
    let kept = line.run("git config --list --show-origin | grep -c 'nobody-[s]ees'").await;
    assert_eq!(kept.content.trim(), "0");
    let names: Vec<_> = fs::read_dir(&work).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(names, ["project"], "no draft is left");
}

#[tokio::test]
async fn a_second_time_finds_it_and_something_else_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let server = GitServer::start(dir.path(), "", "").await;
    let runner = Runner::start().await;
    let first = ask(&runner, wish(&server, None, None)).await.unwrap();
    let work = runner.workspace();
    fs::write(work.join("project/mine.txt"), "mine").unwrap();
    let again = ask(&runner, wish(&server, Some("other"), None)).await.unwrap();
    assert_eq!(again, Cloned { was_there: true, ..first });
    assert_eq!(server.shown(), Vec::<String>::new());
    assert_eq!(fs::read_to_string(work.join("project/a.txt")).unwrap(), "one\n");
    fs::rename(work.join("project"), work.join("elsewhere")).unwrap();
    fs::create_dir(work.join("project")).unwrap();
    fs::write(work.join("project/b.txt"), "b").unwrap();
    assert_eq!(ask(&runner, wish(&server, None, None)).await, Err(GitCode::Exists));
    assert_eq!(fs::read_to_string(work.join("project/b.txt")).unwrap(), "b");
}

#[tokio::test]
async fn what_cannot_be_had_is_told_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = GitServer::start(dir.path(), "x-access-token", TOKEN).await;
    let runner = Runner::start().await;
    for (branch, token) in [(None, None), (None, Some("wrong-token")), (Some("none"), Some(TOKEN))]
    {
        assert_eq!(ask(&runner, wish(&server, branch, token)).await, Err(GitCode::Failed));
    }
    for url in ["file:///", "ssh://ann:secret@127.0.0.1/a", "https://ann:secret@127.0.0.1/a"] {
        let wish = CloneWish { url: url.into(), branch: None, credential: None };
        assert_eq!(ask(&runner, wish).await, Err(GitCode::Failed), "{url}");
    }
    let none = fs::read_dir(runner.workspace()).unwrap().count();
    assert_eq!(none, 0);
}
