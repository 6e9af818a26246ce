//! Recordings that were predicted wrongly, where a run has saved them.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use emorun_audio::{LogMel, LogMelConfig, load};
use emorun_figures::{Figure, Spectrogram};
use emorun_files::read_regular;

use crate::ReportError;
use crate::section::{Block, Recording, Section};
use crate::source::Source;
use crate::text::{percent, plain, slug};

/// Folder of the recordings and tables, below a report.
const FOLDER: &str = "misclassified";
/// Largest table that is read.
const MOST_TABLE: u64 = 16 << 20;
/// Recordings that a head shows at most.
const MOST_RECORDINGS: usize = 20;
/// Bytes of recordings that stand on the page itself.
const MOST_SOUND: usize = 6 << 20;
/// Mel bands of a spectrogram, and decibels from its loudest to its darkest point.
const BANDS: usize = 64;
const RANGE_DB: f64 = 70.0;

/// A section for each head that predicts classes and has recordings.
pub(crate) fn sections(source: &Source) -> Result<Vec<Section>, ReportError> {
    let mut left = MOST_SOUND;
    let mut sections = Vec::new();
    for head in source.record.outputs.keys() {
        let recordings = recordings(&source.folder.join(FOLDER), head, &mut left)?;
        if !recordings.is_empty() {
            sections.push(Section {
                id: format!("{}-listen", slug(head)),
                title: format!("Confident mistakes of {head} to listen to"),
                blocks: vec![Block::Listen(recordings)],
            });
        }
    }
    Ok(sections)
}

/// The recordings of a head, as its table lists them.
fn recordings(folder: &Path, head: &str, left: &mut usize) -> Result<Vec<Recording>, ReportError> {
    let path = folder.join(format!("{head}.csv"));
    let Ok(table) = read_regular(&path, MOST_TABLE) else {
        return Ok(Vec::new());
    };
    let damaged = |error: csv::Error| ReportError::corrupt(&path, error);
    let mut reader = csv::Reader::from_reader(table.as_slice());
    let header = reader.headers().map_err(damaged)?.clone();
    let mut found = Vec::new();
    for row in reader.records().take(MOST_RECORDINGS) {
        let row = row.map_err(damaged)?;
        let cell = |name: &str| {
            let at = header.iter().position(|own| own == name);
            at.and_then(|at| row.get(at)).unwrap_or_default()
        };
        let file = cell("file");
        let confidence = cell("confidence").parse().map_or_else(|_| "–".to_owned(), percent);
        let about = format!(
            "{} taken for {} ({confidence}): {}, speaker {}",
            cell("true"),
            cell("predicted"),
            cell("path"),
            cell("speaker")
        );
        let place = folder.join(head).join(file);
        // A table that was meddled with must not make the page read elsewhere.
        let is_name = !file.is_empty() && Path::new(file).file_name().is_some_and(|name| name == file);
        let sound = match is_name {
            true => read_regular(&place, MOST_SOUND as u64).ok(),
            false => None,
        };
        let sound = sound.filter(|bytes| bytes.len() <= *left);
        // A damaged file has nothing to play.
        let fits = sound.filter(|_| emorun_audio::probe(&place).is_ok());
        if let Some(bytes) = &fits {
            *left -= bytes.len();
        }
        found.push(Recording {
            about: plain(&about),
            file: if is_name {
                plain(&format!("{FOLDER}/{head}/{file}"))
            } else {
                "not saved".to_owned()
            },
            spectrogram: fits.as_ref().and_then(|_| spectrogram(&place)),
            uri: fits.map(|bytes| format!("data:audio/wav;base64,{}", STANDARD.encode(bytes))),
        });
    }
    Ok(found)
}

/// The spectrogram of a WAV file; `None` where it cannot be read.
fn spectrogram(path: &Path) -> Option<Figure> {
    let info = emorun_audio::probe(path).ok()?;
    let clip = load(path, info.rate_hz, None).ok()?;
    let extractor = LogMel::new(LogMelConfig::picture(clip.rate_hz, BANDS)).ok()?;
    let levels = extractor.compute(&clip.samples);
    let loudest = levels.iter().copied().fold(f32::MIN, f32::max);
    let figure = Spectrogram {
        title: "",
        levels: &levels,
        bands: BANDS,
        seconds: clip.duration_s(),
        marks: &[],
        top_db: f64::from(loudest),
        range_db: RANGE_DB,
    };
    Some(figure.draw())
}
