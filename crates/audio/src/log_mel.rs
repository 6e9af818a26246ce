//! Log-mel spectrograms.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RATE_BOUNDS_HZ;
use crate::mel::{Filterbank, MelFilter, MelNorm, MelScale, dot};

/// Largest Fourier transform, in samples.
const MAX_N_FFT: usize = 1 << 16;
/// Most mel bands.
const MAX_N_MELS: usize = 4096;

/// Logarithm taken of the mel energies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogScale {
    /// Natural logarithm.
    #[default]
    Natural,
    /// Decibels: `20 / power · log10`, as torchaudio's `AmplitudeToDB` without `top_db`, which
    /// would make a frame depend on the loudest one of its clip.
    Db,
    /// The energies themselves.
    None,
}

/// What stands before the first and after the last sample when frames are centred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// The signal mirrored at its first and last sample.
    #[default]
    Reflect,
    /// Zeros.
    Constant,
}

/// Parameters of a log-mel spectrogram, named as in `torchaudio.transforms.MelSpectrogram`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogMelConfig {
    /// Sampling rate of the input in hertz.
    pub sample_rate_hz: u32,
    /// Length of the Fourier transform in samples.
    pub n_fft: usize,
    /// Length of the periodic Hann window in samples, at most `n_fft`; it is centred in `n_fft`.
    pub win_length: usize,
    /// Distance of frames in samples.
    pub hop_length: usize,
    /// Number of mel bands.
    pub n_mels: usize,
    /// Lowest frequency in hertz.
    pub f_min_hz: f32,
    /// Highest frequency in hertz; half the sampling rate when absent.
    pub f_max_hz: Option<f32>,
    /// Formula of the mel scale.
    pub mel_scale: MelScale,
    /// Scaling of the filters; none when absent.
    pub norm: Option<MelNorm>,
    /// Exponent of the magnitude: 2 for power, 1 for magnitude.
    pub power: f32,
    /// Logarithm taken.
    pub log: LogScale,
    /// Added to an energy before its logarithm, `ln(x + offset)`.
    pub log_offset: f32,
    /// Least value the logarithm is taken of, `ln(max(x + offset, floor))`.
    pub log_floor: f32,
    /// Whether frame `t` is centred at sample `t · hop_length`, with padding at both ends.
    pub center: bool,
    /// What the padding consists of.
    pub pad_mode: PadMode,
}

impl Default for LogMelConfig {
    /// 16 kHz speech: 64 bands, 25 ms windows every 10 ms, natural logarithm with offset 1e-6.
    fn default() -> Self {
        Self {
            sample_rate_hz: 16_000,
            n_fft: 512,
            win_length: 400,
            hop_length: 160,
            n_mels: 64,
            f_min_hz: 0.0,
            f_max_hz: None,
            mel_scale: MelScale::Htk,
            norm: None,
            power: 2.0,
            log: LogScale::Natural,
            log_offset: 1e-6,
            log_floor: 0.0,
            center: true,
            pad_mode: PadMode::Reflect,
        }
    }
}

/// A parameter of a log-mel spectrogram that is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LogMelError {
    /// Sampling rate.
    #[error("sample_rate_hz is {rate_hz}; give {} to {} Hz", RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end())]
    SampleRate {
        /// Its value.
        rate_hz: u32,
    },
    /// Length of the Fourier transform.
    #[error("n_fft is {0}; give 2 to {MAX_N_FFT} samples")]
    NFft(usize),
    /// Length of the window.
    #[error("win_length is {win_length}; give 1 to n_fft = {n_fft} samples")]
    WinLength {
        /// Its value.
        win_length: usize,
        /// Its bound.
        n_fft: usize,
    },
    /// Distance of frames.
    #[error("hop_length is 0; give at least one sample")]
    HopLength,
    /// Number of bands.
    #[error("n_mels is {0}; give 1 to {MAX_N_MELS} bands")]
    NMels(usize),
    /// Frequency range.
    #[error(
        "the band from f_min_hz = {f_min_hz} to f_max_hz = {f_max_hz} is not within 0 to {nyquist_hz} Hz; give 0 ≤ f_min_hz < f_max_hz ≤ {nyquist_hz}"
    )]
    FrequencyRange {
        /// Lowest frequency in hertz.
        f_min_hz: f32,
        /// Highest frequency in hertz.
        f_max_hz: f32,
        /// Half the sampling rate in hertz.
        nyquist_hz: f32,
    },
    /// Exponent.
    #[error("power is {0}; give a positive number, 2 for power or 1 for magnitude")]
    Power(f32),
    /// Offset and floor of the logarithm.
    #[error(
        "log_offset is {log_offset} and log_floor {log_floor}; give values of at least 0, one of them above it, so that silence has a logarithm"
    )]
    LogFloor {
        /// Offset.
        log_offset: f32,
        /// Floor.
        log_floor: f32,
    },
}

impl LogMelConfig {
    /// A spectrogram to be looked at, in dB: windows of 25 ms every 10 ms at any rate.
    pub fn picture(sample_rate_hz: u32, n_mels: usize) -> Self {
        let samples = |seconds: f64| ((seconds * f64::from(sample_rate_hz)).round() as usize).max(1);
        let window = samples(0.025);
        Self {
            sample_rate_hz,
            n_fft: (2 * window).next_power_of_two(),
            win_length: window,
            hop_length: samples(0.01),
            n_mels,
            log: LogScale::Db,
            log_offset: 1e-10,
            ..Self::default()
        }
    }

    /// Highest frequency of the lowest to highest band, in hertz.
    fn f_max_hz(&self) -> f32 {
        self.f_max_hz.unwrap_or(self.nyquist_hz())
    }

    /// Half the sampling rate, rounded down as torchaudio does.
    fn nyquist_hz(&self) -> f32 {
        (self.sample_rate_hz / 2) as f32
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// All that is out of bounds, in the order of the fields.
    pub fn validate(&self) -> Result<(), Vec<LogMelError>> {
        let mut errors = Vec::new();
        let mut require = |holds: bool, error: LogMelError| {
            if !holds {
                errors.push(error);
            }
        };
        require(
            RATE_BOUNDS_HZ.contains(&self.sample_rate_hz),
            LogMelError::SampleRate {
                rate_hz: self.sample_rate_hz,
            },
        );
        require((2..=MAX_N_FFT).contains(&self.n_fft), LogMelError::NFft(self.n_fft));
        require(
            (1..=self.n_fft).contains(&self.win_length),
            LogMelError::WinLength {
                win_length: self.win_length,
                n_fft: self.n_fft,
            },
        );
        require(self.hop_length > 0, LogMelError::HopLength);
        require((1..=MAX_N_MELS).contains(&self.n_mels), LogMelError::NMels(self.n_mels));
        let (f_min_hz, f_max_hz, nyquist_hz) = (self.f_min_hz, self.f_max_hz(), self.nyquist_hz());
        require(
            0.0 <= f_min_hz && f_min_hz < f_max_hz && f_max_hz <= nyquist_hz,
            LogMelError::FrequencyRange {
                f_min_hz,
                f_max_hz,
                nyquist_hz,
            },
        );
        require(
            self.power > 0.0 && self.power.is_finite(),
            LogMelError::Power(self.power),
        );
        let (log_offset, log_floor) = (self.log_offset, self.log_floor);
        let finite = log_offset.is_finite() && log_floor.is_finite();
        let positive = log_offset >= 0.0 && log_floor >= 0.0 && log_offset + log_floor > 0.0;
        require(
            self.log == LogScale::None || finite && positive,
            LogMelError::LogFloor { log_offset, log_floor },
        );
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Computes log-mel spectrograms; made once, used from any number of threads.
pub struct LogMel {
    config: LogMelConfig,
    fft: Arc<dyn RealToComplex<f32>>,
    /// The window's non-zero part.
    window: Vec<f32>,
    /// Where it starts in a frame of `n_fft` samples.
    window_start: usize,
    filters: Vec<MelFilter>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl LogMel {
    /// Plans the transform, window and filters.
    ///
    /// # Errors
    /// The first of [`LogMelConfig::validate`]'s errors.
    pub fn new(config: LogMelConfig) -> Result<Self, LogMelError> {
        if let Err(errors) = config.validate()
            && let Some(error) = errors.into_iter().next()
        {
            return Err(error);
        }
        let length = config.win_length as f64;
        let window = (0..config.win_length)
            .map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / length).cos()) as f32)
            .collect();
        let filters = Filterbank {
            scale: config.mel_scale,
            norm: config.norm,
            bins: config.n_fft / 2 + 1,
            nyquist_hz: f64::from(config.nyquist_hz()),
            f_min_hz: f64::from(config.f_min_hz),
            f_max_hz: f64::from(config.f_max_hz()),
            n_mels: config.n_mels,
        }
        .filters();
        Ok(Self {
            fft: RealFftPlanner::new().plan_fft_forward(config.n_fft),
            window,
            window_start: (config.n_fft - config.win_length) / 2,
            filters,
            config,
        })
    }

    /// The parameters.
    pub fn config(&self) -> &LogMelConfig {
        &self.config
    }

    /// Number of bands whose filter lies between two frequency bins and is zero everywhere: they
    /// are constant. Fewer bands or a longer `n_fft` avoid them.
    pub fn empty_bands(&self) -> usize {
        self.filters.iter().filter(|filter| filter.weights.is_empty()).count()
    }

    /// Number of frames of a signal of `samples` samples.
    ///
    /// Centred: `1 + samples / hop_length` for even `n_fft`, and none for an empty signal. Not
    /// centred: none when the signal is shorter than `n_fft`, else
    /// `1 + (samples - n_fft) / hop_length`.
    pub fn frames(&self, samples: usize) -> usize {
        let padding = if self.config.center && samples > 0 {
            self.config.n_fft / 2 * 2
        } else {
            0
        };
        match samples.saturating_add(padding).checked_sub(self.config.n_fft) {
            Some(room) => 1 + room / self.config.hop_length,
            None => 0,
        }
    }

    /// The log-mel spectrogram of a mono signal at `sample_rate_hz`.
    ///
    /// `y[t, m] = log(Σ_k w[m, k] · |FFT(x_t · hann)[k]|^power + offset)`.
    ///
    /// A signal too short to be mirrored once (at most `n_fft / 2` samples), which torch refuses,
    /// is mirrored as often as needed; one of a single sample is repeated.
    ///
    /// # Shapes
    /// `[samples]` → row-major `[frames, n_mels]`.
    ///
    /// # Source
    /// `torchaudio.transforms.MelSpectrogram`, followed by `log(x + offset)` or `AmplitudeToDB`.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let config = &self.config;
        let frames = self.frames(samples.len());
        let mut features = Vec::with_capacity(frames * config.n_mels);
        if frames == 0 {
            return features;
        }
        let padded;
        let signal = if config.center {
            padded = self.pad(samples);
            padded.as_slice()
        } else {
            samples
        };
        let mut frame = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut energies = vec![0.0_f32; spectrum.len()];
        for t in 0..frames {
            let start = t * config.hop_length + self.window_start;
            let window_end = self.window_start + config.win_length;
            frame[..self.window_start].fill(0.0);
            frame[window_end..].fill(0.0);
            for ((out, &x), &w) in frame[self.window_start..window_end]
                .iter_mut()
                .zip(&signal[start..])
                .zip(&self.window)
            {
                *out = x * w;
            }
            // Fails on wrong buffer lengths only, and the plan made these buffers.
            let _ = self.fft.process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
            self.energies(&spectrum, &mut energies);
            features.extend(
                self.filters
                    .iter()
                    .map(|filter| dot(&filter.weights, &energies[filter.first_bin..])),
            );
        }
        self.logarithm(&mut features);
        features
    }

    /// `|z|^power`.
    fn energies(&self, spectrum: &[Complex<f32>], energies: &mut [f32]) {
        let power = self.config.power;
        for (energy, z) in energies.iter_mut().zip(spectrum) {
            *energy = z.re * z.re + z.im * z.im;
        }
        if power == 1.0 {
            for energy in energies {
                *energy = energy.sqrt();
            }
        } else if power != 2.0 {
            for energy in energies {
                *energy = energy.powf(power / 2.0);
            }
        }
    }

    fn logarithm(&self, features: &mut [f32]) {
        let (offset, floor) = (self.config.log_offset, self.config.log_floor);
        match self.config.log {
            LogScale::None => {}
            LogScale::Natural => {
                for x in features {
                    *x = (*x + offset).max(floor).ln();
                }
            }
            LogScale::Db => {
                let scale = 20.0 / self.config.power;
                for x in features {
                    *x = scale * (*x + offset).max(floor).log10();
                }
            }
        }
    }

    fn pad(&self, samples: &[f32]) -> Vec<f32> {
        let padding = self.config.n_fft / 2;
        let mut padded = Vec::with_capacity(samples.len() + 2 * padding);
        match self.config.pad_mode {
            PadMode::Constant => {
                padded.resize(padding, 0.0);
                padded.extend_from_slice(samples);
                padded.resize(samples.len() + 2 * padding, 0.0);
            }
            PadMode::Reflect => {
                let last = samples.len() - 1;
                // Index `i` samples beyond a border, mirrored at both borders as often as needed.
                let mirrored = |i: usize| match i % (2 * last).max(1) {
                    i if i <= last => i,
                    i => 2 * last - i,
                };
                padded.extend((1..=padding).rev().map(|i| samples[mirrored(i)]));
                padded.extend_from_slice(samples);
                padded.extend((1..=padding).map(|i| samples[last - mirrored(i)]));
            }
        }
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> LogMelConfig {
        LogMelConfig {
            n_fft: 8,
            win_length: 8,
            hop_length: 2,
            n_mels: 2,
            ..LogMelConfig::default()
        }
    }

    #[test]
    fn every_parameter_out_of_bounds_is_reported() {
        let config = LogMelConfig {
            sample_rate_hz: 0,
            n_fft: 1,
            win_length: 2,
            hop_length: 0,
            n_mels: 0,
            f_min_hz: -1.0,
            f_max_hz: Some(f32::NAN),
            power: 0.0,
            log_offset: 0.0,
            log_floor: 0.0,
            ..LogMelConfig::default()
        };
        let errors = config.validate().unwrap_err();
        assert_eq!(errors.len(), 8, "{errors:?}");
        assert_eq!(LogMel::new(config).unwrap_err(), errors[0]);
        assert_eq!(LogMelConfig::default().validate(), Ok(()));
    }

    #[test]
    fn the_number_of_frames_is_that_of_the_spectrogram_for_any_length() {
        for center in [true, false] {
            for pad_mode in [PadMode::Reflect, PadMode::Constant] {
                for n_fft in [8, 9] {
                    let log_mel = LogMel::new(LogMelConfig {
                        center,
                        pad_mode,
                        n_fft,
                        ..small()
                    })
                    .unwrap();
                    for samples in 0..30 {
                        let values = log_mel.compute(&vec![0.5; samples]);
                        assert_eq!(values.len(), 2 * log_mel.frames(samples));
                        assert!(values.iter().all(|x| x.is_finite()));
                        let expected = match (center, n_fft) {
                            (true, 8) if samples > 0 => 1 + samples / 2,
                            (true, 9) if samples > 0 => 1 + (samples - 1) / 2,
                            (false, _) if samples >= n_fft => 1 + (samples - n_fft) / 2,
                            _ => 0,
                        };
                        assert_eq!(log_mel.frames(samples), expected, "{samples} samples");
                    }
                }
            }
        }
    }

    #[test]
    fn short_signals_are_mirrored_as_often_as_needed() {
        let log_mel = LogMel::new(small()).unwrap();
        let cases: [(&[f32], &[f32]); 3] = [
            (&[1.0], &[1.0; 9]),
            (&[1.0, 2.0], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]),
            (
                &[1.0, 2.0, 3.0],
                &[1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0],
            ),
        ];
        for (samples, expected) in cases {
            assert_eq!(log_mel.pad(samples), expected);
        }
    }

    #[test]
    fn silence_gives_the_logarithm_of_the_offset() {
        let log_mel = LogMel::new(LogMelConfig::default()).unwrap();
        let values = log_mel.compute(&[0.0; 1600]);
        assert_eq!(values.len(), 11 * 64);
        assert!(values.iter().all(|x| (x - 1e-6_f32.ln()).abs() < 1e-5));
    }

    #[test]
    fn bands_between_frequency_bins_are_counted() {
        let config = LogMelConfig {
            n_mels: 200,
            ..LogMelConfig::default()
        };
        assert!(LogMel::new(config).unwrap().empty_bands() > 10);
        assert_eq!(LogMel::new(LogMelConfig::default()).unwrap().empty_bands(), 0);
    }

    #[test]
    fn threads_share_one_plan() {
        let log_mel = LogMel::new(LogMelConfig::default()).unwrap();
        let signal: Vec<f32> = (0..4000).map(|i| ((i * i) as f32).sin()).collect();
        let expected = log_mel.compute(&signal);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(log_mel.compute(&signal), expected));
            }
        });
    }
}
