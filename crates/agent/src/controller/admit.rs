//! What clients may ask of the agent. Pure.

use staithe_protocol::{Action, AgentState};

use super::{Denied, fold::Log};

/// Which changes of state a client may ask for. The reference checks nothing ([T], §6.1).
pub(super) fn is_legal(from: AgentState, to: AgentState) -> bool {
    use AgentState::{
        AwaitingUserConfirmation, AwaitingUserInput, Error, Finished, Init, Loading, Paused,
        RateLimited, Rejected, Running, Stopped, UserConfirmed, UserRejected,
    };
    match to {
        Paused => matches!(from, Init | Running | AwaitingUserInput | RateLimited),
        // From an error once its cause is gone; from a rate limit without waiting.
        Running => matches!(from, Paused | Init | AwaitingUserInput | Error | RateLimited),
        Stopped => !matches!(from, Loading),
        AwaitingUserInput => {
            matches!(from, Init | Running | Paused | Stopped | Error | Finished | Rejected)
        }
        UserConfirmed | UserRejected => from == AwaitingUserConfirmation,
        Loading | Init | Finished | Rejected | Error | AwaitingUserConfirmation | RateLimited => {
            false
        }
    }
}

/// Whether a client's action can be taken. `answers`: there is a model. `gone`: there is no sandbox.
pub(super) fn admit(log: &Log, action: &Action, answers: bool, gone: bool) -> Result<(), Denied> {
    match action {
        Action::ChangeAgentState(change) => {
            let (from, to) = (log.effective(), change.agent_state);
            if from != to && !is_legal(from, to) {
                return Err(Denied::IllegalTransition { from, to });
            }
            if from != to && to == AgentState::Running && gone {
                return Err(Denied::NoSandbox);
            }
            if let Some(id) = log.not_asked(change) {
                return Err(Denied::NotAsked(id));
            }
            log.edited(change).map(|_| ()).map_err(Denied::Edit)
        }
        Action::CondensationRequest if !answers => Err(Denied::NoModel),
        Action::LoopRecovery(_)
            if log.state != AgentState::Error || log.top().stuck.found().is_none() =>
        {
            Err(Denied::NoLoop)
        }
        Action::LoopRecovery(_) if gone => Err(Denied::NoSandbox),
        Action::System(_) | Action::Condensation(_) | Action::Recall(_) => {
            Err(Denied::AgentOnly(action.name()))
        }
        _ => Ok(()),
    }
}
