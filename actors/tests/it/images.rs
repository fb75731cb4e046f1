//! Images that sessions wait for: one making, however many wait.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use staithe_actors::{
    Settings,
    images::{
        messages::{GetMakings, HaveImage, MakingView},
        state::Stage as At,
    },
    mail,
    session::messages::{StartSession, StopSession},
};
use staithe_engine::{LABEL_IMAGE, Labels};
use staithe_protocol::{Phase, Progress, StartStep};
use staithe_testkit::eventually;
use tokio::time::{sleep, timeout};

use crate::{
    maker::{self, FakeMaker},
    stage::{One, Stage, fault},
};

pub(crate) fn many(settings: &mut Settings) {
    settings.limits.max_sessions = 20;
    settings.limits.max_builds = 2;
    settings.sandbox.image = Some("debian".into());
}

pub(crate) fn progress(number: u32) -> Progress {
    Progress {
        image: "built/debian".into(),
        number,
        of: 7,
        text: format!("RUN step {number}"),
        ..Progress::default()
    }
}

pub(crate) async fn makings(stage: &Stage) -> Vec<MakingView> {
    mail::ask(&stage.manager, GetMakings).await.unwrap()
}

/// So many sessions that wait for the image.
async fn waiting(stage: &Stage, maker: &Arc<FakeMaker>, count: usize) -> Vec<One> {
    let sessions = join_all((0..count).map(|_| stage.create())).await;
    eventually("it is being made", || maker.is_making("debian")).await;
    loop {
        let waiters: Vec<_> = makings(stage).await.iter().map(|making| making.waiters).collect();
        if waiters == [count] {
            return sessions;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn stop(session: &One) {
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
}

async fn end(stage: Stage, sessions: &[One]) {
    stage.end(&sessions.iter().collect::<Vec<_>>()).await;
}

/// The numbers of the steps that a session told of, in order.
async fn numbers(session: &One) -> Vec<u64> {
    let told = session.told().await;
    let progress = told.iter().filter(|extras| extras["step"] == "build");
    progress.filter_map(|extras| extras["progress"]["number"].as_u64()).collect()
}

#[actix::test]
async fn ten_sessions_make_one_image_and_each_tells_how_far_it_is() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let mut sessions = waiting(&stage, &maker, 10).await;
    for number in 1..=3 {
        maker.tell("debian", progress(number));
        sleep(Duration::from_secs(1)).await;
    }
    let late = stage.create().await;
    eventually("who comes late sees it too", || text(&late) == Some("RUN step 3".into())).await;
    let view = makings(&stage).await.pop().expect("one");
    assert_eq!((view.image.as_str(), view.asked.as_str()), ("built/debian", "debian"));
    assert_eq!((view.stage, view.waiters), (At::Making, 11));
    assert_eq!(view.progress, Some(progress(3)));
    maker.finish("debian");
    for session in &sessions {
        session.reach(Phase::Ready).await;
        assert_eq!(numbers(session).await, [1, 2, 3]);
        assert_eq!(session.steps().await, ["find", "build", "create", "start", "connect"]);
    }
    late.reach(Phase::Ready).await;
    assert_eq!((numbers(&late).await, maker.calls().len()), (vec![3], 1));
    assert_eq!(makings(&stage).await, []);
    let image = Labels::from([(LABEL_IMAGE.to_owned(), "built/debian".to_owned())]);
    sessions.push(late);
    let found = staithe_engine::Engine::find(&*stage.engine, &image).await.unwrap();
    assert_eq!(found.len(), 11, "they are made of what was built");
    end(stage, &sessions).await;
}

#[actix::test]
async fn an_image_that_is_there_is_not_built_again() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 1).await;
    maker.finish("debian");
    sessions[0].reach(Phase::Ready).await;
    stop(&sessions[0]).await;
    mail::ask(sessions[0].addr(), StartSession).await.unwrap().unwrap();
    sessions[0].reach(Phase::Ready).await;
    let plain = stage.create_of("plain:1").await;
    plain.reach(Phase::Ready).await;
    assert_eq!(maker.calls(), ["debian"]);
    assert_eq!(plain.steps().await, ["find", "create", "start", "connect"]);
    // Somebody who looked before it was there and asks now.
    let asked = HaveImage { asked: "debian".into() };
    let mut making = mail::ask(&stage.manager, asked).await.unwrap().expect("it is being made");
    let ended = making.wait_for(|making| making.outcome.is_some());
    let outcome = timeout(Duration::from_mins(1), ended).await.expect("an end").unwrap().clone();
    assert_eq!((outcome.outcome, maker.calls().len()), (Some(Ok(())), 1));
    stage.end(&[&sessions[0], &plain]).await;
}

#[actix::test]
async fn nine_of_ten_that_leave_stop_nothing_and_the_tenth_stops_the_making() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 10).await;
    join_all(sessions[..9].iter().map(stop)).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!((maker.cancelled(), maker.is_making("debian")), (0, true));
    assert_eq!(makings(&stage).await[0].waiters, 1);
    stop(&sessions[9]).await;
    eventually("the maker has ended", || !maker.is_making("debian")).await;
    assert_eq!(maker.cancelled(), 1);
    assert_eq!(stage.engine.count("create"), 0);

    mail::ask(sessions[0].addr(), StartSession).await.unwrap().unwrap();
    eventually("it is made anew", || maker.is_making("debian")).await;
    maker.finish("debian");
    sessions[0].reach(Phase::Ready).await;
    assert_eq!(maker.calls(), ["debian", "debian"]);
    end(stage, &sessions).await;
}

#[actix::test]
async fn an_image_is_not_made_twice_at_a_time_when_it_is_wanted_while_a_cancelled_making_ends() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    maker.be_stubborn();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 1).await;
    stop(&sessions[0]).await;
    eventually("it is cancelled", || maker.cancelled() == 1).await;
    let late = stage.create().await;
    eventually("it waits", || text(&late).is_some_and(|text| text.starts_with("waiting"))).await;
    let stages: Vec<_> = makings(&stage).await.iter().map(|making| making.stage).collect();
    assert_eq!(stages, [At::Cancelled, At::Waiting]);
    maker.fail("debian", "sandbox.image_build_cancelled");
    eventually("it is made anew", || maker.calls().len() == 2).await;
    maker.finish("debian");
    late.reach(Phase::Ready).await;
    assert_eq!(maker.most_at_once(), 1);
    stage.end(&[&sessions[0], &late]).await;
}

#[actix::test]
async fn a_cancelled_maker_that_does_not_end_is_cut_off() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    maker.be_stubborn();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 1).await;
    stop(&sessions[0]).await;
    sleep(Duration::from_secs(19)).await;
    assert!(maker.is_making("debian"));
    sleep(Duration::from_secs(2)).await;
    assert!(!maker.is_making("debian"));
    assert_eq!(makings(&stage).await, []);
    end(stage, &sessions).await;
}

#[actix::test]
async fn a_making_that_fails_is_a_fault_to_each_who_waited_and_the_next_start_tries_again() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 3).await;
    maker.tell("debian", progress(3));
    maker.fail("debian", "image.build_failed");
    for session in &sessions {
        session.reach(Phase::Failed).await;
        assert_eq!(fault(session), maker::fault("image.build_failed"));
        assert_eq!(numbers(session).await, [3], "what was told last is not lost");
    }
    mail::ask(sessions[0].addr(), StartSession).await.unwrap().unwrap();
    eventually("it is tried again", || maker.calls().len() == 2).await;
    maker.finish("debian");
    sessions[0].reach(Phase::Ready).await;
    end(stage, &sessions).await;
}

#[actix::test]
async fn a_maker_that_panics_is_a_fault_to_who_waits_and_nothing_else() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 2).await;
    maker.crash("debian");
    for session in &sessions {
        session.reach(Phase::Failed).await;
        let fault = fault(session);
        let what = (fault.code.as_str(), fault.step);
        assert_eq!(what, ("sandbox.image_maker_crashed", Some(StartStep::Build)));
    }
    mail::ask(sessions[0].addr(), StartSession).await.unwrap().unwrap();
    eventually("it is tried again", || maker.calls().len() == 2).await;
    maker.finish("debian");
    sessions[0].reach(Phase::Ready).await;
    end(stage, &sessions).await;
}

/// What a session says that it waits for.
pub(crate) fn text(session: &One) -> Option<String> {
    session.handle.snapshot.borrow().phase.progress.as_ref().map(|progress| progress.text.clone())
}

#[actix::test]
async fn as_many_are_made_at_a_time_as_may_and_who_waits_is_told_so() {
    for (most, at_once) in [(1, 1), (2, 2)] {
        tokio::time::pause();
        let maker = FakeMaker::new();
        let stage = Stage::making(&maker, |settings| {
            many(settings);
            settings.limits.max_builds = most;
        })
        .await;
        let first = waiting(&stage, &maker, 1).await.remove(0);
        let second = stage.create_of("alpine").await;
        second.reach(Phase::Starting).await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(maker.is_making("alpine"), most == 2);
        let waits = text(&second).is_some_and(|text| text.starts_with("waiting for other images"));
        assert_eq!(waits, most == 1);
        maker.finish("debian");
        eventually("it is its turn", || maker.is_making("alpine")).await;
        let begins = Some("the build begins".to_owned()).filter(|_| most == 1);
        eventually("it does not wait any more", || text(&second) == begins).await;
        maker.finish("alpine");
        for session in [&first, &second] {
            session.reach(Phase::Ready).await;
        }
        assert_eq!(maker.most_at_once(), at_once);
        stage.end(&[&first, &second]).await;
        tokio::time::resume();
    }
}

#[actix::test]
async fn progress_that_rushes_by_makes_few_events_and_the_last_of_it_is_told() {
    tokio::time::pause();
    let maker = FakeMaker::new();
    let stage = Stage::making(&maker, many).await;
    let sessions = waiting(&stage, &maker, 1).await;
    for line in 0..1_000_u64 {
        let lines = vec![format!("line {line}")];
        maker.tell("debian", Progress { lines, seconds: line / 100, ..progress(1) });
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_secs(3)).await;
    let told = sessions[0].told().await;
    let told: Vec<_> = told.iter().filter(|extras| extras["progress"].is_object()).collect();
    let last: &Value = &told.last().expect("one")["progress"];
    assert_eq!(last["lines"], serde_json::json!(["line 999"]));
    assert!((5..=8).contains(&told.len()), "{} events in ten seconds", told.len());
    maker.finish("debian");
    sessions[0].reach(Phase::Ready).await;
    end(stage, &sessions).await;
}
