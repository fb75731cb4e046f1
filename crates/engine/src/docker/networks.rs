//! Private networks and volumes: made, joined, removed.

use std::sync::PoisonError;

use bollard::{
    models::{Network, NetworkConnectRequest, NetworkDisconnectRequest},
    query_parameters::{ListNetworksOptions, RemoveVolumeOptions},
};
use staithe_protocol::SandboxId;

use super::{
    DockerEngine,
    body::{self, HOST_WORKSPACE, LABEL_NETWORK, LABEL_SANDBOX, PORT},
    call::{Failure, call},
    containers::Found,
    is_of, probe,
    subnets::{Pool, Range},
};
use crate::{EngineFailed, Line};

/// How often other addresses are tried when the engine says that some are taken.
const TRIES: u32 = 16;

impl DockerEngine {
    /// Makes a network of its own for the sandbox of a name. Tells which networks an earlier sandbox of
    /// that name has left, when somebody removed it by hand.
    pub(super) async fn make_network(
        &self,
        name: &str,
        sandbox: &str,
    ) -> Result<Vec<String>, EngineFailed> {
        let failed = |failure: Failure| failure.of("create the network of", name);
        let mut last = None;
        for attempt in 0..TRIES {
            let networks = self.networks().await.map_err(failed)?;
            let taken = taken_ranges(&networks);
            let Some(reserved) = self.reserve(&taken, seed(name, attempt)) else {
                return Err(EngineFailed::Unsupported {
                    cause: format!(
                        "all networks of {} are in use",
                        self.0.config.sandbox.network_pool
                    ),
                    remedy: "Stop sessions, or widen sandbox.docker.network_pool".into(),
                });
            };
            let body = body::network(name, &reserved.subnet, &self.0.config.owner, sandbox);
            match call(self.deadline(), self.0.docker.create_network(body)).await {
                Ok(_) => return Ok(self.left_by(sandbox, networks)),
                // Something that is no network of this engine has these addresses.
                Err(Failure::Refused(message)) if is_overlap(&message) => last = Some(message),
                Err(failure) => {
                    // What can't be removed again is found by a sweep.
                    if failure.may_have_happened() {
                        self.remove_network(name).await.ok();
                    }
                    return Err(failed(failure));
                }
            }
        }
        Err(failed(Failure::Refused(last.unwrap_or_default())))
    }

    async fn networks(&self) -> Result<Vec<Network>, Failure> {
        let list = self.0.docker.list_networks(None::<ListNetworksOptions>);
        call(self.deadline(), list).await
    }

    /// Networks of a sandbox that is not there any more; those of attempts under way are not among them.
    fn left_by(&self, sandbox: &str, networks: Vec<Network>) -> Vec<String> {
        let of_it = networks.into_iter().filter(|network| {
            network.labels.as_ref().is_some_and(|labels| {
                is_of(labels, &self.0.config.owner)
                    && labels.get(LABEL_SANDBOX).is_some_and(|name| name == sandbox)
            })
        });
        let names = of_it.filter_map(|network| network.name);
        names.filter(|name| !self.is_under_way(name)).collect()
    }

    /// Addresses that nobody has, kept from other starts until they are the engine's.
    fn reserve(&self, taken: &[Range], seed: u32) -> Option<Reserved<'_>> {
        let pool = Pool::parse(&self.0.config.sandbox.network_pool)?;
        let mut reserved = self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Range> = taken.iter().chain(reserved.iter()).copied().collect();
        let (range, subnet) = pool.free(&all, seed)?;
        reserved.push(range);
        Some(Reserved { engine: self, range, subnet })
    }

    /// Puts a stopped container into a network, in place of one of that name that is gone.
    pub(super) async fn join_network(&self, id: &SandboxId, name: &str) -> Result<(), Failure> {
        let container = id.0.clone();
        let leave = NetworkDisconnectRequest { container: container.clone(), force: Some(true) };
        // It can't leave what is gone; some engines keep the old entry until they are told.
        call(self.deadline(), self.0.docker.disconnect_network(name, leave)).await.ok();
        let join = NetworkConnectRequest { container, endpoint_config: None };
        match call(self.deadline(), self.0.docker.connect_network(name, join)).await {
            Err(Failure::Refused(words) | Failure::Conflict(words))
                if words.contains("already") =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Removes a network of ours; one that is gone is fine.
    pub(super) async fn remove_network(&self, name: &str) -> Result<(), EngineFailed> {
        if self.0.line == body::LineKind::Tcp
            && let Some(own) = probe::own_container()
        {
            let leave = NetworkDisconnectRequest { container: own, force: Some(true) };
            // It may never have been joined.
            call(self.deadline(), self.0.docker.disconnect_network(name, leave)).await.ok();
        }
        match call(self.deadline(), self.0.docker.remove_network(name)).await {
            Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure.of("remove the network of", name)),
        }
    }

    /// Removes a volume of ours; one that is gone, or is a folder of the host, is fine.
    pub(super) async fn remove_volume(&self, name: &str) -> Result<(), EngineFailed> {
        if name.is_empty() || name.starts_with(HOST_WORKSPACE) {
            return Ok(());
        }
        match call(self.deadline(), self.0.docker.inspect_volume(name)).await {
            Ok(volume) if is_of(&volume.labels, &self.0.config.owner) => {}
            Ok(_) | Err(Failure::NotFound(_)) => return Ok(()),
            Err(failure) => return Err(failure.of("remove the workspace of", name)),
        }
        let remove = self.0.docker.remove_volume(name, None::<RemoveVolumeOptions>);
        match call(self.deadline(), remove).await {
            Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure.of("remove the workspace of", name)),
        }
    }

    /// Where the runner listens on its private network, which this server's container joins.
    pub(super) async fn tcp_line(
        &self,
        id: &SandboxId,
        found: &Found,
    ) -> Result<Line, EngineFailed> {
        let name = &found.sandbox.name;
        let network = found.label(LABEL_NETWORK).unwrap_or(&self.0.config.sandbox.network);
        if let Some(own) = probe::own_container() {
            let join = NetworkConnectRequest { container: own, endpoint_config: None };
            match call(self.deadline(), self.0.docker.connect_network(network, join)).await {
                Ok(()) => {}
                // It is in it already.
                Err(Failure::Refused(message) | Failure::Conflict(message))
                    if message.contains("already") => {}
                Err(failure) => return Err(failure.of("join the network of", name)),
            }
        }
        let networks = found.inspect.network_settings.as_ref().and_then(|it| it.networks.as_ref());
        let address = networks.and_then(|networks| networks.get(network)?.ip_address.clone());
        match address.filter(|address| !address.is_empty()) {
            Some(address) => Ok(Line::Tcp(format!("{address}:{PORT}"))),
            None => Err(Failure::NotFound(format!("it has no address in the network {network}"))
                .of("reach", &id.0)),
        }
    }
}

fn taken_ranges(networks: &[Network]) -> Vec<Range> {
    let configs = networks.iter().filter_map(|network| network.ipam.as_ref()?.config.as_ref());
    configs.flatten().filter_map(|config| Range::parse(config.subnet.as_ref()?)).collect()
}

struct Reserved<'a> {
    engine: &'a DockerEngine,
    range: Range,
    subnet: String,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut reserved = self.engine.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.retain(|range| *range != self.range);
    }
}

fn is_overlap(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("overlap") || message.contains("address already in use")
}

/// Where the search begins: spread, so that several servers on one engine seldom meet.
fn seed(name: &str, attempt: u32) -> u32 {
    let mixed = name
        .bytes()
        .fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    mixed.wrapping_add(attempt.wrapping_mul(7919))
}
