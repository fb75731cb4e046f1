//! What the template is given. Pure. Whatever a person wrote is quoted here for the place it goes to.

use serde::Serialize;

use super::{
    Request,
    denied::RecipeDenied,
    downloads,
    mirrors::Mirror,
    packages, quote,
    wants::{ToolsView, Wants},
};
use crate::{
    base::{BaseFacts, Thing},
    inputs::{Inputs, System},
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
    /// Whom the base runs as; empty: root, and nothing need be said for it.
    base_user: String,
    /// Whom the image runs as; empty: root.
    user: String,
    /// Arguments of `staithe-user`.
    make_users: Vec<String>,
    /// They are made where the tools have brought a shell.
    make_users_late: bool,
    packages: Vec<&'static str>,
    browser: Vec<&'static str>,
    helpers: Vec<&'static str>,
    /// Commands around a step that installs: the mirror is set, and taken back.
    before: Vec<String>,
    after: Vec<String>,
    helper_before: Vec<String>,
    /// What is made in helper stages: `jupyter`, `vscode`.
    makes: Vec<&'static str>,
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

impl View {
    pub(super) fn new(request: &Request<'_>) -> Result<Self, RecipeDenied> {
        let Request { inputs, facts, .. } = *request;
        let wants = Wants::new(inputs, facts);
        let tools = wants.tools(inputs, facts)?;
        let shell = facts.has.contains(&Thing::Sh) || facts.system != System::None;
        wants.check(inputs, facts, shell, tools.is_some())?;
        let (user, make_users) = user(inputs, facts, shell || tools.is_some())?;
        let mirror = Mirror::new(inputs, if tools.is_some() { System::Apt } else { facts.system })?;
        // With a tools image, packages are that one's.
        let own_mirror = if tools.is_some() { mirror.without_packages() } else { mirror.clone() };
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
            base_user: base_user(&facts.user)?,
            user,
            make_users,
            make_users_late: !shell,
            packages: packages::base_system(facts, wants.jupyter, wants.vscode),
            browser: if wants.browser && packaged {
                packages::chromium(facts)?
            } else {
                Vec::new()
            },
            helpers: packages::helpers(
                facts,
                wants.node_by_pip(inputs, facts) && !wants.jupyter,
                downloads::need_xz(inputs),
            ),
            own: own(request, &own_mirror),
            helper_before: mirror.set,
            before: own_mirror.set,
            after: own_mirror.unset,
            makes: wants.made(),
            tools,
            archives: downloads::local_archives(inputs, facts)
                .into_iter()
                .map(|(name, _)| name)
                .collect(),
            pip: mirror.pip.clone(),
            vscode: if wants.vscode {
                downloads::vscode(inputs, &mirror.pip, &mirror.npm)?
            } else {
                Vec::new()
            },
            args: args(inputs)?,
        })
    }
}

/// What a name of an image may have in it beside letters and digits.
pub(super) const IMAGE: &str = "._-/:@";

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

/// The base's user; empty where a step runs as root by it. `0` or `root` alone isn't such a one: that is looked
/// up in a list of users, which the base may not have.
fn base_user(user: &str) -> Result<String, RecipeDenied> {
    if matches!(user, "" | "0:0") { Ok(String::new()) } else { written(user) }
}

/// A user for after `USER`, as it was written; empty for root. A number alone gets no group beside it here: it
/// means the one that the list of users has for it, else 0, and the further groups of that user.
fn restored(user: &str) -> Result<String, RecipeDenied> {
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    if matches!(name, "" | "0" | "root") && matches!(group, "" | "0" | "root") {
        return Ok(String::new());
    }
    written(user)
}

fn written(user: &str) -> Result<String, RecipeDenied> {
    Ok(quote::simple("the base's user", user, "._-:")?.to_owned())
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
        outer.push(". /run/staithe-ca/with-ca".to_owned());
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
