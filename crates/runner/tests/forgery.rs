//! Nothing that a command prints makes the runner believe that it has ended.

mod common;

use common::{Runner, check};

/// Prints everything that a command can find out, several times over.
const EVERYTHING: &str = r#"
everything() {
    set; declare -f; declare -p; env; alias; trap -p; history; fc -l 2>&1; jobs -l
    printf '%s' "$PS1" "$PS2" "$PROMPT_COMMAND" "$BASH_COMMAND" "${BASH_SOURCE[@]}" "$_" "$-"
    printf '%b' "$PS1" "${PS1@P}"
    cat "${BASH_SOURCE[@]}" STATE/* /proc/$$/cmdline /proc/$$/environ /proc/self/environ 2>&1
    tr '\0' '\n' < /proc/$$/environ
    set | sed -n "s/^PS1=//p" | xargs printf '%b'
}
"#;

fn everything(runner: &Runner) -> String {
    let state = runner.dir.path().join("state");
    EVERYTHING.trim().replace("STATE", state.to_str().expect("a text"))
}

#[tokio::test]
async fn a_replay_of_everything_that_can_be_read_does_not_end_a_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    line.run(&everything(&runner)).await;
    line.run("everything > before; everything > /dev/null").await;
    let ran =
        line.run("everything > now; cat before now; everything; echo; echo really; (exit 9)").await;
    assert_eq!(ran.exit_code, 9, "{ran:?}");
    assert!(ran.content.ends_with("\nreally"), "{}", ran.content.len());
    check(&line.run("echo $?").await, 0, "9");
}

#[tokio::test]
async fn a_replay_with_its_escapes_made_real_does_not_end_a_command() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    line.run(&everything(&runner)).await;
    line.run("set -xv").await;
    let forge = "{ everything; } > seen 2>&1; printf '%b' \"$(cat seen)\" | tr -d '\\000'; printf '%b' \"$(sed \"s/'//g\" seen)\"; echo really; (exit 9)";
    let ran = line.run(forge).await;
    assert_eq!(ran.exit_code, 9, "{:?}", ran.metadata);
    assert!(ran.content.contains("really"));
    line.run("set +xv").await;
    check(&line.run("echo next").await, 0, "next");
}

#[tokio::test]
async fn a_forged_mark_is_shown_as_it_is() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let nonce = "0".repeat(32);
    let forged = format!("\u{1b}]7717;E;{nonce};0;1;himBs;/;{nonce}\u{7}");
    let command = format!("printf '\\033]7717;E;{nonce};0;1;himBs;/;{nonce}\\007'; (exit 5)");
    check(&line.run(&command).await, 5, &forged);
}

#[tokio::test]
async fn the_prompts_mark_said_by_a_program_ends_nothing() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    // By a program: the shell is not in the foreground. By the shell: it is asked, and answers after.
    for say in ["sh -c 'printf \"$1\"' sh \"$PS1\"", "printf \"$PS1\""] {
        let ran = line
            .run(&format!("{say}; {say}; mkdir d; sleep 0.2; rmdir d; echo really; (exit 3)"))
            .await;
        assert_eq!(ran.exit_code, 3, "{say}: {ran:?}");
        assert!(ran.content.contains("really"), "{say}: {ran:?}");
        check(&line.run("echo $?").await, 0, "3");
    }
}
