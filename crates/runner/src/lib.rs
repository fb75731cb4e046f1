//! The program inside the sandbox: one static binary that speaks HTTP and WebSocket on a unix socket.
//!
//! | module | what |
//! |---|---|
//! | [`serve`] | from start to end: key, connections, signals |
//! | `prepare`, `listen` | what comes before: folders, sockets, becoming the session's user |
//! | `account`, `environment`, `calendar` (pure) | users of the image; what shells have in their environment; days of seconds |
//! | [`bridge`] | stdin and stdout as a line to the socket |
//! | [`alone`] | this program as a sandbox's whole server, as the reference's is started |
//! | [`api`] | the reference's sandbox API |
//! | `http`, `link` | the requests and the WebSocket; words in `staithe_protocol::runner` |
//! | `app`, `acts` | actions by their keys, each run once |
//! | `lines`, `outbox` | what is sent to each server that listens |
//! | [`shell`] | the persistent shell |
//! | [`state`] | files in the state folder |
//! | [`editor`] | text files as models edit them |
//! | [`files`], [`watch`], [`search`], [`git`] | the workspace's files: operations, changes, search, repository |
//! | [`uploads`], [`archive`] | uploads that can be resumed; folders as archives, both ways |
//! | [`terminals`] | terminals that clients share |
//! | [`plugins`] | programs that serve beside commands |
//! | [`pipes`] | programs as streams, for the server |
//! | [`tunnel`], [`ports`] | streams to what listens here, and what does |
//! | `info` | use of the machine |
//! | `long` | work with files that takes long, apart from what does not |
//! | `reap` | every child's end |
//! | [`launch`] | the sandbox around this program, where there is no container |
//!
//! One thread does everything but file operations, which block and have threads of their own.

pub mod account;
pub mod acts;
pub mod alone;
pub mod api;
pub mod app;
pub mod archive;
pub mod bridge;
pub mod calendar;
pub mod cli;
pub mod editor;
pub mod environment;
pub mod fault;
pub mod files;
pub mod git;
pub mod http;
pub mod info;
pub mod launch;
pub mod lines;
pub mod link;
pub mod listen;
pub mod long;
pub mod outbox;
pub mod pipes;
pub mod plugins;
pub mod ports;
pub mod prepare;
pub mod reap;
pub mod search;
pub mod serve;
pub mod shell;
pub mod state;
pub mod terminals;
pub mod tunnel;
pub mod uploads;
pub mod watch;
