//! Requests to the Hub.

use super::DownloadProgress;
use super::cache::{BlobName, Commit};
use super::settings::HubSettings;
use crate::WeightsError;
use emorun_fetch::http::{HeaderMap, Response, StatusCode};
use emorun_fetch::{Body, Network, origin, redirect};

/// Most redirects in a row.
const REDIRECTS: usize = 8;
/// Longest text of a stranger's that is repeated.
const MOST_SHOWN: usize = 60;

/// What the Hub has of a file.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) commit: Commit,
    /// Name of the blob; the file's hash at the Hub itself.
    pub(super) etag: BlobName,
    pub(super) size: Option<u64>,
    pub(super) url: String,
}

pub(super) enum Answer {
    Found(Remote),
    /// The commit has no such file.
    Absent(Option<Commit>),
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
            clock: settings.clock.clone(),
        };
        let endpoint = settings.endpoint.clone();
        let http = emorun_fetch::Client::new(&network, &endpoint, settings.token.as_deref())?;
        Ok(Self { http, endpoint })
    }

    /// Asks for commit, hash and size of a file. `known` is the commit that was asked for, where repository and revision
    /// are known to exist.
    pub(super) fn ask(
        &self,
        id: &str,
        revision: &str,
        file: &str,
        known: Option<&Commit>,
        progress: &mut dyn FnMut(DownloadProgress<'_>),
    ) -> Result<Answer, Failure> {
        let first = format!("{}/{id}/resolve/{}/{file}", self.endpoint, revision.replace('/', "%2F"));
        let no_hub = |url: &str, reason: String| {
            Failure::Other(WeightsError::NoHub {
                url: url.to_owned(),
                reason,
            })
        };
        let mut url = first.clone();
        let mut said = ResponseHeaders::default();
        for _ in 0..REDIRECTS {
            let mut on_wait = |status: StatusCode, wait| {
                let status = status.as_u16();
                progress(DownloadProgress::Busy { file, status, wait });
            };
            let response = self
                .http
                .head(&url, &mut on_wait)
                .map_err(|why| Failure::Unreachable(self.cannot_reach(&why)))?;
            let headers = response.headers();
            said.hear(headers).map_err(|reason| no_hub(&url, reason))?;
            if let Some((known, said)) = known.zip(said.commit.as_ref())
                && known != said
            {
                let reason = format!("it was asked for the commit {known} and answers for {said}");
                return Err(no_hub(&url, reason));
            }
            match redirect(&url, &response).map_err(|reason| no_hub(&url, reason))? {
                // The Hub's own word on the hash is in the answer that leads to the store of large files.
                Some(next) if !(said.is_enough() && origin(&next) != origin(&url)) => url = next,
                Some(_) => return said.remote(first).map(Answer::Found).map_err(Failure::Other),
                None if response.status().is_success() => {
                    said.hear_last(headers).map_err(|reason| no_hub(&url, reason))?;
                    return said.remote(first).map(Answer::Found).map_err(Failure::Other);
                }
                None => return self.refusal(id, revision, &url, known.is_some(), said.commit, &response),
            }
        }
        Err(no_hub(&first, format!("more than {REDIRECTS} redirects in a row")))
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
        commit: Option<Commit>,
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

/// What the answers on the way to a file said of it. Each word becomes the name of a file or folder, so it is one from
/// where it comes in.
#[derive(Default)]
struct ResponseHeaders {
    commit: Option<Commit>,
    etag: Option<BlobName>,
    size: Option<u64>,
}

impl ResponseHeaders {
    /// Reads the Hub's own headers.
    fn hear(&mut self, headers: &HeaderMap) -> Result<(), String> {
        if self.commit.is_none() {
            self.commit = word(headers, "x-repo-commit", Commit::parse)
                .map_err(|text| format!("it says that it means the commit `{text}`, which is none (x-repo-commit)"))?;
        }
        if self.etag.is_none() {
            self.etag = word(headers, "x-linked-etag", BlobName::of_tag).map_err(no_hash)?;
        }
        self.size = self.size.or_else(|| text(headers, "x-linked-size")?.parse().ok());
        Ok(())
    }

    /// The last answer's own tag and length are those of the file, if nothing better was said.
    fn hear_last(&mut self, headers: &HeaderMap) -> Result<(), String> {
        if self.etag.is_none() {
            self.etag = word(headers, "etag", BlobName::of_tag).map_err(no_hash)?;
        }
        self.size = self.size.or_else(|| text(headers, "content-length")?.parse().ok());
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.commit.is_some() && self.etag.is_some()
    }

    fn remote(self, url: String) -> Result<Remote, WeightsError> {
        let no_hub = |reason: &str| WeightsError::NoHub {
            url: url.clone(),
            reason: reason.to_owned(),
        };
        let commit = self
            .commit
            .ok_or_else(|| no_hub("it does not say which commit it means (x-repo-commit)"))?;
        let etag = self
            .etag
            .ok_or_else(|| no_hub("it does not give the file's hash (etag)"))?;
        Ok(Remote {
            commit,
            etag,
            size: self.size,
            url,
        })
    }
}

fn no_hash(text: String) -> String {
    format!("it does not give the file's hash (etag) but `{text}`")
}

/// What a header says, where it is there.
///
/// # Errors
/// It says something else; that, as far as it can be shown.
fn word<T>(headers: &HeaderMap, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, String> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let word = value.to_str().ok().and_then(parse);
    word.map(Some).ok_or_else(|| {
        let shown = String::from_utf8_lossy(value.as_bytes());
        shown.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect()
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
