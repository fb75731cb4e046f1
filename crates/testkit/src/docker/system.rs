//! Requests about the daemon itself.

use serde_json::{Map, Value, json};

use super::{
    answers::{Answer, Outcome, bytes, json, refused},
    routes::Recorded,
    world::World,
};

/// `1.41` as 141.
pub(super) fn number(version: &str) -> u32 {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    parts.next().unwrap_or(0) * 100 + parts.next().unwrap_or(0)
}

impl World {
    /// Refuses a version that is newer than the daemon.
    pub(super) fn check_version(&self, asked: &Recorded) -> Outcome {
        match &asked.version {
            Some(version) if number(version) > number(&self.api_version) => refused(
                400,
                format!(
                    "client version {version} is too new. Maximum supported API version is {}",
                    self.api_version
                ),
            ),
            _ => Ok(super::answers::empty(200)),
        }
    }

    pub(super) fn ping(&self) -> Answer {
        let mut answer = bytes(200, "text/plain; charset=utf-8", "OK");
        let version = self.api_version.parse().expect("a version is a plain header");
        answer.headers_mut().insert("Api-Version", version);
        answer
    }

    pub(super) fn version(&self) -> Answer {
        json(
            200,
            &json!({
                "Version": "20.10.24", "ApiVersion": self.api_version, "MinAPIVersion": "1.12", "Os": "linux",
                "Arch": "amd64", "KernelVersion": "6.1.0", "GitCommit": "fake", "GoVersion": "go1.19",
                "Platform": { "Name": "fake" }, "Components": [],
            }),
        )
    }

    pub(super) fn daemon_info(&self) -> Answer {
        let mut info = self.info.clone();
        let running = self.containers.values().filter(|it| it.status.lives()).count();
        info.insert("Containers".into(), self.containers.len().into());
        info.insert("ContainersRunning".into(), running.into());
        info.insert("Images".into(), self.images.len().into());
        json(200, &Value::Object(info))
    }
}

/// What `/info` says at first.
pub(super) fn info() -> Map<String, Value> {
    let info = json!({
        "ID": "FAKE", "Name": "fake", "ServerVersion": "20.10.24", "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", "extfs"]], "DockerRootDir": "/var/lib/docker",
        "CgroupDriver": "cgroupfs", "CgroupVersion": "1", "KernelVersion": "6.1.0", "OperatingSystem": "Fake",
        "OSType": "linux", "Architecture": "x86_64", "NCPU": 2, "MemTotal": 8_000_000_000_u64,
        "MemoryLimit": true, "SwapLimit": true, "PidsLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true,
        "OomKillDisable": true, "IPv4Forwarding": true, "LoggingDriver": "json-file", "LiveRestoreEnabled": false,
        "Runtimes": { "runc": { "path": "runc" } }, "DefaultRuntime": "runc",
        // No later than whatever it makes.
        "SystemTime": "2023-11-14T22:13:20.000000000Z",
        "SecurityOptions": ["name=seccomp,profile=default"], "Warnings": [],
    });
    match info {
        Value::Object(info) => info,
        _ => Map::new(),
    }
}

/// What a running container uses, unless the test says otherwise.
pub(super) fn stats() -> Value {
    json!({
        "read": "2024-01-01T00:00:01Z", "preread": "0001-01-01T00:00:00Z", "num_procs": 0,
        "pids_stats": { "current": 3, "limit": 2048 },
        "cpu_stats": {
            "cpu_usage": { "total_usage": 1_500_000_000_u64, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
            "system_cpu_usage": 100_000_000_000_u64, "online_cpus": 2,
        },
        "memory_stats": {
            "usage": 20_000_000, "limit": 4_000_000_000_u64,
            "stats": { "total_inactive_file": 4_000_000, "cache": 5_000_000 },
        },
        "networks": { "eth0": { "rx_bytes": 1000, "tx_bytes": 2000 } },
        "blkio_stats": {},
    })
}
