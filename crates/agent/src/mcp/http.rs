//! A server at an address: streamable HTTP, whose answers are JSON or a stream of events.

use std::{collections::BTreeMap, time::Duration};

use reqwest::redirect::{Attempt, Policy};
use rmcp::transport::{
    StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::lines::MOST_MESSAGE;

/// Redirects that are followed, all of them to the same origin.
const MOST_REDIRECTS: usize = 5;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// So much of an answer that is an error is read.
const MOST_COMPLAINT: usize = 2048;

/// A line to it. Nothing is said before the first message.
pub(super) fn transport(
    url: &str,
    headers: &BTreeMap<String, SecretString>,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    let client = reqwest::Client::builder()
        .redirect(Policy::custom(follow))
        .connect_timeout(CONNECT)
        .referer(false)
        .build()
        .map_err(|error| format!("no HTTP client can be made: {error}"))?;
    let mut custom = std::collections::HashMap::new();
    for (name, value) in headers {
        let wrong = || format!("the header {name} can't be sent");
        let header = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = http::HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        custom.insert(header, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(custom)
        .max_sse_event_size(MOST_MESSAGE)
        .max_json_response_size(MOST_MESSAGE)
        .max_error_response_size(MOST_COMPLAINT);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

/// The headers are for one host: whoever sends us elsewhere does not get them there.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let origin = |url: &reqwest::Url| url.origin();
    let first = attempt.previous().first().map(origin);
    if first == Some(origin(attempt.url())) && attempt.previous().len() <= MOST_REDIRECTS {
        return attempt.follow();
    }
    attempt.error("it redirects to another host, which is not followed")
}
