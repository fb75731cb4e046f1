//! Finds a runtime image, or builds it.
//!
//! A build is a chain: each stage that is missing is built on the one before it and gets its own name, so a
//! failure in the last lines costs no more than those when it is tried again.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use staithe_engine::{
    EngineFailed, LABEL_OWNER, Labels,
    images::{BuildFailed, BuildNews, BuildOrder, Builder, ImageInfo, Images},
};
use staithe_image::{
    base::BaseFacts,
    context::{self, Context},
    decision::{self, Known, Look, Next},
    fields,
    inputs::Inputs,
    labels,
    names::Names,
    refs::ImageRef,
    render::{self, Request},
    stages::{BuildFrom, Stage},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    course::{Course, steps},
    faults::{MakeFailed, chain},
    lock::Lock,
    look,
    making::{Making, Teller, Told},
    mask::Mask,
    ways::Ways,
};
use crate::config::{BuilderChoice, Pull, Rebuild};

/// Label: what was known of the base, as JSON. A build on a finished stage needs it.
const LABEL_FACTS: &str = "staithe.image.facts";

/// See the module.
#[derive(Debug)]
pub struct Workshop {
    images: Arc<dyn Images>,
    ways: Ways,
    /// Names of images that are being made here: no prune takes what they stand on.
    under_way: Mutex<Vec<String>>,
}

/// Names under way, until it is dropped.
struct UnderWay<'a> {
    all: &'a Mutex<Vec<String>>,
    names: [String; 3],
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if let Some(place) = all.iter().position(|other| other == name) {
                all.swap_remove(place);
            }
        }
    }
}

/// What is wanted of a making.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// All of it is built anew, nothing is taken from before.
    pub anew: bool,
}

/// What there is after a making.
#[derive(Clone, Debug)]
pub struct Made {
    pub names: Names,
    /// The engine's id of the image that sandboxes are made of.
    pub id: String,
    /// What it was built from; none: it was there.
    pub from: Option<BuildFrom>,
    pub took: Duration,
}

/// A making that failed, and where all that it printed stands.
#[derive(Debug)]
pub struct Failed {
    pub why: MakeFailed,
    pub log: Option<PathBuf>,
}

impl Workshop {
    pub fn new(images: Arc<dyn Images>, ways: Ways) -> Self {
        Self { images, ways, under_way: Mutex::default() }
    }

    fn begin(&self, names: &Names) -> UnderWay<'_> {
        let names = [&names.source, &names.lock, &names.versioned].map(String::clone);
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(names.iter().cloned());
        UnderWay { all: &self.under_way, names }
    }

    /// Names of images that are being made by this process.
    pub fn under_way(&self) -> Vec<String> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn images(&self) -> &dyn Images {
        &*self.images
    }

    pub fn ways(&self) -> &Ways {
        &self.ways
    }

    /// What images of these inputs are called.
    pub fn names(&self, inputs: &Inputs) -> Result<Names, MakeFailed> {
        Ok(Names::of(&self.ways.repository, inputs, &render::recipe_digest())?)
    }

    /// Whether the image is there and still what it should be.
    pub async fn is_made(&self, inputs: &Inputs) -> Result<bool, MakeFailed> {
        let names = self.names(inputs)?;
        match self.there(&names.source).await? {
            Some(found) => Ok(!self.base_changed(inputs, &found).await?),
            None => Ok(false),
        }
    }

    async fn there(&self, name: &str) -> Result<Option<ImageInfo>, MakeFailed> {
        Ok(self.images.inspect(name).await.map_err(BuildFailed::from)?)
    }

    /// Its base has other content now, and that counts. A base that isn't here is not fetched to see.
    async fn base_changed(&self, inputs: &Inputs, found: &ImageInfo) -> Result<bool, MakeFailed> {
        if self.ways.rebuild == Rebuild::Inputs {
            return Ok(false);
        }
        let Some(base) = self.there(&inputs.base_image).await? else { return Ok(false) };
        let made = labels::read(&found.labels);
        Ok(made.is_some_and(|made| made.base_id != base.id))
    }

    /// Has the image: finds it or builds it. When `cancel` is cancelled it ends soon.
    pub async fn make(
        &self,
        inputs: &Inputs,
        wish: Wish,
        teller: &Teller<'_>,
        cancel: &CancellationToken,
    ) -> Result<Made, Failed> {
        let early = |why: MakeFailed| Failed { why, log: None };
        let names = self.names(inputs).map_err(early)?;
        // The same as is in the name.
        let inputs = &fields::normalised(inputs).map_err(|denied| early(denied.into()))?;
        let recipe = render::recipe_digest();
        let _under_way = self.begin(&names);
        let making = Making {
            inputs,
            names: &names,
            recipe: &recipe,
            teller,
            cancel,
            mask: Mask::of(&self.ways.secrets, inputs),
            began: Instant::now(),
            limit: self.ways.timeout,
            told: Told::begin(&self.ways, &names),
        };
        let outcome = tokio::select! {
            outcome = self.carry_out(&making, wish) => outcome,
            // A build ends by itself and cleans up; what is before it has nothing to clean.
            () = late(cancel) => Err(BuildFailed::Cancelled.into()),
        };
        let took = making.began.elapsed();
        let outcome = outcome.map_err(|why| making.as_shown(why));
        let last = match &outcome {
            Ok((id, _)) => format!("done after {} s: {id}", took.as_secs()),
            Err(error) => format!("failed after {} s: {}", took.as_secs(), chain(error)),
        };
        let log = making.end(&last).await;
        match outcome {
            Ok((id, from)) => Ok(Made { names, id, from, took }),
            Err(why) => Err(Failed { why, log }),
        }
    }

    async fn carry_out(
        &self,
        making: &Making<'_>,
        wish: Wish,
    ) -> Result<(String, Option<BuildFrom>), MakeFailed> {
        let tag = tag_of(&making.names.source);
        let waits = || making.note("another process builds this image: waiting for it");
        let locked = Lock::take(&self.ways.dir.join("locks"), tag, making.cancel, waits).await;
        let locked = locked.map_err(|source| MakeFailed::File {
            what: "the folder images in the server's data directory".into(),
            source,
        })?;
        let Some(_lock) = locked else { return Err(BuildFailed::Cancelled.into()) };
        let Some(from) = self.begin_from(making, wish.anew).await? else {
            let found = self.there(&making.names.source).await?;
            return Ok((found.map(|found| found.id).unwrap_or_default(), None));
        };
        Ok((self.build(making, from, wish.anew).await?, Some(from)))
    }

    /// What the build begins from; none: the image is there.
    async fn begin_from(
        &self,
        making: &Making<'_>,
        anew: bool,
    ) -> Result<Option<BuildFrom>, MakeFailed> {
        let mut known = Known::default();
        loop {
            match decision::next(&known, anew) {
                Next::Use => return Ok(None),
                Next::Build(from) => return Ok(Some(from)),
                Next::Look(look) => {
                    let there = self.look_for(making, look).await?;
                    known.tell(look, there);
                }
            }
        }
    }

    /// Whether one of the three images can be had: here, from the folder, or from the registry in its name.
    async fn look_for(&self, making: &Making<'_>, look: Look) -> Result<bool, MakeFailed> {
        let name = making.names.of_stage(look.stage());
        if self.there(name).await?.is_none() && !self.take_from_cache(making, name).await {
            let remote = ImageRef::parse(name)?.is_remote();
            if !look.may_pull() || !remote || self.ways.fetch == Pull::Never {
                return Ok(false);
            }
            making.note(&format!("looking for {name} in its registry"));
            if let Err(error) = self.pull(making, name).await? {
                // Then it is built: slower, and as good.
                tracing::warn!(
                    name,
                    error = chain(&error),
                    "a finished stage could not be fetched"
                );
            }
        }
        let Some(found) = self.there(name).await? else { return Ok(false) };
        let stale = self.base_changed(making.inputs, &found).await?;
        if stale {
            making
                .note(&format!("{name} was built on other content of its base: it is built anew"));
        }
        Ok(!stale)
    }

    /// Fetches, unless it is cancelled.
    async fn pull(
        &self,
        making: &Making<'_>,
        name: &str,
    ) -> Result<Result<bool, EngineFailed>, MakeFailed> {
        let tell = |words: String| making.take(BuildNews::Line(words));
        tokio::select! {
        pulled = self.images.pull(name, &making.inputs.platform, &tell) => Ok(pulled),
                () = making.cancel.cancelled() => Err(BuildFailed::Cancelled.into()),
            }
    }

    async fn take_from_cache(&self, making: &Making<'_>, name: &str) -> bool {
        let Some(path) = self.cache_file(name).filter(|path| path.exists()) else { return false };
        making.note(&format!("taking {name} from {}", path.display()));
        match self.images.load(&path).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), error = chain(&error), "a kept image can't be taken in");
                false
            }
        }
    }

    fn cache_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.ways.cache_dir.as_ref()?.join(format!("{}.tar", tag_of(name))))
    }

    /// Puts what was made into the folder for the next time; `Ok` also when there is no folder.
    pub async fn keep(&self, made: &Made) -> Result<(), MakeFailed> {
        for stage in made.from.into_iter().flat_map(BuildFrom::stages) {
            let name = made.names.of_stage(*stage);
            let Some(path) = self.cache_file(name) else { return Ok(()) };
            let dir = path.parent().map_or(Ok(()), fs::create_dir_all);
            dir.map_err(|source| MakeFailed::File {
                what: "the folder of sandbox.image.cache_dir".into(),
                source,
            })?;
            self.images.save(&[name], &path).await.map_err(BuildFailed::from)?;
        }
        Ok(())
    }

    async fn build(
        &self,
        making: &Making<'_>,
        from: BuildFrom,
        anew: bool,
    ) -> Result<String, MakeFailed> {
        let how = How { builder: self.builder()?, anew };
        let ground = match from {
            BuildFrom::Scratch => self.base_in_time(making).await?,
            BuildFrom::Versioned => self.stage_image(making, &making.names.versioned).await?,
            BuildFrom::Lock => self.stage_image(making, &making.names.lock).await?,
        };
        let mut base = ground.name.clone();
        let mut files = Vec::new();
        for stage in from.stages() {
            let request = Request {
                inputs: making.inputs,
                facts: &ground.facts,
                base: &base,
                stages: std::slice::from_ref(stage),
                mounts: how.builder == Builder::BuildKit,
                ca: !self.ways.authorities.is_empty(),
            };
            let dockerfile = render::render(&request)?;
            files.push((
                *stage,
                steps(&dockerfile, how.builder),
                self.context(&request, dockerfile),
            ));
            making.names.of_stage(*stage).clone_into(&mut base);
        }
        let expected: Vec<u32> = files.iter().map(|file| file.1).collect();
        let mut orders = Vec::new();
        for (stage, _, context) in files {
            orders.push(self.order(making, how, stage, &ground, context)?);
        }
        making.with(|told| {
            told.course =
                Course::new(&making.names.source, how.builder == Builder::Classic, expected);
        });
        let (began, mut id) = (Instant::now(), String::new());
        for (order, stage) in orders.into_iter().zip(from.stages()) {
            making.with(|told| told.stage = *stage);
            let left = self.ways.timeout.saturating_sub(began.elapsed());
            let order = BuildOrder { limit: left.max(Duration::from_secs(1)), ..order };
            id = self.images.build(order, &|news| making.take(news)).await?;
            making.with(|told| told.course.stage_done());
        }
        Ok(id)
    }

    fn context(&self, request: &Request<'_>, dockerfile: String) -> Context {
        context::assemble(request, dockerfile, &self.ways.authorities)
    }

    fn order(
        &self,
        making: &Making<'_>,
        how: How,
        stage: Stage,
        ground: &Ground,
        context: Context,
    ) -> Result<BuildOrder, MakeFailed> {
        let mut all: Labels = labels::labels(stage, making.inputs, making.recipe, &ground.base_id)?;
        all.insert(LABEL_OWNER.to_owned(), self.ways.owner.clone());
        let facts = serde_json::to_string(&ground.facts).unwrap_or_default();
        all.insert(LABEL_FACTS.to_owned(), facts);
        Ok(BuildOrder {
            name: making.names.of_stage(stage).to_owned(),
            builder: how.builder,
            context: Arc::new(move |out| context.write_tar(out)),
            labels: all,
            build_args: if stage == Stage::Final {
                making.inputs.build_args.clone()
            } else {
                BTreeMap::new()
            },
            platform: making.inputs.platform.clone(),
            anew: how.anew,
            memory: self.ways.memory,
            cpus: self.ways.cpus,
            network: self.ways.network.clone(),
            limit: self.ways.timeout,
            cancel: making.cancel.clone(),
        })
    }

    fn builder(&self) -> Result<Builder, MakeFailed> {
        let there = self.images.builders();
        let wanted = match self.ways.builder {
            BuilderChoice::Auto => there.first().copied(),
            BuilderChoice::Buildkit => Some(Builder::BuildKit),
            BuilderChoice::Classic => Some(Builder::Classic),
        };
        wanted.filter(|wanted| there.contains(wanted)).ok_or_else(|| {
            MakeFailed::Inputs(format!(
                "sandbox.image.builder: the engine has {}",
                if there.contains(&Builder::Classic) {
                    "the classic builder only"
                } else {
                    "no builder"
                }
            ))
        })
    }

    async fn base_in_time(&self, making: &Making<'_>) -> Result<Ground, MakeFailed> {
        let base = tokio::time::timeout(self.ways.timeout, self.base(making));
        base.await.unwrap_or_else(|_| {
            let text = format!("fetching {}", making.inputs.base_image);
            let (number, of, tail) = (0, 0, Vec::new());
            Err(BuildFailed::TimedOut { limit: self.ways.timeout, number, of, text, tail }.into())
        })
    }

    /// The base image, fetched when it isn't there.
    async fn base(&self, making: &Making<'_>) -> Result<Ground, MakeFailed> {
        let found = self.had(making, &making.inputs.base_image).await?;
        if !making.inputs.tools_image.is_empty() {
            self.had(making, &making.inputs.tools_image).await?;
        }
        let facts =
            look::into(&*self.images, &found, making.inputs).await.map_err(BuildFailed::from)?;
        Ok(Ground { name: making.inputs.base_image.clone(), base_id: found.id, facts })
    }

    async fn had(&self, making: &Making<'_>, image: &str) -> Result<ImageInfo, MakeFailed> {
        let wanted = &making.inputs.platform;
        let fits = |found: &ImageInfo| found.platform.starts_with(wanted.as_str());
        let here = self.there(image).await?.filter(fits);
        let base = |cause: String| BuildFailed::Base { image: image.to_owned(), cause };
        match (here, self.ways.fetch) {
            (Some(found), Pull::Missing | Pull::Never) => return Ok(found),
            (None, Pull::Never) => {
                let cause = "it isn't here, and sandbox.docker.pull is \"never\"";
                return Err(base(cause.into()).into());
            }
            (_, Pull::Always) | (None, Pull::Missing) => {}
        }
        making.note(&format!("fetching {image}"));
        match self.pull(making, image).await? {
            Ok(true) => {}
            Ok(false) => return Err(base("there is none of that name".into()).into()),
            Err(EngineFailed::Image { cause, .. }) => return Err(base(cause).into()),
            Err(error) => return Err(BuildFailed::from(error).into()),
        }
        let found = self.there(image).await?.filter(fits);
        let cause = || base(format!("it was fetched, and there is none for {wanted}"));
        Ok(found.ok_or_else(cause)?)
    }

    /// A finished stage, with what was known of the base when it was made.
    async fn stage_image(&self, making: &Making<'_>, name: &str) -> Result<Ground, MakeFailed> {
        let found = self.there(name).await?.ok_or_else(|| BuildFailed::Base {
            image: name.to_owned(),
            cause: "it was removed meanwhile".into(),
        })?;
        let told = found.labels.get(LABEL_FACTS);
        let facts = match told.and_then(|facts| serde_json::from_str(facts).ok()) {
            Some(facts) => facts,
            None => {
                look::into(&*self.images, &found, making.inputs).await.map_err(BuildFailed::from)?
            }
        };
        let base_id = labels::read(&found.labels).map(|made| made.base_id).unwrap_or_default();
        Ok(Ground { name: name.to_owned(), base_id, facts })
    }
}

/// How the stages of a build are built.
#[derive(Clone, Copy)]
struct How {
    builder: Builder,
    anew: bool,
}

/// What a build stands on.
struct Ground {
    name: String,
    base_id: String,
    facts: BaseFacts,
}

pub(super) fn tag_of(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Some seconds after a cancelling, for what does not listen to it.
async fn late(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
}
