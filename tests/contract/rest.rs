//! Sessions, actions and events over REST.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    ENGINE, LIMIT,
    common::{EngineKind, Server},
    header, json, keys, problem,
};

#[tokio::test]
async fn a_session_is_made_found_stopped_started_and_deleted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let wanted = json!({ "title": "mine", "labels": { "team": "a" } });
    let made = server.post("/api/sessions", &[], &wanted).await;
    assert_eq!(made.0, 201);
    let body = json(&made);
    let id = body["id"].as_str().expect("an id").to_owned();
    assert!(id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    assert_eq!(header(&made, "location"), Some(format!("/api/sessions/{id}").as_str()));
    assert_eq!(body["phase"], "starting", "it answers at once: {body}");
    assert!(body["fault"].is_null());
    assert_eq!((&body["title"], &body["labels"]["team"]), (&"mine".into(), &"a".into()));

    let at = format!("/api/sessions/{id}");
    let bearer = format!("Bearer {}", body["token"].as_str().expect("a token"));
    let shown = [("authorization", bearer.as_str())];
    assert_eq!(server.get(&at, &shown).await.0, 200, "its token opens it");
    problem(&server.get("/api/admin/sessions", &shown).await, 403, "auth.forbidden");

    let ready = server.phase(&id, "ready", LIMIT).await;
    let expected = [
        "id",
        "phase",
        "title",
        "owner",
        "agent_state",
        "head",
        "created_at",
        "updated_at",
        "labels",
        "clients",
    ];
    assert_eq!(keys(&ready), expected.into(), "no step and no fault beside `ready`");
    let list = server.json("/api/sessions").await;
    assert_eq!((&list["total"], &list["sessions"][0]["id"]), (&1.into(), &id.as_str().into()));

    let stop = server.post(&format!("{at}/stop"), &[], &Value::Null).await;
    assert_eq!(stop.0, 202);
    assert!(["stopping", "stopped"].map(Value::from).contains(&json(&stop)["phase"]));
    server.phase(&id, "stopped", LIMIT).await;
    problem(
        &server.post(&format!("{at}/stop"), &[], &Value::Null).await,
        409,
        "session.already_stopped",
    );
    assert_eq!(server.post(&format!("{at}/start"), &[], &Value::Null).await.0, 202);
    server.phase(&id, "ready", LIMIT).await;
    let phases: Vec<_> = server
        .events(&id)
        .await
        .into_iter()
        .filter(|e| e["observation"] == "phase_changed")
        .collect();
    assert!(phases.iter().all(|event| event["extras"]["phase"].is_string()));
    let steps = phases.iter().filter_map(|event| event["extras"]["step"].as_str());
    assert_eq!(steps.clone().take(4).collect::<Vec<_>>(), ["find", "create", "start", "connect"]);

    assert_eq!(server.delete(&at, &[]).await.0, 204);
    problem(&server.get(&at, &[]).await, 404, "session.not_found");
    assert_eq!(server.json("/api/sessions").await["total"], 0);
    server.nothing_is_left().await;
    assert_eq!(server.sigterm().await, Some(0));
}

#[tokio::test]
async fn a_creation_that_is_repeated_with_its_key_answers_the_first_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let key = [("idempotency-key", "k-1")];
    let first = server.post("/api/sessions", &key, &json!({ "title": "a" })).await;
    let again = server.post("/api/sessions", &key, &json!({ "title": "a" })).await;
    assert_eq!((first.0, again.0), (201, 201));
    assert_eq!(json(&first)["id"], json(&again)["id"]);
    let replayed = [&first, &again].map(|answer| header(answer, "idempotency-replayed"));
    assert_eq!(replayed, [Some("false"), Some("true")]);
    let other = server.post("/api/sessions", &key, &json!({ "title": "b" })).await;
    problem(&other, 422, "idempotency.key_reused");
    assert_eq!(server.json("/api/sessions").await["total"], 1);
}

#[tokio::test]
async fn an_action_is_taken_and_its_outcome_is_the_observation_that_it_caused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    let at = format!("/api/sessions/{id}");
    server.phase(&id, "ready", LIMIT).await;
    let run = json!({ "action": "run", "args": { "command": "echo $((6*7))" } });
    let key = [("idempotency-key", "once")];
    let taken = server.post(&format!("{at}/actions"), &key, &run).await;
    assert_eq!(taken.0, 202);
    let event = json(&taken)["event_id"].as_i64().expect("an id");
    assert_eq!(keys(&json(&taken)), ["event_id"].into());
    let again = server.post(&format!("{at}/actions"), &key, &run).await;
    assert_eq!(json(&again), json(&taken));

    // It is durable already.
    let page = server.json(&format!("{at}/events?after={}&limit=1", event - 1)).await;
    assert_eq!(keys(&page), ["events", "has_more", "head"].into());
    let action = &page["events"][0];
    let expected = ["id", "timestamp", "source", "message", "action", "args"];
    assert_eq!(keys(action), expected.into());
    assert_eq!((&action["id"], &action["source"]), (&event.into(), &"user".into()));
    assert_eq!(
        (&action["action"], &action["args"]["command"]),
        (&"run".into(), &run["args"]["command"])
    );

    let observed = loop {
        let events = server.events(&id).await;
        if let Some(event) = events.iter().find(|other| other["cause"] == event) {
            break event.clone();
        }
    };
    let expected = [
        "id",
        "timestamp",
        "source",
        "message",
        "cause",
        "observation",
        "content",
        "extras",
        "success",
    ];
    assert_eq!(keys(&observed), expected.into());
    assert_eq!((&observed["observation"], &observed["content"]), (&"run".into(), &"42".into()));
    assert_eq!(observed["extras"]["exit_code"], 0);
    let output = server.get(&format!("{at}/events/{event}/output"), &[]).await;
    assert_eq!((output.0, output.2.as_slice()), (200, b"42\n".as_slice()));
}

#[tokio::test]
async fn events_are_read_by_range_each_once_and_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    // The phase is told before its event is durable; once a command has been answered, all is.
    let run = json!({ "action": "run", "args": { "command": "true" } });
    let taken = server.post(&format!("/api/sessions/{id}/actions"), &[], &run).await;
    let event = json(&taken)["event_id"].clone();
    let all = loop {
        let all = server.events(&id).await;
        if all.iter().any(|other| other["cause"] == event) {
            break all;
        }
    };
    let ids: Vec<_> = all.iter().map(|event| event["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids, (0..all.len() as u64).collect::<Vec<_>>(), "dense from 0");
    let mut paged = Vec::new();
    loop {
        let after = i64::try_from(paged.len()).expect("few") - 1;
        let path = format!("/api/sessions/{id}/events?after={after}&limit=2");
        let page = server.json(&path).await;
        let events = page["events"].as_array().expect("events").clone();
        assert!(!events.is_empty() && events.len() <= 2);
        paged.extend(events);
        assert_eq!(page["head"], all.len() - 1);
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(paged, all);
    let nothing = server.json(&format!("/api/sessions/{id}/events?after={}", all.len() - 1)).await;
    assert_eq!(nothing, json!({ "events": [], "has_more": false, "head": all.len() - 1 }));
}

#[tokio::test]
async fn a_refusal_is_a_problem_body_with_a_stable_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let required = server.get("/api/sessions", &[("authorization", "")]).await;
    let body = problem(&required, 401, "auth.required");
    assert_eq!(keys(&body), ["type", "title", "status", "detail", "code"].into());
    assert!(header(&required, "www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    problem(&server.get("/api/x", &[]).await, 404, "route.not_found");
    problem(
        &server.request(Method::PATCH, "/api/sessions", &[], Vec::new()).await,
        405,
        "route.method_not_allowed",
    );
    let image = server.post("/api/sessions", &[], &json!({ "image": "x" })).await;
    match ENGINE {
        EngineKind::Local => drop(problem(&image, 422, "session.image_unsupported")),
        // Whether it can be had is told by the start.
        EngineKind::Docker | EngineKind::Fake => assert_eq!(image.0, 201),
    }
    let page = server.get("/nowhere", &[("accept", "text/html")]).await;
    assert_eq!(page.0, 404);
    assert!(header(&page, "content-type").is_some_and(|kind| kind.starts_with("text/html")));
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "cache-control",
    ] {
        assert!(header(&page, name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn every_operation_of_the_openapi_document_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let document = server.json("/api/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let mut count = 0;
    for (path, item) in paths {
        let address =
            path.replace("{id}", &"0".repeat(32)).replace("{event}", "0").replace("{path}", "a");
        for (method, operation) in item.as_object().expect("operations") {
            if address == "/api/admin/drain" {
                continue; // asked last, below
            }
            let method: Method = method.to_uppercase().parse().expect("a method");
            let answer = server.request(method.clone(), &address, &[], Vec::new()).await;
            if method == Method::HEAD {
                assert_ne!(answer.0, 405, "{path}"); // it has no body that says more
            } else if !(200..300).contains(&answer.0) {
                let code = json(&answer)["code"].clone();
                assert!(
                    code != "route.not_found" && code != "route.method_not_allowed",
                    "{method} {path}: {code}"
                );
            }
            let references = operation.to_string();
            for part in references.split("#/components/schemas/").skip(1) {
                let name = part.split('"').next().expect("a name");
                assert!(document["components"]["schemas"][name].is_object(), "{name} is missing");
            }
            count += 1;
        }
    }
    assert!(count >= 27, "{count} operations");
    let drained = server.post("/api/admin/drain", &[], &Value::Null).await;
    assert_eq!(drained.0, 200);
    let refused = server.post("/api/sessions", &[], &json!({})).await;
    let body = problem(&refused, 503, "server.draining");
    assert_eq!(
        header(&refused, "retry-after").and_then(|s| s.parse().ok()),
        body["retry_after"].as_u64()
    );
}
