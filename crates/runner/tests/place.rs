//! Where the runner finds itself: users, folders, the environment, TCP.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

use common::{KEY, Runner, check, eventually};
use staithe_protocol::runner::{Answer, Call};

/// Most of this needs root, as which CI runs.
fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("NOT RUN: {test} needs root");
    }
    is_root
}

/// The exit code and the words of a runner that can't start.
fn refused(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_staithe-runner"))
        .args(["serve", "--key-stdin", "--socket-dir"])
        .arg(dir.join("socket"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(writeln!(child.stdin.take().expect("a pipe"), "{KEY}")); // it may not read it
    let output = child.wait_with_output().expect("a child");
    let words = String::from_utf8(output.stderr).expect("a text");
    assert_eq!(words.lines().count(), 1, "{words}");
    (output.status.code(), words)
}

#[tokio::test]
async fn every_thread_becomes_the_user_for_good() {
    if !is_root("every_thread_becomes_the_user_for_good") {
        return;
    }
    let runner = Runner::start_as("31234:31235", |_| {}).await;
    let mut line = runner.line().await;
    // Threads for files are made later.
    let op = serde_json::from_value(serde_json::json!({ "op": "mkdir", "path": "d" })).unwrap();
    line.file(op).await.unwrap();
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", runner.pid())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid:"), "31234 31234 31234 31234");
        assert_eq!(field("Gid:"), "31235 31235 31235 31235");
        assert_eq!(field("Groups:"), "");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000");
        }
        threads += 1;
    }
    assert!(threads > 1, "a thread for files is there");
    let ran = line.run("id -u; id -g; id -G; touch mine; stat -c %u . mine d").await;
    check(&ran, 0, "31234\n31235\n31235\n31234\n31234\n31234");
    let ran = line.run("echo \"$HOME ${USER-none} ${LOGNAME-none}\"").await;
    check(&ran, 0, &format!("{} none none", runner.workspace().display()));
    assert_eq!(ran.metadata.username.as_deref(), Some("31234"));
    // The key is in there.
    for file in ["environ", "mem", "maps"] {
        let ran = line.run(&format!("cat /proc/{}/{file}", runner.pid())).await;
        assert!(ran.exit_code != 0 && ran.content.contains("denied"), "{file}: {ran:?}");
    }
}

#[tokio::test]
async fn a_name_brings_its_home_and_its_groups() {
    if !is_root("a_name_brings_its_home_and_its_groups") {
        return;
    }
    let runner = Runner::start_as("daemon", |command| {
        command.env("HOME", "/root").env("USER", "root").env("LOGNAME", "root");
        command.env("SHELL", "/roots/shell").env_remove("PATH");
    })
    .await;
    let mut line = runner.line().await;
    let ran = line.run("id -un; echo $USER $LOGNAME $HOME").await;
    check(&ran, 0, "daemon\ndaemon daemon /usr/sbin");
    assert_eq!(ran.metadata.username.as_deref(), Some("daemon"));
    let ran = line.run("[ -x $SHELL ] && echo $PATH").await;
    check(&ran, 0, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

#[tokio::test]
async fn what_is_missing_is_filled_in_for_the_own_user() {
    if !is_root("what_is_missing_is_filled_in_for_the_own_user") {
        return;
    }
    let runner = Runner::start_with(|command| {
        command.env_clear().env("LOGNAME", "kept");
    })
    .await;
    let mut line = runner.line().await;
    check(&line.run("echo $HOME $USER $LOGNAME").await, 0, "/root root kept");
}

#[tokio::test]
async fn folders_are_made_and_given_only_where_they_are_new() {
    if !is_root("folders_are_made_and_given_only_where_they_are_new") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("full");
    fs::create_dir_all(full.join("of/something")).unwrap();
    let full_name = full.to_str().unwrap().to_owned();
    let runner = Runner::start_as("31234", |command| {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        command.args(["--workspace", &full_name]);
    })
    .await;
    let state = fs::metadata(runner.dir.path().join("state")).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (31234, 0o700));
    assert_eq!(fs::metadata(&full).unwrap().uid(), 0, "somebody used it");
    drop(runner);

    let made = dir.path().join("not/there/yet");
    let made_name = made.to_str().unwrap().to_owned();
    let runner = Runner::start_as("31234", |command| {
        command.args(["--workspace", &made_name]);
    })
    .await;
    let mut line = runner.line().await;
    check(&line.run("pwd; touch a").await, 0, &made.canonicalize().unwrap().to_string_lossy());
    assert_eq!(fs::metadata(&made).unwrap().uid(), 31234);
    let parent = fs::metadata(made.parent().unwrap()).unwrap();
    assert_eq!((parent.uid(), parent.mode() & 0o777), (0, 0o755));
}

#[tokio::test]
async fn the_socket_is_the_users_or_open_to_all() {
    if !is_root("the_socket_is_the_users_or_open_to_all") {
        return;
    }
    for (open, uid, mode) in [(false, 31234, 0o600), (true, 31234, 0o666)] {
        let runner = Runner::start_as("31234", |command| {
            if open {
                command.arg("--open-socket");
            }
        })
        .await;
        let socket = fs::metadata(runner.dir.path().join("socket/runner.sock")).unwrap();
        assert!(socket.file_type().is_socket());
        assert_eq!((socket.uid(), socket.mode() & 0o777), (uid, mode), "{open}");
        check(&runner.line().await.run("umask").await, 0, "0002");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_told_with_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("file"), "").unwrap();
    let good = ["--workspace", &at("work"), "--state-dir", &at("state")];
    for (code, wanted, arguments) in [
        (78, "there is no user \"nobody here\"", [&good[..], &["--user", "nobody here"]].concat()),
        (78, "there is no group \"none\"", [&good[..], &["--user", "1:none"]].concat()),
        (78, "can't be made", vec!["--workspace", &at("file/w"), "--state-dir", &at("state")]),
        (78, "can't be made", vec!["--workspace", &at("work"), "--state-dir", &at("file")]),
        (78, "can't be made", [&good[..], &["--socket-dir", &at("file/s")]].concat()),
        (71, "can't listen on 192.0.2.1:1", [&good[..], &["--listen", "192.0.2.1:1"]].concat()),
        (64, "is no ADDR:PORT", [&good[..], &["--listen", "here"]].concat()),
    ] {
        let (got, words) = refused(dir.path(), &arguments);
        assert_eq!(got, Some(code), "{words}");
        assert!(words.contains(wanted), "{words}");
    }
}

#[tokio::test]
async fn a_server_may_come_by_tcp() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let runner = Runner::start_with(|command| {
        command.args(["--listen", &address.to_string()]);
    })
    .await;
    check(&runner.line().await.run("echo by the socket").await, 0, "by the socket");
    let stream =
        eventually("it listens", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    for (key, status) in [(KEY, 200), ("wrong", 403)] {
        let request = hyper::Request::post("/list_files")
            .header(staithe_protocol::runner::KEY_HEADER, key)
            .body(http_body_util::Full::new(bytes::Bytes::from("{}")))
            .unwrap();
        assert_eq!(send.send_request(request).await.unwrap().status(), status);
    }
    connection.abort();
}

#[tokio::test]
async fn a_runner_without_a_key_yet_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_staithe-runner"))
        .args(["serve", "--key-stdin", "--socket-dir"])
        .arg(dir.path().join("socket"))
        .arg("--workspace")
        .arg(dir.path().join("work"))
        .arg("--state-dir")
        .arg(dir.path().join("state"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let socket = dir.path().join("socket/runner.sock");
    eventually("the socket is there", async || socket.exists().then_some(())).await;
    let pid = rustix::process::Pid::from_child(&child);
    // The signals are watched for soon after.
    let watched = format!("/proc/{}/status", child.id());
    eventually("it watches for signals", async || {
        let status = fs::read_to_string(&watched).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught >> 14 & 1 == 1).then_some(())
    })
    .await;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[tokio::test]
async fn no_orphan_stays_a_zombie() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let orphans = "for i in 1 2 3 4 5 6 7 8 9; do (setsid sh -c \"echo o; exit $i\" &); done; (sh -c 'kill -9 $$' &)";
    check(&line.run(&format!("{{ {orphans}; }} >/dev/null")).await, 0, "");
    let ours = format!(" {} ", runner.pid());
    eventually("all are reaped", async || {
        let stats = fs::read_dir("/proc").unwrap().flatten();
        let mut stats = stats.filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some(stat.rsplit_once(')')?.1.to_owned())
        });
        let is_zombie = |stat: String| stat.starts_with(" Z") && stat[2..].starts_with(&ours);
        (!stats.any(is_zombie)).then_some(())
    })
    .await;
    check(&line.run("echo on").await, 0, "on");
}

fn env(pairs: &[(&str, &str)]) -> Call {
    let env: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Call::Configure { env }
}

#[tokio::test]
async fn a_configured_environment_is_that_of_shells_from_now_on() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let configured = line.call(env(&[("GREETING", "hi =there"), ("PAGER", "more")])).await;
    assert_eq!(configured, Answer::Configured {});
    let ran = line.run("sh -c 'echo $GREETING $PAGER'").await;
    check(&ran, 0, "hi =there more");
    let pid = ran.metadata.pid;
    // The shell was used: it stays as it is. Others are new, and so is its successor.
    assert_eq!(line.call(env(&[("OTHER", "1")])).await, Answer::Configured {});
    let ran = line.run("echo $GREETING $OTHER").await;
    check(&ran, 0, "hi =there");
    assert_eq!(ran.metadata.pid, pid);
    let aside =
        common::run(&serde_json::json!({ "command": "echo $GREETING $OTHER", "is_static": true }));
    assert_eq!(line.act(aside).await.content(), "1");
    line.run("exit").await;
    check(&line.run("echo $GREETING $OTHER $PAGER").await, 0, "1 cat");
}

#[tokio::test]
async fn configuring_anew_starts_an_unused_shell_anew_and_the_same_changes_nothing() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for value in ["1", "2", "2"] {
        assert_eq!(line.call(env(&[("A", value)])).await, Answer::Configured {});
    }
    let ran = line.run("echo $A").await;
    check(&ran, 0, "2");
    assert_eq!(ran.metadata.prefix, "");
    assert_eq!(line.call(env(&[("A", "2")])).await, Answer::Configured {});
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("B", "\0")] {
        match line.call(env(&[(name, value), ("C", "1")])).await {
            Answer::Failed { error } => assert_eq!(error.code, "bad_request"),
            other => panic!("{name:?}: {other:?}"),
        }
    }
    line.run("exit").await;
    check(&line.run("echo $A $C").await, 0, "2");
}
