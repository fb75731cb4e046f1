//! A session from its making to its end, with all that may break on the way.

use std::time::Duration;

use staithe_actors::{
    agent_session::messages::SubmitFailed,
    mail,
    session::messages::{StartSession, StopSession},
};
use staithe_protocol::Phase;
use staithe_testkit::{Mode, Mood, eventually};
use tokio::time::Instant;

use crate::stage::{Stage, fault, run};

#[actix::test]
async fn a_command_is_answered_by_an_observation_that_names_it() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let id = session.run("echo hi").await;
    let outcome = session.outcome(id).await;
    assert_eq!((&outcome["observation"], &outcome["content"]), (&"run".into(), &"echo hi".into()));
    let ids: Vec<_> = session.events().await.iter().map(|event| event["id"].as_u64()).collect();
    assert_eq!(ids, (0..ids.len() as u64).map(Some).collect::<Vec<_>>());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_bad_start_names_its_step_and_cause_leaves_nothing_and_can_be_tried_again() {
    let stage = Stage::new().await;
    stage.engine.set_mood(Mood::Bad);
    let session = stage.create().await;
    session.reach(Phase::Failed).await;
    let fault = fault(&session);
    assert_eq!(fault.step, Some(staithe_protocol::StartStep::Start));
    assert!(fault.cause.contains("bad mood"), "{fault:?}");
    assert_eq!((fault.remedy.as_str(), fault.log_tail.len()), ("Cheer it up.", 1));
    assert!(stage.machine.sandboxes().is_empty());
    let denied = session.submit(run("x"), None).await;
    assert!(matches!(denied, Err(SubmitFailed::Denied(_))), "{denied:?}");
    stage.engine.set_mood(Mood::Well);
    assert_eq!(mail::ask(session.addr(), StartSession).await.unwrap(), Ok(Phase::Starting));
    session.reach(Phase::Ready).await;
    let id = session.run("again").await;
    assert_eq!(session.outcome(id).await["content"], "again");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_runner_that_never_answers_fails_the_start_when_its_time_is_up() {
    tokio::time::pause();
    let stage = Stage::new().await;
    stage.engine.set_mood(Mood::Never);
    let began = Instant::now();
    let session = stage.create().await;
    session.reach(Phase::Failed).await;
    assert!(began.elapsed() >= Duration::from_secs(20));
    assert_eq!(fault(&session).code, "sandbox.no_answer");
    assert!(stage.machine.sandboxes().is_empty());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_sandbox_that_ends_comes_back_after_growing_pauses_and_fails_the_fourth_time() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let session = stage.ready().await;
    for pause in [1, 4, 16] {
        let ended = Instant::now();
        stage.machine.exit(&stage.machine.running()[0], 137);
        session.reach(Phase::Starting).await;
        session.reach(Phase::Ready).await;
        let took = stage.engine.calls().last().expect("a start").at - ended;
        let pause = Duration::from_secs(pause);
        assert!(took >= pause && took < pause + Duration::from_millis(900), "{took:?}");
    }
    stage.machine.exit(&stage.machine.running()[0], 137);
    session.reach(Phase::Failed).await;
    assert_eq!(fault(&session).code, "sandbox.restarts_spent");
    assert!(!fault(&session).log_tail.is_empty(), "the sandbox's last words");
    eventually("nothing is left", || stage.machine.sandboxes().is_empty()).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_cut_line_that_comes_back_answers_a_command_once() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let runner = stage.machine.runner();
    runner.hang(true);
    let id = session.run("slow").await;
    let key = id.to_string();
    eventually("it runs", || runner.carried_out(&key) == 1).await;
    runner.cut();
    runner.cut();
    runner.hang(false);
    assert_eq!(session.outcome(id).await["content"], "slow");
    assert_eq!(runner.carried_out(&key), 1);
    assert_eq!(session.phase(), Phase::Ready);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_runner_that_begins_anew_interrupts_what_it_ran_and_runs_it_not_again() {
    tokio::time::pause();
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let runner = stage.machine.runner();
    runner.hang(true);
    let id = session.run("once").await;
    eventually("it runs", || runner.carried_out(&id.to_string()) == 1).await;
    runner.begin_anew();
    let outcome = session.outcome(id).await;
    assert_eq!(outcome["extras"]["error_id"], "AGENT_ERROR$ACTION_INTERRUPTED");
    assert_eq!(runner.carried_out(&id.to_string()), 1);
    session.reach(Phase::Ready).await;
    stage.end(&[&session]).await;
}

#[actix::test]
async fn queued_commands_survive_the_servers_death_and_run_one_by_one() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    let runner = machine.runner();
    runner.hang(true);
    let mut ids = Vec::new();
    for command in ["a", "b", "c"] {
        ids.push(session.run(command).await);
    }
    eventually("the first runs", || runner.order().len() == 1).await;
    stage.end(&[&session]).await;

    let stage = Stage::over(&store, &machine).await;
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    runner.hang(false);
    for (id, command) in ids.iter().zip(["a", "b", "c"]) {
        assert_eq!(session.outcome(*id).await["content"], command);
    }
    let keys: Vec<_> = ids.iter().map(ToString::to_string).collect();
    assert_eq!((runner.order(), runner.most_in_shell()), (keys, 1));
    assert!(stage.engine.calls().is_empty(), "the sandbox was adopted");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_stop_in_the_middle_of_a_start_leaves_no_sandbox_behind() {
    let stage = Stage::new().await;
    stage.engine.set_mode(Mode::Explicit);
    let session = stage.create().await;
    eventually("it is being made", || stage.engine.count("create") == 1).await;
    assert_eq!(mail::ask(session.addr(), StopSession).await.unwrap(), Ok(Phase::Stopping));
    stage.engine.set_mode(Mode::Auto);
    stage.engine.finish("create");
    session.reach(Phase::Stopped).await;
    assert!(stage.machine.sandboxes().is_empty(), "{:?}", stage.engine.operations());
    assert_eq!(stage.machine.workspaces().len(), 1, "a stop keeps the workspace");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_store_that_breaks_fails_the_session_and_a_start_takes_it_up_again() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    stage.store.break_it(true);
    let refused = session.submit(run("lost"), None).await;
    assert!(matches!(refused, Err(SubmitFailed::Append(_))), "{refused:?}");
    session.reach(Phase::Failed).await;
    let fault = fault(&session);
    assert_eq!(fault.code, "store.failed");
    assert!(fault.cause.contains("disk full"), "{fault:?}");
    eventually("its sandbox is ended", || stage.machine.sandboxes().is_empty()).await;

    stage.store.break_it(false);
    mail::ask(session.addr(), StartSession).await.unwrap().unwrap();
    eventually("the old actor ends", || !session.addr().connected()).await;
    eventually("a new one is there", || stage.registry.live(session.id).is_some()).await;
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    let id = session.run("kept").await;
    assert_eq!(session.outcome(id).await["content"], "kept");
    assert!(!session.events().await.iter().any(|event| event["args"]["command"] == "lost"));
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_stream_that_panics_takes_its_session_down_and_the_manager_takes_it_up_again() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    stage.store.panic_once();
    let refused = session.submit(run("boom"), None).await;
    assert!(matches!(refused, Err(SubmitFailed::Send(_))), "{refused:?}");
    eventually("the old actor ends", || !session.addr().connected()).await;
    eventually("a new one is there", || stage.registry.live(session.id).is_some()).await;
    let session = stage.open(session.id).await;
    session.reach(Phase::Ready).await;
    let id = session.run("after").await;
    assert_eq!(session.outcome(id).await["content"], "after");
    assert_eq!(stage.engine.count("create"), 1, "its sandbox was adopted");
    stage.end(&[&session]).await;
}
