//! The port to a model: a question with the view of the log in it, and an answer that comes piece by piece.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whoever answers. One that is dropped in the middle of an answer asks for no more of it at once.
pub trait Model: Send + Sync + 'static {
    /// Answers; pieces are told as they come, in order. An error after pieces is one all the same: what was told
    /// is void.
    fn answer<'a>(
        &'a self,
        question: &'a Question,
        heard: &'a mut (dyn FnMut(Piece) + Send),
    ) -> BoxFuture<'a, Result<Answer, ModelFailed>>;
}

/// What a model is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    pub system: String,
    /// From the oldest to the newest; tool results follow the calls that they answer.
    pub said: Vec<Said>,
    pub tools: Vec<ToolSpec>,
}

/// One turn of the talk.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    User {
        text: String,
        images: Vec<Image>,
    },
    Assistant(Answered),
    /// The result of one call.
    Tool {
        call_id: String,
        name: String,
        text: String,
        images: Vec<Image>,
    },
}

/// What a model said, as it is told to it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    pub text: String,
    pub calls: Vec<ToolCall>,
    /// What the provider wants back unchanged (signatures of its reasoning); kept for the same model alone.
    pub opaque: Option<Value>,
}

/// A picture: a data URL (`data:image/png;base64,…`) or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(pub String);

/// A call of a tool as the model made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON, if the model kept to it.
    pub arguments: String,
}

/// A tool that is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// A piece of an answer, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
    /// A call of this tool begins.
    Call(String),
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of it; made up where it gives none.
    pub id: String,
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<ToolCall>,
    pub opaque: Option<Value>,
    pub usage: Usage,
    /// It ended at the limit of tokens: within its last call, if it has any, else within its text.
    pub cut: bool,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All that went in, those from and to the cache among them.
    pub input: u64,
    /// All that came out, reasoning among it.
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub reasoning: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelFailed {
    pub kind: FailureKind,
    /// For people, without any secret.
    pub message: String,
    /// What the provider asks to wait, in milliseconds.
    pub retry_after: Option<u64>,
}

/// What a person or the controller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No key, or one that the provider does not take.
    BadKey,
    /// The account has nothing left.
    NoCredit,
    /// Too many requests or tokens; waiting helps.
    RateLimited,
    /// The question is longer than the model reads.
    ContextTooLong,
    /// The provider's policy forbids the question or the answer.
    Refused,
    /// There is no such model at that address.
    UnknownModel,
    /// The provider did not understand the question.
    BadQuestion,
    /// No connection, an error of the provider, an answer that broke off or can't be understood; trying again helps.
    Unavailable,
}

impl FailureKind {
    /// Its stable code: `model.bad_key` and so on.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadKey => "model.bad_key",
            Self::NoCredit => "model.no_credit",
            Self::RateLimited => "model.rate_limited",
            Self::ContextTooLong => "model.context_too_long",
            Self::Refused => "model.refused",
            Self::UnknownModel => "model.unknown",
            Self::BadQuestion => "model.bad_question",
            Self::Unavailable => "model.unavailable",
        }
    }

    /// Whether the same question may be answered a moment later.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable)
    }
}
