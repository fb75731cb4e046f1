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
    faults::{MakeFailed, chain},
    making::Teller,
    upkeep::{self, Pruned},
    workshop::{Failed, Made, Wish, Workshop},
};
use crate::config::{Sandbox, image::fits};

/// See the module.
pub struct Maker {
    workshop: Arc<Workshop>,
    /// All but the base; read once, so that a name is the same as long as the server runs.
    inputs: Inputs,
    /// The image of sessions that ask for none.
    usual: String,
    /// Further images that may be built upon: whatever they hold is run by a build.
    allowed: Vec<String>,
    /// What is built anew once in this run, whatever is there.
    force: bool,
    /// What was.
    forced: Mutex<BTreeSet<String>>,
}

impl Maker {
    /// Reads what the configuration names.
    pub fn new(workshop: Arc<Workshop>, sandbox: &Sandbox) -> Result<Self, String> {
        let usual = sandbox.image().to_owned();
        Ok(Self {
            workshop,
            inputs: sandbox.image_inputs(&usual)?,
            usual,
            allowed: sandbox.allowed_images.clone(),
            force: sandbox.force_rebuild_runtime,
            forced: Mutex::default(),
        })
    }

    /// What the image on this base is made from; none when nothing is built on it: it is one of ours, its name
    /// can't be read, or no operator named it.
    fn inputs(&self, asked: &str) -> Option<Inputs> {
        let base = ImageRef::parse(asked).ok()?;
        let ours = base.repository() == self.workshop.ways().repository;
        let named = asked == self.usual || self.allowed.iter().any(|pattern| fits(pattern, asked));
        let inputs = || Inputs { base_image: asked.to_owned(), ..self.inputs.clone() };
        (named && !ours).then(inputs)
    }

    fn must_be_forced(&self, asked: &str) -> bool {
        let forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        self.force && !forced.contains(asked)
    }

    /// What the configuration leads to.
    fn configured(&self) -> Vec<String> {
        let names = self.inputs(&self.usual).and_then(|inputs| self.workshop.names(&inputs).ok());
        names.map_or_else(Vec::new, |names| vec![names.source, names.lock, names.versioned])
    }

    async fn after(workshop: Arc<Workshop>, current: BTreeSet<String>, made: Made) {
        if let Err(error) = workshop.keep(&made).await {
            tracing::warn!(error = chain(&error), "an image can't be kept in the folder");
        }
        match upkeep::prune(&workshop, current, false).await {
            Ok(Pruned { gone, stuck }) => {
                if !gone.is_empty() {
                    tracing::info!(?gone, "images that are not needed any more are removed");
                }
                for (name, why) in stuck {
                    tracing::warn!(name, why, "an old image can't be removed");
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "old images can't be listed"),
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
        let Some(inputs) = self.inputs(asked) else { return Ok(()) };
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
                let mut current: BTreeSet<String> = self.configured().into_iter().collect();
                current.insert(made.names.source.clone());
                tokio::spawn(Self::after(self.workshop.clone(), current, made));
                Ok(())
            }
            Err(Failed { why, log }) => {
                tracing::warn!(base = asked, error = chain(&why), "an image could not be built");
                Err(why.fault(log.as_deref()))
            }
        }
    }
}
