//! What can be wrong with weights.

use emorun_fetch::FetchError;
use std::path::PathBuf;
use thiserror::Error;

/// An error in finding, fetching or reading weights. Each names the file or the Hub id and what to do.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The text of `weights:` has no known form.
    #[error(
        "`weights: {text}` is none of: a Hub id (owner/name or owner/name@revision), a folder, a .safetensors, .bin, \
         .pt, .pth or .ckpt file (write ./ before a relative path that does not exist yet), `random`"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// A folder or file that `weights:` names is not there.
    #[error("{path:?} does not exist; `weights:` names it")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A folder without `config.json`.
    #[error(
        "no config.json in {folder:?}: it says what the network looks like; copy it there from the repository that \
         the weights came from"
    )]
    NoConfig {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without tensors.
    #[error(
        "no weights in {folder:?}: it needs model.safetensors or pytorch_model.bin, or one of their .index.json files \
         with its parts"
    )]
    NoTensors {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder with adapters and no model.
    #[error(
        "{folder:?} holds adapters (adapter_config.json) and no model: give the model that they were trained on as \
         `weights:`, or join the two with PEFT's merge_and_unload() and save_pretrained()"
    )]
    AdaptersOnly {
        /// The folder.
        folder: PathBuf,
    },
    /// Something else lies in the place of a file.
    #[error("{path:?} is {what}; {remedy}")]
    StandIn {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What helps.
        remedy: &'static str,
    },
    /// A configuration that is no JSON object.
    #[error("{path:?} is no configuration: {reason}; copy it anew from where the weights came from")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An index that contradicts itself or its parts.
    #[error("{path:?} contradicts its parts: {reason}; copy all files of one revision anew")]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of tensors that is damaged or of another format.
    #[error("{path:?} is damaged or no file of tensors: {reason}; copy or download it anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A pickle that names something that no plain checkpoint needs.
    #[error(
        "{path:?} names `{global}`, which no plain checkpoint needs: the file is refused and nothing in it was run; {}",
        instead_of(global)
    )]
    PickleRefused {
        /// The file.
        path: PathBuf,
        /// What it names.
        global: String,
    },
    /// A tensor that the checkpoint does not have.
    #[error("no tensor `{name}` in {path:?}")]
    NoTensor {
        /// The first file of the checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor that does not hold floating-point numbers.
    #[error("tensor `{name}` in {path:?} is {dtype}, not f16, bf16, f32 or f64; use weights that are not quantised")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What it holds.
        dtype: String,
    },
    /// A tensor with a value that is no number.
    #[error(
        "tensor `{name}` in {path:?} is {value} at element {index} (as f32): weights must be finite; the file is \
         damaged or its training diverged"
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Element, from 0.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A file whose bytes are not those that its hash promises.
    #[error("{path:?} does not have the hash {expected} (its {what}); delete it and run again to download it anew")]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash that it should have.
        expected: String,
        /// Which hash that is.
        what: &'static str,
    },
    /// No room left.
    #[error("no space left to write {path:?}; free some, or set HF_HUB_CACHE to a folder on another disk")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another failure of the file system.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The Hub cannot be reached or asked, and the cache does not have the file.
    #[error(
        "the weights `{id}` are neither a path nor in the cache, and {why}. Three ways out:\n  \
         - set HTTPS_PROXY, or HF_ENDPOINT to a mirror, or try again when online\n  \
         - put {file} and the repository's other files into a folder and give its path as `weights:`, or copy \
         {folder} from a machine that has it to {cache:?}\n  \
         - write `weights: random` to start from random initialisation"
    )]
    Unreachable {
        /// The Hub id.
        id: String,
        /// Why the Hub did not answer.
        why: String,
        /// The first file that is missing.
        file: String,
        /// Name of the repository's folder in the cache.
        folder: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The Hub does not know the id.
    #[error(
        "the Hub at {endpoint} has no repository `{id}` that may be read without more rights; check its spelling (a \
         relative path that does not exist yet begins with ./), or set HF_TOKEN if it is private"
    )]
    NoRepository {
        /// The Hub id.
        id: String,
        /// The Hub's address.
        endpoint: String,
    },
    /// The repository has no such revision.
    #[error(
        "the repository `{id}` has no revision `{revision}`; look up its branches, tags and commits, or leave it out"
    )]
    NoRevision {
        /// The Hub id.
        id: String,
        /// The revision.
        revision: String,
    },
    /// The repository asks for an agreement or a token.
    #[error(
        "the repository `{id}` is gated: accept its terms on {endpoint}/{id}, then set HF_TOKEN to a token of the \
         same account"
    )]
    Gated {
        /// The Hub id.
        id: String,
        /// The Hub's address.
        endpoint: String,
    },
    /// The repository lacks a file that is needed.
    #[error("the repository `{id}` has no {file}; emorun reads checkpoints in the layout of transformers")]
    NoFile {
        /// The Hub id.
        id: String,
        /// The file, or the files of which one is needed.
        file: String,
    },
    /// A file of certificates without any.
    #[error("no certificate in {path:?}, which REQUESTS_CA_BUNDLE or SSL_CERT_FILE names; it must be a PEM file")]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// An answer that no Hub gives.
    #[error("{url} does not answer as a Hub does: {reason}; check HF_ENDPOINT, or a proxy's log-in page")]
    NoHub {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A download that broke off.
    #[error(
        "the download of {file} of `{id}` broke off after {received} of {total} bytes: {reason}; run the same command \
         again to go on from there"
    )]
    Interrupted {
        /// The Hub id.
        id: String,
        /// The file.
        file: String,
        /// Bytes in the cache.
        received: u64,
        /// Bytes of the whole file.
        total: u64,
        /// Why.
        reason: String,
    },
    /// Any other trouble with a download.
    #[error("{0}")]
    Download(FetchError),
    /// A download whose bytes are wrong, twice.
    #[error(
        "{file} of `{id}` was downloaded twice and does not have the {what} {expected} that the Hub promises; try \
         again later, or without a proxy or mirror in between"
    )]
    WrongBytes {
        /// The Hub id.
        id: String,
        /// The file.
        file: String,
        /// What was promised.
        what: &'static str,
        /// Its value.
        expected: String,
    },
}

/// What to use instead of a file that names a global.
fn instead_of(global: &str) -> &'static str {
    let fairseq = ["argparse.", "omegaconf.", "fairseq."];
    if fairseq.iter().any(|package| global.starts_with(package)) {
        "it is a checkpoint as fairseq writes it: use the model's repository at the Hub in the layout of transformers, \
         or convert it with transformers' script convert_…_original_pytorch_checkpoint_to_pytorch.py"
    } else {
        "use a .safetensors file, or save the weights alone with torch.save(model.state_dict(), …)"
    }
}

impl WeightsError {
    /// The exit code that belongs to the error: 3 for a wrong experiment, 7 for the file system, 4 for weights that are
    /// missing or damaged.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::Form { .. } => 3,
            Self::DiskFull { .. } | Self::Io { .. } => 7,
            _ => 4,
        }
    }

    /// Makes an error of the file system one that names its file.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<FetchError> for WeightsError {
    /// Certificates and the file system; what a download can say beyond that names the Hub's file (see `hub::download`).
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Certificates { path } => Self::Certificates { path },
            FetchError::DiskFull { path } => Self::DiskFull { path },
            FetchError::Io { action, path, source } => Self::Io { action, path, source },
            other => Self::Download(other),
        }
    }
}
