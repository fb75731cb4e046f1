//! What goes on around images that are waited for: limits, crashes, the pool, the engine, a drain.

use std::time::Duration;

use staithe_actors::{
    mail,
    session::messages::{GetAdminView, StopSession},
    session_manager::messages::Drain,
    settings::PoolSize,
};
use staithe_engine::{Engine as _, LABEL_IMAGE, Labels, Sandbox};
use staithe_protocol::{Phase, StartStep};
use staithe_testkit::eventually;
use tokio::time::sleep;

use crate::{
    images::{makings, many, progress},
    maker::FakeMaker,
    stage::Stage,
};

#[actix::test]
async fn the_part_that_has_images_made_may_die_and_who_waited_asks_its_successor() {
    tokio::time::pause();
    for ends in [true, false] {
        let maker = FakeMaker::new();
        let stage = Stage::making(&maker, many).await;
        let first = stage.create().await;
        eventually("it is being made", || maker.is_making("debian")).await;
        maker.be_stubborn();
        // The first question is the session's own, the second the actor's.
        maker.panic_at_name(2);
        let second = stage.create().await;
        eventually("the maker is cancelled", || maker.cancelled() == 1).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(maker.calls().len(), 1, "nothing begins before the old maker has ended");
        if ends {
            maker.fail("debian", "sandbox.image_build_cancelled");
        } else {
            sleep(Duration::from_secs(11)).await; // it is cut off
        }
        eventually("it is made anew", || maker.calls().len() == 2).await;
        maker.finish("debian");
        for session in [&first, &second] {
            session.reach(Phase::Ready).await;
        }
        assert_eq!(maker.calls().len(), 2);
        stage.end(&[&first, &second]).await;
    }
}

#[actix::test]
async fn a_build_takes_longer_than_a_start_may_and_an_engine_that_is_cut_in_it_is_tried_again() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let session = stage.create().await;
    for code in ["sandbox.engine_unavailable"; 2] {
        eventually("it is being made", || maker.is_making("debian")).await;
        sleep(Duration::from_mins(10)).await;
        maker.fail("debian", code);
        eventually("it has failed", || !maker.is_making("debian")).await;
    }
    eventually("it is tried again", || maker.is_making("debian")).await;
    maker.finish("debian");
    session.reach(Phase::Ready).await;
    let steps = mail::ask(session.addr(), GetAdminView).await.unwrap().start_steps;
    let built = steps.iter().filter(|time| time.step == StartStep::Build);
    let took: u64 = built.filter_map(|time| time.took_ms).sum();
    assert!(took >= 1_200_000, "{steps:?}");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn who_waits_for_a_build_lets_others_start_and_then_waits_for_a_turn() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, |settings| {
        many(settings);
        settings.limits.max_starting = 1;
    })
    .await;
    let builders = [stage.create().await, stage.create().await];
    eventually("it is being made", || maker.is_making("debian")).await;
    let plain = stage.create_of("plain").await;
    plain.reach(Phase::Ready).await;
    stage.engine.set_mode(staithe_testkit::Mode::Explicit);
    let last = stage.create_of("plain").await;
    eventually("it is being started", || stage.engine.count("create") == 2).await;
    maker.finish("debian");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.engine.count("create"), 2, "one at a time");
    for created in 2..=4_usize {
        assert_eq!(stage.engine.count("create"), created);
        stage.engine.finish("create");
        eventually("it is made", || stage.engine.count("start") == created).await;
        stage.engine.finish("start");
        let most = (created + 1).min(4);
        eventually("the next one goes on", || stage.engine.count("create") == most).await;
    }
    for session in builders.iter().chain([&last]) {
        session.reach(Phase::Ready).await;
    }
    stage.end(&[&builders[0], &builders[1], &plain, &last]).await;
}

#[actix::test]
async fn the_pool_and_a_session_wait_for_one_making_and_what_is_pooled_can_be_claimed() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, |settings| {
        many(settings);
        settings.sandbox.pool = vec![PoolSize { image: "debian".into(), size: 1 }];
    })
    .await;
    let session = stage.create().await;
    eventually("it is being made", || maker.is_making("debian")).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(makings(&stage).await[0].waiters, 2);
    maker.finish("debian");
    session.reach(Phase::Ready).await;
    let pooled = || stage.machine.running().iter().any(|name| name.starts_with("box-pool-"));
    eventually("the pool is full", pooled).await;
    let found = stage.engine.find(&Labels::new()).await.unwrap();
    let image = |sandbox: &Sandbox| sandbox.labels.get(LABEL_IMAGE).cloned();
    assert!(found.iter().all(|it| image(it).as_deref() == Some("built/debian")), "{found:?}");
    sleep(Duration::from_millis(100)).await;
    let second = stage.ready().await;
    assert_eq!(second.steps().await, ["find", "connect", "init"]);
    assert_eq!((stage.engine.count("claim"), maker.calls().len()), (1, 1));
    stage.end(&[&session, &second]).await;
}

#[actix::test]
async fn a_drain_cancels_what_is_made_and_waits_until_the_maker_has_ended() {
    tokio::time::pause();
    for keep_sandboxes in [false, true] {
        let maker = FakeMaker::new();
        maker.be_stubborn();
        let stage = Stage::making(&maker, many).await;
        let session = stage.create().await;
        eventually("it is being made", || maker.is_making("debian")).await;
        let drained = mail::ask(&stage.manager, Drain { keep_sandboxes });
        let end = async {
            eventually("it is cancelled", || maker.cancelled() == 1).await;
            sleep(Duration::from_secs(5)).await;
            maker.fail("debian", "sandbox.image_build_cancelled");
            tokio::time::Instant::now()
        };
        let (ended, drained) = tokio::join!(end, async {
            drained.await.unwrap();
            tokio::time::Instant::now()
        });
        assert!(drained >= ended, "it waited");
        // One that is handed on goes on starting: the next server asks anew.
        let phase = if keep_sandboxes { Phase::Starting } else { Phase::Suspended };
        assert_eq!(session.phase(), phase);
        stage.end(&[&session]).await;
    }
}

#[actix::test]
async fn a_session_that_is_stopped_while_it_waits_leaves_at_once() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    maker.be_stubborn();
    let stage = Stage::making(&maker, many).await;
    let session = stage.create().await;
    eventually("it is being made", || maker.is_making("debian")).await;
    maker.tell("debian", progress(1));
    let began = tokio::time::Instant::now();
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    assert!(began.elapsed() < Duration::from_secs(1), "the maker has not ended yet");
    assert!(maker.is_making("debian"));
    stage.end(&[&session]).await;
}
