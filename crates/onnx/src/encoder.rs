//! A model with what was declared for it.

use std::sync::Arc;

use rten::NodeId;

use crate::model::{Fed, Model};
use crate::{Axis, OnnxError, Port};

/// ONNX's numbers of element types.
const FLOAT32: u64 = 1;
const FLOAT64: u64 = 11;
/// What a mask or a length may be: int32, int64, bool.
const WHOLE: [u64; 3] = [6, 7, 9];
/// Most axes of one element that stand in front of the features' own, such as batch and channel.
const MOST_IN_FRONT: usize = 2;
/// Added to the variance before its root is taken, as `transformers` does.
const VARIANCE_OFFSET: f64 = 1e-7;

/// Which axis of frames comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[time, width]`
    #[default]
    TimeFirst,
    /// `[width, time]`
    WidthFirst,
}

/// What an encoder is given for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Samples: `[time]`, `[1, time]` or `[1, 1, time]`.
    Wave {
        /// Whether they are brought to zero mean and unit variance first.
        normalise: bool,
    },
    /// Frames, with one or two axes of 1 in front: without any, a batch could be taken for time.
    Frames {
        /// Values of a frame.
        width: usize,
        /// Which axis comes first.
        layout: Layout,
    },
}

/// What an encoder gives for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Frames over time, with axes of 1 in front.
    Frames {
        /// Values of a frame.
        width: usize,
        /// Which axis comes first.
        layout: Layout,
    },
    /// One vector, with axes of 1 in front or none.
    Vector {
        /// Its values.
        width: usize,
    },
}

/// What is declared for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// Name of the input for the features.
    pub input: String,
    /// What stands there.
    pub takes: Takes,
    /// Name of an input for a mask of ones, one for each step of the input.
    pub mask: Option<String>,
    /// Name of an input for the number of steps.
    pub length: Option<String>,
    /// Name of the output.
    pub output: String,
    /// What stands there.
    pub gives: Gives,
}

/// What an encoder gave for an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// `[width]` of a vector, `[time, width]` of frames.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// A model with what was declared for it, checked against the file.
#[derive(Debug)]
pub struct Encoder {
    model: Arc<Model>,
    wiring: Wiring,
    input: NodeId,
    /// Axes of 1 in front of the input's own.
    in_front: usize,
    /// Inputs that are given a mask or a length.
    extra: Vec<(NodeId, Extra)>,
    output: NodeId,
}

#[derive(Clone, Copy, Debug)]
enum Extra {
    /// Ones, with this many axes of 1 in front.
    Mask(usize),
    /// The number of steps, with this many axes.
    Length(usize),
}

impl Encoder {
    /// Checks what was declared against the file.
    ///
    /// # Errors
    /// A name that is not there, an input that is given nothing, another type, rank or size.
    pub fn new(model: Arc<Model>, wiring: Wiring) -> Result<Self, OnnxError> {
        let input = find(&model, "input", &wiring.input)?;
        let in_front = fit(&model, "input", input, &[FLOAT32], &wiring.takes.form())?;
        let output = find(&model, "output", &wiring.output)?;
        fit(&model, "output", output, &[FLOAT32, FLOAT64], &wiring.gives.form())?;
        let mut extra = Vec::new();
        let mut fed = vec![wiring.input.as_str()];
        if let Some(name) = &wiring.mask {
            let port = find(&model, "input", name)?;
            let in_front = fit(&model, "input", port, &WHOLE, &Form::mask())?;
            extra.push((id(&model, "input", port)?, Extra::Mask(in_front)));
            fed.push(name);
        }
        if let Some(name) = &wiring.length {
            let port = find(&model, "input", name)?;
            let in_front = fit(&model, "input", port, &WHOLE, &Form::length())?;
            extra.push((id(&model, "input", port)?, Extra::Length(in_front)));
            fed.push(name);
        }
        let unfed: Vec<String> = model
            .inputs()
            .iter()
            .filter(|port| !fed.contains(&port.name.as_str()))
            .map(named)
            .collect();
        if !unfed.is_empty() {
            return Err(OnnxError::Unfed {
                path: model.path().to_owned(),
                names: unfed.join(", "),
            });
        }
        Ok(Self {
            input: id(&model, "input", input)?,
            in_front,
            extra,
            output: id(&model, "output", output)?,
            wiring,
            model,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Encodes an item: `values` are samples, or frames `[time, width]` in row-major order.
    ///
    /// # Errors
    /// The model fails on it, or gives something else than declared.
    pub fn run(&self, values: &[f32]) -> Result<Features, OnnxError> {
        let (steps, own, changed) = match self.wiring.takes {
            Takes::Wave { normalise } => (values.len(), vec![values.len()], normalise.then(|| normalised(values))),
            Takes::Frames { width, layout } => {
                let steps = values.len() / width.max(1);
                match layout {
                    Layout::TimeFirst => (steps, vec![steps, width], None),
                    Layout::WidthFirst => (steps, vec![width, steps], Some(transposed(values, steps, width))),
                }
            }
        };
        let shaped = |in_front: usize, own: &[usize]| [&vec![1; in_front][..], own].concat();
        let mut inputs = vec![(
            self.input,
            shaped(self.in_front, &own),
            Fed::Floats(changed.as_deref().unwrap_or(values)),
        )];
        for &(id, extra) in &self.extra {
            inputs.push(match extra {
                Extra::Mask(in_front) => (id, shaped(in_front, &[steps]), Fed::Integers(vec![1; steps])),
                Extra::Length(axes) => {
                    let length = i32::try_from(steps).unwrap_or(i32::MAX);
                    (id, vec![1; axes], Fed::Integers(vec![length]))
                }
            });
        }
        let what = match self.wiring.takes {
            Takes::Wave { .. } => "samples",
            Takes::Frames { .. } => "frames",
        };
        let words = || format!("{steps} {what}");
        let given = self
            .model
            .run(&inputs, self.output)
            .map_err(|reason| OnnxError::Run { given: words(), reason })?;
        let features = self.features(given.shape, given.values)?;
        match features.values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(OnnxError::NotFinite {
                name: self.wiring.output.clone(),
                value: *value,
                given: words(),
            }),
            None => Ok(features),
        }
    }

    /// What was given, without the axes in front and with time first.
    fn features(&self, shape: Vec<usize>, values: Vec<f32>) -> Result<Features, OnnxError> {
        let form = self.wiring.gives.form();
        let fits = |(in_front, found): &(&[usize], &[usize])| {
            let mut sizes = found.iter().zip(&form.own);
            in_front.iter().all(|size| *size == 1)
                && sizes.all(|(found, own)| *found > 0 && own.is_none_or(|own| own == *found))
        };
        match (form.split(&shape).filter(fits), self.wiring.gives) {
            (
                Some((_, &[_, time])),
                Gives::Frames {
                    width,
                    layout: Layout::WidthFirst,
                },
            ) => Ok(Features {
                shape: vec![time, width],
                values: transposed(&values, width, time),
            }),
            (Some((_, found)), _) => Ok(Features {
                shape: found.to_vec(),
                values,
            }),
            (None, _) => Err(OnnxError::Form {
                path: self.model.path().to_owned(),
                what: "output",
                name: self.wiring.output.clone(),
                found: format!("float32 {shape:?}"),
                wanted: form.words,
            }),
        }
    }
}

/// The form of a value.
struct Form {
    /// Its own axes: `None` for one of any size.
    own: Vec<Option<usize>>,
    /// Fewest axes in front of them.
    least_in_front: usize,
    /// In words.
    words: String,
}

impl Form {
    fn of(own: Vec<Option<usize>>, least_in_front: usize, words: impl Into<String>) -> Self {
        Self {
            own,
            least_in_front,
            words: words.into(),
        }
    }

    fn frames(width: usize, layout: Layout) -> Self {
        match layout {
            Layout::TimeFirst => Self::of(vec![None, Some(width)], 1, format!("float32 [batch, time, {width}]")),
            Layout::WidthFirst => Self::of(vec![Some(width), None], 1, format!("float32 [batch, {width}, time]")),
        }
    }

    fn mask() -> Self {
        Self::of(vec![None], 0, "a mask: int64, int32 or bool [batch, time]")
    }

    fn length() -> Self {
        Self::of(Vec::new(), 0, "a length: int64 or int32 [batch]")
    }

    /// Axes in front and own axes, where there are as many as the form has.
    fn split<'a, T>(&self, shape: &'a [T]) -> Option<(&'a [T], &'a [T])> {
        let in_front = shape.len().checked_sub(self.own.len())?;
        (self.least_in_front..=MOST_IN_FRONT)
            .contains(&in_front)
            .then(|| shape.split_at(in_front))
    }
}

impl Takes {
    fn form(self) -> Form {
        match self {
            Self::Wave { .. } => Form::of(vec![None], 0, "float32 [batch, time], [time] or [batch, 1, time]"),
            Self::Frames { width, layout } => Form::frames(width, layout),
        }
    }
}

impl Gives {
    fn form(self) -> Form {
        match self {
            Self::Frames { width, layout } => Form::frames(width, layout),
            Self::Vector { width } => Form::of(vec![Some(width)], 0, format!("float32 [batch, {width}]")),
        }
    }
}

fn named(port: &Port) -> String {
    format!("`{}` ({port})", port.name)
}

fn find<'a>(model: &'a Model, what: &'static str, name: &str) -> Result<&'a Port, OnnxError> {
    let ports = if what == "input" {
        model.inputs()
    } else {
        model.outputs()
    };
    ports
        .iter()
        .find(|port| port.name == name)
        .ok_or_else(|| OnnxError::UnknownName {
            path: model.path().to_owned(),
            what,
            name: name.to_owned(),
            known: match ports {
                [] => "none".to_owned(),
                ports => ports.iter().map(named).collect::<Vec<_>>().join(", "),
            },
        })
}

fn id(model: &Model, what: &'static str, port: &Port) -> Result<NodeId, OnnxError> {
    model.id(&port.name).ok_or_else(|| OnnxError::UnknownName {
        path: model.path().to_owned(),
        what,
        name: port.name.clone(),
        known: "lost it when it was read".to_owned(),
    })
}

/// Compares a port with the form that it must have; gives the number of axes in front of its own.
fn fit(model: &Model, what: &'static str, port: &Port, elements: &[u64], form: &Form) -> Result<usize, OnnxError> {
    let refuse = |why: &str| {
        Err(OnnxError::Form {
            path: model.path().to_owned(),
            what,
            name: port.name.clone(),
            found: port.to_string(),
            wanted: format!("{}{why}", form.words),
        })
    };
    if port.element != 0 && !elements.contains(&port.element) {
        return refuse("");
    }
    let Some(shape) = &port.shape else {
        return Ok(1);
    };
    let Some((in_front, found)) = form.split(shape) else {
        return refuse("");
    };
    if in_front
        .iter()
        .any(|axis| matches!(axis, Axis::Fixed(size) if *size != 1))
    {
        return refuse("");
    }
    for (found, own) in found.iter().zip(&form.own) {
        match (found, own) {
            (Axis::Fixed(found), Some(own)) if found != own => return refuse(""),
            (Axis::Fixed(_), None) => return refuse("; time must be a dynamic axis of the export"),
            _ => {}
        }
    }
    Ok(in_front.len())
}

/// Zero mean and unit variance.
///
/// # Source
/// `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm` of Hugging Face transformers.
fn normalised(samples: &[f32]) -> Vec<f32> {
    let count = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
    let variance = samples
        .iter()
        .map(|&sample| (f64::from(sample) - mean).powi(2))
        .sum::<f64>()
        / count;
    let scale = 1.0 / (variance + VARIANCE_OFFSET).sqrt();
    samples
        .iter()
        .map(|&sample| ((f64::from(sample) - mean) * scale) as f32)
        .collect()
}

/// `rows × columns` values with the axes exchanged.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
