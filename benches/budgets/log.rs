//! Row 5: durable appends through the event stream's actor, beside the store alone at the same batch.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext};
use staithe_actors::{
    Feed, Secrets,
    event_stream::{EventStream, Origin, messages::Append},
    mail,
    session::Session,
    supervise::{ChildKind, DeathNotice},
};
use staithe_protocol::{Action, Body, EventId, Generation, SessionId, Source, action::Message};
use staithe_store::{NewEvent, SqliteStore, Store};
use tokio::time::Instant;

use crate::support::Row;

const APPENDERS: usize = 64;
const EACH: usize = 1500;
const ROUNDS: usize = 3;

pub(crate) fn append() -> Vec<Row> {
    let (mut floors, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(rate(actix::System::new().block_on(store_alone())));
        rates.push(rate(actix::System::new().block_on(through_the_actor())));
    }
    floors.sort_by(f64::total_cmp);
    rates.sort_by(f64::total_cmp);
    let (floor, measured) = (floors[ROUNDS / 2], rates[ROUNDS / 2]);
    vec![Row {
        what: "durable append (fsync, group commit), 64 appenders, 500 B",
        floor: format!("the store alone: {floor:.0} events/s"),
        measured: format!(
            "{measured:.0} events/s through the actor = {:.2} × floor's time",
            floor / measured
        ),
        budget: "≥ 25,000 events/s; ≤ 1.5 × floor",
    }]
}

fn rate(took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of events")]
    let events = (APPENDERS * EACH) as f64;
    events / took.as_secs_f64()
}

fn action() -> Action {
    Action::Message(Message { content: "x".repeat(330), ..Message::default() })
}

/// Each appender has a session of its own and waits for every event.
async fn store_alone() -> Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(dir.path()).expect("a store");
    let body = bytes::Bytes::from(vec![b'x'; 500]);
    let began = Instant::now();
    let appenders = (0..APPENDERS).map(|_| {
        let (store, body) = (store.clone(), body.clone());
        actix::spawn(async move {
            let session = SessionId::generate();
            for id in 0..EACH as u64 {
                let event =
                    NewEvent { session, id: EventId(id), body: body.clone(), reference: None };
                store.append(event).await.expect("it is durable");
            }
        })
    });
    futures_util::future::join_all(appenders.collect::<Vec<_>>()).await;
    let took = began.elapsed();
    store.shutdown();
    took
}

async fn through_the_actor() -> Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(dir.path()).expect("a store");
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let nobody = actix::Context::<Session>::new().address().downgrade();
    let began = Instant::now();
    let appenders = (0..APPENDERS).map(|_| {
        let session = SessionId::generate();
        let origin = Origin {
            session,
            store: shared.clone(),
            feed: Feed::new(session, shared.clone(), None),
            head: None,
            references: Vec::new(),
            mask: Secrets::default().mask("bench"),
        };
        let notice = DeathNotice::new(ChildKind::EventStream, Generation(0), nobody.clone());
        let stream = EventStream::new(origin, notice).start();
        actix::spawn(async move {
            for _ in 0..EACH {
                let append = Append {
                    source: Source::User,
                    cause: None,
                    body: Body::Action(action()),
                    timeout: None,
                    tool_call_metadata: None,
                    llm_metrics: None,
                    reference: None,
                };
                mail::ask(&stream, append).await.expect("the stream lives").expect("it is durable");
            }
        })
    });
    futures_util::future::join_all(appenders.collect::<Vec<_>>()).await;
    let took = began.elapsed();
    store.shutdown();
    took
}
