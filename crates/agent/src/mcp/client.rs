//! One connection to a server: how it begins, what it says by itself, its list of tools.

use std::{error::Error, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, PaginatedRequestParams, ProtocolVersion,
        Tool,
    },
    service::{ClientInitializeError, NotificationContext, Peer, RunningService, serve_client},
    transport::{
        DynamicTransportError, Transport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpError,
    },
};
use serde_json::Value;
use staithe_protocol::pipe::PipeStart;
use tokio::sync::Notify;

use super::{
    door::{Door, Program},
    http,
    lines::{Clues, Lines, MOST_MESSAGE},
    settings::{McpKind, McpServer, ToolFilter},
};

/// Most tools of one server.
const MOST_TOOLS: usize = 128;
/// Most pages of its list.
const MOST_PAGES: usize = 64;
/// Most bytes of a tool's name, of what it says of itself, and of the schema of its arguments.
const MOST_NAME: usize = 256;
const MOST_DESCRIPTION: usize = 4 * 1024;
const MOST_SCHEMA: usize = 32 * 1024;

/// A connection that is up.
pub(super) type Line = RunningService<RoleClient, Ears>;

/// What a server says by itself.
#[derive(Clone, Default)]
pub(super) struct Ears {
    pub(super) clues: Arc<Clues>,
    /// Its tools are others now.
    pub(super) changed: Arc<Notify>,
}

impl ClientHandler for Ears {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    #[expect(deprecated, reason = "the servers of today log so")]
    async fn on_logging_message(
        &self,
        said: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let text = said.data.as_str().map_or_else(|| said.data.to_string(), str::to_owned);
        self.clues.log(&text);
    }

    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("staithe", env!("CARGO_PKG_VERSION"));
        let mut config = ClientConfig::new(ClientCapabilities::default(), us);
        // The newest one that begins with a handshake, as all servers of today do.
        config.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        config
    }
}

/// A tool as it is offered, but for its name there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) parameters: Value,
}

/// All of them, and what is wrong with the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub(super) tools: Vec<Known>,
    pub(super) fault: Option<String>,
}

/// Connects. What was started in the sandbox is left in `program`, also when this fails or is dropped.
pub(super) async fn connect(
    server: &McpServer,
    door: &Arc<dyn Door>,
    ears: &Ears,
    program: &mut Option<Box<dyn Program>>,
) -> Result<Line, String> {
    let begun = match &server.kind {
        McpKind::Stdio { command, args, env } => {
            let argv = std::iter::once(command).chain(args).cloned().collect();
            let env = env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
            let start = PipeStart { argv, env: env.collect(), cwd: None };
            let opened = door.open(start).await?;
            *program = Some(opened.program);
            let (read, write) = tokio::io::split(opened.stream);
            let read = Lines::new(read, Arc::clone(&ears.clues));
            let transport =
                AsyncRwTransport::new_client(read, write).with_max_line_length(MOST_MESSAGE);
            serve(ears.clone(), transport)
        }
        McpKind::Http { url, headers } => serve(ears.clone(), http::transport(url, headers)?),
    };
    begun.await.map_err(|error| match &error {
        ClientInitializeError::TransportError { error, .. } => sent(error),
        error => words(error),
    })
}

type Begun = BoxFuture<'static, Result<Line, ClientInitializeError>>;

/// Boxed where nothing is borrowed: else the compiler can't see that it may change threads.
fn serve(ears: Ears, transport: impl Transport<RoleClient> + 'static) -> Begun {
    serve_client(ears, transport).boxed()
}

/// Reads the list of tools, page by page.
pub(super) async fn list(peer: &Peer<RoleClient>, filter: &ToolFilter) -> Result<Listed, String> {
    let mut listed = Listed::default();
    let (mut cursor, mut left_out) = (None, 0_usize);
    for _ in 0..MOST_PAGES {
        let asked = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(asked)).await.map_err(|error| words(&error))?;
        for tool in page.tools.iter().filter(|tool| filter.lets(&tool.name)) {
            match known(tool) {
                Some(tool) if listed.tools.len() < MOST_TOOLS => listed.tools.push(tool),
                _ => left_out += 1,
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if cursor.is_some() {
        listed.fault = Some(format!("its list of tools has more than {MOST_PAGES} pages"));
    } else if left_out > 0 {
        listed.fault = Some(format!(
            "{left_out} of its tools are left out: it has more than {MOST_TOOLS}, or they say more than is told to a \
             model"
        ));
    }
    // Two of one name could not be told apart.
    listed.tools.sort_by(|a, b| a.name.cmp(&b.name));
    listed.tools.dedup_by(|a, b| a.name == b.name);
    Ok(listed)
}

fn known(tool: &Tool) -> Option<Known> {
    let parameters = Value::Object((*tool.input_schema).clone());
    if tool.name.len() > MOST_NAME || parameters.to_string().len() > MOST_SCHEMA {
        return None;
    }
    let said = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    let mut description = said[..said.floor_char_boundary(MOST_DESCRIPTION)].to_owned();
    if description.len() < said.len() {
        description.push_str(" […]");
    }
    Some(Known { name: tool.name.to_string(), description, parameters })
}

/// Why something could not be said.
pub(super) fn sent(error: &DynamicTransportError) -> String {
    let error = error.error.as_ref();
    match error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        // The SDK's own word leaves the causes out.
        Some(StreamableHttpError::Client(error)) => words(error),
        _ => words(error),
    }
}

/// An error with its causes.
pub(super) fn words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
