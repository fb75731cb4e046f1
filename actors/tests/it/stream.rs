//! The event stream: references, atomic joining, secrets.

use futures_util::future::join_all;
use serde_json::json;
use staithe_actors::{
    ClientInfo, Reference,
    agent_session::messages::SubmitFailed,
    event_stream::messages::{AppendFailed, Subscribe},
    mail,
};
use staithe_protocol::{Action, action::Think, frames::Role};
use staithe_testkit::eventually;

use crate::stage::{NUMBER, SECRET, Stage, run};

pub(crate) fn anybody() -> ClientInfo {
    ClientInfo { role: Role::Viewer, peer: None }
}

fn think(thought: &str) -> Action {
    Action::Think(Think { thought: thought.into() })
}

#[actix::test]
async fn a_reference_used_twice_at_once_is_one_event_and_answered_when_it_is_durable() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    stage.store.hold(true);
    let reference = || Some(Reference::new("r", &json!({"a": 1})));
    let twice = join_all([(); 2].map(|()| session.submit(think("once"), reference())));
    let release = async {
        eventually("it waits for the disk", || stage.store.held() == 1).await;
        stage.store.hold(false);
    };
    let (ids, ()) = tokio::join!(twice, release);
    assert_eq!(ids[0].as_ref().unwrap(), ids[1].as_ref().unwrap());
    let third = session.submit(think("once"), reference()).await.unwrap();
    assert_eq!(&third, ids[0].as_ref().unwrap());
    let events = session.events().await;
    assert_eq!(events.iter().filter(|event| event["action"] == "think").count(), 1);
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_reference_for_another_command_is_refused_also_after_a_restart() {
    let stage = Stage::new().await;
    let (store, machine) = (stage.store.clone(), stage.machine.clone());
    let session = stage.ready().await;
    let first = Reference::new("r", &json!(1));
    let id = session.submit(think("a"), Some(first.clone())).await.unwrap();
    let other = Reference::new("r", &json!(2));
    let reused = session.submit(think("b"), Some(other.clone())).await;
    let is_reused = |outcome: &Result<_, SubmitFailed>| {
        matches!(outcome, Err(SubmitFailed::Append(AppendFailed::ReferenceReused(_))))
    };
    assert!(is_reused(&reused), "{reused:?}");
    stage.end(&[&session]).await;

    let stage = Stage::over(&store, &machine).await;
    let session = stage.open(session.id).await;
    assert_eq!(session.submit(think("a"), Some(first)).await.unwrap(), id);
    let reused = session.submit(think("b"), Some(other)).await;
    assert!(is_reused(&reused), "{reused:?}");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_reader_that_joins_while_events_come_sees_each_once_and_in_order() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let stream = session.stream().await;
    let write = async {
        for n in 0..100 {
            session.submit(think(&n.to_string()), None).await.unwrap();
        }
    };
    let read = async {
        let mut readers = Vec::new();
        for _ in 0..10 {
            tokio::task::yield_now().await;
            readers.push(mail::ask(&stream, Subscribe(anybody())).await.unwrap());
        }
        readers
    };
    let ((), readers) = tokio::join!(write, read);
    let head = session.handle.feed.head();
    for reader in readers {
        let mut cursor = reader.head;
        let mut seen = reader.head;
        while cursor < head {
            let (frames, next) = reader.feed.frames(cursor, 1000).await.unwrap();
            assert!(!frames.is_empty());
            for frame in frames {
                let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
                seen += 1;
                assert_eq!(frame["event"]["id"].as_i64(), Some(seen));
            }
            cursor = next;
        }
        assert_eq!(seen, cursor);
    }
    stage.end(&[&session]).await;
}

#[actix::test]
async fn secrets_stand_in_no_event_and_no_output() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let runner = stage.machine.runner();
    let id = session.run(&format!("echo {SECRET} {NUMBER}")).await;
    let outcome = session.outcome(id).await;
    assert_eq!(outcome["content"], "echo <secret_hidden> <secret_hidden>");
    let text = serde_json::to_string(&session.events().await).unwrap();
    assert!(!text.contains("s3cr3t"), "{text}");
    runner.print(None, 0, &format!("see {SECRET}"));
    let feed = &session.handle.feed;
    eventually("output comes", || !feed.output(0, -1, 10).0.is_empty()).await;
    let (output, _) = feed.output(0, -1, 10);
    assert!(String::from_utf8_lossy(&output[0]).contains("see <secret_hidden>"), "{output:?}");
    stage.end(&[&session]).await;
}

#[actix::test]
async fn a_secret_of_digits_leaves_numbers_alone_and_the_event_readable() {
    let stage = Stage::new().await;
    let session = stage.ready().await;
    let mut submit = run("x");
    if let Action::Run(run) = &mut submit {
        run.security_risk = NUMBER.parse().ok();
    }
    let id = session.submit(submit, None).await.unwrap();
    session.outcome(id).await;
    stage.end(&[&session]).await;
}
