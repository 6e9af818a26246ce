//! Writing WAV files.

use std::path::Path;

use hound::SampleFormat;

use crate::Clip;
use crate::error::AudioError;

/// Writes a clip as mono 16-bit PCM, clipping at full scale.
///
/// # Errors
/// [`AudioError::Write`] when the file cannot be written; [`AudioError::NonFinite`] when a sample
/// is NaN or infinite, before anything is written.
pub fn write_wav(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    // The cast saturates, which is the clipping.
    write(path, clip, 16, SampleFormat::Int, |sample| {
        (sample * 32_768.0).round() as i16
    })
}

/// Writes a clip as mono 32-bit float, to the bit.
///
/// # Errors
/// As [`write_wav`].
pub fn write_wav_float(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    write(path, clip, 32, SampleFormat::Float, |sample| sample)
}

fn write<S: hound::Sample>(
    path: &Path,
    clip: &Clip,
    bits_per_sample: u16,
    sample_format: SampleFormat,
    value: impl Fn(f32) -> S,
) -> Result<(), AudioError> {
    crate::decode::check_samples(path, &clip.samples, 0)?;
    let failed = |source| AudioError::Write {
        path: path.to_owned(),
        source,
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: clip.rate_hz,
        bits_per_sample,
        sample_format,
    };
    let mut writer = hound::WavWriter::create(path, spec).map_err(failed)?;
    for &sample in &clip.samples {
        writer.write_sample(value(sample)).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}
