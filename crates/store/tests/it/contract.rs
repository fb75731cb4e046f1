//! One suite over both stores: whatever holds for one holds for the other.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use staithe_protocol::ids::{EventId, SessionId};
use staithe_store::{
    CLAIM_LIFETIME_MS, Claim, MemoryStore, NewClaim, NewEvent, ReferenceHit, Store, StoreFailed,
};

use crate::{all, body, check_logs, event, open, reference, referenced, row, temp_dir};

macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryStore::new()).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let dir = super::temp_dir();
                super::$name(&super::open(dir.path())).await;
            })*
        }
    };
}

contract! {
    what_is_appended_is_read_back
    the_order_of_calls_is_the_order_of_the_log
    an_event_is_written_though_nobody_waits
    a_read_begins_after_the_cursor_and_ends_at_the_limits
    a_read_gives_one_event_however_large
    an_unknown_session_has_nothing
    an_id_that_does_not_follow_is_refused
    a_log_is_never_overwritten
    the_sessions_logs_are_apart
    a_range_names_both_ends
    a_reference_leads_to_its_event
    a_taken_reference_stays_with_the_first
    the_references_of_a_session_are_listed
    a_record_is_replaced
    records_are_listed_in_order
    a_deleted_session_leaves_nothing
    a_deleted_session_does_not_take_others_along
    a_log_begins_anew_after_a_deletion
    the_first_claim_wins_and_writes_the_record
    claims_of_other_scopes_and_keys_are_apart
    an_old_claim_is_forgotten
}

async fn append(store: &dyn Store, session: SessionId, count: u64) {
    for id in 0..count {
        store.append(event(session, id)).await.expect("it follows");
    }
}

async fn what_is_appended_is_read_back(store: &dyn Store) {
    let session = SessionId::generate();
    let bodies = [Bytes::new(), Bytes::from_static(b"\0\xff'\""), Bytes::from(vec![7; 100_000])];
    for (id, body) in (0..).map(EventId).zip(&bodies) {
        let event = NewEvent { session, id, body: body.clone(), reference: None };
        store.append(event).await.expect("it follows");
    }
    let read: Vec<_> = all(store, session).await.into_iter().map(|event| event.body).collect();
    assert_eq!(read, bodies);
}

async fn the_order_of_calls_is_the_order_of_the_log(store: &dyn Store) {
    let session = SessionId::generate();
    let answers: Vec<_> = (0..1500).map(|id| store.append(event(session, id))).collect();
    for answer in answers.into_iter().rev() {
        answer.await.expect("it follows");
    }
    assert_eq!(check_logs(store, &[session]).await[&session], 1500);
}

async fn an_event_is_written_though_nobody_waits(store: &dyn Store) {
    let session = SessionId::generate();
    drop(store.append(event(session, 0)));
    store.append(event(session, 1)).await.expect("it follows");
}

async fn a_read_begins_after_the_cursor_and_ends_at_the_limits(store: &dyn Store) {
    const NONE: [u64; 0] = [];
    let session = SessionId::generate();
    append(store, session, 10).await;
    let ids = async |after: Option<u64>, max_events, max_bytes| {
        let read = store.read(session, after.map(EventId), max_events, max_bytes).await;
        read.expect("it reads").iter().map(|event| event.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 3, usize::MAX).await, [0, 1, 2]);
    assert_eq!(ids(Some(2), 3, usize::MAX).await, [3, 4, 5]);
    assert_eq!(ids(Some(8), 3, usize::MAX).await, [9]);
    assert_eq!(ids(Some(9), 3, usize::MAX).await, NONE);
    assert_eq!(ids(Some(u64::MAX), 3, usize::MAX).await, NONE);
    assert_eq!(ids(None, 0, usize::MAX).await, NONE);
    let two = body(session, 4).len() + body(session, 5).len();
    assert_eq!(ids(Some(3), 9, two).await, [4, 5]);
    assert_eq!(ids(Some(3), 9, two - 1).await, [4]);
}

async fn a_read_gives_one_event_however_large(store: &dyn Store) {
    let session = SessionId::generate();
    append(store, session, 3).await;
    let read = store.read(session, Some(EventId(0)), 9, 0).await.expect("it reads");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].id, EventId(1));
}

async fn an_unknown_session_has_nothing(store: &dyn Store) {
    let session = SessionId::generate();
    assert_eq!(all(store, session).await, []);
    assert_eq!(store.range(session).await.expect("it reads"), None);
    assert_eq!(store.find_reference(session, "r").await.expect("it reads"), None);
    assert_eq!(store.get_session(session).await.expect("it reads"), None);
    assert_eq!(store.list_sessions().await.expect("it reads"), []);
    store.delete_session(session).await.expect("nothing to do");
}

#[track_caller]
fn check_diverged(answer: Result<(), StoreFailed>, next: u64, given: u64) {
    match answer {
        Err(StoreFailed::Diverged { expected, offered, .. }) => {
            assert_eq!((expected, offered), (EventId(next), EventId(given)));
        }
        other => panic!("{other:?}"),
    }
}

async fn an_id_that_does_not_follow_is_refused(store: &dyn Store) {
    let session = SessionId::generate();
    check_diverged(store.append(event(session, 1)).await, 0, 1);
    append(store, session, 2).await;
    check_diverged(store.append(event(session, 3)).await, 2, 3);
    check_diverged(store.append(event(session, 0)).await, 2, 0);
    let far = NewEvent { session, id: EventId(u64::MAX), body: Bytes::new(), reference: None };
    check_diverged(store.append(far).await, 2, u64::MAX);
    store.append(event(session, 2)).await.expect("it follows");
}

async fn a_log_is_never_overwritten(store: &dyn Store) {
    let session = SessionId::generate();
    append(store, session, 3).await;
    let other = Bytes::from_static(b"another");
    let again =
        NewEvent { session, id: EventId(1), body: other, reference: Some(reference("late", 1)) };
    check_diverged(store.append(again).await, 3, 1);
    assert_eq!(check_logs(store, &[session]).await[&session], 3);
    assert_eq!(store.find_reference(session, "late").await.expect("it reads"), None);
}

async fn the_sessions_logs_are_apart(store: &dyn Store) {
    let sessions: Vec<_> = (0..50).map(|_| SessionId::generate()).collect();
    for id in 0..20 {
        let answers: Vec<_> = sessions.iter().map(|s| store.append(event(*s, id))).collect();
        for answer in answers {
            answer.await.expect("it follows");
        }
    }
    assert!(check_logs(store, &sessions).await.values().all(|length| *length == 20));
}

async fn a_range_names_both_ends(store: &dyn Store) {
    let session = SessionId::generate();
    append(store, session, 1).await;
    let range = store.range(session).await.expect("it reads");
    assert_eq!(range, Some((EventId(0), EventId(0))));
    store.append(event(session, 1)).await.expect("it follows");
    let range = store.range(session).await.expect("it reads");
    assert_eq!(range, Some((EventId(0), EventId(1))));
}

async fn a_reference_leads_to_its_event(store: &dyn Store) {
    let (session, other) = (SessionId::generate(), SessionId::generate());
    append(store, session, 1).await;
    store.append(referenced(session, 1)).await.expect("it follows");
    let hit = ReferenceHit { event: EventId(1), digest: [7; 32] };
    assert_eq!(store.find_reference(session, "r1").await.expect("it reads"), Some(hit));
    assert_eq!(store.find_reference(session, "r").await.expect("it reads"), None);
    assert_eq!(store.find_reference(other, "r1").await.expect("it reads"), None);
}

async fn a_taken_reference_stays_with_the_first(store: &dyn Store) {
    let session = SessionId::generate();
    store.append(referenced(session, 0)).await.expect("it follows");
    let again = NewEvent { reference: Some(reference("r0", 8)), ..event(session, 1) };
    store.append(again).await.expect("it follows");
    let hit = ReferenceHit { event: EventId(0), digest: [7; 32] };
    assert_eq!(store.find_reference(session, "r0").await.expect("it reads"), Some(hit));
    assert_eq!(check_logs(store, &[session]).await[&session], 2);
}

async fn the_references_of_a_session_are_listed(store: &dyn Store) {
    let (session, other) = (SessionId::generate(), SessionId::generate());
    assert!(store.references(session).await.expect("it reads").is_empty());
    store.append(referenced(session, 0)).await.expect("it follows");
    store.append(event(session, 1)).await.expect("it follows");
    store.append(referenced(session, 2)).await.expect("it follows");
    store.append(referenced(other, 0)).await.expect("it follows");
    let mut names = store.references(session).await.expect("it reads");
    names.sort_unstable();
    assert_eq!(names, ["r0", "r2"]);
    store.delete_session(session).await.expect("it is deleted");
    assert!(store.references(session).await.expect("it reads").is_empty());
    assert_eq!(store.references(other).await.expect("it reads"), ["r0"]);
}

async fn a_record_is_replaced(store: &dyn Store) {
    let id = SessionId::generate();
    store.put_session(row(id, "one")).await.expect("it is written");
    let mut two = row(id, "two");
    two.updated_ms = 2;
    store.put_session(two.clone()).await.expect("it is written");
    assert_eq!(store.get_session(id).await.expect("it reads"), Some(two.clone()));
    assert_eq!(store.list_sessions().await.expect("it reads"), [two]);
}

async fn records_are_listed_in_order(store: &dyn Store) {
    let mut rows: Vec<_> = (0..20).map(|_| row(SessionId::generate(), "{}")).collect();
    for row in rows.iter().rev() {
        store.put_session(row.clone()).await.expect("it is written");
    }
    rows.sort_by_key(|row| row.id);
    assert_eq!(store.list_sessions().await.expect("it reads"), rows);
}

fn claim(scope: &str, key: &str, value: SessionId, now_ms: i64) -> NewClaim {
    let (scope, key) = (scope.to_owned(), key.to_owned());
    NewClaim { scope, key, digest: [1; 32], value, record: row(value, "claimed"), now_ms }
}

async fn a_deleted_session_leaves_nothing(store: &dyn Store) {
    let session = SessionId::generate();
    store.claim(claim("user", "key", session, 0)).await.expect("it is written");
    store.append(referenced(session, 0)).await.expect("it follows");
    store.delete_session(session).await.expect("it is deleted");
    assert_eq!(all(store, session).await, []);
    assert_eq!(store.range(session).await.expect("it reads"), None);
    assert_eq!(store.get_session(session).await.expect("it reads"), None);
    assert_eq!(store.find_reference(session, "r0").await.expect("it reads"), None);
    let again = store.claim(claim("user", "key", SessionId::generate(), 0)).await;
    assert_eq!(again.expect("it is written"), Claim::New);
}

async fn a_deleted_session_does_not_take_others_along(store: &dyn Store) {
    let (gone, kept) = (SessionId::generate(), SessionId::generate());
    for session in [gone, kept] {
        store.claim(claim("user", &session.to_string(), session, 0)).await.expect("it is written");
        store.append(referenced(session, 0)).await.expect("it follows");
    }
    store.delete_session(gone).await.expect("it is deleted");
    assert_eq!(check_logs(store, &[kept]).await[&kept], 1);
    assert!(store.get_session(kept).await.expect("it reads").is_some());
    assert!(store.find_reference(kept, "r0").await.expect("it reads").is_some());
    let again = store.claim(claim("user", &kept.to_string(), gone, 0)).await;
    assert_eq!(again.expect("it reads"), Claim::Existing { value: kept, digest: [1; 32] });
}

async fn a_log_begins_anew_after_a_deletion(store: &dyn Store) {
    let session = SessionId::generate();
    append(store, session, 3).await;
    store.delete_session(session).await.expect("it is deleted");
    check_diverged(store.append(event(session, 3)).await, 0, 3);
    append(store, session, 1).await;
}

async fn the_first_claim_wins_and_writes_the_record(store: &dyn Store) {
    let (first, second) = (SessionId::generate(), SessionId::generate());
    let made = store.claim(claim("user", "key", first, 0)).await;
    assert_eq!(made.expect("it is written"), Claim::New);
    let late = NewClaim { digest: [2; 32], ..claim("user", "key", second, 1) };
    let made = store.claim(late).await;
    assert_eq!(made.expect("it reads"), Claim::Existing { value: first, digest: [1; 32] });
    assert_eq!(store.get_session(first).await.expect("it reads"), Some(row(first, "claimed")));
    assert_eq!(store.get_session(second).await.expect("it reads"), None);
}

async fn claims_of_other_scopes_and_keys_are_apart(store: &dyn Store) {
    for (scope, key) in [("a", "bc"), ("ab", "c"), ("a", "b"), ("", "abc")] {
        let made = store.claim(claim(scope, key, SessionId::generate(), 0)).await;
        assert_eq!(made.expect("it is written"), Claim::New);
    }
}

async fn an_old_claim_is_forgotten(store: &dyn Store) {
    let (first, second) = (SessionId::generate(), SessionId::generate());
    store.claim(claim("user", "key", first, 1000)).await.expect("it is written");
    let edge = 1000 + CLAIM_LIFETIME_MS;
    let made = store.claim(claim("user", "key", second, edge)).await;
    assert_eq!(made.expect("it reads"), Claim::Existing { value: first, digest: [1; 32] });
    let made = store.claim(claim("user", "key", second, edge + 1)).await;
    assert_eq!(made.expect("it is written"), Claim::New);
    assert!(store.get_session(first).await.expect("it reads").is_some());
}

/// One call, with sessions as indices.
#[derive(Clone, Debug)]
enum Call {
    Append { session: usize, id: u64, reference: Option<u8> },
    Read { session: usize, after: Option<u64>, max_events: usize, max_bytes: usize },
    Put(usize),
    Delete(usize),
    Claim { key: u8, value: usize, now_ms: i64 },
    Look(usize),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let session = 0..3_usize;
    let call = prop_oneof![
        8 => (session.clone(), 0..6_u64, proptest::option::of(0..3_u8))
            .prop_map(|(session, id, reference)| Call::Append { session, id, reference }),
        2 => (session.clone(), proptest::option::of(0..6_u64), 0..4_usize, 0..200_usize).prop_map(
            |(session, after, max_events, max_bytes)| Call::Read {
                session, after, max_events, max_bytes
            }
        ),
        1 => session.clone().prop_map(Call::Put),
        1 => session.clone().prop_map(Call::Delete),
        2 => (0..2_u8, session.clone(), 0..2 * CLAIM_LIFETIME_MS)
            .prop_map(|(key, value, now_ms)| Call::Claim { key, value, now_ms }),
        2 => session.prop_map(Call::Look),
    ];
    proptest::collection::vec(call, 1..40)
}

/// The answer in words, as failures can't be compared.
async fn answer(store: &dyn Store, sessions: &[SessionId], call: &Call) -> String {
    match *call {
        Call::Append { session, id, reference: name } => {
            let reference = name.map(|name| reference(&format!("r{name}"), name));
            let event = NewEvent { reference, ..event(sessions[session], id) };
            format!("{:?}", store.append(event).await)
        }
        Call::Read { session, after, max_events, max_bytes } => {
            let after = after.map(EventId);
            format!("{:?}", store.read(sessions[session], after, max_events, max_bytes).await)
        }
        Call::Put(session) => {
            format!("{:?}", store.put_session(row(sessions[session], "put")).await)
        }
        Call::Delete(session) => format!("{:?}", store.delete_session(sessions[session]).await),
        Call::Claim { key, value, now_ms } => {
            let claim = claim("user", &key.to_string(), sessions[value], now_ms);
            format!("{:?}", store.claim(claim).await)
        }
        Call::Look(session) => {
            let session = sessions[session];
            let record = store.get_session(session).await;
            let records = store.list_sessions().await;
            let range = store.range(session).await;
            let hit = store.find_reference(session, "r0").await;
            format!("{record:?} {records:?} {range:?} {hit:?}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_give_the_same_answers(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let dir = temp_dir();
        let sessions: Vec<_> = (0..3).map(|_| SessionId::generate()).collect();
        let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(open(dir.path()))];
        for call in &calls {
            let memory = runtime.block_on(answer(&*stores[0], &sessions, call));
            let sqlite = runtime.block_on(answer(&*stores[1], &sessions, call));
            prop_assert_eq!(memory, sqlite, "{:?}", call);
        }
    }
}
