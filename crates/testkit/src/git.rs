//! A git repository over HTTP on loopback, opened by a token: the plain files of one, as git's "dumb" protocol
//! reads them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::BASE64;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The most of a request's head that is read, in bytes.
const MOST_HEAD: u64 = 64 * 1024;

/// Serves until it is dropped.
pub struct GitServer {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    seen: Arc<Seen>,
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What was asked.
#[derive(Default)]
struct Seen {
    /// How often without the right token, and with it.
    counts: Mutex<[u64; 2]>,
    /// What was shown, right or wrong.
    shown: Mutex<Vec<String>>,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Git alone from this machine's own settings.
fn git(dir: &Path, words: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(words)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git is there: apt-get install git");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {words:?}: {said}");
}

impl GitServer {
    /// Makes `project.git` below a folder, with a file `a.txt` on `main` and a branch `other`, and serves it to who
    /// shows this user and token; to anybody when the token is empty.
    ///
    /// # Panics
    ///
    /// Where there is no git, or no room.
    pub async fn start(dir: &Path, user: &str, token: &str) -> Self {
        let work = dir.join("work");
        std::fs::create_dir_all(&work).expect("our own folder");
        git(&work, &["init", "--quiet"]);
        std::fs::write(work.join("a.txt"), "one\n").expect("our own file");
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "first"]);
        git(&work, &["checkout", "--quiet", "-b", "other"]);
        std::fs::write(work.join("a.txt"), "other\n").expect("our own file");
        git(&work, &["commit", "--quiet", "-am", "second"]);
        git(&work, &["checkout", "--quiet", "main"]);
        git(dir, &["clone", "--quiet", "--bare", "work", "project.git"]);
        git(&dir.join("project.git"), &["update-server-info"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let seen = Arc::new(Seen::default());
        let told = Arc::clone(&seen);
        let (held, gate) = watch::channel(false);
        let expected = (!token.is_empty())
            .then(|| format!("Basic {}", BASE64.encode(format!("{user}:{token}").as_bytes())));
        let root = dir.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (root, expected, told) = (root.clone(), expected.clone(), Arc::clone(&told));
                let gate = gate.clone();
                tokio::spawn(async move {
                    drop(answer(stream, &root, expected.as_deref(), &told, gate).await);
                });
            }
        });
        Self { url, seen, held, task }
    }

    /// Whether those who show the right token wait for their answer. [`counts`](Self::counts) has them already.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// How many requests came without the right token, and with it.
    pub fn counts(&self) -> [u64; 2] {
        *self.seen.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever was shown to be let in, as the header has it.
    pub fn shown(&self) -> Vec<String> {
        self.seen.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    stream: TcpStream,
    root: &Path,
    expected: Option<&str>,
    seen: &Seen,
    mut gate: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut path, mut shown) = (PathBuf::new(), None);
    let mut head = (&mut stream).take(MOST_HEAD);
    loop {
        let mut line = String::new();
        head.read_line(&mut line).await?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some(target) = line.strip_prefix("GET /") {
            let target = target.split([' ', '?']).next().unwrap_or_default();
            path = root.join(target.replace("..", ""));
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            shown = Some(value.to_owned());
        }
    }
    let is_open = expected.is_none_or(|expected| shown.as_deref() == Some(expected));
    seen.shown.lock().unwrap_or_else(PoisonError::into_inner).extend(shown);
    seen.counts.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(is_open)] += 1;
    if is_open {
        gate.wait_for(|held| !held).await.ok(); // the server is gone: answered all the same
    }
    let (status, body) = if !is_open {
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"", Vec::new())
    } else if let Ok(content) = std::fs::read(&path) {
        ("200 OK", content)
    } else {
        ("404 Not Found", Vec::new())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await
}
