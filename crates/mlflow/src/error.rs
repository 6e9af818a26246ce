//! Why a run cannot be exported.

use std::path::PathBuf;

/// Why a run cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// The address is none of a server.
    #[error("{address:?} is no address of an MLflow server: {problem}; it looks like http://127.0.0.1:5000")]
    Address {
        /// As it was given, without a password.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The certificates that the environment names cannot be used.
    #[error(transparent)]
    Network(#[from] emorun_fetch::FetchError),
    /// There is no answer.
    #[error("no answer from the MLflow server at {server}: {reason}; is it running, and is the address right?")]
    NoAnswer {
        /// Its address.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server refuses.
    #[error("the MLflow server at {server} refuses to {action}: {status}{}{}", said(message), remedy(*status))]
    Refused {
        /// Its address.
        server: String,
        /// What was asked of it.
        action: &'static str,
        /// Status of its answer.
        status: u16,
        /// Its code for what is wrong, such as `INVALID_PARAMETER_VALUE`; empty where it gives none.
        code: String,
        /// What it says.
        message: String,
    },
    /// The answer is none of an MLflow server.
    #[error("{server} does not answer as an MLflow server when asked to {action}: {problem}")]
    Answer {
        /// Its address.
        server: String,
        /// What was asked of it.
        action: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The experiment was deleted there.
    #[error(
        "the experiment {name:?} is deleted on the server; bring it back with `mlflow experiments restore --experiment-id {id}`"
    )]
    Deleted {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// What cannot be exported: no run, or one that did not begin.
    #[error("{} cannot be exported: {problem}", path.display())]
    Run {
        /// The run.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A file of the run cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(", {message}")
    }
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "; give credentials by MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        }
        300..=399 => "; give the address that it redirects to",
        _ => "",
    }
}
