//! Containers: found, looked at, started, stopped, renamed, removed.

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{
        ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary,
        ContainerSummaryStateEnum,
    },
    query_parameters::{
        InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use futures_util::future::try_join;
use staithe_protocol::{SandboxId, SessionId};

use super::{
    DockerEngine,
    body::{LABEL_KIND, LABEL_NETWORK, LABEL_TOKEN, LABEL_WORKSPACE},
    call::{Failure, call},
    is_of,
    streams::Stdin,
};
use crate::{
    EngineFailed, LABEL_OWNER, LABEL_POOL, LABEL_SESSION, Labels, Sandbox, SandboxSpec,
    SandboxState,
};

/// What an inspection told.
pub(super) struct Found {
    pub(super) sandbox: Sandbox,
    pub(super) inspect: ContainerInspectResponse,
}

impl Found {
    pub(super) fn label(&self, label: &str) -> Option<&str> {
        self.sandbox.labels.get(label).map(String::as_str)
    }
}

impl DockerEngine {
    /// All sandboxes that carry all these labels. One that was claimed from the pool carries its
    /// session in its name. What only carries the runner into a volume is no sandbox, and neither is what a builder
    /// or anybody else runs of an image of ours: it has the image's labels, the owner's among them.
    pub(super) async fn find_containers(
        &self,
        labels: &Labels,
    ) -> Result<Vec<Sandbox>, EngineFailed> {
        let mut found = self.all_containers(labels).await?;
        found.retain(|it| {
            it.labels.contains_key(LABEL_TOKEN) && !it.labels.contains_key(LABEL_KIND)
        });
        Ok(found)
    }

    /// The same with those that are no sandboxes.
    pub(super) async fn all_containers(
        &self,
        labels: &Labels,
    ) -> Result<Vec<Sandbox>, EngineFailed> {
        let plain: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let by_label = self.list(HashMap::from([("label".to_owned(), plain)]));
        let Some(session) = labels.get(LABEL_SESSION) else {
            return by_label.await;
        };
        let rest = labels.iter().filter(|(label, _)| *label != LABEL_SESSION);
        let mut rest: Vec<String> = rest.map(|(label, value)| format!("{label}={value}")).collect();
        rest.push(LABEL_POOL.to_owned());
        let name = format!("^/?{}{session}$", self.0.config.name_prefix);
        let by_name =
            self.list(HashMap::from([("label".to_owned(), rest), ("name".to_owned(), vec![name])]));
        let (mut found, claimed) = try_join(by_label, by_name).await?;
        // The filter by name takes a pattern: what it found is looked at again.
        found.extend(claimed.into_iter().filter(|it| {
            it.labels.contains_key(LABEL_POOL) && it.labels.get(LABEL_SESSION) == Some(session)
        }));
        Ok(found)
    }

    async fn list(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Sandbox>, EngineFailed> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list = self.0.docker.list_containers(Some(options));
        let all = call(self.deadline(), list).await.map_err(|failure| failure.of("list", "*"))?;
        Ok(all.into_iter().filter_map(|summary| self.sandbox_of(summary)).collect())
    }

    /// One that is being removed is as good as gone.
    fn sandbox_of(&self, summary: ContainerSummary) -> Option<Sandbox> {
        let state = match summary.state? {
            ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::RESTARTING => {
                SandboxState::Running
            }
            ContainerSummaryStateEnum::PAUSED => SandboxState::Paused,
            ContainerSummaryStateEnum::REMOVING => return None,
            _ => SandboxState::Stopped,
        };
        let name = summary.names?.into_iter().next()?;
        let labels = summary.labels.unwrap_or_default().into_iter().collect();
        Some(self.sandbox(summary.id?, &name, labels, state))
    }

    fn sandbox(&self, id: String, name: &str, mut labels: Labels, state: SandboxState) -> Sandbox {
        let name = name.trim_start_matches('/').to_owned();
        labels.retain(|label, value| label.starts_with("staithe.") && !value.is_empty());
        if labels.contains_key(LABEL_POOL)
            && let Some(session) = name.strip_prefix(self.0.config.name_prefix.as_str())
            && session.parse::<SessionId>().is_ok()
        {
            labels.insert(LABEL_SESSION.to_owned(), session.to_owned());
        }
        let workspace = labels.get(LABEL_WORKSPACE).cloned().unwrap_or_default();
        Sandbox { id: SandboxId(id), name, labels, state, workspace }
    }

    /// Looks at one by id or name; none when there is no such container.
    pub(super) async fn inspect(&self, id: &SandboxId) -> Result<Option<Found>, EngineFailed> {
        let inspect = self.0.docker.inspect_container(&id.0, None::<InspectContainerOptions>);
        match call(self.deadline(), inspect).await {
            Ok(inspect) => Ok(Some(self.found(id, inspect))),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure.of("inspect", &id.0)),
        }
    }

    fn found(&self, id: &SandboxId, inspect: ContainerInspectResponse) -> Found {
        let status = inspect.state.as_ref().and_then(|state| state.status);
        let state = match status {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => {
                SandboxState::Running
            }
            Some(ContainerStateStatusEnum::PAUSED) => SandboxState::Paused,
            _ => SandboxState::Stopped,
        };
        let labels = inspect.config.as_ref().and_then(|config| config.labels.clone());
        let labels = labels.unwrap_or_default().into_iter().collect();
        let name = inspect.name.clone().unwrap_or_default();
        let id = inspect.id.clone().unwrap_or_else(|| id.0.clone());
        Found { sandbox: self.sandbox(id, &name, labels, state), inspect }
    }

    pub(super) async fn look(&self, id: &SandboxId) -> Result<Option<Sandbox>, EngineFailed> {
        Ok(self.inspect(id).await?.map(|found| found.sandbox))
    }

    /// Whose the container of a name is, when there is one.
    pub(super) async fn name_taken(&self, name: &str) -> Result<EngineFailed, EngineFailed> {
        let Some(found) = self.inspect(&SandboxId(name.to_owned())).await? else {
            // Gone meanwhile: looking again is right.
            return Ok(EngineFailed::NameTaken(name.to_owned()));
        };
        let owner = found.label(LABEL_OWNER);
        if owner == Some(self.0.config.owner.as_str()) {
            return Ok(EngineFailed::NameTaken(name.to_owned()));
        }
        let cause = match owner {
            Some(owner) => format!("its label {LABEL_OWNER} names the installation {owner}"),
            None => format!("it has no label {LABEL_OWNER}"),
        };
        Ok(EngineFailed::Foreign { name: name.to_owned(), cause })
    }

    pub(super) async fn start_container(
        &self,
        id: &SandboxId,
        key: &str,
    ) -> Result<(), EngineFailed> {
        let Some(found) = self.inspect(id).await? else {
            return Err(EngineFailed::NotFound(id.clone()));
        };
        let failed = |failure: Failure| match failure {
            Failure::NotFound(message) if !message.to_lowercase().contains("network") => {
                EngineFailed::NotFound(id.clone())
            }
            other => other.of("start", &found.sandbox.name),
        };
        match found.sandbox.state {
            SandboxState::Running => return Ok(()),
            SandboxState::Paused => {
                let unpause = self.0.docker.unpause_container(&id.0);
                return call(self.deadline(), unpause).await.map_err(failed);
            }
            SandboxState::Stopped => {}
        }
        if let Some(token) = found.label(LABEL_TOKEN) {
            let token = token.to_owned();
            let _being_made = self.begin(&[&token]);
            self.make_run_dir(&token)?; // it may be gone with a machine's restart
        }
        match (self.run(id, key).await, found.label(LABEL_NETWORK)) {
            // Somebody removed its network: it gets a new one.
            (Err(failure), Some(network)) if failure.is_about_a_network() => {
                self.make_network(network, &found.sandbox.name).await?;
                self.join_network(id, network).await.map_err(failed)?;
                self.run(id, key).await.map_err(failed)
            }
            (outcome, _) => outcome.map_err(failed),
        }
    }

    async fn run(&self, id: &SandboxId, key: &str) -> Result<(), Failure> {
        let stdin = Stdin::attach(&self.0.docker, &id.0, self.deadline()).await?;
        call(self.deadline(), self.0.docker.start_container(&id.0, None)).await?;
        match stdin.give(key, self.deadline()).await {
            Ok(()) => Ok(()),
            // It has ended already, and whoever waits for its runner sees that with its log.
            Err(failure) => match self.look(id).await {
                Ok(Some(found)) if found.state == SandboxState::Stopped => Ok(()),
                _ => Err(failure),
            },
        }
    }

    pub(super) async fn stop_container(
        &self,
        id: &SandboxId,
        grace: Duration,
    ) -> Result<(), EngineFailed> {
        // A frozen process takes no signal. Whatever comes of it, stopping is what is asked for.
        if self.look(id).await?.is_some_and(|it| it.state == SandboxState::Paused) {
            let unpause = call(self.deadline(), self.0.docker.unpause_container(&id.0)).await;
            if let Err(failure) = unpause {
                tracing::debug!(?failure, "a paused sandbox was not unpaused before its stop");
            }
        }
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let stop = self.0.docker.stop_container(&id.0, Some(options));
        match call(self.deadline() + grace, stop).await {
            Ok(()) => Ok(()),
            Err(Failure::NotFound(_)) => Err(EngineFailed::NotFound(id.clone())),
            Err(failure) => Err(failure.of("stop", &id.0)),
        }
    }

    pub(super) async fn rename(
        &self,
        id: &SandboxId,
        spec: &SandboxSpec,
    ) -> Result<Sandbox, EngineFailed> {
        match self.look(id).await? {
            Some(found)
                if found.state == SandboxState::Running
                    && !found.labels.contains_key(LABEL_SESSION) => {}
            _ => return Err(EngineFailed::NotFound(id.clone())),
        }
        let options = RenameContainerOptionsBuilder::default().name(&spec.name).build();
        match call(self.deadline(), self.0.docker.rename_container(&id.0, options)).await {
            Ok(()) => {}
            Err(Failure::NotFound(_)) => return Err(EngineFailed::NotFound(id.clone())),
            Err(Failure::Conflict(_)) => return Err(self.name_taken(&spec.name).await?),
            Err(failure) => return Err(failure.of("claim", &spec.name)),
        }
        self.look(id).await?.ok_or_else(|| EngineFailed::NotFound(id.clone()))
    }

    /// Removes a container and what belongs to it alone. Each part is tried, whatever became of the one
    /// before; a sweep finds what is left.
    pub(super) async fn remove_container(
        &self,
        id: &SandboxId,
        with_workspace: bool,
    ) -> Result<(), EngineFailed> {
        let Some(found) = self.inspect(id).await? else { return Ok(()) };
        let labels: HashMap<String, String> = found.sandbox.labels.clone().into_iter().collect();
        if !is_of(&labels, &self.0.config.owner) {
            return Err(EngineFailed::Foreign {
                name: found.sandbox.name,
                cause: format!("it does not carry this installation's {LABEL_OWNER}"),
            });
        }
        self.remove_by_id(&found.sandbox.id.0).await?;
        if let Some(network) = found.label(LABEL_NETWORK) {
            self.remove_network(network).await?;
        }
        if let Some(token) = found.label(LABEL_TOKEN) {
            self.remove_run_dir(token);
        }
        if with_workspace { self.remove_volume(&found.sandbox.workspace).await } else { Ok(()) }
    }

    /// Kills and removes a container, and volumes that have no name.
    pub(super) async fn remove_by_id(&self, id: &str) -> Result<(), EngineFailed> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match call(self.deadline(), self.0.docker.remove_container(id, Some(options))).await {
            Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
            // Somebody else removes it at this moment: wait until it is gone.
            Err(Failure::Conflict(message)) if message.contains("already in progress") => {
                self.gone(id).await
            }
            Err(failure) => Err(failure.of("remove", id)),
        }
    }

    async fn gone(&self, id: &str) -> Result<(), EngineFailed> {
        let is_gone = async {
            loop {
                if matches!(self.inspect(&SandboxId(id.to_owned())).await, Ok(None)) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        call(self.deadline(), is_gone).await.map_err(|failure| failure.of("remove", id))
    }
}
