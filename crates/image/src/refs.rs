//! An image's reference: `[domain[:port]/]path[:tag][@algorithm:hex]`, as registries and engines read it. Pure.
//!
//! Nothing is added: `debian` stays `debian`. What a missing tag means is said by [`ImageRef::named`] alone.

use std::{fmt, str::FromStr};

/// Longest `domain/path` that registries take.
const MOST_NAME: usize = 255;
/// Longest tag.
const MOST_TAG: usize = 128;
/// The tag that a reference without tag and digest means.
const LATEST: &str = "latest";
/// Digests whose length is known, in hexadecimal digits; any other has at least the first one's half.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
/// Fewest hexadecimal digits of a digest.
const FEWEST_DIGITS: usize = 32;

/// See the module. Made by [`ImageRef::parse`], so its parts are well formed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// The registry, with its port.
    pub domain: Option<String>,
    pub path: String,
    pub tag: Option<String>,
    /// `algorithm:hex`.
    pub digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefDenied {
    #[error("an image has no name: write one such as debian:12")]
    Empty,
    #[error(
        "{name:?} is no image's name: lower-case letters, digits and single . _ - between them, \
         parts set apart by /"
    )]
    Path { name: String },
    #[error("{domain:?} is no registry: a host name, or an address, and a port when it needs one")]
    Domain { domain: String },
    #[error(
        "{tag:?} is no tag: 1 to {MOST_TAG} letters, digits, _ . and -, and neither . nor - first"
    )]
    Tag { tag: String },
    #[error("{digest:?} is no digest: one such as sha256: and 64 lower-case hexadecimal digits")]
    Digest { digest: String },
    #[error("an image's name of {length} characters is too long: {MOST_NAME} are taken")]
    TooLong { length: usize },
}

impl ImageRef {
    /// Reads a reference as it is written on a command line.
    pub fn parse(text: &str) -> Result<Self, RefDenied> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[slash..].split_once(':') {
            Some((last, tag)) => (&rest[..slash + last.len()], Some(tag)),
            None => (rest, None),
        };
        let (domain, path) = split_domain(name);
        if name.is_empty() || path.is_empty() {
            return Err(RefDenied::Empty);
        }
        if let Some(domain) = domain.filter(|domain| !is_domain(domain)) {
            return Err(RefDenied::Domain { domain: domain.to_owned() });
        }
        if !path.split('/').all(is_component) {
            return Err(RefDenied::Path { name: path.to_owned() });
        }
        if name.len() > MOST_NAME {
            return Err(RefDenied::TooLong { length: name.len() });
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(RefDenied::Tag { tag: tag.to_owned() });
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(RefDenied::Digest { digest: digest.to_owned() });
        }
        Ok(Self {
            domain: domain.map(str::to_owned),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// `domain/path`, or the path alone.
    pub fn repository(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{domain}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The same repository under another tag, and without a digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, RefDenied> {
        if !is_tag(tag) {
            return Err(RefDenied::Tag { tag: tag.to_owned() });
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// With the tag that is meant when none is written: `latest`, unless a digest says which image it is.
    #[must_use]
    pub fn named(&self) -> Self {
        let mut named = self.clone();
        if named.tag.is_none() && named.digest.is_none() {
            named.tag = Some(LATEST.to_owned());
        }
        named
    }

    /// It names its registry, so it can be looked for there. One without is this machine's own.
    pub fn is_remote(&self) -> bool {
        self.domain.is_some()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = RefDenied;

    fn from_str(text: &str) -> Result<Self, RefDenied> {
        Self::parse(text)
    }
}

/// The first part is a registry when it can't be a part of a path, or is this machine.
fn split_domain(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (Some(first), path)
        }
        _ => (None, name),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    port.is_none_or(digits) && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    }
    host.split('.').all(|label| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

/// Runs of lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between two.
fn is_component(component: &str) -> bool {
    let mut rest = component;
    loop {
        let run = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit());
        let end = rest.find(run).unwrap_or(rest.len());
        if end == 0 {
            return false;
        }
        rest = &rest[end..];
        if rest.is_empty() {
            return true;
        }
        let between = rest.find(|c| !matches!(c, '.' | '_' | '-')).unwrap_or(rest.len());
        let separator = &rest[..between];
        if !(matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')) {
            return false;
        }
        rest = &rest[between..];
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MOST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let length = match DIGESTS.iter().find(|(name, _)| *name == algorithm) {
        Some((_, length)) => hex.len() == *length,
        None => hex.len() >= FEWEST_DIGITS,
    };
    length
        && algorithm.split(['+', '.', '-', '_']).all(part)
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parts(text: &str) -> (String, String, String, String) {
        let parsed = ImageRef::parse(text).unwrap_or_else(|denied| panic!("{text}: {denied}"));
        assert_eq!(parsed.to_string(), text);
        let ImageRef { domain, path, tag, digest } = parsed;
        let or_nothing = Option::unwrap_or_default;
        (or_nothing(domain), path, or_nothing(tag), or_nothing(digest))
    }

    #[test]
    fn a_reference_comes_apart_as_engines_read_it() {
        let digest = format!("sha256:{HEX}");
        let with_all = format!("reg.example:5000/a/b:1@{digest}");
        let digest_alone = format!("debian@{digest}");
        let table = [
            ("debian", "", "debian", "", ""),
            ("debian:12-slim", "", "debian", "12-slim", ""),
            ("library/debian", "", "library/debian", "", ""),
            ("localhost/a", "localhost", "a", "", ""),
            ("localhost:5000", "", "localhost", "5000", ""),
            ("localhost:5000/a", "localhost:5000", "a", "", ""),
            ("ghcr.io/a/b:V1", "ghcr.io", "a/b", "V1", ""),
            ("reg:5000/a/b:1", "reg:5000", "a/b", "1", ""),
            ("Reg/a", "Reg", "a", "", ""),
            ("127.0.0.1:80/a", "127.0.0.1:80", "a", "", ""),
            ("[::1]:5000/a:2", "[::1]:5000", "a", "2", ""),
            ("[fe80::1]/a", "[fe80::1]", "a", "", ""),
            ("a__b/c-d--e.f_g", "", "a__b/c-d--e.f_g", "", ""),
            (&with_all, "reg.example:5000", "a/b", "1", &digest),
            (&digest_alone, "", "debian", "", &digest),
        ];
        for (text, domain, path, tag, digest) in table {
            let expected = (domain.into(), path.into(), tag.into(), digest.into());
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_by_the_part_that_is_wrong() {
        let long = format!("a:{}", "t".repeat(129));
        let short = format!("a@sha256:{}", &HEX[1..]);
        let upper = format!("a@sha256:{}", HEX.to_uppercase());
        let endless = vec!["a".repeat(32); 8].join("/");
        let table: [(&str, &[&str]); 6] = [
            ("has no name", &["", ":1", "reg:5000/", "@sha256:0", "localhost/"]),
            (
                "no image's name",
                &[
                    "Debian", "a//b", "/a", "a/", "-a", "a-", "a..b", "a___b", "a b", "ä", " a",
                    "a/B",
                ],
            ),
            (
                "no registry",
                &["-x.y/a", "x.y:/a", "x.y:p/a", ".x/a", "[]:1/a", "x:1:2/a", "[::1/a:b/c"],
            ),
            ("no tag", &["a:", "a:.x", "a:-x", "a:b c", "a:b:c", "a:ä", &long]),
            ("no digest", &["a@", "a@sha256", "a@sha256:0", "a@b@c", &short, &upper]),
            ("too long", &[&endless]),
        ];
        for (reason, texts) in table {
            for text in texts {
                let denied = ImageRef::parse(text).expect_err(text).to_string();
                assert!(denied.contains(reason), "{text:?}: {denied}");
            }
        }
    }

    #[test]
    fn a_missing_tag_means_latest_unless_there_is_a_digest() {
        let named = |text: &str| ImageRef::parse(text).unwrap().named().to_string();
        let digest = format!("a@sha256:{HEX}");
        assert_eq!(named("reg:1/a"), "reg:1/a:latest");
        assert_eq!(named("a:2"), "a:2");
        assert_eq!(named(&digest), digest);
    }

    #[test]
    fn another_tag_takes_the_digests_place() {
        let reference = ImageRef::parse(&format!("reg:1/a:2@sha256:{HEX}")).unwrap();
        assert_eq!(reference.with_tag("x").unwrap().to_string(), "reg:1/a:x");
        assert!(reference.with_tag("x/y").is_err());
        assert_eq!(reference.repository(), "reg:1/a");
    }

    #[test]
    fn only_a_reference_with_a_registry_is_remote() {
        let remote = |text: &str| ImageRef::parse(text).unwrap().is_remote();
        assert!(remote("ghcr.io/a") && remote("localhost:5000/a"));
        assert!(!remote("staithe/runtime:1") && !remote("localhost:5000"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "([a-zA-Z0-9:/@._\\[\\]-]|.)*") {
            if let Ok(parsed) = ImageRef::parse(&text) {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(
            domain in proptest::option::of("(localhost|[a-z]{1,5}\\.[a-zA-Z]{1,5}|[a-z]{1,9}:[0-9]{1,5})"),
            path in "[a-z0-9]{1,9}((\\.|_|__|-{1,3}|/)[a-z0-9]{1,9}){0,5}",
            tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"),
            digest in proptest::option::of("sha256:[0-9a-f]{64}"),
        ) {
            // A first part that is this machine's name would be a registry.
            prop_assume!(!path.starts_with("localhost/"));
            // Without a registry, a first part with a dot would be one.
            let first = path.split_once('/').map_or("", |(first, _)| first);
            prop_assume!(domain.is_some() || !first.contains('.'));
            let reference = ImageRef { domain, path, tag, digest };
            prop_assert_eq!(ImageRef::parse(&reference.to_string()), Ok(reference));
        }
    }
}
