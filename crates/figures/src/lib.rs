//! Figures for reports and TensorBoard, in pure Rust: no display, no font files, no other program.
//!
//! A figure is laid out once, as a list of shapes ([`Figure`]), and then written as SVG text or
//! painted into a PNG image. [`Diagram`] is also given as DOT and Mermaid text. Everything is
//! deterministic: the same input gives the same bytes.

mod bars;
mod canvas;
mod chart;
mod colour;
mod confusion;
mod diagram;
mod error;
mod figure;
mod spectrogram;
mod svg;
mod text;

pub use bars::{BarChart, Histogram};
pub use chart::{LineChart, Series};
pub use confusion::confusion_matrix;
pub use diagram::{Diagram, DiagramEdge, DiagramNode};
pub use error::FigureError;
pub use figure::{Figure, PngImage};
pub use spectrogram::Spectrogram;
