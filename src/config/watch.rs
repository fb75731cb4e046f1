//! How the files of workspaces are watched.

use serde::Deserialize;
use staithe_protocol::watch::WatchSettings;

use super::units::Span;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    pub ignore: Vec<String>,
    pub gitignore: bool,
    pub max_folders: u32,
    pub max_entries: u32,
    pub poll_every: Span,
    pub linger: Span,
}

impl Watch {
    /// In a runner's words.
    pub fn settings(&self) -> WatchSettings {
        let millis = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        WatchSettings {
            ignore: self.ignore.clone(),
            gitignore: self.gitignore,
            max_folders: self.max_folders,
            max_entries: self.max_entries,
            poll_every_ms: millis(self.poll_every),
            linger_ms: millis(self.linger),
        }
    }

    /// What is wrong with it.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.max_entries == 0 {
            faults.push("sandbox.watch.max_entries: must be at least 1".to_owned());
        }
        if self.poll_every.0.as_millis() < 10 {
            faults.push("sandbox.watch.poll_every: at least 10ms".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_alone_watches_as_it_is_shipped() {
        let shipped = crate::config::load::load(None, &crate::config::load::Overrides::default())
            .expect("the default");
        assert_eq!(shipped.sandbox.watch.settings(), WatchSettings::default());
    }
}
