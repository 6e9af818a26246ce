//! The program's tracker, `model_runs.yml`, as a sweep.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use emorun_lang::{Code, Diagnostic, Report, Tree, Value, folder_name_problem};

use crate::reader::{comment, scalar};

/// Experiment that entries name until somebody names another.
const BASE: &str = "experiments/imported.yaml";

/// The text of a sweep over the runs of a tracker. It lists labels and places of logs; which configuration each run had
/// it does not say, so that every entry is of one experiment until it is changed by hand.
pub(crate) fn sweep(tree: &Tree, list: &Tree, name: &str, report: &mut Report) -> Option<String> {
    let mut mistakes = Vec::new();
    for entry in tree.entries().iter().filter(|entry| entry.key != "runs") {
        let message = format!("`{}` is not known, and left out", entry.key);
        report.push(Diagnostic::warning(Code::UnknownKey, message).label(entry.key_span, "not known"));
    }
    let Value::Seq(entries) = &list.value else {
        let message = format!("`runs` must be a list, but is {}", list.describe());
        report.push(Diagnostic::error(Code::WrongType, message).label(list.span, "not a list"));
        return None;
    };
    let mut labels = BTreeSet::new();
    let mut text = format!(
        "# yaml-language-server: $schema=../schemas/model_runs.schema.json\n\
         # From a tracker, which has labels and places of logs and not what each run was: import the configuration of each,\n\
         # and put the file or what differs (`set: {{ training.epochs: 100 }}`) beside its label.\n\
         name: {}\nruns:\n",
        scalar(name)
    );
    for entry in entries {
        let label = entry.get("label").and_then(Tree::as_str);
        let Some(label) = label.filter(|label| !label.trim().is_empty()) else {
            mistakes.push(Diagnostic::error(Code::MissingKey, "a run has no `label`").label(entry.span, "in here"));
            continue;
        };
        // The program lets two runs have one label; here they would be one folder.
        let mut folder: String = match folder_name_problem(label) {
            None => label.to_owned(),
            Some(_) => plain(label),
        };
        let mut number = 2;
        while !labels.insert(folder.clone()) {
            folder = format!("{}-{number}", folder.trim_end_matches(&format!("-{}", number - 1)));
            number += 1;
        }
        let mut remarks = Vec::new();
        if folder != label {
            remarks.push(format!("label was {label:?}"));
        }
        if let Some(log_dir) = entry.get("log_dir").and_then(Tree::as_str) {
            remarks.push(format!("log_dir {log_dir}"));
        }
        let _ = writeln!(
            text,
            "  - {{ label: {}, experiment: {BASE} }}  # {}",
            scalar(&folder),
            comment(&remarks.join("; "))
        );
    }
    if entries.is_empty() {
        mistakes.push(Diagnostic::error(Code::WrongLength, "`runs` is empty").label(list.span, "no run"));
    }
    let is_whole = mistakes.is_empty();
    mistakes.into_iter().for_each(|mistake| report.push(mistake));
    is_whole.then_some(text)
}

/// A text as the name of a folder.
pub(crate) fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "_-.+=".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let kept = kept.trim_matches(['-', '.']);
    match folder_name_problem(kept) {
        None => kept.to_owned(),
        Some(_) => "imported".to_owned(),
    }
}
