//! The plugins' part of the configuration.

use staithe_protocol::plugin::{BrowserSettings, JupyterSettings, PluginSettings, VscodeSettings};

use super::Config;

impl Config {
    /// What runners are told of plugins. Where a session's pages are is added for each session.
    pub(super) fn plugin_settings(&self) -> PluginSettings {
        let super::Plugins { deadline, vscode, jupyter, browser } = &self.plugins;
        PluginSettings {
            wanted: self.sandbox.plugins.clone(),
            deadline_ms: u64::try_from(deadline.0.as_millis()).unwrap_or(u64::MAX),
            base: String::new(),
            vscode: VscodeSettings {
                start: vscode.start,
                paths: vscode.paths.clone(),
                listen: None,
            },
            jupyter: JupyterSettings {
                start: jupyter.start,
                paths: jupyter.paths.clone(),
                kernel: jupyter.kernel.clone(),
            },
            browser: BrowserSettings { paths: browser.paths.clone() },
        }
    }

    /// What is wrong with the plugins' values.
    pub(super) fn plugin_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.plugins.deadline.0.as_secs() < 1 {
            faults.push("plugins.deadline: at least 1s".to_owned());
        }
        let lists = [
            ("plugins.vscode.paths", &self.plugins.vscode.paths),
            ("plugins.jupyter.paths", &self.plugins.jupyter.paths),
            ("plugins.browser.paths", &self.plugins.browser.paths),
        ];
        for (key, paths) in lists {
            let good =
                |path: &String| !path.is_empty() && (path.starts_with('/') || !path.contains('/'));
            faults.extend(paths.iter().filter(|path| !good(path)).map(|path| {
                format!("{key}: {path:?} is neither an absolute path nor the name of a program")
            }));
        }
        faults
    }
}
