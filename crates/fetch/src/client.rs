//! Requests over HTTP.

use crate::FetchError;
use crate::patience::{Clock, Patience, is_busy};
use emorun_files::read_regular;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

/// Longest wait for an address and for a connection.
const TO_CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an answer and between two pieces of a file.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most redirects in a row.
const REDIRECTS: usize = 8;
/// Largest file of certificates; all that browsers trust have a quarter of a mebibyte.
const MOST_PEM: u64 = 16 << 20;

/// How the network is reached.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Whether HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
    pub proxy_from_env: bool,
    /// PEM file of certificates to trust instead of the built-in ones, for networks that open TLS.
    pub certificates: Option<PathBuf>,
    /// By what busy servers are waited for.
    pub clock: Clock,
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
            clock: Clock::default(),
        }
    }

    /// What sends requests: it follows no redirects, and answers of every status are answers.
    ///
    /// # Errors
    /// The file of certificates cannot be read or holds none.
    pub fn agent(&self) -> Result<Agent, FetchError> {
        let roots = match &self.certificates {
            None => RootCerts::WebPki,
            Some(path) => {
                let pem = read_regular(path, MOST_PEM).map_err(FetchError::io("read the certificates in", path))?;
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
            .proxy(if self.proxy_from_env {
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
        Ok(Agent::new_with_config(config))
    }
}

/// Sends requests. Connections are kept and shared between threads.
pub struct Client {
    agent: Agent,
    /// Who may see the token, and the token.
    credential: Option<(String, String)>,
    pub(crate) clock: Clock,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The connection failed; another one may not.
    Broke(String),
    /// The way to the file is not gone, and would not be the next time.
    Refused(String),
}

impl Client {
    /// A client that shows `token` to the server at `endpoint` and to no other.
    ///
    /// # Errors
    /// The file of certificates cannot be read or holds none.
    pub fn new(network: &Network, endpoint: &str, token: Option<&str>) -> Result<Self, FetchError> {
        Ok(Self {
            agent: network.agent()?,
            credential: token.map(|token| (origin(endpoint).to_owned(), token.to_owned())),
            clock: network.clock.clone(),
        })
    }

    /// The headers of an answer; redirects are not followed. A busy server is asked again, as late as it asks for, else
    /// after longer and longer times; `on_wait` hears of each.
    ///
    /// # Errors
    /// The server cannot be reached, does not speak HTTP or stays busy; why, in words.
    pub fn head(&self, url: &str, on_wait: &mut dyn FnMut(StatusCode, Duration)) -> Result<Response<Body>, String> {
        let mut patience = Patience::default();
        loop {
            let mut request = self.agent.head(url).header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token_for(url) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| error.to_string())?;
            let status = response.status();
            if !is_busy(status) {
                return Ok(response);
            }
            let wait = patience.next(status, response.headers(), self.clock.now())?;
            on_wait(status, wait);
            self.clock.sleep(wait);
        }
    }

    /// The bytes of a file from `from` on; the answer may as well begin at 0, and does so where the file no longer has
    /// the tag or time `unchanged`. Redirects are followed.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn get(&self, url: &str, from: u64, unchanged: Option<&str>) -> Result<Response<Body>, NoAnswer> {
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
            let response = request.call().map_err(|error| NoAnswer::Broke(error.to_string()))?;
            match redirect(&url, &response).map_err(NoAnswer::Refused)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(NoAnswer::Refused(format!("more than {REDIRECTS} redirects in a row")))
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

/// Where a redirect leads; none where the answer is no redirect.
///
/// # Errors
/// It leads from HTTPS to HTTP, where anybody in between could change what comes, or to what is no web address.
pub fn redirect(url: &str, response: &Response<Body>) -> Result<Option<String>, String> {
    let location = text(response.headers(), "location").filter(|_| response.status().is_redirection());
    let Some(to) = location.map(|to| target(url, to)) else {
        return Ok(None);
    };
    let shown = || to.chars().take(200).collect::<String>();
    let host = origin(&to).split("://").nth(1).unwrap_or_default();
    match (scheme(url).as_deref(), scheme(&to).as_deref()) {
        (Some("https"), Some("http")) => Err(format!(
            "it redirects from HTTPS to HTTP (`{}`), where anybody on the way could change what comes",
            shown()
        )),
        // What stands before an `@` looks like the host to whoever reads it.
        (_, Some("http" | "https")) if !host.is_empty() && !host.contains('@') => Ok(Some(to)),
        _ => Err(format!("it redirects to `{}`, which is no web address", shown())),
    }
}

/// The scheme of an absolute address, in lower case.
fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// An address as seen from another.
fn target(url: &str, to: &str) -> String {
    if scheme(to).is_some() {
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
        let (path, rest) = to.split_at(to.find(['?', '#']).unwrap_or(to.len()));
        for part in path.split('/') {
            match part {
                "." => {}
                ".." if folders.len() > 1 => drop(folders.pop()),
                ".." => {}
                part => folders.push(part),
            }
        }
        format!("{start}{}{rest}", folders.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(location: &str) -> Response<Body> {
        Response::builder()
            .status(302)
            .header("location", location)
            .body(Body::builder().data(Vec::new()))
            .unwrap()
    }

    #[test]
    fn redirects_lead_to_web_addresses_as_rfc_3986_resolves_them() {
        for (url, location, expected) in [
            ("http://a/b/c", "https://d/e", "https://d/e"),
            ("https://a/b/c", "HTTPS://d/e", "HTTPS://d/e"),
            ("https://a/b/c", "//d/e", "https://d/e"),
            ("https://a/b/c?x=1", "/e", "https://a/e"),
            ("https://a/b/c/d", "../e", "https://a/b/e"),
            ("https://a/b", "e?to=../x", "https://a/e?to=../x"),
            (
                "https://a/b",
                "/login?next=http://a/b",
                "https://a/login?next=http://a/b",
            ),
        ] {
            assert_eq!(redirect(url, &answer(location)).unwrap().unwrap(), expected);
        }
    }

    #[test]
    fn redirects_that_lose_encryption_or_leave_the_web_are_refused() {
        for (url, location, part) in [
            ("https://a/b", "http://a/b", "from HTTPS to HTTP"),
            ("HTTPS://a/b", "HTTP://a/b", "from HTTPS to HTTP"),
            ("https://a/b", "file:///etc/passwd", "no web address"),
            ("http://a/b", "ftp://a/b", "no web address"),
            ("https://a/b", "https://a@evil/b", "no web address"),
            ("https://a/b", "https:///b", "no web address"),
        ] {
            let error = redirect(url, &answer(location)).unwrap_err();
            assert!(error.contains(part), "{location}: {error}");
        }
    }
}
