//! What the proxy is told by the configuration.

use hyper::http::Uri;

use super::Config;
use crate::proxy::{outside::Net, settings::ProxySettings};

impl Config {
    /// The proxy's part, once the ports of both listeners are known. `withheld`: those of them that sandboxes
    /// reach.
    pub fn proxy(
        &self,
        [control_port, sandbox_port]: [u16; 2],
        withheld: Vec<u16>,
    ) -> ProxySettings {
        let (server, proxy) = (&self.server, &self.proxy);
        let some = |span: super::Span| (!span.0.is_zero()).then_some(span.0);
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        ProxySettings {
            domain: server.sandbox_domain.to_ascii_lowercase(),
            control_url: bare(&server.control_url),
            sandbox_url: bare(&server.sandbox_url),
            control_port,
            sandbox_port,
            framers: server.allowed_origins.clone(),
            trusted: server.trusted_proxies.iter().filter_map(|net| Net::parse(net)).collect(),
            response_timeout: some(proxy.response_timeout),
            idle_timeout: some(proxy.idle_timeout),
            wake_wait: proxy.wake_wait.0,
            max_connections: proxy.max_connections,
            max_header: usize::try_from(proxy.max_header.0).unwrap_or(usize::MAX),
            viewers: proxy.allow_viewers,
            withheld: [withheld, proxy.ignored_ports.clone()].concat(),
        }
    }

    /// Those of the server's ports that sandboxes reach: where their network is the machine's, all.
    pub fn ports_that_sandboxes_reach(&self, engine: &str, ports: [u16; 2]) -> Vec<u16> {
        let network = match engine {
            "local" => &self.sandbox.local.network,
            _ => &self.sandbox.docker.network,
        };
        if network == "host" { ports.to_vec() } else { Vec::new() }
    }

    /// What is wrong with it.
    pub(super) fn proxy_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |fine: bool, fault: &str| {
            if !fine {
                faults.push(fault.to_owned());
            }
        };
        let is_url = |url: &str| {
            url.parse::<Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
                    && uri.query().is_none()
            })
        };
        let (server, proxy) = (&self.server, &self.proxy);
        for (key, url) in
            [("control_url", &server.control_url), ("sandbox_url", &server.sandbox_url)]
        {
            check(
                url.is_empty() || is_url(url),
                &format!("server.{key}: an address like https://host is expected"),
            );
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let domain = &server.sandbox_domain;
        check(
            domain.is_empty() || (domain.len() <= 200 && domain.split('.').all(is_label)),
            "server.sandbox_domain: a domain like box.example.org is expected",
        );
        for net in &server.trusted_proxies {
            check(
                Net::parse(net).is_some(),
                &format!("server.trusted_proxies: {net} is no address, nor one with a length"),
            );
        }
        check(proxy.max_connections > 0, "proxy.max_connections: must be at least 1");
        let header = proxy.max_header.0;
        check((8 * 1024..=1024 * 1024).contains(&header), "proxy.max_header: from 8KiB to 1MiB");
        let every = proxy.find_ports_every.0;
        check(
            every.is_zero() || every.as_millis() >= 100,
            "proxy.find_ports_every: 0s, or at least 100ms",
        );
        faults
    }
}
