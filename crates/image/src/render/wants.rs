//! What the plugins need and the base has not, and whether it can be given. Pure.

use serde::Serialize;

use super::{denied::RecipeDenied, downloads, quote, view::IMAGE};
use crate::{
    base::{BaseFacts, Libc, Thing},
    inputs::{Download, Inputs, Plugin, System},
};

/// The image that a base without package manager is given things from.
#[derive(Debug, Serialize)]
pub(super) struct ToolsView {
    pub(super) image: String,
    /// Packages for the makers.
    pub(super) install: Vec<&'static str>,
    /// Those of them that the image gets.
    pub(super) take: Vec<&'static str>,
}

/// See the module.
pub(super) struct Wants {
    pub(super) browser: bool,
    pub(super) jupyter: bool,
    pub(super) vscode: bool,
}

impl Wants {
    pub(super) fn new(inputs: &Inputs, facts: &BaseFacts) -> Self {
        let wants = |plugin, thing| inputs.plugins.contains(&plugin) && !facts.has.contains(&thing);
        Self {
            browser: wants(Plugin::Browser, Thing::Chromium),
            jupyter: wants(Plugin::Jupyter, Thing::Jupyter),
            vscode: wants(Plugin::Vscode, Thing::Vscode),
        }
    }

    /// What is made in helper stages.
    pub(super) fn made(&self) -> Vec<&'static str> {
        let all = [(self.jupyter, Plugin::Jupyter), (self.vscode, Plugin::Vscode)];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, plugin)| plugin.as_str()).collect()
    }

    /// Node is fetched by pip, which the helper stage then needs.
    pub(super) fn node_by_pip(&self, inputs: &Inputs, facts: &BaseFacts) -> bool {
        let wheel = downloads::node_is_wheel(inputs);
        let given = !inputs.node.source.is_empty() && !wheel;
        self.vscode && !given && (wheel || !facts.has.contains(&Thing::Npm))
    }

    /// Only a base without any C library is given one: with another's, programs would meet the wrong one.
    pub(super) fn tools(
        &self,
        inputs: &Inputs,
        facts: &BaseFacts,
    ) -> Result<Option<ToolsView>, RecipeDenied> {
        if facts.system != System::None || facts.libc != Libc::None || inputs.tools_image.is_empty()
        {
            return Ok(None);
        }
        let mut install = vec!["bash", "ca-certificates", "curl", "git", "ncurses-base", "procps"];
        install.extend(["ripgrep", "python3", "python3-venv"]);
        let mut take = vec!["bash", "curl", "git", "ncurses-base", "procps", "ripgrep"];
        if self.jupyter {
            take.extend(["media-types", "python3"]);
        }
        if !facts.has.contains(&Thing::Sh) {
            take.extend(["coreutils", "dash", "grep", "sed"]);
        }
        if self.browser {
            install.extend(["chromium", "fonts-dejavu-core"]);
            take.extend([
                "chromium",
                "chromium-common",
                "fontconfig-config",
                "fonts-dejavu-core",
                "libnss3",
            ]);
        }
        if downloads::need_xz(inputs) {
            install.push("xz-utils");
        }
        let image = quote::simple("the tools image", &inputs.tools_image, IMAGE)?.to_owned();
        Ok(Some(ToolsView { image, install, take }))
    }

    /// What can't be, said before anything is tried.
    pub(super) fn check(
        &self,
        inputs: &Inputs,
        facts: &BaseFacts,
        shell: bool,
        tools: bool,
    ) -> Result<(), RecipeDenied> {
        if self.vscode && facts.libc == Libc::Musl {
            return Err(RecipeDenied::VscodeOnMusl);
        }
        if inputs.extra_deps.contains('\0') {
            let key = "the extra lines".to_owned();
            return Err(RecipeDenied::BadValue { key, problem: "have a zero byte in them" });
        }
        if !inputs.extra_deps.trim().is_empty() && !shell && !tools {
            return Err(RecipeDenied::NoShell { what: "running extra lines" });
        }
        if facts.system != System::None || tools {
            return Ok(());
        }
        if self.browser {
            return Err(RecipeDenied::NoPackages { what: "a Chromium" });
        }
        for (wanted, what) in [(self.jupyter, "Jupyter"), (self.vscode, "the VS Code server")] {
            if wanted && (facts.libc == Libc::None || !shell) {
                return Err(RecipeDenied::NoPackages { what });
            }
        }
        let has = |thing| facts.has.contains(&thing);
        if self.jupyter && !has(Thing::Python) {
            return Err(RecipeDenied::NoProgram { what: "Jupyter", program: "Python 3 with venv" });
        }
        let what = "the VS Code server";
        if self.node_by_pip(inputs, facts) && !has(Thing::Python) {
            return Err(RecipeDenied::NoProgram { what, program: "Node 22 with npm, or Python" });
        }
        let by_curl = |download: &Download| quote::is_address(&download.source);
        if self.vscode && (by_curl(&inputs.node) || by_curl(&inputs.vscode)) && !has(Thing::Curl) {
            return Err(RecipeDenied::NoProgram { what, program: "curl" });
        }
        Ok(())
    }
}
