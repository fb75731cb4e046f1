//! Which models there are, and the keys that open them.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use serde_json::json;
use staithe_actors::{mask::Words, models::Models};
use staithe_agent::model::{Model, Question, Said};
use staithe_protocol::{frames::Role, secret::Secret};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::body;
use crate::{
    auth::Identity,
    error::ApiError,
    front::Front,
    models::{
        book::{Book, ModelView},
        vault::{Holder, VaultFailed},
    },
};

/// How long a key is, in bytes.
const LEAST_KEY: usize = 8;
const MOST_KEY: usize = 4096;
/// A body that holds a key, in bytes.
const MOST_BODY: usize = 16 * 1024;
/// Of what a checked model or its provider says, in characters.
const MOST_SHOWN: usize = 400;
/// How long a checked model may take.
const CHECK_LIMIT: Duration = Duration::from_mins(1);

/// `GET /api/models`
pub async fn list(front: web::Data<Front>, identity: Identity) -> HttpResponse {
    let mut models = front.models.views(&identity.subject);
    if identity.may_create().is_err() {
        // A link to one session carries its owner's subject, not what is the owner's to know.
        models.iter_mut().for_each(ModelView::veil);
    }
    HttpResponse::Ok()
        .json(json!({ "models": models, "default": front.models.default_for(&identity.subject) }))
}

/// A key that is to be kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedKey {
    key: Secret,
}

/// `PUT /api/models/{name}/key`: a user's own, or an operator's for all. Answered when it is on the disk.
pub async fn set_key(
    front: web::Data<Front>,
    identity: Identity,
    name: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let holder = holder(&identity)?;
    known(&front.models, &name)?;
    front.guard.admit_key_change(&identity.subject)?;
    let WantedKey { key } = body::json(payload, MOST_BODY).await?;
    let key = key.expose().trim().to_owned();
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !(LEAST_KEY..=MOST_KEY).contains(&key.len()) || !visible {
        let detail = "a key has 8 to 4096 visible ASCII characters";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(ApiError::denied(status, "model.invalid_key", detail));
    }
    let (book, at) = (Arc::clone(&front.models), name.clone());
    on_disk(move || book.set_key(&holder, &at, &key)).await?;
    tracing::info!(model = %name, subject = identity.subject, "a model's key was set");
    Ok(HttpResponse::Ok().json(front.models.view(&identity.subject, &name)))
}

/// `DELETE /api/models/{name}/key`
pub async fn remove_key(
    front: web::Data<Front>,
    identity: Identity,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let holder = holder(&identity)?;
    known(&front.models, &name)?;
    front.guard.admit_key_change(&identity.subject)?;
    let (book, at) = (Arc::clone(&front.models), name.clone());
    if on_disk(move || book.remove_key(&holder, &at)).await? {
        tracing::info!(model = %name, subject = identity.subject, "a model's key was removed");
        return Ok(HttpResponse::NoContent().finish());
    }
    let detail = "there is no key of yours for this model";
    Err(ApiError::denied(StatusCode::NOT_FOUND, "model.key_not_found", detail))
}

/// `POST /api/models/{name}/check`: what a provider refuses is an answer too.
pub async fn check(
    front: web::Data<Front>,
    identity: Identity,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    identity.may_create()?;
    let model = front.models.model(&identity.subject, &name)?;
    let begun = Instant::now();
    let outcome = timeout(CHECK_LIMIT, ask(&*model)).await;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mask = front.secrets.mask(&identity.subject).words();
    let told = match outcome {
        Ok(Ok(text)) => json!({ "ok": true, "took_ms": took_ms, "answer": shown(&mask, text) }),
        Ok(Err((code, message))) => {
            json!({ "ok": false, "took_ms": took_ms, "code": code, "message": shown(&mask, message) })
        }
        Err(_) => {
            let message = format!("no answer within {} s", CHECK_LIMIT.as_secs());
            json!({ "ok": false, "took_ms": took_ms, "code": "model.unavailable", "message": message })
        }
    };
    Ok(HttpResponse::Ok().json(told))
}

/// What a page shows of a provider's words. Hidden first: half a secret would not be known.
fn shown(hidden: &Words, text: String) -> String {
    hidden.hide(text).chars().take(MOST_SHOWN).collect()
}

/// One tiny question.
async fn ask(model: &dyn Model) -> Result<String, (&'static str, String)> {
    let said =
        Said::User { text: "Answer with the one word: ready".to_owned(), images: Vec::new() };
    let question = Question { said: vec![said], ..Question::default() };
    let mut heard = |_| ();
    match model.answer(&question, &mut heard).await {
        Ok(answer) => Ok(answer.text),
        Err(failed) => Err((failed.kind.code(), failed.message)),
    }
}

/// Whose keys a caller may set.
fn holder(identity: &Identity) -> Result<Holder, ApiError> {
    identity.may_create()?;
    Ok(match identity.role {
        Role::Operator => Holder::Installation,
        _ => Holder::User(identity.subject.clone()),
    })
}

fn known(book: &Book, name: &str) -> Result<(), ApiError> {
    if book.knows(name) {
        return Ok(());
    }
    Err(staithe_actors::models::NoModel::Unknown(name.to_owned()).into())
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultFailed> + Send + 'static,
) -> Result<T, ApiError> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| {
            ApiError::failed("model.store_failed", format!("{:#}", anyhow::Error::from(error)))
        }),
        Err(error) => Err(ApiError::failed("model.store_failed", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_at_the_cut_is_hidden_whole() {
        let words: Words = ["sk-0123456789".to_owned()].into_iter().collect();
        for before in MOST_SHOWN - 14..MOST_SHOWN {
            let text = format!("{}sk-0123456789 and more", "x".repeat(before));
            let told = shown(&words, text);
            assert!(!told.contains("sk-"), "{told}");
            assert!(told.chars().count() <= MOST_SHOWN);
        }
    }
}
