//! A connection to a server by the address that a person gave: plain, or with TLS and the machine's authorities.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{InvalidDnsNameError, ServerName},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What bytes go over.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    is_tls: bool,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    /// As it stands in the header `Host`.
    pub(crate) authority: String,
}

impl Address {
    /// Of `http://host`, `https://host` and either with a port. An error says what is expected.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "--url: {url:?} is no address such as http://127.0.0.1:3000 or https://staithe.example"
            )
        };
        let plain = url.strip_prefix("http://").map(|rest| (rest, false));
        let with_tls = url.strip_prefix("https://").map(|rest| (rest, true));
        let (authority, is_tls) = plain.or(with_tls).ok_or_else(expected)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let usual = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, "")) => (host, usual),
            Some((host, port)) => {
                let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
                (host, port.ok_or_else(expected)?)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| expected())?),
                None => (authority, usual),
            },
        };
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(is_known) {
            return Err(expected());
        }
        Ok(Self { is_tls, host: host.to_owned(), port, authority: authority.to_owned() })
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Carrier>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        if !self.is_tls {
            return Ok(Box::new(stream));
        }
        let wrong = |error: InvalidDnsNameError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let name = ServerName::try_from(self.host.clone()).map_err(wrong)?;
        Ok(Box::new(tls()?.connect(name, stream).await?))
    }
}

fn tls() -> io::Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(io::Error::other)?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_usual_port_and_nothing_beside_it() {
        for (url, is_tls, host, port, authority) in [
            ("http://127.0.0.1:3000", false, "127.0.0.1", 3000, "127.0.0.1:3000"),
            ("http://box/", false, "box", 80, "box"),
            ("https://staithe.example", true, "staithe.example", 443, "staithe.example"),
            (
                "https://staithe.example:8443/",
                true,
                "staithe.example",
                8443,
                "staithe.example:8443",
            ),
            ("http://[::1]:3000", false, "::1", 3000, "[::1]:3000"),
            ("https://[::1]", true, "::1", 443, "[::1]"),
        ] {
            let (host, authority) = (host.to_owned(), authority.to_owned());
            assert_eq!(Address::parse(url), Ok(Address { is_tls, host, port, authority }), "{url}");
        }
        for url in [
            "",
            "box:3000",
            "ftp://box",
            "http://",
            "http://:80",
            "http://box:x",
            "http://box:70000",
            "http://a/b",
            "http://user@box",
            "http://box?x",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
            "http://box\r\nx: y",
        ] {
            assert!(Address::parse(url).is_err_and(|why| why.contains("is no address")), "{url}");
        }
    }
}
