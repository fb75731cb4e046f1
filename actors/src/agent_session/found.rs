//! What the log says of what there is to work with: plugins, and the repository that was cloned. Pure.

use std::collections::BTreeMap;

use staithe_agent::{prompt::Repository, tools::Offer};
use staithe_protocol::{
    Body, Event, Observation, observation::RepositoryObservation, plugin::PluginState,
};

/// Before the name of an MCP server where its state is told as a plugin's.
pub(super) const PREFIX: &str = "mcp:";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Tools by the plugins that were told last.
    pub offer: Offer,
    /// Its directory is one within the workspace.
    repository: Option<Repository>,
    /// One is being cloned.
    cloning: bool,
    /// What was told of each MCP server last.
    servers: BTreeMap<String, PluginState>,
}

impl Found {
    /// Takes the next event of the log; whether it says anything of this.
    pub fn take(&mut self, event: &Event) -> bool {
        match &event.body {
            Body::Observation(Observation::PluginChanged(plugin))
                if plugin.name.starts_with(PREFIX) =>
            {
                self.servers.insert(plugin.name.clone(), plugin.clone());
                false
            }
            Body::Observation(Observation::PluginChanged(plugin)) => {
                self.offer.plugin_changed(plugin);
                true
            }
            Body::Observation(Observation::Repository(told)) => {
                self.cloning = told.state == "cloning";
                if !told.folder.is_empty() {
                    self.repository = Some(cloned(told));
                }
                true
            }
            _ => false,
        }
    }

    /// Whether an MCP server's state is another one than was told last; from then on it counts as told.
    pub fn server_changed(&mut self, state: &PluginState) -> bool {
        let is_news = self.servers.get(&state.name) != Some(state);
        if is_news {
            self.servers.insert(state.name.clone(), state.clone());
        }
        is_news
    }

    /// Whether a repository is on its way into the workspace.
    pub fn is_cloning(&self) -> bool {
        self.cloning
    }

    /// The repository, in a workspace at this place.
    pub fn repository(&self, workspace: &str) -> Option<Repository> {
        let found = self.repository.clone()?;
        let directory = format!("{}/{}", workspace.trim_end_matches('/'), found.directory);
        Some(Repository { directory, ..found })
    }
}

/// `https://host/owner/name.git` is told as `owner/name`.
fn cloned(told: &RepositoryObservation) -> Repository {
    let path = told.url.trim_end_matches('/').trim_end_matches(".git");
    let mut parts: Vec<_> = path.rsplit(['/', ':']).take(2).collect();
    parts.reverse();
    let name = parts.join("/");
    Repository { name, directory: told.folder.clone(), branch: told.branch.clone() }
}

#[cfg(test)]
mod tests {
    use staithe_protocol::{EventId, Source};

    use super::*;

    fn event(observation: Observation) -> Event {
        Event {
            id: EventId(0),
            timestamp: String::new(),
            source: Source::Environment,
            cause: None,
            body: Body::Observation(observation),
            tool_call_metadata: None,
            llm_metrics: None,
            timeout: None,
        }
    }

    #[test]
    fn a_repository_is_known_once_it_is_there() {
        let mut found = Found::default();
        let url = "https://git.example/ann/boats.git".to_owned();
        let begun = RepositoryObservation { url, ..RepositoryObservation::default() };
        found.take(&event(Observation::Repository(begun.clone())));
        assert_eq!((found.repository("/workspace"), found.is_cloning()), (None, true));
        let (folder, state) = ("boats".to_owned(), "cloned".to_owned());
        found.take(&event(Observation::Repository(RepositoryObservation {
            folder,
            state,
            ..begun
        })));
        assert!(!found.is_cloning());
        let repository = found.repository("/workspace").unwrap();
        assert_eq!(repository.name, "ann/boats");
        assert_eq!(repository.directory, "/workspace/boats");
    }
}
