//! What the proxy is told by the configuration.

use hyper::http::Uri;

use super::Config;
use crate::proxy::{outside::Net, settings::ProxySettings};

/// Most tunnels that a runner keeps open at a time.
const MOST_CONNECTIONS: usize = 512;

/// An address's scheme, host and port. None: it is none of ours.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let host = uri.host()?.trim_end_matches('.').to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, host, port))
}

/// Whether a host is this domain, or a name below it.
fn is_within(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(&domain.to_ascii_lowercase());
    !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

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
        let is_bare = |url: &str| url.parse::<Uri>().is_ok_and(|uri| uri.path() == "/");
        check(
            !is_url(&server.control_url) || is_bare(&server.control_url),
            "server.control_url: an origin without a path is expected",
        );
        let control = origin(&server.control_url);
        check(
            control.is_none() || control != origin(&server.sandbox_url),
            "server.sandbox_url: must be another origin than server.control_url, or what runs in \
             sandboxes acts as whoever is signed in",
        );
        check(
            !control.is_some_and(|(_, host, _)| is_within(&host, &server.sandbox_domain)),
            "server.sandbox_domain: must not hold the host of server.control_url, or sandboxes set \
             cookies for it",
        );
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
        check(
            (1..=MOST_CONNECTIONS).contains(&proxy.max_connections),
            &format!("proxy.max_connections: from 1 to {MOST_CONNECTIONS}"),
        );
        check(!proxy.ignored_ports.contains(&0), "proxy.ignored_ports: a port is at least 1");
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

#[cfg(test)]
mod tests {
    use crate::config::{
        Config,
        load::{Overrides, load},
    };

    fn faults(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = load(None, &Overrides::default()).expect("the default");
        change(&mut config);
        config.faults()
    }

    #[test]
    fn sandbox_content_is_never_on_the_control_pages_origin() {
        let told = |control: &str, sandbox: &str, domain: &str| {
            faults(|config| {
                config.server.control_url = control.into();
                config.server.sandbox_url = sandbox.into();
                config.server.sandbox_domain = domain.into();
            })
        };
        for (control, sandbox, domain, key) in [
            ("https://h.example", "https://h.example", "", "server.sandbox_url"),
            ("https://h.example/", "https://H.example:443/x", "", "server.sandbox_url"),
            ("https://h.example", "", "h.example", "server.sandbox_domain"),
            ("https://h.example", "", "Example", "server.sandbox_domain"),
            ("https://h.example/x", "", "", "server.control_url"),
        ] {
            let told = told(control, sandbox, domain);
            assert!(told.len() == 1 && told[0].starts_with(key), "{control} {sandbox}: {told:?}");
        }
        for (control, sandbox, domain) in [
            ("", "", ""),
            ("https://h.example", "https://h.example:3001/x", "box.h.example"),
            ("https://h.example", "https://s.example", "box.example"),
            ("https://abox.example", "", "box.example"),
        ] {
            assert_eq!(told(control, sandbox, domain), [""; 0], "{control} {sandbox} {domain}");
        }
    }

    #[test]
    fn what_no_runner_can_keep_is_a_fault() {
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 8] = [
            (|it| it.proxy.max_connections = 0, "proxy.max_connections"),
            (|it| it.proxy.max_connections = usize::MAX, "proxy.max_connections"),
            (|it| it.proxy.ignored_ports = vec![80, 0], "proxy.ignored_ports"),
            (|it| it.sandbox.terminals.max = 0, "sandbox.terminals.max"),
            (|it| it.sandbox.terminals.max = 100_000, "sandbox.terminals.max"),
            (|it| it.sandbox.watch.max_entries = 0, "sandbox.watch.max_entries"),
            (
                |it| it.sandbox.watch.poll_every.0 = std::time::Duration::ZERO,
                "sandbox.watch.poll_every",
            ),
            (
                |it| it.sandbox.terminals.grace.0 = std::time::Duration::from_hours(1),
                "sandbox.terminals.grace",
            ),
        ];
        for (change, key) in cases {
            let told = faults(change);
            assert!(told.len() == 1 && told[0].starts_with(key), "{key}: {told:?}");
        }
    }
}
