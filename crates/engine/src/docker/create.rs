//! Making a sandbox: its network, its workspace, its folder, its container. What fails leaves nothing.

use bollard::query_parameters::CreateContainerOptionsBuilder;
use data_encoding::HEXLOWER;
use futures_util::future::join;
use staithe_protocol::SandboxId;

use super::{
    DockerEngine,
    body::{self, HOST_WORKSPACE, LineKind, Plan},
    call::{Failure, call},
    images::not_root,
};
use crate::{EngineFailed, LABEL_GENERATION, Sandbox, SandboxSpec, SandboxState, chain::chain};

impl DockerEngine {
    pub(super) async fn make(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        let Some(image) = &spec.image else {
            return Err(EngineFailed::Unsupported {
                cause: "it makes sandboxes from images, and none is asked for".into(),
                remedy: "Set sandbox.base_container_image, or name an image when a session is made"
                    .into(),
            });
        };
        let token = uuid();
        let workspace = self.workspace_of(spec);
        let _being_made = self.begin(&[&network_name(&token), &token, &workspace]);
        let (image_user, runner) = join(self.image_user(image), self.runner(image)).await;
        let plan = Plan {
            run_dir: self.run_dir(&token)?,
            // A name of its own for each attempt: the engine takes several networks of one name.
            network: (self.0.config.sandbox.network == "private").then(|| network_name(&token)),
            user: self.user(image_user?),
            line: self.0.line,
            runner: runner?,
            workspace,
            token,
        };
        if plan.line == LineKind::Socket {
            self.make_run_dir(&plan.token)?;
        }
        let made = self.make_all(spec, &plan).await;
        if made.is_err() {
            self.remove_run_dir(&plan.token);
        }
        made
    }

    fn workspace_of(&self, spec: &SandboxSpec) -> String {
        match &self.0.config.sandbox.workspace_mount {
            Some(path) => format!("{HOST_WORKSPACE}{path}"),
            None => spec.workspace.clone().unwrap_or_else(|| spec.name.clone()),
        }
    }

    /// Whom the runner becomes; none: it stays root.
    fn user(&self, of_image: Option<String>) -> Option<String> {
        let shape = &self.0.config.sandbox;
        match shape.user.as_str() {
            "image" => of_image,
            "auto" => match shape.workspace_mount.as_deref().and_then(owner_of) {
                Some((0, _)) => None,
                Some((uid, gid)) => Some(format!("{uid}:{gid}")),
                None => of_image,
            },
            named => not_root(named),
        }
    }

    /// First the volume, which the container's creation would make too, so that it is known whether it
    /// is new; then network and container at once: the one is needed only when the other starts.
    async fn make_all(&self, spec: &SandboxSpec, plan: &Plan) -> Result<Sandbox, EngineFailed> {
        let fresh_volume = self.make_workspace(spec, plan).await?;
        let network = async {
            match &plan.network {
                Some(name) => self.make_network(name, &spec.name).await,
                None => Ok(Vec::new()),
            }
        };
        let (network, container) = join(network, self.make_container(spec, plan)).await;
        let failure = match (container, network) {
            (Ok(sandbox), Ok(left)) => {
                for network in left {
                    if let Err(error) = self.remove_network(&network).await {
                        tracing::warn!(
                            network,
                            error = chain(&error),
                            "a network is left over until the next pass"
                        );
                    }
                }
                return Ok(sandbox);
            }
            (Err(failure), _) | (_, Err(failure)) => failure,
        };
        // That of a sandbox that another attempt makes meanwhile is that one's.
        let taken = matches!(failure, EngineFailed::NameTaken(_));
        self.unmake(spec, plan, fresh_volume && !taken).await;
        Err(failure)
    }

    /// Takes back what a failed attempt may have made. Best effort: a sweep finds the rest.
    async fn unmake(&self, spec: &SandboxSpec, plan: &Plan, fresh_volume: bool) {
        let name = SandboxId(spec.name.clone());
        let of_this_attempt = |labels: &crate::Labels| {
            labels.get(LABEL_GENERATION) == spec.labels.get(LABEL_GENERATION)
                && labels.get(body::LABEL_TOKEN) == Some(&plan.token)
        };
        let container = async {
            if let Some(found) = self.look(&name).await?
                && of_this_attempt(&found.labels)
            {
                self.remove_by_id(&found.id.0).await?;
            }
            Ok::<_, EngineFailed>(())
        };
        if let Err(error) = container.await {
            tracing::warn!(
                sandbox = spec.name,
                error = chain(&error),
                "a failed attempt may have left a container"
            );
            return; // what it uses can't be removed either
        }
        if let Some(network) = &plan.network
            && let Err(error) = self.remove_network(network).await
        {
            tracing::warn!(
                sandbox = spec.name,
                error = chain(&error),
                "a failed attempt may have left a network"
            );
        }
        if fresh_volume && let Err(error) = self.remove_volume(&plan.workspace).await {
            tracing::warn!(
                sandbox = spec.name,
                error = chain(&error),
                "a failed attempt may have left a volume"
            );
        }
    }

    /// Whether the workspace is new.
    async fn make_workspace(&self, spec: &SandboxSpec, plan: &Plan) -> Result<bool, EngineFailed> {
        if plan.workspace.starts_with(HOST_WORKSPACE) {
            return Ok(false);
        }
        let there = call(self.deadline(), self.0.docker.inspect_volume(&plan.workspace)).await;
        match there {
            Ok(volume) if super::is_of(&volume.labels, &self.0.config.owner) => return Ok(false),
            // The container's creation was faster; the labels are the same.
            Ok(_) => {
                return Err(EngineFailed::Foreign {
                    name: plan.workspace.clone(),
                    cause: "a volume of that name belongs to somebody else".into(),
                });
            }
            Err(Failure::NotFound(_)) => {}
            Err(failure) => return Err(failure.of("create the workspace of", &spec.name)),
        }
        let create = self.0.docker.create_volume(body::volume(&plan.workspace, &spec.labels));
        match call(self.deadline(), create).await {
            Ok(_) => Ok(true),
            Err(failure) => {
                // What may have been made is removed again; what can't be is found by a sweep.
                if failure.may_have_happened() {
                    self.remove_volume(&plan.workspace).await.ok();
                }
                Err(failure.of("create the workspace of", &spec.name))
            }
        }
    }

    async fn make_container(
        &self,
        spec: &SandboxSpec,
        plan: &Plan,
    ) -> Result<Sandbox, EngineFailed> {
        let body = body::container(&self.0.config.sandbox, &self.0.facts, spec, plan);
        let labels = body.labels.clone().unwrap_or_default().into_iter();
        let labels = labels.filter(|(_, value)| !value.is_empty()).collect();
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let create = Box::pin(self.0.docker.create_container(Some(options), body));
        match call(self.deadline(), create).await {
            Ok(made) => Ok(Sandbox {
                id: SandboxId(made.id),
                name: spec.name.clone(),
                labels,
                state: SandboxState::Stopped,
                workspace: plan.workspace.clone(),
            }),
            Err(Failure::Conflict(_)) => Err(self.name_taken(&spec.name).await?),
            Err(Failure::NotFound(message)) if message.to_lowercase().contains("image") => {
                Err(EngineFailed::Image {
                    image: spec.image.clone().unwrap_or_default(),
                    cause: message,
                    remedy: "Start the session again".into(),
                })
            }
            Err(failure) => Err(failure.of("create", &spec.name)),
        }
    }
}

fn network_name(token: &str) -> String {
    format!("staithe-net-{}", &token[..16])
}

fn owner_of(path: &str) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

/// 128 random bits in hexadecimal digits.
pub(super) fn uuid() -> String {
    let mut bytes = [0u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .expect("the system has random numbers");
    HEXLOWER.encode(&bytes)
}
