//! The adapter to real models: OpenAI-compatible ones, Anthropic's, Google's and Ollama's, by the `genai` crate.
//!
//! | file | what |
//! |---|---|
//! | `ask` | a question as `genai` wants it |
//! | `hear` | what comes, piece by piece, as an answer |
//! | `frames` | what `genai` leaves out of it, from the frames themselves |
//! | `fail` | why there is no answer |
//! | `wire` | addresses, and the connections that all models share |
//!
//! Dropping the future of an answer closes its request at once. Nothing is tried again here.

mod ask;
mod fail;
mod frames;
mod hear;
mod wire;

use std::sync::Arc;

use ::genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatOptions, ChatStreamEvent, ReasoningEffort},
    resolver::{AuthData, Endpoint},
};
use futures_util::{StreamExt, future::BoxFuture};
use secrecy::ExposeSecret;
use tracing::{Dispatch, instrument::WithSubscriber};

use crate::{
    known::{Known, settle},
    model::{Answer, FailureKind, Model, ModelFailed, Piece, Question},
    prompted::{Prompted, STOP},
    settings::{ModelSettings, Provider},
};
use fail::{Secret, failed};
use frames::Frames;
use hear::Hearing;

pub use wire::Wire;

/// Tokens that an answer may have where a provider wants a limit and nobody set one: an agent's answers are short,
/// and what is asked for is taken off the window.
const OUTPUT: u64 = 32_000;

/// The model of these settings: with calls of tools in its own form, or by prompt.
///
/// # Errors
///
/// `BadKey` when the provider's own address is meant and there is no key; `BadQuestion` when the address is none.
pub fn connect(wire: &Wire, settings: &ModelSettings) -> Result<Arc<dyn Model>, ModelFailed> {
    let model = GenaiModel::new(wire, settings)?;
    Ok(if model.known.native_tools { Arc::new(model) } else { Arc::new(Prompted::new(model)) })
}

/// A model at a provider. Made for each use of a model's settings; the connections are the wire's.
pub struct GenaiModel {
    client: Client,
    kind: AdapterKind,
    endpoint: Endpoint,
    settings: ModelSettings,
    known: Known,
}

impl GenaiModel {
    /// # Errors
    ///
    /// As [`connect`] has them.
    pub fn new(wire: &Wire, settings: &ModelSettings) -> Result<Self, ModelFailed> {
        let endpoint = wire::endpoint(settings.provider, &settings.base_url)?;
        let keyless = settings.provider == Provider::Ollama || !settings.base_url.is_empty();
        if settings.key.is_none() && !keyless {
            return Err(failed(FailureKind::BadKey, "there is no key for this model"));
        }
        Ok(Self {
            client: wire.client()?,
            kind: wire::kind(settings.provider, &endpoint),
            endpoint: Endpoint::from_owned(endpoint),
            known: settle(settings),
            settings: settings.clone(),
        })
    }

    fn secret(&self) -> Secret<'_> {
        Secret(self.settings.key.as_ref().map(ExposeSecret::expose_secret))
    }

    fn target(&self) -> ServiceTarget {
        // Servers of one's own want a key of some kind and do not look at it.
        let key = self.secret().0.unwrap_or("none");
        ServiceTarget {
            endpoint: self.endpoint.clone(),
            auth: AuthData::from_single(key),
            model: ModelIden::new(self.kind, self.settings.model.as_str()),
        }
    }

    fn options(&self, frames: &Arc<Frames>) -> ChatOptions {
        let settings = &self.settings;
        let mut options = ChatOptions::default()
            .with_capture_usage(true)
            .with_capture_tool_calls(settings.provider != Provider::Openai)
            .with_stream_header_timeout(settings.silence)
            .with_stream_read_timeout(settings.silence)
            .with_raw_frame_sink_arc(frames.clone());
        // Gemini refuses to be asked for thoughts that a model has not got.
        if settings.provider != Provider::Gemini || self.known.reasoning {
            options = options.with_capture_reasoning_content(true);
        }
        options.reasoning_effort = self.effort();
        // Anthropic takes no temperature of a model that thinks.
        let thinks = settings.provider == Provider::Anthropic && options.reasoning_effort.is_some();
        options.temperature = settings.temperature.filter(|_| !thinks);
        options.max_tokens = self.most_tokens();
        if !self.known.native_tools {
            options = options.with_stop_sequence(STOP);
        }
        if let (Provider::Ollama, Some(key)) = (settings.provider, self.secret().0) {
            // genai sends Ollama no key; one behind a gate wants it.
            options =
                options.with_extra_headers(("authorization".to_owned(), format!("Bearer {key}")));
        }
        options
    }

    /// A limit where one is set or has to be; else the provider's own, which is the model's most.
    fn most_tokens(&self) -> Option<u32> {
        let most = match (self.settings.max_output, self.settings.provider) {
            (0, Provider::Anthropic) => self.known.max_output.min(OUTPUT),
            (0, _) => return None,
            (most, _) => most,
        };
        Some(u32::try_from(most).unwrap_or(u32::MAX))
    }

    fn effort(&self) -> Option<ReasoningEffort> {
        let named = match self.settings.reasoning.as_deref() {
            Some("low") => Some(ReasoningEffort::Low),
            Some("medium") => Some(ReasoningEffort::Medium),
            Some("high") => Some(ReasoningEffort::High),
            _ => None,
        };
        // genai takes the end of `mistral-medium` for an effort and asks for `mistral`. Told an effort it leaves the
        // name alone, and a budget is one that it does not send to those that speak OpenAI's protocol.
        let misread = || ReasoningEffort::from_model_name(&self.settings.model).0.is_some();
        let openai = self.settings.provider == Provider::Openai;
        named.or_else(|| (openai && misread()).then_some(ReasoningEffort::Budget(0)))
    }

    async fn ask(
        &self,
        question: &Question,
        heard: &mut (dyn FnMut(Piece) + Send),
    ) -> Result<Answer, ModelFailed> {
        let frames = Arc::new(Frames::default());
        let options = self.options(&frames);
        let request = ask::request(question, &self.settings, &self.known, self.kind);
        let secret = self.secret();
        // genai writes what providers answer into the log, and a provider may tell the key again.
        let asked = self
            .client
            .exec_chat_stream(self.target(), request, Some(&options))
            .with_subscriber(Dispatch::none())
            .await;
        let mut stream = asked.map_err(|error| fail::of(&error, &self.settings, &secret))?.stream;
        let mut hearing = Hearing::default();
        while let Some(event) = stream.next().with_subscriber(Dispatch::none()).await {
            let event = event.map_err(|error| {
                // What the provider said is better than what genai made of it.
                let said = hear::refusal(&frames.seen(), &secret);
                said.unwrap_or_else(|| fail::of(&error, &self.settings, &secret))
            })?;
            frames.check()?;
            // In OpenAI's form the frames themselves have the calls.
            let calls = matches!(event, ChatStreamEvent::ToolCallChunk(_));
            if !(calls && self.settings.provider == Provider::Openai) {
                hearing.hear(event, heard);
            }
            hearing.begin(frames.begun_after(hearing.begun()), heard);
        }
        hearing.answer(&frames.seen(), &self.model_name(), &secret)
    }

    /// Which model an opaque part is of.
    fn model_name(&self) -> String {
        ask::model_name(&self.settings)
    }
}

impl Model for GenaiModel {
    fn answer<'a>(
        &'a self,
        question: &'a Question,
        heard: &'a mut (dyn FnMut(Piece) + Send),
    ) -> BoxFuture<'a, Result<Answer, ModelFailed>> {
        Box::pin(self.ask(question, heard))
    }
}
