//! Health, figures, the operators' endpoints, and `staithe admin`.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{ENGINE, LIMIT, common::Server, header, json, keys, problem};

#[tokio::test]
async fn health_is_open_and_figures_are_for_operators() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let health = server.get("/health", &[("authorization", "")]).await;
    let body = json(&health);
    assert_eq!(
        (health.0, &body["status"], &body["engine"]["kind"]),
        (200, &"ok".into(), &ENGINE.word().into())
    );
    assert!(!body["engine"]["isolation"]["exposes"].as_array().expect("a list").is_empty());
    let metrics = server.get("/metrics", &[]).await;
    let text = String::from_utf8_lossy(&metrics.2).into_owned();
    assert_eq!(metrics.0, 200);
    assert!(
        header(&metrics, "content-type")
            .is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4"))
    );
    assert!(text.contains("staithe_sessions{phase=\"ready\"} 1"), "{text}");
    for named in [
        "staithe_build_info",
        "staithe_engine_call_seconds{op=\"find\",outcome=\"ok\"",
        "staithe_actor_wait_seconds{actor=\"SessionManager\"",
        "staithe_session_start_seconds{outcome=\"ok\"",
    ] {
        assert!(text.contains(named), "{named}: {text}");
    }
}

#[tokio::test]
async fn operators_see_each_session_whole_and_stop_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let at = format!("/api/admin/sessions/{id}");
    let whole = server.json(&at).await;
    let steps = whole["start_steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names, ["find", "create", "start", "connect"]);
    assert!(
        keys(&whole).is_superset(&["connected", "restarts", "sandbox", "stats", "phase"].into()),
        "{whole}"
    );
    let by = |query: &str| format!("/api/admin/sessions?{query}");
    assert_eq!(server.json(&by("phase=ready")).await["total"], 1);
    assert_eq!(server.json(&by("phase=failed")).await["total"], 0);
    assert_eq!(server.json(&by(&format!("q={}", &id[20..]))).await["total"], 1);
    assert!(server.json(&format!("{at}/log?tail=5")).await["lines"].is_array());
    assert!(
        server.json("/api/admin/config").await["config"]
            .as_str()
            .is_some_and(|c| c.contains("[server]"))
    );
    let reconciled = server.post("/api/admin/reconcile", &[], &Value::Null).await;
    assert_eq!(reconciled.0, 200, "{}", String::from_utf8_lossy(&reconciled.2));
    assert_eq!(server.post(&format!("{at}/stop"), &[], &Value::Null).await.0, 202);
    server.phase(&id, "stopped", LIMIT).await;
    assert_eq!(server.delete(&at, &[]).await.0, 204);
}

#[tokio::test]
async fn the_command_line_does_what_the_endpoints_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let admin = async |words: &[&str]| {
        let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        words.extend(["--data-dir".into(), dir.path().display().to_string()]);
        let run = move || Command::new(env!("CARGO_BIN_EXE_staithe")).args(words).output();
        tokio::task::spawn_blocking(run).await.expect("it is waited for").expect("it runs")
    };
    let said = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let sessions = said(&admin(&["admin", "sessions"]).await);
    assert!(
        sessions.contains(&id) && sessions.contains("ready") && sessions.contains("1 in all"),
        "{sessions}"
    );
    let filtered = said(&admin(&["admin", "sessions", "--phase", "failed"]).await);
    assert!(filtered.contains("0 in all"), "{filtered}");
    let shown: Value =
        serde_json::from_str(&said(&admin(&["admin", "show", &id, "--json"]).await)).expect("JSON");
    assert_eq!(shown["id"], id.as_str());
    said(&admin(&["admin", "log", &id]).await);
    assert!(said(&admin(&["admin", "config"]).await).contains("[limits]"));
    assert!(said(&admin(&["admin", "reconcile"]).await).starts_with('{'));
    assert!(said(&admin(&["admin", "stop", &id]).await).starts_with("phase: stop"));
    server.phase(&id, "stopped", LIMIT).await;
    assert_eq!(said(&admin(&["admin", "delete", &id]).await).trim(), "deleted");
    let gone = admin(&["admin", "show", &id]).await;
    assert!(!gone.status.success());
    assert!(String::from_utf8_lossy(&gone.stderr).contains("session.not_found"), "{gone:?}");
    let link = said(&admin(&["login-link"]).await);
    let path = link.trim().strip_prefix(&server.url).expect("our own address").to_owned();
    let signed_in = server.get(&path, &[("authorization", "")]).await;
    assert_eq!((signed_in.0, header(&signed_in, "location")), (303, Some("/")));
    assert!(
        header(&signed_in, "set-cookie")
            .is_some_and(|c| c.contains("HttpOnly") && c.contains("SameSite=Lax"))
    );
    assert!(said(&admin(&["admin", "drain"]).await).contains("draining"));
    // The running server knows the new key only once it is started again.
    assert!(said(&admin(&["rotate-keys"]).await).contains("once the server is started again"));
}

#[tokio::test]
async fn operators_see_figures_of_now_and_of_the_last_day() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let overview = server.json("/api/admin/overview").await;
    let now = &overview["now"];
    assert_eq!(now["sessions"]["ready"], 1, "{now}");
    let expected = [
        "at", "sessions", "clients", "events", "starts", "start_ms", "faults", "cpu", "memory",
        "load",
    ];
    assert_eq!(keys(now), expected.into());
    assert!(now["events"].as_u64() >= Some(3), "{now}");
    assert_eq!((&now["starts"], &now["faults"]), (&1.into(), &0.into()));
    assert!(now["memory"].as_u64() > Some(1 << 20), "{now}");
    assert!(now["start_ms"]["p50"].as_f64() > Some(0.0), "{now}");
    assert_eq!(overview["history"]["every_seconds"], 10);
    assert!(!overview["history"]["points"].as_array().expect("points").is_empty());
    let bearer = format!("Bearer {token}");
    let shown = [("authorization", bearer.as_str())];
    problem(&server.get("/api/admin/overview", &shown).await, 403, "auth.forbidden");
}
