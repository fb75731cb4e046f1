//! Cases of addresses and headers.

use crate::{bodies::OK, stage::Case};

pub(crate) async fn paths_and_queries_word_for_word(case: Case<'_>) {
    for path in [
        "/a%2Fb%2e%2E/%25?x=%26&y=a+b&&=&z",
        "/a//b///c",
        "/;a=1/b;c",
        "/%E4%BD%A0?q=%E4",
        "/?",
        "/~!$&'()*+,=:@",
    ] {
        let (_, asked, _) = case.relayed(&format!("GET {path}"), &[], OK).await;
        assert_eq!(asked.target(), path);
    }
}

pub(crate) async fn dots_in_a_path(case: Case<'_>) {
    // nginx resolves them itself where it is given a path to put in place.
    let (_, asked, _) = case.relayed("GET /a/./b/c/../d", &[], OK).await;
    assert_eq!(asked.target(), "/a/./b/c/../d");
}

pub(crate) async fn what_is_told_of_the_outside(case: Case<'_>) {
    let lies = [
        ("x-forwarded-for", "192.0.2.66"),
        ("forwarded", "for=192.0.2.66;host=evil"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-host", "evil"),
        ("x-real-ip", "192.0.2.66"),
    ];
    let (_, asked, _) = case.relayed("GET /", &lies, OK).await;
    let host = case.host();
    let port = case.address().port().to_string();
    assert_eq!(asked.get("host"), Some(host.as_str()));
    assert_eq!(asked.get("x-forwarded-host"), Some(host.as_str()));
    assert_eq!(asked.get("x-forwarded-port"), Some(port.as_str()));
    assert_eq!(asked.get("x-forwarded-proto"), Some("http"));
    let expected = if case.is_direct() { "127.0.0.1" } else { "192.0.2.66, 127.0.0.1, 127.0.0.2" };
    assert_eq!(asked.get("x-forwarded-for"), Some(expected));
    let prefix = asked.get("x-forwarded-prefix").unwrap_or_default();
    assert!(prefix.starts_with(&format!("{}/s/", case.outer())), "{prefix}");
    for name in ["forwarded", "x-original-host", "x-real-ip"] {
        assert_eq!(asked.get(name), None, "{name}");
    }
}

pub(crate) async fn what_counts_for_one_connection_only(case: Case<'_>) {
    let answer = "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Authenticate: Basic\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok";
    let asks =
        [("connection", "close, X-Mine"), ("x-mine", "1"), ("proxy-authorization", "Basic x")];
    let (head, asked, _) = case.relayed("GET /", &asks, answer).await;
    assert_eq!(head.get("x-stays"), Some("1"));
    for name in ["x-hop", "keep-alive", "proxy-authenticate"] {
        assert!(head.get(name).is_none_or(|it| it != "1" && it != "timeout=5"), "{name}");
    }
    assert_eq!(asked.get("proxy-authorization"), None);
    if case.is_direct() {
        assert_eq!(asked.get("x-mine"), None); // nginx reads no list there
    }
}

pub(crate) async fn repeated_headers_stay_apart_and_in_order(case: Case<'_>) {
    let answer = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nX-A: 3\r\nContent-Length: 2\r\n\r\nok";
    let (head, asked, _) = case.relayed("GET /", &[("x-b", "1"), ("x-b", "2")], answer).await;
    assert_eq!(head.all("x-a"), ["1", "2", "3"]);
    assert_eq!(asked.all("x-b"), ["1", "2"]);
}

pub(crate) async fn large_headers(case: Case<'_>) {
    let big = "x".repeat(24 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Big: {big}\r\nContent-Length: 2\r\n\r\nok");
    let (head, asked, _) = case.relayed("GET /", &[("x-big", &big)], &answer).await;
    assert_eq!(asked.get("x-big"), Some(big.as_str()));
    assert_eq!(head.get("x-big"), Some(big.as_str()));
}

pub(crate) async fn too_large_headers(case: Case<'_>) {
    let big = "x".repeat(70 * 1024);
    let mut wire = case.ask(1, "GET /", &[("x-big", &big)], "").await;
    let status = wire.head().await.status();
    assert_eq!(status, if case.is_direct() { 431 } else { 400 });
}

pub(crate) async fn too_many_headers(case: Case<'_>) {
    let names: Vec<String> = (0..250).map(|n| format!("x-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let mut wire = case.ask(1, "GET /", &headers, "").await;
    assert_eq!(wire.head().await.status(), 431);
}

pub(crate) async fn too_large_headers_of_an_answer(case: Case<'_>) {
    let big = "x".repeat(100 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Big: {big}\r\nContent-Length: 2\r\n\r\nok");
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let answering = async {
        let mut program = origin.accept().await;
        program.head().await;
        // It is not taken whole.
        drop(tokio::io::AsyncWriteExt::write_all(&mut program.stream, answer.as_bytes()).await);
        program
    };
    let (head, _program) = tokio::join!(wire.head(), answering);
    assert_eq!(head.status(), 502);
}

pub(crate) async fn redirects(case: Case<'_>) {
    let origin = case.origin().await;
    let (port, prefix) = (origin.port, case.prefix(origin.port));
    let host = case.host();
    for (given, expected) in [
        ("/login?next=%2F#top".to_owned(), format!("{prefix}/login?next=%2F#top")),
        (format!("http://{host}/login"), format!("{prefix}/login")),
        (format!("http://localhost:{port}/login"), format!("{prefix}/login")),
        (format!("http://127.0.0.1:{port}"), format!("{prefix}/")),
        (format!("//{host}/x"), format!("{prefix}/x")),
        (format!("{prefix}/x"), format!("{prefix}/x")),
        ("login".to_owned(), "login".to_owned()),
        ("../up".to_owned(), "../up".to_owned()),
        ("https://example.org/x".to_owned(), "https://example.org/x".to_owned()),
    ] {
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {given}\r\nContent-Location: {given}\r\n\
             Refresh: 1; url={given}\r\nContent-Length: 0\r\n\r\n"
        );
        let mut wire = case.ask(port, "GET /", &[], "").await;
        origin.answer(answer).await;
        let head = wire.head().await;
        assert_eq!(
            (head.status(), head.get("location")),
            (302, Some(expected.as_str())),
            "{given}"
        );
        assert_eq!(head.get("content-location"), Some(expected.as_str()), "{given}");
        assert_eq!(head.get("refresh"), Some(format!("1; url={expected}").as_str()), "{given}");
    }
}

pub(crate) async fn headers_that_are_not_ascii(case: Case<'_>) {
    let origin = case.origin().await;
    let prefix = case.prefix(origin.port);
    let answer = "HTTP/1.1 302 Found\r\nLocation: /ü\r\nX-A: é\r\n\
        Content-Security-Policy: default-src 'self'; report-uri /é\r\nContent-Length: 0\r\n\r\n";
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    origin.answer(answer).await;
    let head = wire.head().await;
    assert_eq!(head.get("location"), Some(format!("{prefix}/ü").as_str()));
    assert_eq!(head.get("x-a"), Some("é"));
    assert_eq!(
        head.all("content-security-policy").first(),
        Some(&"default-src 'self'; report-uri /é")
    );
}

pub(crate) async fn a_prefix_without_its_slash(case: Case<'_>) {
    let (head, _) = case.told(81, "GET ", &[]).await;
    assert_eq!(
        (head.status(), head.get("location")),
        (307, Some(format!("{}/", case.prefix(81)).as_str()))
    );
    let (head, _) = case.told(81, "GET ?a=b", &[]).await;
    assert_eq!(head.get("location"), Some(format!("{}/?a=b", case.prefix(81)).as_str()));
}

pub(crate) async fn a_base_path_that_the_program_knows(case: Case<'_>) {
    let origin = case.origin().await;
    let path = format!("/s/{}/a/{}/lab?x", case.stage.id, origin.port);
    let mut wire = case
        .raw(format!(
            "GET {}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            case.outer(),
            case.host(),
            case.stage.token
        ))
        .await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {path}\r\nSet-Cookie: a=1; Path={path}\r\n\
         Set-Cookie: b=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    );
    let (asked, ..) = origin.answer(answer).await;
    assert_eq!(asked.target(), path, "nothing is cut off");
    let head = wire.head().await;
    assert_eq!(head.get("location"), Some(format!("{}{path}", case.outer()).as_str()));
}

pub(crate) async fn cookies_that_go_in(case: Case<'_>) {
    let cookie = format!("a=1; staithe_sign_in={}; b=\"2\"; staithe_sandbox=x", case.stage.token);
    let (head, asked, _) = case.relayed("GET /", &[("cookie", &cookie)], OK).await;
    assert_eq!(head.status(), 200, "it signs in");
    assert_eq!(asked.all("cookie"), ["a=1; b=\"2\""]);
}

pub(crate) async fn authorization_of_the_programs_own(case: Case<'_>) {
    let cookie = format!("staithe_sign_in={}", case.stage.token);
    for own in ["Basic dTpw", "token abc", "Bearer not-ours"] {
        let headers = [("cookie", cookie.as_str()), ("authorization", own)];
        let (head, asked, _) = case.relayed("GET /", &headers, OK).await;
        assert_eq!((head.status(), asked.get("authorization")), (200, Some(own)));
    }
}

pub(crate) async fn cookies_that_come_out(case: Case<'_>) {
    let origin = case.origin().await;
    let prefix = case.prefix(origin.port);
    let given = [
        "a=1; Path=/; HttpOnly",
        "b=1; Path=/app; SameSite=None; Secure",
        "c=1; Domain=127.0.0.1; Max-Age=5",
        "staithe_sign_in=x; Path=/",
        "__Secure-staithe_sandbox=x; Path=/; Secure",
        "=staithe_sign_in=x",
        "__Host-d=1; Path=/; Secure",
        "e=1",
    ];
    let lines = given.map(|it| format!("Set-Cookie: {it}\r\n")).concat();
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    origin.answer(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n")).await;
    let expected = [
        format!("a=1; Path={prefix}/; HttpOnly"),
        format!("b=1; Path={prefix}/app; SameSite=None; Secure"),
        "c=1; Max-Age=5".to_owned(),
        "e=1".to_owned(),
    ];
    assert_eq!(wire.head().await.all("set-cookie"), expected);
}

pub(crate) async fn who_may_frame_it(case: Case<'_>) {
    let answer = "HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\n\
        Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; img-src *\r\n\
        Content-Length: 2\r\n\r\nok";
    let (head, ..) = case.relayed("GET /", &[], answer).await;
    assert_eq!(head.get("x-frame-options"), None);
    let policies = head.all("content-security-policy");
    assert_eq!(policies[0], "default-src 'self'; img-src *");
    let control = case.stage.server.address();
    assert_eq!(policies[1..], [format!("frame-ancestors 'self' http://{control}")]);
}

pub(crate) async fn nothing_for_the_whole_host(case: Case<'_>) {
    let origin = case.origin().await;
    let answer = "HTTP/1.1 200 OK\r\nClear-Site-Data: \"*\"\r\nStrict-Transport-Security: max-age=1\r\n\
        Alt-Svc: h3=\":1\"\r\nNEL: {}\r\nService-Worker-Allowed: /\r\nReferrer-Policy: unsafe-url\r\n\
        Content-Length: 2\r\n\r\nok";
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    origin.answer(answer).await;
    let head = wire.head().await;
    for name in ["clear-site-data", "strict-transport-security", "alt-svc", "nel"] {
        assert_eq!(head.get(name), None, "{name}");
    }
    assert_eq!(head.get("referrer-policy"), Some("same-origin"));
    let scope = format!("{}/", case.prefix(origin.port));
    assert_eq!(head.get("service-worker-allowed"), Some(scope.as_str()));
}

pub(crate) async fn encoded_content_is_left_as_it_is(case: Case<'_>) {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: \"v\"\r\nContent-Length: 3\r\n\r\n\x1f\x7f\x01";
    let (head, asked, body) =
        case.relayed("GET /", &[("accept-encoding", "gzip, br")], answer).await;
    assert_eq!(asked.get("accept-encoding"), Some("gzip, br"));
    assert_eq!((head.get("content-encoding"), head.get("etag")), (Some("gzip"), Some("\"v\"")));
    assert_eq!(body, b"\x1f\x7f\x01");
}
