//! Commands in the persistent shell.

mod common;

use common::{Runner, blocking, check, limits, patient, run};
use serde_json::json;
use staithe_protocol::Observation;

#[tokio::test]
async fn a_command_gives_its_output_its_exit_code_and_where_it_ran() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran = line.run("printf 'a\\nb\\n'; false").await;
    check(&ran, 1, "a\nb");
    assert_eq!(ran.total_bytes, Some(4));
    assert_eq!(ran.metadata.working_dir.as_deref(), runner.workspace().to_str());
    assert!(ran.metadata.pid > 1 && ran.metadata.username.is_some());
    assert_eq!(ran.metadata.suffix, "[The command completed with exit code 1.]");
    assert_eq!(ran.metadata.prefix, "");
}

#[tokio::test]
async fn the_exit_code_of_the_last_command_persists() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("echo $?").await, 0, "0");
    check(&line.run("(exit 7)").await, 7, "");
    check(&line.run("echo $?").await, 0, "7");
    check(&line.run("echo $?").await, 0, "0");
    check(&line.run("return 5").await, 5, "");
}

#[tokio::test]
async fn folder_variables_and_functions_persist() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran = line.run("mkdir -p 'it'\\''s; a\u{7}b' && cd it*; x=1; f() { echo f$x; }").await;
    check(&ran, 0, "");
    let folder = runner.workspace().join("it's; a\u{7}b");
    assert_eq!(ran.metadata.working_dir.as_deref(), folder.to_str());
    assert_eq!(line.info().await.cwd, folder.to_str().unwrap());
    check(&line.run("f; pwd").await, 0, &format!("f1\n{}", folder.display()));
}

#[tokio::test]
async fn several_lines_and_a_heredoc_are_one_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran = line.run("for i in 1 2\ndo\n  echo $i\ndone\ncat <<END\n'x' $((1+1))\nEND").await;
    check(&ran, 0, "1\n2\n'x' 2");
    check(&line.run("# only a comment").await, 0, "");
    check(&line.run("echo 'hi!' !!").await, 0, "hi! !!");
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_a_syntax_error_and_the_shell_lives() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for command in ["cat <<< 'abc", "if true; then", "echo )"] {
        let ran = line.run(command).await;
        assert!(ran.exit_code > 0, "{ran:?}");
        assert!(ran.content.contains("line 1") || ran.content.contains("line 2"), "{ran:?}");
        assert!(ran.content.contains("unexpected"), "{ran:?}");
    }
    check(&line.run("echo alive").await, 0, "alive");
}

#[tokio::test]
async fn traces_show_the_command_and_nothing_of_ours() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("set -x").await, 0, "");
    check(&line.run("echo a; (exit 3)").await, 3, "++ echo a\na\n++ exit 3");
    check(&line.run("true $?").await, 0, "++ true 3");
    check(&line.run("set +x").await, 0, "++ set +x");
    check(&line.run("set -v").await, 0, "");
    check(&line.run("echo b\necho c").await, 0, "echo b\nb\necho c\nc");
    check(&line.run("set -x").await, 0, "set -x");
    check(&line.run("echo d").await, 0, "echo d\n++ echo d\nd");
    let ran = line.run("set +xv").await;
    assert!(ran.metadata.prefix.is_empty(), "{ran:?}");
    check(&line.run("echo quiet").await, 0, "quiet");
}

#[tokio::test]
async fn exit_ends_the_shell_and_a_new_one_is_started_in_the_same_folder() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let old = line.run("mkdir d; cd d; x=1").await;
    let ran = line.run("echo last words; exit 3").await;
    check(&ran, 3, "last words");
    let folder = runner.workspace().join("d");
    let note = format!(
        "[The shell ended with exit code 3. A new one was started in {}.]",
        folder.display()
    );
    assert!(ran.metadata.suffix.starts_with(&note), "{ran:?}");
    let after = line.run("echo \"<$x>\"; pwd").await;
    check(&after, 0, &format!("<>\n{}", folder.display()));
    assert_ne!(after.metadata.pid, old.metadata.pid);
}

#[tokio::test]
async fn a_shell_that_is_killed_is_replaced_wherever_it_can_be() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    line.run("mkdir gone; cd gone").await;
    let ran = line.run("rmdir ../gone; kill -9 $$").await;
    check(&ran, 137, "");
    let workspace = runner.workspace();
    assert!(
        ran.metadata.suffix.contains(&format!("was started in {}.]", workspace.display())),
        "{ran:?}"
    );
    check(&line.run("pwd").await, 0, workspace.to_str().unwrap());
}

#[tokio::test]
async fn a_shell_that_ends_by_set_e_says_so() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("set -e").await, 0, "");
    let ran = line.run("echo a; false; echo b").await;
    check(&ran, 1, "a");
    assert!(ran.metadata.suffix.contains("The shell ended with exit code 1."), "{ran:?}");
    check(&line.run("false; echo b").await, 0, "b");
}

#[tokio::test]
async fn errors_that_abandon_a_line_give_their_exit_code() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("${zz:?bad}; echo on").await, 1, "bash: zz: bad");
    check(&line.run("set -u; echo $nope").await, 1, "bash: nope: unbound variable");
    let ran = line.run("echo before; kill -INT $$; echo after").await;
    check(&ran, 130, "before\n");
    check(&line.run("echo $?").await, 0, "130");
}

#[tokio::test]
async fn the_terminal_is_sane_again_after_stty_raw() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("stty raw echo -isig").await, 0, "");
    check(&line.run("echo still here; stty size").await, 0, "still here\n50 200");
    let id = line.begin_run("echo go; sleep 100").await;
    line.output_contains("go").await;
    check(&line.type_in("C-c").await, 130, "go\n");
    check(&line.ran(id).await, 130, "go\n");
}

#[tokio::test]
async fn five_hundred_children_at_once_are_no_trouble() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran = line.run("for i in $(seq 500); do (echo c$i) & done; wait; echo done").await;
    assert_eq!(ran.exit_code, 0);
    assert_eq!(ran.content.lines().filter(|l| l.starts_with('c')).count(), 500, "{ran:?}");
    assert!(ran.content.ends_with("done"));
    check(&line.run("echo next").await, 0, "next");
}

#[tokio::test]
async fn output_of_a_background_job_stands_before_the_next_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran = line.run("mkfifo go; (read x < go; echo from the back) & echo front").await;
    check(&ran, 0, "front");
    std::fs::write(runner.workspace().join("go"), "\n").unwrap();
    line.output_contains("from the back\n").await;
    assert!(line.outputs.iter().any(|o| o.key.is_none() && o.text.contains("from the back")));
    let ran = line.run("echo next").await;
    check(&ran, 0, "next");
    let prefix = &ran.metadata.prefix;
    assert!(
        prefix.starts_with("[Output of a background job since the last command:]\nfrom the back\n"),
        "{prefix}"
    );
    let again = line.run("true").await.metadata.prefix; // bash may say that the job is done
    assert!(!again.contains("\nfrom the back"), "{again}");
}

#[tokio::test]
async fn a_job_that_is_stopped_waits_and_goes_on() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_run("sh -c 'echo one; read x; echo $x'").await;
    line.output_contains("one").await;
    let stopped = line.type_in("C-z").await;
    assert_eq!(stopped.exit_code, 148, "{stopped:?}");
    assert!(stopped.metadata.suffix.contains("stopped (C-z)"), "{stopped:?}");
    assert_eq!(line.ran(id).await.exit_code, 148);
    line.outputs.clear();
    let id = line.begin_run("fg").await;
    line.output_contains("sh -c").await;
    let ended = line.type_in("two").await;
    assert!(ended.content.ends_with("\ntwo"), "{ended:?}");
    assert_eq!((ended.exit_code, line.ran(id).await.exit_code), (0, 0));
}

#[tokio::test]
async fn characters_are_never_cut_and_bytes_that_are_none_are_replaced() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let euros = "€".repeat(2000);
    std::fs::write(runner.workspace().join("e"), &euros).unwrap();
    check(&line.run("cat e").await, 0, &euros);
    check(&line.run("for i in 342 202 254; do printf \"\\\\$i\"; sleep 0.02; done").await, 0, "€");
    check(&line.run("printf 'a\\000b\\377'").await, 0, "a\u{fffd}b\u{fffd}");
    let ran = line.run("printf '\\033'; printf 'x\\033]7717;E;'").await;
    check(&ran, 0, "\u{1b}x\u{1b}]7717;E;");
}

#[tokio::test]
async fn what_no_shell_can_run_is_an_error() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for command in ["a\0b".to_owned(), "x".repeat(1024 * 1024 + 1)] {
        let observation = line.act(blocking(&command)).await;
        assert!(matches!(observation, Observation::Error(_)), "{observation:?}");
    }
    let long = format!("x='{}'; echo ${{#x}}", "y".repeat(1_000_000));
    check(&line.run(&long).await, 0, "1000000");
}

#[tokio::test]
async fn nothing_of_the_runner_is_in_a_programs_environment() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let ran =
        line.run("env | grep -E 'PS1|PS2|PROMPT|7717|key of this'; umask; echo $TERM $PAGER").await;
    check(&ran, 0, "0002\nxterm-256color cat");
    let pid = runner.pid();
    let ran =
        line.run(&format!("cat /proc/{pid}/environ /proc/{pid}/cmdline | grep -c 'key of'")).await;
    assert!(ran.content.ends_with('0'), "{ran:?}");
}

#[tokio::test]
async fn a_static_command_has_a_shell_and_a_folder_of_its_own() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    line.run("x=1; mkdir d").await;
    let id = line.begin_run("echo busy; read y").await;
    line.output_contains("busy").await;
    let aside =
        run(&json!({ "command": "echo \"<$x>\"; pwd; x=2", "is_static": true, "cwd": "d" }));
    let Observation::Run(ran) = line.act(aside).await else { panic!("no run") };
    check(&ran, 0, &format!("<>\n{}", runner.workspace().join("d").display()));
    let nowhere = run(&json!({ "command": "pwd", "is_static": true, "cwd": "/none" }));
    assert!(matches!(line.act(nowhere).await, Observation::Error(_)));
    line.type_in("").await;
    assert_eq!(line.ran(id).await.exit_code, 0);
    check(&line.run("echo $x").await, 0, "1");
}

#[tokio::test]
async fn a_static_command_that_takes_too_long_is_ended() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let aside = run(&json!({ "command": "echo $$; sleep 1000", "is_static": true }));
    let limits = staithe_protocol::runner::Limits { timeout_ms: 500, ..limits() };
    let id = line.begin_act(aside, limits).await;
    let ran = line.ran(id).await;
    assert_eq!(ran.exit_code, -1);
    assert!(ran.metadata.suffix.contains("was ended"), "{ran:?}");
    let shell = format!("/proc/{}", ran.content);
    common::eventually("the shell is gone", async || {
        (!std::path::Path::new(&shell).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_bash_commands_are_refused_and_files_work() {
    let runner = Runner::start_with(|command| {
        command.env("PATH", "/nowhere").env("STAITHE_SHELL", "/nowhere/bash");
    })
    .await;
    let mut line = runner.line().await;
    let observation = line.act(patient("echo")).await;
    assert!(observation.content().contains("There is no shell"), "{observation:?}");
    let op = serde_json::from_value(json!({ "op": "mkdir", "path": "d" })).unwrap();
    assert!(line.file(op).await.is_ok());
}
