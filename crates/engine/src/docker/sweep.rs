//! Removing what belongs to this installation and to no sandbox.

use std::collections::{BTreeSet, HashMap, HashSet};

use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};

use super::{
    DockerEngine,
    body::{LABEL_KIND, LABEL_NETWORK, LABEL_TOKEN},
    call::call,
};
use crate::{EngineFailed, LABEL_OWNER, Labels};

impl DockerEngine {
    pub(super) async fn sweep_all(
        &self,
        owner: &str,
        kept: &BTreeSet<String>,
    ) -> Result<Vec<String>, EngineFailed> {
        let sweep = self.begin_sweep();
        // What is there is looked at before who uses it: what is made in between is not seen at all.
        let networks = self.own_networks(owner).await?;
        let volumes = self.own_volumes(owner).await?;
        let folders = self.folders();
        let mine = Labels::from([(LABEL_OWNER.to_owned(), owner.to_owned())]);
        let sandboxes = self.all_containers(&mine).await?;
        let mut removed = Vec::new();
        for seed in sandboxes
            .iter()
            .filter(|it| it.labels.get(LABEL_KIND).is_some_and(|kind| kind == "seed"))
        {
            if self.0.seeded.initialized() || self.0.line == super::LineKind::Socket {
                self.remove_by_id(&seed.id.0).await?;
                removed.push(format!("container {}", seed.name));
            }
        }
        let used = |label: &str| -> HashSet<&String> {
            sandboxes.iter().filter_map(|sandbox| sandbox.labels.get(label)).collect()
        };
        let (used_networks, used_tokens) = (used(LABEL_NETWORK), used(LABEL_TOKEN));
        let used_volumes: HashSet<_> = sandboxes.iter().map(|sandbox| &sandbox.workspace).collect();
        for name in
            networks.iter().filter(|name| !used_networks.contains(name) && !sweep.spares(name))
        {
            self.remove_network(name).await?;
            removed.push(format!("network {name}"));
        }
        let stray = |name: &&String| {
            !used_volumes.contains(name) && !kept.contains(*name) && !sweep.spares(name)
        };
        for name in volumes.iter().filter(stray) {
            self.remove_volume(name).await?;
            removed.push(format!("volume {name}"));
        }
        for token in
            folders.iter().filter(|token| !used_tokens.contains(token) && !sweep.spares(token))
        {
            self.remove_run_dir(token);
            removed.push(format!("folder {token}"));
        }
        removed.extend(self.sweep_builds(owner).await?);
        Ok(removed)
    }

    async fn own_networks(&self, owner: &str) -> Result<Vec<String>, EngineFailed> {
        let options = ListNetworksOptionsBuilder::default().filters(&of(owner)).build();
        let list = call(self.deadline(), self.0.docker.list_networks(Some(options))).await;
        let all = list.map_err(|failure| failure.of("list networks of", owner))?;
        Ok(all.into_iter().filter_map(|network| network.name).collect())
    }

    async fn own_volumes(&self, owner: &str) -> Result<Vec<String>, EngineFailed> {
        let options = ListVolumesOptionsBuilder::default().filters(&of(owner)).build();
        let list = call(self.deadline(), self.0.docker.list_volumes(Some(options))).await;
        let all = list.map_err(|failure| failure.of("list volumes of", owner))?;
        Ok(all.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    }

    /// Tokens of the shared folders that are there.
    fn folders(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.0.run_root) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| self.run_dir(name).is_ok()).collect()
    }
}

fn of(owner: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{LABEL_OWNER}={owner}")])])
}
