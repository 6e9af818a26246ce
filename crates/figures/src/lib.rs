//! Figures for reports, papers and TensorBoard, in pure Rust: no display, no font files, no other program.
//!
//! Each figure takes plain numbers and names and is laid out once, as a list of shapes ([`Figure`]). Its SVG form is
//! written from that list and its PNG form is painted from the SVG form by resvg, in the font that lies in this crate,
//! so that the same input gives the same bytes. [`animation()`] makes an animated PNG of several, and
//! [`Figure::to_png_at`] one for print.
//!
//! | to show | |
//! |---|---|
//! | counts of true against predicted classes | [`confusion_matrix`], [`confusion_matrix_beside_counts`] |
//! | loss and metrics over epochs, of one or several runs | [`LineChart`] |
//! | all thresholds of a classifier | [`RocCurves`], [`PrecisionRecallCurves`], [`RiskCoverageCurves`] |
//! | whether confidence is deserved | [`ReliabilityDiagram`] |
//! | a value with its interval by speaker, gender, corpus | [`GroupBars`] |
//! | vectors on a plane by class | [`Scatter`] |
//! | how values and classes are distributed | [`Histogram`], [`BarChart`] |
//! | a recording | [`Spectrogram`] |
//! | faces that move, side by side | [`Faces`], also as an animated PNG and as a page with sound |
//! | many small pictures as one | [`sprite()`] |
//! | an experiment's graph | [`Diagram`], also as DOT and Mermaid text |
//!
//! All have a white background, which makes them cards on a dark page, colours that colour-blind readers tell apart, and
//! text that is read where a phone shows 480 pixels as 390. Names come from outside: they are escaped, stay on one line
//! and end in `…` where they find no room. Numbers that are not finite are left out, and a figure of nothing says so.
//! What would be very many shapes (cells of more than 24 classes, points above 4000, spectrograms) is a picture
//! inside the SVG, and long curves are drawn as the range of each bucket, so that a figure's size does not grow with the data.

mod animation;
mod axis;
mod bars;
mod chart;
mod colour;
mod confusion;
mod curves;
mod diagram;
mod error;
mod faces;
mod figure;
mod groups;
mod plot;
mod raster;
mod reliability;
mod scatter;
mod spectrogram;
mod sprite;
mod svg;
#[cfg(test)]
mod tests;
mod text;

pub use animation::animation;
pub use bars::{BarChart, Histogram};
pub use chart::{LineChart, Series};
pub use confusion::{confusion_matrix, confusion_matrix_beside_counts};
pub use curves::{Curve, PrecisionRecallCurves, RiskCoverageCurves, RocCurves};
pub use diagram::{Diagram, DiagramEdge, DiagramNode};
pub use error::FigureError;
pub use faces::{FaceFrame, FacePanel, Faces};
pub use figure::{Figure, PRINT_DPI, PngImage};
pub use groups::{Group, GroupBars};
pub use reliability::{ReliabilityBin, ReliabilityDiagram};
pub use scatter::Scatter;
pub use spectrogram::Spectrogram;
pub use sprite::sprite;

/// What is measured on fewer items than this says little, and is grey.
pub const FEW_ITEMS: u64 = 10;
