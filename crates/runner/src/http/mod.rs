//! The requests. Bulk goes over them, with the socket's own flow control; what the reference's clients
//! ask is answered in `api`.

pub mod files;
pub mod pieces;
pub mod pour;
pub mod ranges;
pub mod words;

use std::{fs::OpenOptions, net::IpAddr, rc::Rc};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    http::uri::Authority,
};
use staithe_protocol::runner::{KEY_HEADER, LINK_PATH};

use self::words::{Answer, Body, Refusal, bad, query, stream_of, upgrade};
use crate::{
    api, app::App, archive, git, link, pipes, plugins, search, state, terminals, tunnel, uploads,
    watch,
};

/// Answers a request.
pub async fn answer(app: Rc<App>, request: Request<Incoming>) -> Response<Body> {
    match route(&app, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

async fn route(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if let Some(answer) = api::without_key(app, &request) {
        return answer;
    }
    let given = request.headers().get(KEY_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    // A page in a browser could reach what asks for no key; its requests say where it comes from.
    if app.is_open && request.headers().contains_key(header::ORIGIN) {
        let text = "Requests of web pages are not answered without a key.".to_owned();
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, text));
    }
    if app.is_open && !is_meant(request.headers().get(header::HOST)) {
        let text = "Without a key, only requests to an address or to localhost are answered.";
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, text.to_owned()));
    }
    if !app.knows(given) {
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, "Invalid API Key".to_owned()));
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, LINK_PATH) => {
            let app = Rc::clone(app);
            upgrade(request, move |upgraded| link::serve(app, upgraded))
        }
        (_, path) if api::has(path) => api::answer(app, request).await,
        (&Method::GET | &Method::HEAD, "/files/content") => files::download(app, &request).await,
        (&Method::PUT, "/files/content") => files::upload(app, request).await,
        (&Method::GET, "/output") => output(app, &request),
        (_, path) => match path.split('/').nth(1) {
            Some("uploads") => uploads::answer(app, request).await,
            Some("archive") => archive::answer(app, request).await,
            Some("terminals") => terminals::answer(app, request).await,
            Some("watch") => watch::answer(app, request),
            Some("search") => search::answer(app, request).await,
            Some("git") => git::answer(app, request).await,
            Some("tunnel") => tunnel::answer(app, request).await,
            Some("pipes") => pipes::answer(app, request).await,
            Some("plugins") => plugins::answer(app, request).await,
            _ => Err(words::nothing_at(path)),
        },
    }
}

/// Whether a request was meant to come here. A page's own requests to its own name say nothing of a page, and
/// whoever made it may let that name lead here.
fn is_meant(host: Option<&HeaderValue>) -> bool {
    // Browsers always name one.
    let Some(host) = host.filter(|host| !host.is_empty()) else { return true };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    let number = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || number.parse::<IpAddr>().is_ok()
}

fn output(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let key = query(request, "key").ok_or_else(|| bad("`key` is missing"))?;
    let missing =
        || Refusal::Detail(StatusCode::NOT_FOUND, "No output is kept under this key.".to_owned());
    let path = app.shells.output(&key).ok_or_else(missing)?;
    let file = state::open(&path, OpenOptions::new().read(true)).map_err(|_| missing())?;
    let size = file.metadata().map_err(|_| missing())?.len();
    let mut response = Response::new(stream_of(file, 0..size, None));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_lead_anywhere_is_not_meant() {
        let is_meant = |host| is_meant(Some(&HeaderValue::from_static(host)));
        for host in ["localhost", "LocalHost:3000", "127.0.0.1:80", "192.168.7.1", "[::1]:80", ""] {
            assert!(is_meant(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "localhost.", "127.0.0.1.example"]
        {
            assert!(!is_meant(host), "{host}");
        }
        assert!(!is_meant("[::1"), "none at all");
        assert!(super::is_meant(None));
    }
}
