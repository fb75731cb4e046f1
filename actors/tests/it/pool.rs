//! Sandboxes that are started ahead.

use std::time::Duration;

use staithe_actors::{
    Settings, mail,
    session_manager::messages::{Drain, Reconcile},
    settings::PoolSize,
};
use staithe_protocol::{Phase, StartStep};
use staithe_testkit::{Mode, eventually};
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, fault};

const IMAGE: &str = "debian";

fn pool_of(size: usize) -> impl Fn(&mut Settings) {
    move |settings| {
        settings.sandbox.image = Some(IMAGE.into());
        settings.sandbox.env = [("GREETING".to_owned(), "hello".to_owned())].into();
        settings.sandbox.pool = vec![PoolSize { image: IMAGE.into(), size }];
    }
}

fn pooled(stage: &Stage) -> Vec<String> {
    let names = stage.machine.running();
    names.into_iter().filter(|name| name.starts_with("box-pool-")).collect()
}

/// A server whose pool is full.
async fn full(size: usize) -> Stage {
    let stage = Stage::with(pool_of(size)).await;
    eventually("the pool is full", || pooled(&stage).len() == size).await;
    // A runner that has not been heard yet is not to be had; filling goes on behind it.
    sleep(Duration::from_millis(100)).await;
    stage
}

#[actix::test]
async fn a_session_takes_a_started_sandbox_and_another_one_takes_its_place() {
    tokio::time::pause();
    let stage = full(1).await;
    let number = pooled(&stage)[0].clone();
    let session = stage.ready().await;
    assert_eq!(session.steps().await, ["find", "connect", "init"]);
    let name = format!("box-{}", session.id);
    let runner = stage.machine.runner_of(&name);
    assert_eq!(runner.configured(), [[("GREETING".to_owned(), "hello".to_owned())].into()]);
    let id = session.run("echo here").await;
    assert_eq!(session.outcome(id).await["content"], "echo here");
    eventually("the pool is full again", || pooled(&stage).len() == 1).await;
    assert_ne!(pooled(&stage)[0], number);
    assert_eq!(stage.engine.count("claim"), 1);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn after_a_crash_the_claimed_sandbox_is_adopted_and_the_unclaimed_ones_are_reaped() {
    tokio::time::pause();
    let stage = full(1).await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    eventually("the pool is full again", || pooled(&stage).len() == 1).await;
    sleep(Duration::from_millis(100)).await;
    let old = pooled(&stage)[0].clone();
    stage.end(&[&session]).await;

    let stage = Stage::set(&store, &machine, pool_of(1)).await;
    let report = mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    assert_eq!((report.adopted.as_slice(), report.reaped), (&[session.id][..], vec![old.clone()]));
    assert_eq!(report.swept, [old]);
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    eventually("there is a new one", || pooled(&stage).len() == 1).await;
    assert!(machine.workspaces().len() == 2, "{:?}", machine.workspaces());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_server_that_dies_in_the_middle_of_a_claim_loses_nothing_and_leaves_nothing() {
    tokio::time::pause();
    let stage = full(1).await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    stage.engine.set_mode(Mode::Explicit);
    let session = stage.create().await;
    eventually("it is being claimed", || stage.engine.count("claim") == 1).await;
    stage.end(&[&session]).await;

    let stage = Stage::set(&store, &machine, |settings| pool_of(0)(settings)).await;
    mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    assert_eq!(machine.sandboxes(), [format!("box-{}", session.id)]);
    assert_eq!(machine.workspaces().len(), 1);
    let second = mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    assert_eq!(second, staithe_actors::session_manager::messages::Reconciled::default());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_claim_that_fails_costs_no_more_than_a_sandbox_that_is_made() {
    tokio::time::pause();
    let stage = full(1).await;
    let number = pooled(&stage)[0].clone();
    stage.engine.fail("claim", true);
    let session = stage.ready().await;
    assert_eq!(session.steps().await, ["find", "create", "start", "connect"]);
    let sandboxes = stage.machine.sandboxes();
    assert!(!sandboxes.contains(&number), "what was claimed for nothing is gone: {sandboxes:?}");
    assert!(stage.machine.workspaces().contains(&format!("box-{}", session.id)));
    assert!(!stage.machine.workspaces().contains(&number));
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_that_refuses_its_configuration_fails_the_start_and_is_removed() {
    tokio::time::pause();
    let stage = full(1).await;
    stage.machine.runner_of(&pooled(&stage)[0]).refuse_configuration(true);
    let session = stage.create().await;
    session.reach(Phase::Failed).await;
    let fault = fault(&session);
    assert_eq!((fault.code.as_str(), fault.step), ("sandbox.init_failed", Some(StartStep::Init)));
    assert!(!stage.machine.sandboxes().contains(&format!("box-{}", session.id)));
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_made_with_other_settings_is_left_alone() {
    tokio::time::pause();
    let stage = full(1).await;
    stage.engine.set_config("new");
    let session = stage.ready().await;
    assert_eq!(stage.engine.count("claim"), 0);
    assert_eq!(session.steps().await, ["find", "create", "start", "connect"]);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_dead_one_is_replaced_and_a_drain_leaves_none() {
    tokio::time::pause();
    let stage = full(2).await;
    let before = pooled(&stage);
    stage.machine.exit(&before[0], 137);
    eventually("it is replaced", || {
        let now = pooled(&stage);
        now.len() == 2 && !now.contains(&before[0])
    })
    .await;
    stage.machine.runner_of(&before[1]).cut();
    eventually("one whose line is lost too", || {
        let now = pooled(&stage);
        now.len() == 2 && !now.contains(&before[1])
    })
    .await;
    mail::ask(&stage.manager, Drain { keep_sandboxes: false }).await.unwrap();
    assert!(stage.machine.sandboxes().is_empty() && stage.machine.workspaces().is_empty());
}

#[actix::test]
async fn an_engine_that_fails_is_asked_again_after_growing_pauses() {
    tokio::time::pause();
    let began = Instant::now();
    let stage = Stage::with(|settings| {
        pool_of(1)(settings);
        settings.limits.max_sessions = 0;
    })
    .await;
    stage.engine.fail("create", true);
    eventually("it was tried five times", || stage.engine.count("create") >= 4).await;
    sleep(Duration::from_mins(2)).await;
    let calls = stage.engine.calls();
    let times: Vec<_> = calls.iter().map(|call| (call.at - began).as_secs()).collect();
    assert_eq!(times[..5], [0, 1, 5, 21, 81]);
    stage.engine.fail("create", false);
    sleep(Duration::from_mins(1)).await;
    eventually("it is there in the end", || pooled(&stage).len() == 1).await;
}
