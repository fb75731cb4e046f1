//! What a session begins with: its repository, then its owner's first message; and what people choose of its agent.

use futures_util::FutureExt;
use serde_json::{Value, json};
use staithe_actors::{
    agent_session::choice::{AgentChoice, LimitsChoice},
    mail,
    session::{
        messages::{ChooseAgent, LookAtAgent},
        task::{FirstTask, Repository},
    },
};
use staithe_protocol::{Phase, runner::Credential, secret::Secret};
use staithe_testkit::{Machine, eventually, eventually_some};

use crate::{
    breakable::Breakable,
    stage::{One, Stage},
};

const TOKEN: &str = "token-of-the-owner";

fn task(clone: bool) -> FirstTask {
    let url = "https://git.example/a/b.git".into();
    let repository = Repository { url, branch: None, configured_token: false };
    FirstTask { clone: clone.then_some(repository), message: Some("do it".into()) }
}

fn credential() -> Credential {
    Credential { user: "ann".into(), token: Secret::new(TOKEN) }
}

fn is_message(event: &Value) -> bool {
    event["action"] == "message"
}

/// All events, once the first message is among them.
async fn begun(session: &One) -> Vec<Value> {
    let feed = session.handle.feed.clone();
    eventually_some("the first message", || {
        // A store in memory answers at once.
        let read = feed.events(-1, usize::MAX).now_or_never();
        let (events, _) = read.ok_or_else(Vec::new)?.unwrap();
        let events: Vec<Value> =
            events.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
        if events.iter().any(is_message) { Ok(events) } else { Err(events) }
    })
    .await
}

#[actix::test]
async fn the_repository_is_cloned_before_the_first_message_is_taken() {
    let stage = Stage::new().await;
    let session = stage.create_with(task(true), Some(credential())).await;
    let events = begun(&session).await;
    let state = |event: &Value| event["extras"]["state"].as_str().map(str::to_owned);
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["observation"] == "repository" || is_message(event))
        .map(|event| state(event).unwrap_or_else(|| "message".to_owned()))
        .collect();
    assert_eq!(told, ["cloning", "cloned", "message"]);
    let asked = stage.machine.runner().cloned();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].credential, Some(credential()));
    let kept = stage.store.kept(session.id).to_string();
    assert!(!kept.contains(TOKEN) && !serde_json::to_string(&events).unwrap().contains(TOKEN));
    // Whatever repeats it from now on is hidden.
    let id = session.run(&format!("echo {TOKEN}")).await;
    assert_eq!(session.outcome(id).await["content"], "echo <secret_hidden>");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_crash_on_the_way_loses_no_message_and_says_none_twice() {
    let (store, machine) = (Breakable::new(), Machine::new());
    let stage = Stage::over(&store, &machine).await;
    let session = stage.create_with(task(true), Some(credential())).await;
    let id = session.id;
    stage.end(&[&session]).await;
    for _ in 0..2 {
        let stage = Stage::over(&store, &machine).await;
        let session = stage.open(id).await;
        let events = begun(&session).await;
        assert_eq!(events.iter().filter(|event| is_message(event)).count(), 1);
        session.reach(Phase::Ready).await;
        eventually("nothing is left to be done", || store.kept(id)["task"] == json!({})).await;
        stage.end(&[&session]).await;
    }
}

#[actix::test]
async fn without_a_repository_the_message_waits_for_nothing() {
    let stage = Stage::new().await;
    let session = stage.create_with(task(false), None).await;
    begun(&session).await;
    assert!(stage.machine.runner().cloned().is_empty());
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_choice_is_kept_before_it_holds() {
    let (store, machine) = (Breakable::new(), Machine::new());
    let stage = Stage::over(&store, &machine).await;
    let session = stage.ready().await;
    let before = mail::ask(session.addr(), LookAtAgent).await.unwrap().unwrap();
    assert_eq!((before.limits.steps, before.model), (9, None));
    let limits = LimitsChoice { steps: Some(3), ..LimitsChoice::default() };
    let choice = AgentChoice { model: Some("mine".into()), limits, ..AgentChoice::default() };
    let view = mail::ask(session.addr(), ChooseAgent(choice)).await.unwrap().unwrap();
    assert_eq!((view.limits.steps, view.model.as_deref()), (3, Some("mine")));
    let id = session.id;
    stage.end(&[&session]).await;
    let stage = Stage::over(&store, &machine).await;
    let session = stage.open(id).await;
    let again = mail::ask(session.addr(), LookAtAgent).await.unwrap().unwrap();
    assert_eq!(
        again,
        staithe_actors::agent_session::choice::AgentView { state: again.state, ..view }
    );
    stage.end(&[&session]).await;
}
