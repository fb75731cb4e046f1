//! Logs to stderr, or to a file; what is logged about a panic.

use std::{fs::File, io::IsTerminal, sync::Mutex};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// Sets logging up. Once per process.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => subscriber.finish().with(filter_fn(is_discreet)).init(),
        LogFormat::Json => {
            subscriber.json().flatten_event(true).finish().with(filter_fn(is_discreet)).init();
        }
    }
    watch_panics();
    Ok(())
}

/// Sets logging up for a command whose terminal is for other things. Once per process.
pub fn init_to_file(log: &Log, file: File) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(Mutex::new(file))
        .with_ansi(false);
    match log.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    watch_panics();
    Ok(())
}

fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&log.filter).map_err(|error| anyhow::anyhow!("log.filter: {error}"))
}

fn watch_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        metrics::counter!("staithe_panics_total").increment(1);
        tracing::error!(%panic, "a task panicked");
        default(panic);
    }));
}

/// Whatever the filter says: libraries tell below `info` what goes through them, such as the output of commands before
/// secrets are hidden in it.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with("staithe")
}
