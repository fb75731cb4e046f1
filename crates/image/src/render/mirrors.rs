//! Mirrors: set for a step of the build, and taken back at its end. Pure.

use super::{denied::RecipeDenied, quote};
use crate::inputs::{Inputs, System};

/// Mirrors, as what is done around a step.
#[derive(Clone, Default)]
pub(super) struct Mirror {
    pub(super) set: Vec<String>,
    pub(super) unset: Vec<String>,
    pub(super) pip: Vec<String>,
    pub(super) npm: Vec<String>,
}

impl Mirror {
    pub(super) fn new(inputs: &Inputs, system: System) -> Result<Self, RecipeDenied> {
        let mirrors = &inputs.mirrors;
        let variable = |key: &str, name: &str, value: &str| {
            if value.is_empty() {
                return Ok(Vec::new());
            }
            Ok(vec![format!("{name}={}", quote::shell(quote::address(key, value)?))])
        };
        let mut mirror = Self {
            pip: variable("the mirror for pypi", "PIP_INDEX_URL", &mirrors.pypi)?,
            npm: variable("the mirror for npm", "npm_config_registry", &mirrors.npm)?,
            ..Self::default()
        };
        let host = |key: &str, value: &str| {
            quote::address(key, value).map(|value| {
                // Scheme and host are replaced, the path stays: both layouts are the same.
                let to = quote::replacement(value.trim_end_matches('/'));
                format!("sed -E {}", quote::shell(&format!("s|https?://[^/ ]+|{to}|")))
            })
        };
        if system == System::Apt && !mirrors.apt.is_empty() {
            let sed = host("the mirror for apt", &mirrors.apt)?;
            mirror.set = apt_mirror(&sed);
            mirror.unset = vec!["rm -r /tmp/staithe-apt /etc/apt/apt.conf.d/99staithe".to_owned()];
        }
        if system == System::Apk && !mirrors.apk.is_empty() {
            let sed = host("the mirror for apk", &mirrors.apk)?;
            mirror.set = vec![
                "cp -p /etc/apk/repositories /tmp/staithe-apk".to_owned(),
                format!("{sed} /tmp/staithe-apk >/etc/apk/repositories"),
            ];
            mirror.unset = vec!["mv /tmp/staithe-apk /etc/apk/repositories".to_owned()];
        }
        Ok(mirror)
    }

    /// Only those that are said by a variable.
    pub(super) fn without_packages(&self) -> Self {
        Self { pip: self.pip.clone(), npm: self.npm.clone(), ..Self::default() }
    }
}

/// apt reads a changed copy of its sources: other people's sources in it stay as they are.
fn apt_mirror(sed: &str) -> Vec<String> {
    let copy = format!(
        "for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do \
         case \"${{file##*/}}\" in \
         sources.list | debian.sources | ubuntu.sources) [ ! -f \"$file\" ] || {sed} \"$file\" >\"/tmp/staithe-apt/${{file##*/}}\" ;; \
         *) [ ! -f \"$file\" ] || cp \"$file\" /tmp/staithe-apt/ ;; \
         esac; done"
    );
    let settings = "printf '%s\\n' 'Dir::Etc::SourceList \"/dev/null\";' \
                    'Dir::Etc::SourceParts \"/tmp/staithe-apt\";' >/etc/apt/apt.conf.d/99staithe";
    vec!["mkdir /tmp/staithe-apt".to_owned(), copy, settings.to_owned()]
}
