//! Terminals, as a server has them from a runner.

mod common;
mod emulator;

use common::{
    Runner, eventually,
    terminals::{Came, words},
};
use emulator::Emulator;
use hyper::StatusCode;
use serde_json::json;
use staithe_protocol::terminal::{
    Driving, MAX_INPUT, RING, TerminalNews, TerminalSettings, TerminalSize,
};

#[tokio::test]
async fn a_shell_is_typed_to_resized_and_left() {
    let runner = Runner::start_with(|command| {
        command.env("SHELL", "/bin/bash").env("HOME", "/nonexistent").env("PS1", "> ");
    })
    .await;
    let info = runner.open(&json!({ "cols": 40, "rows": 10 })).await;
    assert_eq!((info.id, info.name.as_str(), info.exit.as_ref()), (1, "bash", None));
    let mut client = runner.follow(info.id, "client=a").await;
    let opened = client.opened.clone().expect("opened");
    assert_eq!((opened.0.size, opened.1.as_str()), (TerminalSize { cols: 40, rows: 10 }, "a"));
    client.send("stty size; echo $TERM; pwd; tty | sed 's/[0-9]*$/N/'\n").await;
    client.shows("10 40\r\nxterm-256color\r\n").await;
    client.shows(&format!("{}\r\n/dev/pts/N\r\n", runner.workspace().display())).await;
    client
        .send("(trap 'echo winch $(stty size); exit' WINCH; echo ar\"\"med; while :; do sleep 0.02; done)\n")
        .await;
    client.shows("armed").await;
    let resize = json!({ "ask": "resize", "cols": 100, "rows": 30, "client": "a" });
    assert_eq!(runner.ask(info.id, &resize).await.0, StatusCode::OK);
    let told = client.until(|news| matches!(news, TerminalNews::Size { .. })).await;
    let TerminalNews::Size { size, .. } = told else { panic!("a size") };
    assert_eq!(size, TerminalSize { cols: 100, rows: 30 });
    client.shows("winch 30 100").await;
    client.send("printf '\\033]2;the title\\007'\n").await;
    let told = client.until(|news| matches!(news, TerminalNews::Title { .. })).await;
    assert_eq!(told, TerminalNews::Title { title: "the title".into(), name: "bash".into() });
    client.send("exit 7\n").await;
    let exit = client.read_to_end().await;
    assert_eq!((exit.code, exit.signal), (7, None));
    assert_eq!(runner.terminals().await[0].exit, Some(exit));
    // Who comes late sees the last screen and the end.
    let mut late = runner.follow(info.id, "client=b").await;
    late.shows("winch 30 100").await;
    assert_eq!(late.read_to_end().await.code, 7);
    assert_eq!(runner.ask(info.id, &json!({ "ask": "close" })).await.0, StatusCode::OK);
    assert_eq!(runner.terminals().await, []);
}

#[tokio::test]
async fn a_command_has_its_folder_its_environment_and_its_signal() {
    let runner = Runner::start_with(|command| {
        command.env_remove("LANG").env_remove("LC_ALL").env_remove("LC_CTYPE");
    })
    .await;
    let mut line = runner.line().await;
    let env = [("GIVEN".to_owned(), "by the server".to_owned())].into();
    line.call(staithe_protocol::runner::Call::Configure { env }).await;
    std::fs::create_dir(runner.workspace().join("sub")).expect("a folder");
    let command = "echo \"$GIVEN $LANG ${PWD##*/}\"; kill -TERM $$";
    let info = runner.open(&json!({ "command": command, "cwd": "sub", "name": "mine" })).await;
    assert_eq!(info.name, "mine");
    let mut client = runner.follow(info.id, "from=0").await.at(0);
    let exit = client.read_to_end().await;
    assert_eq!(client.live, b"by the server C.UTF-8 sub\r\n");
    assert_eq!((exit.code, exit.signal), (143, Some(15)));
    for (new, code) in [
        (json!({ "cwd": "none" }), "terminal.not_started"),
        (json!({ "command": [] }), "terminal.malformed"),
        (json!({ "command": ["a\u{0}b"] }), "terminal.malformed"),
        (json!({ "command": "x".repeat(40_000) }), "terminal.malformed"),
        (json!({ "cols": 0 }), "terminal.malformed"),
        (json!({ "rows": 1001 }), "terminal.malformed"),
        (json!({ "name": "" }), "terminal.malformed"),
        (json!({ "name": "a\nb" }), "terminal.malformed"),
    ] {
        let (status, body) = runner.post("/terminals", &new).await;
        assert!(status.is_client_error(), "{new}: {body}");
        assert_eq!(body["code"], code, "{new}");
    }
    let unknown = runner.ask(99, &json!({ "ask": "close" })).await;
    assert_eq!(unknown, (StatusCode::NOT_FOUND, "terminal.unknown".into()));
    let (status, _) = runner.post("/terminals", &json!({ "colour": 1 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn there_are_so_many_and_ended_ones_make_room() {
    let runner = Runner::start().await;
    runner.keep_terminals(TerminalSettings { max: 50, ..TerminalSettings::default() }).await;
    for _ in 0..50 {
        runner.open(&words(&["cat"])).await;
    }
    let (status, body) = runner.post("/terminals", &words(&["cat"])).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &"terminal.too_many".into())
    );
    assert_eq!(runner.terminals().await.len(), 50);
    let mut one = runner.follow(17, "").await;
    one.send("\x04").await;
    assert_eq!(one.read_to_end().await.code, 0);
    assert_eq!(runner.open(&words(&["cat"])).await.id, 51);
    let ids: Vec<u32> = runner.terminals().await.iter().map(|info| info.id).collect();
    assert!(ids.len() == 50 && !ids.contains(&17), "{ids:?}");
}

#[tokio::test]
async fn an_ended_one_is_kept_for_a_while_only() {
    let runner = Runner::start().await;
    let settings = TerminalSettings { keep_ended_ms: 100, ..TerminalSettings::default() };
    runner.keep_terminals(settings).await;
    runner.open(&words(&["true"])).await;
    eventually("it is forgotten", async || runner.terminals().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_stubborn_program_is_killed_after_the_grace_and_what_it_began_in_front() {
    let runner = Runner::start().await;
    let settings = TerminalSettings { grace_ms: 300, ..TerminalSettings::default() };
    runner.keep_terminals(settings).await;
    let info = runner
        .open(&json!({ "command": "trap '' HUP TERM INT; echo on; while :; do sleep 1000; done" }))
        .await;
    let mut client = runner.follow(info.id, "").await;
    client.shows("on").await;
    assert_eq!(runner.ask(info.id, &json!({ "ask": "close" })).await.0, StatusCode::OK);
    assert_eq!(client.read_to_end().await.signal, Some(9));
    // A shell that goes at once leaves nobody behind in its foreground.
    let info = runner.open(&words(&["bash", "--norc", "-i"])).await;
    let mut client = runner.follow(info.id, "").await;
    client
        .send("(trap '' HUP; echo $((6*7))stubborn $BASHPID; while :; do sleep 1000; done)\n")
        .await;
    client.shows("42stubborn ").await;
    client.shows("\r\n").await;
    let shown = String::from_utf8_lossy(&client.screen).into_owned();
    let pid = shown.split("42stubborn ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let process = format!("/proc/{}", pid.expect("a process"));
    assert!(std::path::Path::new(&process).exists());
    runner.ask(info.id, &json!({ "ask": "close" })).await;
    client.read_to_end().await;
    let gone = async || (!std::path::Path::new(&process).exists()).then_some(());
    eventually("what ran in front is gone", gone).await;
}

#[tokio::test]
async fn bytes_are_verbatim_both_ways() {
    let runner = Runner::start().await;
    let info = runner.open(&json!({ "command": "stty raw -echo; echo ready; exec cat" })).await;
    let mut client = runner.follow(info.id, "from=0").await.at(0);
    client.shows("ready").await;
    let all: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
    for piece in all.chunks(4096) {
        client.send(piece.to_vec()).await;
    }
    while client.live.len() < all.len() + 6 {
        assert!(!matches!(client.next().await, Came::End));
    }
    assert_eq!(client.live[client.live.len() - all.len()..], all);
}

#[tokio::test]
async fn input_that_nobody_reads_is_refused_beyond_a_bound_and_nothing_else_waits() {
    let runner = Runner::start().await;
    let info =
        runner.open(&json!({ "command": "stty raw -echo; echo ready; exec sleep 1000" })).await;
    let mut client = runner.follow(info.id, "client=a").await;
    client.shows("ready").await;
    let before = runner.resident();
    let piece = vec![b'x'; MAX_INPUT / 4];
    let mut refused = 0;
    for _ in 0..200 {
        client.send(piece.clone()).await;
    }
    while refused < 190 * piece.len() as u64 {
        let news = client.until(|news| matches!(news, TerminalNews::Refused { .. })).await;
        let TerminalNews::Refused { code, bytes, .. } = news else { panic!("refused") };
        assert_eq!(code, "terminal.input_full");
        refused += bytes;
    }
    assert!(runner.resident() < before + 4 * 1024 * 1024, "{}", runner.resident() - before);
    let other = runner.open(&json!({ "command": "echo here" })).await;
    runner.follow(other.id, "").await.shows("here").await;
    runner.ask(info.id, &json!({ "ask": "close" })).await;
    client.read_to_end().await;
}

#[tokio::test]
async fn one_drives_when_it_asks_and_viewers_only_watch() {
    let runner = Runner::start().await;
    let info = runner.open(&words(&["cat"])).await;
    let mut a = runner.follow(info.id, "client=a").await;
    let mut b = runner.follow(info.id, "client=b").await;
    let mut viewer = runner.try_follow(info.id, "client=v").await;
    viewer.send("no\n").await;
    let refused = |code: &'static str| move |news: &TerminalNews| matches!(news, TerminalNews::Refused { code: c, .. } if c == code);
    viewer.until(refused("terminal.watch_only")).await;
    b.send("free\n").await;
    a.shows("free").await;
    let drive =
        |client: &str, drive: bool| json!({ "ask": "drive", "client": client, "drive": drive });
    assert_eq!(runner.ask(info.id, &drive("a", true)).await.0, StatusCode::OK);
    for client in [&mut a, &mut b] {
        let told = client.until(|news| matches!(news, TerminalNews::Driver { .. })).await;
        assert_eq!(told, TerminalNews::Driver { driver: Some("a".into()) });
    }
    b.send("refused\n").await;
    b.until(refused("terminal.not_driver")).await;
    let not_driver = (StatusCode::CONFLICT, "terminal.not_driver".into());
    assert_eq!(runner.ask(info.id, &drive("b", true)).await, not_driver);
    let resize = json!({ "ask": "resize", "cols": 10, "rows": 10, "client": "b" });
    assert_eq!(runner.ask(info.id, &resize).await, not_driver);
    a.send("taken\n").await;
    b.shows("taken").await;
    assert!(!String::from_utf8_lossy(&b.screen).contains("refused"));
    assert_eq!(runner.ask(info.id, &drive("a", false)).await.0, StatusCode::OK);
    b.until(|news| *news == TerminalNews::Driver { driver: None }).await;
    assert_eq!(runner.ask(info.id, &drive("b", true)).await.0, StatusCode::OK);
    a.until(|news| *news == TerminalNews::Driver { driver: Some("b".into()) }).await;
    drop(b); // a driver that is gone for good drives no more
    a.until(|news| *news == TerminalNews::Driver { driver: None }).await;

    let settings = TerminalSettings { driver: Driving::One, ..TerminalSettings::default() };
    runner.keep_terminals(settings).await;
    let info = runner.open(&words(&["cat"])).await;
    let mut first = runner.follow(info.id, "client=first").await;
    let mut second = runner.follow(info.id, "client=second").await;
    first.send("mine\n").await;
    second.until(|news| *news == TerminalNews::Driver { driver: Some("first".into()) }).await;
    second.send("x\n").await;
    second.until(refused("terminal.not_driver")).await;
}

#[tokio::test]
async fn a_client_that_comes_back_gets_just_what_it_missed() {
    let runner = Runner::start().await;
    let script =
        "stty -opost; i=0; while [ $i -lt 3000 ]; do echo \"line $i of many\"; i=$((i+1)); done";
    let info = runner.open(&json!({ "command": script })).await;
    let mut whole = runner.follow(info.id, "from=0").await.at(0);
    whole.read_to_end().await;
    let all = whole.live.clone();
    assert!(all.ends_with(b"line 2999 of many\n"), "{}", all.len());
    assert!(whole.replays == 0 && all.len() < RING);
    // Cut anywhere, any number of times, it is the same.
    let mut state = 12345_u64;
    for _ in 0..40 {
        let mut got = Vec::new();
        while got.len() < all.len() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let wanted = got.len() + 1 + usize::try_from(state >> 33).expect("small") % 30_000;
            let from = got.len() as u64;
            let query = format!("from={from}&epoch={}", info.epoch);
            let mut client = runner.follow(info.id, &query).await.at(from);
            while got.len() + client.live.len() < wanted.min(all.len()) {
                assert!(!matches!(client.next().await, Came::End));
            }
            assert_eq!(client.replays, 0);
            got.extend(client.live);
        }
        assert_eq!(got, all);
    }
    for (query, code) in [
        (format!("from={}", all.len() + 1), "terminal.beyond_end"),
        ("epoch=another".to_owned(), "terminal.other_epoch"),
    ] {
        let gone = runner.try_follow(info.id, &query).await.news().await;
        assert!(matches!(&gone, TerminalNews::Gone { code: c, .. } if c == code), "{gone:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_nobody_and_gets_the_screen_as_it_is() {
    let runner = Runner::start().await;
    let script = "stty -opost; echo begun; read go; yes 'a line that is printed over and over' | head -c 5000000; echo; echo the end; read stop";
    let info = runner.open(&json!({ "command": script })).await;
    let mut slow = runner.follow(info.id, "client=slow").await;
    slow.shows("begun").await;
    let mut fast = runner.follow(info.id, "client=fast").await;
    fast.shows("begun").await;
    let before = runner.resident();
    fast.send("\n").await;
    fast.shows("the end").await; // the slow one has read nothing since
    assert!(runner.resident() < before + 6 * 1024 * 1024, "{}", runner.resident() - before);
    slow.shows("the end").await;
    assert!(slow.replays >= 2, "it fell behind the ring");
    let screen = |bytes: &[u8]| {
        let mut emulator = Emulator::new(80, 24);
        emulator.write(bytes);
        emulator.state()
    };
    assert_eq!(screen(&slow.screen), screen(&fast.screen));
    // Who comes back with a place that is lost gets a replay as well.
    let mut late = runner.follow(info.id, "from=5").await;
    late.shows("the end").await;
    assert_eq!((late.replays, screen(&late.screen)), (1, screen(&fast.screen)));
    assert!(late.is_quiet().await);
}

#[tokio::test]
async fn typing_is_use_of_the_sandbox_and_output_is_not() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let info = runner.open(&json!({ "command": "while :; do echo tick; sleep 0.05; done" })).await;
    let mut client = runner.follow(info.id, "").await;
    eventually("output does not count", async || {
        client.shows("tick").await;
        (line.info().await.idle_time > 0.5).then_some(())
    })
    .await;
    client.send("x").await;
    let fresh = async || (line.info().await.idle_time < 0.4).then_some(());
    eventually("typing counts", fresh).await;
}

#[tokio::test]
async fn the_runner_ends_with_all_that_runs_on_terminals() {
    let mut runner = Runner::start().await;
    let info =
        runner.open(&json!({ "command": "trap '' HUP TERM; echo $$ here; sleep 1000" })).await;
    let mut client = runner.follow(info.id, "").await;
    client.shows("here").await;
    let shown = String::from_utf8_lossy(&client.screen).into_owned();
    let at = shown.find(" here").expect("it is shown");
    let digits = shown[..at].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |before| before + 1);
    let process = format!("/proc/{}", &shown[digits..at]);
    assert!(std::path::Path::new(&process).exists(), "{process}");
    assert_eq!(runner.terminate().await, Some(0));
    assert!(!std::path::Path::new(&process).exists());
}

/// Two emulators follow; the second joins while the program runs. Both must show the same whenever all
/// is read.
async fn joined_midway(program: &[&str], first_keys: &str, midway: &str, later: &[(&str, &str)]) {
    let runner = Runner::start_with(|command| {
        command.env("LANG", "C.UTF-8").env("HOME", "/nonexistent");
    })
    .await;
    std::fs::write(runner.workspace().join("text"), "first line\nsecond \u{fc} line\n".repeat(30))
        .expect("a file");
    let mut new = words(program);
    (new["cols"], new["rows"]) = (90.into(), 30.into());
    let info = runner.open(&new).await;
    let mut first = runner.follow(info.id, "client=first").await;
    let mut screen = Emulator::new(90, 30);
    first.send(first_keys.to_owned()).await;
    let mut fed = 0;
    let see = async |client: &mut common::terminals::Follow,
                     emulator: &mut Emulator,
                     fed: &mut usize,
                     text: &str| {
        loop {
            emulator.write(&client.screen[*fed..]);
            *fed = client.screen.len();
            if emulator.text().contains(text) {
                return;
            }
            assert!(!matches!(client.next().await, Came::End), "{}", emulator.text());
        }
    };
    see(&mut first, &mut screen, &mut fed, midway).await;
    let mut second = runner.follow(info.id, "client=second").await;
    let mut joined = Emulator::new(90, 30);
    let mut fed_second = 0;
    see(&mut second, &mut joined, &mut fed_second, midway).await;
    for (keys, wanted) in later {
        second.send((*keys).to_owned()).await;
        see(&mut first, &mut screen, &mut fed, wanted).await;
        see(&mut second, &mut joined, &mut fed_second, wanted).await;
        // Both are brought to the same place.
        loop {
            match first.place.cmp(&second.place) {
                std::cmp::Ordering::Equal => break,
                std::cmp::Ordering::Less => drop(first.next().await),
                std::cmp::Ordering::Greater => drop(second.next().await),
            }
        }
        screen.write(&first.screen[fed..]);
        joined.write(&second.screen[fed_second..]);
        (fed, fed_second) = (first.screen.len(), second.screen.len());
        assert_eq!(joined.state(), screen.state(), "after {keys:?}");
    }
    assert_eq!(second.read_to_end().await.code, 0);
}

#[tokio::test]
async fn vim_looks_the_same_to_who_joins_midway() {
    joined_midway(
        &["vim", "-u", "NONE", "-N", "--cmd", "set title mouse=a ruler", "text"],
        "",
        "second \u{fc} line",
        &[
            ("ithis was typed \u{6f22}\x1b", "this was typed"),
            (":set hlsearch number\r/second\r", "  1 "),
            ("ggVGd", "--No lines"),
            ("uG", "second"),
            (":vsplit\r:syntax on\r", "text [+]"),
            (":qall!\r", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn htop_looks_the_same_to_who_joins_midway() {
    joined_midway(
        &["htop", "-d", "2"],
        "",
        "PID",
        &[("h", "Space:"), ("q", "PID"), ("t", "PID"), ("\x1b[B\x1b[B", "PID"), ("q", "")],
    )
    .await;
}
