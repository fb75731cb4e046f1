//! Limits: who waits, in which order, and who is told to come back.

use futures_util::future::join_all;
use staithe_actors::{
    mail,
    session::messages::{PhaseDenied, StartSession, StopSession},
    session_manager::messages::{CreateFailed, DeleteSession, Reconcile, TooMany},
};
use staithe_protocol::Phase;
use staithe_testkit::{Mode, eventually};

use crate::stage::{One, Stage, run};

async fn stop(session: &One) {
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
}

fn position(session: &One) -> Option<u32> {
    session.handle.snapshot.borrow().phase.position
}

#[actix::test]
async fn a_start_beyond_the_limit_waits_sees_its_place_and_goes_when_one_ends() {
    tokio::time::pause();
    let stage = Stage::with(|settings| {
        settings.limits.max_sessions = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 2;
    })
    .await;
    let first = stage.ready().await;
    let (second, third) = (stage.create().await, stage.create().await);
    eventually("they wait", || (position(&second), position(&third)) == (Some(1), Some(2))).await;
    let full = stage.try_create(None).await;
    assert!(matches!(full, Err(CreateFailed::TooMany(TooMany::Waiting(2)))));
    stop(&first).await;
    second.reach(Phase::Ready).await;
    eventually("the other moves up", || position(&third) == Some(1)).await;
    assert_eq!(stage.machine.running().len(), 1);
    let told: Vec<_> = third.told().await.iter().filter_map(|it| it["position"].as_u64()).collect();
    assert_eq!(told, [2, 1]);
    mail::ask(&stage.manager, DeleteSession(second.id)).await.unwrap().unwrap();
    third.reach(Phase::Ready).await;
    stage.end(&[&first, &third]).await;
}

#[actix::test]
async fn what_is_done_in_a_session_that_waits_is_done_when_it_is_ready() {
    let stage = Stage::with(|settings| {
        settings.limits.max_sessions = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 2;
    })
    .await;
    let first = stage.ready().await;
    let second = stage.create().await;
    let id = second.run("later").await;
    stop(&first).await;
    assert_eq!(second.outcome(id).await["content"], "later");
    stage.end(&[&first, &second]).await;
}

#[actix::test]
async fn a_waiting_session_that_is_stopped_lets_the_next_one_through() {
    let stage = Stage::with(|settings| {
        settings.limits.max_sessions = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 2;
    })
    .await;
    let first = stage.ready().await;
    let (second, third) = (stage.create().await, stage.create().await);
    stop(&second).await;
    stop(&first).await;
    third.reach(Phase::Ready).await;
    assert_eq!(stage.engine.count("create"), 2);
    stage.end(&[&first, &second, &third]).await;
}

#[actix::test]
async fn so_many_start_at_a_time_and_no_more_also_after_a_crash() {
    let limit = |settings: &mut staithe_actors::Settings| {
        settings.limits.max_sessions = 100;
        settings.limits.max_starting = 2;
    };
    let stage = Stage::with(limit).await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    stage.engine.set_mode(Mode::Explicit);
    let sessions = join_all((0..6).map(|_| stage.create())).await;
    eventually("two are made", || stage.engine.count("create") == 2).await;
    eventually("four wait", || sessions.iter().filter(|it| position(it).is_some()).count() == 4)
        .await;
    let all: Vec<_> = sessions.iter().collect();
    stage.end(&all).await;

    let stage = Stage::set(&store, &machine, limit).await;
    stage.engine.set_mode(Mode::Explicit);
    mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    for made in 1..=6_usize {
        eventually("two more are made", || stage.engine.count("create") == (made + 1).min(6)).await;
        assert!(stage.engine.count("create") - (made - 1) <= 2);
        stage.engine.finish("create");
        eventually("it is started", || stage.engine.count("start") == made).await;
        stage.engine.finish("start");
        eventually("it runs", || machine.running().len() == made).await;
    }
    let sessions = join_all(all.iter().map(|session| stage.open(session.id))).await;
    for session in &sessions {
        session.reach(Phase::Ready).await;
    }
    stage.end(&sessions.iter().collect::<Vec<_>>()).await;
}

#[actix::test]
async fn running_sessions_are_taken_up_whatever_the_limits() {
    let stage = Stage::with(|settings| settings.limits.max_sessions = 3).await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let sessions = [stage.ready().await, stage.ready().await, stage.ready().await];
    stage.end(&sessions.iter().collect::<Vec<_>>()).await;
    let stage = Stage::set(&store, &machine, |settings| {
        settings.limits.max_sessions = 1;
        settings.limits.max_starting = 1;
    })
    .await;
    mail::ask(&stage.manager, Reconcile).await.unwrap().unwrap();
    let sessions = join_all(sessions.iter().map(|session| stage.open(session.id))).await;
    for session in &sessions {
        session.reach(Phase::Ready).await;
    }
    assert!(stage.engine.calls().is_empty());
    assert!(stage.try_create(None).await.is_err());
    stage.end(&sessions.iter().collect::<Vec<_>>()).await;
}

#[actix::test]
async fn a_session_that_may_not_be_woken_goes_on_sleeping_and_says_so() {
    let stage = Stage::with(|settings| settings.limits.max_sessions = 1).await;
    let session = stage.ready().await;
    stop(&session).await;
    let other = stage.ready().await;
    let denied = mail::ask(session.addr(), StartSession).await.unwrap();
    assert_eq!(denied, Err(PhaseDenied::TooMany(TooMany::Sessions(1))));
    assert_eq!(session.phase(), Phase::Stopped);
    assert_eq!(session.last_phase().await["reason"], "limits");
    assert!(session.submit(run("x"), None).await.is_err());
    stop(&other).await;
    assert_eq!(mail::ask(session.addr(), StartSession).await.unwrap(), Ok(Phase::Starting));
    session.reach(Phase::Ready).await;
    stage.end(&[&session, &other]).await;
}

#[actix::test]
async fn a_user_at_his_own_limit_waits_and_others_do_not() {
    let stage = Stage::with(|settings| {
        settings.limits.max_sessions_per_user = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 5;
    })
    .await;
    let mine = stage.ready().await;
    let waits = stage.create().await;
    let theirs = stage.create_for("somebody else").await;
    theirs.reach(Phase::Ready).await;
    assert_eq!(position(&waits), Some(1));
    stop(&mine).await;
    waits.reach(Phase::Ready).await;
    stage.end(&[&mine, &waits, &theirs]).await;
}

#[actix::test]
async fn a_session_whose_actor_dies_has_its_place_again() {
    let stage = Stage::with(|settings| {
        settings.limits.max_sessions = 1;
        settings.limits.queue = true;
        settings.limits.max_waiting = 5;
    })
    .await;
    let session = stage.ready().await;
    stage.store.panic_once();
    session.submit(run("boom"), None).await.unwrap_err();
    eventually("the old actor ends", || !session.addr().connected()).await;
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    let waits = stage.create().await;
    eventually("another one waits", || position(&waits) == Some(1)).await;
    stop(&session).await;
    waits.reach(Phase::Ready).await;
    stage.end(&[&session, &waits]).await;
}
