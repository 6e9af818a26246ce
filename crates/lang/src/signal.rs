//! What a port carries: the types of the graph's edges.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The type of a port: the kind of content and what is fixed about it before any item is read.
///
/// Batch size and sequence length are not part of it: they belong to the value at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A waveform, `batch × samples`, with the length of each item.
    Wave {
        /// Samples a second.
        rate_hz: u32,
    },
    /// Feature frames, `batch × time × width`, with the length of each item.
    Frames {
        /// Values a frame.
        width: usize,
        /// Frames a second.
        rate: FrameRate,
    },
    /// The frames of every layer of an encoder, `layers × batch × time × width`.
    LayerStack {
        /// Number of layers.
        layers: usize,
        /// Values a frame.
        width: usize,
        /// Frames a second.
        rate: FrameRate,
    },
    /// Several sequences of frames an item, drawn one independently of the other, `samples × batch × time × width`, with
    /// the length of each item. How many there are belongs to the value at run time.
    Samples {
        /// Values a frame.
        width: usize,
        /// Frames a second.
        rate: FrameRate,
    },
    /// One vector an item, `batch × width`.
    Vector {
        /// Values a vector.
        width: usize,
    },
    /// Class scores before the softmax, `batch × classes`.
    Logits {
        /// The classes scored.
        labels: LabelSet,
    },
    /// The class of each item, with presence.
    Labels {
        /// The classes an item can have.
        labels: LabelSet,
    },
    /// The probability of each class for each item, `batch × classes`, with presence: the shares of
    /// raters' votes.
    SoftLabels {
        /// The classes an item can have.
        labels: LabelSet,
    },
    /// Symbols of a vocabulary, `batch × time`, with the length of each item.
    Tokens {
        /// Number of different symbols.
        vocabulary: usize,
        /// Symbols a second; `None` when they are not spaced in time (text).
        rate: Option<FrameRate>,
    },
    /// A text an item, with presence.
    Text,
    /// Mean and log-variance of diagonal normal distributions, `batch × steps × width` each: one an item, or several one
    /// after the other.
    Distribution {
        /// Dimensions of the distribution.
        width: usize,
    },
    /// One number for the batch: a loss.
    Scalar,
    /// Named numbers an item, `batch × names`, with presence: dimensional labels such as valence.
    Values {
        /// What each number is.
        names: Vec<String>,
    },
}

impl Signal {
    /// Names of the axes of the value at run time, outermost first.
    pub fn axes(&self) -> &'static [&'static str] {
        match self {
            Self::Wave { .. } => &["batch", "samples"],
            Self::Frames { .. } => &["batch", "time", "width"],
            Self::LayerStack { .. } => &["layers", "batch", "time", "width"],
            Self::Samples { .. } => &["samples", "batch", "time", "width"],
            Self::Vector { .. } => &["batch", "width"],
            Self::Logits { .. } | Self::SoftLabels { .. } => &["batch", "classes"],
            Self::Labels { .. } | Self::Text => &["batch"],
            Self::Tokens { .. } => &["batch", "time"],
            Self::Distribution { .. } => &["parameter", "batch", "steps", "width"],
            Self::Scalar => &[],
            Self::Values { .. } => &["batch", "names"],
        }
    }

    /// The kind of content in one word, for messages about wiring.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Wave { .. } => "wave",
            Self::Frames { .. } => "frames",
            Self::LayerStack { .. } => "layer stack",
            Self::Samples { .. } => "samples",
            Self::Vector { .. } => "vector",
            Self::Logits { .. } => "logits",
            Self::Labels { .. } => "labels",
            Self::SoftLabels { .. } => "soft labels",
            Self::Tokens { .. } => "tokens",
            Self::Text => "text",
            Self::Distribution { .. } => "distribution",
            Self::Scalar => "scalar",
            Self::Values { .. } => "values",
        }
    }

    /// True for what only an annotated corpus gives: the predict schedule may not depend on it.
    pub fn is_label(&self) -> bool {
        matches!(
            self,
            Self::Labels { .. } | Self::SoftLabels { .. } | Self::Values { .. }
        )
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wave { rate_hz } => write!(f, "wave at {rate_hz} Hz"),
            Self::Frames { width, rate } => write!(f, "frames {width} wide at {rate}"),
            Self::LayerStack { layers, width, rate } => write!(f, "stack of {layers} layers, {width} wide at {rate}"),
            Self::Samples { width, rate } => write!(f, "samples of frames {width} wide at {rate}"),
            Self::Vector { width } => write!(f, "vector {width} wide"),
            Self::Logits { labels } => write!(f, "logits over {labels}"),
            Self::Labels { labels } => write!(f, "labels {labels}"),
            Self::SoftLabels { labels } => write!(f, "soft labels {labels}"),
            Self::Tokens { vocabulary, rate } => {
                write!(f, "tokens of {vocabulary}")?;
                rate.map_or(Ok(()), |rate| write!(f, " at {rate}"))
            }
            Self::Text => f.write_str("text"),
            Self::Distribution { width } => write!(f, "distribution {width} wide"),
            Self::Scalar => f.write_str("scalar"),
            Self::Values { names } => write!(f, "values {}", names.join(", ")),
        }
    }
}

/// Frames a second as an exact fraction in lowest terms, in hertz.
///
/// 44 100 Hz with a hop of 512 is 11025/128 Hz: rates that differ by less than a rounding error
/// differ after a minute of speech, so they are compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

impl FrameRate {
    /// `numerator / denominator` Hz, such as `FrameRate::new(16_000, 160)` for a hop of 160
    /// samples at 16 kHz; `None` if either is zero.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        Some(Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }

    /// A rate in hertz, to a thousandth; `None` for less than that, and beyond 100 kHz.
    pub fn of_hz(hz: f64) -> Option<Self> {
        const MOST_HZ: f64 = 100_000.0;
        if !(hz.is_finite() && hz <= MOST_HZ) {
            return None;
        }
        Self::new((hz * 1000.0).round() as u32, 1000)
    }

    /// The rate after keeping one frame in `stride`; `None` for zero and beyond 32 bits.
    pub fn divided_by(self, stride: u32) -> Option<Self> {
        if stride == 0 {
            return None;
        }
        let divisor = greatest_common_divisor(self.numerator, stride);
        Self::new(
            self.numerator / divisor,
            self.denominator.checked_mul(stride / divisor)?,
        )
    }

    /// Numerator of the fraction in lowest terms.
    pub fn numerator(self) -> u32 {
        self.numerator
    }

    /// Denominator of the fraction in lowest terms.
    pub fn denominator(self) -> u32 {
        self.denominator
    }

    /// So many frames in so many seconds, in lowest terms.
    pub fn fraction(self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }

    /// The nearest floating-point number, in hertz.
    pub fn hz(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            write!(f, "{} Hz", self.numerator)
        } else {
            let rounded = format!("{:.3}", self.hz());
            write!(f, "{} Hz", rounded.trim_end_matches('0'))
        }
    }
}

impl Serialize for FrameRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A named set of classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelSet {
    /// The label's name, such as `emotion`.
    pub name: String,
    /// The class names in the order in which they are numbered; `None` when they are known only
    /// once the corpus is read.
    pub classes: Option<Arc<[String]>>,
}

impl LabelSet {
    /// A label set whose classes are known.
    pub fn new(name: impl Into<String>, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            classes: Some(classes.into_iter().map(Into::into).collect()),
        }
    }

    /// A label set whose classes are known only once the corpus is read.
    pub fn undetermined(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            classes: None,
        }
    }

    /// Number of classes, where known.
    pub fn len(&self) -> Option<usize> {
        self.classes.as_ref().map(|classes| classes.len())
    }

    /// True if the classes are known and there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// True if the two can be the same set: equal names, and equal classes where both are known.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.classes, &other.classes) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => true,
            }
    }
}

impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.len().map_or(Ok(()), |count| write!(f, " ({count})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_compared_as_fractions_and_shown_in_hertz() {
        let cases = [
            ((16_000, 160), "100 Hz"),
            ((22_050, 512), "43.066 Hz"),
            ((50, 4), "12.5 Hz"),
        ];
        for ((numerator, denominator), shown) in cases {
            let rate = FrameRate::new(numerator, denominator).unwrap();
            assert_eq!(rate.to_string(), shown);
        }
        assert_eq!(FrameRate::new(200, 2), FrameRate::new(100, 1));
        assert_eq!(FrameRate::new(1, 0), None);
        let rate = FrameRate::new(100, 1).unwrap();
        assert_eq!(rate.divided_by(8), FrameRate::new(25, 2));
        assert_eq!(rate.divided_by(0), None);
        assert_eq!(FrameRate::new(1, u32::MAX).unwrap().divided_by(u32::MAX), None);
    }

    #[test]
    fn label_sets_agree_where_what_is_known_is_equal() {
        let known = LabelSet::new("emotion", ["happy", "sad"]);
        assert!(known.agrees_with(&LabelSet::undetermined("emotion")));
        assert!(!known.agrees_with(&LabelSet::undetermined("gender")));
        assert!(!known.agrees_with(&LabelSet::new("emotion", ["sad", "happy"])));
    }

    #[test]
    fn signals_read_as_a_phrase() {
        let rate = FrameRate::new(16_000, 160).unwrap();
        let cases = [
            (Signal::Frames { width: 64, rate }, "frames 64 wide at 100 Hz"),
            (
                Signal::Logits {
                    labels: LabelSet::new("emotion", ["a", "b"]),
                },
                "logits over emotion (2)",
            ),
            (
                Signal::Labels {
                    labels: LabelSet::undetermined("emotion"),
                },
                "labels emotion",
            ),
            (
                Signal::SoftLabels {
                    labels: LabelSet::new("emotion", ["a", "b", "c"]),
                },
                "soft labels emotion (3)",
            ),
            (
                Signal::Tokens {
                    vocabulary: 1000,
                    rate: FrameRate::new(50, 1),
                },
                "tokens of 1000 at 50 Hz",
            ),
        ];
        for (signal, shown) in cases {
            assert_eq!(signal.to_string(), shown);
        }
    }
}
