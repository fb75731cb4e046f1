//! How a request looks from outside: what a proxy before us says, where it is trusted. Pure.

use std::net::{IpAddr, Ipv6Addr};

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

use super::address::without_port;

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The longest chain of addresses that is passed on, in bytes.
const MOST_CHAIN: usize = 1024;

/// Addresses whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    base: u128,
    /// How many leading bits count, of 128.
    bits: u32,
}

impl Net {
    /// `10.0.0.0/8`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (least, most) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let bits = bits.unwrap_or(most);
        (bits <= most).then(|| Self { base: number(address), bits: least + bits })
    }

    /// Whether an address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let differing = self.base ^ number(address);
        self.bits == 0 || differing.leading_zeros() >= self.bits
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

/// A request's outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Name and perhaps port, as the browser asked.
    pub host: String,
    /// `http` or `https`.
    pub proto: &'static str,
    /// What a proxy before us cut off the path; empty, or `/x`.
    pub prefix: String,
    /// The client and the proxies before us, nearest last.
    pub chain: String,
    /// The client's address, as far as it can be known.
    pub client: IpAddr,
}

impl Outside {
    /// Of a request that came from `peer`. None: it has no usable `Host`.
    pub fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[Net]) -> Option<Self> {
        let is_trusted = trusted.iter().any(|net| net.holds(peer));
        let told = |name: &HeaderName| text(headers, name).filter(|_| is_trusted);
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next()?.to_str().ok()?;
        if hosts.next().is_some() {
            return None;
        }
        let host = told(&FORWARDED_HOST).map_or(host, first);
        if !is_authority(host) {
            return None;
        }
        let proto = match told(&FORWARDED_PROTO).map(first) {
            Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
            _ => "http",
        };
        let prefix = told(&FORWARDED_PREFIX).map(first).map(|prefix| prefix.trim_end_matches('/'));
        let prefix = prefix.filter(|prefix| is_prefix(prefix)).unwrap_or_default().to_owned();
        let before = told(&FORWARDED_FOR).filter(|chain| chain.len() <= MOST_CHAIN);
        let chain = before.map_or_else(|| peer.to_string(), |chain| format!("{chain}, {peer}"));
        let client = before.and_then(|chain| nearest_stranger(chain, trusted)).unwrap_or(peer);
        Some(Self { host: host.to_owned(), proto, prefix, chain, client })
    }

    /// The port that the browser used.
    pub fn port(&self) -> &str {
        let port = &self.host[without_port(&self.host).len()..];
        match port.strip_prefix(':') {
            Some(port) if !port.is_empty() => port,
            _ if self.proto == "https" => "443",
            _ => "80",
        }
    }
}

/// Whoever is not one of the trusted proxies, nearest to us.
fn nearest_stranger(chain: &str, trusted: &[Net]) -> Option<IpAddr> {
    let mut addresses = chain.rsplit(',').map_while(|it| it.trim().parse::<IpAddr>().ok());
    addresses.find(|address| !trusted.iter().any(|net| net.holds(*address)))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first of a list: that of the proxy which is nearest to the client.
fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

fn is_authority(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

fn is_prefix(prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
    prefix.starts_with('/')
        && !prefix.starts_with("//")
        && prefix.len() <= 255
        && prefix.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(headers: &[(&'static str, &str)], trusted: &[&str]) -> Option<Outside> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|net| Net::parse(net).unwrap()).collect();
        Outside::of(&map, "10.1.2.3".parse().unwrap(), &trusted)
    }

    const ALL: [(&str, &str); 5] = [
        ("host", "inside:3001"),
        ("x-forwarded-host", "box.example, other"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/below/"),
        ("x-forwarded-for", "192.0.2.9, 203.0.113.5, 10.9.9.9"),
    ];

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let told = outside(&ALL, &["10.0.0.0/8"]).unwrap();
        assert_eq!(
            (told.host.as_str(), told.proto, told.prefix.as_str()),
            ("box.example", "https", "/below")
        );
        assert_eq!(told.port(), "443");
        assert_eq!(told.chain, "192.0.2.9, 203.0.113.5, 10.9.9.9, 10.1.2.3");
        assert_eq!(told.client.to_string(), "203.0.113.5", "the nearest that is no proxy of ours");
        for trusted in [&[][..], &["11.0.0.0/8"], &["10.1.2.4"]] {
            let told = outside(&ALL, trusted).unwrap();
            assert_eq!(
                (told.host.as_str(), told.proto, told.prefix.as_str()),
                ("inside:3001", "http", "")
            );
            assert_eq!((told.chain.as_str(), told.port()), ("10.1.2.3", "3001"));
        }
    }

    #[test]
    fn an_odd_host_is_none() {
        for hosts in [&[][..], &[""], &["a b"], &["a/b"], &["a", "b"], &["u@a"], &["a?b"]] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(outside(&headers, &[]), None, "{hosts:?}");
        }
        for prefix in ["below", "//evil", "/a b", "/a\"b"] {
            let told = outside(&[("host", "h"), ("x-forwarded-prefix", prefix)], &["10.0.0.0/8"]);
            assert_eq!(told.unwrap().prefix, "", "{prefix}");
        }
    }

    #[test]
    fn nets_hold_their_addresses() {
        let net = |text| Net::parse(text).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(
            net("10.0.0.0/8").holds(ip("10.255.0.1")) && !net("10.0.0.0/8").holds(ip("11.0.0.1"))
        );
        assert!(net("::1").holds(ip("::1")) && net("fd00::/8").holds(ip("fd12::1")));
        assert!(
            net("127.0.0.1").holds(ip("::ffff:127.0.0.1")) && !net("0.0.0.0/0").holds(ip("::1"))
        );
        for bad in ["10.0.0.0/33", "x", "", "10.0.0.0/", "::/129"] {
            assert_eq!(Net::parse(bad), None, "{bad}");
        }
    }
}
