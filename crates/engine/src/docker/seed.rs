//! The runner where the engine doesn't see this machine's files: a volume, filled once and named by its
//! content.

use bollard::{
    body_full,
    models::{ContainerCreateBody, HostConfig, Mount, MountType, VolumeCreateRequest},
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, CreateContainerOptions, UploadToContainerOptionsBuilder,
    },
};
use std::collections::HashMap;

use super::{
    DockerEngine,
    body::{LABEL_KIND, LineKind, RunnerSource},
    call::{Failure, call},
    io_failed,
};
use crate::{EngineFailed, LABEL_OWNER};

/// Where the volume is in the container that is only there to fill it.
const AT: &str = "/runner";

impl DockerEngine {
    pub(super) async fn runner(&self, image: &str) -> Result<RunnerSource, EngineFailed> {
        let config = &self.0.config;
        if self.0.line == LineKind::Socket {
            return Ok(RunnerSource::File(config.runner.clone()));
        }
        let name = format!("staithe-runner-{}", config.runner_hash);
        self.0.seeded.get_or_try_init(|| self.seed(&name, image)).await?;
        Ok(RunnerSource::Volume(name))
    }

    async fn seed(&self, name: &str, image: &str) -> Result<(), EngineFailed> {
        let failed = |failure: Failure| failure.of("bring the runner to", name);
        let labels = HashMap::from([(LABEL_KIND.to_owned(), "runner".to_owned())]);
        let volume = VolumeCreateRequest {
            name: Some(name.into()),
            labels: Some(labels),
            ..Default::default()
        };
        call(self.deadline(), self.0.docker.create_volume(volume)).await.map_err(failed)?;
        // Never started: the engine writes into the volumes of any container.
        let mount = Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.into()),
            target: Some(AT.into()),
            ..Default::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![format!("{AT}/staithe-runner")]),
            labels: Some(HashMap::from([
                (LABEL_OWNER.to_owned(), self.0.config.owner.clone()),
                (LABEL_KIND.to_owned(), "seed".to_owned()),
            ])),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount]),
                network_mode: Some("none".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let create = self.0.docker.create_container(None::<CreateContainerOptions>, body);
        let carrier = call(self.deadline(), create).await.map_err(failed)?.id;
        let filled = self.fill(&carrier, name).await;
        self.remove_by_id(&carrier).await?;
        filled
    }

    async fn fill(&self, carrier: &str, name: &str) -> Result<(), EngineFailed> {
        let failed = |failure: Failure| failure.of("bring the runner to", name);
        let runner =
            std::fs::read(&self.0.config.runner).map_err(|error| io_failed("read", name, error))?;
        let there = ContainerArchiveInfoOptionsBuilder::default()
            .path(&format!("{AT}/staithe-runner"))
            .build();
        let there =
            call(self.deadline(), self.0.docker.get_container_archive_info(carrier, Some(there)))
                .await;
        if there.is_ok_and(|found| u64::try_from(found.size).ok() == Some(runner.len() as u64)) {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(runner.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        let mut archive = tar::Builder::new(Vec::with_capacity(runner.len() + 2048));
        let archive = archive
            .append_data(&mut header, "staithe-runner", runner.as_slice())
            .and_then(|()| archive.into_inner())
            .map_err(|error| io_failed("read", name, error))?;
        let options = UploadToContainerOptionsBuilder::default().path(AT).build();
        let body = body_full(archive.into());
        let upload = self.0.docker.upload_to_container(carrier, Some(options), body);
        call(self.deadline(), upload).await.map_err(failed)
    }
}
