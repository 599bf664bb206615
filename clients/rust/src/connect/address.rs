//! Addresses of services.

use std::net::IpAddr;

use http::{Uri, uri::Authority};

use crate::Error;

/// Where a service is: `http://` or `https://`, a host, and a port unless it is the scheme's own.
#[derive(Clone, Debug)]
pub struct Address {
    /// As it was given.
    pub url: String,
    /// Host and port, as they stand in it.
    pub authority: Authority,
    /// The host: a name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
}

impl Address {
    /// Read a URL.
    pub fn parse(url: &str) -> Result<Address, Error> {
        let wrong = |reason: &str| Error::Address { url: url.to_owned(), reason: reason.to_owned() };
        let (tls, usual) = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(wrong("it begins with neither http:// nor https://")),
        };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
            return Err(wrong("it has a path, and gRPC has none"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?.clone();
        if authority.as_str().contains('@') {
            return Err(wrong("it holds a name or a password; give a token instead"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let port = authority.port_u16().unwrap_or(usual);
        Ok(Address { url: url.to_owned(), authority, host, port, tls })
    }

    /// Whether what is sent there stays on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_schemes_are_told_apart() {
        let at = |url: &str| Address::parse(url).map(|a| (a.host.clone(), a.port, a.tls, a.is_loopback())).unwrap();
        assert_eq!(at("http://127.0.0.1:7400"), ("127.0.0.1".into(), 7400, false, true));
        assert_eq!(at("https://graft.example.org/"), ("graft.example.org".into(), 443, true, false));
        assert_eq!(at("http://[::1]:7401"), ("::1".into(), 7401, false, true));
        assert_eq!(at("HTTP://LocalHost"), ("LocalHost".into(), 80, false, true));
        assert!(!at("http://localhost.example.org").3 && !at("http://10.0.0.1").3);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let no_addresses = ["nonsense", "127.0.0.1:7400", "ftp://x", "http://", "http://x/graft", "http://a:b@x"];
        for url in no_addresses {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, Error::Address { .. }), "{url}: {error:?}");
        }
        assert!(Address::parse("x").unwrap_err().to_string().contains("https://"));
    }
}
