//! What a session begins with: a repository is cloned, then its owner's first message is taken. Both are in the
//! record until they are done, so a crash in between loses neither; what opens the repository is not.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde::{Deserialize, Serialize};
use serde_json::json;
use staithe_protocol::{
    Action, Observation, Source,
    action::Message,
    observation::RepositoryObservation,
    repository::RepositoryUrl,
    runner::{CloneWish, Cloned, Credential},
};

use super::Session;
use crate::{
    agent_session::messages::Submit,
    event_stream::messages::{Append, Reference},
    mail,
    runtime::messages::{CloneFailed, CloneRepository},
};

/// What of the beginning is still to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirstTask {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone: Option<Repository>,
    /// To the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A repository without what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    pub url: String,
    pub branch: Option<String>,
    /// Whether the configuration's token for its host may open it.
    #[serde(default)]
    pub configured_token: bool,
}

impl Session {
    /// Takes the owner's first message, once.
    pub(super) fn say_first(&mut self, ctx: &mut Context<Self>) {
        let Some(content) = self.record.task.message.clone() else { return };
        // Taken before and not struck out of the record: the log knows it by this name.
        let reference = Reference::new("staithe:first-message", &json!(content));
        let submit = Submit {
            source: Source::User,
            action: Action::Message(Message { content, ..Message::default() }),
            timeout: None,
            reference: Some(reference),
        };
        let submit = mail::ask(self.children().agent.addr(), submit);
        ctx.spawn(submit.into_actor(self).map(|outcome, this, ctx| match outcome {
            Ok(Ok(_)) => {
                this.record.task.message = None;
                this.save(ctx);
            }
            Ok(Err(error)) => {
                tracing::warn!(session_id = %this.record.id, %error, "a first message was not taken");
            }
            Err(error) => {
                tracing::warn!(session_id = %this.record.id, %error, "a first message was not taken");
            }
        }));
    }

    /// Clones the repository that is still wanted. The sandbox answers.
    pub(super) fn clone_first(&mut self, ctx: &mut Context<Self>) {
        let Some(repository) = self.record.task.clone.clone() else { return };
        if self.cloning {
            return;
        }
        self.cloning = true;
        self.used();
        let credential = self.credential_for(&repository);
        let Repository { url, branch, .. } = repository;
        let begun = self.tell_repository(RepositoryObservation {
            content: format!("Cloning {url}."),
            url: url.clone(),
            branch: branch.clone(),
            ..RepositoryObservation::default()
        });
        let ask = CloneRepository {
            wish: CloneWish { url, branch, credential },
            limit: self.origin.settings.git.clone_timeout,
        };
        let runtime = self.children().runtime.addr().clone();
        let clone = async move {
            begun.await;
            match mail::ask(&runtime, ask).await {
                Ok(outcome) => outcome,
                Err(_) => Err(CloneFailed::NotConnected),
            }
        };
        ctx.spawn(clone.into_actor(self).map(|outcome, this, ctx| {
            this.cloning = false;
            this.used();
            if outcome == Err(CloneFailed::NotConnected) {
                return; // tried again when the sandbox answers again
            }
            this.has_cloned(outcome, ctx);
        }));
    }

    fn has_cloned(&mut self, outcome: Result<Cloned, CloneFailed>, ctx: &mut Context<Self>) {
        let Some(Repository { url, branch, .. }) = self.record.task.clone.take() else { return };
        self.origin.credential = None;
        let told = RepositoryObservation { url, branch, ..RepositoryObservation::default() };
        let told = match outcome {
            Ok(Cloned { folder, commit, was_there }) => RepositoryObservation {
                content: if was_there {
                    format!("{} is in {folder} already and stays as it is.", told.url)
                } else {
                    format!("Cloned {} into {folder}.", told.url)
                },
                state: if was_there { "kept" } else { "cloned" }.to_owned(),
                folder,
                commit,
                ..told
            },
            Err(failed) => RepositoryObservation {
                content: format!("{} was not cloned: {failed}", told.url),
                state: "failed".to_owned(),
                code: match &failed {
                    CloneFailed::Denied(denied) => denied.code.as_str(),
                    CloneFailed::NotConnected | CloneFailed::Refused(_) => "git.failed",
                }
                .to_owned(),
                ..told
            },
        };
        tracing::info!(session_id = %self.record.id, state = told.state, code = told.code, "a repository was asked for");
        let tell = self.tell_repository(told);
        self.save(ctx);
        ctx.spawn(tell.into_actor(self).map(|(), this, ctx| this.say_first(ctx)));
    }

    fn tell_repository(&self, told: RepositoryObservation) -> impl Future<Output = ()> + use<> {
        self.append(Append::observation(Source::Environment, None, Observation::Repository(told)))
    }

    /// What the owner gave, else what the configuration has for that host, where the owner may use that. None where
    /// somebody could listen in, and by ssh, which has keys of its own.
    fn credential_for(&self, repository: &Repository) -> Option<Credential> {
        let url = RepositoryUrl::read(&repository.url).filter(RepositoryUrl::keeps_secrets)?;
        let credentials = &self.origin.settings.git.credentials;
        let configured =
            || credentials.get(&url.place()).filter(|_| repository.configured_token).cloned();
        let credential = self.origin.credential.clone().or_else(configured)?;
        self.origin.mask.add(credential.token.expose());
        Some(credential)
    }
}
