//! Cookies on their way through: ours stay here, a sandbox's stay below its session. Pure.

use hyper::{HeaderMap, header, header::HeaderValue};

use super::location::Place;

/// What every cookie of ours begins with.
const OURS: &str = "staithe_";

/// Whether a cookie is ours, or would be taken for one.
pub fn is_ours(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    let lower = name.to_ascii_lowercase();
    let bare = [&b"__host-"[..], b"__secure-"]
        .iter()
        .find_map(|prefix| lower.strip_prefix(*prefix))
        .unwrap_or(&lower);
    bare.starts_with(OURS.as_bytes())
}

/// The value of the first cookie of this name.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    values(headers, name).next()
}

/// The values of all cookies of this name.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    named(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes), name)
}

/// The values of all cookies of this name in `Cookie` headers. What is malformed is passed over: a page of a
/// sandbox can have anything sent.
pub fn named<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    headers.flat_map(pairs).filter_map(move |pair| {
        let (key, value) = split(pair);
        (key == name.as_bytes()).then(|| std::str::from_utf8(value?).ok()).flatten()
    })
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn split(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (pair[..at].trim_ascii(), Some(pair[at + 1..].trim_ascii())),
        None => (pair, None),
    }
}

/// A `Cookie` header without ours; nothing when no other is in it.
pub fn inward(value: &HeaderValue) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    // One without a name is sent as its value alone, which then reads as a name.
    if !pairs(bytes).any(|pair| is_ours(split(pair).0)) {
        return Some(value.clone());
    }
    let kept: Vec<&[u8]> = pairs(bytes).filter(|pair| !is_ours(split(pair).0)).collect();
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok() }
}

/// A `Set-Cookie` header as the browser may have it: for this host only, below the prefix, and none that
/// would be taken for ours. Nothing when it can't be had so.
pub fn outward(value: &HeaderValue, place: &Place<'_>) -> Option<HeaderValue> {
    let mut parts = value.as_bytes().split(|byte| *byte == b';');
    let (name, content) = split(parts.next()?.trim_ascii());
    if name.is_empty() || content.is_none() || is_ours(name) {
        return None;
    }
    let is_host = name.to_ascii_lowercase().starts_with(b"__host-");
    if is_host && !place.prefix.is_empty() {
        return None; // its path has to be `/`, which is everybody's
    }
    let mut cookie = value.as_bytes().split(|byte| *byte == b';').next()?.trim_ascii().to_vec();
    for part in parts {
        let (key, content) = split(part.trim_ascii());
        if key.is_empty() || key.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        cookie.extend_from_slice(b"; ");
        if key.eq_ignore_ascii_case(b"path") {
            cookie.extend_from_slice(b"Path=");
            cookie.extend_from_slice(&path_below(content.unwrap_or_default(), place));
        } else {
            cookie.extend_from_slice(part.trim_ascii());
        }
    }
    HeaderValue::from_bytes(&cookie).ok()
}

fn path_below(path: &[u8], place: &Place<'_>) -> Vec<u8> {
    let prefix = format!("{}{}", place.outer, place.prefix).into_bytes();
    if prefix.is_empty() {
        return if path.is_empty() { b"/".to_vec() } else { path.to_vec() };
    }
    let is_below = path
        .strip_prefix(&prefix[..])
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    match path {
        below if is_below => below.to_vec(),
        [b'/', ..] if place.whole => {
            // A program that knows its base path means what it says, but no more than its own.
            [&prefix[..], b"/"].concat()
        }
        [b'/'] => [&prefix[..], b"/"].concat(),
        [b'/', ..] => [&prefix[..], path].concat(),
        _ => [&prefix[..], b"/"].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: &'static str) -> Place<'static> {
        Place { host: "h:1", outer: "", prefix, port: 8080, whole: false }
    }

    fn set(text: &str, prefix: &'static str) -> Option<String> {
        let value = HeaderValue::from_str(text).unwrap();
        outward(&value, &place(prefix)).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn ours_never_go_in() {
        let inward = |text: &str| {
            inward(&HeaderValue::from_str(text).unwrap()).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(inward("staithe_sign_in=x"), None);
        assert_eq!(
            inward("a=1;staithe_sign_in=x; b=\"2;\" ; __Host-Staithe_x=1;c").as_deref(),
            Some("a=1; b=\"2; \"; c")
        );
        assert_eq!(inward("a=1;  b=2").as_deref(), Some("a=1;  b=2"), "others as they are");
    }

    #[test]
    fn a_sandboxs_cookie_stays_below_its_prefix() {
        let p = "/s/x/p/1";
        for (given, expected) in [
            ("a=b; Path=/; HttpOnly", Some("a=b; Path=/s/x/p/1/; HttpOnly")),
            ("a=b; path=/app; Secure", Some("a=b; Path=/s/x/p/1/app; Secure")),
            ("a=b; Path=/s/x/p/1/app", Some("a=b; Path=/s/x/p/1/app")),
            ("a=b; Path=/s/x/p/11", Some("a=b; Path=/s/x/p/1/s/x/p/11")),
            ("a=b; Path", Some("a=b; Path=/s/x/p/1/")),
            ("a=b; Domain=example.org; Max-Age=1", Some("a=b; Max-Age=1")),
            ("a=b=c; SameSite=None", Some("a=b=c; SameSite=None")),
            ("a=b", Some("a=b")),
            ("staithe_sign_in=x", None),
            ("__Secure-STAITHE_sign_in=x", None),
            ("=staithe_sign_in=x", None),
            ("staithe_sign_in", None),
            ("__Host-a=b; Path=/; Secure", None),
        ] {
            assert_eq!(set(given, p).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn on_a_host_of_its_own_only_the_domain_is_cut() {
        for (given, expected) in [
            ("a=b; Path=/; Domain=box.example", Some("a=b; Path=/")),
            ("__Host-a=b; Path=/; Secure", Some("__Host-a=b; Path=/; Secure")),
            ("staithe_sandbox=x; Path=/", None),
        ] {
            assert_eq!(set(given, "").as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; staithe_x = 2"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=3"));
        assert_eq!(value(&headers, "staithe_x"), Some("2"));
        assert_eq!(value(&headers, "b"), Some("3"));
        assert_eq!(value(&headers, "c"), None);
    }
}
