//! Settings, questions, and one ask.

use std::time::Duration;

use serde_json::json;
use staithe_agent::{
    genai::{Wire, connect},
    model::{
        Answer, Answered, FailureKind, ModelFailed, Piece, Question, Said, ToolCall, ToolSpec,
    },
    settings::{ModelSettings, Provider},
};
use staithe_testkit::{FakeModel, model::Protocol};

pub(crate) const KEY: &str = "sk-test-0123456789abcdefXYZ";
pub(crate) const IMAGE: &str = "data:image/png;base64,iVBORw0KGgo=";

/// Every provider, and the protocol it speaks.
pub(crate) const ALL: [(Provider, Protocol); 4] = [
    (Provider::Openai, Protocol::Openai),
    (Provider::Anthropic, Protocol::Anthropic),
    (Provider::Gemini, Protocol::Gemini),
    (Provider::Ollama, Protocol::Ollama),
];

pub(crate) fn settings(server: &FakeModel, provider: Provider) -> ModelSettings {
    let model = match provider {
        Provider::Openai => "gpt-4.1",
        Provider::Anthropic => "claude-sonnet-4-5",
        Provider::Gemini => "gemini-2.5-pro",
        Provider::Ollama => "qwen3",
    };
    ModelSettings {
        model: model.to_owned(),
        provider,
        base_url: server.url(),
        key: Some(KEY.into()),
        native_tools: None,
        vision: Some(true),
        window: 0,
        max_output: 0,
        temperature: None,
        reasoning: None,
        caching: true,
        price: None,
        silence: Duration::from_secs(30),
    }
}

pub(crate) fn user(text: &str) -> Said {
    Said::User { text: text.to_owned(), images: Vec::new() }
}

pub(crate) fn result(id: &str, name: &str, text: &str) -> Said {
    Said::Tool {
        call_id: id.to_owned(),
        name: name.to_owned(),
        text: text.to_owned(),
        images: Vec::new(),
    }
}

pub(crate) fn told_again(answer: &Answer) -> Said {
    Said::Assistant(Answered {
        text: answer.text.clone(),
        calls: answer.calls.clone(),
        opaque: answer.opaque.clone(),
    })
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

pub(crate) fn question(said: Vec<Said>) -> Question {
    let run = ToolSpec {
        name: "run".to_owned(),
        description: "Runs a command.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"command": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["command"],
        }),
    };
    Question { system: "You help.".to_owned(), said, tools: vec![run] }
}

pub(crate) type Heard = (Result<Answer, ModelFailed>, Vec<Piece>);

thread_local! {
    /// A test has a thread of its own, and reading the machine's certificates takes a while.
    static WIRE: Wire = Wire::new().expect("connections");
}

pub(crate) async fn ask(settings: &ModelSettings, question: &Question) -> Heard {
    let wire = WIRE.with(Clone::clone);
    let model = connect(&wire, settings).expect("a model");
    let mut pieces = Vec::new();
    let answer = model.answer(question, &mut |piece| pieces.push(piece)).await;
    (answer, pieces)
}

/// Asks for anything; the answer.
pub(crate) async fn answer(settings: &ModelSettings) -> Answer {
    ask(settings, &question(vec![user("Go")])).await.0.expect("an answer")
}

/// Asks for anything; the failure.
pub(crate) async fn failure(settings: &ModelSettings) -> ModelFailed {
    ask(settings, &question(vec![user("Go")])).await.0.expect_err("a failure")
}

pub(crate) async fn failure_kind(settings: &ModelSettings) -> FailureKind {
    failure(settings).await.kind
}

pub(crate) fn shown(pieces: &[Piece]) -> String {
    let text =
        |piece: &Piece| if let Piece::Text(text) = piece { text.clone() } else { String::new() };
    pieces.iter().map(text).collect()
}
