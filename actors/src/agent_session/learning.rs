//! The workspace's instructions for agents are read, when the controller wants to know them. That waits for a sandbox
//! that answers and for a repository that is on its way; where the line is cut meanwhile, it is done again.

use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WeakAddr, WrapFuture,
};
use staithe_agent::instructions::{self, Found, Instructions, MOST_FILE, MOST_FILES, Place};
use staithe_protocol::files::{Encoding, EntryType, FileCode, FileDone, FileOp};

use super::AgentSession;
use crate::{
    mail,
    runtime::{Runtime, messages::DoFile},
};

/// Between two attempts while the sandbox does not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// What was read, if it could be; sent by the future that did.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Learned(Result<Instructions, NoAnswer>);

/// The sandbox did not answer: nothing is known of what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoAnswer;

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Learning {
    /// Nobody asks.
    #[default]
    Nothing,
    /// It is to be done once it can be.
    Wanted,
    Reading,
}

impl AgentSession {
    pub(super) fn learn(&mut self, ctx: &mut Context<Self>) {
        if self.learning == Learning::Nothing {
            self.learning = Learning::Wanted;
        }
        self.learn_if_wanted(ctx);
    }

    /// To be called whenever there may be a sandbox or a repository.
    pub(super) fn learn_if_wanted(&mut self, ctx: &mut Context<Self>) {
        let runtime = self.runtime.as_ref().and_then(WeakAddr::upgrade);
        let Some(runtime) = runtime.filter(|_| {
            self.learning == Learning::Wanted && self.executor.is_up() && !self.found.is_cloning()
        }) else {
            return;
        };
        self.learning = Learning::Reading;
        let facts = &self.equipment.facts;
        let workspace = facts.working_dir.clone();
        let repository = facts.repository.as_ref().map(|it| it.directory.as_str());
        let places = instructions::places(&workspace, repository);
        let reader = Reader { runtime, workspace };
        ctx.spawn(reader.all(places).into_actor(self).map(|found, _, ctx| {
            ctx.notify(Learned(found.map(|found| Instructions::read(&found))));
        }));
    }
}

struct Reader {
    runtime: Addr<Runtime>,
    workspace: String,
}

impl Reader {
    async fn all(self, places: Vec<Place>) -> Result<Vec<Found>, NoAnswer> {
        let mut found = Vec::new();
        for place in places {
            match place {
                Place::File(path) => found.extend(self.file(path).await?),
                Place::Folder(folder) => {
                    for path in self.folder(&folder).await? {
                        found.extend(self.file(path).await?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Nothing where there is no such file, or it is none that can be read: instructions are optional.
    async fn ask(&self, op: FileOp) -> Result<Option<FileDone>, NoAnswer> {
        let ask = DoFile { op, reference: None, origin: None };
        match mail::ask(&self.runtime, ask).await.map_err(|_| NoAnswer)? {
            Ok(done) => Ok(Some(done)),
            Err(denied) => match denied.code {
                FileCode::RuntimeNotReady
                | FileCode::RuntimeUnavailable
                | FileCode::Timeout
                | FileCode::RateLimited => Err(NoAnswer),
                FileCode::NotFound | FileCode::NotDirectory => Ok(None),
                code => {
                    tracing::warn!(?code, "instructions for agents can't be read");
                    Ok(None)
                }
            },
        }
    }

    fn inside(&self, path: &str) -> String {
        path.strip_prefix(&self.workspace).unwrap_or(path).trim_start_matches('/').to_owned()
    }

    async fn file(&self, path: String) -> Result<Option<Found>, NoAnswer> {
        let most = u64::try_from(MOST_FILE).unwrap_or(u64::MAX);
        let op = FileOp::Read { path: self.inside(&path), offset: None, length: Some(most) };
        let Some(done) = self.ask(op).await? else { return Ok(None) };
        let is_text = done.encoding.unwrap_or_default() == Encoding::Utf8;
        let cut = done.size.is_some_and(|size| size > most);
        Ok(done.content.filter(|_| is_text).map(|text| Found { path, text, cut }))
    }

    async fn folder(&self, folder: &str) -> Result<Vec<String>, NoAnswer> {
        let op = FileOp::List {
            path: self.inside(folder),
            depth: Some(1),
            ignore: Vec::new(),
            versions: false,
        };
        let entries = self.ask(op).await?.and_then(|done| done.entries).unwrap_or_default();
        let is_one = |kind: EntryType, path: &str| kind == EntryType::File && is_markdown(path);
        let mut names: Vec<_> = entries
            .into_iter()
            .filter(|entry| is_one(entry.kind, &entry.path))
            .map(|entry| format!("{}/{}", self.workspace, entry.path))
            .collect();
        names.sort();
        names.truncate(MOST_FILES);
        Ok(names)
    }
}

fn is_markdown(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("md"))
}

impl Handler<Learned> for AgentSession {
    type Result = ();

    fn handle(&mut self, Learned(read): Learned, ctx: &mut <Self as Actor>::Context) {
        let Ok(instructions) = read else {
            self.learning = Learning::Wanted;
            ctx.notify_later(Again, AGAIN);
            return;
        };
        self.learning = Learning::Nothing;
        let effects = self.controller.learned(instructions, self.now());
        self.obey(effects, ctx);
    }
}

/// A while after nothing answered, and nothing told that the line was cut.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Again;

impl Handler<Again> for AgentSession {
    type Result = ();

    fn handle(&mut self, _: Again, ctx: &mut <Self as Actor>::Context) {
        self.learn_if_wanted(ctx);
    }
}
