//! The program's `config.yml` as an experiment.

use std::fmt::Write as _;

use emorun_lang::{Code, Diagnostic, Report, Tree, Value, suggestion};

use crate::reader::{Reader, comment, decimal, scalar};
use crate::runs::plain;

/// The program's classes of datasets, and what they read.
const DATASETS: [(&str, &str); 2] = [("RAVDESSDataset", "ravdess"), ("CREMADataset", "cremad")];
/// The program's encoders (bundles of torchaudio), the kinds that read them and the same weights on the Hub.
const ENCODERS: [(&str, &str, &str); 3] = [
    ("hubert", "hubert", "facebook/hubert-base-ls960"),
    ("wav2vec2", "wav2vec2", "facebook/wav2vec2-base"),
    ("wavlm", "wavlm", "microsoft/wavlm-base"),
];
/// Seed of the program's split, which is the only one that it sets.
const SEED: u64 = 42;

/// Keys that say where the program writes, which an experiment does not.
const PLACES: [&str; 9] = [
    "logging.log_dir",
    "logging.track_run",
    "logging.runs_config_path",
    "logging.misclassified_dir",
    "logging.checkpoint_dir",
    "paths.run_name",
    "paths.checkpoint_dir",
    "paths.log_dir",
    "paths.misclassified_dir",
];

/// A corpus of the experiment.
struct Dataset {
    name: String,
    kind: &'static str,
    root: String,
}

/// What of the encoder trains.
#[derive(Clone, Copy, PartialEq)]
enum Trained {
    None,
    Last(u64),
    All,
}

/// The text of the experiment.
pub(crate) fn experiment(tree: &Tree, name: &str, report: &mut Report) -> Option<String> {
    let mut reader = Reader::new(tree, report);
    let mut text = String::new();
    head(&mut reader, name, &mut text);
    let datasets = datasets(&mut reader, &mut text);
    augmentations(&mut reader, &mut text);
    let trained = encoder(&mut reader, &mut text);
    heads(&mut reader, &mut text, (&datasets, trained));
    training(&mut reader, &mut text);
    evaluation(&mut reader, &mut text);
    weights(&mut reader, &mut text);
    for place in PLACES {
        reader.at(place);
    }
    let unknown = reader.finish()?;
    if !unknown.is_empty() {
        let _ = writeln!(text, "\n# Not known, and left out: {}", comment(&unknown.join(", ")));
    }
    Some(text)
}

/// What the experiment is called and says of itself.
fn head(reader: &mut Reader<'_>, name: &str, text: &mut String) {
    text.push_str(
        "# yaml-language-server: $schema=../schemas/experiment.schema.json\n\
         # From a configuration of emotion_classifier. Comments say where it has something that an experiment has not, or\n\
         # does otherwise than it says.\n",
    );
    let label = reader.text("logging.run_label").map(plain);
    let _ = writeln!(text, "name: {}", scalar(label.as_deref().unwrap_or(name)));
    if let Some(notes) = reader.text("notes") {
        let _ = writeln!(text, "description: {}", serde_json::Value::from(comment(notes)));
    }
    let rate_hz = reader.count("data.sample_rate", 1).unwrap_or(16_000);
    let _ = writeln!(text, "seed: {SEED}\nsample_rate_hz: {rate_hz}");
}

fn datasets(reader: &mut Reader<'_>, text: &mut String) -> Vec<Dataset> {
    let mut found: Vec<Dataset> = Vec::new();
    match reader.at("data.datasets") {
        Some(list) => {
            let Value::Seq(entries) = &list.value else {
                reader.wrong(list, "data.datasets", "a list");
                return found;
            };
            for entry in entries {
                let Some(class) = entry.get("class_path").and_then(Tree::as_str) else {
                    let mistake = Diagnostic::error(Code::MissingKey, "a dataset has no `class_path`");
                    reader.mistake(mistake.label(entry.span, "in here"));
                    continue;
                };
                let class = class.rsplit('.').next().unwrap_or(class);
                let root = entry.get("data_dir").and_then(Tree::as_str);
                add_dataset(reader, entry, class, root, &mut found);
            }
        }
        // As its first versions had it.
        None => match (reader.at("data.dataset_name"), reader.text("data.data_dir")) {
            (Some(named), root) => {
                let class = named.as_str().map(|name| match name.to_lowercase().as_str() {
                    "ravdess" => "RAVDESSDataset".to_owned(),
                    "crema-d" | "cremad" | "crema" => "CREMADataset".to_owned(),
                    _ => name.to_owned(),
                });
                add_dataset(reader, named, &class.unwrap_or_default(), root, &mut found);
            }
            _ => reader.lacks("data.datasets", "an experiment needs a corpus"),
        },
    }
    text.push_str("\ndatasets:\n");
    for Dataset { name, kind, root } in &found {
        let _ = writeln!(text, "  {name}: {{ kind: {kind}, root: {} }}", scalar(root));
    }
    let validation = reader.number("training.val_split", 0.0).unwrap_or(0.2);
    let _ = writeln!(
        text,
        "\n# It chooses its epoch on the side that it reports. `test: 0.15` keeps speakers apart that are only reported on.\n\
         split: {{ kind: by_speaker, validation: {}, test: 0 }}",
        decimal(validation)
    );
    found
}

fn add_dataset(reader: &mut Reader<'_>, entry: &Tree, class: &str, root: Option<&str>, found: &mut Vec<Dataset>) {
    let Some((_, kind)) = DATASETS.into_iter().find(|(known, _)| *known == class) else {
        let names = DATASETS.map(|(known, _)| known);
        let help = suggestion(class, &names, "datasets that are known");
        let help = help.map_or_else(String::new, |help| format!("{help}; "));
        let mistake = Diagnostic::error(Code::UnknownKind, format!("the dataset {class:?} is not known"))
            .label(entry.span, "not one of the program's own")
            .help(format!("{help}any corpus with a table is read by `kind: manifest`"));
        return reader.mistake(mistake);
    };
    let Some(root) = root else {
        let mistake = Diagnostic::error(Code::MissingKey, "a dataset has no `data_dir`");
        return reader.mistake(mistake.label(entry.span, "in here"));
    };
    let others = found.iter().filter(|other| other.kind == kind).count();
    let name = match others {
        0 => kind.to_owned(),
        several => format!("{kind}_{}", several + 1),
    };
    found.push(Dataset {
        name,
        kind,
        root: root.to_owned(),
    });
}

/// What it does to waveforms of training, which stands in its code.
fn augmentations(reader: &mut Reader<'_>, text: &mut String) {
    text.push_str(
        "\n# As in its code, where they cannot be changed.\naugmentations:\n\
         \x20 hiss: { kind: gaussian_noise, level: { amplitude: [0.005, 0.005] }, p: 1.0 }\n\
         \x20 gain: { kind: gain, gain_db: [-6, 6], p: 0.5 }\n\
         \x20 pitch: { kind: pitch_shift, semitones: [-4, 4], p: 0.5 }\n",
    );
    match reader.text("data.noise_dir") {
        Some(root) => {
            let _ = writeln!(
                text,
                "  noise: {{ kind: background_noise, root: {}, categories: [noise], snr_db: [5, 20], p: 0.3 }}",
                scalar(root)
            );
        }
        None => text.push_str("  # no `noise_dir`, and so no background noise\n"),
    }
    text.push_str("  tempo: { kind: time_stretch, rate: [0.8, 1.2], p: 0.5 }\n");
}

fn encoder(reader: &mut Reader<'_>, text: &mut String) -> Trained {
    let is_frozen = reader.flag("model.freeze_encoder").unwrap_or(true);
    let last = reader.count("model.unfreeze_last_n_layers", 0).unwrap_or(0);
    let trained = match (is_frozen, last) {
        (true, 0) => Trained::None,
        (true, last) => Trained::Last(last),
        (false, _) => Trained::All,
    };
    let Some(found) = reader.at("model.encoder_name") else {
        reader.lacks("model.encoder_name", "one of hubert, wav2vec2 and wavlm");
        return trained;
    };
    let name = found.as_str().unwrap_or_default().to_lowercase();
    let Some((_, kind, weights)) = ENCODERS.into_iter().find(|(known, ..)| *known == name) else {
        let names = ENCODERS.map(|(known, ..)| known);
        let mistake = Diagnostic::error(Code::UnknownKind, format!("the encoder is {}", found.describe()))
            .label(found.span, "not one of the program's own")
            .maybe_help(suggestion(&name, &names, "encoders that are known"));
        reader.mistake(mistake);
        return trained;
    };
    let train = match trained {
        Trained::None => "none".to_owned(),
        Trained::Last(layers) => format!("{{ last: {layers} }}"),
        Trained::All => "all".to_owned(),
    };
    text.push_str("\nencoders:\n");
    if trained != Trained::None {
        text.push_str("  # It runs its encoder without gradients, so that nothing of it trained, whatever it said.\n");
    }
    let _ = writeln!(
        text,
        "  encoder: {{ kind: {kind}, input: data.audio, weights: {weights}, train: {train} }}"
    );
    trained
}

/// Heads and losses.
fn heads(reader: &mut Reader<'_>, text: &mut String, (datasets, trained): (&[Dataset], Trained)) {
    let hidden = reader.count("model.hidden_dim", 1).unwrap_or(256);
    let dropout = decimal(reader.number("model.dropout", 0.0).unwrap_or(0.3));
    let lambda = reader.number("model.grl_lambda", 0.0).unwrap_or(0.0);
    let domains = reader.count("model.num_domains", 1);
    let classes = reader.count("model.num_classes", 1);
    let is_adversarial = lambda > 0.0 && datasets.len() > 1 && trained != Trained::None;
    if is_adversarial {
        let _ = writeln!(
            text,
            "\n# Which corpus it hears is to be unlearned.\nblocks:\n\
             \x20 pooled: {{ kind: pool, input: encoder, how: mean }}\n\
             \x20 reversed: {{ kind: gradient_reversal, input: pooled, lambda: {0}, ramp: {{ from: {0} }} }}",
            decimal(lambda)
        );
    }
    text.push_str("\nheads:\n");
    if let Some(classes) = classes {
        let _ = writeln!(
            text,
            "  # It had {classes} classes; here they are those of the corpora, numbered by their names."
        );
    }
    let _ = writeln!(
        text,
        "  emotion: {{ kind: attention_classifier, input: encoder, target: data.emotion, hidden: {hidden}, dropout: {dropout}, pooled_dropout: {dropout} }}"
    );
    if is_adversarial {
        let _ = writeln!(
            text,
            "  corpus: {{ kind: mlp_classifier, input: reversed, target: data.corpus, hidden: [{}], dropout: {dropout} }}",
            (hidden / 2).max(1)
        );
    } else if lambda > 0.0 {
        let why = if datasets.len() > 1 {
            "the encoder does not train, so that nothing can be unlearned"
        } else {
            "there is one corpus"
        };
        let _ = writeln!(
            text,
            "  # no domain-adversarial head (`grl_lambda` {}): {why}",
            decimal(lambda)
        );
    }
    if let Some(domains) = domains.filter(|domains| is_adversarial && *domains != datasets.len() as u64) {
        let _ = writeln!(text, "  # it had {domains} domains; here there are as many as corpora");
    }
    text.push_str("\nlosses:\n  ce: { kind: cross_entropy, input: emotion }\n");
    if is_adversarial {
        let _ = writeln!(
            text,
            "  adversary: {{ kind: cross_entropy, input: corpus, weight: {} }}",
            decimal(lambda)
        );
    }
}

fn training(reader: &mut Reader<'_>, text: &mut String) {
    let epochs = reader.count("training.epochs", 1).unwrap_or(50);
    let batch_size = reader.count("training.batch_size", 1).unwrap_or(8);
    let lr = reader.number("training.lr", 0.0).unwrap_or(1e-4);
    let max_lr = reader.number("training.max_lr", 0.0);
    let min_lr = decimal(reader.number("training.min_lr", 0.0).unwrap_or(1e-6));
    let _ = writeln!(
        text,
        "\ntraining:\n  epochs: {epochs}\n  batch_size: {batch_size}\n  optimizer: {{ kind: adam, lr: {} }}",
        decimal(lr)
    );
    let by_step = "  # It counts its periods in epochs and goes on with every batch; `unit: step` repeats that.\n";
    match reader.text("training.scheduler") {
        Some("onecycle") => {
            let max_lr = decimal(max_lr.unwrap_or(lr));
            let _ = writeln!(
                text,
                "  scheduler: {{ kind: one_cycle, max_lr: {max_lr}, pct_start: 0.1 }}"
            );
        }
        Some("cosine") => {
            let _ = writeln!(
                text,
                "{by_step}  scheduler: {{ kind: cosine, unit: epoch, min_lr: {min_lr} }}"
            );
        }
        Some("cosine_warm_restarts") => {
            let _ = writeln!(
                text,
                "{by_step}  scheduler: {{ kind: cosine_warm_restarts, unit: epoch, t_0: 10, t_mult: 2, min_lr: {min_lr} }}"
            );
        }
        Some(other) => {
            let names = ["onecycle", "cosine", "cosine_warm_restarts"];
            let help = suggestion(other, &names, "schedulers that it has");
            if let Some(found) = reader.at("training.scheduler") {
                let mut message = format!("the scheduler {other:?} is none of the program's, which then has none");
                if let Some(help) = help {
                    message.push_str(&format!("; {help}"));
                }
                reader.warn(found, message, "left out");
            }
        }
        None => {}
    }
    // 0 stands for the main process alone.
    if let Some(workers) = reader.count("training.num_workers", 0).filter(|workers| *workers > 0) {
        let _ = writeln!(text, "  loader: {{ workers: {workers} }}");
    }
    let resumes = ["training.resume_training", "training.resume"].map(|path| reader.flag(path).unwrap_or(false));
    if resumes.contains(&true) {
        text.push_str("  # It was to resume: a run that was stopped goes on with `emorun resume RUN`.\n");
    }
}

fn evaluation(reader: &mut Reader<'_>, text: &mut String) {
    let saves = reader.flag("logging.save_misclassified").unwrap_or(false);
    let misclassified = if saves {
        ", save_misclassified: { max: 100 }"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "\nevaluation: {{ metrics: [uar, wa, macro_f1], best: emotion.wa{misclassified} }}"
    );
}

/// Weights that it starts from.
fn weights(reader: &mut Reader<'_>, text: &mut String) {
    let is_enabled = reader.flag("pretrained_weights.enabled").unwrap_or(false);
    let Some(path) = reader.text("pretrained_weights.checkpoint_path").filter(|_| is_enabled) else {
        return;
    };
    let _ = writeln!(
        text,
        "\n# It was to start from {}, whose encoder is torchaudio's, with other names. A run of emorun in its place:\n\
         # init_from: {{ run: runs/NAME/LABEL }}",
        comment(path)
    );
}
