//! Noise and impulse responses before a run: every recording is decoded and judged.

use std::path::{Path, PathBuf};

use emorun_audio::augment::{Augment, AugmentError};
use emorun_data::check_recordings;
use emorun_lang::{Code, Diagnostic, Report, Section, Tree};
use rayon::prelude::*;

use super::{Depth, Prepared, at};
use emorun_engine::feed::augment::{AugmentationStep, Change};
use emorun_nodes::augmentations::augmentation::{field_of, is_about_files};

/// Errors that are told of one augmentation.
const TOLD: usize = 20;

/// Every transform with its node's name, those that others hold included.
pub(super) fn transforms(steps: &[AugmentationStep]) -> Vec<(&str, &dyn Augment)> {
    let each = steps.iter().map(|step| match &step.change {
        Change::Transform(augment) => vec![(step.name.as_str(), augment.as_ref())],
        Change::Group { steps, .. } => transforms(steps),
    });
    each.flatten().collect()
}

/// Builds the augmentations for [`Prepared`] and adds to the report what is to be known of the folders that they read. In a deep check every
/// recording is decoded, and each that is of no use is an error. Gives the number of errors, and whether they are about
/// files.
pub(super) fn check(prepared: &mut Prepared, depth: Depth, tree: &Tree, report: &mut Report) -> (usize, bool) {
    match prepared.build_augmentations() {
        Ok(augmentations) => prepared.augmentations = augmentations,
        Err((name, error)) => {
            let data = is_about_files(&error);
            let path: Vec<String> = place(&name)
                .into_iter()
                .chain(field_of(&error).split('.').map(str::to_owned))
                .collect();
            let code = if data { Code::MissingData } else { Code::InvalidValue };
            report.push(at(Diagnostic::error(code, error.to_string()), &path, tree));
            return (1, data);
        }
    }
    for (name, augment) in transforms(&prepared.augmentations.steps) {
        for remark in augment.remarks() {
            report.push(at(Diagnostic::warning(Code::InvalidData, remark), &place(name), tree));
        }
    }
    match depth {
        Depth::Deep => (decode(prepared, tree, report), true),
        Depth::Structure | Depth::Metadata => (0, true),
    }
}

/// Decodes every recording that augmentations may read, and adds those that are of no use; gives their number.
fn decode(prepared: &Prepared, tree: &Tree, report: &mut Report) -> usize {
    let remembered = super::remembered(prepared);
    let mut mistakes = 0;
    for (name, augment) in transforms(&prepared.augmentations.steps) {
        let paths: Vec<PathBuf> = augment.files().into_iter().map(Path::to_owned).collect();
        let (read, remark) = check_recordings(&paths, augment.shortest_s(), remembered.as_deref());
        if let Some(remark) = remark {
            report.push(at(Diagnostic::warning(Code::InvalidData, remark), &place(name), tree));
        }
        let judged = read.into_par_iter().enumerate().map(|(file, read)| {
            let recording = read.map_err(AugmentError::NoiseFile)?;
            augment.judge(file, recording.peak)
        });
        let judged: Vec<Result<(), AugmentError>> = judged.collect();
        let wrong: Vec<AugmentError> = judged.into_iter().filter_map(Result::err).collect();
        for error in wrong.iter().take(TOLD) {
            report.push(at(
                Diagnostic::error(Code::InvalidData, error.to_string()),
                &place(name),
                tree,
            ));
        }
        if wrong.len() > TOLD {
            let more = format!("{} more recordings of `{name}` cannot be used", wrong.len() - TOLD);
            report.push(at(Diagnostic::error(Code::InvalidData, more), &place(name), tree));
        }
        mistakes += wrong.len();
    }
    mistakes
}

/// Where a node stands.
fn place(name: &str) -> [String; 2] {
    [Section::Augmentations.name(), name].map(str::to_owned)
}
