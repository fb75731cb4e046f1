//! The manager: admission, deletion, draining, reconciling.

use futures_util::future::join_all;
use staithe_actors::{
    mail,
    session::messages::{PhaseDenied, StartSession},
    session_manager::messages::{
        CreateFailed, DeleteSession, Drain, OpenFailed, OpenSession, Reconcile, Reconciled, TooMany,
    },
};
use staithe_protocol::Phase;
use staithe_store::Store as _;
use staithe_testkit::Mood;

use crate::stage::Stage;

#[actix::test]
async fn a_repeated_creation_is_the_first_one_again_even_when_nothing_more_is_admitted() {
    let stage = Stage::new().await;
    let first = stage.try_create(Some(("k", 1))).await.unwrap_or_else(|error| panic!("{error}"));
    stage.create().await;
    stage.create().await;
    let again = stage.try_create(Some(("k", 1))).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((again.id, again.repeated), (first.id, true));
    let reused = stage.try_create(Some(("k", 2))).await;
    assert!(matches!(reused, Err(CreateFailed::KeyReused)));
    let new = stage.try_create(Some(("n", 1))).await;
    assert!(matches!(new, Err(CreateFailed::TooMany(TooMany::Sessions(3)))));
    assert_eq!(stage.store.list_sessions().await.unwrap().len(), 3);
    assert_eq!(stage.registry.bodies().len(), 3);
}

#[actix::test]
async fn creations_at_once_do_not_pass_the_limit_together() {
    let stage = Stage::new().await;
    let outcomes = join_all((0..8).map(|_| stage.try_create(None))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
}

#[actix::test]
async fn a_deleted_session_leaves_nothing() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let deletes = [(); 2].map(|()| mail::ask(&stage.manager, DeleteSession(session.id)));
    let outcomes = join_all(deletes).await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Ok(Ok(())))), "{outcomes:?}");
    assert!(stage.machine.sandboxes().is_empty() && stage.machine.workspaces().is_empty());
    assert!(stage.store.list_sessions().await.unwrap().is_empty());
    assert_eq!(stage.store.range(session.id).await.unwrap(), None);
    assert!(!session.addr().connected());
    let gone = mail::ask(&stage.manager, OpenSession(session.id)).await.unwrap();
    assert!(matches!(gone, Err(OpenFailed::NotFound(_))));
}

#[actix::test]
async fn a_draining_server_lets_sandboxes_sleep_and_starts_nothing() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    mail::ask(&stage.manager, Drain { keep_sandboxes: false }).await.unwrap();
    assert_eq!(session.phase(), Phase::Suspended);
    assert!(stage.machine.running().is_empty());
    assert_eq!(stage.machine.sandboxes().len(), 1, "what was installed in it stays");
    assert!(matches!(stage.try_create(None).await, Err(CreateFailed::Draining)));
    let denied = mail::ask(session.addr(), StartSession).await.unwrap();
    assert_eq!(denied, Err(PhaseDenied::Draining));
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_server_that_keeps_sandboxes_hands_them_to_the_next_one() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    mail::ask(&stage.manager, Drain { keep_sandboxes: true }).await.unwrap();
    stage.end(&[&session]).await;
    assert_eq!(machine.running().len(), 1);

    let stage = Stage::over(&store, &machine).await;
    let first = mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    assert_eq!(first, Reconciled { adopted: vec![session.id], ..Reconciled::default() });
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    assert!(stage.engine.calls().is_empty(), "{:?}", stage.engine.operations());
    let second = mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    assert_eq!(second, Reconciled::default());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_without_a_record_is_reaped() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    stage.end(&[&session]).await;
    store.delete_session(session.id).await.unwrap();
    let stage = Stage::over(&store, &machine).await;
    let report = mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    assert_eq!((report.adopted.len(), report.reaped.len()), (0, 1));
    assert!(machine.sandboxes().is_empty());
}

#[actix::test]
async fn a_failed_session_does_not_count_against_the_limit() {
    let stage = Stage::new().await;
    stage.engine.set_mood(Mood::Bad);
    for _ in 0..4 {
        stage.create().await.reach(Phase::Failed).await;
    }
}
