//! What is odd about a file that can be read all the same.

use serde::{Deserialize, Serialize};

/// What is odd about a file that can be read all the same. `{}` tells it of several files: "… files REMARK".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// The length in the header is one that programs write before they know better.
    Streamed,
    /// The header promises a little more than there is.
    Short,
    /// The last frame is not whole.
    PartialFrame,
    /// The mean of the channels is nearly silent, and they are not.
    Cancels,
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Streamed => {
                "do not say how long they are, as recordings do that went through a pipe or broke off; they are read to their end"
            }
            Self::Short => "end up to 10 ms before what their header promises; they are read to their end",
            Self::PartialFrame => "end within a frame, which is left out",
            Self::Cancels => {
                "have channels that cancel each other (the same sound with opposite signs), so that their mean is nearly silent; write `channel: left` (or `right`, or a number) for the dataset"
            }
        })
    }
}
