//! What a runner serves beside commands: told to it on every line, and what it tells of it put into the log.

use std::{collections::BTreeMap, time::Duration};

use actix::{AsyncContext, Context, Handler, Message, MessageResult};
use staithe_link::{Link, LinkFailed};
use staithe_protocol::{
    Observation, SessionId, Source,
    plugin::PluginState,
    port::{Port, Ports},
    runner::{Answer, Call},
};

use super::{
    Runtime,
    messages::{GetPlugins, GetPorts},
    questions::QUESTION_DEADLINE,
};
use crate::{event_stream::messages::Append, mail};

/// What the log has of it, so that a runner which says it again adds nothing.
#[derive(Default)]
pub(super) struct Told {
    plugins: BTreeMap<String, PluginState>,
    /// What is listened on now.
    ports: Vec<Port>,
    /// What the log has of it.
    noted: Vec<Port>,
    /// It was put there a moment ago.
    waits: bool,
}

/// Between two events about ports: a program may listen here and there as often as it likes.
const BETWEEN_PORTS: Duration = Duration::from_secs(10);

/// Whether two lists tell a reader the same: another process on a port is none of that.
fn alike(these: &[Port], others: &[Port]) -> bool {
    let told = |port: &Port| (port.port, port.program.clone(), port.plugin.clone());
    these.iter().map(told).eq(others.iter().map(told))
}

/// Sent by the runtime to itself: ports may be noted again.
#[derive(Message)]
#[rtype(result = "()")]
struct NotePorts;

impl Handler<NotePorts> for Runtime {
    type Result = ();

    fn handle(&mut self, _: NotePorts, ctx: &mut Self::Context) {
        self.told.waits = false;
        self.note_ports(ctx);
    }
}

/// Where the second listener has the pages of a session's sandbox, before `/<port>`.
fn page_base(session: SessionId) -> String {
    format!("/s/{session}/a")
}

impl Handler<GetPlugins> for Runtime {
    type Result = MessageResult<GetPlugins>;

    fn handle(&mut self, _: GetPlugins, _: &mut Self::Context) -> Self::Result {
        let told = self.connected.as_ref().map(|_| self.told.plugins.values().cloned().collect());
        MessageResult(told.unwrap_or_default())
    }
}

impl Runtime {
    /// Tells a runner what to serve. Nothing waits for it: a session without plugins is a session.
    pub(super) fn equip(&self, link: &Link) {
        let (link, mut services) = (link.clone(), self.origin.settings.services.clone());
        let session_id = self.origin.session_id;
        services.plugins.base = page_base(session_id);
        actix::spawn(async move {
            loop {
                let call = Call::Equip { services: services.clone() };
                match link.call(call, QUESTION_DEADLINE).await {
                    Ok(Answer::Equipped {}) => return,
                    Ok(other) => {
                        tracing::warn!(%session_id, answer = ?other, "a runner can't serve plugins");
                        return;
                    }
                    Err(LinkFailed::TimedOut(_)) => {
                        tracing::warn!(%session_id, "a runner is slow to be told of its plugins");
                    }
                    // The next line tells it again.
                    Err(error) => {
                        tracing::debug!(%session_id, %error, "a runner was not equipped");
                        return;
                    }
                }
            }
        });
    }

    /// Another runner: what was told of the plugins of the one before does not hold.
    pub(super) fn forget_plugins(&mut self) {
        self.told.plugins.clear();
    }

    pub(super) fn plugin_changed(&mut self, plugin: PluginState) {
        if self.told.plugins.get(&plugin.name) == Some(&plugin) {
            return;
        }
        self.told.plugins.insert(plugin.name.clone(), plugin.clone());
        self.note(Observation::PluginChanged(plugin));
    }

    pub(super) fn ports_changed(&mut self, ports: Vec<Port>, ctx: &mut Context<Self>) {
        self.told.ports = ports;
        if !self.told.waits {
            self.note_ports(ctx);
        }
    }

    /// Puts what is listened on into the log, unless it has that; then not for a while.
    fn note_ports(&mut self, ctx: &mut Context<Self>) {
        if alike(&self.told.ports, &self.told.noted) {
            return;
        }
        self.told.noted.clone_from(&self.told.ports);
        self.told.waits = true;
        self.note(Observation::PortsChanged(Ports { ports: self.told.ports.clone() }));
        ctx.notify_later(NotePorts, BETWEEN_PORTS);
    }

    fn note(&self, observation: Observation) {
        let Some(stream) = self.origin.stream.upgrade() else { return };
        let append = Append::observation(Source::Environment, None, observation);
        let session_id = self.origin.session_id;
        // In the stream's mailbox when this returns: the order is kept.
        let appended = mail::ask(&stream, append);
        actix::spawn(async move {
            match appended.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%session_id, %error, "an event was not stored"),
                Err(error) => tracing::debug!(%session_id, %error, "an event was not stored"),
            }
        });
    }
}

impl Handler<GetPorts> for Runtime {
    type Result = MessageResult<GetPorts>;

    fn handle(&mut self, _: GetPorts, _: &mut Self::Context) -> Self::Result {
        let ports = if self.connected.is_some() { self.told.ports.clone() } else { Vec::new() };
        MessageResult(ports)
    }
}
