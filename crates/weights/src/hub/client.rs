//! Requests to the Hub.

use super::cache::is_commit;
use super::settings::HubSettings;
use crate::WeightsError;
use emorun_fetch::http::{HeaderMap, Response, StatusCode};
use emorun_fetch::{Body, Network, origin, redirect};
use std::time::Duration;

/// Most redirects in a row.
const REDIRECTS: usize = 8;
/// Times that a busy Hub is asked.
const ATTEMPTS: u32 = 3;

/// What the Hub has of a file.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) commit: String,
    /// Name of the blob; the file's hash at the Hub itself.
    pub(super) etag: String,
    pub(super) size: Option<u64>,
    pub(super) url: String,
}

pub(super) enum Answer {
    Found(Remote),
    /// The commit has no such file.
    Absent(Option<String>),
}

pub(super) enum Failure {
    Unreachable(String),
    Other(WeightsError),
}

pub(super) struct Client {
    pub(super) http: emorun_fetch::Client,
    endpoint: String,
}

impl Client {
    pub(super) fn new(settings: &HubSettings) -> Result<Self, WeightsError> {
        let network = Network {
            proxy_from_env: settings.proxy_from_env,
            certificates: settings.certificates.clone(),
        };
        let endpoint = settings.endpoint.clone();
        let http = emorun_fetch::Client::new(&network, &endpoint, settings.token.as_deref())?;
        Ok(Self { http, endpoint })
    }

    /// Asks for commit, hash and size of a file. `sure` says that repository and revision are known to exist.
    pub(super) fn ask(&self, id: &str, revision: &str, file: &str, sure: bool) -> Result<Answer, Failure> {
        let first = format!("{}/{id}/resolve/{}/{file}", self.endpoint, revision.replace('/', "%2F"));
        let mut url = first.clone();
        let mut said = Said::default();
        for _ in 0..REDIRECTS {
            let response = self
                .patiently(&url)
                .map_err(|why| Failure::Unreachable(self.cannot_reach(&why)))?;
            let headers = response.headers();
            said.hear(headers);
            match redirect(&url, &response) {
                // The Hub's own word on the hash is in the answer that leads to the store of large files.
                Some(next) if !(said.is_enough() && origin(&next) != origin(&url)) => url = next,
                Some(_) => return said.remote(first).map(Answer::Found).map_err(Failure::Other),
                None if response.status().is_success() => {
                    said.hear_last(headers);
                    return said.remote(first).map(Answer::Found).map_err(Failure::Other);
                }
                None => return self.refusal(id, revision, &url, sure, said.commit, &response),
            }
        }
        let reason = format!("more than {REDIRECTS} redirects in a row");
        Err(Failure::Other(WeightsError::NoHub { url: first, reason }))
    }

    /// Asks again when the Hub is busy.
    fn patiently(&self, url: &str) -> Result<Response<Body>, String> {
        let mut attempt = 1;
        loop {
            let busy = match self.http.head(url) {
                Ok(response) => {
                    let status = response.status();
                    if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                        return Ok(response);
                    }
                    format!("it answers {status}")
                }
                Err(error) => return Err(error.to_string()),
            };
            if attempt == ATTEMPTS {
                return Err(busy);
            }
            std::thread::sleep(Duration::from_millis(500) * attempt);
            attempt += 1;
        }
    }

    fn cannot_reach(&self, why: &str) -> String {
        format!("the Hub at {} cannot be reached ({why})", self.endpoint)
    }

    fn refusal(
        &self,
        id: &str,
        revision: &str,
        url: &str,
        sure: bool,
        commit: Option<String>,
        response: &Response<Body>,
    ) -> Result<Answer, Failure> {
        let status = response.status();
        let (id, endpoint) = (id.to_owned(), self.endpoint.clone());
        let missing = status == StatusCode::NOT_FOUND;
        Err(Failure::Other(match text(response.headers(), "x-error-code") {
            Some("EntryNotFound") => return Ok(Answer::Absent(commit)),
            Some("RevisionNotFound") => WeightsError::NoRevision {
                id,
                revision: revision.to_owned(),
            },
            Some("GatedRepo") => WeightsError::Gated { id, endpoint },
            Some("RepoNotFound") => WeightsError::NoRepository { id, endpoint },
            _ if missing && sure => return Ok(Answer::Absent(commit)),
            _ if missing || status == StatusCode::UNAUTHORIZED => WeightsError::NoRepository { id, endpoint },
            _ if status == StatusCode::FORBIDDEN => WeightsError::Gated { id, endpoint },
            _ if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let why = "the proxy asks for a user and a password";
                return Err(Failure::Unreachable(self.cannot_reach(why)));
            }
            _ => WeightsError::NoHub {
                url: url.to_owned(),
                reason: format!("it answers {status}"),
            },
        }))
    }
}

/// What the answers on the way to a file said of it.
#[derive(Default)]
struct Said {
    commit: Option<String>,
    etag: Option<String>,
    size: Option<u64>,
}

impl Said {
    fn hear(&mut self, headers: &HeaderMap) {
        let own = |name| text(headers, name).map(str::to_owned);
        self.commit = self.commit.take().or_else(|| own("x-repo-commit"));
        self.etag = self.etag.take().or_else(|| own("x-linked-etag"));
        self.size = self.size.or_else(|| text(headers, "x-linked-size")?.parse().ok());
    }

    /// The last answer's own tag and length are those of the file, if nothing better was said.
    fn hear_last(&mut self, headers: &HeaderMap) {
        self.etag = self.etag.take().or_else(|| text(headers, "etag").map(str::to_owned));
        self.size = self.size.or_else(|| text(headers, "content-length")?.parse().ok());
    }

    fn is_enough(&self) -> bool {
        self.commit.is_some() && self.etag.is_some()
    }

    fn remote(self, url: String) -> Result<Remote, WeightsError> {
        let no_hub = |url: &str, reason: &str| WeightsError::NoHub {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let commit = self
            .commit
            .filter(|commit| is_commit(commit))
            .ok_or_else(|| no_hub(&url, "it does not say which commit it means (x-repo-commit)"))?;
        let tag = self.etag.unwrap_or_default();
        let etag = tag.trim_start_matches("W/").trim_matches('"').to_owned();
        // It becomes the name of a file.
        let plain = !etag.is_empty()
            && etag.len() <= 128
            && etag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !plain {
            return Err(no_hub(&url, "it does not give the file's hash (etag)"));
        }
        Ok(Remote {
            commit,
            etag,
            size: self.size,
            url,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
