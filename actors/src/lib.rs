//! The heart of Staithe: seven actors, their messages and the pure cores that decide for them.
//!
//! ```text
//! SessionManager                 one; admits, finds, counts, drains; keeps the registry that the front reads
//! ├── Pool                       one or none; sandboxes that are started ahead
//! ├── Images                     one or none; builds each image once, however many sessions wait for it
//! └── Session                    one per browser session; owns the phase and its children
//!     ├── EventStream            assigns ids, appends, fans out; started first, stopped last
//!     ├── Runtime                owns the sandbox's handle and the line to its runner
//!     └── AgentSession           the agent's state; routes actions to the runtime, observations back
//! ```
//!
//! Reading order: [`session_manager`], [`session`], [`event_stream`], [`runtime`], [`agent_session`].
//! In each folder `messages.rs` says what may be asked, `state.rs` (or `log.rs`, `registry.rs`)
//! decides without touching anything, and `mod.rs` touches without deciding. Strong addresses go down
//! the tree, weak ones up; a late answer carries a generation; a child's end reaches its parent by a
//! [`supervise::DeathNotice`], however it ended. What a crash may destroy is rebuilt from the store
//! and the engine, never handed on.

pub mod agent_session;
pub mod event_stream;
pub mod images;
pub mod mail;
pub mod mask;
pub mod mcp;
pub mod metered;
pub mod models;
pub mod pool;
pub mod record;
pub mod runtime;
pub mod secrets;
pub mod session;
pub mod session_manager;
pub mod settings;
pub mod supervise;

pub use event_stream::{
    feed::{ClientInfo, Feed, Subscription},
    messages::Reference,
};
pub use mail::SendFailed;
pub use record::SessionRecord;
pub use secrets::{Mask, Secrets};
pub use session::messages as session_messages;
pub use session_manager::{
    SessionManager,
    registry::{Registry, SessionHandle, SessionSnapshot},
};
pub use settings::{Limits, SandboxSettings, Settings};
/// The line to a sandbox's runner, for bulk bytes: what `GetLine` answers.
pub use staithe_link::{
    Link, LinkFailed,
    duplex::{Frame, Reading, Writing},
    http::Reply,
    texts::Texts,
    tunnel::Tunnel,
};
