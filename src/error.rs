//! The only place where an error becomes a status code: problem bodies by RFC 9457.

use std::fmt::Display;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use staithe_actors::{
    SendFailed,
    agent_session::messages::{SubmitDenied, SubmitFailed},
    event_stream::messages::AppendFailed,
    models::NoModel,
    runtime::messages::ActFailed,
    session::messages::{ChooseFailed, PhaseDenied},
    session_manager::messages::{CreateFailed, OpenFailed, TooMany},
};
use staithe_protocol::{
    action::ActionRejected,
    api::Problem,
    files::{FileCode, FileDenied},
};

/// A refused or failed request.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    /// Stable; listed in `docs/errors.md`.
    pub code: &'static str,
    pub detail: String,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// Found in the log.
    pub id: Option<Box<str>>,
    pub current_version: Option<Box<str>>,
    pub current_content: Option<Box<str>>,
    pub moved_to: Option<Box<MovedTo>>,
}

/// Where a file is now. Of its own, so that errors stay small.
#[derive(Clone, Debug)]
pub struct MovedTo(pub String);

impl ApiError {
    /// The caller asked for what can't be.
    pub fn denied(status: StatusCode, code: &'static str, detail: impl Display) -> Self {
        Self {
            status,
            code,
            detail: detail.to_string(),
            retry_after: None,
            id: None,
            current_version: None,
            current_content: None,
            moved_to: None,
        }
    }

    /// The request can't be understood.
    pub fn bad_request(code: &'static str, detail: impl Display) -> Self {
        Self::denied(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Not now.
    pub fn unavailable(code: &'static str, detail: impl Display, retry_after: u64) -> Self {
        let denied = Self::denied(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after: Some(retry_after), ..denied }
    }

    /// Ours. The whole chain goes into the log under an id that the caller gets.
    pub fn failed(code: &'static str, error: impl Display) -> Self {
        let id = uuid::Uuid::new_v4().as_simple().to_string();
        tracing::error!(id, code, %error, "a request failed");
        let detail = "the server failed; its log has the details under this id";
        let denied = Self::denied(StatusCode::INTERNAL_SERVER_ERROR, code, detail);
        Self { id: Some(id.into()), ..denied }
    }

    /// There is no such session, or it is not for this caller to know.
    pub fn no_session() -> Self {
        Self::denied(StatusCode::NOT_FOUND, "session.not_found", "there is no such session")
    }

    /// As a problem body.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.into(),
            id: self.id.as_deref().map(str::to_owned),
            retry_after: self.retry_after,
            current_version: self.current_version.as_deref().map(str::to_owned),
            current_content: self.current_content.as_deref().map(str::to_owned),
            moved_to: self.moved_to.as_deref().map(|moved| moved.0.clone()),
        }
    }
}

impl Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"staithe\""));
        }
        response.body(serde_json::to_vec(&self.problem()).expect("a problem is plain data"))
    }
}

impl From<SendFailed> for ApiError {
    fn from(error: SendFailed) -> Self {
        Self::unavailable("server.busy", error, 1)
    }
}

impl From<OpenFailed> for ApiError {
    fn from(error: OpenFailed) -> Self {
        match error {
            OpenFailed::NotFound(_) => Self::no_session(),
            OpenFailed::Unreadable(_) => Self::failed("session.unreadable", error),
            OpenFailed::Send(error) => error.into(),
        }
    }
}

impl From<CreateFailed> for ApiError {
    fn from(error: CreateFailed) -> Self {
        match error {
            CreateFailed::KeyReused => {
                Self::denied(StatusCode::UNPROCESSABLE_ENTITY, "idempotency.key_reused", error)
            }
            CreateFailed::TooMany(too_many) => too_many.into(),
            CreateFailed::Draining => Self::unavailable("server.draining", error, 10),
            CreateFailed::Store(error) => Self::failed("store.failed", error),
        }
    }
}

impl From<TooMany> for ApiError {
    fn from(error: TooMany) -> Self {
        let code = match error {
            TooMany::Sessions(_) => "limits.max_sessions",
            TooMany::OfUser(_) => "limits.max_sessions_per_user",
            TooMany::Waiting(_) => "limits.max_waiting",
        };
        Self::unavailable(code, error, 30)
    }
}

impl From<PhaseDenied> for ApiError {
    fn from(error: PhaseDenied) -> Self {
        let code = match error {
            PhaseDenied::Draining => return Self::unavailable("server.draining", error, 10),
            PhaseDenied::TooMany(too_many) => return too_many.into(),
            PhaseDenied::Stopping => "session.stopping",
            PhaseDenied::AlreadyStopped => "session.already_stopped",
        };
        Self::denied(StatusCode::CONFLICT, code, error)
    }
}

impl From<NoModel> for ApiError {
    fn from(error: NoModel) -> Self {
        let status = match error {
            NoModel::Unknown(_) => StatusCode::NOT_FOUND,
            NoModel::NoKey(_) | NoModel::BadKey { .. } | NoModel::Unusable { .. } => {
                StatusCode::CONFLICT
            }
        };
        Self::denied(status, error.code(), error)
    }
}

impl From<ChooseFailed> for ApiError {
    fn from(error: ChooseFailed) -> Self {
        match error {
            ChooseFailed::Store(error) => Self::failed("store.failed", error),
            ChooseFailed::Send(error) => error.into(),
        }
    }
}

impl From<ActionRejected> for ApiError {
    fn from(rejected: ActionRejected) -> Self {
        Self::denied(StatusCode::UNPROCESSABLE_ENTITY, rejected.code, rejected.reason)
    }
}

impl From<SubmitFailed> for ApiError {
    fn from(error: SubmitFailed) -> Self {
        match error {
            SubmitFailed::Denied(denied) => denied.into(),
            SubmitFailed::Append(AppendFailed::ReferenceReused(_)) => {
                Self::denied(StatusCode::UNPROCESSABLE_ENTITY, "ref.reused", error)
            }
            SubmitFailed::Append(AppendFailed::Store(_)) => Self::failed("store.failed", error),
            SubmitFailed::Send(error) => error.into(),
        }
    }
}

impl From<SubmitDenied> for ApiError {
    fn from(denied: SubmitDenied) -> Self {
        match denied {
            SubmitDenied::AgentOnly(_) => {
                Self::denied(StatusCode::UNPROCESSABLE_ENTITY, "action.agent_only", denied)
            }
            SubmitDenied::IllegalTransition { .. } => {
                Self::denied(StatusCode::CONFLICT, "agent.illegal_transition", denied)
            }
            SubmitDenied::NoModel => {
                Self::denied(StatusCode::CONFLICT, "model.not_configured", denied)
            }
            SubmitDenied::NoLoop => Self::denied(StatusCode::CONFLICT, "agent.no_loop", denied),
            SubmitDenied::NotAsked(_) => {
                Self::denied(StatusCode::CONFLICT, "agent.not_asked", denied)
            }
            SubmitDenied::Edit(_) => {
                Self::denied(StatusCode::UNPROCESSABLE_ENTITY, "action.malformed", denied)
            }
            SubmitDenied::QueueFull(_) => Self::unavailable("session.queue_full", denied, 5),
            SubmitDenied::NotRunning => {
                Self::denied(StatusCode::CONFLICT, "session.not_running", denied)
            }
        }
    }
}

impl From<ActFailed> for ApiError {
    fn from(error: ActFailed) -> Self {
        match error {
            ActFailed::NotConnected => Self::unavailable("session.not_ready", error, 1),
            ActFailed::Refused(_) => Self::failed("sandbox.refused", error),
        }
    }
}

impl From<FileDenied> for ApiError {
    fn from(denied: FileDenied) -> Self {
        let status = match denied.code {
            FileCode::BadMessage => StatusCode::BAD_REQUEST,
            FileCode::OutsideWorkspace | FileCode::PermissionDenied => StatusCode::FORBIDDEN,
            FileCode::NotFound => StatusCode::NOT_FOUND,
            FileCode::Exists
            | FileCode::Conflict
            | FileCode::NotEmpty
            | FileCode::IsDirectory
            | FileCode::NotDirectory
            | FileCode::AgentBusy => StatusCode::CONFLICT,
            FileCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            FileCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            FileCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            FileCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            FileCode::RuntimeNotReady | FileCode::RuntimeUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            FileCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
            FileCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self {
            retry_after,
            current_version: denied.current_version.map(Into::into),
            current_content: denied.current_content.map(Into::into),
            moved_to: denied.moved_to.map(|moved| Box::new(MovedTo(moved))),
            ..Self::denied(status, denied.code.as_str(), denied.message)
        }
    }
}
