//! The workspace's instructions for agents are read, each time a sandbox is new to the agent.

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WeakAddr, WrapFuture,
};
use staithe_agent::instructions::{self, Found, Instructions, MOST_FILE, MOST_FILES, Place};
use staithe_protocol::files::{Encoding, EntryType, FileDone, FileOp};

use super::AgentSession;
use crate::{
    mail,
    runtime::{Runtime, messages::DoFile},
};

/// What was read; sent by the future that did.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Learned(Instructions);

impl AgentSession {
    pub(super) fn learn(&mut self, ctx: &mut Context<Self>) {
        let runtime = self.runtime.as_ref().and_then(WeakAddr::upgrade);
        let facts = &self.equipment.facts;
        let workspace = facts.working_dir.clone();
        let repository = facts.repository.as_ref().map(|it| it.directory.as_str());
        let places = instructions::places(&workspace, repository);
        let reading = async move {
            let Some(runtime) = runtime else { return Vec::new() };
            let reader = Reader { runtime, workspace };
            let mut found = Vec::new();
            for place in places {
                match place {
                    Place::File(path) => found.extend(reader.file(path).await),
                    Place::Folder(folder) => {
                        for path in reader.folder(&folder).await {
                            found.extend(reader.file(path).await);
                        }
                    }
                }
            }
            found
        };
        ctx.spawn(reading.into_actor(self).map(|found, _, ctx| {
            ctx.notify(Learned(Instructions::read(&found)));
        }));
    }
}

struct Reader {
    runtime: Addr<Runtime>,
    workspace: String,
}

impl Reader {
    /// Nothing where there is no such file, or it is none that can be read: instructions are optional.
    async fn ask(&self, op: FileOp) -> Option<FileDone> {
        let ask = DoFile { op, reference: None, origin: None };
        mail::ask(&self.runtime, ask).await.ok()?.ok()
    }

    fn inside(&self, path: &str) -> String {
        path.strip_prefix(&self.workspace).unwrap_or(path).trim_start_matches('/').to_owned()
    }

    async fn file(&self, path: String) -> Option<Found> {
        let most = u64::try_from(MOST_FILE).unwrap_or(u64::MAX);
        let op = FileOp::Read { path: self.inside(&path), offset: None, length: Some(most) };
        let done = self.ask(op).await?;
        let text = done.content.filter(|_| done.encoding.unwrap_or_default() == Encoding::Utf8)?;
        let cut = done.size.is_some_and(|size| size > most);
        Some(Found { path, text, cut })
    }

    async fn folder(&self, folder: &str) -> Vec<String> {
        let op = FileOp::List {
            path: self.inside(folder),
            depth: Some(1),
            ignore: Vec::new(),
            versions: false,
        };
        let entries = self.ask(op).await.and_then(|done| done.entries).unwrap_or_default();
        let is_one = |kind: EntryType, path: &str| kind == EntryType::File && is_markdown(path);
        let mut names: Vec<_> = entries
            .into_iter()
            .filter(|entry| is_one(entry.kind, &entry.path))
            .map(|entry| format!("{}/{}", self.workspace, entry.path))
            .collect();
        names.sort();
        names.truncate(MOST_FILES);
        names
    }
}

fn is_markdown(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("md"))
}

impl Handler<Learned> for AgentSession {
    type Result = ();

    fn handle(&mut self, Learned(instructions): Learned, ctx: &mut <Self as Actor>::Context) {
        let effects = self.controller.learned(instructions, self.now());
        self.obey(effects, ctx);
    }
}
