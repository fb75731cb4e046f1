//! Requests that are none, or ask for what can't be.

use serde_json::json;

use crate::{Row, Sent, stage::Stage, wire::Request};

pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = malformed(stage);
    rows.extend(routes(stage));
    rows.extend(creations());
    rows.extend(bodies(stage));
    rows.extend(parameters(stage));
    rows.extend(handshakes(stage));
    rows
}

fn row(name: impl Into<String>, request: Request, wanted: &'static str) -> Row {
    Row(format!("request: {}", name.into()), Sent::Http(request), wanted)
}

/// Bytes that the HTTP reader itself refuses: before there is a request, there is no body with a code.
fn malformed(stage: &Stage) -> Vec<Row> {
    let host = stage.server.address();
    let bytes = |name: &str, bytes: String, wanted| {
        Row(format!("bytes: {name}"), Sent::Bytes(bytes.into_bytes()), wanted)
    };
    let head = |rest: &str| {
        format!("POST /api/sessions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{rest}")
    };
    vec![
        Row(
            "bytes: TLS".into(),
            Sent::Bytes(vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x0a, 0x0a]),
            "400 -",
        ),
        Row("bytes: NULs".into(), Sent::Bytes(vec![0; 4096]), "400 -"),
        bytes("no version", "GET /\r\n\r\n".into(), "400 -"),
        bytes("HTTP/9.9", format!("GET / HTTP/9.9\r\nHost: {host}\r\n\r\n"), "400 -"),
        bytes("a path with a NUL", format!("GET /\0 HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400 -"),
        bytes(
            "a header with a NUL",
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"),
            "400 -",
        ),
        bytes(
            "a header without a colon",
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nnonsense\r\n\r\n"),
            "400 -",
        ),
        bytes("two lengths", head("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "400 -"),
        bytes(
            "length and chunks",
            head("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
            "400 -",
        ),
        bytes("length -1", head("Content-Length: -1\r\n\r\n{}"), "400 -"),
        bytes("length in words", head("Content-Length: two\r\n\r\n{}"), "400 -"),
        bytes(
            "length beyond all",
            head("Content-Length: 99999999999999999999999\r\n\r\n{}"),
            "400 -",
        ),
        bytes("unknown encoding", head("Transfer-Encoding: rot13\r\n\r\n{}"), "400 -"),
        bytes("300 headers", head(&("X: y\r\n".repeat(300) + "\r\n")), "431 -"),
        bytes(
            "a header of 8 KiB",
            format!(
                "GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX: {}\r\n\r\n",
                "x".repeat(8192)
            ),
            "200 -",
        ),
        bytes(
            "a header of 1 MiB",
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
            "431 -",
        ),
        bytes("no host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n".into(), "400 -"),
        bytes(
            "HTTP/1.0 without a host",
            "GET /health HTTP/1.0\r\n\r\n".into(),
            "421 request.unknown_host",
        ),
        bytes(
            "a whole address as path",
            "GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
                .into(),
            "421 request.unknown_host",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn routes(stage: &Stage) -> Vec<Row> {
    let (at, sid) = (&stage.at, &stage.sid);
    let mut rows = vec![
        row("nothing there", Request::get("/api/nothing"), "404 route.not_found"),
        row("the API's root", Request::get("/api"), "404 route.not_found"),
        row(
            "a slash too many",
            Request::get(format!("/{}", &at[1..].replace("/sessions", "//sessions"))),
            "404 route.not_found",
        ),
        row(
            "a path that climbs",
            Request::get("/api/sessions/../admin/config"),
            "404 route.not_found",
        ),
        row(
            "static that climbs",
            Request::get("/static/x/../../Cargo.toml"),
            "404 route.not_found",
        ),
        row(
            "static that climbs in disguise",
            Request::get("/static/x/..%2f..%2fCargo.toml"),
            "404 route.not_found",
        ),
        row(
            "an unknown method",
            Request::new("BREW", "/api/sessions"),
            "405 route.method_not_allowed",
        ),
        row("a wrong method", Request::new("PATCH", at), "405 route.method_not_allowed"),
        row("TRACE", Request::new("TRACE", "/health"), "405 route.method_not_allowed"),
        row("DELETE of all", Request::delete("/api/sessions"), "405 route.method_not_allowed"),
        row("GET of an order", Request::get(format!("{at}/stop")), "405 route.method_not_allowed"),
        row("GET with a body", Request::get("/api/sessions").body(*b"{\"title\":7}"), "200 -"),
        row(
            "a foreign host",
            Request::get("/health").header("Host", "evil.example"),
            "421 request.unknown_host",
        ),
        row(
            "a host like ours",
            Request::get("/health").header("Host", "127.0.0.1.evil.example"),
            "421 request.unknown_host",
        ),
        row(
            "a host with a user",
            Request::get("/health").header("Host", "127.0.0.1@evil.example"),
            "421 request.unknown_host",
        ),
    ];
    let upper = sid.to_uppercase();
    let unknown = "0".repeat(32);
    let hyphened = format!("{}-{}", &sid[..8], &sid[8..]);
    for (name, id) in [
        ("unknown", unknown.as_str()),
        ("upper case", upper.as_str()),
        ("hyphened", hyphened.as_str()),
        ("cut", &sid[1..]),
        ("that climbs", "..%2f..%2fetc%2fpasswd"),
        ("of dots", "%2e%2e"),
        ("of NUL", "%00"),
        ("of invalid UTF-8", "%ff%fe"),
        ("of an invalid escape", "%zz"),
        ("of SQL", "'%20OR%201=1--"),
        ("of 5,000 characters", &"a".repeat(5000)),
    ] {
        rows.push(row(
            format!("an id {name}"),
            Request::get(format!("/api/sessions/{id}")),
            "404 session.not_found",
        ));
    }
    let on_unknown =
        |method: &str, rest: &str| Request::new(method, format!("/api/sessions/{unknown}{rest}"));
    for (method, rest) in [
        ("DELETE", ""),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/interrupt"),
        ("POST", "/tokens"),
        ("POST", "/actions"),
        ("GET", "/events"),
        ("GET", "/events/0/output"),
        ("GET", "/files"),
        ("POST", "/files"),
        ("GET", "/files/a"),
        ("PUT", "/files/a"),
        ("DELETE", "/files/a"),
    ] {
        rows.push(row(
            format!("{method} {rest} of an unknown session"),
            on_unknown(method, rest),
            "404 session.not_found",
        ));
    }
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/stop"), ("GET", "/log")] {
        let request = Request::new(method, format!("/api/admin/sessions/{unknown}{rest}"));
        rows.push(row(
            format!("{method} {rest} of an unknown session, as operator"),
            request,
            "404 session.not_found",
        ));
    }
    rows
}

/// Sessions that must not be made.
fn creations() -> Vec<Row> {
    let create = |name: &str, body: &str, wanted: &'static str| {
        row(format!("create with {name}"), Request::post("/api/sessions", body), wanted)
    };
    let labels = |count: usize| {
        let labels: serde_json::Map<_, _> =
            (0..count).map(|i| (i.to_string(), json!(""))).collect();
        json!({ "labels": labels }).to_string()
    };
    let long = "x".repeat(201);
    let mut rows = vec![
        create("broken JSON", "{", "400 request.malformed_json"),
        create("two bodies", "{}{}", "400 request.malformed_json"),
        create("a lone surrogate", r#"{"title":"\ud800"}"#, "400 request.malformed_json"),
        create("an array", "[]", "400 request.invalid"),
        create("an array of fields", "[null,\"title\"]", "400 request.invalid"),
        create("a string", "\"x\"", "400 request.invalid"),
        create("null", "null", "400 request.invalid"),
        create("100,000 brackets", &"[".repeat(100_000), "400 request.invalid"),
        create("100,000 objects", &r#"{"labels":"#.repeat(100_000), "400 request.invalid"),
        create("an unknown field", r#"{"owner":"root"}"#, "400 request.invalid"),
        create("a title of a wrong type", r#"{"title":7}"#, "400 request.invalid"),
        create(
            "a title of 201 characters",
            &json!({ "title": long }).to_string(),
            "422 session.invalid",
        ),
        create("an empty title", r#"{"title":" "}"#, "422 session.invalid"),
        create("33 labels", &labels(33), "422 session.invalid"),
        create(
            "a label of 201 characters",
            &json!({ "labels": { "a": long } }).to_string(),
            "422 session.invalid",
        ),
        create("a label without a name", r#"{"labels":{"":"x"}}"#, "422 session.invalid"),
        create("a label of a wrong type", r#"{"labels":{"a":1}}"#, "400 request.invalid"),
        create("an image", r#"{"image":"alpine"}"#, "422 session.image_unsupported"),
        create("limits", r#"{"resources":{"cpus":1}}"#, "422 session.resources_unsupported"),
        create("unknown limits", r#"{"resources":{"gpus":1}}"#, "400 request.invalid"),
    ];
    for repository in [
        "a/b'; touch /tmp/x; '",
        "-oProxyCommand=x/y",
        "--upload-pack=x/y",
        "$(id)/x",
        "`id`/x",
        "a/b\nid",
        "a b/c",
        "",
        "https://u:p@h/x",
        "file:///etc",
        "ext::sh -c id",
        "/etc",
        "a",
        "../..",
        "https://",
    ] {
        let body = json!({ "repository": repository }).to_string();
        rows.push(create(
            &format!("the repository {repository:?}"),
            &body,
            "422 session.invalid_repository",
        ));
    }
    for (name, key) in
        [("empty", ""), ("of 201 characters", long.as_str()), ("beyond ASCII", "schlüssel")]
    {
        let request = Request::post("/api/sessions", "{}").header("Idempotency-Key", key);
        rows.push(row(format!("a key {name}"), request, "400 idempotency.malformed_key"));
    }
    rows
}

fn bodies(stage: &Stage) -> Vec<Row> {
    let at = &stage.at;
    let large = || vec![b' '; (8 << 20) + 1];
    let act = |name: &str, body: Vec<u8>, wanted| {
        row(format!("action: {name}"), Request::post(format!("{at}/actions"), body), wanted)
    };
    let token = |name: &str, body: &str| {
        row(
            format!("token: {name}"),
            Request::post(format!("{at}/tokens"), body),
            "400 request.invalid",
        )
    };
    vec![
        row(
            "a body of 8 MiB and a byte",
            Request::post("/api/sessions", large()),
            "413 request.too_large",
        ),
        row(
            "the same in chunks",
            Request::post("/api/sessions", large()).chunked(),
            "413 request.too_large",
        ),
        act("a body of 8 MiB and a byte", large(), "413 request.too_large"),
        act("none", vec![], "422 action.malformed"),
        act("broken JSON", b"{\"action\":".to_vec(), "400 request.malformed_json"),
        act("invalid UTF-8", b"{\"action\":\"\xff\"}".to_vec(), "400 request.malformed_json"),
        act("an array", b"[]".to_vec(), "400 request.invalid"),
        act("100,000 brackets", vec![b'['; 100_000], "400 request.invalid"),
        act("unknown", br#"{"action":"x"}"#.to_vec(), "422 action.unknown"),
        act(
            "unknown arg",
            br#"{"action":"think","args":{"x":1}}"#.to_vec(),
            "422 action.unknown_field",
        ),
        act(
            "the agent's",
            br#"{"action":"recall","args":{"recall_type":"knowledge"}}"#.to_vec(),
            "422 action.agent_only",
        ),
        act(
            "illegal transition",
            br#"{"action":"change_agent_state","args":{"agent_state":"error"}}"#.to_vec(),
            "409 agent.illegal_transition",
        ),
        row(
            "action: a key of 201 characters",
            Request::post(format!("{at}/actions"), "{}").header("Idempotency-Key", "k".repeat(201)),
            "400 idempotency.malformed_key",
        ),
        token("a role beyond a session", r#"{"role":"operator"}"#),
        token("an unknown role", r#"{"role":"root"}"#),
        token("none", ""),
        token("of an unknown field", r#"{"role":"viewer","sub":"root"}"#),
    ]
}

fn parameters(stage: &Stage) -> Vec<Row> {
    let at = &stage.at;
    let refused = |path: String| {
        row(format!("GET {path}"), Request::get(path), "400 request.invalid_parameter")
    };
    let mut rows: Vec<Row> = [
        "after=-5",
        "after=-2",
        "after=abc",
        "after=1.5",
        "after=NaN",
        "after=1e3",
        "after=9223372036854775808",
        "after=%00",
        "limit=0",
        "limit=-1",
        "limit=100000",
        "limit=1001",
        "limit=abc",
        "limit=NaN",
        "limit=18446744073709551616",
    ]
    .into_iter()
    .map(|query| refused(format!("{at}/events?{query}")))
    .collect();
    rows.extend(
        ["limit=0", "limit=501", "limit=-1", "page=-1", "page=x"]
            .map(|query| refused(format!("/api/sessions?{query}"))),
    );
    rows.extend(
        ["phase=happy", "sort=secret", "order=up", "limit=0", "page=NaN"]
            .map(|query| refused(format!("/api/admin/sessions?{query}"))),
    );
    rows.push(refused(format!("{at}/events/first/output")));
    rows.push(refused(format!("{at}/events/-1/output")));
    rows.push(refused(format!("{at}/files?depth=-1")));
    rows.push(refused(format!("/api/admin/sessions/{}/log?tail=-1", stage.sid)));
    let fine = |path: String| row(format!("GET {path}"), Request::get(path), "200 -");
    rows.push(fine(format!("{at}/events?after=999999")));
    rows.push(fine(format!("{at}/events?after=9223372036854775807&limit=1000")));
    rows.push(fine("/api/sessions?page=18446744073709551615".into()));
    rows.push(fine("/api/sessions?page=18446744073709551615&limit=1".into()));
    rows.push(fine("/api/sessions?%ff=%zz&&&=".into()));
    rows.push(fine("/?lang=../../etc/passwd".into()).signed_in(stage));
    let output = Request::get(format!("{at}/events/99999999/output"));
    rows.push(row("output of no event", output, "404 output.not_found"));
    rows
}

impl Row {
    /// With the sign-in cookie instead of a token.
    fn signed_in(mut self, stage: &Stage) -> Self {
        if let Sent::Http(request) = self.1 {
            let cookie = format!("staithe_sign_in={}", stage.server.token);
            self.1 = Sent::Http(request.anonymous().header("Cookie", cookie));
        }
        self
    }
}

fn handshakes(stage: &Stage) -> Vec<Row> {
    let at = &stage.at;
    let join = |name: &str, rest: &str, wanted: &'static str| {
        Row(
            format!("handshake: {name}"),
            Sent::Join(Request::get(format!("{at}/ws{rest}"))),
            wanted,
        )
    };
    let ws = || Request::get(format!("{at}/ws"));
    vec![
        join("after the head", "?after=999999", "400 cursor.beyond_head"),
        join("after the end of numbers", "?after=9223372036854775807", "400 cursor.beyond_head"),
        join("after -5", "?after=-5", "400 request.invalid_parameter"),
        join("after abc", "?after=abc", "400 request.invalid_parameter"),
        row("a WebSocket's address without a handshake", ws(), "400 ws.malformed_handshake"),
        row(
            "a handshake without a key",
            ws().header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13"),
            "400 ws.malformed_handshake",
        ),
        row(
            "a handshake of version 99",
            ws().header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "99")
                .header("Sec-WebSocket-Key", "x"),
            "400 ws.malformed_handshake",
        ),
        row(
            "an upgrade to something else",
            ws().header("Connection", "Upgrade").header("Upgrade", "h2c"),
            "400 ws.malformed_handshake",
        ),
        row(
            "a handshake by POST",
            Request::post(format!("{at}/ws"), ""),
            "405 route.method_not_allowed",
        ),
        Row(
            "handshake: of an unknown session".into(),
            Sent::Join(Request::get(format!("/api/sessions/{}/ws", "0".repeat(32)))),
            "404 session.not_found",
        ),
    ]
}
