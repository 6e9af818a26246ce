//! Whisper's log-mel front end.

use crate::log_mel::{LogMel, LogMelConfig, LogMelError, LogScale};
use crate::mel::{MelNorm, MelScale};

/// Highest frequency of the filters in hertz, whatever the rate.
const F_MAX_HZ: f32 = 8000.0;
/// Least energy the logarithm is taken of.
const LEAST_ENERGY: f32 = 1e-10;
/// How far below the item's loudest band values are cut, in decades.
const RANGE_DECADES: f32 = 8.0;
/// Longest input, in seconds.
const MAX_CHUNK_S: u32 = 3600;
/// Most values an item may have (256 MiB); 30 s of 128 bands are 384 000.
const MAX_VALUES: usize = 1 << 26;

/// Parameters of Whisper's front end, named as in its `preprocessor_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhisperFrontConfig {
    /// Number of mel bands: 80, or 128 from large-v3 on.
    pub feature_size: usize,
    /// Sampling rate in hertz.
    pub sampling_rate: u32,
    /// Length of the Fourier transform and of the periodic Hann window, in samples.
    pub n_fft: usize,
    /// Distance of frames in samples.
    pub hop_length: usize,
    /// Length every item is padded or cut to, in seconds.
    pub chunk_length: u32,
}

impl Default for WhisperFrontConfig {
    /// Every published model but large-v3, which has 128 bands.
    fn default() -> Self {
        Self {
            feature_size: 80,
            sampling_rate: 16_000,
            n_fft: 400,
            hop_length: 160,
            chunk_length: 30,
        }
    }
}

/// A parameter of Whisper's front end that is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WhisperFrontError {
    /// A parameter of the spectrogram, under the name that [`LogMelConfig`] gives it.
    #[error(transparent)]
    Mel(#[from] LogMelError),
    /// Length of the input.
    #[error("chunk_length is {seconds} s; give 1 to {MAX_CHUNK_S} s, at least n_fft = {n_fft} samples")]
    ChunkLength {
        /// Its value in seconds.
        seconds: u32,
        /// Length of the Fourier transform in samples.
        n_fft: usize,
    },
    /// Size of the output.
    #[error(
        "{frames} frames of {bands} bands are more than {MAX_VALUES} values; give a longer hop_length or a shorter chunk_length"
    )]
    TooLarge {
        /// Frames an item would have.
        frames: usize,
        /// Its mel bands.
        bands: usize,
    },
}

/// Computes Whisper's input; made once, used from any number of threads.
#[derive(Debug)]
pub struct WhisperFront {
    config: WhisperFrontConfig,
    mel: LogMel,
}

impl WhisperFront {
    /// Plans the transform, window and filters.
    ///
    /// # Errors
    /// The first parameter that is out of bounds.
    pub fn new(config: WhisperFrontConfig) -> Result<Self, WhisperFrontError> {
        let mel = LogMel::new(LogMelConfig {
            sample_rate_hz: config.sampling_rate,
            n_fft: config.n_fft,
            win_length: config.n_fft,
            hop_length: config.hop_length,
            n_mels: config.feature_size,
            f_max_hz: Some(F_MAX_HZ),
            mel_scale: MelScale::Slaney,
            norm: Some(MelNorm::Slaney),
            log: LogScale::None,
            ..LogMelConfig::default()
        })?;
        let front = Self { config, mel };
        if !(1..=MAX_CHUNK_S).contains(&config.chunk_length) || front.samples() < config.n_fft {
            return Err(WhisperFrontError::ChunkLength {
                seconds: config.chunk_length,
                n_fft: config.n_fft,
            });
        }
        let (frames, bands) = (front.total_frames(), config.feature_size);
        if frames > MAX_VALUES / bands {
            return Err(WhisperFrontError::TooLarge { frames, bands });
        }
        Ok(front)
    }

    /// The parameters.
    pub fn config(&self) -> &WhisperFrontConfig {
        &self.config
    }

    /// Samples of the window that every item is padded or cut to: 480 000 for 30 s.
    pub fn samples(&self) -> usize {
        self.config.chunk_length as usize * self.config.sampling_rate as usize
    }

    /// Frames of every item: 3000 for 30 s.
    pub fn total_frames(&self) -> usize {
        self.samples() / self.config.hop_length
    }

    /// Number of leading frames that stand for an item of `samples` samples; the others are padding.
    ///
    /// Frame `t` is centred at sample `t · hop_length`; it counts when that sample is the item's:
    /// `⌈samples / hop_length⌉`, at most [`Self::total_frames`]. These are the ones in the
    /// `attention_mask` of transformers.
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.config.hop_length).min(self.total_frames())
    }

    /// Whisper's input for a mono signal at `sampling_rate`, padded with zeros or cut to 30 s.
    ///
    /// With `l = log10(max(mel energy, 1e-10))`: `y = (max(l, max over the item of l - 8) + 4) / 4`.
    ///
    /// # Shapes
    /// `[samples]` → row-major `[total_frames, feature_size]`; transformers has the axes swapped.
    ///
    /// # Source
    /// `transformers.WhisperFeatureExtractor`; Radford et al., "Robust speech recognition via
    /// large-scale weak supervision", 2022.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let window = self.samples();
        let kept = samples.len().min(window);
        // Frames of padding alone have no energy and are not transformed; `n_fft` zeros after the
        // item are all that its last frames, and the mirroring at the end, can see.
        let length = window.min(kept + self.config.n_fft);
        let mut padded = Vec::with_capacity(length);
        padded.extend_from_slice(&samples[..kept]);
        padded.resize(length, 0.0);
        let mut features = self.mel.compute(&padded);
        // The frame centred just behind the window is dropped.
        features.resize(self.total_frames() * self.config.feature_size, 0.0);
        let mut loudest = f32::NEG_INFINITY;
        for value in &mut features {
            *value = value.max(LEAST_ENERGY).log10();
            loudest = loudest.max(*value);
        }
        let floor = loudest - RANGE_DECADES;
        for value in &mut features {
            *value = (value.max(floor) + 4.0) / 4.0;
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_padding_are_those_of_the_whole_window_transformed() {
        let front = WhisperFront::new(WhisperFrontConfig {
            chunk_length: 1,
            ..WhisperFrontConfig::default()
        })
        .unwrap();
        for samples in [
            1, 2, 159, 160, 161, 7777, 15_500, 15_799, 15_801, 15_999, 16_000, 16_001,
        ] {
            let wave: Vec<f32> = (0..samples).map(|i| ((i * i) as f32 * 0.01).sin()).collect();
            let mut whole = wave.clone();
            whole.resize(16_000, 0.0);
            assert_eq!(front.compute(&wave), front.compute(&whole), "{samples} samples");
        }
    }

    #[test]
    fn every_item_has_the_same_shape_and_knows_its_own_frames() {
        let front = WhisperFront::new(WhisperFrontConfig::default()).unwrap();
        assert_eq!((front.samples(), front.total_frames()), (480_000, 3000));
        for (samples, frames) in [(0, 0), (1, 1), (160, 1), (161, 2), (479_999, 3000), (600_000, 3000)] {
            assert_eq!(front.frames(samples), frames, "{samples} samples");
        }
        for samples in [0, 1, 500_000] {
            let values = front.compute(&vec![0.0; samples]);
            assert_eq!(values.len(), 3000 * 80);
            // No energy: log10(1e-10) = -10, which is (-10 + 4) / 4.
            assert!(values.iter().all(|&x| x == -1.5), "{samples} samples");
        }
    }

    #[test]
    fn parameters_out_of_bounds_are_errors() {
        let error = |change: &dyn Fn(&mut WhisperFrontConfig)| {
            let mut config = WhisperFrontConfig::default();
            change(&mut config);
            WhisperFront::new(config).unwrap_err().to_string()
        };
        for (message, expected) in [
            (error(&|c| c.feature_size = 0), "n_mels is 0"),
            (error(&|c| c.hop_length = 0), "hop_length is 0"),
            (error(&|c| c.sampling_rate = 8000), "f_max_hz = 8000"),
            (error(&|c| c.chunk_length = 0), "chunk_length is 0 s"),
            (error(&|c| c.chunk_length = u32::MAX), "chunk_length is 4294967295 s"),
            (error(&|c| c.n_fft = 1), "n_fft is 1"),
            (
                error(&|c| (c.hop_length, c.chunk_length) = (1, 3600)),
                "more than 67108864 values",
            ),
        ] {
            assert!(message.contains(expected), "{message}");
        }
    }
}
