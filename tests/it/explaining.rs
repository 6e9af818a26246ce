//! `emorun nodes`: kinds and settings explained on the terminal.

use crate::support::Lab;

fn explained(name: &str) -> String {
    let lab = Lab::new();
    let outcome = lab.emorun(&["nodes", name]);
    assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
    outcome.stdout
}

#[test]
fn every_setting_with_fields_or_kinds_is_listed_and_has_a_page() {
    let lab = Lab::new();
    let list = lab.emorun(&["nodes"]).stdout;
    let (_, settings) = list.split_once("\nsettings\n").unwrap();
    let paths: Vec<&str> = settings
        .lines()
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    for path in [
        "settings",
        "split",
        "training",
        "training.optimizer",
        "training.scheduler",
        "training.batching",
        "training.early_stopping",
        "evaluation",
        "logging",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    for path in paths {
        let page = explained(path);
        assert!(page.starts_with(&format!("{path}: ")), "{page}");
        assert!(page.lines().count() > 3, "{page}");
    }
}

#[test]
fn a_kind_of_a_setting_is_found_by_its_own_name() {
    for (name, path, field) in [
        ("adamw", "training.optimizer.adamw", "weight_decay: number"),
        ("one_cycle", "training.scheduler.one_cycle", "max_lr: number"),
        ("by_speaker", "split.by_speaker", "validation: number"),
        (
            "by_length",
            "training.batching.by_length",
            "max_batch_seconds: number | auto",
        ),
        ("training.loader", "training.loader", "workers: integer from 1 to 256"),
    ] {
        let page = explained(name);
        assert!(page.starts_with(&format!("{path}: ")), "{page}");
        assert!(page.contains(field), "{field} in {page}");
    }
}

#[test]
fn a_name_of_a_kind_and_of_a_setting_shows_both() {
    // `constant` is no node; `normalise` is no setting.
    assert!(explained("constant").starts_with("training.scheduler.constant: "));
    assert!(explained("normalise").starts_with("normalise (in blocks)"));
}
