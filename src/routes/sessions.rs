//! Making, finding, starting, stopping and deleting sessions.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use staithe_actors::{
    agent_session::choice::AgentChoice,
    mail,
    runtime::messages::{GetLogs, InterruptCommand},
    session::{
        messages::{GetRuntime, PeekRuntime, RetitleSession, StartSession, StopSession},
        task::{FirstTask, Repository},
    },
    session_manager::messages::{CreateSession, DeleteSession, IdempotencyKey},
};
use staithe_protocol::{
    SessionId,
    api::{self, SessionBody, SessionCreated, SessionList},
    frames::Role,
    repository::RepositoryUrl,
    runner::Credential,
};

use super::{agent, body};
use crate::{
    auth::{Identity, Need},
    config::{git::as_credential, image::fits},
    error::ApiError,
    front::{Front, session_id},
};

/// Longest title, label and idempotency key, in characters.
const MAX_TEXT: usize = 200;
/// Least memory of a sandbox, in bytes, and least processors: with less its runner and a shell may not start.
const LEAST_MEMORY: u64 = 64 * 1024 * 1024;
const LEAST_CPUS: f64 = 0.1;
/// Most labels of a session.
const MAX_LABELS: usize = 32;
/// Sessions on a page when no limit is given, and the most that one page holds.
const PAGE: usize = 50;
const MAX_PAGE: usize = 500;

/// `POST /api/sessions`
pub async fn create(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    identity.may_create()?;
    let mut wanted: api::CreateSession = body::json(payload, front.settings.max_body).await?;
    check(&wanted)?;
    check_image(&front, wanted.image.as_deref())?;
    let resources = check_resources(&front, wanted.resources)?;
    let task = first_task(&front, &identity, &wanted)?;
    // Taken out here: neither the key's digest nor anything else that is kept knows it.
    let credential = credential(&mut wanted, &task)?;
    let agent = AgentChoice { model: wanted.model.clone(), ..AgentChoice::default() };
    agent::check(&front, &identity.subject, &agent)?;
    let key = idempotency_key(&request, &wanted)?;
    let create = CreateSession {
        owner: identity.subject.clone(),
        title: wanted.title.clone(),
        image: wanted.image.clone(),
        resources,
        labels: wanted.labels.clone(),
        task,
        credential,
        agent,
        key,
    };
    let created = mail::ask(&front.manager, create).await??;
    let session = front.registry.body(created.id).ok_or_else(ApiError::no_session)?;
    let token = session_token(&front, &identity, created.id, Role::Editor)?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/sessions/{}", created.id)))
        .insert_header(("Idempotency-Replayed", if created.repeated { "true" } else { "false" }))
        .json(SessionCreated { token, session }))
}

fn check(wanted: &api::CreateSession) -> Result<(), ApiError> {
    let invalid = |detail: &str| {
        ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, "session.invalid", detail)
    };
    let long = |text: &str| text.chars().count() > MAX_TEXT;
    wanted.title.as_deref().map_or(Ok(()), check_title)?;
    if wanted.labels.len() > MAX_LABELS {
        return Err(invalid("labels: at most 32"));
    }
    if wanted.labels.iter().any(|(key, value)| long(key) || long(value) || key.is_empty()) {
        return Err(invalid("labels: keys of 1 to 200, values of up to 200 characters"));
    }
    Ok(())
}

fn check_title(title: &str) -> Result<(), ApiError> {
    if title.trim().is_empty() || title.chars().count() > MAX_TEXT {
        let detail = "title: 1 to 200 characters are expected";
        return Err(ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, "session.invalid", detail));
    }
    Ok(())
}

fn check_image(front: &Front, image: Option<&str>) -> Result<(), ApiError> {
    let Some(image) = image else { return Ok(()) };
    let denied =
        |code, detail: &str| Err(ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, code, detail));
    if front.engine.kind == "local" {
        return denied(
            "session.image_unsupported",
            "this server makes sandboxes without containers (engine local), which have no images",
        );
    }
    // A name goes into addresses of the engine's interface.
    let ordinary = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let first = image.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !first || image.len() > 255 || !image.chars().all(ordinary) || image.contains("..") {
        return denied("session.invalid", "image: not the name of an image");
    }
    let allowed = &front.settings.allowed_images;
    if allowed.is_empty() || allowed.iter().any(|pattern| fits(pattern, image)) {
        return Ok(());
    }
    denied("session.image_not_allowed", "the operator does not allow this image")
}

fn check_resources(
    front: &Front,
    wanted: Option<api::Resources>,
) -> Result<api::Resources, ApiError> {
    let wanted = wanted.unwrap_or_default();
    let api::Resources { memory, cpus } = wanted;
    let denied = |code, detail: String| {
        Err(ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, code, detail))
    };
    if wanted != api::Resources::default() && front.engine.kind == "local" {
        let why = "this server makes sandboxes without containers (engine local), which it can't limit one by one";
        return denied("session.resources_unsupported", why.to_owned());
    }
    let most = front.settings.most;
    if let Some(memory) = memory {
        let most = most.memory.unwrap_or(u64::MAX);
        if !(LEAST_MEMORY..=most).contains(&memory) {
            let why = format!("resources.memory: {LEAST_MEMORY} to {most} bytes");
            return denied("session.resources_not_allowed", why);
        }
    }
    if let Some(cpus) = cpus {
        let most = most.cpus.unwrap_or(f64::from(u16::MAX));
        if !(LEAST_CPUS..=most).contains(&cpus) {
            let why = format!("resources.cpus: {LEAST_CPUS} to {most}");
            return denied("session.resources_not_allowed", why);
        }
    }
    Ok(wanted)
}

fn idempotency_key(
    request: &HttpRequest,
    wanted: &api::CreateSession,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(key) = request.headers().get("Idempotency-Key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_TEXT);
    let key = key.ok_or_else(|| {
        ApiError::bad_request(
            "idempotency.malformed_key",
            "1 to 200 visible ASCII characters are expected",
        )
    })?;
    let stands_for = serde_json::to_vec(wanted).expect("a body is plain data");
    Ok(Some(IdempotencyKey { key: key.to_owned(), digest: Sha256::digest(stands_for).into() }))
}

/// What a new session begins with.
fn first_task(
    front: &Front,
    identity: &Identity,
    wanted: &api::CreateSession,
) -> Result<FirstTask, ApiError> {
    let clone = match &wanted.repository {
        None => None,
        Some(repository) => {
            let url = repository_url(repository).ok_or_else(|| {
                let detail = "repository: an https or ssh URL without a password, or owner/name";
                invalid("session.invalid_repository", detail)
            })?;
            let configured_token = front.settings.git_tokens_for.includes(identity.role);
            Some(Repository { url, branch: wanted.branch.clone(), configured_token })
        }
    };
    if let Some(branch) = &wanted.branch {
        // What git calls a well-formed name, and a little less.
        let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
        let good = !branch.is_empty() && branch.len() <= MAX_TEXT && !branch.starts_with('-');
        if clone.is_none() || !good || branch.contains(odd) || branch.contains("..") {
            let detail = "branch: the name of a branch or tag, beside a repository";
            return Err(invalid("session.invalid_branch", detail));
        }
    }
    Ok(FirstTask { clone, message: wanted.first_message.clone() })
}

fn invalid(code: &'static str, detail: &str) -> ApiError {
    ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

/// What opens the repository: `token` or `user:token`, and only to an address that nobody listens in on.
fn credential(
    wanted: &mut api::CreateSession,
    task: &FirstTask,
) -> Result<Option<Credential>, ApiError> {
    let Some(token) = wanted.git_token.take() else { return Ok(None) };
    let url = task.clone.as_ref().map_or("", |repository| repository.url.as_str());
    let keeps = RepositoryUrl::read(url).is_some_and(|url| url.keeps_secrets());
    let text = token.expose();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !keeps || !(6..=1000).contains(&text.len()) || !visible {
        let detail = "git_token: 6 to 1000 visible characters, for a repository by https";
        return Err(invalid("session.invalid_git_token", detail));
    }
    Ok(Some(as_credential(text)))
}

/// The URL of a repository, or of `owner/name` where most are.
fn repository_url(text: &str) -> Option<String> {
    if RepositoryUrl::read(text).is_some() {
        return Some(text.to_owned());
    }
    let (owner, name) = text.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let good = |part: &str| {
        !["", ".", ".."].contains(&part)
            && part.len() <= MAX_TEXT
            && part.chars().all(plain)
            && !part.starts_with('-')
    };
    (good(owner) && good(name)).then(|| format!("https://github.com/{owner}/{name}.git"))
}

fn session_token(
    front: &Front,
    identity: &Identity,
    id: SessionId,
    role: Role,
) -> Result<String, ApiError> {
    let (subject, link) = (identity.subject.clone(), identity.link.clone());
    let usual = front.settings.session_token_ttl;
    let lifetime = if link.is_some() { identity.at_most(usual) } else { usual };
    let bearer = Identity { subject, role, session: Some(id), until: None, link };
    front.keys.sign(&bearer, lifetime)
}

/// `GET /api/sessions`: those of the caller, newest first.
pub async fn list(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    let mut sessions = front.registry.bodies();
    sessions.retain(|session| identity.may(Need::Read, session.id, Some(&session.owner)).is_ok());
    sessions.sort_by_key(|session| std::cmp::Reverse(session.id));
    Ok(HttpResponse::Ok().json(cut(sessions, &request)?))
}

/// One page of a list.
pub fn cut(sessions: Vec<SessionBody>, request: &HttpRequest) -> Result<SessionList, ApiError> {
    let limit: usize = body::parameter(request, "limit")?.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit: 1 to {MAX_PAGE}");
        return Err(ApiError::bad_request("request.invalid_parameter", detail));
    }
    let page: usize = body::parameter(request, "page")?.unwrap_or(0);
    let total = sessions.len();
    let begin = page.saturating_mul(limit);
    let next_page = (begin.saturating_add(limit) < total).then(|| page + 1);
    let sessions = sessions.into_iter().skip(begin).take(limit).collect();
    Ok(SessionList { sessions, total, next_page })
}

/// `GET /api/sessions/{id}`
pub async fn get(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let session = front.registry.body(id).ok_or_else(ApiError::no_session)?;
    Ok(HttpResponse::Ok().json(session))
}

/// `PUT /api/sessions/{id}/title`: another one.
pub async fn retitle(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let wanted: api::NewTitle = body::json(payload, front.settings.max_body).await?;
    check_title(&wanted.title)?;
    let session = front.open(&identity, Need::Write, id).await?;
    mail::ask(&session.addr, RetitleSession(wanted.title))
        .await?
        .map_err(|error| ApiError::failed("session.not_kept", error))?;
    Ok(HttpResponse::Ok().json(session.body()))
}

/// `GET /api/sessions/{id}/log?tail=`: the sandbox's own last lines, for those who may change the session.
pub async fn log(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    Ok(HttpResponse::Ok()
        .json(json!({ "lines": log_lines(&front, &request, &identity, id).await? })))
}

/// The last lines that a sandbox's own log has; `tail`: at most 1000.
pub(super) async fn log_lines(
    front: &Front,
    request: &HttpRequest,
    identity: &Identity,
    id: SessionId,
) -> Result<Vec<String>, ApiError> {
    let tail = body::parameter::<usize>(request, "tail")?.unwrap_or(200).min(1000);
    let session = front.open(identity, Need::Read, id).await?;
    let runtime = mail::ask(&session.addr, PeekRuntime).await?;
    Ok(mail::ask(&runtime, GetLogs { tail }).await?)
}

/// `POST /api/sessions/{id}/start`
pub async fn start(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Write, id).await?;
    mail::ask(&session.addr, StartSession).await??;
    Ok(HttpResponse::Accepted().json(session.body()))
}

/// `POST /api/sessions/{id}/stop`
pub async fn stop(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Write, id).await?;
    mail::ask(&session.addr, StopSession).await??;
    Ok(HttpResponse::Accepted().json(session.body()))
}

/// `POST /api/sessions/{id}/interrupt`
pub async fn interrupt(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    let running = mail::ask(&runtime, InterruptCommand { only: None }).await??;
    Ok(HttpResponse::Ok().json(json!({ "running": running })))
}

/// `DELETE /api/sessions/{id}`: answered when nothing is left of it.
pub async fn delete(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    mail::ask(&front.manager, DeleteSession(id)).await??;
    let links = front.clone();
    web::block(move || links.links.forget(id))
        .await
        .map_err(|error| ApiError::failed("link.not_kept", error))??;
    Ok(HttpResponse::NoContent().finish())
}

/// A wish for a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedToken {
    role: Role,
}

/// `POST /api/sessions/{id}/tokens`: a token that opens this session alone, with the role `viewer` or
/// `editor`.
pub async fn token(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let wanted: WantedToken = body::json(payload, front.settings.max_body).await?;
    if !matches!(wanted.role, Role::Viewer | Role::Editor) {
        let detail = "role: viewer or editor";
        return Err(ApiError::bad_request("request.invalid", detail));
    }
    let token = session_token(&front, &identity, id, wanted.role)?;
    Ok(HttpResponse::Created().json(
        json!({ "token": token, "role": Value::from(format!("{:?}", wanted.role).to_lowercase()) }),
    ))
}

#[cfg(test)]
mod tests {
    use super::repository_url;

    #[test]
    fn a_repository_is_a_url_without_a_password_or_owner_and_name() {
        assert_eq!(repository_url("a/b").as_deref(), Some("https://github.com/a/b.git"));
        for good in ["https://git.example/x.git", "git@git.example:a/b.git", "ssh://git@h/x"] {
            assert_eq!(repository_url(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "a",
            "https://u:p@h/x",
            "ssh://ann:secret@h/x",
            "ssh://ann%3Asecret@h/x",
            "git@h/x",
            "-oProxyCommand=x/y",
            "a/b'; rm -rf /",
            "a/b/c",
            "https:///x",
        ] {
            assert_eq!(repository_url(bad), None, "{bad}");
        }
    }
}
