//! What to do about the difference between records and sandboxes. Pure.
//!
//! | the record says | the engine has | then |
//! |---|---|---|
//! | starting, ready | anything, or nothing | the session is taken up; a live one looks when nothing runs |
//! | stopping | anything, or nothing | the stop is finished |
//! | suspended | stopped or paused | it is kept |
//! | stopped | stopped, and the settings keep it | it is kept |
//! | suspended, stopped, failed | what else | reaped; a live session ends it itself |
//! | nothing | one of the pool's | it is kept |
//! | nothing | what else | reaped |

use std::collections::{BTreeMap, BTreeSet};

use staithe_engine::{LABEL_POOL, LABEL_SESSION, Sandbox, SandboxState};
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
    /// What a live session holds true may not be so: it looks, and mends.
    Look(SessionId),
}

/// A session as the records have it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub phase: Phase,
    /// An actor owns it now and looks after its sandbox.
    pub live: bool,
}

/// What decides beside records and sandboxes.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// A stopped session keeps its sandbox.
    pub keep_stopped: bool,
    /// The numbers of the pool's sandboxes.
    pub pool: BTreeSet<String>,
}

/// Compares. Sandboxes are matched by label, never by name. A live session is never acted on behind
/// its back: what was listed may have changed since.
pub fn plan(
    known: &BTreeMap<SessionId, Known>,
    sandboxes: &[Sandbox],
    policy: &Policy,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut looks = BTreeSet::new();
    let mut running = BTreeSet::new();
    for sandbox in sandboxes {
        let session = session_of(sandbox);
        if let Some(session) = session
            && sandbox.state == SandboxState::Running
        {
            running.insert(session);
        }
        match session.and_then(|id| Some((id, known.get(&id)?))) {
            Some((_, known)) if is_wanted(known.phase, sandbox.state, policy) => {}
            Some((id, known)) if known.live => {
                looks.insert(id);
            }
            None if session.is_none() && is_of_pool(sandbox, policy) => {}
            Some(_) | None => steps.push(Step::Reap(sandbox.id.clone())),
        }
    }
    for (id, known) in known {
        match (known.phase, known.live) {
            (Phase::Starting | Phase::Ready, false) => steps.push(Step::Adopt(*id)),
            (Phase::Stopping, false) => steps.push(Step::FinishStop(*id)),
            (Phase::Ready, true) if !running.contains(id) => {
                looks.insert(*id);
            }
            _ => {}
        }
    }
    steps.extend(looks.into_iter().map(Step::Look));
    steps
}

fn session_of(sandbox: &Sandbox) -> Option<SessionId> {
    sandbox.labels.get(LABEL_SESSION)?.parse().ok()
}

fn is_of_pool(sandbox: &Sandbox, policy: &Policy) -> bool {
    sandbox.labels.get(LABEL_POOL).is_some_and(|number| policy.pool.contains(number))
}

fn is_wanted(phase: Phase, state: SandboxState, policy: &Policy) -> bool {
    match phase {
        Phase::Starting | Phase::Ready | Phase::Stopping => true,
        Phase::Suspended => state != SandboxState::Running,
        Phase::Stopped => policy.keep_stopped && state == SandboxState::Stopped,
        Phase::Failed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(session: SessionId, state: SandboxState) -> Sandbox {
        Sandbox {
            id: SandboxId(format!("box-{session}")),
            name: String::new(),
            labels: [(LABEL_SESSION.to_owned(), session.to_string())].into(),
            state,
            workspace: String::new(),
        }
    }

    fn known(of: &[(SessionId, Phase, bool)]) -> BTreeMap<SessionId, Known> {
        of.iter().map(|(id, phase, live)| (*id, Known { phase: *phase, live: *live })).collect()
    }

    #[test]
    fn after_a_crash_running_sessions_are_adopted_and_nobodys_sandboxes_reaped() {
        let [ready, stopped, stranger] = [(); 3].map(|()| SessionId::generate());
        let known = known(&[(ready, Phase::Ready, false), (stopped, Phase::Stopped, false)]);
        let run = |id| sandbox(id, SandboxState::Running);
        let plan = plan(&known, &[run(ready), run(stopped), run(stranger)], &Policy::default());
        assert_eq!(
            plan,
            [Step::Reap(run(stopped).id), Step::Reap(run(stranger).id), Step::Adopt(ready)]
        );
    }

    #[test]
    fn a_second_pass_finds_nothing_to_do() {
        let [ready, asleep] = [(); 2].map(|()| SessionId::generate());
        let known = known(&[(ready, Phase::Ready, true), (asleep, Phase::Suspended, true)]);
        let sandboxes =
            [sandbox(ready, SandboxState::Running), sandbox(asleep, SandboxState::Paused)];
        assert_eq!(plan(&known, &sandboxes, &Policy::default()), []);
    }

    #[test]
    fn what_sleeps_is_kept_and_what_is_stopped_only_where_the_settings_say_so() {
        use SandboxState::{Paused, Running, Stopped};
        let id = SessionId::generate();
        let table = [
            (Phase::Suspended, Stopped, true, true),
            (Phase::Suspended, Paused, true, true),
            (Phase::Suspended, Running, false, false),
            (Phase::Stopped, Stopped, false, true),
            (Phase::Stopped, Paused, false, false),
            (Phase::Stopped, Running, false, false),
            (Phase::Failed, Stopped, false, false),
        ];
        for (phase, state, kept, kept_after_exit) in table {
            for (keep_stopped, kept) in [(false, kept), (true, kept_after_exit)] {
                let policy = Policy { keep_stopped, ..Policy::default() };
                let resting = plan(&known(&[(id, phase, false)]), &[sandbox(id, state)], &policy);
                let reap = vec![Step::Reap(sandbox(id, state).id)];
                assert_eq!(resting, if kept { vec![] } else { reap }, "{phase:?} {state:?}");
                let live = plan(&known(&[(id, phase, true)]), &[sandbox(id, state)], &policy);
                assert_eq!(live, if kept { vec![] } else { vec![Step::Look(id)] });
            }
        }
    }

    #[test]
    fn a_ready_session_without_a_running_sandbox_looks_for_itself() {
        let id = SessionId::generate();
        let ready = known(&[(id, Phase::Ready, true)]);
        assert_eq!(plan(&ready, &[], &Policy::default()), [Step::Look(id)]);
        let stopped = [sandbox(id, SandboxState::Stopped)];
        assert_eq!(plan(&ready, &stopped, &Policy::default()), [Step::Look(id)]);
        let starting = known(&[(id, Phase::Starting, true)]);
        assert_eq!(plan(&starting, &[], &Policy::default()), [], "it is looking already");
    }

    #[test]
    fn of_the_pool_only_what_the_pool_knows_is_kept() {
        let pooled = |number: &str| Sandbox {
            id: SandboxId(number.to_owned()),
            labels: [(LABEL_POOL.to_owned(), number.to_owned())].into(),
            ..sandbox(SessionId::generate(), SandboxState::Running)
        };
        let policy = Policy { pool: ["1".to_owned()].into(), ..Policy::default() };
        let plan = plan(&BTreeMap::new(), &[pooled("1"), pooled("2")], &policy);
        assert_eq!(plan, [Step::Reap(pooled("2").id)]);
    }
}
