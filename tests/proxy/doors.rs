//! Cases of who may ask, and of requests that reach no program.

use crate::{
    bodies::OK,
    stage::{Case, sandbox_address},
    wire::Wire,
};

pub(crate) async fn nobody(case: Case<'_>) {
    let (head, body) = case.told(81, "GET /", &[("authorization", "-")]).await;
    assert_eq!((head.status(), head.get("cache-control")), (401, Some("no-store")));
    assert!(body.contains("auth.required") && head.get("www-authenticate").is_some(), "{body}");
    let accepts = [("authorization", "-"), ("accept", "text/html"), ("accept-language", "zh")];
    let (head, page) = case.told(81, "GET /", &accepts).await;
    assert_eq!(head.status(), 401);
    let control = format!("http://{}/", case.stage.server.address());
    assert!(page.contains("请先登录") && page.contains(&control), "{page}");
}

pub(crate) async fn a_wrong_token(case: Case<'_>) {
    for wrong in ["Bearer x", "Basic dTpw", "Bearer a.b.c", "nonsense"] {
        let (head, _) = case.told(81, "GET /", &[("authorization", wrong)]).await;
        assert_eq!(head.status(), 401, "{wrong}");
    }
    let (head, _) = case.told(81, "GET /", &[("cookie", "staithe_sign_in=x")]).await;
    assert_eq!(head.status(), 401);
}

pub(crate) async fn a_viewer(case: Case<'_>) {
    let viewer = format!("Bearer {}", case.stage.viewer);
    let (head, body) = case.told(81, "GET /", &[("authorization", &viewer)]).await;
    assert_eq!(head.status(), 403);
    assert!(body.contains("auth.read_only"), "{body}");
}

pub(crate) async fn a_token_of_another_session(case: Case<'_>) {
    let stranger = format!("Bearer {}", case.stage.stranger);
    let (head, body) = case.told(81, "GET /", &[("authorization", &stranger)]).await;
    assert_eq!(head.status(), 403);
    assert!(body.contains("auth.forbidden"), "{body}");
}

pub(crate) async fn a_page_of_another_origin(case: Case<'_>) {
    let cookie = format!("staithe_sign_in={}", case.stage.token);
    let cookie = ("cookie", cookie.as_str());
    let own = format!("http://{}", case.host());
    let other = format!("{own}{}/s/{}/p/80/page", case.outer(), case.stage.other_id);
    let evil = ("origin", "https://evil.example");
    for headers in [
        &[cookie, evil][..],
        &[cookie, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        &[cookie, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        &[cookie, ("sec-fetch-site", "same-origin"), ("referer", &other)],
    ] {
        let (head, body) = case.told(81, "GET /", headers).await;
        assert_eq!(head.status(), 403, "{headers:?}");
        assert!(body.contains("proxy.foreign_page"), "{body}");
    }
    let (head, _) = case.told(81, "POST /", &[cookie]).await;
    assert_eq!(head.status(), 403, "a change without an origin");
    let led = [cookie, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")];
    let (head, ..) = case.relayed("GET /", &led, OK).await;
    assert_eq!(head.status(), 200, "a link may lead here");
    // From here on the page has a cookie of its session alone, and the sign-in opens nothing by itself.
    let given = head.get("set-cookie").unwrap();
    assert!(given.contains(&format!("; Path={}/s/{}/;", case.outer(), case.stage.id)), "{given}");
    let both = format!("{}; {}", cookie.1, given.split(';').next().unwrap());
    let site = ("sec-fetch-site", "same-origin");
    for (method, mode) in [("POST", "cors"), ("GET", "no-cors"), ("GET", "navigate")] {
        let line = format!("{method} /");
        let asks = [("origin", own.as_str()), site, ("sec-fetch-mode", mode)];
        let with = |cookie| [&[("cookie", cookie)][..], &asks].concat();
        assert_eq!(case.told(81, &line, &with(cookie.1)).await.0.status(), 403, "{mode}");
        let (head, asked, _) = case.relayed(&line, &with(&both), OK).await;
        assert_eq!((head.status(), asked.get("cookie")), (200, None), "{mode}");
        assert_eq!(head.get("set-cookie"), None);
    }
    let twice = format!("{0}; {0}", cookie.1);
    let (head, body) = case.told(81, "GET /", &[("cookie", &twice)]).await;
    assert_eq!(head.status(), 400);
    assert!(body.contains("auth.ambiguous"), "{body}");
}

pub(crate) async fn nothing_listens_and_then_something_does(case: Case<'_>) {
    let port = {
        let gone = case.origin_at("127.0.0.1:0").await;
        gone.port
    };
    let (head, body) = case.told(port, "GET /", &[]).await;
    assert_eq!((head.status(), head.get("retry-after")), (502, Some("2")));
    assert_eq!(head.get("content-type"), Some("application/problem+json"));
    assert!(body.contains("proxy.nothing_listens"), "{body}");
    let accepts = [("accept", "text/html,*/*"), ("accept-language", "en")];
    let (head, page) = case.told(port, "GET /", &accepts).await;
    assert_eq!((head.status(), head.get("cache-control")), (502, Some("no-store")));
    assert!(page.contains("Nothing listens here yet") && page.contains("refresh"), "{page}");
    let policy = head.get("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'self'"));
    let origin = case.origin_at(&format!("127.0.0.1:{port}")).await;
    let mut wire = case.ask(port, "GET /", &accepts, "").await;
    origin.answer(OK).await;
    assert_eq!(wire.head().await.status(), 200);
}

pub(crate) async fn a_program_on_ipv6_alone(case: Case<'_>) {
    let origin = case.origin_at("[::1]:0").await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    origin.answer(OK).await;
    assert_eq!(wire.head().await.status(), 200);
}

pub(crate) async fn the_servers_own_ports(case: Case<'_>) {
    let server = &case.stage.server;
    let control: u16 = server.address().rsplit(':').next().unwrap().parse().unwrap();
    for port in [control, sandbox_address(server).port()] {
        let (head, body) = case.told(port, "GET /", &[]).await;
        assert_eq!(head.status(), 403, "{port}");
        assert!(body.contains("proxy.port_withheld"), "{body}");
    }
}

pub(crate) async fn no_other_address_is_served(case: Case<'_>) {
    for path in ["/", "/api/sessions", "/health", "/login", "/s/x/p/80/", "/s//p/80/"] {
        let mut wire = case
            .raw(format!(
                "GET {}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
                case.outer(),
                case.host(),
                case.stage.server.token
            ))
            .await;
        let head = wire.head().await;
        assert_eq!(head.status(), 404, "{path}");
        let body = String::from_utf8(wire.body(&head).await.unwrap().0).unwrap();
        assert!(body.contains("sandbox.nothing_here"), "{body}");
    }
}

/// Sends a whole request; the status, if there is one.
async fn status(case: Case<'_>, text: &str) -> Option<u16> {
    let mut wire: Wire = case.raw(text).await;
    wire.try_head().await.map(|head| head.status())
}

pub(crate) async fn odd_hosts(case: Case<'_>) {
    let line = format!("GET {}/ HTTP/1.1\r\n", case.prefix(81));
    let token = format!("Authorization: Bearer {}\r\n\r\n", case.stage.token);
    for (hosts, expected) in [
        ("", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: evil.example\r\n", 421),
        ("Host: 127.0.0.1.evil.example\r\n", 421),
        ("Host: x.sand.example\r\n", 404),
    ] {
        assert_eq!(
            status(case, &format!("{line}{hosts}{token}")).await,
            Some(expected),
            "{hosts:?}"
        );
    }
    let absolute = format!(
        "GET http://{}{}/ HTTP/1.1\r\nHost: {}\r\n{token}",
        case.host(),
        case.prefix(81),
        case.host()
    );
    assert_eq!(status(case, &absolute).await, Some(400));
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n{token}", case.host());
    assert_eq!(status(case, &connect).await, Some(400));
}

/// No program ever sees one of these, nor what hides in it.
pub(crate) async fn smuggled_requests(case: Case<'_>) {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    for (what, headers, body) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        ("a list of lengths", "Content-Length: 5, 6\r\n", "hello"),
        ("a signed length", "Content-Length: +5\r\n", "hello"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("chunked not last", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("a folded header", "X-A: 1\r\n Transfer-Encoding: chunked\r\n", ""),
        ("a blank before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("a bare carriage return", "X-A: 1\rTransfer-Encoding: chunked\r\n", ""),
    ] {
        let request = format!(
            "POST {}/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{headers}\r\n{body}{hidden}",
            case.prefix(81),
            case.host(),
            case.stage.token
        );
        let mut wire = case.raw(&request).await;
        let status = last_status(&mut wire).await;
        assert!([400, 501].contains(&status), "{what}: {status}");
        assert!(wire.try_head().await.is_none(), "{what}: nothing that follows is answered");
    }
}

/// The status of an answer, which is read whole; 400 where the connection ends without one.
async fn last_status(wire: &mut Wire) -> u16 {
    let Some(head) = wire.try_head().await else { return 400 };
    wire.body(&head).await;
    head.status()
}

/// Both a length and chunks: either refused, or the chunks count and nothing hides behind them.
pub(crate) async fn a_length_beside_chunks(case: Case<'_>) {
    for headers in [
        "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 40\r\n",
    ] {
        let origin = case.origin().await;
        let request = format!(
            "POST {}/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{headers}\r\n\
             3\r\nabc\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n",
            case.prefix(origin.port),
            case.host(),
            case.stage.token
        );
        let mut wire = case.raw(&request).await;
        if case.is_direct() {
            let (asked, body, _program) = origin.answer(OK).await;
            assert_eq!((asked.get("content-length"), &body[..]), (None, &b"abc"[..]));
        }
        let status = last_status(&mut wire).await;
        assert_eq!(status, if case.is_direct() { 200 } else { 400 }, "{headers:?}");
        assert!(wire.try_head().await.is_none(), "nothing that follows is answered");
    }
}

pub(crate) async fn broken_chunks(case: Case<'_>) {
    let origin = case.origin().await;
    let headers = [("transfer-encoding", "chunked")];
    for body in [
        "5\r\nhello",
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let mut wire = case.ask(origin.port, "POST /", &headers, body).await;
        if body == "5\r\nhello" {
            tokio::io::AsyncWriteExt::shutdown(&mut wire.stream).await.unwrap();
        }
        // A program may see the beginning, and never a whole body.
        let seen = async {
            let mut program = origin.accept().await;
            let head = program.try_head().await?;
            program.body(&head).await
        };
        let told = async { wire.try_head().await.map(|head| head.status()) };
        tokio::select! {
            biased;
            seen = seen => assert!(seen.is_none(), "{body:?}"),
            status = told => assert!(status.is_none_or(|it| it >= 400), "{body:?}: {status:?}"),
        }
    }
}

pub(crate) async fn a_host_of_its_own(case: Case<'_>) {
    let origin = case.origin().await;
    let id = &case.stage.id;
    let dashed = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    for name in [id, &dashed] {
        let host = format!("{}-{name}.sand.example:{}", origin.port, case.address().port());
        let request = format!(
            "GET /s/a?b HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
            case.stage.token
        );
        let mut wire = case.raw(request).await;
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://localhost:{}/x\r\nSet-Cookie: a=1; Path=/; \
             Domain=sand.example\r\nSet-Cookie: __Host-b=1; Path=/; Secure\r\nContent-Length: 0\r\n\r\n",
            origin.port
        );
        let (asked, ..) = origin.answer(answer).await;
        assert_eq!((asked.target(), asked.get("host")), ("/s/a?b", Some(host.as_str())));
        assert_eq!(asked.get("x-forwarded-prefix"), None);
        let head = wire.head().await;
        assert_eq!(head.get("location"), Some("/x"));
        assert_eq!(head.all("set-cookie"), ["a=1; Path=/", "__Host-b=1; Path=/; Secure"]);
    }
}

pub(crate) async fn a_ticket_signs_in_once(case: Case<'_>) {
    let server = &case.stage.server;
    let origin = case.origin().await;
    let path = format!("/api/sessions/{}/ports/{}/ticket", case.stage.id, origin.port);
    let (status, _, body) = server.post(&path, &[], &serde_json::json!({})).await;
    let made: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{made}");
    let by_path = made["url"].as_str().unwrap();
    let by_host = made["host_url"].as_str().unwrap();
    assert!(by_path.starts_with(&format!("{}/s/", server.sandbox_url)), "{by_path}");
    for (url, host, outer, scope) in [
        (by_path, case.host(), case.outer(), format!("{}/s/{}/", case.outer(), case.stage.id)),
        (by_host, format!("{}-{}.sand.example", origin.port, case.stage.id), "", "/".to_owned()),
    ] {
        let (_, rest) = url.split_once("://").unwrap();
        let path = &rest[rest.find('/').unwrap()..];
        let ask = format!("GET {outer}{path}&a=b HTTP/1.1\r\nHost: {host}\r\n");
        let mut wire = case.raw(format!("{ask}\r\n")).await;
        let head = wire.head().await;
        let clean = format!("{outer}{}?a=b", path.split('?').next().unwrap());
        assert_eq!((head.status(), head.get("location")), (303, Some(clean.as_str())));
        assert_eq!(head.get("referrer-policy"), Some("no-referrer"));
        let cookie = head.get("set-cookie").unwrap();
        assert!(
            cookie.contains("; HttpOnly") && cookie.contains(&format!("Path={scope};")),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let again = case.raw(format!("{ask}\r\n")).await.head().await;
        assert_eq!(again.get("set-cookie"), None, "it is good once");
        let mut wire = case
            .raw(format!("GET {clean} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"))
            .await;
        let (asked, ..) = origin.answer(OK).await;
        assert_eq!(asked.get("cookie"), None);
        assert_eq!(wire.head().await.status(), 200);
        // It opens this session's ports and nothing else.
        let token = cookie.split_once('=').unwrap().1;
        let as_bearer = format!("Bearer {token}");
        let (status, ..) = server.get("/api/sessions", &[("authorization", &as_bearer)]).await;
        assert_eq!(status, 401);
        let elsewhere = format!("{}/s/{}/p/{}/", case.outer(), case.stage.other_id, origin.port);
        let request = format!(
            "GET {elsewhere} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
            case.host()
        );
        assert_eq!(case.raw(request).await.head().await.status(), 401);
    }
}

/// Only a GET uses a ticket; no program ever sees one.
pub(crate) async fn a_ticket_stays_here(case: Case<'_>) {
    for (line, seen) in [
        ("POST /a?staithe_ticket=x.y&b=%26", "/a?b=%26"),
        ("HEAD /a?staithe_ticket=x.y", "/a"),
        ("DELETE /a?b&staithe_ticket=x", "/a?b"),
    ] {
        let origin = case.origin().await;
        let mut wire = case.ask(origin.port, line, &[], "").await;
        let (asked, ..) = origin.answer("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(asked.target(), seen);
        assert_eq!(wire.head().await.status(), 204);
    }
}

pub(crate) async fn too_many_connections(case: Case<'_>) {
    let origin = case.origin().await;
    let mut open = Vec::new();
    for _ in 0..crate::MOST_CONNECTIONS {
        let wire = case.ask(origin.port, "GET /", &[], "").await;
        let mut program = origin.accept().await;
        program.head().await;
        open.push((wire, program));
    }
    let (head, body) = case.told(origin.port, "GET /", &[]).await;
    assert_eq!((head.status(), head.get("retry-after")), (503, Some("1")));
    assert!(body.contains("proxy.too_many"), "{body}");
    let (mut wire, mut program) = open.pop().unwrap();
    program.send(OK).await;
    let head = wire.head().await;
    wire.body(&head).await.unwrap();
    drop(program);
    drop(open);
    let begun = tokio::time::Instant::now();
    loop {
        let mut wire = case.ask(origin.port, "GET /", &[], "").await;
        let answering = async {
            let mut program = origin.accept().await;
            program.head().await;
            program.send(OK).await;
            program
        };
        let status = tokio::select! {
            head = wire.head() => head.status(),
            _program = answering => wire.head().await.status(),
        };
        if status == 200 {
            return;
        }
        assert!(begun.elapsed() < crate::wire::PATIENCE, "places are given back");
    }
}
