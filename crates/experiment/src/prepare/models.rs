//! Models from ONNX files: read and checked against what is declared for them, then tried out on
//! items, before anything is trained.

use std::collections::HashMap;
use std::sync::Arc;

use emorun_data::Item;
use emorun_features::Array;
use emorun_lang::{Code, Diagnostic, Plan, Report, Section, Signal, Tree};
use emorun_onnx::{Encoder, Gives, Layout, Model, OnnxError, Takes, Wiring};

use super::{ExperimentDraft, Prepared, at};
use emorun_engine::exit::Failure;
use emorun_engine::feed::FeedError;
use emorun_engine::feed::augment::{Augmentations, Version};
use emorun_engine::feed::host::HostPipeline;
use emorun_engine::feed::streams::AUDIO;
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostValue, ItemModel, ItemModelError};
use emorun_nn::value::PortId;
use emorun_nodes::contract::{Axes, ModelFile};

/// Share by which the number of frames may differ from the declared rate.
const SLACK: f64 = 0.1;
/// Frames by which it may differ beyond that: what convolutions leave out at the ends.
const SLACK_FRAMES: f64 = 2.0;

#[derive(Debug)]
struct OnnxModel(Encoder);

impl ItemModel for OnnxModel {
    fn hash(&self) -> [u8; 32] {
        self.0.model().hash()
    }

    fn compute(&self, input: &HostValue) -> Result<Array, ItemModelError> {
        let features = self.0.run(input.values())?;
        Ok(Array::new(features.shape, features.values)?)
    }
}

/// Reads the models and checks what is declared for them; gives the number of nodes that cannot have
/// theirs. `plan` is that of the structural check.
pub(super) fn gather(
    draft: &ExperimentDraft,
    plan: &Plan,
    facts: &mut Facts,
    tree: &Tree,
    report: &mut Report,
) -> usize {
    let mut mistakes = 0;
    let mut read: HashMap<&str, Arc<Model>> = HashMap::new();
    for (name, config) in draft.configs(Section::Encoders) {
        let Some(file) = config.model_file() else { continue };
        let inputs = plan.node(name).map(|node| node.inputs.as_slice()).unwrap_or_default();
        let Some(input) = inputs.first().map(|input| &input.signal) else {
            continue;
        };
        let model = match read.get(file.path.as_str()) {
            Some(model) => Ok(model.clone()),
            None => Model::open(file.path.as_path()).map(Arc::new),
        };
        let encoder = model.and_then(|model| {
            read.insert(file.path.as_str(), model.clone());
            Encoder::new(model, wiring(&file, input))
        });
        match encoder {
            Ok(encoder) => facts.insert_model(file.path.as_str(), file.settings.clone(), Arc::new(OnnxModel(encoder))),
            Err(error) => {
                mistakes += 1;
                let (code, field, help) = explain(&error, &file);
                let place = [Section::Encoders.name(), name, field].map(str::to_owned);
                let mistake = Diagnostic::error(code, error.to_string()).help(help);
                report.push(at(mistake, &place, tree));
            }
        }
    }
    mistakes
}

fn layout(declared: Axes) -> Layout {
    match declared {
        Axes::TimeFirst => Layout::TimeFirst,
        Axes::WidthFirst => Layout::WidthFirst,
    }
}

fn wiring(file: &ModelFile<'_>, input: &Signal) -> Wiring {
    let width = file.width;
    Wiring {
        input: file.input_name.to_owned(),
        takes: match input {
            Signal::Frames { width, .. } => Takes::Frames {
                width: *width,
                layout: layout(file.input_layout),
            },
            // Inference lets nothing else through than waveforms.
            _ => Takes::Wave {
                normalise: file.normalise,
            },
        },
        mask: file.mask_name.map(str::to_owned),
        length: file.length_name.map(str::to_owned),
        output: file.output_name.to_owned(),
        gives: match file.output_layout {
            Some(axes) => Gives::Frames {
                width,
                layout: layout(axes),
            },
            None => Gives::Vector { width },
        },
    }
}

/// The code of a mistake, the field that it is about, and what would help.
fn explain(error: &OnnxError, file: &ModelFile<'_>) -> (Code, &'static str, &'static str) {
    let field = |what: &str, name: &str| match what {
        "output" => "output_name",
        _ if Some(name) == file.mask_name => "mask_name",
        _ if Some(name) == file.length_name => "length_name",
        _ => "input_name",
    };
    match error {
        OnnxError::Io { .. } => (
            Code::MissingData,
            "model",
            "give the path of an .onnx file; weights that it keeps in another file must lie beside it",
        ),
        OnnxError::Damaged { .. } => (Code::InvalidData, "model", "download or export it again"),
        OnnxError::Unsupported { .. } => (
            Code::InvalidData,
            "model",
            "export it with standard operators of another version (`torch.onnx.export(…, opset_version=18)`), or compute the features elsewhere and read them with `kind: precomputed`",
        ),
        OnnxError::UnknownName { what, name, .. } => (Code::InvalidValue, field(what, name), "give one of these names"),
        OnnxError::Unfed { .. } => (
            Code::InvalidValue,
            "input_name",
            "`mask_name` names an input for a mask of the valid steps, `length_name` one for their number; export the model without any other",
        ),
        OnnxError::Form { what, name, .. } => (
            Code::InvalidValue,
            field(what, name),
            "declare what the file has (`what`, `width`, `input_layout`, `output_layout`), or name another of its inputs and outputs",
        ),
        OnnxError::Run { .. } | OnnxError::NotFinite { .. } => {
            (Code::InvalidData, "model", "export it again, for every length")
        }
    }
}

/// Runs every model on the shortest and the longest item, to hear now what it makes of them.
///
/// # Errors
/// A model fails on an item, or gives frames at another rate than declared.
pub(super) fn try_out(prepared: &Prepared) -> Result<(), Failure> {
    let nodes: Vec<(&str, ModelFile<'_>)> = prepared
        .nodes()
        .filter_map(|(_, name, config)| Some((name, config.model_file()?)))
        .collect();
    if nodes.is_empty() {
        return Ok(());
    }
    let items = &prepared.corpus.items;
    let durations_s = || items.durations_s().iter().enumerate();
    let by_duration = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
    let (Some((shortest, _)), Some((longest, _))) =
        (durations_s().min_by(by_duration), durations_s().max_by(by_duration))
    else {
        return Ok(());
    };
    let (shortest, longest) = (items.get(shortest)?, items.get(longest)?);
    let mut parts = prepared.host_parts(prepared.settings.seed, "cpu")?;
    parts.wanted = nodes.iter().map(|(name, _)| PortId::new(name, "")).collect();
    parts.augmentations = Augmentations::default();
    parts.cached.clear();
    parts.cache = None;
    let pipeline = HostPipeline::new(prepared.settings.sample_rate_hz, parts, 0);
    let compute = |item: &Item| {
        pipeline.values(item, &Version::Plain).map_err(|error| match error {
            FeedError::Data(error) => error.into(),
            error => Failure::Input(error.to_string()),
        })
    };
    let (short, long) = (compute(&shortest)?, compute(&longest)?);
    for (((name, file), short), long) in nodes.into_iter().zip(&short.wanted).zip(&long.wanted) {
        let (Some(declared), Some(short), Some(long)) = (file.rate_hz, short, long) else {
            continue;
        };
        // How long other streams are, recordings do not tell.
        if pipeline.parts.source(&PortId::new(name, "")) != AUDIO {
            continue;
        }
        let more_seconds = longest.duration_s - shortest.duration_s;
        // What is left out at the ends cancels in the difference, where there is one.
        let (seconds, frames) = if more_seconds >= 1.0 {
            (more_seconds, long.steps() as f64 - short.steps() as f64)
        } else {
            (longest.duration_s, long.steps() as f64)
        };
        let expected = declared * seconds;
        if (frames - expected).abs() > SLACK * expected + SLACK_FRAMES {
            return Err(Failure::Input(format!(
                "`{name}` gives {:.1} frames a second of audio, not the {declared} declared in `rate_hz`",
                frames / seconds
            )));
        }
    }
    Ok(())
}
