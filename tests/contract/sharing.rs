//! Links that let others in, and who is there.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    ENGINE, LIMIT,
    common::{Client, Server, http::Answer},
    header, json, problem,
};

/// What a browser shows from then on.
fn cookie(answer: &Answer) -> String {
    header(answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// The path of an address of this server.
fn path(url: &Value) -> String {
    format!("/{}", url.as_str().unwrap().splitn(4, '/').nth(3).unwrap())
}

async fn link(server: &Server, id: &str, wanted: &Value) -> (Value, String) {
    let made = server.post(&format!("/api/sessions/{id}/links"), &[], wanted).await;
    assert_eq!(made.0, 201, "{}", String::from_utf8_lossy(&made.2));
    let body = json(&made);
    let url = path(&body["url"]);
    (body, url)
}

/// Follows a link with a fresh browser; what it shows from then on.
async fn follow(server: &Server, id: &str, url: &str) -> String {
    let joined = server.get(url, &[("authorization", "")]).await;
    assert_eq!(joined.0, 303, "{}", String::from_utf8_lossy(&joined.2));
    assert_eq!(header(&joined, "location"), Some(format!("/sessions/{id}").as_str()));
    cookie(&joined)
}

#[tokio::test]
async fn a_link_lets_its_bearer_into_one_session_as_far_as_its_role() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    let (other, _) = server.session().await;
    let at = format!("/api/sessions/{id}");
    let (made, url) =
        link(&server, &id, &json!({ "role": "viewer", "expires_in": 600, "name": "review" })).await;
    assert_eq!((&made["role"], &made["name"]), (&"viewer".into(), &"review".into()));
    let shown = follow(&server, &id, &url).await;
    let guest = [("authorization", ""), ("cookie", shown.as_str())];
    assert_eq!(server.get(&at, &guest).await.0, 200);
    assert_eq!(server.get(&format!("/sessions/{id}"), &guest).await.0, 200);
    problem(&server.get(&format!("/api/sessions/{other}"), &guest).await, 403, "auth.forbidden");
    let origin = server.url.clone();
    let changing = [guest[0], guest[1], ("origin", origin.as_str())];
    let act = json!({ "action": "run", "args": { "command": "true" } });
    let acted = server.post(&format!("{at}/actions"), &changing, &act).await;
    problem(&acted, 403, "auth.read_only");
    let more = server.post(&format!("{at}/links"), &changing, &json!({ "role": "viewer" })).await;
    problem(&more, 403, "auth.read_only");

    let (_, url) = link(&server, &id, &json!({ "role": "editor" })).await;
    let shown = follow(&server, &id, &url).await;
    let editor = [("authorization", ""), ("cookie", shown.as_str()), ("origin", origin.as_str())];
    assert_eq!(server.post(&format!("{at}/actions"), &editor, &act).await.0, 202);
    let more = server.post(&format!("{at}/links"), &editor, &json!({ "role": "viewer" })).await;
    problem(&more, 403, "auth.forbidden");

    let all = json(&server.get(&format!("{at}/links"), &[]).await);
    let all = all["links"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one["last_used_at"].is_string() && one.get("url").is_none()));
    // Who may do as much already stays who they are.
    let login = path(&server.login_url.clone().into());
    let own = cookie(&server.get(&login, &[("authorization", "")]).await);
    let joined = server.get(&url, &[("authorization", ""), ("cookie", &own)]).await;
    assert_eq!((joined.0, header(&joined, "set-cookie")), (303, None));
    for (body, code) in [
        (json!({}), "request.invalid"),
        (json!({ "role": "operator" }), "request.invalid"),
        (json!({ "role": "viewer", "expires_in": 1 }), "request.invalid"),
        (json!({ "role": "viewer", "name": "a\nb" }), "request.invalid"),
    ] {
        problem(&server.post(&format!("{at}/links"), &[], &body).await, 400, code);
    }
}

#[tokio::test]
async fn who_is_signed_in_as_somebody_else_is_asked_before_a_link_replaces_that() {
    const USER: &str = "a-users-token-of-these-tests";
    let dir = tempfile::tempdir().unwrap();
    let env = [("STAITHE__AUTH__ACCESS_TOKEN", USER)];
    let server = Server::start_on(ENGINE, dir.path(), &env).await;
    let (id, _) = server.session().await;
    let (_, url) = link(&server, &id, &json!({ "role": "viewer" })).await;
    let shown = format!("staithe_sign_in={USER}");
    let user = [("authorization", ""), ("cookie", shown.as_str())];
    let asked = server.get(&url, &user).await;
    assert_eq!((asked.0, header(&asked, "set-cookie")), (200, None));
    let secret = url.split_once("link=").unwrap().1;
    let form = || format!("link={secret}").into_bytes();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let foreign = [user[0], user[1], kind, ("origin", "http://elsewhere.example")];
    let refused = server.request(Method::POST, "/join", &foreign, form()).await;
    assert_eq!((refused.0, header(&refused, "set-cookie")), (403, None));
    let origin = server.url.clone();
    let agrees = [user[0], user[1], kind, ("origin", origin.as_str())];
    let joined = server.request(Method::POST, "/join", &agrees, form()).await;
    assert_eq!(joined.0, 303, "{}", String::from_utf8_lossy(&joined.2));
    let guest = cookie(&joined);
    assert_eq!(
        server.get(&format!("/api/sessions/{id}"), &[user[0], ("cookie", &guest)]).await.0,
        200
    );
}

#[tokio::test]
async fn a_link_that_is_taken_back_lets_out_who_came_by_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    let (made, url) = link(&server, &id, &json!({ "role": "viewer" })).await;
    let shown = follow(&server, &id, &url).await;
    let bearer = shown.split_once('=').unwrap().1.to_owned();
    server.kill9();
    server.restart().await;
    let mut guest = Client::connect(&server, &id, &bearer, -1).await;
    let mut owner = Client::connect(&server, &id, &token, -1).await;
    let at = format!("/api/sessions/{id}/links/{}", made["id"].as_str().unwrap());
    assert_eq!(server.delete(&at, &[]).await.0, 204);
    problem(&server.delete(&at, &[]).await, 404, "link.not_found");
    while guest.recv_json(LIMIT).await.is_ok() {}
    assert_eq!(u16::from(guest.closed.unwrap().code), 1008);
    assert_eq!(owner.run("still", "echo here").await["content"], "here");
    let again = [("authorization", ""), ("cookie", shown.as_str())];
    problem(&server.get(&format!("/api/sessions/{id}"), &again).await, 401, "auth.link_over");
    assert_eq!(server.get(&url, &[("authorization", "")]).await.0, 401);
}

#[tokio::test]
async fn who_is_here_is_told_to_those_who_ask() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    let (_, url) = link(&server, &id, &json!({ "role": "viewer", "name": "Ann" })).await;
    let shown = follow(&server, &id, &url).await;
    let bearer = shown.split_once('=').unwrap().1;
    let presence = |frame: &Value, count: usize| {
        frame["type"] == "presence" && frame["people"].as_array().unwrap().len() == count
    };
    let mut owner = Client::connect_seen(&server, &id, &token).await;
    let alone = owner.until(LIMIT, |frame| presence(frame, 1)).await;
    assert_eq!(alone["you"], alone["people"][0]["id"]);
    let mut ann = Client::connect_seen(&server, &id, bearer).await;
    let both = owner.until(LIMIT, |frame| presence(frame, 2)).await;
    let (one, other) = (&both["people"][0], &both["people"][1]);
    assert_eq!((&one["id"], &other["role"]), (&both["you"], &"viewer".into()));
    assert_eq!(other["name"], "Ann");
    assert!(both["seq"].as_u64() > alone["seq"].as_u64());
    let hers = ann.until(LIMIT, |frame| presence(frame, 2)).await;
    assert_eq!(hers["people"][0]["name"], "Ann");
    drop(ann);
    owner.until(LIMIT, |frame| presence(frame, 1)).await;
    // Who doesn't ask hears nothing of it.
    let mut plain = Client::connect(&server, &id, &token, -1).await;
    plain.send_run("one", "true").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|kind| kind != "done") {
        seen.push(plain.recv_json(LIMIT).await.unwrap()["type"].as_str().unwrap().to_owned());
    }
    assert!(!seen.contains(&"presence".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn a_session_gets_another_title_which_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    let at = format!("/api/sessions/{id}");
    let title = format!("{at}/title");
    let wish = |body: Value| body.to_string().into_bytes();
    let changed = server.put(&title, &[], wish(json!({ "title": "港口" }))).await;
    assert_eq!((changed.0, &json(&changed)["title"]), (200, &"港口".into()));
    let refused = server.put(&title, &[], wish(json!({ "title": " " }))).await;
    problem(&refused, 422, "session.invalid");
    let unknown = server.put(&title, &[], wish(json!({ "name": "x" }))).await;
    problem(&unknown, 400, "request.invalid");
    server.kill9();
    server.restart().await;
    assert_eq!(server.json(&at).await["title"], "港口");
    let lines = server.json(&format!("{at}/log?tail=5")).await;
    assert!(lines["lines"].is_array(), "{lines}");
}
