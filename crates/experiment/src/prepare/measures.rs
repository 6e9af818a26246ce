//! Metrics that are asked for, and heads that can give them.

use emorun_lang::{Code, Diagnostic, Report, Section, Tree, suggestion};
use emorun_metrics::{Metric, Predicts};

use super::{ExperimentDraft, at};
use emorun_engine::settings::Settings;
use emorun_nodes::kinds::NodeConfig;

/// Names of all that can choose an epoch: the weighted sum of the losses, each loss, each head's metrics.
fn measures(losses: &[&str], heads: &[(&str, Predicts)]) -> Vec<String> {
    let losses = losses.iter().map(|loss| format!("loss.{loss}"));
    let of_heads = heads.iter().flat_map(|&(head, predicts)| {
        let metrics = Metric::of(predicts);
        metrics.map(move |metric| format!("{head}.{}", metric.name()))
    });
    std::iter::once("loss".to_owned())
        .chain(losses)
        .chain(of_heads)
        .collect()
}

/// Reports measures that the experiment does not have, and metrics that none of its heads can give.
pub(super) fn check(draft: &ExperimentDraft, settings: &Settings, tree: &Tree, report: &mut Report) {
    let mut wrong = |place: &str, message: String, help: Option<String>| {
        let place: Vec<String> = place.split('.').map(str::to_owned).collect();
        let mistake = Diagnostic::error(Code::InvalidValue, message).maybe_help(help);
        report.push(at(mistake, &place, tree));
    };
    let of_section = |section| draft.graph().section(section);
    let losses: Vec<&str> = of_section(Section::Losses).map(|node| node.name.as_str()).collect();
    let predicts = |config: &NodeConfig| config.predicts();
    let heads: Vec<(&str, Option<Predicts>)> = of_section(Section::Heads)
        .map(|node| (node.name.as_str(), node.config.as_ref().and_then(predicts)))
        .collect();
    // What a head predicts whose fields have mistakes is not known; those are reported.
    let known: Vec<(&str, Predicts)> = heads.iter().filter_map(|&(head, of)| Some((head, of?))).collect();
    let measures = measures(&losses, &known);
    let measures: Vec<&str> = measures.iter().map(String::as_str).collect();
    for (place, name) in settings.choosing() {
        if !measures.contains(&name) {
            let message = format!("`{name}` is no metric of this experiment");
            wrong(place, message, suggestion(name, &measures, "its metrics"));
        }
    }
    let named = &settings.evaluation.metrics;
    // The default is of classes, and says nothing of an experiment without them.
    if known.len() < heads.len() || known.is_empty() || *named == Metric::SHOWN {
        return;
    }
    let of_some_head = |metric: Metric| known.iter().any(|&(_, predicts)| metric.is_of(predicts));
    let possible = Metric::ALL.iter().filter(|metric| of_some_head(**metric));
    let possible: Vec<&str> = possible.map(|metric| metric.name()).collect();
    for (index, metric) in named.iter().enumerate().filter(|(_, metric)| !of_some_head(**metric)) {
        let (name, needs) = (metric.name(), metric.needs().text());
        wrong(
            &format!("evaluation.metrics.{index}"),
            format!("no head can give `{name}`: it needs {needs}, which none predicts"),
            suggestion(name, &possible, "metrics of these heads"),
        );
    }
}
