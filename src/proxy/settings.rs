//! What the proxy is told by the configuration, and the addresses that follow from it.

use std::time::Duration;

use staithe_protocol::SessionId;

use super::{
    address::{label_below, without_port},
    outside::{Net, Outside},
};

/// See `[proxy]` and `[server]` in `config.toml`.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    /// Below it each port has a host of its own; empty: none.
    pub domain: String,
    /// The control pages as browsers see them; empty: by the request's host.
    pub control_url: String,
    /// The proxy as browsers see it; empty: by the request's host.
    pub sandbox_url: String,
    pub control_port: u16,
    pub sandbox_port: u16,
    /// Further origins that may show sandbox content in a frame.
    pub framers: Vec<String>,
    pub trusted: Vec<Net>,
    pub response_timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub wake_wait: Duration,
    /// Of one session.
    pub max_connections: usize,
    /// Bytes.
    pub max_header: usize,
    /// Whether viewers may use what runs in a sandbox.
    pub viewers: bool,
    /// Ports of this server on the network that sandboxes have, too.
    pub withheld: Vec<u16>,
}

/// A port's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortUrls {
    pub by_path: String,
    pub by_host: Option<String>,
}

impl ProxySettings {
    /// The control pages' origin, for a browser that asked for this.
    pub fn control_origin(&self, outside: &Outside) -> String {
        if !self.control_url.is_empty() {
            return self.control_url.clone();
        }
        let name = match label_below(&outside.host, &self.domain) {
            Some(_) => &self.domain,
            None => without_port(&outside.host),
        };
        format!("{}://{name}:{}", outside.proto, self.control_port)
    }

    /// Where the control pages are for whoever asked this, as they asked.
    pub fn control_base(&self, outside: &Outside) -> String {
        if self.control_url.is_empty() {
            format!("{}://{}", outside.proto, outside.host)
        } else {
            self.control_url.clone()
        }
    }

    /// Who may show sandbox content in a frame.
    pub fn ancestors(&self, outside: &Outside) -> String {
        let control = self.control_origin(outside);
        let origins = [control].into_iter().chain(self.framers.iter().cloned());
        format!("'self' {}", origins.collect::<Vec<_>>().join(" "))
    }

    /// A port's addresses, for whoever asked the control pages by this host.
    pub fn urls(&self, control: &Outside, session: SessionId, port: u16) -> PortUrls {
        let base = self.sandbox_base(control);
        let by_host = (!self.domain.is_empty()).then(|| {
            let (proto, rest) = base.split_once("://").unwrap_or(("http", &base));
            let authority = rest.split('/').next().unwrap_or(rest);
            let listens = &authority[without_port(authority).len()..];
            format!("{proto}://{port}-{session}.{}{listens}/", self.domain)
        });
        PortUrls { by_path: format!("{base}/s/{session}/p/{port}/"), by_host }
    }

    /// The origins of all ports of all sessions, as a policy of a page names them, parted by spaces.
    pub fn origins(&self, control: &Outside) -> String {
        let base = self.sandbox_base(control);
        let (proto, rest) = base.split_once("://").unwrap_or(("http", &base));
        let authority = rest.split('/').next().unwrap_or(rest);
        let listens = &authority[without_port(authority).len()..];
        let hosts =
            (!self.domain.is_empty()).then(|| format!(" {proto}://*.{}{listens}", self.domain));
        format!("{proto}://{authority}{}", hosts.unwrap_or_default())
    }

    /// Where the proxy is, without a slash at the end.
    pub fn sandbox_base(&self, control: &Outside) -> String {
        if self.sandbox_url.is_empty() {
            let name = without_port(&control.host);
            format!("{}://{name}:{}", control.proto, self.sandbox_port)
        } else {
            self.sandbox_url.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(host: &str) -> Outside {
        Outside {
            host: host.into(),
            proto: "http",
            prefix: String::new(),
            chain: String::new(),
            client: [127, 0, 0, 1].into(),
        }
    }

    #[test]
    fn addresses_follow_the_host_that_was_asked_for_or_the_configuration() {
        let id: SessionId = "0190c0de0000700080000000000000aa".parse().unwrap();
        let mut settings =
            ProxySettings { control_port: 3000, sandbox_port: 3001, ..ProxySettings::default() };
        let urls = settings.urls(&outside("[::1]:3000"), id, 80);
        assert_eq!(urls.by_path, format!("http://[::1]:3001/s/{id}/p/80/"));
        assert_eq!(urls.by_host, None);
        assert_eq!(settings.ancestors(&outside("lan:3001")), "'self' http://lan:3000");
        settings.domain = "box.example".into();
        let host = format!("80-{id}.box.example:3001");
        assert_eq!(settings.control_origin(&outside(&host)), "http://box.example:3000");
        let urls = settings.urls(&outside("box.example:3000"), id, 80);
        assert_eq!(urls.by_host, Some(format!("http://{host}/")));
        settings.sandbox_url = "https://sand.example/x".into();
        settings.control_url = "https://box.example".into();
        settings.framers = vec!["https://ui.example".into()];
        let urls = settings.urls(&outside("a"), id, 80);
        assert_eq!(urls.by_path, format!("https://sand.example/x/s/{id}/p/80/"));
        assert_eq!(urls.by_host, Some(format!("https://80-{id}.box.example/")));
        assert_eq!(
            settings.ancestors(&outside("a")),
            "'self' https://box.example https://ui.example"
        );
    }
}
