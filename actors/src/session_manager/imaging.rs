//! The manager's images that are built, and the turns of those who wait for one.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};
use futures_util::future::BoxFuture;
use staithe_protocol::Generation;
use tokio::{
    sync::{RwLock, oneshot, watch},
    time::Instant,
};

use super::{
    SessionManager,
    messages::{LeaveTurn, TakeTurn},
};
use crate::{
    images::{
        self, Images,
        maker::ImageMaker,
        messages::{DrainImages, GetMakings, HaveImage, Making, MakingView},
        supply::Supply,
    },
    mail,
    supervise::{ChildDown, ChildHandle, ChildKind, DeathNotice, RestartBudget},
};

/// The child, and what a new one is made from.
pub(super) struct Imaging {
    maker: Option<Arc<dyn ImageMaker>>,
    gate: Arc<RwLock<()>>,
    images: Option<ChildHandle<Images>>,
    generation: Generation,
    budget: RestartBudget,
}

impl Imaging {
    /// Nothing is started yet. Without a maker nothing will be.
    pub(super) fn new(maker: Option<Arc<dyn ImageMaker>>) -> Self {
        Self {
            maker,
            gate: Arc::default(),
            images: None,
            generation: Generation::default(),
            budget: RestartBudget::for_runtime(),
        }
    }
}

impl SessionManager {
    /// Starts the actor, where images are built at all.
    pub(super) fn start_images(&mut self, ctx: &mut Context<Self>) {
        let Some(maker) = self.imaging.maker.clone().filter(|_| !self.draining) else { return };
        let origin = images::Origin {
            maker,
            max_builds: self.settings.limits.max_builds,
            gate: self.imaging.gate.clone(),
        };
        self.generation = self.generation.next();
        self.imaging.generation = self.generation;
        let parent = ctx.address().downgrade();
        let notice = DeathNotice::new(ChildKind::Images, self.generation, parent);
        self.imaging.images = Some(ChildHandle::new(Images::new(origin, notice).start()));
    }

    /// A new one after a pause. Whoever waited asks it again.
    pub(super) fn images_are_down(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        if down.child != ChildKind::Images || down.generation != self.imaging.generation {
            return; // replaced
        }
        let how = if down.panicked { "panicked" } else { "stopped" };
        metrics::counter!("staithe_actor_down_total", "actor" => "Images", "how" => how)
            .increment(1);
        tracing::error!(how, "the images' actor is gone");
        self.imaging.images = None;
        if let Some(pause) = self.imaging.budget.spend(Instant::now()) {
            ctx.run_later(pause, Self::start_images);
        } else {
            tracing::error!("no image is built any more until the server is started again");
        }
    }

    /// What sessions and the pool have their images from.
    pub(super) fn supply(&self, ctx: &Context<Self>) -> Option<Supply> {
        let maker = self.imaging.maker.clone()?;
        Some(Supply { maker, manager: ctx.address().downgrade() })
    }

    /// Ends when no image is being built any more.
    pub(super) fn drain_images(&self) -> BoxFuture<'static, ()> {
        let Some(images) = &self.imaging.images else { return Box::pin(std::future::ready(())) };
        let drained = mail::ask(images.addr(), DrainImages);
        Box::pin(async move {
            if let Err(error) = drained.await {
                tracing::warn!(%error, "the images' actor ended while draining");
            }
        })
    }
}

impl Handler<HaveImage> for SessionManager {
    type Result = ResponseFuture<Option<watch::Receiver<Making>>>;

    fn handle(&mut self, have: HaveImage, _: &mut Self::Context) -> Self::Result {
        let Some(images) = &self.imaging.images else {
            return Box::pin(std::future::ready(None));
        };
        let making = mail::ask(images.addr(), have);
        Box::pin(async move { making.await.ok().flatten() })
    }
}

impl Handler<GetMakings> for SessionManager {
    type Result = ResponseFuture<Vec<MakingView>>;

    fn handle(&mut self, get: GetMakings, _: &mut Self::Context) -> Self::Result {
        let Some(images) = &self.imaging.images else {
            return Box::pin(std::future::ready(Vec::new()));
        };
        let makings = mail::ask(images.addr(), get);
        Box::pin(async move { makings.await.unwrap_or_default() })
    }
}

impl Handler<LeaveTurn> for SessionManager {
    type Result = ();

    fn handle(&mut self, LeaveTurn(id): LeaveTurn, ctx: &mut Self::Context) {
        self.admission.leave(id);
        self.settle_places(ctx);
    }
}

impl Handler<TakeTurn> for SessionManager {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, TakeTurn(id): TakeTurn, ctx: &mut Self::Context) -> Self::Result {
        if !self.admission.come_back(id) {
            return Box::pin(std::future::ready(()));
        }
        let (waiter, turn) = oneshot::channel();
        self.turns.insert(id, waiter);
        self.settle_places(ctx);
        Box::pin(async move { drop(turn.await) })
    }
}
