//! The model is asked: its answer's pieces are shown as they come, and what came of it goes to the controller.

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use futures_util::future::{AbortHandle, abortable};
use staithe_agent::{
    controller::{Call, Purpose},
    model::{Answer, FailureKind, Model, ModelFailed, Piece, Question, Said},
};
use staithe_protocol::{EventId, frames::PartialKind};

use super::{AgentSession, chosen};
use crate::{
    event_stream::{EventStream, messages::PublishPartial},
    mail,
    mask::Words,
    models::NoModel,
};

/// A question that is open.
pub(super) struct Asking {
    pub(super) call: Call,
    abort: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// What came of a question; sent by the future that asked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Heard {
    call: Call,
    answer: Result<Answer, ModelFailed>,
}

impl AgentSession {
    pub(super) fn ask_model(
        &mut self,
        call: Call,
        mut question: Question,
        purpose: Purpose,
        ctx: &mut Context<Self>,
    ) {
        let name = self.chosen.name.as_deref().unwrap_or_default();
        let summary = purpose == Purpose::Condense;
        let model = match chosen::model(&self.settings, &self.owner, name, summary) {
            Ok(model) => model,
            Err(error) => {
                let answer = Err(unusable(&error));
                self.asking = Some(Asking { call, abort: AbortHandle::new_pair().0 });
                ctx.notify(Heard { call, answer });
                return;
            }
        };
        hide(&self.mask.words(), &mut question);
        let shown_to_people = purpose == Purpose::Step;
        let shown = shown_to_people.then(|| Shown::new(self.stream.clone(), self.newest));
        let (asking, abort) = abortable(ask(model, question, shown));
        self.shown |= shown_to_people;
        self.asking = Some(Asking { call, abort });
        ctx.spawn(asking.into_actor(self).map(move |answer, _, ctx| {
            if let Ok(answer) = answer {
                ctx.notify(Heard { call, answer });
            }
        }));
    }

    pub(super) fn hush(&mut self, call: Call) {
        self.asking.take_if(|asking| asking.call == call);
    }
}

/// What an agent means may have a secret, which it is not told again.
fn hide(words: &Words, question: &mut Question) {
    let hide = |text: &mut String| *text = words.hide(std::mem::take(text));
    hide(&mut question.system);
    for said in &mut question.said {
        match said {
            Said::User { text, .. } | Said::Tool { text, .. } => hide(text),
            Said::Assistant(answered) => {
                hide(&mut answered.text);
                for call in &mut answered.calls {
                    hide(&mut call.arguments);
                }
            }
        }
    }
}

fn unusable(error: &NoModel) -> ModelFailed {
    let kind = match error {
        NoModel::Unknown(_) | NoModel::Unusable { .. } => FailureKind::UnknownModel,
        NoModel::NoKey(_) | NoModel::BadKey { .. } => FailureKind::BadKey,
    };
    ModelFailed { kind, message: error.to_string(), retry_after: None }
}

async fn ask(
    model: Arc<dyn Model>,
    question: Question,
    mut shown: Option<Shown>,
) -> Result<Answer, ModelFailed> {
    let mut heard = |piece| {
        if let Some(shown) = &mut shown {
            shown.show(piece);
        }
    };
    model.answer(&question, &mut heard).await
}

/// Shows the pieces of one answer. What is shown is void once the answer's first event is there.
struct Shown {
    stream: Addr<EventStream>,
    /// The newest event that the question saw.
    cause: Option<EventId>,
    text: u64,
    reasoning: u64,
}

impl Shown {
    fn new(stream: Addr<EventStream>, cause: Option<EventId>) -> Self {
        Self { stream, cause, text: 0, reasoning: 0 }
    }

    fn show(&mut self, piece: Piece) {
        let (kind, text) = match piece {
            Piece::Text(text) => (PartialKind::Answer, text),
            Piece::Reasoning(text) => (PartialKind::Reasoning, text),
            Piece::Call(tool) => (PartialKind::Call, tool),
        };
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let told = match kind {
            PartialKind::Answer => &mut self.text,
            PartialKind::Reasoning => &mut self.reasoning,
            PartialKind::Output | PartialKind::Call => &mut 0,
        };
        let offset = *told;
        *told += length;
        let partial = PublishPartial { cause: self.cause, kind, offset, text, skipped: 0 };
        mail::tell(&self.stream, partial);
    }
}

impl Handler<Heard> for AgentSession {
    type Result = ();

    fn handle(&mut self, Heard { call, answer }: Heard, ctx: &mut <Self as Actor>::Context) {
        if self.asking.take_if(|asking| asking.call == call).is_some() {
            let effects = self.controller.heard(call, answer, self.now());
            self.meant.heard(&effects);
            self.obey(effects, ctx);
        }
    }
}
