//! What a container uses.

use std::time::Duration;

use bollard::{
    models::ContainerStatsResponse,
    query_parameters::{InspectContainerOptionsBuilder, StatsOptionsBuilder},
};
use futures_util::{StreamExt, future::join};
use staithe_protocol::SandboxId;

use super::{
    DockerEngine,
    call::{Failure, call},
};
use crate::{EngineFailed, SandboxState, Stats};

/// How long adding up a sandbox's files may take before they are left out.
const DISK_LIMIT: Duration = Duration::from_secs(2);

impl DockerEngine {
    pub(super) async fn measure(&self, id: &SandboxId) -> Result<Stats, EngineFailed> {
        match self.look(id).await? {
            None => return Err(EngineFailed::NotFound(id.clone())),
            Some(found) if found.state == SandboxState::Stopped => return Ok(Stats::default()),
            Some(_) => {}
        }
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut stream = std::pin::pin!(self.0.docker.stats(&id.0, Some(options)));
        let one = async {
            let none = || bollard::errors::Error::IOError {
                err: std::io::ErrorKind::UnexpectedEof.into(),
            };
            stream.next().await.unwrap_or_else(|| Err(none()))
        };
        let (stats, disk) = join(call(self.deadline(), one), self.disk(id)).await;
        match stats {
            Ok(stats) => Ok(Stats { disk_bytes: disk, ..figures(&stats) }),
            Err(Failure::NotFound(_)) => Err(EngineFailed::NotFound(id.clone())),
            Err(failure) => Err(failure.of("measure", &id.0)),
        }
    }

    async fn disk(&self, id: &SandboxId) -> u64 {
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let inspect = call(DISK_LIMIT, self.0.docker.inspect_container(&id.0, Some(options))).await;
        inspect.ok().and_then(|found| u64::try_from(found.size_rw?).ok()).unwrap_or(0)
    }
}

/// Pure.
#[expect(clippy::cast_precision_loss, reason = "seconds of use, for people to read")]
fn figures(stats: &ContainerStatsResponse) -> Stats {
    let cpu = stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage);
    let memory = stats.memory_stats.as_ref();
    let detail = memory.and_then(|memory| memory.stats.as_ref());
    // Cached files that the kernel gives back at once; named so by cgroup v1, or v2.
    let cached =
        detail.and_then(|all| all.get("total_inactive_file").or_else(|| all.get("inactive_file")));
    let used = memory.and_then(|memory| memory.usage).unwrap_or(0);
    let networks = stats.networks.iter().flatten().map(|(_, network)| network);
    let (rx, tx) = networks.fold((0, 0), |(rx, tx), network| {
        (rx + network.rx_bytes.unwrap_or(0), tx + network.tx_bytes.unwrap_or(0))
    });
    Stats {
        cpu_seconds: cpu.unwrap_or(0) as f64 / 1e9,
        memory_bytes: used.saturating_sub(cached.copied().unwrap_or(0)),
        memory_limit: memory.and_then(|memory| memory.limit).unwrap_or(0),
        processes: stats.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
        network_rx: rx,
        network_tx: tx,
        disk_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cgroup_versions_are_read() {
        for name in ["total_inactive_file", "inactive_file"] {
            let text = format!(
                r#"{{"cpu_stats":{{"cpu_usage":{{"total_usage":1500000000}}}},
                    "memory_stats":{{"usage":1000,"limit":9000,"stats":{{"{name}":400}}}},
                    "pids_stats":{{"current":3}},
                    "networks":{{"eth0":{{"rx_bytes":5,"tx_bytes":7}},"eth1":{{"rx_bytes":1,"tx_bytes":1}}}}}}"#
            );
            let stats = figures(&serde_json::from_str(&text).expect("stats"));
            assert!((stats.cpu_seconds - 1.5).abs() < 1e-9);
            assert_eq!((stats.memory_bytes, stats.memory_limit, stats.processes), (600, 9000, 3));
            assert_eq!((stats.network_rx, stats.network_tx), (6, 8));
        }
    }
}
