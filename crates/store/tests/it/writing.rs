//! The writer: batches, bounds, failed transactions, the end.

use bytes::Bytes;
use rusqlite::Connection;
use staithe_protocol::ids::{EventId, SessionId};
use staithe_store::{NewEvent, SqliteStore, Store, StoreFailed};

use crate::{check_logs, event, open, raw, referenced, row, temp_dir};

/// Keeps the writer from beginning another transaction until it is dropped.
struct Hold(Connection);

impl Hold {
    /// Comes back when the writer waits with a first item, an event of a session of its own.
    async fn new(store: &SqliteStore, db: Connection) -> Self {
        db.execute_batch("BEGIN IMMEDIATE").expect("the database is locked");
        drop(store.append(event(SessionId::generate(), 0)));
        while store.stats().queued_items > 0 {
            tokio::task::yield_now().await;
        }
        Self(db)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").expect("the database is unlocked");
    }
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let dir = temp_dir();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let session = SessionId::generate();
                let answers: Vec<_> = (0..250).map(|id| store.append(event(session, id))).collect();
                for answer in answers {
                    answer.await.expect("it follows");
                }
                session
            })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        sessions.push(task.await.expect("the task ends"));
    }
    assert!(check_logs(&store, &sessions).await.values().all(|length| *length == 250));
    let stats = store.stats();
    assert_eq!((stats.items, stats.failures, stats.queued_items), (2000, 0, 0));
    assert!(stats.commits <= 200, "{stats:?}");
}

#[tokio::test]
async fn thousands_of_sessions_share_the_files() {
    let dir = temp_dir();
    let store = open(dir.path());
    let sessions: Vec<_> = (0..4000).map(|_| SessionId::generate()).collect();
    for id in 0..3 {
        let answers: Vec<_> = sessions.iter().map(|s| store.append(event(*s, id))).collect();
        for answer in answers {
            answer.await.expect("it follows");
        }
    }
    assert!(check_logs(&store, &sessions).await.values().all(|length| *length == 3));
    store.shutdown();
    let store = open(dir.path());
    assert!(check_logs(&store, &sessions).await.values().all(|length| *length == 3));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_leaves_no_gap() {
    let dir = temp_dir();
    let store = open(dir.path());
    let hold = Hold::new(&store, raw(dir.path())).await;
    let session = SessionId::generate();
    let answers: Vec<_> = (0..16_400).map(|id| store.append(event(session, id))).collect();
    let record = store.put_session(row(session, "{}")).await;
    assert!(matches!(record, Err(StoreFailed::Full)), "{record:?}");
    hold.release();
    for (id, answer) in (0..).zip(answers) {
        match answer.await {
            Ok(()) => assert!(id < 16_384, "{id}"),
            Err(StoreFailed::Full) => assert!(id >= 16_384, "{id}"),
            Err(other) => panic!("{other}"),
        }
    }
    let late = store.append(event(session, 16_400)).await;
    assert!(matches!(late, Err(StoreFailed::Diverged { .. })), "{late:?}");
    store.append(event(session, 16_384)).await.expect("it follows");
    assert_eq!(check_logs(&store, &[session]).await[&session], 16_385);
}

#[tokio::test]
async fn a_failed_transaction_fails_all_of_it_and_leaves_no_gap() {
    let dir = temp_dir();
    let store = open(dir.path());
    let (harmed, beside) = (SessionId::generate(), SessionId::generate());
    store.append(event(harmed, 0)).await.expect("it follows");
    let db = raw(dir.path());
    db.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.body = CAST('poison' AS BLOB)
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
    )
    .expect("a trigger");

    let hold = Hold::new(&store, db).await;
    let poison = Bytes::from_static(b"poison");
    let answers = [
        store.append(referenced(beside, 0)),
        store.append(NewEvent { session: harmed, id: EventId(1), body: poison, reference: None }),
        store.append(event(harmed, 2)),
    ];
    hold.release();
    for answer in answers {
        let answer = answer.await;
        assert!(matches!(answer, Err(StoreFailed::Write { .. })), "{answer:?}");
    }
    assert_eq!(store.stats().failures, 1);
    let late = store.append(event(harmed, 3)).await;
    assert!(matches!(late, Err(StoreFailed::Diverged { .. })), "{late:?}");
    assert_eq!(store.find_reference(beside, "r0").await.expect("it reads"), None);

    store.append(event(harmed, 1)).await.expect("it follows");
    store.append(event(beside, 0)).await.expect("it follows");
    let lengths = check_logs(&store, &[harmed, beside]).await;
    assert_eq!((lengths[&harmed], lengths[&beside]), (2, 1));
}

#[tokio::test]
async fn a_shutdown_writes_what_is_queued_and_closes() {
    let dir = temp_dir();
    let store = open(dir.path());
    let session = SessionId::generate();
    let answers: Vec<_> = (0..3000).map(|id| store.append(event(session, id))).collect();
    store.shutdown();
    store.shutdown();
    for answer in answers {
        answer.await.expect("it was queued before");
    }
    let late = store.append(event(session, 3000)).await;
    assert!(matches!(late, Err(StoreFailed::Closed)), "{late:?}");
    let read = store.read(session, None, 1, 1).await;
    assert!(matches!(read, Err(StoreFailed::Closed)), "{read:?}");
    let store = open(dir.path());
    assert_eq!(check_logs(&store, &[session]).await[&session], 3000);
}

#[tokio::test]
async fn many_readers_share_a_few_connections() {
    let dir = temp_dir();
    let store = open(dir.path());
    let session = SessionId::generate();
    store.append(event(session, 0)).await.expect("it follows");
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { check_logs(&store, &[session]).await[&session] })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.expect("the task ends"), 1);
    }
}
