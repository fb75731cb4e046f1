//! What happens while a command runs: waiting, typing, keys, interrupts, limits.

mod common;

use common::{Runner, blocking, check, eventually, input, limits, patient, run};
use serde_json::json;
use staithe_protocol::{Observation, runner::Limits};

const SOON: Limits = Limits { timeout_ms: 110_000, no_change_ms: 200, max_output: 30_000 };

#[tokio::test]
async fn with_nothing_running_there_is_nothing_to_wait_for_or_type_to() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let retrieve = "ERROR: No previous running command to retrieve logs from.";
    assert_eq!(line.act(patient("")).await.content(), retrieve);
    assert_eq!(line.act(patient(" \n")).await.content(), retrieve);
    let interact = "ERROR: No previous running command to interact with.";
    assert_eq!(line.act(input("y")).await.content(), interact);
    assert_eq!(line.act(input("C-c")).await.content(), interact);
    assert_eq!(line.act(patient("C-c")).await.content(), interact);
}

#[tokio::test]
async fn a_program_gets_its_input_by_lines() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_run("echo name?; read -r x; echo \"hello $x\"").await;
    line.output_contains("name?").await;
    let typed = line.type_in("Ann 'o' $HOME").await;
    check(&typed, 0, "name?\nhello Ann 'o' $HOME");
    assert!(typed.metadata.prefix.starts_with("[Below is the output of the previous command.]"));
    check(&line.ran(id).await, 0, "name?\nhello Ann 'o' $HOME");
}

#[tokio::test]
async fn without_new_output_the_command_goes_on_and_says_so() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_act(patient("echo one; read x; echo two"), SOON).await;
    let waiting = line.ran(id).await;
    check(&waiting, -1, "one");
    assert_eq!(
        waiting.metadata.suffix,
        "[The command has no new output after 0.2 seconds. You may wait longer by sending an empty command '', send other input, or interrupt it with C-c.]"
    );
    assert!(line.info().await.busy);
    let id = line.begin_act(patient(""), SOON).await;
    let waiting = line.ran(id).await;
    check(&waiting, -1, "");
    assert_eq!(waiting.metadata.prefix, "[Below is the output of the previous command.]\n");
    let ended = line.type_in("").await;
    check(&ended, 0, "two");
    assert_eq!(ended.total_bytes, Some(8));
    assert!(!line.info().await.busy);
}

#[tokio::test]
async fn the_hard_limit_answers_and_ends_nothing() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let hard = Limits { timeout_ms: 300, ..limits() };
    let id = line.begin_act(blocking("echo one; read x; echo $x"), hard).await;
    let late = line.ran(id).await;
    check(&late, -1, "one");
    assert!(late.metadata.suffix.starts_with("[The command timed out after 0.3 seconds"));
    check(&line.type_in("two").await, 0, "two");
}

#[tokio::test]
async fn output_that_keeps_coming_is_no_silence() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let quiet = Limits { no_change_ms: 1500, ..limits() };
    let id = line.begin_act(patient("for i in 1 2 3 4; do echo $i; sleep 0.5; done"), quiet).await;
    check(&line.ran(id).await, 0, "1\n2\n3\n4");
}

#[tokio::test]
async fn a_second_command_is_not_executed_while_one_runs() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let first = line.begin_run("echo go; read x").await;
    line.output_contains("go").await;
    let second = line.run("touch executed").await;
    check(&second, -1, "");
    assert!(second.metadata.suffix.contains("NOT executed"), "{second:?}");
    assert!(second.metadata.suffix.contains("C-c"));
    check(&line.type_in("").await, 0, "go");
    check(&line.ran(first).await, 0, "go");
    assert!(!runner.workspace().join("executed").exists());
}

#[tokio::test]
async fn the_end_that_nobody_waited_for_is_told_by_the_next() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for next in ["", "echo next"] {
        let command = "echo one; mkfifo p; read x < p; rm p; echo two; (exit 4)";
        let id = line.begin_act(patient(command), SOON).await;
        check(&line.ran(id).await, -1, "one");
        std::fs::write(runner.workspace().join("p"), "\n").unwrap();
        while line.info().await.busy {}
        let told = line.act(patient(next)).await;
        let Observation::Run(told) = told else { panic!("{told:?}") };
        if next.is_empty() {
            check(&told, 4, "two");
            assert_eq!(told.metadata.prefix, "[Below is the output of the previous command.]\n");
        } else {
            check(&told, 0, "next");
            let prefix = "[The previous command ended with exit code 4. Below is the rest of its output.]\ntwo\n";
            assert_eq!(told.metadata.prefix, prefix);
        }
    }
}

#[tokio::test]
async fn c_c_ends_a_program_and_the_rest_of_the_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for command in [
        "echo go; sleep 1000; echo not",
        "echo go; while :; do :; done; echo not",
        "echo go; read x; echo not",
        "echo go; cat; echo not",
        "PS1=mine; echo go; sleep 1000; echo not",
    ] {
        line.outputs.clear();
        let id = line.begin_run(command).await;
        line.output_contains("go").await;
        let ended = line.type_in("C-c").await;
        assert_eq!(ended.exit_code, 130, "{command}: {ended:?}");
        assert!(!ended.content.contains("not"), "{command}: {ended:?}");
        assert_eq!(
            ended.metadata.suffix,
            "[The command completed with exit code 130. CTRL+C was sent.]"
        );
        assert_eq!(line.ran(id).await.exit_code, 130);
        check(&line.run("echo $?").await, 0, "130");
    }
}

#[tokio::test]
async fn a_shell_replaced_by_cat_takes_input_and_ends_with_c_d() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_act(patient("exec cat"), SOON).await;
    check(&line.ran(id).await, -1, "");
    let id = line.begin_act(run(&json!({ "command": "echo", "is_input": true })), SOON).await;
    check(&line.ran(id).await, -1, "echo");
    let ended = line.type_in("C-d").await;
    check(&ended, 0, "");
    assert!(ended.metadata.suffix.contains("The shell ended with exit code 0."), "{ended:?}");
    check(&line.run("echo new").await, 0, "new");
}

#[tokio::test]
async fn a_shell_in_the_shell_is_a_program_that_reads_input() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_run("PS1='in> ' bash --norc -i").await;
    line.output_contains("in> ").await;
    let typed = line
        .begin_act(run(&json!({ "command": "echo $((40+2)); exit 6", "is_input": true })), limits())
        .await;
    let ended = line.ran(typed).await;
    assert_eq!(ended.exit_code, 6, "{ended:?}");
    assert!(ended.content.contains("\n42") || ended.content.contains("\r42"), "{ended:?}");
    assert_eq!(line.ran(id).await.exit_code, 6);
    check(&line.run("echo out").await, 0, "out");
}

#[tokio::test]
async fn python_is_a_program_that_reads_input() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    if line.run("python3 -c 'print(1)'").await.exit_code != 0 {
        return; // none here
    }
    let id = line.begin_run("TERM=dumb python3 -q -i").await;
    line.output_contains(">>> ").await;
    line.begin_act(input("print(6*7)"), limits()).await;
    line.output_contains("42").await;
    let ended = line.type_in("exit(5)").await;
    assert_eq!(ended.exit_code, 5, "{ended:?}");
    assert_eq!(line.ran(id).await.exit_code, 5);
}

#[tokio::test]
async fn input_that_was_left_over_is_not_run_as_a_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_run("mkfifo p; echo go; read x < p; rm p").await;
    line.output_contains("go").await;
    let mut typed = Vec::new();
    for text in ["touch executed", "touch also", "partly C-d"] {
        typed.push(line.begin_act(input(text), limits()).await);
    }
    // Each is typed some turns of the runner's loop later.
    for _ in 0..20 {
        assert!(line.info().await.busy);
    }
    std::fs::write(runner.workspace().join("p"), "\n").unwrap();
    let ran = line.ran(id).await;
    check(&ran, 0, "go");
    assert_eq!(ran.unread_lines, None, "it is said to who typed it");
    for id in typed {
        let told = line.ran(id).await;
        assert!(told.unread_lines.is_some_and(|lines| (1..=3).contains(&lines)), "{told:?}");
        assert!(told.metadata.suffix.contains("without reading"), "{told:?}");
    }
    check(&line.run("ls").await, 0, "");
}

#[tokio::test]
async fn input_that_was_left_over_after_an_interrupt_is_no_command_either() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for round in 0..10 {
        line.outputs.clear();
        let id = line.begin_run("echo go; sleep 1000").await;
        line.output_contains("go").await;
        let typed = line.begin_act(input(&format!("touch executed-{round}")), limits()).await;
        assert!(line.info().await.busy && line.interrupt().await);
        assert_eq!(line.ran(id).await.exit_code, 130);
        let told = line.ran(typed).await;
        check(&line.run("ls").await, 0, "");
        assert_eq!(told.unread_lines, Some(1), "round {round}: {told:?}");
    }
}

#[tokio::test]
async fn what_the_shells_own_trap_starts_is_not_interrupted() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let trap = "trap 'sleep 0.2; echo cleaned $?; stop=1' INT";
    let id = line.begin_run(&format!("{trap}; echo go; until [ $stop ]; do :; done")).await;
    line.output_contains("go").await;
    assert!(line.interrupt().await);
    let ended = line.ran(id).await;
    let words: Vec<&str> = ended.content.split_whitespace().collect();
    assert_eq!((ended.exit_code, words), (0, vec!["go", "cleaned", "0"]));
}

#[tokio::test]
async fn an_interrupt_from_aside_ends_even_what_ignores_it_after_the_third() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    assert!(!line.interrupt().await);
    let id = line.begin_run("echo go; sleep 1000").await;
    line.output_contains("go").await;
    assert!(line.interrupt().await);
    assert_eq!(line.ran(id).await.exit_code, 130);

    line.outputs.clear();
    let stubborn = "sh -c 'trap \"echo no\" INT TERM; echo ready; while :; do sleep 0.1; done'";
    let id = line.begin_run(stubborn).await;
    line.output_contains("ready").await;
    assert!(line.interrupt().await);
    line.output_contains("no\n").await;
    line.outputs.clear();
    assert!(line.interrupt().await);
    line.output_contains("no\n").await;
    assert!(line.interrupt().await);
    let ended = line.ran(id).await;
    assert_eq!(ended.exit_code, 137, "{ended:?}");
    check(&line.run("echo on").await, 0, "on");
}

#[tokio::test]
async fn a_line_that_no_terminal_takes_is_refused() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin_run("echo go; read x; echo ${#x}").await;
    line.output_contains("go").await;
    let refused = line.act(input(&"x".repeat(4095))).await;
    assert!(refused.content().contains("4094"), "{refused:?}");
    check(&line.type_in(&"x".repeat(4094)).await, 0, "go\n4094");
    assert_eq!(line.ran(id).await.exit_code, 0);
}

#[tokio::test]
async fn everything_ends_with_the_runner() {
    let mut runner = Runner::start().await;
    let mut line = runner.line().await;
    let hiding = "(trap '' HUP TERM; exec setsid sh -c 'echo $$; exec sleep 1001') & wait -n; true";
    line.begin_run(&format!("echo $$; {hiding}")).await;
    line.output_contains("\n").await;
    while line.outputs.iter().map(|o| o.text.matches('\n').count()).sum::<usize>() < 2 {
        line.take_one().await;
    }
    let printed: String = line.outputs.iter().map(|o| o.text.as_str()).collect();
    assert_eq!(runner.terminate().await, Some(0));
    for pid in printed.lines() {
        let process = format!("/proc/{pid}");
        eventually("it is gone", async || (!std::path::Path::new(&process).exists()).then_some(()))
            .await;
    }
}
