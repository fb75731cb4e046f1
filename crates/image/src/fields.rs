//! The inputs one by one: what each is called, for which stage it counts, and what stands in for it. Pure.
//!
//! Names, labels and explanations are all made from [`fields`], so they can't disagree.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    inputs::{Download, Inputs, Mirrors, Plugin, SystemChoice},
    refs::{ImageRef, RefDenied},
    stages::Stage,
};

/// What begins the name of every field that is one build argument.
pub(crate) const BUILD_ARGS: &str = "build_args.";
/// Digits of a digest that is shown.
const SHORT: usize = 12;
/// Most of a value that is shown.
pub(crate) const MOST_SHOWN: usize = 16 << 10;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in the configuration, with a dot: `mirrors.apt`.
    pub name: String,
    /// The first stage that changes with it: it counts for this one and those after it.
    pub stage: Stage,
    /// Normalised; may hold secrets.
    pub value: String,
}

impl Field {
    fn new(stage: Stage, name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), stage, value: value.to_owned() }
    }

    /// Its value for people: without credentials, and not endless.
    pub fn shown(&self) -> String {
        if self.name.starts_with(BUILD_ARGS) {
            // A token can't be told from any other word.
            return format!("<{}>", self.digest());
        }
        if self.name == "jupyter_requirements" {
            return format!("{} lines <{}>", self.value.lines().count(), self.digest());
        }
        cut(mask(&self.value))
    }

    /// Tells one value from another, but for credentials in addresses: whoever reads a digest can try passwords
    /// against it for as long as they like, so none goes in.
    pub fn digest(&self) -> String {
        short(&mask(&self.value))
    }
}

/// The same inputs as whoever makes them would write them: what makes no difference to the image is gone.
/// A Dockerfile is to be written from these. They alone are in a name: what the base was found to have, whether
/// the builder can mount, and the certificates in `ca_dir` shape the Dockerfile and its context too.
pub fn normalised(inputs: &Inputs) -> Result<Inputs, RefDenied> {
    let image = |text: &str| ImageRef::parse(text.trim()).map(|image| image.named().to_string());
    let Inputs {
        version,
        base_image,
        platform,
        plugins,
        extra_deps,
        build_args,
        system,
        user,
        tools_image,
        mirrors: Mirrors { apt, apk, pypi, npm },
        node,
        vscode,
        jupyter_requirements,
    } = inputs;
    let tools_image =
        if tools_image.trim().is_empty() { String::new() } else { image(tools_image)? };
    Ok(Inputs {
        version: trimmed(version),
        base_image: image(base_image)?,
        platform: platform.trim().to_lowercase(),
        plugins: plugins.clone(),
        extra_deps: text(extra_deps),
        build_args: build_args.clone(),
        system: *system,
        user: trimmed(user),
        tools_image,
        mirrors: Mirrors {
            apt: trimmed(apt),
            apk: trimmed(apk),
            pypi: trimmed(pypi),
            npm: trimmed(npm),
        },
        node: download(node),
        vscode: download(vscode),
        jupyter_requirements: text(jupyter_requirements),
    })
}

/// Every input that is not empty, in the order of the stages. `inputs` are [`normalised`]; `recipe` is the
/// digest of the template and all that is shipped with it.
pub fn fields(inputs: &Inputs, recipe: &str) -> Vec<Field> {
    // Whole, so that a new input is not forgotten here.
    let Inputs {
        version,
        base_image,
        platform,
        plugins,
        extra_deps,
        build_args,
        system,
        user,
        tools_image,
        mirrors: Mirrors { apt, apk, pypi, npm },
        node,
        vscode,
        jupyter_requirements,
    } = inputs;
    let plugins: Vec<&str> = plugins.iter().copied().map(Plugin::as_str).collect();
    let mut fields = vec![
        Field::new(Stage::System, "version", version),
        Field::new(Stage::System, "recipe", recipe),
        Field::new(Stage::System, "base_image", base_image),
        Field::new(Stage::System, "platform", platform),
        Field::new(Stage::System, "system", word(*system)),
        Field::new(Stage::System, "user", user),
        Field::new(Stage::System, "plugins", &plugins.join(", ")),
        Field::new(Stage::System, "tools_image", tools_image),
        Field::new(Stage::System, "mirrors.apt", apt),
        Field::new(Stage::System, "mirrors.apk", apk),
    ];
    fields.extend(
        build_args
            .iter()
            .map(|(name, value)| Field::new(Stage::System, &format!("{BUILD_ARGS}{name}"), value)),
    );
    fields.extend([
        Field::new(Stage::Deps, "mirrors.pypi", pypi),
        Field::new(Stage::Deps, "mirrors.npm", npm),
        Field::new(Stage::Deps, "jupyter_requirements", jupyter_requirements),
    ]);
    for (name, download) in [("node", node), ("vscode", vscode)] {
        let Download { version, source, checksum } = download;
        for (part, value) in [("version", version), ("source", source), ("checksum", checksum)] {
            fields.push(Field::new(Stage::Deps, &format!("{name}.{part}"), value));
        }
    }
    fields.push(Field::new(Stage::Final, "extra_deps", extra_deps));
    // An argument without a value is one nevertheless.
    fields.retain(|field| !field.value.is_empty() || field.name.starts_with(BUILD_ARGS));
    fields
}

/// Hashes the fields that count for `stage`, for a name. Each part goes in behind its length, so that no two
/// lists of fields are the same bytes. Values go in whole, credentials too: who has others may be served something
/// else, so it is another image.
pub(crate) fn hash(fields: &[Field], stage: Stage) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for field in fields.iter().filter(|field| field.stage <= stage) {
        for part in [&field.name, &field.value] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().into()
}

/// `Auto` is the default, and so is shown as nothing.
fn word(system: SystemChoice) -> &'static str {
    match system {
        SystemChoice::Auto => "",
        SystemChoice::Apt => "apt",
        SystemChoice::Dnf => "dnf",
        SystemChoice::Apk => "apk",
        SystemChoice::Zypper => "zypper",
        SystemChoice::None => "none",
    }
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// Lines of a file: the same however its lines end, and however many empty ones are last.
fn text(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    lines.join("\n").trim_end().to_owned()
}

fn download(download: &Download) -> Download {
    let Download { version, source, checksum } = download;
    Download { version: trimmed(version), source: trimmed(source), checksum: trimmed(checksum) }
}

fn short(text: &str) -> String {
    let digest = HEXLOWER.encode(&Sha256::digest(text));
    format!("sha256:{}", &digest[..SHORT])
}

/// What stands in the place of credentials.
const HIDDEN: &str = "<hidden>";

/// Hides whatever stands between `://` and the `@` before the host, and what an address carries behind its `?`:
/// both may be credentials.
fn mask(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        masked.push_str(before);
        let end = address.find(ends).unwrap_or(address.len());
        let (mut address, after) = address.split_at(end);
        let host = address.find(['/', '?', '#']).unwrap_or(address.len());
        if let Some(at) = address[..host].rfind('@') {
            masked.push_str(HIDDEN);
            address = &address[at..];
        }
        match address.split_once('?') {
            Some((path, _)) => masked.extend([path, "?", HIDDEN]),
            None => masked.push_str(address),
        }
        rest = after;
    }
    masked.push_str(rest);
    masked
}

fn cut(text: String) -> String {
    if text.len() <= MOST_SHOWN {
        return text;
    }
    let end = text.floor_char_boundary(MOST_SHOWN);
    format!("{}\n({} bytes more)", &text[..end], text.len() - end)
}
