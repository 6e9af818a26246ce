//! Who may ask: hosts and origins against other sites' pages, a token against everybody else.

use std::net::SocketAddr;

use axum::http::{HeaderMap, StatusCode, Uri, header};

use crate::problem::Problem;
use crate::token::Token;

/// Subprotocol of streams.
pub(crate) const STREAM_PROTOCOL: &str = "emorun.stream";
/// A page cannot send headers with a WebSocket: it shows the token as a subprotocol, this and the token in hexadecimal.
const TOKEN_PROTOCOL: &str = "emorun.token.";

/// What decides who may ask.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// Values of `Host` that are this server's; any where there are none.
    hosts: Vec<String>,
    token: Option<Token>,
}

/// Why a server does not start where it was told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Others could reach it, and it has no token.
    #[error(
        "{0} can be reached from other machines: give a token by --token-file or in EMORUN_TOKEN (made with `openssl rand -hex 32`), or listen at 127.0.0.1"
    )]
    NeedsToken(String),
    /// A host that is none.
    #[error("`{0}` is no name of a host, such as speech.example.org or speech.example.org:8443")]
    Host(String),
}

impl Gate {
    /// For a server that listens at an address, and is reached under further names of hosts, such as behind a proxy.
    ///
    /// # Errors
    /// It can be reached from other machines and has no token; a name is none.
    pub fn new(address: SocketAddr, names: &[String], token: Option<Token>) -> Result<Self, GateError> {
        let is_local = address.ip().is_loopback();
        if token.is_none() && !(is_local && names.is_empty()) {
            let what = names.first().cloned().unwrap_or_else(|| address.to_string());
            return Err(GateError::NeedsToken(what));
        }
        for name in names {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_part) {
                return Err(GateError::Host(name.clone()));
            }
        }
        // Beyond this machine it has names that nobody can list; there the token keeps other sites' pages out.
        let mut hosts = Vec::new();
        if is_local {
            let port = address.port();
            let local = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
            let own = std::iter::once(match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            });
            hosts.extend(local.into_iter().chain(own).map(|name| format!("{name}:{port}")));
            hosts.extend(names.iter().map(|name| name.to_lowercase()));
        }
        Ok(Self { hosts, token })
    }

    /// Refuses what another site's page makes a browser send here, also under a name of its own that it lets point to this
    /// machine.
    ///
    /// # Errors
    /// The request's host or origin is another one.
    pub fn check_site(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        let forbidden = |message: &str| Problem::new(StatusCode::FORBIDDEN, "other_site", message);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = uri.authority().map(|authority| authority.as_str()).or(host);
        let host = host
            .ok_or_else(|| Problem::bad("the request has no Host"))?
            .to_lowercase();
        // A browser leaves the usual port out.
        let is_same = |known: &String| *known == host || known.strip_suffix(":80") == Some(host.as_str());
        if !self.hosts.is_empty() && !self.hosts.iter().any(is_same) {
            return Err(forbidden(
                "this server answers at its own address only; behind a proxy, name the host with --host",
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default().to_lowercase();
        let of = |scheme: &str| origin.strip_prefix(scheme) == Some(host.as_str());
        if of("http://") || of("https://") {
            Ok(())
        } else {
            Err(forbidden("requests of pages come from this server's own page only"))
        }
    }

    /// Refuses who does not show the token, if there is one.
    ///
    /// # Errors
    /// No token, or another one.
    pub fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let shown = bearer(headers).or_else(|| in_protocols(headers));
        match shown {
            Some(shown) if token.is(&shown) => Ok(()),
            shown => {
                let message = match shown {
                    Some(_) => "this is not the server's token",
                    None => "a token is needed: send it as `Authorization: Bearer TOKEN`",
                };
                Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message))
            }
        }
    }
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.to_vec())
}

/// The token among the subprotocols that a WebSocket offers.
fn in_protocols(headers: &HeaderMap) -> Option<Vec<u8>> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|value| value.split(',')).map(str::trim);
    let digits = offered.find_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL))?;
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn nobody_listens_beyond_this_machine_without_a_token() {
        let token = Some(Token::new("s3cret").unwrap());
        for beyond in ["0.0.0.0:80", "[::]:80", "192.168.1.7:8080"] {
            assert!(matches!(
                Gate::new(local(beyond), &[], None),
                Err(GateError::NeedsToken(_))
            ));
            assert!(Gate::new(local(beyond), &[], token.clone()).is_ok());
        }
        for here in ["127.0.0.1:80", "[::1]:80", "127.8.8.8:1"] {
            assert!(Gate::new(local(here), &[], None).is_ok());
        }
        // A proxy makes it reachable.
        let names = ["speech.example.org".to_owned()];
        assert!(Gate::new(local("127.0.0.1:80"), &names, None).is_err());
        assert!(Gate::new(local("127.0.0.1:80"), &names, token.clone()).is_ok());
        let wrong = ["a b".to_owned()];
        assert_eq!(
            Gate::new(local("127.0.0.1:80"), &wrong, token).unwrap_err(),
            GateError::Host("a b".to_owned())
        );
    }

    #[test]
    fn other_hosts_and_origins_are_refused() {
        let gate = Gate::new(local("127.0.0.1:8080"), &[], None).unwrap();
        let asked = |pairs: &[(&'static str, &str)]| gate.check_site(&headers(pairs), &Uri::from_static("/")).is_ok();
        assert!(asked(&[("host", "127.0.0.1:8080")]));
        assert!(asked(&[
            ("host", "LOCALHOST:8080"),
            ("origin", "http://localhost:8080")
        ]));
        for host in [
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.0.0.1.evil.example:8080",
            "",
        ] {
            assert!(!asked(&[("host", host)]), "{host}");
        }
        assert!(!asked(&[]));
        for origin in [
            "null",
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://localhost:8080",
            "file://",
        ] {
            assert!(!asked(&[("host", "127.0.0.1:8080"), ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn behind_a_proxy_its_host_is_known_too() {
        let names = ["speech.example.org".to_owned()];
        let gate = Gate::new(local("127.0.0.1:80"), &names, Some(Token::new("s3cret").unwrap())).unwrap();
        let asked = |pairs: &[(&'static str, &str)]| gate.check_site(&headers(pairs), &Uri::from_static("/")).is_ok();
        assert!(asked(&[
            ("host", "speech.example.org"),
            ("origin", "https://speech.example.org")
        ]));
        assert!(asked(&[("host", "localhost"), ("origin", "http://localhost")]));
        assert!(!asked(&[("host", "other.example.org")]));
    }

    #[test]
    fn the_token_is_shown_as_bearer_or_as_a_subprotocol() {
        let gate = Gate::new(local("0.0.0.0:80"), &[], Some(Token::new("s3c").unwrap())).unwrap();
        let asked = |pairs: &[(&'static str, &str)]| gate.check_token(&headers(pairs)).is_ok();
        assert!(asked(&[("authorization", "Bearer s3c")]));
        assert!(asked(&[("authorization", "bearer s3c")]));
        assert!(asked(&[(
            "sec-websocket-protocol",
            "emorun.stream, emorun.token.733363"
        )]));
        for wrong in ["Bearer s3", "Bearer s3cc", "Bearer", "Basic s3c", "s3c", "Bearer  s3c"] {
            assert!(!asked(&[("authorization", wrong)]), "{wrong}");
        }
        for wrong in [
            "emorun.token.",
            "emorun.token.73336",
            "emorun.token.+7+3",
            "733363",
            "emorun.token.é",
        ] {
            assert!(!asked(&[("sec-websocket-protocol", wrong)]), "{wrong}");
        }
        assert!(!asked(&[]));
    }
}
