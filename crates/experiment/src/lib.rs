//! From an experiment file to all that training needs.
//!
//! The way through it: [`prepare`] reads the file, checks it against corpora and checkpoints and splits the items;
//! [`checkpoints`] finds pretrained weights, [`ancestry`] whom the runs that weights come from have heard.

pub mod ancestry;
pub mod checkpoints;
pub mod folders;
pub mod prepare;
