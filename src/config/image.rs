//! What the configuration says of runtime images, in the words of the image crate.

use std::{fs, path::Path};

use staithe_image::{
    inputs::{Download, Inputs, Plugin},
    refs::ImageRef,
};

use super::{Config, Sandbox};

impl Sandbox {
    /// Whether sessions get images that are built.
    pub fn builds_images(&self) -> bool {
        let needy = self.plugins.iter().any(|name| name != Plugin::AgentSkills.as_str());
        self.runtime_container_image.is_empty()
            && (needy || !self.runtime_extra_deps.trim().is_empty())
    }

    /// What an image on `base` is made from. Reads the requirements file.
    pub fn image_inputs(&self, base: &str) -> Result<Inputs, String> {
        let image = &self.image;
        let plugins: Result<_, String> = self.plugins.iter().map(|name| name.parse()).collect();
        Ok(Inputs {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_image: base.to_owned(),
            platform: self.platform.clone(),
            plugins: plugins?,
            extra_deps: self.runtime_extra_deps.clone(),
            build_args: image.build_args.clone(),
            system: image.system,
            user: image.user.clone(),
            tools_image: image.tools_image.clone(),
            mirrors: image.mirrors.clone(),
            node: image.node.clone(),
            vscode: image.vscode.clone(),
            jupyter_requirements: requirements(&image.jupyter.requirements)?,
        })
    }
}

fn requirements(path: &Path) -> Result<String, String> {
    if path.as_os_str().is_empty() {
        return Ok(String::new());
    }
    fs::read_to_string(path)
        .map_err(|error| format!("sandbox.image.jupyter.requirements: {}: {error}", path.display()))
}

impl Config {
    /// What is wrong in the images' part.
    pub(super) fn image_faults(&self) -> Vec<String> {
        let (sandbox, image) = (&self.sandbox, &self.sandbox.image);
        let mut faults = Vec::new();
        let mut check = |key: &str, fault: Result<(), String>| {
            faults.extend(fault.err().map(|fault| format!("{key}: {fault}")));
        };
        check("sandbox.image.repository", repository(&image.repository));
        for name in &sandbox.plugins {
            check("sandbox.plugins", name.parse::<Plugin>().map(drop));
        }
        if sandbox.builds_images() {
            check("sandbox.base_container_image", reference(&sandbox.base_container_image));
        }
        if !image.tools_image.is_empty() {
            check("sandbox.image.tools_image", reference(&image.tools_image));
        }
        check("sandbox.image.user", user(&image.user));
        check("sandbox.platform", platform(&sandbox.platform));
        for (name, mirror) in [
            ("apt", &image.mirrors.apt),
            ("apk", &image.mirrors.apk),
            ("pypi", &image.mirrors.pypi),
            ("npm", &image.mirrors.npm),
        ] {
            check(&format!("sandbox.image.mirrors.{name}"), address(mirror));
        }
        check("sandbox.image.node", download(&image.node));
        check("sandbox.image.vscode", download(&image.vscode));
        check("sandbox.image.ca_dir", folder(&image.ca_dir));
        check("sandbox.image.cache_dir", absolute(&image.cache_dir));
        let known = ["", "host", "none"].contains(&image.network.as_str());
        let network = if known { Ok(()) } else { Err("\"host\", \"none\" or nothing".into()) };
        check("sandbox.image.network", network);
        check("sandbox.image.max_builds", at_least_one(image.max_builds > 0));
        check("sandbox.image.build_timeout", at_least_one(image.build_timeout.0.as_secs() > 0));
        for name in image.build_args.keys() {
            check("sandbox.image.build_args", variable(name));
        }
        faults.extend(requirements(&image.jupyter.requirements).err());
        faults
    }
}

fn at_least_one(good: bool) -> Result<(), String> {
    if good { Ok(()) } else { Err("must be at least 1".into()) }
}

/// The name of an image.
pub fn reference(name: &str) -> Result<(), String> {
    ImageRef::parse(name).map(drop).map_err(|error| error.to_string())
}

fn repository(name: &str) -> Result<(), String> {
    let parsed = ImageRef::parse(name).map_err(|error| error.to_string())?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        return Err("a name without tag and digest is needed: each image gets its own tag".into());
    }
    Ok(())
}

/// Whether a name fits a pattern in which `*` stands for any characters.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(first) else { return false };
    (0..=name.len()).any(|skip| name.is_char_boundary(skip) && fits(rest, &name[skip..]))
}

/// An address without credentials: it stands in the image's history.
fn address(text: &str) -> Result<(), String> {
    let place = text.split_once("://").map_or("", |(_, rest)| rest);
    let plain = text.starts_with("http://") || text.starts_with("https://");
    if text.is_empty() {
        return Ok(());
    }
    if !plain
        || text.contains('?')
        || place.split('/').next().is_some_and(|host| host.contains('@'))
    {
        return Err("an http(s) address without user, password and query is needed: it stands in the image's history".into());
    }
    Ok(())
}

/// A variable of a shell.
pub fn variable(name: &str) -> Result<(), String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let good = first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good { Ok(()) } else { Err(format!("{name} is no name of a variable")) }
}

/// `NAME:UID[:GID]`, or nothing.
pub fn user(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let named = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.len() <= 32
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    let numbers: Option<Vec<u32>> = parts.map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([uid] | [uid, _]) if named && *uid > 0 => Ok(()),
        _ => {
            Err("NAME:UID or NAME:UID:GID is needed, such as \"dev:1000\"; the user is not root"
                .into())
        }
    }
}

/// `os/arch[/variant]`, or nothing.
pub fn platform(text: &str) -> Result<(), String> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let parts: Vec<&str> = text.split('/').collect();
    let good = text.is_empty() || ((2..=3).contains(&parts.len()) && parts.into_iter().all(plain));
    if good { Ok(()) } else { Err("\"os/arch\" is needed, such as \"linux/amd64\"".into()) }
}

fn download(download: &Download) -> Result<(), String> {
    let Download { version, source, checksum } = download;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if version.is_empty() || !version.chars().all(plain) {
        return Err("version: a plain version is needed".into());
    }
    let known = ["sha256:", "sha512-"].iter().any(|kind| checksum.starts_with(kind));
    if !checksum.is_empty() && !known {
        return Err("checksum: \"sha256:HEX\" or \"sha512-BASE64\" is needed".into());
    }
    if source.is_empty() {
        return Ok(());
    }
    if checksum.is_empty() {
        return Err(
            "checksum: needed with a source, so that nothing else is put into the image".into()
        );
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        return Ok(());
    }
    let path = Path::new(source);
    if !path.is_absolute() {
        return Err("source: an http(s) address or an absolute path is needed".into());
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(format!("source: {source} is no file")),
        Err(error) => Err(format!("source: {source}: {error}")),
    }
}

fn folder(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    Err(format!("{} is no folder", path.display()))
}

fn absolute(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() || path.is_absolute() {
        return Ok(());
    }
    Err("an absolute path is needed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_a_name_and_are_not_root() {
        for good in ["", "dev:1000", "dev:1000:100", "_x-1:4711"] {
            assert_eq!(user(good), Ok(()), "{good}");
        }
        for bad in ["dev", "dev:", "dev:0", "Dev:1", "dev:1:2:3", "dev:x", "a b:1", ":1", "dev:-1"]
        {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_download_from_elsewhere_needs_its_checksum() {
        let of = |source: &str, checksum: &str| {
            download(&Download {
                version: "1.2".into(),
                source: source.into(),
                checksum: checksum.into(),
            })
        };
        assert_eq!(of("", ""), Ok(()));
        assert_eq!(of("https://example.org/a", "sha256:00"), Ok(()));
        for (source, checksum) in [
            ("https://example.org/a", ""),
            ("https://example.org/a", "md5:1"),
            ("relative", "sha256:00"),
            ("/nowhere/at/all", "sha256:00"),
            ("/", "sha256:00"),
        ] {
            assert!(of(source, checksum).is_err(), "{source} {checksum}");
        }
    }

    #[test]
    fn the_shipped_versions_are_those_that_are_pinned() {
        let shipped: toml::Table = crate::config::load::SHIPPED.parse().expect("TOML");
        let version =
            |of: &str| shipped["sandbox"]["image"][of]["version"].as_str().map(str::to_owned);
        assert_eq!(version("node").as_deref(), Some(staithe_image::render::NODE_VERSION));
        assert_eq!(version("vscode").as_deref(), Some(staithe_image::render::VSCODE_VERSION));
    }

    #[test]
    fn mirrors_carry_no_credentials() {
        for good in ["", "http://mirror.example/debian", "https://h:8443/simple/"] {
            assert_eq!(address(good), Ok(()), "{good}");
        }
        for bad in ["mirror", "https://me:word@h/", "https://h/?token=x", "ftp://h/"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn platforms_have_two_or_three_parts() {
        for good in ["", "linux/amd64", "linux/arm/v7"] {
            assert_eq!(platform(good), Ok(()), "{good}");
        }
        for bad in ["amd64", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(platform(bad).is_err(), "{bad}");
        }
    }
}
