//! `only`, by which an augmentation is for some datasets.

use emorun_lang::{Code, Diagnostic, Report, Section, Tree, suggestion};

use super::{ExperimentDraft, at};

/// Reports names that no dataset has: the augmentation would silently be for fewer items than was meant.
pub(super) fn check(draft: &ExperimentDraft, tree: &Tree, report: &mut Report) {
    let datasets: Vec<&str> = draft
        .graph()
        .section(Section::Datasets)
        .map(|node| node.name.as_str())
        .collect();
    for (name, config) in draft.configs(Section::Augmentations) {
        let Some(augmentation) = config.as_augmentation() else {
            continue;
        };
        for (index, wanted) in augmentation.only().iter().enumerate() {
            if datasets.contains(&wanted.as_str()) {
                continue;
            }
            let diagnostic = Diagnostic::error(Code::UnknownValue, format!("there is no dataset `{wanted}`"))
                .maybe_help(suggestion(wanted, &datasets, "datasets"));
            let place = [Section::Augmentations.name(), name, "only", &index.to_string()].map(str::to_owned);
            report.push(at(diagnostic, &place, tree));
        }
    }
}
