//! The server's way to images: what sessions ask for, by name, and one making for all who wait.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use staithe_actors::images::maker::ImageMaker;
use staithe_engine::{EngineFailed, images::BuildFailed};
use staithe_image::{inputs::Inputs, refs::ImageRef};
use staithe_protocol::{Fault, Progress};
use tokio_util::sync::CancellationToken;

use super::{
    faults::MakeFailed,
    making::Teller,
    upkeep,
    workshop::{Failed, Made, Wish, Workshop},
};
use crate::config::Sandbox;

/// See the module.
pub struct Maker {
    workshop: Arc<Workshop>,
    sandbox: Sandbox,
    /// What is built anew once in this run, whatever is there.
    force: bool,
    /// What was.
    forced: Mutex<BTreeSet<String>>,
}

impl Maker {
    pub fn new(workshop: Arc<Workshop>, sandbox: Sandbox) -> Self {
        let force = sandbox.force_rebuild_runtime;
        Self { workshop, sandbox, force, forced: Mutex::default() }
    }

    /// What the image on this base is made from; none when nothing is built on it: its name can't be read,
    /// or it is one of ours.
    fn inputs(&self, asked: &str) -> Option<Inputs> {
        let base = ImageRef::parse(asked).ok()?;
        if base.repository() == self.workshop.ways().repository {
            return None;
        }
        self.sandbox.image_inputs(asked).ok()
    }

    fn must_be_forced(&self, asked: &str) -> bool {
        let forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        self.force && !forced.contains(asked)
    }

    async fn after(workshop: Arc<Workshop>, current: BTreeSet<String>, made: Made) {
        if let Err(error) = workshop.keep(&made).await {
            tracing::warn!(%error, "an image can't be kept in the folder");
        }
        match upkeep::prune(&workshop, &current, false).await {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => {
                tracing::info!(?removed, "images that are not needed any more are removed");
            }
            Err(error) => tracing::warn!(%error, "old images can't be removed"),
        }
    }
}

#[async_trait]
impl ImageMaker for Maker {
    fn name_of(&self, asked: &str) -> String {
        let names = self.inputs(asked).and_then(|inputs| self.workshop.names(&inputs).ok());
        names.map_or_else(|| asked.to_owned(), |names| names.source)
    }

    async fn is_made(&self, asked: &str) -> Result<bool, EngineFailed> {
        let Some(inputs) = self.inputs(asked) else { return Ok(true) };
        if self.must_be_forced(asked) {
            return Ok(false);
        }
        match self.workshop.is_made(&inputs).await {
            Ok(made) => Ok(made),
            Err(MakeFailed::Build(BuildFailed::Engine(error))) => Err(error),
            Err(_) => Ok(false), // making it tells what is wrong
        }
    }

    async fn make(
        &self,
        asked: &str,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let failed = |why: MakeFailed| why.fault(None);
        let inputs =
            self.sandbox.image_inputs(asked).map_err(MakeFailed::Inputs).map_err(failed)?;
        let wish = Wish { anew: self.must_be_forced(asked) };
        let teller = Teller { progress: tell, line: &|_| {} };
        tracing::info!(base = asked, "an image is being built");
        match self.workshop.make(&inputs, wish, &teller, cancel).await {
            Ok(made) => {
                let seconds = made.took.as_secs();
                tracing::info!(image = made.names.source, from = ?made.from, seconds, "an image is there");
                let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
                forced.insert(asked.to_owned());
                drop(forced);
                let current = BTreeSet::from([made.names.source.clone()]);
                tokio::spawn(Self::after(self.workshop.clone(), current, made));
                Ok(())
            }
            Err(Failed { why, log }) => {
                tracing::warn!(base = asked, error = %why, "an image could not be built");
                Err(why.fault(log.as_deref()))
            }
        }
    }
}
