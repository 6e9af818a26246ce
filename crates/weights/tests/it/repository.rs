//! A Hub on this machine.

use crate::server::{Reply, Request, part, sha256};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// The commit that `main` is.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository as the Hub answers for it: small files itself, large ones by way of a store under `/store`.
#[derive(Clone)]
pub struct Repository {
    pub id: &'static str,
    pub small: BTreeMap<&'static str, Vec<u8>>,
    pub large: BTreeMap<&'static str, Vec<u8>>,
}

impl Repository {
    pub fn answer(&self, request: &Request) -> Reply {
        if let Some(file) = request.path.strip_prefix("/store/") {
            return part(&self.large[file], request.from());
        }
        let Some(rest) = request.path.strip_prefix(&format!("/{}/resolve/", self.id)) else {
            return Reply::new(401, &[("x-error-code", "RepoNotFound")]);
        };
        let (revision, file) = rest.split_once('/').unwrap();
        if ![COMMIT, "main", "refs%2Fpr%2F1"].contains(&revision) {
            return Reply::new(404, &[("x-error-code", "RevisionNotFound")]);
        }
        let commit = ("x-repo-commit", COMMIT);
        if let Some(bytes) = self.small.get(file) {
            let etag = format!("\"{}\"", git(bytes));
            return Reply {
                body: bytes.clone(),
                ..Reply::new(200, &[commit, ("etag", &etag)])
            };
        }
        match self.large.get(file) {
            Some(bytes) => {
                let (etag, size) = (format!("\"{}\"", sha256(bytes)), bytes.len().to_string());
                let to = format!("http://{}/store/{file}", request.headers["host"]);
                let headers = [
                    commit,
                    ("x-linked-etag", &etag),
                    ("x-linked-size", &size),
                    ("location", &to),
                ];
                Reply::new(302, &headers)
            }
            None => Reply::new(404, &[commit, ("x-error-code", "EntryNotFound")]),
        }
    }
}

pub fn git(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
