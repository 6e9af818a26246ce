//! Requests over HTTP.

use crate::FetchError;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

/// Longest wait for an address and for a connection.
const TO_CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an answer and between two pieces of a file.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most redirects in a row.
const REDIRECTS: usize = 8;

/// How the network is reached.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Whether HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
    pub proxy_from_env: bool,
    /// PEM file of certificates to trust instead of the built-in ones, for networks that open TLS.
    pub certificates: Option<PathBuf>,
}

impl Network {
    /// Obeys the proxy variables, and `REQUESTS_CA_BUNDLE` or `SSL_CERT_FILE`.
    #[must_use]
    pub fn from_env() -> Self {
        let path = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            proxy_from_env: true,
            certificates: path("REQUESTS_CA_BUNDLE").or_else(|| path("SSL_CERT_FILE")),
        }
    }
}

/// Sends requests. Connections are kept and shared between threads.
pub struct Client {
    agent: Agent,
    /// Who may see the token, and the token.
    credential: Option<(String, String)>,
}

impl Client {
    /// A client that shows `token` to the server at `endpoint` and to no other.
    ///
    /// # Errors
    /// The file of certificates cannot be read or holds none.
    pub fn new(network: &Network, endpoint: &str, token: Option<&str>) -> Result<Self, FetchError> {
        let roots = match &network.certificates {
            None => RootCerts::WebPki,
            Some(path) => {
                let pem = std::fs::read(path).map_err(FetchError::io("read the certificates in", path))?;
                let certificates: Vec<_> = parse_pem(&pem)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if certificates.is_empty() {
                    return Err(FetchError::Certificates { path: path.clone() });
                }
                RootCerts::new_with_certs(&certificates)
            }
        };
        let config = Agent::config_builder()
            .user_agent(concat!("emorun/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(if network.proxy_from_env {
                Proxy::try_from_env()
            } else {
                None
            })
            .http_status_as_error(false)
            // Redirects are followed here: they decide who may see the token, and whose word on the hash counts.
            .max_redirects(0)
            .timeout_resolve(Some(TO_CONNECT))
            .timeout_connect(Some(TO_CONNECT))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            credential: token.map(|token| (origin(endpoint).to_owned(), token.to_owned())),
        })
    }

    /// The headers of an answer; redirects are not followed.
    ///
    /// # Errors
    /// The server cannot be reached or does not speak HTTP.
    pub fn head(&self, url: &str) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.head(url).header(header::ACCEPT_ENCODING, "identity");
        if let Some(token) = self.token_for(url) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call()
    }

    /// The bytes of a file from `from` on; the answer may as well begin at 0, and does so where the file no longer has
    /// the tag or time `unchanged`. Redirects are followed.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub fn get(&self, url: &str, from: u64, unchanged: Option<&str>) -> Result<Response<Body>, String> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let mut request = self.agent.get(&url).header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token_for(&url) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
                if let Some(unchanged) = unchanged {
                    request = request.header(header::IF_RANGE, unchanged);
                }
            }
            let response = request.call().map_err(|error| error.to_string())?;
            match redirect(&url, &response) {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(format!("more than {REDIRECTS} redirects in a row"))
    }

    fn token_for(&self, url: &str) -> Option<&str> {
        let (endpoint, token) = self.credential.as_ref()?;
        (origin(url) == endpoint).then_some(token)
    }
}

/// The text of a header.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Scheme, host and port of an address.
#[must_use]
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Where a redirect leads.
#[must_use]
pub fn redirect(url: &str, response: &Response<Body>) -> Option<String> {
    let to = text(response.headers(), "location").filter(|_| response.status().is_redirection())?;
    Some(if to.contains("://") {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{}{to}", url.split("//").next().unwrap_or_default())
    } else if to.starts_with('/') {
        format!("{}{to}", origin(url))
    } else {
        let start = origin(url);
        let path = url[start.len()..].split(['?', '#']).next().unwrap_or_default();
        let mut folders: Vec<&str> = path.split('/').collect();
        folders.pop();
        for part in to.split('/') {
            match part {
                "." => {}
                ".." if folders.len() > 1 => drop(folders.pop()),
                ".." => {}
                part => folders.push(part),
            }
        }
        format!("{start}{}", folders.join("/"))
    })
}
