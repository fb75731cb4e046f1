//! Inputs for tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::inputs::{Download, Inputs, Mirrors, Plugin, SystemChoice};

pub(crate) const RECIPE: &str = "sha256:recipe";

/// Some of everything that is not a secret.
pub(crate) fn inputs() -> Inputs {
    Inputs {
        version: "0.1.0".into(),
        base_image: "debian:12".into(),
        platform: String::new(),
        plugins: BTreeSet::from([Plugin::Jupyter, Plugin::Vscode]),
        extra_deps: "apt-get install -y jq\necho done".into(),
        build_args: BTreeMap::from([("LEVEL".into(), "3".into())]),
        system: SystemChoice::Auto,
        user: String::new(),
        tools_image: String::new(),
        mirrors: Mirrors { pypi: "https://pypi.example/simple".into(), ..Mirrors::default() },
        node: Download { version: "22.1.0".into(), ..Download::default() },
        vscode: Download { version: "4.112.0".into(), ..Download::default() },
        jupyter_requirements: String::new(),
    }
}
