//! What to do about the difference between records and sandboxes. Pure.

use std::collections::BTreeMap;

use staithe_engine::{LABEL_SESSION, Sandbox};
use staithe_protocol::{Phase, SandboxId, SessionId};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The session is to run and nobody has taken it up.
    Adopt(SessionId),
    /// Nobody's sandbox, or one whose session rests.
    Reap(SandboxId),
    /// A stop or a delete was cut off; it is finished.
    FinishStop(SessionId),
}

/// A session as the records have it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub phase: Phase,
    /// An actor owns it now and looks after its sandbox.
    pub live: bool,
}

/// Compares. Sandboxes are matched by label, never by name.
pub fn plan(known: &BTreeMap<SessionId, Known>, sandboxes: &[Sandbox]) -> Vec<Step> {
    let session_of = |sandbox: &Sandbox| {
        sandbox.labels.get(LABEL_SESSION).and_then(|id| id.parse::<SessionId>().ok())
    };
    let reap = sandboxes.iter().filter_map(|sandbox| {
        let known = session_of(sandbox).and_then(|id| known.get(&id));
        let wanted = match known {
            Some(Known { live: true, .. }) => true,
            Some(Known { phase, .. }) => matches!(phase, Phase::Starting | Phase::Ready),
            None => false,
        };
        (!wanted).then(|| Step::Reap(sandbox.id.clone()))
    });
    let take_up =
        known.iter().filter(|(_, known)| !known.live).filter_map(|(id, known)| match known.phase {
            Phase::Starting | Phase::Ready => Some(Step::Adopt(*id)),
            Phase::Stopping => Some(Step::FinishStop(*id)),
            Phase::Suspended | Phase::Stopped | Phase::Failed => None,
        });
    reap.chain(take_up).collect()
}

#[cfg(test)]
mod tests {
    use staithe_engine::SandboxState;

    use super::*;

    fn sandbox(session: SessionId) -> Sandbox {
        Sandbox {
            id: SandboxId(format!("box-{session}")),
            name: String::new(),
            labels: [(LABEL_SESSION.to_owned(), session.to_string())].into(),
            state: SandboxState::Running,
            workspace: String::new(),
        }
    }

    #[test]
    fn after_a_crash_running_sessions_are_adopted_and_nobodys_sandboxes_reaped() {
        let [ready, stopped, stranger] = [(); 3].map(|()| SessionId::generate());
        let known = BTreeMap::from([
            (ready, Known { phase: Phase::Ready, live: false }),
            (stopped, Known { phase: Phase::Stopped, live: false }),
        ]);
        let sandboxes = [sandbox(ready), sandbox(stopped), sandbox(stranger)];
        let plan = plan(&known, &sandboxes);
        assert_eq!(
            plan,
            [Step::Reap(sandbox(stopped).id), Step::Reap(sandbox(stranger).id), Step::Adopt(ready)]
        );
    }

    #[test]
    fn a_second_pass_finds_nothing_to_do() {
        let ready = SessionId::generate();
        let known = BTreeMap::from([(ready, Known { phase: Phase::Ready, live: true })]);
        assert_eq!(plan(&known, &[sandbox(ready)]), []);
    }
}
