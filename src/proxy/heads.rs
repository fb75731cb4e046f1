//! Headers on their way in and out. Pure.

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    address::{Form, Target},
    cookies,
    location::Place,
    outside::{
        FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PREFIX, FORWARDED_PROTO, Outside,
    },
};

/// What counts for one connection only.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// What only a proxy may say: it is ours to say to a sandbox.
const PROXIES_SAY: [&str; 9] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-prefix",
];
/// What would reach beyond the one program: the whole host, its other ports and its other sessions.
const REACHES_BEYOND: [&str; 9] = [
    "clear-site-data",
    "strict-transport-security",
    "public-key-pins",
    "expect-ct",
    "alt-svc",
    "nel",
    "report-to",
    // Said better by `frame-ancestors`, which is ours.
    "x-frame-options",
    "referrer-policy",
];

const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

fn is_one_of(list: &[&str], name: &HeaderName) -> bool {
    list.contains(&name.as_str())
}

/// Headers that `Connection` names: for this connection only, too.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Whether a request wants to change the protocol, and to which. `h2c` is not passed on: what it would
/// carry could not be read.
pub fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = named_by_connection(headers).iter().any(|name| name == "upgrade");
    let wanted = headers.get(header::UPGRADE).filter(|_| asks)?;
    let text = wanted.to_str().ok()?;
    let is_http = text.split(',').any(|it| it.trim().to_ascii_lowercase().starts_with("h2"));
    (!is_http).then(|| wanted.clone())
}

/// Whether the client waits for a word before it sends the body.
pub fn waits_for_continue(headers: &HeaderMap) -> bool {
    headers
        .get(header::EXPECT)
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A request's headers as the program gets them. `keep_authorization`: it is the program's, not ours.
pub fn inward(
    headers: &HeaderMap,
    outside: &Outside,
    target: &Target,
    keep_authorization: bool,
) -> HeaderMap {
    let named = named_by_connection(headers);
    let takes_trailers = headers
        .get(header::TE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|te| te.split(',').any(|it| it.trim().eq_ignore_ascii_case("trailers")));
    let mut inward = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        let drop = is_one_of(&HOP_BY_HOP, name)
            || is_one_of(&PROXIES_SAY, name)
            || *name == header::HOST
            || named.iter().any(|it| it == name.as_str())
            || (*name == header::AUTHORIZATION && !keep_authorization);
        match name {
            _ if drop => {}
            &header::COOKIE => {
                if let Some(value) = cookies::inward(value) {
                    inward.append(header::COOKIE, value);
                }
            }
            name => {
                inward.append(name, value.clone());
            }
        }
    }
    let mut say = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            inward.insert(name, value);
        }
    };
    say(header::HOST, &outside.host);
    say(FORWARDED_HOST, &outside.host);
    say(FORWARDED_PROTO, outside.proto);
    say(FORWARDED_PORT, outside.port());
    say(FORWARDED_FOR, &outside.chain);
    let prefix = match target.form {
        Form::Stripped => format!("{}{}", outside.prefix, target.prefix),
        Form::Whole | Form::Host => outside.prefix.clone(),
    };
    if !prefix.is_empty() {
        say(FORWARDED_PREFIX, &prefix);
    }
    if takes_trailers {
        say(header::TE, "trailers");
    }
    inward
}

/// A program's headers as the browser gets them. `ancestors`: who may show it in a frame.
pub fn outward(headers: &HeaderMap, place: &Place<'_>, ancestors: &str) -> HeaderMap {
    let named = named_by_connection(headers);
    // Chunks that were read say how long the body is; a length beside them was never looked at.
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let mut outward = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let drop = is_one_of(&HOP_BY_HOP, name)
            || is_one_of(&REACHES_BEYOND, name)
            || (is_chunked && *name == header::CONTENT_LENGTH)
            || named.iter().any(|it| it == name.as_str());
        if drop {
            continue;
        }
        if let Some(value) = one_outward(name, value, place) {
            outward.append(name, value);
        }
    }
    let policy = headers.get(header::REFERRER_POLICY);
    let says_none = policy.is_some_and(|policy| policy == "no-referrer");
    let policy = if says_none { "no-referrer" } else { "same-origin" };
    outward.insert(header::REFERRER_POLICY, HeaderValue::from_static(policy));
    if let Ok(value) = HeaderValue::from_str(&format!("frame-ancestors {ancestors}")) {
        outward.append(header::CONTENT_SECURITY_POLICY, value);
    }
    outward
}

fn one_outward(name: &HeaderName, value: &HeaderValue, place: &Place<'_>) -> Option<HeaderValue> {
    let rewritten = |new: Option<String>| match new {
        Some(new) => from_text(&new),
        None => Some(value.clone()),
    };
    match name {
        &header::SET_COOKIE => cookies::outward(value, place),
        &header::LOCATION | &header::CONTENT_LOCATION => rewritten(place.location(&text(value))),
        &header::REFRESH => rewritten(place.refresh(&text(value))),
        &header::CONTENT_SECURITY_POLICY => without_ancestors(&text(value)),
        name if *name == SERVICE_WORKER_ALLOWED => {
            // Only a path from the top can be seen to be below the prefix.
            let path = value.to_str().ok()?.trim();
            let climbs = path.contains("..") || path.contains('%') || path.contains('\\');
            if !path.starts_with('/') || path.starts_with("//") || climbs {
                return None;
            }
            let prefix = format!("{}{}/", place.outer, place.prefix);
            match place.location(path) {
                Some(below) => HeaderValue::from_str(&below).ok(),
                None if place.prefix.is_empty() || path.starts_with(&prefix) => Some(value.clone()),
                None => None,
            }
        }
        _ => Some(value.clone()),
    }
}

/// A value in which each byte is one character, so that none is lost on the way to and fro.
fn text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

fn from_text(text: &str) -> Option<HeaderValue> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    HeaderValue::from_bytes(&bytes.ok()?).ok()
}

/// A policy without what it says of frames: that is said by us. Nothing when it says nothing else.
fn without_ancestors(policies: &str) -> Option<HeaderValue> {
    let is_other = |directive: &&str| {
        let name = directive.split_ascii_whitespace().next().unwrap_or_default();
        !name.is_empty() && !name.eq_ignore_ascii_case("frame-ancestors")
    };
    let policies: Vec<String> = policies
        .split(',')
        .map(|policy| policy.split(';').filter(is_other).collect::<Vec<_>>().join(";"))
        .filter(|policy| !policy.trim_ascii().is_empty())
        .collect();
    if policies.is_empty() { None } else { from_text(policies.join(",").trim_ascii()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::address::{Found, find};

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn inside(headers: &[(&'static str, &str)], form: &str) -> HeaderMap {
        let id = "0190c0de0000700080000000000000aa";
        let Found::Port(target) = find("", "", &format!("/s/{id}/{form}/80/x")) else {
            panic!("a port")
        };
        let outside = Outside {
            host: "box:3001".into(),
            proto: "https",
            prefix: "/below".into(),
            chain: "192.0.2.1".into(),
            client: [192, 0, 2, 1].into(),
        };
        inward(&map(headers), &outside, &target, false)
    }

    #[test]
    fn what_is_for_one_connection_or_ours_stays_here() {
        let told = inside(
            &[
                ("host", "inside"),
                ("connection", "keep-alive, X-Mine , close"),
                ("x-mine", "1"),
                ("keep-alive", "5"),
                ("te", "gzip, trailers"),
                ("transfer-encoding", "chunked"),
                ("authorization", "Bearer ours"),
                ("cookie", "staithe_sign_in=x; a=1"),
                ("forwarded", "host=evil"),
                ("x-forwarded-for", "evil"),
                ("x-original-host", "evil"),
                ("sec-websocket-extensions", "permessage-deflate"),
            ],
            "p",
        );
        let expected = map(&[
            ("cookie", "a=1"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("host", "box:3001"),
            ("x-forwarded-host", "box:3001"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "3001"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-prefix", "/below/s/0190c0de0000700080000000000000aa/p/80"),
            ("te", "trailers"),
        ]);
        assert_eq!(told, expected);
        assert_eq!(inside(&[], "a").get(&FORWARDED_PREFIX).unwrap(), "/below");
    }

    #[test]
    fn an_upgrade_has_to_be_asked_for_in_both_headers() {
        let wanted = |headers: &[(&'static str, &str)]| wanted_upgrade(&map(headers)).is_some();
        let websocket = ("upgrade", "websocket");
        assert!(wanted(&[("connection", "keep-alive, Upgrade"), websocket]));
        assert!(wanted(&[("connection", "keep-alive"), ("connection", "upgrade"), websocket]));
        assert!(!wanted(&[("connection", "keep-alive"), websocket]));
        assert!(!wanted(&[("connection", "upgrade")]));
        assert!(!wanted(&[("connection", "upgrade, HTTP2-Settings"), ("upgrade", "h2c")]));
    }

    fn outside(headers: &[(&'static str, &str)]) -> HeaderMap {
        let place =
            Place { host: "box:3001", outer: "", prefix: "/s/x/p/80", port: 80, whole: false };
        outward(&map(headers), &place, "'self' http://box:3000")
    }

    #[test]
    fn a_program_says_nothing_for_the_whole_host() {
        let told = outside(&[
            ("clear-site-data", "\"cookies\""),
            ("strict-transport-security", "max-age=1"),
            ("x-frame-options", "DENY"),
            ("alt-svc", "h3=\":1\""),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("service-worker-allowed", "/"),
            ("set-cookie", "staithe_sign_in=x"),
            ("set-cookie", "a=1"),
            ("location", "/y"),
            ("etag", "\"v\""),
        ]);
        let expected = map(&[
            ("service-worker-allowed", "/s/x/p/80/"),
            ("set-cookie", "a=1"),
            ("location", "/s/x/p/80/y"),
            ("etag", "\"v\""),
            ("referrer-policy", "same-origin"),
            ("content-security-policy", "frame-ancestors 'self' http://box:3000"),
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn a_program_keeps_its_policy_but_for_frames() {
        let csp = |policies: &[&'static str]| {
            let headers: Vec<_> =
                policies.iter().map(|p| ("content-security-policy", *p)).collect();
            let told = outside(&headers);
            let all = told.get_all("content-security-policy").iter();
            all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let ours = "frame-ancestors 'self' http://box:3000".to_owned();
        assert_eq!(csp(&["frame-ancestors 'none'"]), std::slice::from_ref(&ours));
        assert_eq!(
            csp(&["default-src 'self'; Frame-Ancestors 'self'; img-src *, script-src x"]),
            ["default-src 'self'; img-src *, script-src x".to_owned(), ours]
        );
    }

    #[test]
    fn bytes_beyond_ascii_are_kept() {
        let latin = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        let place =
            Place { host: "box:3001", outer: "", prefix: "/s/x/p/80", port: 80, whole: false };
        for (name, given, expected) in [
            ("location", "/ü?à".as_bytes(), "/s/x/p/80/ü?à".as_bytes()),
            ("location", "http://box:3001/ü".as_bytes(), "/s/x/p/80/ü".as_bytes()),
            ("location", b"/\xfc", b"/s/x/p/80/\xfc"),
            ("location", "ü".as_bytes(), "ü".as_bytes()),
            ("refresh", "1; url=/à".as_bytes(), "1; url=/s/x/p/80/à".as_bytes()),
            (
                "content-security-policy",
                "default-src x; frame-ancestors 'none'; report-uri /à".as_bytes(),
                "default-src x; report-uri /à".as_bytes(),
            ),
        ] {
            let mut given_map = HeaderMap::new();
            given_map.insert(name, latin(given));
            let told = outward(&given_map, &place, "'self'");
            assert_eq!(told.get(name), Some(&latin(expected)), "{name}");
        }
    }

    #[test]
    fn chunks_count_and_a_length_beside_them_is_cut() {
        let told = outside(&[("transfer-encoding", "chunked"), ("content-length", "2")]);
        assert!(!told.contains_key("content-length") && !told.contains_key("transfer-encoding"));
        assert_eq!(outside(&[("content-length", "2")]).get("content-length").unwrap(), "2");
    }

    #[test]
    fn a_service_worker_stays_below_the_prefix() {
        for (given, expected) in [
            ("/", Some("/s/x/p/80/")),
            ("/app/", Some("/s/x/p/80/app/")),
            ("/s/x/p/80/", Some("/s/x/p/80/")),
            ("/s/x/p/80/../../", None),
            ("/s/x/p/80/%2e%2e/", None),
            ("//evil/", None),
            ("../", None),
            ("https://evil.example/", None),
        ] {
            let told = outside(&[("service-worker-allowed", given)]);
            let told = told.get("service-worker-allowed").map(|v| v.to_str().unwrap().to_owned());
            assert_eq!(told.as_deref(), expected, "{given}");
        }
    }
}
