//! A model with what was declared for it.

use std::sync::Arc;

use rten::NodeId;

use crate::model::{Fed, Model, can_be_one};
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
    /// Frames, with axes of 1 in front.
    Frames {
        /// Values of a frame.
        width: usize,
        /// Which axis comes first.
        layout: Layout,
    },
}

/// What an encoder gives for an item, with axes of 1 in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Frames over time.
    Frames {
        /// Values of a frame.
        width: usize,
        /// Which axis comes first.
        layout: Layout,
    },
    /// One vector.
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
        let (own, wanted) = match wiring.takes {
            Takes::Wave { .. } => (
                vec![None],
                "float32 [time], [batch, time] or [batch, 1, time]".to_owned(),
            ),
            Takes::Frames { width, layout } => (axes(width, layout), described(width, layout)),
        };
        let in_front = fit(&model, "input", input, &[FLOAT32], &own, &wanted)?;
        let output = find(&model, "output", &wiring.output)?;
        let (own, wanted) = match wiring.gives {
            Gives::Frames { width, layout } => (axes(width, layout), described(width, layout)),
            Gives::Vector { width } => (vec![Some(width)], format!("float32 [batch, {width}]")),
        };
        fit(&model, "output", output, &[FLOAT32, FLOAT64], &own, &wanted)?;
        let mut extra = Vec::new();
        let mut fed = vec![wiring.input.as_str()];
        if let Some(name) = &wiring.mask {
            let port = find(&model, "input", name)?;
            let wanted = "a mask: int64, int32 or bool [batch, time]";
            let in_front = fit(&model, "input", port, &WHOLE, &[None], wanted)?;
            extra.push((id(&model, "input", port)?, Extra::Mask(in_front)));
            fed.push(name);
        }
        if let Some(name) = &wiring.length {
            let port = find(&model, "input", name)?;
            let wanted = "a length: int64 or int32 [batch]";
            let in_front = fit(&model, "input", port, &WHOLE, &[], wanted)?;
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
        let (own, wanted) = match self.wiring.gives {
            Gives::Frames { width, layout } => (axes(width, layout), described(width, layout)),
            Gives::Vector { width } => (vec![Some(width)], format!("float32 [1, {width}]")),
        };
        let split = shape.len().checked_sub(own.len()).map(|at| shape.split_at(at));
        let fits = |found: &[usize]| {
            let sizes = found.iter().zip(&own);
            sizes
                .into_iter()
                .all(|(found, own)| *found > 0 && own.is_none_or(|own| own == *found))
        };
        match (split, self.wiring.gives) {
            (Some((in_front, found)), gives) if in_front.iter().all(|size| *size == 1) && fits(found) => {
                Ok(match gives {
                    Gives::Frames {
                        width,
                        layout: Layout::WidthFirst,
                    } => {
                        let time = found[1];
                        Features {
                            shape: vec![time, width],
                            values: transposed(&values, width, time),
                        }
                    }
                    _ => Features {
                        shape: found.to_vec(),
                        values,
                    },
                })
            }
            _ => Err(OnnxError::Form {
                path: self.model.path().to_owned(),
                what: "output",
                name: self.wiring.output.clone(),
                found: format!("float32 {shape:?}"),
                wanted,
            }),
        }
    }
}

/// The axes of frames: `None` for time.
fn axes(width: usize, layout: Layout) -> Vec<Option<usize>> {
    match layout {
        Layout::TimeFirst => vec![None, Some(width)],
        Layout::WidthFirst => vec![Some(width), None],
    }
}

fn described(width: usize, layout: Layout) -> String {
    match layout {
        Layout::TimeFirst => format!("float32 [batch, time, {width}]"),
        Layout::WidthFirst => format!("float32 [batch, {width}, time]"),
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

/// Compares a port with its own axes (`None` for one of any size, which must not be fixed); gives the number of axes in
/// front of them.
fn fit(
    model: &Model,
    what: &'static str,
    port: &Port,
    elements: &[u64],
    own: &[Option<usize>],
    wanted: &str,
) -> Result<usize, OnnxError> {
    let refuse = |why: &str| {
        Err(OnnxError::Form {
            path: model.path().to_owned(),
            what,
            name: port.name.clone(),
            found: port.to_string(),
            wanted: format!("{wanted}{why}"),
        })
    };
    if port.element != 0 && !elements.contains(&port.element) {
        return refuse("");
    }
    let Some(shape) = &port.shape else {
        return Ok(1);
    };
    let Some((in_front, found)) = shape
        .len()
        .checked_sub(own.len())
        .and_then(|at| shape.split_at_checked(at))
    else {
        return refuse("");
    };
    if in_front.len() > MOST_IN_FRONT || !in_front.iter().all(can_be_one) {
        return refuse("");
    }
    for (found, own) in found.iter().zip(own) {
        match (found, own) {
            (Axis::Fixed(found), Some(own)) if found != own => return refuse(""),
            (Axis::Fixed(_), None) if what == "input" => {
                return refuse("; export it again with time as a dynamic axis");
            }
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
