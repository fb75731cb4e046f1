//! Sessions that nobody uses, and sandboxes that run too long.

use std::time::Duration;

use staithe_actors::{
    Settings, mail,
    session::messages::{GetRuntime, StartSession, TouchSession},
    settings::SuspendBy,
};
use staithe_engine::{Capabilities, SandboxState};
use staithe_protocol::Phase;
use staithe_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::stage::{One, Stage};

const IDLE: Duration = Duration::from_mins(30);

async fn stage(by: SuspendBy, change: impl FnOnce(&mut Settings)) -> Stage {
    tokio::time::pause();
    Stage::with(|settings| {
        settings.sandbox.idle_after = Some(IDLE);
        settings.sandbox.suspend_by = by;
        settings.sandbox.reconcile_every = Duration::ZERO;
        change(settings);
    })
    .await
}

/// Waits until it sleeps; how long that took.
async fn sleeps(session: &One) -> Duration {
    let began = Instant::now();
    while session.phase() != Phase::Suspended {
        assert!(began.elapsed() < IDLE * 4, "it does not sleep: {:?}", session.phase());
        sleep(Duration::from_secs(1)).await;
    }
    began.elapsed()
}

/// About so long: the looks and the test's own look add a little.
#[track_caller]
fn assert_about(took: Duration, expected: Duration) {
    assert!(took >= expected && took < expected + Duration::from_secs(3), "{took:?}");
}

#[actix::test]
async fn a_session_that_nobody_uses_is_stopped_and_a_client_wakes_it() {
    let stage = stage(SuspendBy::Stop, |_| ()).await;
    let session = stage.ready().await;
    let took = sleeps(&session).await;
    assert_about(took + Duration::from_secs(1), IDLE);
    assert_eq!(stage.machine.state(&stage.machine.sandboxes()[0]), Some(SandboxState::Stopped));
    assert_eq!(session.last_phase().await["reason"], "idle");
    let client = session.join().await;
    session.reach(Phase::Ready).await;
    assert_eq!(session.steps().await[4..], ["find", "wake", "connect"]);
    drop(client);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_paused_session_goes_on_where_it_was() {
    let stage = stage(SuspendBy::Pause, |_| ()).await;
    let session = stage.ready().await;
    let name = stage.machine.sandboxes()[0].clone();
    sleeps(&session).await;
    assert_eq!(stage.machine.state(&name), Some(SandboxState::Paused));
    let runner = stage.machine.runner();
    let id = session.run("echo awake").await;
    assert_eq!(session.outcome(id).await["content"], "echo awake");
    assert_eq!(runner.carried_out(&id.to_string()), 1, "in the same runner");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn what_cannot_be_paused_is_stopped() {
    let stage = stage(SuspendBy::Pause, |_| ()).await;
    stage.engine.set_capabilities(Capabilities::default());
    let session = stage.ready().await;
    sleeps(&session).await;
    assert_eq!(stage.engine.operations()[2..], ["pause", "stop"]);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn clients_commands_and_uses_keep_a_session_awake_until_they_end() {
    let stage = stage(SuspendBy::Stop, |_| ()).await;
    let session = stage.ready().await;
    let client = session.join().await;
    sleep(IDLE * 3).await;
    assert_eq!(session.phase(), Phase::Ready, "a client is there");
    drop(client);
    sleep(IDLE / 2).await;
    mail::ask(session.addr(), TouchSession).await.unwrap();
    sleep(IDLE / 2 + IDLE / 3).await;
    assert_eq!(session.phase(), Phase::Ready, "a proxy was used");

    let runner = stage.machine.runner();
    runner.hang(true);
    let id = session.run("sleep").await;
    sleep(IDLE * 2).await;
    assert_eq!(session.phase(), Phase::Ready, "a command runs");
    runner.hang(false);
    session.outcome(id).await;
    runner.set_busy(true);
    sleep(IDLE * 2).await;
    assert_eq!(session.phase(), Phase::Ready, "something runs in the shell");
    runner.set_busy(false);
    assert_about(sleeps(&session).await, IDLE);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_file_operation_and_a_start_wake_a_session() {
    let stage = stage(SuspendBy::Stop, |_| ()).await;
    let session = stage.ready().await;
    sleeps(&session).await;
    mail::ask(session.addr(), GetRuntime).await.unwrap();
    session.reach(Phase::Ready).await;
    sleeps(&session).await;
    assert_eq!(mail::ask(session.addr(), StartSession).await.unwrap(), Ok(Phase::Starting));
    session.reach(Phase::Ready).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_session_never_sleeps_when_the_settings_say_so() {
    let stage = stage(SuspendBy::None, |_| ()).await;
    let session = stage.ready().await;
    sleep(IDLE * 10).await;
    assert_eq!(session.phase(), Phase::Ready);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sleeping_session_holds_no_place() {
    let stage = stage(SuspendBy::Stop, |settings| {
        settings.limits.max_sessions = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 5;
    })
    .await;
    let session = stage.ready().await;
    let waits = stage.create().await;
    sleeps(&session).await;
    waits.reach(Phase::Ready).await;
    let client = session.join().await;
    eventually("the sleeper waits", || session.handle.snapshot.borrow().phase.position == Some(1))
        .await;
    sleeps(&waits).await;
    session.reach(Phase::Ready).await;
    drop(client);
    stage.end(&[&session, &waits]).await;
}

#[actix::test]
async fn a_sandbox_that_ran_for_as_long_as_it_may_is_stopped_used_or_not() {
    let stage = stage(SuspendBy::Stop, |settings| settings.sandbox.max_age = Some(IDLE * 2)).await;
    let session = stage.ready().await;
    let _client = session.join().await;
    sleep(IDLE).await;
    // Its time runs from its own start, not from that of an earlier one.
    stage.machine.exit(&stage.machine.running()[0], 1);
    session.reach(Phase::Starting).await;
    session.reach(Phase::Ready).await;
    sleep(IDLE + IDLE / 2).await;
    assert_eq!(session.phase(), Phase::Ready);
    sleep(IDLE / 2 + Duration::from_secs(1)).await;
    session.reach(Phase::Stopped).await;
    assert_eq!(session.last_phase().await["reason"], "age");
    assert!(stage.machine.sandboxes().is_empty());
    stage.end(&[&session]).await;
}
