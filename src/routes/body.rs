//! Reading what a request carries: bounded, and refused with a code.

use std::{fmt::Write, str::FromStr};

use actix_web::{HttpRequest, http::StatusCode, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A body whole, up to `limit` bytes.
pub async fn whole(mut payload: web::Payload, limit: usize) -> Result<web::BytesMut, ApiError> {
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::bad_request("request.broken_body", error))?;
        if body.len() + chunk.len() > limit {
            let detail = format!("the body is larger than {limit} bytes");
            return Err(ApiError::denied(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request.too_large",
                detail,
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A JSON body. An empty one stands for `{}` where the type allows it.
pub async fn json<T: DeserializeOwned>(payload: web::Payload, limit: usize) -> Result<T, ApiError> {
    let body = whole(payload, limit).await?;
    parse(if body.trim_ascii().is_empty() { b"{}" } else { &body })
}

/// JSON that a caller sent.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // An array would pass for an object's fields in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::bad_request("request.invalid", "a JSON object is expected"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { "request.invalid" } else { "request.malformed_json" };
        ApiError::bad_request(code, error)
    })
}

/// A form that can't be read.
pub fn form(error: actix_web::error::UrlencodedError) -> actix_web::Error {
    use actix_web::error::UrlencodedError::Overflow;
    if matches!(error, Overflow { .. }) {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return ApiError::denied(status, "request.too_large", error).into();
    }
    ApiError::bad_request("request.malformed_form", error).into()
}

/// A query parameter of a type; absent and empty ones are `None`.
pub fn parameter<T: FromStr>(request: &HttpRequest, name: &str) -> Result<Option<T>, ApiError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| ApiError::bad_request("request.malformed_query", error))?;
    let wanted = |(key, value): &(String, String)| key == name && !value.is_empty();
    let Some((_, text)) = pairs.0.into_iter().find(wanted) else {
        return Ok(None);
    };
    let value = text.parse().map_err(|_| {
        ApiError::bad_request(
            "request.invalid_parameter",
            format!("{name}: {text:?} is not possible here"),
        )
    })?;
    Ok(Some(value))
}

/// All values of a query parameter that may be there more than once.
pub fn parameters(request: &HttpRequest, name: &str) -> Result<Vec<String>, ApiError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| ApiError::bad_request("request.malformed_query", error))?;
    Ok(pairs.0.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect())
}

/// Percent-encodes everything but letters, digits and `-_.~` (RFC 3986 §2.3).
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string succeeds");
        }
        encoded
    })
}

/// Decodes percent-encoding into UTF-8.
pub fn decode(text: &str) -> Result<String, ApiError> {
    let malformed =
        || ApiError::bad_request("request.malformed_path", "the path is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or_else(malformed)?);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_survives_percent_encoding(text in ".*") {
            prop_assert_eq!(decode(&encode(&text)).ok(), Some(text));
        }
    }

    #[test]
    fn broken_encodings_are_refused() {
        for bad in ["%", "%2", "%zz", "%ff", "a%"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
