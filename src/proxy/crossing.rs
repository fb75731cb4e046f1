//! Whether a page may send this request with the sign-in that its browser adds by itself. Pure.
//!
//! In the path forms all sessions share one origin. What browsers tell of who asks keeps a page of one
//! session from plainly asking for another's; it can't hold a page that is bent on it, which is what the
//! host form is for.

use hyper::{HeaderMap, Method, header, http::uri::Uri};

use super::{
    address::{Form, Found, Target, find},
    outside::Outside,
};

/// Says why not.
pub fn allow(
    method: &Method,
    headers: &HeaderMap,
    outside: &Outside,
    target: &Target,
) -> Result<(), &'static str> {
    let word = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let acts = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || headers.contains_key(header::UPGRADE);
    let site = word("sec-fetch-site");
    match word("origin") {
        Some(origin) if authority(origin).as_deref() != Some(&outside.host) => {
            return Err("a page of another origin may not ask this");
        }
        None if acts && !matches!(site, Some("same-origin" | "none")) => {
            return Err("a request that may change something has to name its origin");
        }
        _ => {}
    }
    let navigates = !acts && word("sec-fetch-mode") == Some("navigate");
    match site {
        None | Some("same-origin" | "none") => {}
        Some("same-site" | "cross-site") if navigates => {}
        Some(_) => return Err("a page of another origin may only lead here"),
    }
    match word("referer") {
        Some(referer) if target.form != Form::Host && is_of_another(referer, outside, target) => {
            Err("a page of another session may not ask this")
        }
        _ => Ok(()),
    }
}

/// Whether this leads a browser to a page.
pub fn navigates(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

/// Whether the sign-in itself may open a port by path. A browser that tells who asks has to be led there, and not by
/// a page of this origin, which may be another session's: what the page asks for then comes with its own session's
/// cookie. Says why not.
pub fn allow_sign_in(method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    let site = headers.get("sec-fetch-site");
    if site.is_none() && !headers.contains_key("sec-fetch-mode") {
        return Ok(()); // no browser of today, or one that was not asked by https or on loopback
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let led = reads && navigates(headers) && !headers.contains_key(header::UPGRADE);
    if led && site.is_none_or(|site| site != "same-origin") {
        return Ok(());
    }
    Err("open this port from the control pages, or by its address")
}

fn authority(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.authority()?.as_str().to_owned())
}

/// Whether a page was served for another session on this very host.
fn is_of_another(referer: &str, outside: &Outside, target: &Target) -> bool {
    let Ok(uri) = referer.parse::<Uri>() else { return false };
    if uri.authority().map(hyper::http::uri::Authority::as_str) != Some(&outside.host) {
        return false;
    }
    let path = uri.path().strip_prefix(&outside.prefix).unwrap_or(uri.path());
    match find("", "", path) {
        Found::Port(page) | Found::Slash(page) => page.session != target.session,
        Found::Nothing => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0190c0de0000700080000000000000aa";
    const B: &str = "0190c0de0000700080000000000000bb";

    fn allowed(method: &Method, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let outside = Outside {
            host: "127.0.0.1:3001".into(),
            proto: "http",
            prefix: String::new(),
            chain: String::new(),
            client: [127, 0, 0, 1].into(),
        };
        let Found::Port(target) = find("", "", &format!("/s/{B}/p/80/x")) else { panic!("a port") };
        allow(method, &map, &outside, &target).is_ok()
    }

    #[test]
    fn programs_and_pages_of_the_session_may_ask() {
        let own = ("origin", "http://127.0.0.1:3001");
        let here = format!("http://127.0.0.1:3001/s/{B}/p/81/page");
        assert!(allowed(&Method::GET, &[]));
        assert!(allowed(&Method::GET, &[("sec-fetch-site", "none")]));
        assert!(allowed(&Method::POST, &[own, ("sec-fetch-site", "same-origin")]));
        assert!(allowed(&Method::POST, &[own, ("referer", &here)]));
        assert!(allowed(&Method::GET, &[own, ("upgrade", "websocket")]));
        assert!(allowed(&Method::DELETE, &[("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn the_sign_in_opens_a_page_and_nothing_that_a_page_asks_for() {
        let allowed = |method: Method, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            allow_sign_in(&method, &map).is_ok()
        };
        let led = ("sec-fetch-mode", "navigate");
        assert!(allowed(Method::GET, &[]) && allowed(Method::POST, &[("origin", "http://x")]));
        for site in ["none", "same-site", "cross-site"] {
            assert!(allowed(Method::GET, &[led, ("sec-fetch-site", site)]), "{site}");
        }
        assert!(!allowed(Method::GET, &[led, ("sec-fetch-site", "same-origin")]));
        assert!(!allowed(Method::POST, &[led, ("sec-fetch-site", "none")]));
        for mode in ["cors", "no-cors", "same-origin", "websocket"] {
            for site in ["none", "same-origin"] {
                let headers = [("sec-fetch-mode", mode), ("sec-fetch-site", site)];
                assert!(!allowed(Method::GET, &headers), "{mode} {site}");
            }
        }
        assert!(!allowed(Method::GET, &[("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn the_control_pages_may_lead_here_and_do_no_more() {
        let site = ("sec-fetch-site", "same-site");
        let referer = ("referer", "http://127.0.0.1:3000/");
        assert!(allowed(&Method::GET, &[site, referer, ("sec-fetch-mode", "navigate")]));
        assert!(!allowed(&Method::GET, &[site, referer, ("sec-fetch-mode", "no-cors")]));
        assert!(!allowed(&Method::POST, &[site, referer, ("sec-fetch-mode", "navigate")]));
        let origin = ("origin", "http://127.0.0.1:3000");
        assert!(!allowed(&Method::GET, &[origin, site, ("sec-fetch-mode", "cors")]));
        assert!(!allowed(&Method::GET, &[origin, ("upgrade", "websocket")]));
    }

    #[test]
    fn strangers_and_other_sessions_are_refused() {
        let evil = ("origin", "https://evil.example");
        assert!(!allowed(&Method::GET, &[evil]));
        assert!(!allowed(&Method::GET, &[("origin", "null")]));
        assert!(!allowed(&Method::POST, &[]));
        assert!(!allowed(&Method::GET, &[("upgrade", "websocket")]));
        assert!(!allowed(&Method::GET, &[("sec-fetch-site", "cross-site")]));
        let other = format!("http://127.0.0.1:3001/s/{A}/p/80/");
        assert!(!allowed(&Method::GET, &[("referer", &other), ("sec-fetch-site", "same-origin")]));
        assert!(!allowed(&Method::GET, &[("referer", &other)]));
    }
}
