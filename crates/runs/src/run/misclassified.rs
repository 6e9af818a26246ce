//! Recordings that were predicted wrongly, to be listened to.

use std::collections::BTreeSet;
use std::io::Cursor;

use emorun_data::{Items, SplitName};
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_engine::train::result::SplitResult;
use emorun_metrics::ClassPredictions;
use indexmap::IndexMap;

/// Folder of the recordings and tables, below a report.
pub const FOLDER: &str = "misclassified";
/// Most bytes of a class in a file's name.
const LABEL_BYTES: usize = 40;
/// Most bytes of an item in a file's name, the last of its own.
const ITEM_BYTES: usize = 100;

/// Hands over a file by its name below a report, with its bytes.
pub type Write<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), Failure>;

/// A wrong prediction.
struct Wrong {
    /// The item's index.
    item: usize,
    truth: usize,
    predicted: usize,
    confidence: f32,
    of_true: f32,
}

/// Saves the most confident mistakes of every head that predicts classes, where the experiment asks for it: of the test side,
/// or of the validation side where there is no other. Each is a WAV file of what the run heard of it, 16 bits at the
/// experiment's rate, called `true_predicted_confidence_item.wav`, and a line of `HEAD.csv`. A recording that cannot be read
/// any more is a line without a file.
///
/// # Errors
/// A file cannot be written, or an item's record not be read.
pub fn save(
    items: &Items,
    settings: &Settings,
    splits: &IndexMap<SplitName, SplitResult>,
    write: Write<'_>,
) -> Result<(), Failure> {
    let Some(asked) = &settings.evaluation.save_misclassified else {
        return Ok(());
    };
    let sides = [SplitName::Test, SplitName::Validation, SplitName::Train];
    let Some(split) = sides.into_iter().find_map(|side| splits.get(&side)) else {
        return Ok(());
    };
    for (head, _, rows) in split.classifiers() {
        let mut wrong = wrong_of(split, head, rows);
        wrong.truncate(asked.max);
        let table = save_of(items, settings.sample_rate_hz, (head, rows.labels()), &wrong, write)?;
        write(&format!("{FOLDER}/{head}.csv"), &table)?;
    }
    Ok(())
}

/// The wrong predictions of a head, the most confident first.
fn wrong_of(split: &SplitResult, head: &str, rows: &ClassPredictions) -> Vec<Wrong> {
    let rows: Vec<_> = rows.rows().collect();
    let mut wrong: Vec<Wrong> = split
        .in_order(head, &rows)
        .filter_map(|(item, row)| {
            let truth = row.truth.filter(|truth| *truth != row.predicted)?;
            Some(Wrong {
                item,
                truth,
                predicted: row.predicted,
                confidence: row.probabilities[row.predicted],
                of_true: row.probabilities[truth],
            })
        })
        .collect();
    wrong.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    wrong
}

/// Writes the recordings of a head; gives its table.
fn save_of(
    items: &Items,
    rate_hz: u32,
    (head, labels): (&str, &[String]),
    wrong: &[Wrong],
    write: Write<'_>,
) -> Result<Vec<u8>, Failure> {
    let unwritten = |error: csv::Error| Failure::Bug(error.to_string());
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = [
        "file",
        "path",
        "dataset",
        "speaker",
        "true",
        "predicted",
        "confidence",
        "p_true",
        "duration_s",
    ];
    table.write_record(header).map_err(unwritten)?;
    let mut names = BTreeSet::new();
    let mut missing = 0_usize;
    for one in wrong {
        let item = items.get(one.item)?;
        let (truth, predicted) = (&labels[one.truth], &labels[one.predicted]);
        let mut name = String::new();
        match item.load_audio(rate_hz) {
            Ok(samples) => {
                let stem = format!(
                    "{}_{}_{:.3}_{}",
                    safe(truth, LABEL_BYTES),
                    safe(predicted, LABEL_BYTES),
                    one.confidence,
                    safe(without_ending(&item.key), ITEM_BYTES)
                );
                name = free(&mut names, &stem);
                write(&format!("{FOLDER}/{head}/{name}"), &wav(&samples, rate_hz)?)?;
            }
            Err(error) => {
                if missing == 0 {
                    tracing::warn!("a recording that was predicted wrongly is not saved: {error}");
                }
                missing += 1;
            }
        }
        let fields = [
            name,
            item.display_path(),
            item.dataset.to_string(),
            item.speaker.to_string(),
            truth.clone(),
            predicted.clone(),
            one.confidence.to_string(),
            one.of_true.to_string(),
            item.duration_s.to_string(),
        ];
        table.write_record(fields).map_err(unwritten)?;
    }
    if missing > 1 {
        tracing::warn!("{missing} recordings that were predicted wrongly are not saved");
    }
    table.into_inner().map_err(|error| unwritten(error.into_error().into()))
}

/// A key without the ending of an audio file.
fn without_ending(key: &str) -> &str {
    let ending = key
        .rsplit_once('.')
        .filter(|(_, ending)| ending.len() <= 4 && !ending.contains('/'));
    ending.map_or(key, |(stem, _)| stem)
}

/// What can stand in a file's name on every system: letters, digits, points and dashes, of at most so many bytes, the last ones.
fn safe(text: &str, most: usize) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let name: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let mut from = name.len().saturating_sub(most);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    // A name of points alone would lead elsewhere.
    name[from..].trim_matches('.').to_owned()
}

/// A name that no other file has, also where upper and lower case are one.
fn free(names: &mut BTreeSet<String>, stem: &str) -> String {
    let numbered = |number: usize| match number {
        1 => format!("{stem}.wav"),
        number => format!("{stem}-{number}.wav"),
    };
    let mut number = 1;
    while !names.insert(numbered(number).to_lowercase()) {
        number += 1;
    }
    numbered(number)
}

/// Samples as a WAV file of 16 bits; what is beyond full scale is cut off.
fn wav(samples: &[f32], rate_hz: u32) -> Result<Vec<u8>, Failure> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let unwritten = |error: hound::Error| Failure::Bug(error.to_string());
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).map_err(unwritten)?;
    for sample in samples {
        let value = (f64::from(*sample) * 32768.0).round().clamp(-32768.0, 32767.0);
        writer.write_sample(value as i16).map_err(unwritten)?;
    }
    writer.finalize().map_err(unwritten)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_short_and_their_own() {
        assert_eq!(safe("../a b\"<c>/é.wav", 40), "_a_b__c__é.wav");
        assert_eq!(safe("äöü", 3), "ü");
        assert_eq!(safe("..", 40), "");
        assert_eq!(without_ending("emodb/03a01Fa.wav"), "emodb/03a01Fa");
        assert_eq!(without_ending("x/a.wav#0.5-1.25"), "x/a.wav#0.5-1");
        let mut names = BTreeSet::new();
        let found = ["a", "A", "b"].map(|stem| free(&mut names, stem));
        assert_eq!(found, ["a.wav", "A-2.wav", "b.wav"]);
    }
}
