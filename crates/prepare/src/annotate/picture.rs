//! What a clip looks like: its waveform's outline and its spectrogram.

use emorun_audio::{LogMel, LogMelConfig};

/// Most columns of a picture.
const COLUMNS: usize = 1200;
/// Mel bands of the spectrogram, a row each.
const BANDS: usize = 96;
/// Range of the colours in natural logarithms of power: 70 dB.
const RANGE: f32 = 16.1;

/// Least and greatest sample of each of at most 1200 columns.
pub(super) fn outline(samples: &[f32]) -> Vec<[f32; 2]> {
    let column = samples.len().div_ceil(COLUMNS).max(1);
    samples
        .chunks(column)
        .map(|chunk| {
            let start = [f32::INFINITY, f32::NEG_INFINITY];
            chunk
                .iter()
                .fold(start, |[least, greatest], &x| [least.min(x), greatest.max(x)])
        })
        .collect()
}

/// The spectrogram as a PNG, time from left to right and mel bands upwards; none for what is too short.
pub(super) fn spectrogram(samples: &[f32], rate_hz: u32) -> Option<Vec<u8>> {
    let window = (f64::from(rate_hz) * 0.032) as usize;
    let hop = samples
        .len()
        .div_ceil(COLUMNS)
        .max((f64::from(rate_hz) * 0.004) as usize);
    let mel = LogMel::new(LogMelConfig {
        sample_rate_hz: rate_hz,
        n_fft: window.next_power_of_two().max(256),
        win_length: window.max(2),
        hop_length: hop.max(1),
        n_mels: BANDS,
        log_offset: 1e-10,
        ..LogMelConfig::default()
    })
    .ok()?;
    let frames = mel.frames(samples.len());
    if frames == 0 {
        return None;
    }
    let values = mel.compute(samples);
    let loudest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut pixels = Vec::with_capacity(frames * BANDS * 3);
    for band in (0..BANDS).rev() {
        for frame in 0..frames {
            let value = values.get(frame * BANDS + band).copied().unwrap_or(loudest - RANGE);
            pixels.extend(colour(1.0 + (value - loudest) / RANGE));
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(frames).ok()?, BANDS as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(bytes)
}

/// A colour from dark to light for 0 to 1; lightness rises evenly, so that it reads in grey as well.
fn colour(level: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 6] = [
        [4.0, 4.0, 20.0],
        [60.0, 15.0, 110.0],
        [145.0, 40.0, 105.0],
        [220.0, 80.0, 60.0],
        [250.0, 160.0, 30.0],
        [250.0, 250.0, 170.0],
    ];
    let place = level.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let share = place - below as f32;
    std::array::from_fn(|channel| {
        let (low, high) = (STOPS[below][channel], STOPS[below + 1][channel]);
        (low + share * (high - low)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_holds_every_peak_in_few_columns() {
        let mut samples = vec![0.0; 100_000];
        samples[54_321] = 0.9;
        samples[60_000] = -0.8;
        let outline = outline(&samples);
        assert!(outline.len() <= COLUMNS);
        assert!(outline.iter().any(|column| column[1] == 0.9) && outline.iter().any(|column| column[0] == -0.8));
        assert_eq!(super::outline(&[]).len(), 0);
    }

    #[test]
    fn a_tone_is_a_bright_row_and_short_clips_are_no_panic() {
        let tone: Vec<f32> = (0..22_050)
            .map(|i| 0.5 * (i as f32 * std::f32::consts::TAU * 1000.0 / 22_050.0).sin())
            .collect();
        let bytes = spectrogram(&tone, 22_050).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.height, BANDS as u32);
        let width = info.width as usize;
        let brightness = |row: usize| {
            let row = &pixels[row * width * 3..(row + 1) * width * 3];
            row.iter().map(|&x| u64::from(x)).sum::<u64>()
        };
        let brightest = (0..BANDS).max_by_key(|&row| brightness(row)).unwrap();
        // 1 kHz is 1000 mel of 2840 below 11 025 Hz (HTK), a third of the way up.
        let expected = BANDS as f64 * (1.0 - 1000.0 / 3136.0);
        assert!((brightest as f64 - expected).abs() < 4.0, "{brightest} {expected}");
        for samples in [&[][..], &[0.1], &tone[..100]] {
            let _ = spectrogram(samples, 22_050);
        }
    }
}
