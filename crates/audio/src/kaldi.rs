//! Kaldi's filterbank energies.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RATE_BOUNDS_HZ;
use crate::mel::{MelFilter, dot};

/// Longest frame after padding, in samples.
const MAX_FRAME: usize = 1 << 16;
/// Most mel bands.
const MAX_BINS: usize = 4096;
/// Fewest mel bands, as in Kaldi.
const MIN_BINS: usize = 4;
/// Least energy the logarithm is taken of.
const LEAST_ENERGY: f32 = f32::EPSILON;

/// Window that each frame is multiplied with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KaldiWindow {
    /// A Hann window to the power of 0.85.
    #[default]
    Povey,
    /// A symmetric Hann window.
    Hanning,
    /// A symmetric Hamming window, 0.54 and 0.46.
    Hamming,
    /// No window.
    Rectangular,
}

/// Parameters of Kaldi's filterbank energies, named as in `torchaudio.compliance.kaldi.fbank`, whose
/// `dither` and `subtract_mean` are off here and whose `vtln_warp` is 1.
#[derive(Debug, Clone, PartialEq)]
pub struct KaldiFbankConfig {
    /// Sampling rate of the input in hertz.
    pub sample_rate_hz: u32,
    /// What samples are multiplied with first: 1 as torchaudio takes them, 32768 to turn amplitudes
    /// within ±1 into the 16-bit range that Kaldi works in.
    pub scale: f32,
    /// Length of a frame in milliseconds; whole samples, rounded down.
    pub frame_length_ms: f64,
    /// Distance of frames in milliseconds; whole samples, rounded down.
    pub frame_shift_ms: f64,
    /// Whether only whole frames are taken. If not, the signal is mirrored at both ends and frame `t`
    /// is centred at `(t + ½) · shift`.
    pub snip_edges: bool,
    /// Whether each frame's mean is subtracted.
    pub remove_dc_offset: bool,
    /// Coefficient of the pre-emphasis, from 0 to 1.
    pub preemphasis_coefficient: f64,
    /// Window.
    pub window_type: KaldiWindow,
    /// Whether frames are padded with zeros to a power of two.
    pub round_to_power_of_two: bool,
    /// Number of mel bands.
    pub num_mel_bins: usize,
    /// Lowest frequency in hertz.
    pub low_freq_hz: f64,
    /// Highest frequency in hertz; 0 and below count from half the sampling rate.
    pub high_freq_hz: f64,
    /// Whether filters see power, or else magnitude.
    pub use_power: bool,
    /// Whether the natural logarithm is taken, of at least `f32::EPSILON`.
    pub use_log_fbank: bool,
    /// Whether each frame has the logarithm of its energy as well.
    pub use_energy: bool,
    /// Whether that energy is taken before pre-emphasis and window.
    pub raw_energy: bool,
    /// Least energy that its logarithm is taken of.
    pub energy_floor: f64,
    /// Whether the energy stands last, or else first.
    pub htk_compat: bool,
}

impl Default for KaldiFbankConfig {
    /// torchaudio's: 23 bands from 20 Hz on, 25 ms Povey windows every 10 ms at 16 kHz.
    fn default() -> Self {
        Self {
            sample_rate_hz: 16_000,
            scale: 1.0,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            snip_edges: true,
            remove_dc_offset: true,
            preemphasis_coefficient: 0.97,
            window_type: KaldiWindow::Povey,
            round_to_power_of_two: true,
            num_mel_bins: 23,
            low_freq_hz: 20.0,
            high_freq_hz: 0.0,
            use_power: true,
            use_log_fbank: true,
            use_energy: false,
            raw_energy: true,
            energy_floor: 1.0,
            htk_compat: false,
        }
    }
}

/// A parameter of Kaldi's filterbank energies that is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KaldiFbankError {
    /// Sampling rate.
    #[error("sample_rate_hz is {rate_hz}; give {} to {} Hz", RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end())]
    SampleRate {
        /// Its value.
        rate_hz: u32,
    },
    /// Factor on samples.
    #[error("scale is {0}; give a positive number, 1 or 32768")]
    Scale(f32),
    /// Length of a frame.
    #[error("frame_length_ms is {length_ms}, which is {samples} samples; give 2 to {MAX_FRAME} samples")]
    FrameLength {
        /// Its value in milliseconds.
        length_ms: f64,
        /// Its value in samples.
        samples: usize,
    },
    /// Frames of an odd number of samples have no frequency at half the rate.
    #[error("a frame has {0} samples, an odd number; set round_to_power_of_two or change frame_length_ms")]
    OddFrame(usize),
    /// Distance of frames.
    #[error("frame_shift_ms is {0}, which is no positive number of samples; give at least one sample")]
    FrameShift(f64),
    /// Pre-emphasis.
    #[error("preemphasis_coefficient is {0}; give 0 to 1")]
    Preemphasis(f64),
    /// Number of bands.
    #[error("num_mel_bins is {0}; give {MIN_BINS} to {MAX_BINS} bands")]
    NumMelBins(usize),
    /// Frequency range.
    #[error(
        "the band from low_freq_hz = {low_hz} to high_freq_hz = {high_hz} is not within 0 to {nyquist_hz} Hz; give 0 ≤ low < high ≤ {nyquist_hz}"
    )]
    FrequencyRange {
        /// Lowest frequency in hertz.
        low_hz: f64,
        /// Highest frequency in hertz, from 0 on.
        high_hz: f64,
        /// Half the sampling rate in hertz.
        nyquist_hz: f64,
    },
    /// Floor of the energy.
    #[error("energy_floor is {0}; give 0 or a positive number")]
    EnergyFloor(f64),
}

impl KaldiFbankConfig {
    /// Whole samples of a number of milliseconds, in the order of operations of torchaudio.
    fn samples(&self, ms: f64) -> usize {
        (f64::from(self.sample_rate_hz) * ms * 0.001) as usize
    }

    fn frame_length(&self) -> usize {
        self.samples(self.frame_length_ms)
    }

    fn frame_shift(&self) -> usize {
        self.samples(self.frame_shift_ms)
    }

    fn n_fft(&self) -> usize {
        let length = self.frame_length();
        if self.round_to_power_of_two {
            length.min(MAX_FRAME).next_power_of_two()
        } else {
            length
        }
    }

    fn nyquist_hz(&self) -> f64 {
        f64::from(self.sample_rate_hz) / 2.0
    }

    /// Highest frequency of the filters in hertz, counted from 0.
    fn high_hz(&self) -> f64 {
        if self.high_freq_hz > 0.0 {
            self.high_freq_hz
        } else {
            self.nyquist_hz() + self.high_freq_hz
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// All that is out of bounds, in the order of the fields.
    pub fn validate(&self) -> Result<(), Vec<KaldiFbankError>> {
        let mut errors = Vec::new();
        let mut require = |holds: bool, error: KaldiFbankError| {
            if !holds {
                errors.push(error);
            }
        };
        let rate_hz = self.sample_rate_hz;
        require(
            RATE_BOUNDS_HZ.contains(&rate_hz),
            KaldiFbankError::SampleRate { rate_hz },
        );
        require(
            self.scale > 0.0 && self.scale.is_finite(),
            KaldiFbankError::Scale(self.scale),
        );
        let (length_ms, samples) = (self.frame_length_ms, self.frame_length());
        require(
            (2..=MAX_FRAME).contains(&samples),
            KaldiFbankError::FrameLength { length_ms, samples },
        );
        require(self.n_fft().is_multiple_of(2), KaldiFbankError::OddFrame(samples));
        require(
            (1..usize::MAX).contains(&self.frame_shift()),
            KaldiFbankError::FrameShift(self.frame_shift_ms),
        );
        require(
            (0.0..=1.0).contains(&self.preemphasis_coefficient),
            KaldiFbankError::Preemphasis(self.preemphasis_coefficient),
        );
        require(
            (MIN_BINS..=MAX_BINS).contains(&self.num_mel_bins),
            KaldiFbankError::NumMelBins(self.num_mel_bins),
        );
        let (low_hz, high_hz, nyquist_hz) = (self.low_freq_hz, self.high_hz(), self.nyquist_hz());
        require(
            0.0 <= low_hz && low_hz < high_hz && high_hz <= nyquist_hz,
            KaldiFbankError::FrequencyRange {
                low_hz,
                high_hz,
                nyquist_hz,
            },
        );
        require(
            self.energy_floor >= 0.0 && self.energy_floor.is_finite(),
            KaldiFbankError::EnergyFloor(self.energy_floor),
        );
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Computes Kaldi's filterbank energies; made once, used from any number of threads.
pub struct KaldiFbank {
    config: KaldiFbankConfig,
    /// In double precision: the floor of the logarithm lies so low that bands without energy would
    /// show the rounding of the transform.
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    shift: usize,
    filters: Vec<MelFilter>,
}

impl std::fmt::Debug for KaldiFbank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KaldiFbank")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl KaldiFbank {
    /// Plans the transform, window and filters.
    ///
    /// # Errors
    /// The first of [`KaldiFbankConfig::validate`]'s errors.
    pub fn new(config: KaldiFbankConfig) -> Result<Self, KaldiFbankError> {
        if let Err(errors) = config.validate()
            && let Some(error) = errors.into_iter().next()
        {
            return Err(error);
        }
        let length = config.frame_length();
        let window = (0..length)
            .map(|i| {
                let cosine = (std::f64::consts::TAU * i as f64 / (length - 1) as f64).cos();
                match config.window_type {
                    KaldiWindow::Povey => (0.5 - 0.5 * cosine).powf(0.85),
                    KaldiWindow::Hanning => 0.5 - 0.5 * cosine,
                    KaldiWindow::Hamming => 0.54 - 0.46 * cosine,
                    KaldiWindow::Rectangular => 1.0,
                }
            })
            .collect();
        Ok(Self {
            fft: RealFftPlanner::new().plan_fft_forward(config.n_fft()),
            window,
            shift: config.frame_shift(),
            filters: filters(&config),
            config,
        })
    }

    /// The parameters.
    pub fn config(&self) -> &KaldiFbankConfig {
        &self.config
    }

    /// Values of a frame: the bands, and one more with `use_energy`.
    pub fn width(&self) -> usize {
        self.config.num_mel_bins + usize::from(self.config.use_energy)
    }

    /// Samples from one frame to the next.
    pub fn hop_length(&self) -> usize {
        self.shift
    }

    /// Number of frames of a signal of `samples` samples.
    ///
    /// With `snip_edges` none when it is shorter than a frame, else `1 + (samples - length) / shift`;
    /// without, `(samples + shift / 2) / shift`.
    pub fn frames(&self, samples: usize) -> usize {
        if self.config.snip_edges {
            samples
                .checked_sub(self.window.len())
                .map_or(0, |room| 1 + room / self.shift)
        } else if samples == 0 {
            0
        } else {
            samples.saturating_add(self.shift / 2) / self.shift
        }
    }

    /// The filterbank energies of a mono signal at `sample_rate_hz`.
    ///
    /// A signal shorter than a frame, which torchaudio refuses, has no frame with `snip_edges` and is
    /// mirrored as often as needed without, as in Kaldi.
    ///
    /// # Shapes
    /// `[samples]` → row-major `[frames, width]`.
    ///
    /// # Source
    /// `torchaudio.compliance.kaldi.fbank`; Kaldi's `compute-fbank-feats`.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let frames = self.frames(samples.len());
        let mut features = Vec::with_capacity(frames * self.width());
        let mut frame = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut energies = vec![0.0_f32; spectrum.len()];
        for t in 0..frames {
            let (content, padding) = frame.split_at_mut(self.window.len());
            self.cut(samples, t, content);
            padding.fill(0.0);
            let energy = self.shape(content);
            // Fails on wrong buffer lengths only, and the plan made these buffers.
            let _ = self.fft.process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
            for (energy, z) in energies.iter_mut().zip(&spectrum) {
                let power = z.re * z.re + z.im * z.im;
                *energy = if self.config.use_power { power } else { power.sqrt() } as f32;
            }
            if self.config.use_energy && !self.config.htk_compat {
                features.push(energy);
            }
            features.extend(self.filters.iter().map(|filter| {
                let energy = dot(&filter.weights, &energies[filter.first_bin..]);
                if self.config.use_log_fbank {
                    energy.max(LEAST_ENERGY).ln()
                } else {
                    energy
                }
            }));
            if self.config.use_energy && self.config.htk_compat {
                features.push(energy);
            }
        }
        features
    }

    /// Copies frame `t`, scaled, from a signal that is not empty.
    fn cut(&self, samples: &[f32], t: usize, frame: &mut [f64]) {
        let scale = f64::from(self.config.scale);
        let length = frame.len();
        // Samples of the frame before the signal's first one.
        let before = if self.config.snip_edges {
            0
        } else {
            (length / 2).saturating_sub(self.shift / 2 + t * self.shift)
        };
        let start = if self.config.snip_edges {
            t * self.shift
        } else {
            (t * self.shift + self.shift / 2).saturating_sub(length / 2)
        };
        if before == 0
            && let Some(inside) = samples.get(start..start + length)
        {
            for (out, x) in frame.iter_mut().zip(inside) {
                *out = f64::from(*x) * scale;
            }
            return;
        }
        // Mirrored so that the sample at the border comes twice, back and forth.
        let mirrored = |i: usize| match i % (2 * samples.len()) {
            i if i < samples.len() => i,
            i => 2 * samples.len() - 1 - i,
        };
        for (i, out) in frame.iter_mut().enumerate() {
            let index = if i < before { before - 1 - i } else { start + i - before };
            *out = f64::from(samples[mirrored(index)]) * scale;
        }
    }

    /// Removes the mean, emphasises, windows; gives the logarithm of the energy.
    fn shape(&self, frame: &mut [f64]) -> f32 {
        if self.config.remove_dc_offset {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            for x in frame.iter_mut() {
                *x -= mean;
            }
        }
        let raw_energy = self.log_energy(frame);
        let coefficient = self.config.preemphasis_coefficient;
        if coefficient != 0.0 {
            for i in (0..frame.len()).rev() {
                frame[i] -= coefficient * frame[i.saturating_sub(1)];
            }
        }
        for (x, w) in frame.iter_mut().zip(&self.window) {
            *x *= w;
        }
        if self.config.raw_energy {
            raw_energy
        } else {
            self.log_energy(frame)
        }
    }

    fn log_energy(&self, frame: &[f64]) -> f32 {
        let energy: f64 = frame.iter().map(|x| x * x).sum();
        energy.max(f64::from(LEAST_ENERGY)).max(self.config.energy_floor).ln() as f32
    }
}

/// The triangular filters, lowest first; triangles are straight in mels.
///
/// In single precision like Kaldi and torchaudio: in a narrow filter with one small weight the
/// rounding counts.
///
/// # Source
/// `torchaudio.compliance.kaldi.get_mel_banks`.
fn filters(config: &KaldiFbankConfig) -> Vec<MelFilter> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let n_fft = config.n_fft();
    let low = mel(config.low_freq_hz);
    let step = ((mel(config.high_hz()) - low) / (config.num_mel_bins + 1) as f64) as f32;
    let low = low as f32;
    let bin_hz = (f64::from(config.sample_rate_hz) / n_fft as f64) as f32;
    let bin_mels: Vec<f32> = (0..n_fft / 2)
        .map(|bin| 1127.0 * (1.0 + bin_hz * bin as f32 / 700.0).ln())
        .collect();
    (0..config.num_mel_bins)
        .map(|index| {
            let corner = |offset: f32| low + (index as f32 + offset) * step;
            let (left, centre, right) = (corner(0.0), corner(1.0), corner(2.0));
            let weight = |mel: f32| ((mel - left) / (centre - left)).min((right - mel) / (right - centre));
            let first_bin = bin_mels
                .iter()
                .position(|&mel| weight(mel) > 0.0)
                .unwrap_or(bin_mels.len());
            let weights = bin_mels[first_bin..]
                .iter()
                .map(|&mel| weight(mel))
                .take_while(|&weight| weight > 0.0)
                .collect();
            MelFilter { first_bin, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_out_of_bounds_is_reported() {
        let config = KaldiFbankConfig {
            sample_rate_hz: 0,
            scale: 0.0,
            frame_length_ms: f64::NAN,
            frame_shift_ms: -1.0,
            preemphasis_coefficient: 1.1,
            num_mel_bins: 3,
            low_freq_hz: -1.0,
            energy_floor: f64::INFINITY,
            ..KaldiFbankConfig::default()
        };
        let errors = config.validate().unwrap_err();
        assert_eq!(errors.len(), 9, "{errors:?}");
        assert_eq!(KaldiFbank::new(config).unwrap_err(), errors[0]);
        assert_eq!(KaldiFbankConfig::default().validate(), Ok(()));
        let odd = KaldiFbankConfig {
            frame_length_ms: 25.1,
            round_to_power_of_two: false,
            ..KaldiFbankConfig::default()
        };
        assert_eq!(KaldiFbank::new(odd).unwrap_err(), KaldiFbankError::OddFrame(401));
        for huge in [1e300, f64::INFINITY] {
            let config = KaldiFbankConfig {
                frame_length_ms: huge,
                frame_shift_ms: huge,
                ..KaldiFbankConfig::default()
            };
            assert_eq!(config.validate().unwrap_err().len(), 2);
        }
    }

    #[test]
    fn any_length_gives_the_stated_number_of_finite_frames() {
        for snip_edges in [true, false] {
            for (frame_length_ms, frame_shift_ms) in [(1.0, 0.5), (0.5, 1.0), (1.0, 3.0)] {
                let fbank = KaldiFbank::new(KaldiFbankConfig {
                    sample_rate_hz: 8000,
                    frame_length_ms,
                    frame_shift_ms,
                    snip_edges,
                    use_energy: true,
                    num_mel_bins: 4,
                    ..KaldiFbankConfig::default()
                })
                .unwrap();
                for samples in 0..40 {
                    let values = fbank.compute(&vec![0.3; samples]);
                    assert_eq!(values.len(), 5 * fbank.frames(samples));
                    assert!(values.iter().all(|x| x.is_finite()));
                }
            }
        }
    }

    #[test]
    fn borders_are_mirrored_with_the_border_sample_twice() {
        let fbank = KaldiFbank::new(KaldiFbankConfig {
            sample_rate_hz: 1000,
            frame_length_ms: 8.0,
            frame_shift_ms: 2.0,
            low_freq_hz: 0.0,
            num_mel_bins: 4,
            snip_edges: false,
            ..KaldiFbankConfig::default()
        })
        .unwrap();
        let frame = |samples: &[f32], t: usize| {
            let mut frame = [0.0; 8];
            fbank.cut(samples, t, &mut frame);
            frame
        };
        let signal: Vec<f32> = (0..10).map(|i| i as f32).collect();
        assert_eq!(frame(&signal, 0), [2.0, 1.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(frame(&signal, 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(frame(&signal, 4), [5.0, 6.0, 7.0, 8.0, 9.0, 9.0, 8.0, 7.0]);
        assert_eq!(frame(&[1.0, 2.0], 0), [2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn silence_gives_the_floors() {
        let fbank = KaldiFbank::new(KaldiFbankConfig {
            use_energy: true,
            ..KaldiFbankConfig::default()
        })
        .unwrap();
        let values = fbank.compute(&[0.0; 400]);
        assert_eq!(values[0], 0.0);
        assert!(values[1..].iter().all(|&x| x == f32::EPSILON.ln()));
    }
}
