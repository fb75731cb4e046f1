//! Output without end costs bounded memory, and none of it is unaccounted for.

mod common;

use common::{Pushed, Runner, check};
use staithe_protocol::observation::RunObservation;

const GIB: u64 = 1024 * 1024 * 1024;
/// What the runner may grow by while it drains a flood.
const GROWTH: u64 = 8 * 1024 * 1024;

/// Runs a flood; the observation, its pushes, and by how much the runner had grown at its end.
async fn flood(runner: &Runner, command: &str) -> (RunObservation, Vec<Pushed>, u64) {
    let mut line = runner.line().await;
    check(&line.run("echo warm").await, 0, "warm");
    let before = runner.resident();
    line.outputs.clear();
    let id = line.begin_run(command).await;
    let ran = line.ran(id).await;
    let grown = runner.resident().saturating_sub(before);
    (ran, line.outputs, grown)
}

#[track_caller]
fn check_flood((ran, pushes, grown): &(RunObservation, Vec<Pushed>, u64), total: u64) {
    assert_eq!((ran.exit_code, ran.total_bytes), (0, Some(total)));
    assert!(ran.content.len() <= 3 * 30_000 + 100);
    assert!(ran.content.contains("[... Observation truncated due to length ...]"));
    assert!(*grown < GROWTH, "the runner has grown by {grown} bytes");
    let sent: u64 = pushes.iter().map(|p| p.text.chars().count() as u64).sum();
    let skipped: u64 = pushes.iter().map(|p| p.skipped).sum();
    assert_eq!(sent + skipped, total, "every byte was sent or counted");
    assert!(pushes.iter().all(|p| p.key.is_some()));
}

#[tokio::test]
async fn a_gibibyte_of_nuls_is_survived() {
    let runner = Runner::start().await;
    let flood = flood(&runner, "cat /dev/zero | head -c 1G").await;
    check_flood(&flood, GIB);
}

#[tokio::test]
async fn a_gibibyte_of_yes_is_survived() {
    let runner = Runner::start().await;
    let flood = flood(&runner, "yes | head -c 1G").await;
    check_flood(&flood, GIB);
    let kept = std::fs::metadata(runner.dir.path().join("state/out-1")).unwrap().len();
    assert_eq!(kept, GIB);
}

#[tokio::test]
async fn eight_hundred_megabytes_of_numbers_keep_head_and_tail() {
    let runner = Runner::start().await;
    let flood = flood(&runner, "seq 1 100000000").await;
    check_flood(&flood, 888_888_898);
    assert!(flood.0.content.starts_with("1\n2\n3\n"));
    assert!(flood.0.content.ends_with("\n99999999\n100000000"));
}

#[tokio::test]
async fn a_flood_of_escape_characters_is_survived() {
    let runner = Runner::start().await;
    let flood = flood(&runner, "yes $'\\e]7717;E;\\e\\e]' | head -c 64M").await;
    assert_eq!((flood.0.exit_code, flood.0.total_bytes), (0, Some(64 * 1024 * 1024)));
    assert!(flood.2 < GROWTH);
}

#[tokio::test]
async fn a_line_that_is_not_read_slows_nobody() {
    let runner = Runner::start().await;
    let silent = runner.line().await; // opens, and never reads
    let flood = flood(&runner, "yes | head -c 256M").await;
    check_flood(&flood, 256 * 1024 * 1024);
    drop(silent);
}

#[tokio::test]
async fn the_whole_output_can_be_fetched() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let action = common::blocking("seq 1 200000");
    let call = staithe_protocol::runner::Call::Act {
        key: "a key/ä".into(),
        action,
        limits: common::limits(),
        source: None,
    };
    let id = line.begin(call).await;
    let ran = line.ran(id).await;
    assert!(ran.content.len() < 31_000);
    let headers = [(staithe_protocol::runner::KEY_HEADER, common::KEY)];
    let get = hyper::Method::GET;
    let (status, _, body) =
        runner.http(get.clone(), "/output?key=a+key%2F%C3%A4", &headers, "").await;
    assert_eq!(status, 200);
    assert_eq!(Some(body.len() as u64), ran.total_bytes);
    assert!(body.ends_with(b"\n200000\n"));
    let (status, ..) = runner.http(get.clone(), "/output?key=other", &headers, "").await;
    assert_eq!(status, 404);
    // What a command put in the place of the file is not waited for.
    line.run("cd ../state && rm out-0 && mkfifo out-0").await;
    let (status, ..) = runner.http(get, "/output?key=a+key%2F%C3%A4", &headers, "").await;
    assert_eq!(status, 404);
}
