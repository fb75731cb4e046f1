//! Calls of tools by prompt, for models that have no form of their own for them: the tools are described in the
//! system's text, a call is written in the answer's, and results are told as a person's turn.
//!
//! | file | what |
//! |---|---|
//! | `form` | a call as text, and back |
//! | `hide` | an answer as it comes, without the text of a call in it |
//! | `check` | whether arguments are what a tool takes |

mod check;
mod form;
mod hide;

use futures_util::future::BoxFuture;

use crate::model::{Answer, Answered, Model, ModelFailed, Piece, Question, Said, ToolCall};
use hide::Hide;

pub use check::check;
pub use form::{Found, describe, find, render};

/// Where such a model is to stop: one call is made at a time.
pub const STOP: &str = "</function";

/// Calls tools by prompt, by whatever model is within. That one has to stop at [`STOP`] by itself or not at all:
/// what comes after the first call is not heard.
pub struct Prompted<M>(M);

impl<M: Model> Prompted<M> {
    pub fn new(model: M) -> Self {
        Self(model)
    }
}

impl<M: Model> Model for Prompted<M> {
    fn answer<'a>(
        &'a self,
        question: &'a Question,
        heard: &'a mut (dyn FnMut(Piece) + Send),
    ) -> BoxFuture<'a, Result<Answer, ModelFailed>> {
        Box::pin(async move {
            let asked = in_words(question);
            let mut hide = Hide::default();
            let mut hear = |piece| match piece {
                Piece::Text(text) => hide.text(&text, heard),
                other => heard(other),
            };
            let answer = self.0.answer(&asked, &mut hear).await?;
            hide.rest(heard);
            Ok(with_call(answer, question))
        })
    }
}

/// The question without any tools in it but those in words.
fn in_words(question: &Question) -> Question {
    let mut system = question.system.clone();
    if !question.tools.is_empty() {
        system.push_str(&describe(&question.tools));
    }
    let mut said: Vec<Said> = Vec::with_capacity(question.said.len());
    for turn in &question.said {
        let turn = match turn {
            Said::User { text, images } => {
                Said::User { text: text.clone(), images: images.clone() }
            }
            Said::Assistant(answered) => Said::Assistant(Answered {
                text: written(answered),
                calls: Vec::new(),
                opaque: answered.opaque.clone(),
            }),
            Said::Tool { name, text, images, .. } => Said::User {
                text: format!("EXECUTION RESULT of [{name}]:\n{text}"),
                images: images.clone(),
            },
        };
        add(&mut said, turn);
    }
    Question { system, said, tools: Vec::new() }
}

/// Many such models know only turns that take turns.
fn add(said: &mut Vec<Said>, turn: Said) {
    match (said.last_mut(), turn) {
        (Some(Said::User { text, images }), Said::User { text: more, images: others }) => {
            text.push_str("\n\n");
            text.push_str(&more);
            images.extend(others);
        }
        (_, turn) => said.push(turn),
    }
}

/// What the model wrote, or would have.
fn written(answered: &Answered) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(answered.calls.len() + 1);
    if !answered.text.is_empty() {
        parts.push(answered.text.clone());
    }
    parts.extend(answered.calls.iter().map(|call| render(&call.name, &call.arguments)));
    parts.join("\n\n")
}

/// The answer with the call that its text has in it.
fn with_call(mut answer: Answer, question: &Question) -> Answer {
    if let Some(found) = find(&answer.text, &question.tools) {
        let id = format!("call_{}", answer.id);
        answer.text.truncate(found.begins);
        answer.text.truncate(answer.text.trim_end().len());
        // What is cut behind it is nothing that was asked for.
        answer.cut &= !found.ends;
        answer.calls.push(ToolCall { id, name: found.name, arguments: found.arguments });
    }
    answer
}

#[cfg(test)]
mod tests;
