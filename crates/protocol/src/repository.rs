//! Where a repository is cloned from: the one reading of such a URL, for who takes it and who gives it to git.
//!
//! It stands in the log and in the clone's own configuration, so a password in it is refused in every form.

/// A URL that git may be given, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepositoryUrl<'a> {
    pub scheme: Scheme,
    /// As it is written: a name, an IPv4 address, or an IPv6 address in brackets.
    pub host: &'a str,
    /// Host and port as they are written.
    authority: &'a str,
    /// Where it is not the scheme's own.
    pub port: Option<u16>,
}

/// How it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Http,
    /// `ssh://[user@]host[:port]/path`, or `git@host:path`.
    Ssh,
}

/// Longest, in bytes.
const MOST: usize = 1000;

impl<'a> RepositoryUrl<'a> {
    /// Reads one; none where it is no URL that git may be given: of another scheme, with a password (over http with a
    /// user too: that may be a token), with what a shell or git would take for something else.
    pub fn read(text: &'a str) -> Option<Self> {
        if text.len() > MOST || !text.bytes().all(|byte| is_plain(byte) || b"[]".contains(&byte)) {
            return None;
        }
        if let Some(rest) = text.strip_prefix("git@") {
            let (host, path) = rest.split_once(':')?;
            let good = is_name(host) && !path.is_empty() && path.bytes().all(is_plain);
            return good.then_some(Self { scheme: Scheme::Ssh, host, authority: host, port: None });
        }
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.bytes().all(is_plain) {
            return None;
        }
        let (scheme, usual) = match scheme {
            "https" => (Scheme::Https, 443),
            "http" => (Scheme::Http, 80),
            "ssh" => (Scheme::Ssh, 22),
            _ => return None,
        };
        let authority = match authority.split_once('@') {
            Some((user, address)) if scheme == Scheme::Ssh && is_name(user) => address,
            Some(_) => return None,
            None => authority,
        };
        let (host, port) = host_and_port(authority)?;
        Some(Self { scheme, host, authority, port: port.filter(|port| *port != usual) })
    }

    /// Host, and port where it is not the scheme's own, in lower case: `git.example`, `git.example:8443`.
    pub fn place(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// As git asks for a token by: `https://git.example:8443`.
    pub fn origin(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
        };
        format!("{scheme}://{}", self.authority)
    }

    /// Whether a token may be sent there: nobody listens in on the way.
    pub fn keeps_secrets(&self) -> bool {
        match self.scheme {
            Scheme::Https => true,
            Scheme::Http => {
                ["localhost", "127.0.0.1", "[::1]"].contains(&&*self.host.to_ascii_lowercase())
            }
            Scheme::Ssh => false,
        }
    }
}

/// What is safe between single quotes, in a path or anywhere else.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/:@%+".contains(&byte)
}

/// A host's or a user's.
fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(good)
}

fn host_and_port(address: &str) -> Option<(&str, Option<u16>)> {
    let end = if address.starts_with('[') {
        let end = address.find(']')? + 1;
        let inner = &address[1..end - 1];
        inner.parse::<std::net::Ipv6Addr>().ok()?;
        end
    } else {
        let end = address.find(':').unwrap_or(address.len());
        if !is_name(&address[..end]) {
            return None;
        }
        end
    };
    let (host, rest) = address.split_at(end);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        _ => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_read_with_its_place() {
        for (url, scheme, place, keeps) in [
            ("https://git.example/a/b.git", Scheme::Https, "git.example", true),
            ("https://Git.Example:8443/a", Scheme::Https, "git.example:8443", true),
            ("https://git.example:443/a", Scheme::Https, "git.example", true),
            ("http://git.example/a", Scheme::Http, "git.example", false),
            ("http://127.0.0.1:80/a", Scheme::Http, "127.0.0.1", true),
            ("http://[::1]:3000/a", Scheme::Http, "[::1]:3000", true),
            ("http://localhost.evil.example/a", Scheme::Http, "localhost.evil.example", false),
            ("ssh://git@git.example/a", Scheme::Ssh, "git.example", false),
            ("ssh://git.example:2222/a", Scheme::Ssh, "git.example:2222", false),
            ("git@git.example:a/b", Scheme::Ssh, "git.example", false),
        ] {
            let read = RepositoryUrl::read(url).unwrap_or_else(|| panic!("{url}"));
            let told = (read.scheme, read.place(), read.keeps_secrets());
            assert_eq!(told, (scheme, place.to_owned(), keeps), "{url}");
        }
    }

    #[test]
    fn what_holds_a_password_or_a_trap_is_none() {
        for url in [
            "",
            "git.example/a",
            "https://",
            "https:///a",
            "https://ann@h/a",
            "https://ann:secret@h/a",
            "ssh://ann:secret@h/a",
            "ssh://ann%3Asecret@h/a",
            "ssh://a@b@h/a",
            "ssh://:secret@h/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://-x@h/a",
            "git@ann:",
            "git@h/a",
            "git@-x:a",
            "git@ann@h:a",
            "--upload-pack=x",
            "file:///etc",
            "ext::sh -c x",
            "https://h:x/a",
            "https://h:70000/a",
            "https://h:/a",
            "https://[::1/a",
            "https://[x]/a",
            "https://h/a?token=x",
            "https://h/a#x",
            "https://h/a'b",
            "https://h/a\nb",
            "HTTPS://h/a",
        ] {
            assert_eq!(RepositoryUrl::read(url), None, "{url}");
        }
    }

    proptest! {
        /// Whatever is before the host: a password never gets through.
        #[test]
        fn no_authority_with_a_password_is_read(
            scheme in "(https|http|ssh)",
            user in "[a-z%3A:@]{0,6}",
            secret in "[a-zA-Z0-9%]{1,8}",
        ) {
            let url = format!("{scheme}://{user}:{secret}@host/x");
            prop_assert_eq!(RepositoryUrl::read(&url), None);
        }

        #[test]
        fn nothing_stops_the_reader(text in "(https://|ssh://|git@|http://)?[ -~\\[\\]:@/]{0,24}") {
            if let Some(read) = RepositoryUrl::read(&text) {
                prop_assert!(text.contains(read.host) && !read.host.is_empty());
                prop_assert!(!read.host.contains(['@', '/', '\'', ' ']));
            }
        }
    }
}
