//! A call that was cut at its answer's limit of tokens: it is marked in its arguments, wherever they go, so that it is
//! never carried out. Pure.

use crate::model::ToolCall;

/// Ends arguments that were cut. With it they are no JSON.
const MARK: &str = "… [cut at the limit of tokens]";

/// What of it came may look whole, as `rm -rf /a` of `rm -rf /a/b` does.
pub fn mark_cut(call: &mut ToolCall) {
    call.arguments.push_str(MARK);
}

pub(super) fn is_cut(call: &ToolCall) -> bool {
    call.arguments.ends_with(MARK)
}
