//! How an attempt gets a sandbox that was started ahead.
//!
//! The order matters: the claimed sandbox's key is in the session's record before the sandbox has the
//! session's name. Whatever dies in between, nobody is left with a sandbox that he can't speak with.

use actix::{Handler, WeakAddr};
use staithe_engine::{LABEL_CONFIG, Sandbox, SandboxSpec};
use staithe_link::Link;
use staithe_protocol::{
    Fault, SandboxId, StartStep,
    runner::{Answer, Call},
};

use super::{Runtime, bring_up::Attempt, messages::NoteClaim};
use crate::{
    mail,
    pool::messages::{ClaimSandbox, Claimed},
    session::{
        Session,
        messages::{ClaimForSession, ForgetClaim},
    },
};

/// Where an attempt asks. Only a session's first attempt does: later there may be a workspace.
pub(super) struct Door {
    pub runtime: WeakAddr<Runtime>,
    pub session: WeakAddr<Session>,
    pub image: String,
}

impl Door {
    /// One that is this session's by its record, and has yet to be by its name.
    async fn claim(&self, config: Option<String>) -> Option<Claimed> {
        let session = self.session.upgrade()?;
        let claim = ClaimSandbox { image: self.image.clone(), config };
        let claimed = mail::ask(&session, ClaimForSession(claim)).await.ok()??;
        self.tell(claimed.key.clone(), Some(claimed.workspace.clone()));
        Some(claimed)
    }

    /// It came to nothing: the workspace is no workspace of this session.
    async fn forget(&self, key: &str) {
        self.tell(key.to_owned(), None);
        if let Some(session) = self.session.upgrade() {
            mail::ask(&session, ForgetClaim).await.unwrap_or_default();
        }
    }

    fn tell(&self, key: String, workspace: Option<String>) {
        if let Some(runtime) = self.runtime.upgrade() {
            mail::tell(&runtime, NoteClaim { key, workspace });
        }
    }
}

impl Attempt {
    /// A sandbox of the pool under this session's name; none when there is none that fits.
    pub(super) async fn claim(&mut self) -> Option<Sandbox> {
        let door = self.door.as_ref().filter(|_| !self.claimed)?;
        self.claimed = true;
        let claimed = door.claim(self.spec.labels.get(LABEL_CONFIG).cloned()).await?;
        self.spec.key.clone_from(&claimed.key);
        let workspace = Some(claimed.workspace.clone());
        let spec = SandboxSpec { workspace, ..self.spec.clone() };
        match self.engine.claim(&claimed.sandbox, &spec).await {
            Ok(sandbox) => {
                self.spec = spec;
                Some(sandbox)
            }
            Err(error) => {
                tracing::warn!(sandbox = %claimed.sandbox, %error, "a claim failed and a sandbox is made instead");
                self.give_up_claim(&claimed.sandbox).await;
                None
            }
        }
    }

    /// Leaves nothing of a claimed sandbox: what comes instead has a workspace of its own.
    pub(super) async fn give_up_claim(&mut self, sandbox: &SandboxId) {
        metrics::counter!("staithe_pool_claims_total", "outcome" => "failed").increment(1);
        if let Err(error) = self.engine.remove(sandbox, true).await {
            tracing::warn!(%sandbox, %error, "a claimed sandbox could not be removed");
        }
        self.spec.workspace = None;
        if let Some(door) = &self.door {
            door.forget(&self.spec.key).await;
        }
    }

    /// What a sandbox of the pool could not know when it was made.
    pub(super) async fn init(&self, link: &Link) -> Result<(), Fault> {
        let call = Call::Configure { env: self.spec.env.clone() };
        let cause = match link.call(call, super::questions::QUESTION_DEADLINE).await {
            Ok(Answer::Configured {}) => return Ok(()),
            Ok(Answer::Failed { error }) => error.to_string(),
            Ok(other) => format!("unexpected answer: {other:?}"),
            Err(error) => error.to_string(),
        };
        Err(Fault {
            code: "sandbox.init_failed".into(),
            step: Some(StartStep::Init),
            cause,
            remedy: "Start the session again; see the sandbox's last log lines.".into(),
            log_tail: Vec::new(),
        })
    }
}

impl Handler<NoteClaim> for Runtime {
    type Result = ();

    /// True whatever has become of the attempt.
    fn handle(&mut self, NoteClaim { key, workspace }: NoteClaim, _: &mut Self::Context) {
        self.origin.key = key;
        self.origin.workspace = workspace;
    }
}
