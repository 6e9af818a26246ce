//! Finding and reading published model weights. No Burn: tensors come out as `Vec<f32>`.
//!
//! Three stages, each a type: a [`WeightsSource`] is what an experiment says; [`locate()`] finds its files, on disk or
//! through the Hub's cache, and gives a [`Located`]; [`Checkpoint::open`] reads configurations and the tables of
//! tensors, whose values are read one at a time.
//!
//! The Hub is spoken to with `ureq` (by way of `emorun-fetch`), over the cache layout of `huggingface_hub`, so that both share files and locks. The
//! crate `hf-hub` does not do: from 1.0 it brings tokio, reqwest, hyper and Xet.
//!
//! PyTorch files are read by `pytorch-reader`, which executes nothing; before it sees a file, every global that the
//! file's pickles name must be one that plain checkpoints need. Files are read, not mapped into memory: each value is
//! converted once anyway, and a file that shrinks meanwhile is an error instead of the end of the process.

mod aside;
mod checkpoint;
mod content;
mod convert;
mod error;
mod hub;
mod locate;
mod names;
mod pickle;
mod pytorch;
mod safetensors;
mod source;
mod stand_in;
mod tensor_file;

pub use checkpoint::{Checkpoint, Content};
pub use content::hash_files;
pub use convert::Dtype;
pub use emorun_fetch::Clock;
pub use error::WeightsError;
pub use hub::{DownloadProgress, HubSettings};
pub use locate::{Located, locate};
pub use names::{Mismatch, match_names};
pub use source::WeightsSource;
pub use tensor_file::TensorFile;
