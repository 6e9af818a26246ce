//! What settings must be beyond what their schema says.

use emorun_lang::{Code, Diagnostic, Report, Section, Tree, suggestion};

use super::{at, origin};
use emorun_engine::settings::{AverageConfig, FinalWeights, SchedulerConfig, Settings};

/// What settings must be beyond what their schema says.
pub(super) fn check<'a>(
    settings: &Settings,
    nodes: impl Iterator<Item = (Section, &'a str)> + Clone,
    tree: &Tree,
    report: &mut Report,
) {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    if let SchedulerConfig::OneCycle(cycle) = &settings.training.scheduler {
        let (lr, max_lr) = (settings.training.optimizer.lr(), cycle.max_lr);
        if lr != max_lr {
            let message = format!("`lr: {lr}` has no effect: `one_cycle` goes up to `max_lr: {max_lr}` and down again");
            let help = "set training.scheduler.max_lr; the same number in both places is not warned of";
            let warning = Diagnostic::warning(Code::InvalidValue, message).help(help);
            report.push(at(warning, &path("training.optimizer.lr"), tree));
        }
    }
    let mut wrong = |place: &str, message: String, help: &str| {
        report.push(at(
            Diagnostic::error(Code::InvalidValue, message).help(help),
            &path(place),
            tree,
        ));
    };
    if !nodes.clone().any(|(section, _)| section == Section::Losses) {
        wrong(
            "losses",
            "there is nothing to train: no loss".into(),
            "add a loss such as `losses: { ce: { kind: cross_entropy, input: HEAD } }`",
        );
    }
    if !nodes.clone().any(|(section, _)| section == Section::Datasets) {
        wrong(
            "datasets",
            "there is nothing to train on: no dataset".into(),
            "add one such as `datasets: { speech: { kind: synthetic } }`",
        );
    }
    let plateau = match &settings.training.scheduler {
        SchedulerConfig::Plateau(plateau) => Some(plateau),
        _ => None,
    };
    if !has_validation(settings) {
        let help = "give the split a validation side";
        if settings.training.early_stopping.is_some() {
            wrong(
                "training.early_stopping",
                "early stopping needs a validation split, and there is none".into(),
                help,
            );
        }
        if plateau.is_some() {
            wrong(
                "training.scheduler",
                "a plateau is seen on a validation split, and there is none".into(),
                help,
            );
        }
        if settings.evaluation.weights == Some(FinalWeights::Best) {
            wrong(
                "evaluation.weights",
                "the best weights are chosen on a validation split, and there is none".into(),
                help,
            );
        }
    }
    if let Some(AverageConfig::Swa(swa)) = &settings.training.average
        && swa.from_epoch > settings.training.epochs
    {
        let message = format!(
            "no epoch is averaged: the run ends after epoch {}",
            settings.training.epochs
        );
        let help = "begin earlier, at three quarters of the epochs for instance";
        wrong("training.average.from_epoch", message, help);
    }
    for (index, group) in settings.training.groups.iter().enumerate() {
        for (at, name) in group.nodes.iter().enumerate() {
            if !nodes.clone().any(|(_, node)| node == name) {
                let known: Vec<&str> = nodes.clone().map(|(_, node)| node).collect();
                wrong(
                    &format!("training.groups.{index}.nodes.{at}"),
                    format!("`{name}` is no node of this experiment"),
                    &suggestion(name, &known, "nodes").unwrap_or_default(),
                );
            }
        }
    }
    if let Some((field, message, help)) = settings.init_from.as_ref().and_then(origin::mistake) {
        wrong(&format!("init_from{field}"), message, help);
    }
    let mut seeds = settings.training.seeds.clone();
    seeds.sort_unstable();
    if seeds.windows(2).any(|pair| pair[0] == pair[1]) {
        wrong("training.seeds", "a seed is listed twice".into(), "list each seed once");
    }
}

/// Whether the split has a validation side, as far as the file tells.
pub(super) fn has_validation(settings: &Settings) -> bool {
    use emorun_data::SplitConfig;
    use emorun_data::split::{FoldValidation, Rest};
    match &settings.split {
        SplitConfig::BySpeaker(split) => split.validation > 0.0,
        SplitConfig::Fixed(split) => {
            split.from.is_some() || !split.validation.is_empty() || split.rest == Some(Rest::Validation)
        }
        SplitConfig::Folds(split) => split.validation != FoldValidation::None,
        SplitConfig::EmoboxFolds(split) => split.validation > 0.0,
        SplitConfig::EmoboxCross(split) => split.validation > 0.0,
    }
}
