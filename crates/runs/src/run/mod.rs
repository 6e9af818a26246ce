//! Runs on disk: their directory, their members (folds and seeds), their summary and report.

pub mod batch_size;
pub mod comparison;
pub mod curves;
pub mod dir;
pub mod embed;
pub mod eval;
pub mod fallen;
pub mod init;
mod init_file;
pub mod last_words;
pub mod listen;
pub mod lr_find;
pub mod measured;
pub mod member;
pub mod parent;
pub mod pooled;
pub mod predict;
pub mod recheck;
pub mod record;
pub mod report;
pub mod resume;
pub mod summary;
pub mod sweep;
pub mod tracker;
pub mod tracks;
