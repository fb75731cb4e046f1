//! Callers who are not who they say, or may not do what they want.

use serde_json::json;

use crate::{
    Row, Sent,
    stage::{Stage, USER},
    wire::Request,
};

pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = tokens(stage);
    rows.extend(roles(stage));
    rows.extend(origins(stage));
    rows
}

fn row(name: impl Into<String>, request: Request, wanted: &'static str) -> Row {
    Row(format!("caller: {}", name.into()), Sent::Http(request), wanted)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn tokens(stage: &Stage) -> Vec<Row> {
    let good = stage.minted(|_, _| {});
    let cookie = |token: &str| format!("staithe_sign_in={token};");
    let shown = |token: &str| Request::get("/api/sessions").bearer(token);
    let mut rows = vec![
        row("a token minted as the server mints them", shown(&good), "200 -"),
        row("none", Request::get("/api/sessions").anonymous(), "401 auth.required"),
        row(
            "none, on an operator's address",
            Request::get("/api/admin/sessions").anonymous(),
            "401 auth.required",
        ),
        row("none, on metrics", Request::get("/metrics").anonymous(), "401 auth.required"),
        row(
            "a wrong cookie",
            Request::get("/api/sessions").anonymous().header("Cookie", "staithe_sign_in=x"),
            "401 auth.invalid_token",
        ),
        row(
            "a good cookie",
            Request::get("/api/sessions").anonymous().header("Cookie", cookie(&good)),
            "200 -",
        ),
        row(
            "a good cookie beside what a page of a sandbox made of others",
            Request::get("/api/sessions")
                .anonymous()
                .header("Cookie", format!("=; a; ;;={good}; {}", cookie(&good))),
            "200 -",
        ),
        row(
            "two cookies",
            Request::get("/api/sessions").anonymous().header("Cookie", cookie(&good).repeat(2)),
            "400 auth.ambiguous",
        ),
        row(
            "two cookies in two headers",
            Request::get("/api/sessions")
                .anonymous()
                .header("Cookie", cookie(&good))
                .header("Cookie", cookie("x")),
            "400 auth.ambiguous",
        ),
        row(
            "two cookies, on a page",
            Request::get("/").anonymous().header("Cookie", cookie(&good).repeat(2)),
            "400 -",
        ),
        row(
            "none, on a WebSocket",
            Request::get(format!("{}/ws", stage.at)).anonymous(),
            "401 auth.required",
        ),
        row(
            "a token in the address",
            Request::get(format!("/api/sessions?token={good}")).anonymous(),
            "401 auth.required",
        ),
    ];
    for scheme in ["Basic b3BlcmF0b3I6eA==", "Bearer", "Digest x", "x", "BearerX y"] {
        let request = Request::get("/api/sessions").header("Authorization", scheme);
        rows.push(row(format!("Authorization: {scheme}"), request, "401 auth.malformed"));
    }
    let (head, rest) = good.split_once('.').expect("three parts");
    let (claims, signature) = rest.split_once('.').expect("three parts");
    let other = stage.minted(|_, claims| claims["sub"] = "ann".into());
    let others = other.split('.').nth(1).expect("claims");
    let link = stage.server.login_url.split_once("token=").expect("a token").1;
    for (name, token) in [
        ("an empty one", String::new()),
        ("words", "let me in".into()),
        ("dots", "..".into()),
        ("cut at the end", good[..good.len() - 4].to_owned()),
        ("cut at the beginning", good[1..].to_owned()),
        ("longer", format!("{good}x")),
        ("without a signature", format!("{head}.{claims}.")),
        ("with other claims", format!("{head}.{others}.{signature}")),
        ("by alg none", stage.unsigned()),
        (
            "by another algorithm",
            stage.minted(|header, _| header.alg = jsonwebtoken::Algorithm::HS512),
        ),
        ("by an unknown key", stage.minted(|header, _| header.kid = Some("other".into()))),
        (
            "by a key that climbs",
            stage.minted(|header, _| header.kid = Some("../../../dev/null".into())),
        ),
        ("by no key", stage.minted(|header, _| header.kid = None)),
        ("of another issuer", stage.minted(|_, claims| claims["iss"] = "evil".into())),
        ("of an unknown role", stage.minted(|_, claims| claims["role"] = "root".into())),
        (
            "without an end",
            stage.minted(|_, claims| drop(claims.as_object_mut().expect("claims").remove("exp"))),
        ),
        ("of another use", stage.minted(|_, claims| claims["use"] = "sign_in".into())),
        ("of a link", link.to_owned()),
        ("of 100,000 characters", "x".repeat(100_000)),
    ] {
        let wanted = if token.is_empty() { "401 auth.malformed" } else { "401 auth.invalid_token" };
        rows.push(row(format!("a token, {name}"), shown(&token), wanted));
    }
    let expired = stage.minted(|_, claims| claims["exp"] = 1000.into());
    rows.push(row("a token, expired", shown(&expired), "401 auth.expired_token"));
    let boundless = stage.minted(|_, claims| claims["role"] = "editor".into());
    let request = Request::get(&stage.at).bearer(&boundless);
    rows.push(row("an editor of no session", request, "403 auth.forbidden"));
    rows
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn roles(stage: &Stage) -> Vec<Row> {
    let at = &stage.at;
    let think = r#"{"action":"think"}"#;
    let other = format!("/api/sessions/{}", stage.other);
    let mut rows = Vec::new();
    for (what, request) in [
        ("acts", Request::post(format!("{at}/actions"), think)),
        ("stops", Request::post(format!("{at}/stop"), "")),
        ("starts", Request::post(format!("{at}/start"), "")),
        ("interrupts", Request::post(format!("{at}/interrupt"), "")),
        ("makes a token", Request::post(format!("{at}/tokens"), r#"{"role":"editor"}"#)),
        ("writes a file", Request::put(format!("{at}/files/v"), "x")),
        ("deletes a file", Request::delete(format!("{at}/files/v"))),
        (
            "operates on a file",
            Request::post(format!("{at}/files"), r#"{"op":"mkdir","path":"v"}"#),
        ),
        ("deletes the session", Request::delete(at)),
    ] {
        rows.push(row(
            format!("a viewer {what}"),
            request.bearer(&stage.viewer),
            "403 auth.read_only",
        ));
    }
    rows.push(row("a viewer reads", Request::get(at).bearer(&stage.viewer), "200 -"));
    for (what, request) in [
        ("reads", Request::get(&other)),
        ("acts", Request::post(format!("{other}/actions"), think)),
        ("reads events", Request::get(format!("{other}/events"))),
        ("reads a file", Request::get(format!("{other}/files/a"))),
        ("writes a file", Request::put(format!("{other}/files/a"), "x")),
        ("deletes", Request::delete(&other)),
        ("joins", Request::get(format!("{other}/ws"))),
        ("makes a token", Request::post(format!("{other}/tokens"), r#"{"role":"viewer"}"#)),
    ] {
        let wanted = "403 auth.forbidden";
        rows.push(row(
            format!("an editor {what} elsewhere"),
            request.bearer(&stage.editor),
            wanted,
        ));
    }
    rows.push(row(
        "a session's token on another",
        Request::get(at).bearer(&stage.stranger),
        "403 auth.forbidden",
    ));
    for (who, token) in
        [("an editor", stage.editor.as_str()), ("a viewer", &stage.viewer), ("a user", USER)]
    {
        for (method, path) in [
            ("POST", "/api/admin/drain".to_owned()),
            ("POST", "/api/admin/reconcile".to_owned()),
            ("GET", "/api/admin/config".to_owned()),
            ("GET", "/api/admin/sessions".to_owned()),
            ("GET", format!("/api/admin/sessions/{}", stage.other)),
            ("GET", format!("/api/admin/sessions/{}/log", stage.other)),
            ("GET", "/metrics".to_owned()),
        ] {
            let request = Request::new(method, &path).bearer(token);
            rows.push(row(
                format!("{who} operates: {method} {path}"),
                request,
                "403 auth.forbidden",
            ));
        }
    }
    let create = Request::post("/api/sessions", "{}").bearer(&stage.editor);
    rows.push(row("an editor makes a session", create, "403 auth.forbidden"));
    for (method, rest) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/stop"),
        ("POST", "/actions"),
        ("GET", "/events"),
        ("GET", "/files/a"),
        ("PUT", "/files/a"),
        ("GET", "/ws"),
    ] {
        let request = Request::new(method, format!("{at}{rest}")).bearer(USER);
        rows.push(row(
            format!("a user on another's session: {method} {rest}"),
            request,
            "404 session.not_found",
        ));
    }
    let join = |name: &str, token: &str, wanted: &'static str| {
        let request = Request::get(format!("{at}/ws")).bearer(token);
        Row(format!("caller: {name} joins"), Sent::Join(request), wanted)
    };
    rows.push(join("a viewer", &stage.viewer, "joined"));
    rows.push(join("another session's editor", &stage.stranger, "403 auth.forbidden"));
    rows.push(join("another user", USER, "404 session.not_found"));
    rows.push(join("nobody", "x", "401 auth.invalid_token"));
    rows
}

/// Pages of other origins that use the sign-in which the browser sends along.
fn origins(stage: &Stage) -> Vec<Row> {
    let cookie = format!("staithe_sign_in={}", stage.server.token);
    let own = format!("http://{}", stage.server.address());
    let signed_in = |request: Request| request.anonymous().header("Cookie", cookie.as_str());
    let post = || {
        signed_in(Request::post(
            format!("{}/actions", stage.at),
            json!({ "action": "x" }).to_string(),
        ))
    };
    let foreign = "403 request.foreign_origin";
    let ws = || Request::get(format!("{}/ws", stage.at));
    let join =
        |name: &str, request, wanted| Row(format!("origin: {name}"), Sent::Join(request), wanted);
    vec![
        row("a page of ours", post().header("Origin", own.as_str()), "422 action.unknown"),
        row("a page of another origin", post().header("Origin", "https://evil.example"), foreign),
        row(
            "a page of the sandboxes' origin",
            post().header("Origin", stage.server.sandbox_url.as_str()),
            foreign,
        ),
        row("a page of no origin", post().header("Origin", "null"), foreign),
        row(
            "a page whose origin begins as ours",
            post().header("Origin", format!("{own}.evil.example")),
            foreign,
        ),
        row("a request without an origin", post(), foreign),
        row("a request from another site", post().header("Sec-Fetch-Site", "cross-site"), foreign),
        row(
            "a form of another origin signs in",
            Request::post("/login", "token=x")
                .anonymous()
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Origin", "https://evil.example"),
            foreign,
        ),
        row(
            "another origin with a token",
            Request::post(format!("{}/stop", stage.at), "")
                .header("Origin", "https://evil.example"),
            foreign,
        ),
        join(
            "another, with the cookie",
            signed_in(ws()).header("Origin", "https://evil.example"),
            foreign,
        ),
        join("another, with a token", ws().header("Origin", "https://evil.example"), foreign),
        join(
            "the sandboxes'",
            signed_in(ws()).header("Origin", stage.server.sandbox_url.as_str()),
            foreign,
        ),
        join("none, with the cookie", signed_in(ws()), foreign),
        join("ours, with the cookie", signed_in(ws()).header("Origin", own.as_str()), "joined"),
    ]
}
