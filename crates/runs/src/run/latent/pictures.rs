//! Small spectrograms, one for each item, as one picture.

use emorun_audio::{LogMel, LogMelConfig};
use emorun_data::Item;
use emorun_figures::{PngImage, sprite};

use emorun_engine::exit::Failure;

/// Width and height of a picture in pixels.
pub(super) const SIDE: usize = 48;
/// How far below the loudest a level is still seen, in dB.
const RANGE_DB: f32 = 70.0;

/// The spectrograms of items, each stretched to a square; of a recording that cannot be read any more a white one.
pub(super) fn spectrograms(items: &[Item], rate_hz: u32) -> Result<PngImage, Failure> {
    let extractor =
        LogMel::new(LogMelConfig::picture(rate_hz, SIDE)).map_err(|error| Failure::Bug(error.to_string()))?;
    let mut unread = 0_usize;
    let mut pictures = Vec::with_capacity(items.len());
    for item in items {
        pictures.push(match item.load_audio(rate_hz) {
            Ok(samples) => square(&extractor.compute(&samples)),
            Err(error) => {
                if unread == 0 {
                    tracing::warn!("a recording has no picture: {error}");
                }
                unread += 1;
                Vec::new()
            }
        });
    }
    if unread > 1 {
        tracing::warn!("{unread} recordings have no picture");
    }
    sprite(&pictures, SIDE).map_err(|error| Failure::Bug(error.to_string()))
}

/// Levels in dB, `frames × bands`, as a square from 0 to 1, high bands above; of several frames in a column the loudest.
fn square(levels: &[f32]) -> Vec<f32> {
    let frames = levels.len() / SIDE;
    let loudest = levels.iter().copied().fold(f32::MIN, f32::max);
    let mut picture = vec![0.0; SIDE * SIDE];
    for column in 0..SIDE.min(SIDE * frames) {
        let from = column * frames / SIDE;
        let to = ((column + 1) * frames / SIDE).max(from + 1);
        for band in 0..SIDE {
            let level = (from..to)
                .map(|frame| levels[frame * SIDE + band])
                .fold(f32::MIN, f32::max);
            picture[(SIDE - 1 - band) * SIDE + column] = (1.0 + (level - loudest) / RANGE_DB).clamp(0.0, 1.0);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_recordings_fill_the_square() {
        for frames in [1, 7, 48, 500] {
            let mut levels = vec![-200.0; frames * SIDE];
            for frame in levels.chunks_mut(SIDE) {
                frame[0] = -20.0;
            }
            let picture = square(&levels);
            assert!(picture[..SIDE * (SIDE - 1)].iter().all(|level| *level == 0.0));
            assert!(picture[SIDE * (SIDE - 1)..].iter().all(|level| *level == 1.0));
        }
        assert_eq!(square(&[]), vec![0.0; SIDE * SIDE]);
    }
}
