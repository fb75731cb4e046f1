//! Programs that misbehave.

use std::time::Duration;

use serde_json::json;
use staithe_agent::mcp::settings::{McpKind, McpPhase};
use staithe_protocol::Observation;
use tokio::time::timeout;

use super::{PATIENCE, call, error, eventually, hub, is, noting, python, said, settled, until};

#[tokio::test]
async fn one_that_can_not_begin_fails_with_its_reason_and_holds_no_other_up() {
    let mut silent = python("silent", "silent");
    (silent.start_timeout, silent.restarts) = (Duration::from_millis(500), 0);
    let mut missing = python("missing", "plain");
    missing.restarts = 0;
    if let McpKind::Stdio { command, .. } = &mut missing.kind {
        *command = "/no/such/program".into();
    }
    let mut stderr = python("stderr", "stderr");
    stderr.restarts = 1;
    let hub = hub(vec![
        silent,
        python("garbage", "garbage"),
        missing,
        stderr,
        python("flood", "flood"),
        python("good", "plain"),
    ]);
    until(&hub, "good", is(McpPhase::Up)).await;
    assert_eq!(said(&hub, "echo", json!({})).await, "{}");
    for (name, expected) in [
        ("silent", "it did not begin within 0.5 s"),
        ("garbage", "It also printed what is no message: Server v1 is ready!"),
        ("missing", "/no/such/program can't be started"),
        ("stderr", "no such key: ***"),
        ("flood", "a message of more than 8388608 bytes"),
    ] {
        let failed = until(&hub, name, is(McpPhase::Failed)).await;
        let reason = failed.reason.unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert!(failed.tools.is_empty());
    }
}

#[tokio::test]
async fn lines_that_are_no_messages_are_passed_over() {
    let hub = settled(vec![python("chatty", "chatty")]).await;
    assert_eq!(said(&hub, "echo", json!({})).await, "{}");
}

#[tokio::test]
async fn one_that_crashes_in_a_call_says_why_and_is_begun_again_by_budget() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let hub = settled(vec![noting(python("one", "plain"), &notes), python("two", "paged")]).await;
    for crash in 1..=3 {
        let lost = call(&hub, "crash").await;
        let text = error(&lost);
        assert!(text.contains("the call may have been carried out"), "{text}");
        assert!(text.contains("the last words of a server with ***"), "{crash}: {text}");
        if crash < 3 {
            // It waits for the one that begins.
            assert_eq!(said(&hub, "echo", json!({})).await, "{}");
        }
    }
    until(&hub, "one", is(McpPhase::Failed)).await;
    let begun = || std::fs::read_to_string(&notes).unwrap().matches("begins").count();
    assert_eq!(begun(), 3);
    assert!(!hub.tools().iter().any(|tool| tool.name == "echo"), "it is offered no more");
    let down = call(&hub, "echo").await;
    assert!(error(&down).contains("is not up: it ended"), "{down:?}");
    assert_eq!(said(&hub, "page0", json!({})).await, "called page0", "the other one goes on");
    hub.again();
    until(&hub, "one", is(McpPhase::Up)).await;
    assert_eq!(said(&hub, "echo", json!({})).await, "{}");
    assert_eq!(begun(), 4);
}

#[tokio::test]
async fn a_call_takes_no_longer_than_it_may_and_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let mut server = noting(python("one", "plain"), &notes);
    server.timeout = Duration::from_millis(300);
    let hub = settled(vec![server]).await;
    let late = call(&hub, "hang").await;
    assert!(error(&late).contains("did not answer within 0.3 s"), "{late:?}");
    eventually("it is told", || {
        std::fs::read_to_string(&notes).ok().filter(|text| text.contains("cancelled"))
    })
    .await;
    assert_eq!(said(&hub, "echo", json!({})).await, "{}");
}

#[tokio::test]
async fn what_is_too_large_is_cut_or_refused_and_costs_no_more() {
    let hub = settled(vec![python("one", "plain")]).await;
    let Observation::Mcp(big) = call(&hub, "big").await else { panic!("no result") };
    assert!(big.content.len() < 70_000, "{}", big.content.len());
    assert!(big.content.contains("bytes left out"));
    let huge = call(&hub, "huge").await;
    assert!(error(&huge).contains("a message of more than 8388608 bytes"), "{huge:?}");
    assert_eq!(said(&hub, "echo", json!({})).await, "{}", "it is begun again");
}

#[tokio::test]
async fn a_list_without_end_is_bounded_and_says_so() {
    let hub = settled(vec![python("many", "many"), python("endless", "endless")]).await;
    let [many, endless] = &hub.states()[..] else { panic!("two servers") };
    assert_eq!((many.state, endless.state), (McpPhase::Up, McpPhase::Up));
    assert_eq!(many.tools.len(), 128);
    assert!(many.reason.as_ref().unwrap().contains("73 of its tools are left out"), "{many:?}");
    assert!(hub.tools().iter().all(|tool| tool.description.len() < 5000));
    assert!(endless.reason.as_ref().unwrap().contains("more than 64 pages"), "{endless:?}");
}

#[tokio::test]
async fn servers_end_with_their_hub() {
    let dir = tempfile::tempdir().unwrap();
    let hub = settled(vec![noting(python("one", "plain"), &dir.path().join("notes"))]).await;
    let mut changes = hub.follow();
    drop(hub);
    let closed = async { while changes.changed().await.is_ok() {} };
    timeout(PATIENCE, closed).await.expect("its tasks end");
}
