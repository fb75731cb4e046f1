//! How sandboxes end and are had again: stopped, woken, kept, made anew.

use std::time::Duration;

use staithe_actors::{
    mail,
    session::messages::{GetAdminView, StartSession, StopSession},
    session_manager::messages::{DeleteSession, Drain},
};
use staithe_engine::SandboxState;
use staithe_protocol::{Phase, StartStep};
use staithe_testkit::{Mode, Mood, eventually};

use crate::stage::{Stage, fault};

#[actix::test]
async fn a_drained_session_keeps_its_sandbox_stopped_and_the_next_server_wakes_it() {
    let stage = Stage::with(|settings| {
        settings.sandbox.suspend_by = staithe_actors::settings::SuspendBy::Pause;
    })
    .await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    mail::ask(&stage.manager, Drain { keep_sandboxes: false }).await.unwrap();
    assert_eq!(machine.state(&machine.sandboxes()[0]), Some(SandboxState::Stopped));
    assert_eq!(session.last_phase().await["reason"], "drain");
    stage.end(&[&session]).await;

    let stage = Stage::over(&store, &machine).await;
    let session = stage.open(session.id).await;
    let _client = session.join().await;
    session.reach(Phase::Ready).await;
    assert_eq!(session.steps().await[4..], ["find", "wake", "connect"]);
    assert_eq!(stage.engine.operations(), ["start"]);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_stopped_session_keeps_its_sandbox_when_the_settings_say_so_and_a_delete_takes_all() {
    let stage = Stage::with(|settings| settings.sandbox.keep_after_exit = true).await;
    let session = stage.ready().await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    assert_eq!((stage.machine.sandboxes().len(), stage.machine.running().len()), (1, 0));
    mail::ask(session.addr(), StartSession).await.unwrap().unwrap();
    session.reach(Phase::Ready).await;
    assert_eq!(stage.engine.operations(), ["create", "start", "stop", "start"]);
    mail::ask(&stage.manager, DeleteSession(session.id)).await.unwrap().unwrap();
    assert!(stage.machine.sandboxes().is_empty() && stage.machine.workspaces().is_empty());
}

#[actix::test]
async fn a_sandbox_that_does_not_wake_is_made_anew_once_and_its_workspace_stays() {
    tokio::time::pause();
    let stage = Stage::with(|settings| settings.sandbox.keep_after_exit = true).await;
    let session = stage.ready().await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    stage.engine.set_mood(Mood::Never);
    mail::ask(session.addr(), StartSession).await.unwrap().unwrap();
    session.reach(Phase::Failed).await;
    let operations = stage.engine.operations();
    assert_eq!(operations[3..], ["start", "remove", "create", "start", "remove"]);
    assert_eq!(fault(&session).code, "sandbox.no_answer");
    assert_eq!(stage.machine.workspaces().len(), 1);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_made_with_other_settings_is_kept_or_made_anew_and_the_client_is_told_once() {
    for (recreate, reason, operations) in [
        (false, "settings_kept", vec![]),
        (true, "settings_changed", vec!["remove", "create", "start"]),
    ] {
        let stage = Stage::new().await;
        let (store, machine) = (stage.store.clone(), stage.machine.clone());
        stage.engine.set_config("old");
        let session = stage.ready().await;
        stage.end(&[&session]).await;
        let stage = Stage::set(&store, &machine, |settings| {
            settings.sandbox.recreate_on_changed_settings = recreate;
        })
        .await;
        stage.engine.set_config("new");
        let session = stage.open(session.id).await;
        session.reach(Phase::Ready).await;
        assert_eq!(stage.engine.operations(), operations);
        let told = session.told().await;
        let told: Vec<_> = told.iter().filter_map(|extras| extras["reason"].as_str()).collect();
        assert_eq!(told, [reason]);
        assert_eq!(machine.workspaces().len(), 1);
        stage.end(&[&session]).await;
    }
}

#[actix::test]
async fn a_missing_image_is_fetched_before_the_sandbox_is_made_and_a_fault_names_the_step() {
    let stage = Stage::with(|settings| settings.sandbox.image = Some("debian".into())).await;
    stage.engine.set_images(&[]);
    stage.engine.fail("ensure_image", true);
    let session = stage.create().await;
    session.reach(Phase::Failed).await;
    assert_eq!(fault(&session).step, Some(StartStep::Image));
    stage.engine.fail("ensure_image", false);
    mail::ask(session.addr(), StartSession).await.unwrap().unwrap();
    session.reach(Phase::Ready).await;
    assert_eq!(stage.engine.operations()[1..], ["ensure_image", "create", "start"]);
    assert_eq!(session.steps().await[2..], ["find", "image", "create", "start", "connect"]);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_stop_does_not_wait_for_an_image_that_is_being_fetched() {
    let stage = Stage::with(|settings| settings.sandbox.image = Some("debian".into())).await;
    stage.engine.set_images(&[]);
    stage.engine.set_mode(Mode::Explicit);
    let session = stage.create().await;
    eventually("it is being fetched", || stage.engine.count("ensure_image") == 1).await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn the_steps_of_the_last_start_are_known_after_a_restart_of_the_server() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    stage.engine.set_mood(Mood::Slow(Duration::from_secs(2)));
    let session = stage.ready().await;
    mail::ask(session.addr(), StopSession).await.unwrap().unwrap();
    session.reach(Phase::Stopped).await;
    stage.end(&[&session]).await;
    let stage = Stage::over(&store, &machine).await;
    let session = stage.open(session.id).await;
    let steps = mail::ask(session.addr(), GetAdminView).await.unwrap().start_steps;
    let start = steps.iter().find(|time| time.step == StartStep::Start).expect("it is there");
    assert!(start.took_ms.is_some_and(|took| (2000..3000).contains(&took)), "{steps:?}");
    stage.end(&[&session]).await;
}
