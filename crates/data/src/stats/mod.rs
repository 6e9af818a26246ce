//! What a corpus consists of: hours, tables of classes, speakers and genders, durations, loudness.

mod html;
mod text;

use crate::person::{apart_as, is_unknown};
use crate::{AudioSource, Corpus, DataError, Item, parallel};
use emorun_audio::{AudioError, integrated_loudness, load_channel, probe};
use indexmap::IndexMap;
use serde::Serialize;

/// Rate at which generated speech is measured, in hertz.
const GENERATED_HZ: u32 = 16_000;
/// Most bins of a histogram.
const BINS: usize = 40;
/// Value of a column that an item does not have.
const ABSENT: &str = "–";

/// Figures of every dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The datasets, in the order of the experiment file.
    pub datasets: Vec<DatasetStats>,
}

/// Figures of one dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetStats {
    /// Its name.
    pub dataset: String,
    /// Its kind.
    pub kind: String,
    /// Utterances.
    pub items: usize,
    /// Speakers.
    pub speakers: usize,
    /// Their total length in hours.
    pub hours: f64,
    /// How many have a text.
    pub texts: usize,
    /// How many have shares of votes in place of one emotion.
    pub soft_labels: usize,
    /// Utterances of each class of each label and attribute.
    pub classes: IndexMap<String, IndexMap<String, usize>>,
    /// Utterances of each speaker in each class of emotion.
    pub table: Vec<SpeakerRow>,
    /// Length of the utterances in seconds.
    pub durations: Option<Spread>,
    /// Integrated loudness in LUFS (EBU R 128) of those that are long and loud enough to have one.
    pub loudness: Option<Spread>,
    /// Utterances without loudness: shorter than 0.4 s, or silent; 0 where loudness was not measured.
    pub unmeasured: usize,
    /// Continuous labels.
    pub values: IndexMap<String, Spread>,
}

/// A speaker's line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpeakerRow {
    /// The speaker's id.
    pub speaker: String,
    /// Female, male, or a dash.
    pub gender: String,
    /// Utterances of each class of emotion, and under a dash those without one.
    pub classes: IndexMap<String, usize>,
    /// Utterances in all.
    pub items: usize,
    /// Their length in seconds.
    pub duration_s: f64,
}

/// How a quantity is spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many values.
    pub count: usize,
    /// The least.
    pub min: f64,
    /// A twentieth is less than this.
    pub p5: f64,
    /// Half is less than this.
    pub median: f64,
    /// The mean.
    pub mean: f64,
    /// Standard deviation, of the values themselves.
    pub sd: f64,
    /// A twentieth is more than this.
    pub p95: f64,
    /// The greatest.
    pub max: f64,
    /// Counts in equally wide bins.
    pub histogram: Bins,
}

/// Counts in equally wide bins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bins {
    /// Where the first begins.
    pub low: f64,
    /// How wide each is.
    pub step: f64,
    /// How many values lie in each; the last holds its upper border too.
    pub counts: Vec<usize>,
}

/// Computes the figures; with `loudness`, every file is decoded.
///
/// # Errors
/// Every file that cannot be decoded.
pub fn stats(corpus: &Corpus, loudness: bool) -> Result<Stats, Vec<DataError>> {
    let items = corpus.items.to_vec().map_err(|error| vec![error])?;
    let measured: Vec<Option<f64>> = if loudness {
        let (good, bad): (Vec<_>, Vec<_>) = parallel::map(&items, measure).into_iter().partition(Result::is_ok);
        if !bad.is_empty() {
            return Err(bad.into_iter().filter_map(Result::err).collect());
        }
        good.into_iter().filter_map(Result::ok).collect()
    } else {
        vec![None; items.len()]
    };
    let datasets = corpus
        .datasets
        .iter()
        .map(|(name, facts)| {
            let own: Vec<(&Item, Option<f64>)> = items
                .iter()
                .zip(measured.iter().copied())
                .filter(|(item, _)| item.dataset == *name)
                .collect();
            dataset(corpus, name, &facts.kind, &own, loudness)
        })
        .collect();
    Ok(Stats { datasets })
}

/// Loudness at the file's own rate, in LUFS.
fn measure(item: &Item) -> Result<Option<f64>, DataError> {
    let failed = |error: AudioError| DataError::BadAudio {
        dataset: item.dataset.to_string(),
        row: None,
        error,
    };
    match &item.audio {
        AudioSource::File { path, segment, channel } => {
            let path = path.to_path();
            let rate_hz = probe(&path).map_err(failed)?.rate_hz;
            let clip = load_channel(&path, rate_hz, *segment, *channel).map_err(failed)?;
            Ok(integrated_loudness(&clip.samples, rate_hz))
        }
        AudioSource::Synthetic(_) => Ok(integrated_loudness(&item.load_audio(GENERATED_HZ)?, GENERATED_HZ)),
        AudioSource::Samples(clip) => Ok(integrated_loudness(&clip.samples, clip.rate_hz)),
    }
}

fn dataset(corpus: &Corpus, name: &str, kind: &str, own: &[(&Item, Option<f64>)], loudness: bool) -> DatasetStats {
    let items = || own.iter().map(|(item, _)| *item);
    let class_of = |item: &Item, column: &str| -> Option<&str> {
        let sets = corpus
            .label_sets
            .get(column)
            .or_else(|| corpus.attribute_sets.get(column))?;
        sets.get(item.label(column)? as usize).map(String::as_str)
    };
    let mut classes: IndexMap<String, IndexMap<String, usize>> = IndexMap::new();
    for (column, set) in corpus.label_sets.iter().chain(&corpus.attribute_sets) {
        let mut counts: IndexMap<String, usize> = set.iter().map(|class| (class.clone(), 0)).collect();
        let mut absent = 0;
        for item in items() {
            match class_of(item, column).and_then(|class| counts.get_mut(class)) {
                Some(count) => *count += 1,
                None => absent += 1,
            }
        }
        // Classes that only other corpora have.
        counts.retain(|_, count| *count > 0);
        if !counts.is_empty() {
            if absent > 0 {
                counts.insert(ABSENT.to_owned(), absent);
            }
            classes.insert(column.clone(), counts);
        }
    }
    let emotions: Vec<String> = classes
        .get("emotion")
        .into_iter()
        .flat_map(IndexMap::keys)
        .cloned()
        .collect();
    let mut table: IndexMap<&str, SpeakerRow> = IndexMap::new();
    for item in items() {
        // Those whom nobody knows share a line.
        let speaker = apart_as(&item.speaker);
        let row = table.entry(speaker).or_insert_with(|| SpeakerRow {
            speaker: speaker.split_once('/').map_or(speaker, |(_, id)| id).to_owned(),
            gender: class_of(item, "gender").unwrap_or(ABSENT).to_owned(),
            classes: emotions.iter().map(|class| (class.clone(), 0)).collect(),
            items: 0,
            duration_s: 0.0,
        });
        row.items += 1;
        row.duration_s += item.duration_s;
        let class = class_of(item, "emotion").unwrap_or(ABSENT);
        if let Some(count) = row.classes.get_mut(class) {
            *count += 1;
        }
    }
    table.sort_by(|a, _, b, _| a.cmp(b));
    let values = corpus.values.iter().filter_map(|value| {
        let found = items().filter_map(|item| item.values.get(value).map(|value| f64::from(*value)));
        Some((value.clone(), Spread::of(found.collect())?))
    });
    let measured: Vec<f64> = own.iter().filter_map(|(_, loudness)| *loudness).collect();
    DatasetStats {
        dataset: name.to_owned(),
        kind: kind.to_owned(),
        items: own.len(),
        speakers: table.keys().filter(|speaker| !is_unknown(speaker)).count(),
        hours: (items().map(|item| item.duration_s).sum::<f64>() + 0.0) / 3600.0,
        texts: items().filter(|item| item.text.is_some()).count(),
        soft_labels: items().filter(|item| !item.soft_labels.is_empty()).count(),
        classes,
        table: table.into_values().collect(),
        durations: Spread::of(items().map(|item| item.duration_s).collect()),
        unmeasured: if loudness { own.len() - measured.len() } else { 0 },
        loudness: Spread::of(measured),
        values: values.collect(),
    }
}

impl Spread {
    /// The spread of finite values; `None` of none.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64;
        Some(Self {
            count,
            min,
            p5: quantile(&values, 0.05),
            median: quantile(&values, 0.5),
            mean,
            sd: square.sqrt(),
            p95: quantile(&values, 0.95),
            max,
            histogram: Bins::of(&values, min, max),
        })
    }
}

/// The quantile between the nearest values, as NumPy's `linear`.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

impl Bins {
    /// Bins of a round width, so many that the picture has a shape.
    fn of(sorted: &[f64], min: f64, max: f64) -> Self {
        let wanted = ((sorted.len() as f64).sqrt().ceil()).clamp(1.0, BINS as f64);
        // Values that are all alike, or nearly, are one bin of a width that can be read.
        let size = min.abs().max(max.abs());
        let narrowest = if size > 0.0 { 0.005 * size } else { 0.1 };
        let raw = f64::max((max - min) / wanted, narrowest);
        let power = 10_f64.powf(raw.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = nice.into_iter().find(|step| *step >= raw).unwrap_or(raw);
        let low = (min / step).floor() * step;
        let bins = ((((max - low) / step).floor() as usize) + 1).min(BINS + 2);
        let mut counts = vec![0; bins];
        for value in sorted {
            let bin = (((value - low) / step).floor().max(0.0) as usize).min(bins - 1);
            counts[bin] += 1;
        }
        Self { low, step, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_what_numpy_says() {
        // numpy.quantile([1, 2, 4, 8], [.05, .5, .95]), .mean(), .std()
        let spread = Spread::of(vec![8.0, 1.0, 4.0, 2.0, f64::NAN]).unwrap();
        let found = [spread.p5, spread.median, spread.p95, spread.mean, spread.sd];
        for (found, wanted) in found.into_iter().zip([1.15, 3.0, 7.4, 3.75, 2.680_951_323_690_902]) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        assert_eq!((spread.count, spread.min, spread.max), (4, 1.0, 8.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn bins_hold_every_value_once() {
        for values in [
            vec![3.0],
            vec![0.0; 5],
            vec![-1e12, 1e12],
            (0..1000).map(|i| f64::from(i).sqrt() - 7.0).collect(),
            vec![1.0, 1.0 + 1e-15],
            vec![1e-300, 2e-300],
        ] {
            let spread = Spread::of(values.clone()).unwrap();
            assert_eq!(spread.histogram.counts.iter().sum::<usize>(), values.len());
            assert!(spread.histogram.counts.len() <= BINS + 2 && spread.histogram.step > 0.0);
        }
        let alike = Spread::of(vec![2.0; 9]).unwrap().histogram;
        assert_eq!((alike.low, alike.step, alike.counts), (2.0, 0.01, vec![9]));
        let bins = Spread::of(vec![0.5, 1.0, 1.5, 2.0]).unwrap().histogram;
        assert_eq!((bins.low, bins.step, bins.counts), (0.0, 1.0, vec![1, 2, 1]));
    }
}
