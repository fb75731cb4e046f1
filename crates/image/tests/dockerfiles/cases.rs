//! The combinations of inputs whose recipes are kept.

use std::collections::BTreeSet;

use staithe_image::{
    base::{BaseFacts, Libc, Thing},
    inputs::{Download, Inputs, Mirrors, Plugin, System, SystemChoice},
    render::Request,
    stages::{BuildFrom, Stage},
};

/// A request that owns its parts.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) inputs: Inputs,
    pub(crate) facts: BaseFacts,
    pub(crate) base: String,
    pub(crate) stages: Vec<Stage>,
    pub(crate) mounts: bool,
    pub(crate) ca: bool,
}

impl Case {
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            inputs: &self.inputs,
            facts: &self.facts,
            base: &self.base,
            stages: &self.stages,
            mounts: self.mounts,
            ca: self.ca,
        }
    }

    /// The whole recipe for a base with nothing but a shell.
    pub(crate) fn new(name: &'static str, base: &str, system: System, plugins: &[Plugin]) -> Self {
        let os = base.split([':', '/']).next().unwrap_or_default();
        let version = base.rsplit(':').next().unwrap_or_default();
        Self {
            name,
            inputs: Inputs {
                version: "0.1.0".to_owned(),
                base_image: base.to_owned(),
                platform: String::new(),
                plugins: plugins.iter().copied().collect(),
                extra_deps: String::new(),
                build_args: [].into(),
                system: SystemChoice::Auto,
                user: String::new(),
                tools_image: String::new(),
                mirrors: Mirrors::default(),
                node: Download::default(),
                vscode: Download::default(),
                jupyter_requirements: String::new(),
            },
            facts: BaseFacts {
                system,
                libc: match system {
                    System::Apk => Libc::Musl,
                    System::None => Libc::None,
                    _ => Libc::Glibc,
                },
                has: [Thing::Sh].into(),
                user: String::new(),
                os: os.to_owned(),
                os_version: version.to_owned(),
                seen: true,
            },
            base: base.to_owned(),
            stages: BuildFrom::Scratch.stages().to_vec(),
            mounts: false,
            ca: false,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn has(self, things: &[Thing]) -> Self {
        self.with(|case| case.facts.has = things.iter().copied().collect::<BTreeSet<_>>())
    }

    fn extra(self, lines: &str) -> Self {
        self.with(|case| lines.clone_into(&mut case.inputs.extra_deps))
    }

    fn user(self, user: &str) -> Self {
        self.with(|case| user.clone_into(&mut case.inputs.user))
    }

    fn base_user(self, user: &str) -> Self {
        self.with(|case| user.clone_into(&mut case.facts.user))
    }

    fn tools(self) -> Self {
        self.with(|case| "debian:12".clone_into(&mut case.inputs.tools_image))
    }

    fn ca(self, mounts: bool) -> Self {
        self.with(|case| (case.ca, case.mounts) = (true, mounts))
    }

    fn only(self, stages: &[Stage], base: &str) -> Self {
        self.with(|case| {
            case.stages = stages.to_vec();
            base.clone_into(&mut case.base);
        })
    }
}

/// Lines that would end many a quotation.
pub(crate) const NASTY: &str = "apt-get update # not the end\necho 'a \"b\" $HOME `id` \\\ncat <<EOF >/tmp/x\nFROM evil\nEOF\nprintf '%s\\n' \"]\" ) && (";

const ALL: [Plugin; 4] = Plugin::ALL;
const DEV: [Plugin; 2] = [Plugin::Jupyter, Plugin::Vscode];
const SHA256: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn download(source: &str) -> Download {
    Download { version: String::new(), source: source.to_owned(), checksum: SHA256.to_owned() }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = systems();
    cases.extend(people());
    cases.extend(downloads());
    cases.extend(parts());
    cases
}

/// What each system's packages are, and what a base has already.
fn systems() -> Vec<Case> {
    let everything = [
        Thing::Sh,
        Thing::Bash,
        Thing::Git,
        Thing::Curl,
        Thing::CaCertificates,
        Thing::Procps,
        Thing::Ripgrep,
        Thing::Python,
        Thing::Npm,
        Thing::Chromium,
        Thing::Vscode,
        Thing::Jupyter,
    ];
    vec![
        Case::new("apt", "debian:12", System::Apt, &ALL),
        Case::new("apt-bare", "debian:12", System::Apt, &[]),
        Case::new("apt-ubuntu", "ubuntu:24.04", System::Apt, &DEV),
        Case::new("apt-has-all", "debian:12", System::Apt, &ALL).has(&everything),
        Case::new("apt-has-python", "python:3.12", System::Apt, &DEV).has(&[
            Thing::Sh,
            Thing::Bash,
            Thing::Git,
            Thing::Python,
        ]),
        Case::new("apt-has-npm", "node:22", System::Apt, &[Plugin::Vscode]).has(&[
            Thing::Sh,
            Thing::Bash,
            Thing::Git,
            Thing::Npm,
        ]),
        Case::new("dnf", "fedora:42", System::Dnf, &ALL),
        Case::new("dnf-enterprise", "rocky:9.4", System::Dnf, &DEV),
        Case::new("apk", "alpine:3.20", System::Apk, &[Plugin::Browser, Plugin::Jupyter]),
        Case::new("zypper", "opensuse/tumbleweed:20250101", System::Zypper, &ALL),
        Case::new("zypper-leap", "opensuse/leap:15.6", System::Zypper, &DEV),
        Case::new("none-bare", "busybox:1.36", System::None, &[Plugin::AgentSkills]),
        Case::new("none-tools", "busybox:1.36", System::None, &DEV).has(&[Thing::Sh]).tools(),
        Case::new("none-tools-all", "busybox:1.36", System::None, &ALL).tools().user("dev:1000"),
        Case::new("none-scratch", "scratch", System::None, &DEV)
            .has(&[])
            .tools()
            .user("dev:1000")
            .extra("id"),
        Case::new("none-glibc", "slim:1", System::None, &DEV)
            .has(&[Thing::Sh, Thing::Python])
            .with(|case| case.facts.libc = Libc::Glibc),
    ]
}

/// Users, extra lines, arguments.
fn people() -> Vec<Case> {
    vec![
        Case::new("user", "debian:12", System::Apt, &DEV).user("dev:1000"),
        Case::new("user-group", "debian:12", System::Apt, &[]).user("dev:1000:100").extra("id"),
        Case::new("user-of-base", "node:22", System::Apt, &DEV).base_user("node").extra("id"),
        Case::new("user-over-base", "node:22", System::Apt, &[]).base_user("1000").user("me:1001"),
        Case::new("user-without-shell", "scratch", System::None, &[]).has(&[]).user("dev:1000"),
        Case::new("extra", "debian:12", System::Apt, &[]).extra("apt-get update\nfalse\ntrue"),
        Case::new("extra-nasty", "debian:12", System::Apt, &[]).extra(NASTY).with(|case| {
            let args =
                [("PLAIN", "1"), ("QUOTED", "a \"b\" 'c' $HOME ${X} `id` \\"), ("EMPTY", "")];
            case.inputs.build_args =
                args.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        }),
        Case::new("platform", "debian:12", System::Apt, &DEV)
            .with(|case| "linux/arm64/v8".clone_into(&mut case.inputs.platform)),
    ]
}

/// Mirrors, archives, certificates.
fn downloads() -> Vec<Case> {
    let mirrors = |case: &mut Case| {
        case.inputs.mirrors = Mirrors {
            apt: "http://mirror.test/a|b&c/".to_owned(),
            apk: "http://mirror.test".to_owned(),
            pypi: "http://mirror.test/simple?it's=so".to_owned(),
            npm: "http://mirror.test/npm".to_owned(),
        };
    };
    vec![
        Case::new("mirrors-apt", "debian:12", System::Apt, &ALL).with(mirrors).extra("pip list"),
        Case::new("mirrors-apk", "alpine:3.20", System::Apk, &[Plugin::Jupyter])
            .with(mirrors)
            .extra("apk add jq"),
        Case::new("mirrors-tools", "busybox:1.36", System::None, &DEV)
            .tools()
            .with(mirrors)
            .extra("pip list"),
        Case::new("archives", "debian:12", System::Apt, &DEV).with(|case| {
            case.inputs.node = download("/srv/its node's.tar.xz");
            case.inputs.vscode = download("/srv/code.tgz");
        }),
        Case::new("addresses", "debian:12", System::Apt, &[Plugin::Vscode]).with(|case| {
            case.inputs.node = download("https://files.test/n&(o)de.whl");
            case.inputs.vscode =
                download("https://files.test/it's code.tgz".replace(' ', "%20").as_str());
        }),
        Case::new("versions", "debian:12", System::Apt, &[Plugin::Vscode]).with(|case| {
            case.inputs.vscode = download("");
            "4.111.0".clone_into(&mut case.inputs.vscode.version);
        }),
        Case::new("ca", "debian:12", System::Apt, &ALL).extra("pip list").ca(false),
        Case::new("ca-mounts", "debian:12", System::Apt, &ALL).extra("pip list").ca(true),
        Case::new("ca-tools", "busybox:1.36", System::None, &DEV).tools().ca(false),
    ]
}

/// Parts of a chain.
fn parts() -> Vec<Case> {
    let made = |name, stages: &[Stage], base| {
        Case::new(name, "debian:12", System::Apt, &ALL)
            .user("dev:1000")
            .extra("id")
            .only(stages, base)
    };
    vec![
        made("part-system", &[Stage::System], "debian:12"),
        made("part-deps", &[Stage::Deps], "staithe:v0.1.0_debian"),
        made("part-final", &[Stage::Final], "staithe:lock"),
        made(
            "from-versioned",
            &[Stage::Deps, Stage::Final],
            "registry.test:5000/staithe:v0.1.0_debian",
        ),
        Case::new("part-deps-none", "busybox:1.36", System::None, &DEV)
            .tools()
            .only(&[Stage::Deps], "staithe:v"),
    ]
}
