//! A call as an action. Pure.

use super::{Called, Misread, Offer};
use crate::model::ToolCall;

/// Reads a call of a tool that is offered.
pub fn read_call(call: &ToolCall, _offer: &Offer) -> Result<Called, Misread> {
    Err(Misread::UnknownTool { name: call.name.clone(), nearest: None, names: Vec::new() })
}
