//! Reconcile passes: what differs is mended, and a second pass finds nothing to do.

use std::time::Duration;

use staithe_actors::{
    mail,
    session::messages::StopSession,
    session_manager::messages::{Drain, Reconcile, Reconciled},
};
use staithe_engine::SandboxState;
use staithe_protocol::Phase;
use staithe_testkit::{Mood, eventually};
use tokio::time::sleep;

use crate::stage::Stage;

async fn reconcile(stage: &Stage) -> Reconciled {
    mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap()
}

#[actix::test]
async fn a_sandbox_that_was_frozen_by_hand_is_woken_by_the_next_pass() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let name = stage.machine.sandboxes()[0].clone();
    stage.machine.set_state(&name, SandboxState::Paused);
    assert_eq!(reconcile(&stage).await, Reconciled::default());
    session.reach(Phase::Starting).await;
    session.reach(Phase::Ready).await;
    assert_eq!(stage.machine.state(&name), Some(SandboxState::Running));
    assert_eq!(stage.engine.operations(), ["create", "start", "start"]);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_that_was_removed_by_hand_is_made_anew_with_its_workspace() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let session = stage.ready().await;
    stage.machine.vanish(&stage.machine.sandboxes()[0]);
    session.reach(Phase::Starting).await;
    session.reach(Phase::Ready).await;
    assert_eq!((stage.machine.running().len(), stage.machine.workspaces().len()), (1, 1));
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sleeping_sessions_sandbox_that_runs_is_stopped_again() {
    let stage = Stage::with(|settings| settings.sandbox.keep_after_exit = true).await;
    let session = stage.ready().await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    let name = stage.machine.sandboxes()[0].clone();
    stage.machine.set_state(&name, SandboxState::Running);
    reconcile(&stage).await;
    let stopped = || stage.machine.state(&name) == Some(SandboxState::Stopped);
    eventually("it is stopped again", stopped).await;
    assert_eq!(session.phase(), Phase::Stopped);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn what_a_failed_start_could_not_remove_is_removed_later() {
    let stage = Stage::new().await;
    stage.engine.set_mood(Mood::Bad);
    stage.engine.fail("remove", true);
    let session = stage.create().await;
    session.reach(Phase::Failed).await;
    assert_eq!(stage.machine.sandboxes().len(), 1);
    stage.engine.fail("remove", false);
    reconcile(&stage).await;
    eventually("it is removed", || stage.machine.sandboxes().is_empty()).await;
    assert_eq!(session.phase(), Phase::Failed);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_pass_keeps_what_sleeps_and_sweeps_what_belongs_to_nobody() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    mail::ask(&stage.manager, Drain { keep_sandboxes: false }).await.unwrap();
    stage.end(&[&session]).await;
    machine.leave_workspace("stray");
    let stage = Stage::over(&store, &machine).await;
    let both = tokio::join!(reconcile(&stage), reconcile(&stage));
    let first = Reconciled { swept: vec!["stray".into()], ..Reconciled::default() };
    assert_eq!(both, (first.clone(), first), "one pass for both");
    assert_eq!(reconcile(&stage).await, Reconciled::default());
    assert_eq!((machine.sandboxes().len(), machine.workspaces().len()), (1, 1));
    let session = stage.open(session.id).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn passes_come_by_themselves() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let session = stage.ready().await;
    stage.machine.leave_workspace("stray");
    sleep(Duration::from_mins(2)).await;
    eventually("it is swept", || stage.machine.workspaces().len() == 1).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_workspace_of_another_name_is_kept_with_its_session_and_goes_with_it() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    stage.end(&[&session]).await;
    store.rewrite(session.id, |record| record["workspace"] = "elsewhere".into()).await;
    machine.leave_workspace("elsewhere");
    let stage = Stage::over(&store, &machine).await;
    assert_eq!(reconcile(&stage).await, Reconciled::default());
    let delete = staithe_actors::session_manager::messages::DeleteSession(session.id);
    mail::ask(&stage.manager, delete).await.unwrap().unwrap();
    assert!(!machine.workspaces().contains(&"elsewhere".to_owned()));
}

#[actix::test]
async fn a_record_of_a_later_version_loses_no_workspace() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    stage.end(&[&session]).await;
    store.rewrite(session.id, |record| record["phase"] = "hibernating".into()).await;
    let stage = Stage::over(&store, &machine).await;
    assert_eq!(reconcile(&stage).await.swept, Vec::<String>::new());
    assert_eq!(machine.workspaces().len(), 1);
}
