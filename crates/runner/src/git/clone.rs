//! The repository that a session begins with: cloned beside its place and then moved there, so that there is all of
//! it or nothing, and what is there is never overwritten.
//!
//! What opens it goes to git over a pipe that this one run inherits, and that a credential helper reads once. It is
//! on no command line, in no environment and in no file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use staithe_protocol::{
    git::{GitCode, GitDenied},
    repository::RepositoryUrl,
    runner::{CloneWish, Cloned, Credential},
};
use tokio::time::timeout;

use super::run::{Git, Most};
use crate::app::App;

/// Of what git says while it clones.
const MOST_OUTPUT: usize = 64 * 1024;
/// Longest branch, and user with token, in bytes.
const MOST_TEXT: usize = 2000;
/// Moves the standard input, a pipe, to where the helper looks for it: git gives its own to nobody.
const WRAP: &str = r#"exec 3<&0 </dev/null; exec "$@""#;
/// Says what is in the pipe. Asked to keep or forget something, it does nothing.
const HELPER: &str = r#"!f() { test "$1" = get || exit 0; while IFS= read -r line; do printf '%s\n' "$line"; done <&3; }; f"#;
/// Over those of every run: the network may be reached, and still nobody is asked.
const ENVIRONMENT: [(&str, &str); 2] =
    [("GIT_ALLOW_PROTOCOL", "http:https:ssh"), ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")];

/// Clones into a folder of the workspace that has the repository's name.
pub async fn clone(app: &App, wish: &CloneWish, limit: Duration) -> Result<Cloned, GitDenied> {
    check(wish)?;
    let workspace = app.files.workspace();
    let (_, folder) = app
        .files
        .folder_at("")
        .map_err(|denied| GitDenied::new(GitCode::Failed, denied.message))?;
    let workspace_text = workspace.to_owned();
    let git = Git { shells: &app.shells, turns: &app.git, folder, workspace: workspace_text };
    let name = name_of(&wish.url);
    let timed_out = |_| {
        let text = format!("Cloning did not end in {} s.", limit.as_secs());
        GitDenied::new(GitCode::TimedOut, text)
    };
    timeout(limit, clone_to(&git, Path::new(workspace), &name, wish)).await.map_err(timed_out)?
}

async fn clone_to(
    git: &Git<'_>,
    workspace: &Path,
    name: &str,
    wish: &CloneWish,
) -> Result<Cloned, GitDenied> {
    let place = workspace.join(name);
    if fs::symlink_metadata(&place).is_ok() {
        return found(git, name, wish).await;
    }
    let draft = Draft(workspace.join(format!(".{name}.clone-{}", std::process::id())));
    draft.clear();
    let (command, input) = (command(git, &draft.0, wish)?, input(wish));
    git.run_command(command, &input, Most::Fail(MOST_OUTPUT)).await?.good()?;
    let commit = commit_of(git, &draft.0).await?;
    // An empty folder that came meanwhile is replaced, anything else stays.
    fs::rename(&draft.0, &place).map_err(|error| {
        GitDenied::new(GitCode::Exists, format!("{name} can't be put in place: {error}."))
    })?;
    Ok(Cloned { folder: name.to_owned(), commit, was_there: false })
}

/// What is there already: this repository, or something else.
async fn found(git: &Git<'_>, name: &str, wish: &CloneWish) -> Result<Cloned, GitDenied> {
    let words = ["-C", name, "config", "--local", "--get", "remote.origin.url"];
    let origin = git.run(&words, Most::Fail(MOST_OUTPUT)).await?;
    if origin.code == 0 && origin.output.trim_ascii() == wish.url.as_bytes() {
        let commit = commit_of(git, Path::new(name)).await?;
        return Ok(Cloned { folder: name.to_owned(), commit, was_there: true });
    }
    let text = format!("{name} is in the workspace already, and is no clone of this repository.");
    Err(GitDenied::new(GitCode::Exists, text))
}

/// Empty before the first commit.
async fn commit_of(git: &Git<'_>, folder: &Path) -> Result<String, GitDenied> {
    let folder = folder.to_string_lossy();
    let words = ["-C", &folder, "rev-parse", "--verify", "-q", "HEAD"];
    let said = git.run(&words, Most::Fail(1024)).await?;
    Ok(String::from_utf8_lossy(said.output.trim_ascii()).into_owned())
}

fn command(git: &Git<'_>, draft: &Path, wish: &CloneWish) -> Result<Command, GitDenied> {
    let draft = draft.to_string_lossy();
    // Helpers of the sandbox's own configuration would keep what they are told.
    let mut words = vec!["-c".to_owned(), "credential.helper=".to_owned()];
    if let Some(url) = RepositoryUrl::read(&wish.url).filter(|_| wish.credential.is_some()) {
        let of_host = format!("credential.{}.helper={HELPER}", url.origin());
        words.extend(["-c".to_owned(), of_host]);
    }
    words.extend(["clone", "--quiet"].map(str::to_owned));
    if let Some(branch) = &wish.branch {
        words.extend(["--branch".to_owned(), branch.clone()]);
    }
    words.extend(["--".to_owned(), wish.url.clone(), draft.into_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut plain = git.command(&git.program()?, &words);
    plain.envs(ENVIRONMENT);
    Ok(if wish.credential.is_some() { piped(&plain) } else { plain })
}

/// The same command with its standard input as descriptor 3.
fn piped(plain: &Command) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WRAP, "sh"]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the helper says, in git's own form.
fn input(wish: &CloneWish) -> Vec<u8> {
    let Some(Credential { user, token }) = &wish.credential else { return Vec::new() };
    format!("username={user}\npassword={}\n", token.expose()).into_bytes()
}

/// A folder that goes with this value.
struct Draft(PathBuf);

impl Draft {
    fn clear(&self) {
        fs::remove_dir_all(&self.0).ok(); // mostly it is not there
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The last part of a URL, as a folder's name.
fn name_of(url: &str) -> String {
    let path = url.trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    let name = last.strip_suffix(".git").unwrap_or(last);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name: String = name.chars().filter(|c| plain(*c)).take(100).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "repository".to_owned() } else { name.to_owned() }
}

fn check(wish: &CloneWish) -> Result<(), GitDenied> {
    let text = |text: &str| {
        !text.is_empty()
            && text.len() <= MOST_TEXT
            && !text.starts_with('-')
            && !text.contains(char::is_control)
    };
    let url = RepositoryUrl::read(&wish.url);
    let branch = wish.branch.as_deref().is_none_or(text);
    let credential = wish.credential.as_ref().is_none_or(|credential| {
        text(&credential.user)
            && text(credential.token.expose())
            && url.is_some_and(|url| url.keeps_secrets())
    });
    if url.is_some() && branch && credential {
        return Ok(());
    }
    Err(GitDenied::new(GitCode::Failed, "This is no repository that can be cloned."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_repositorys_name() {
        for (url, name) in [
            ("https://h/a/b.git", "b"),
            ("git@h:a/b.c", "b.c"),
            ("https://h/a/.git/", "repository"),
            ("https://h/..", "repository"),
            ("https://h/a/x y%20", "xy20"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
    }

    #[test]
    fn a_secret_goes_to_the_urls_own_host_over_http_alone() {
        let token = staithe_protocol::secret::Secret::new("token-1");
        let credential = Some(Credential { user: "ann".into(), token });
        let wish =
            |url: &str| CloneWish { url: url.into(), branch: None, credential: credential.clone() };
        for (url, good) in [
            ("https://h:1/a", true),
            ("http://127.0.0.1:1/a", true),
            ("http://h/a", false),
            ("ssh://h/a", false),
            ("https://u:p@h/a", false),
            ("--upload-pack=x", false),
        ] {
            assert_eq!(check(&wish(url)).is_ok(), good, "{url}");
        }
        for url in ["ssh://ann:secret@h/a", "https://ann:secret@h/a"] {
            let wish = CloneWish { credential: None, ..wish(url) };
            assert!(check(&wish).is_err(), "{url}: it would stand in .git/config");
        }
        assert!(!format!("{:?}", wish("https://h/a")).contains("token-1"));
    }
}
