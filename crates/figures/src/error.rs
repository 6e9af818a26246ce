//! What can go wrong in drawing.

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// A confusion matrix that is not labels × labels.
    #[error("a confusion matrix over {labels} labels needs {labels} rows of {labels} counts")]
    NotSquare {
        /// Size of the label set.
        labels: usize,
    },
    /// More pixels than a picture should have; the SVG form has no such limit.
    #[error("a picture of {width} × {height} pixels is too large; use the SVG form")]
    TooLarge {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The renderer refused what was drawn.
    #[error("cannot paint a figure: {0}")]
    Paint(#[from] resvg::usvg::Error),
    /// An animation without a picture.
    #[error("an animation needs at least one figure")]
    NoFrames,
    /// The PNG encoder failed.
    #[error("cannot encode a PNG image: {0}")]
    Encode(#[from] png::EncodingError),
}
