//! What Staithe's own observations say, as text.

use crate::{
    plugin::{PluginPhase, PluginState},
    port::Port,
    retry::ModelRetry,
};

pub(super) fn plugin(plugin: &PluginState) -> String {
    let PluginState { name, state, detail, .. } = plugin;
    let said = match state {
        PluginPhase::Starting => "is starting",
        PluginPhase::Ready => "is ready",
        PluginPhase::Restarting => "ended and is started again",
        PluginPhase::Failed => "can't be had",
        PluginPhase::Stopped => "does not run",
    };
    match detail {
        Some(detail) => format!("The plugin {name} {said}: {detail}"),
        None => format!("The plugin {name} {said}"),
    }
}

pub(super) fn ports(ports: &[Port]) -> String {
    if ports.is_empty() {
        return "Nothing listens in the sandbox any more".to_owned();
    }
    let ports: Vec<_> = ports.iter().map(|port| port.port.to_string()).collect();
    format!("Listening in the sandbox: {}", ports.join(", "))
}

pub(super) fn retry(retry: &ModelRetry) -> String {
    let ModelRetry { attempt, most, wait_ms, code, detail } = retry;
    let why = match code.as_str() {
        "model.rate_limited" => "takes no more requests for now",
        _ => "did not answer",
    };
    // Tenths of a second are all that a person wants to know.
    let (seconds, tenth) = (wait_ms / 1000, wait_ms % 1000 / 100);
    let said = if detail.is_empty() { String::new() } else { format!(". It said: {detail}") };
    format!(
        "The model {why} ({code}); it is asked again in {seconds}.{tenth} s, try {attempt} of {most}{said}"
    )
}
