//! Mel-frequency cepstral coefficients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::log_mel::{LogMel, LogMelConfig, LogMelError, LogScale};
use crate::mel::dot;

/// Scaling of the cosine transform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DctNorm {
    /// An orthonormal transform.
    #[default]
    Ortho,
}

/// Parameters of cepstral coefficients, named as in `torchaudio.transforms.MFCC`.
#[derive(Debug, Clone, PartialEq)]
pub struct MfccConfig {
    /// Number of coefficients kept, at most `mel.n_mels`.
    pub n_mfcc: usize,
    /// Scaling of the cosine transform (type 2); twice the plain sum when absent.
    pub norm: Option<DctNorm>,
    /// Bands more than this many decibels below the loudest one of the clip are raised to that
    /// level; used with [`LogScale::Db`] only, and absent for no limit.
    pub top_db: Option<f32>,
    /// The log-mel spectrogram that is transformed (`melkwargs`). [`LogScale::Natural`] with an
    /// offset of 1e-6 is torchaudio's `log_mels=True`, [`LogScale::Db`] its default.
    pub mel: LogMelConfig,
}

impl Default for MfccConfig {
    /// torchaudio's: 40 coefficients of 128 bands in decibels, 25 ms windows every 12.5 ms at 16 kHz.
    fn default() -> Self {
        Self {
            n_mfcc: 40,
            norm: Some(DctNorm::Ortho),
            top_db: Some(80.0),
            mel: LogMelConfig {
                n_fft: 400,
                win_length: 400,
                hop_length: 200,
                n_mels: 128,
                log: LogScale::Db,
                log_offset: 0.0,
                log_floor: 1e-10,
                ..LogMelConfig::default()
            },
        }
    }
}

/// A parameter of cepstral coefficients that is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MfccError {
    /// A parameter of the spectrogram.
    #[error(transparent)]
    Mel(#[from] LogMelError),
    /// Number of coefficients.
    #[error("n_mfcc is {n_mfcc}; give 1 to n_mels = {n_mels} coefficients")]
    NMfcc {
        /// Its value.
        n_mfcc: usize,
        /// Its bound.
        n_mels: usize,
    },
    /// Range below the loudest band.
    #[error("top_db is {0}; give a positive number of decibels")]
    TopDb(f32),
    /// Cepstral coefficients are those of a logarithm.
    #[error("log is none; choose natural or db")]
    NoLogarithm,
}

impl MfccConfig {
    /// Checks every parameter.
    ///
    /// # Errors
    /// All that is out of bounds, those of the spectrogram first.
    pub fn validate(&self) -> Result<(), Vec<MfccError>> {
        let mut errors: Vec<MfccError> = self
            .mel
            .validate()
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(MfccError::Mel)
            .collect();
        let (n_mfcc, n_mels) = (self.n_mfcc, self.mel.n_mels);
        if !(1..=n_mels).contains(&n_mfcc) {
            errors.push(MfccError::NMfcc { n_mfcc, n_mels });
        }
        if let Some(top_db) = self.top_db.filter(|&db| !(db > 0.0 && db.is_finite())) {
            errors.push(MfccError::TopDb(top_db));
        }
        if self.mel.log == LogScale::None {
            errors.push(MfccError::NoLogarithm);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Computes cepstral coefficients; made once, used from any number of threads.
#[derive(Debug)]
pub struct Mfcc {
    config: MfccConfig,
    log_mel: LogMel,
    /// The cosine transform, row-major `[n_mfcc, n_mels]`.
    cosines: Vec<f32>,
}

impl Mfcc {
    /// Plans the spectrogram and the cosine transform.
    ///
    /// # Errors
    /// The first of [`MfccConfig::validate`]'s errors.
    pub fn new(config: MfccConfig) -> Result<Self, MfccError> {
        if let Err(errors) = config.validate()
            && let Some(error) = errors.into_iter().next()
        {
            return Err(error);
        }
        let bands = config.mel.n_mels as f64;
        let cosine = |k: usize, n: usize| {
            let scale = match config.norm {
                None => 2.0,
                Some(DctNorm::Ortho) if k == 0 => (1.0 / bands).sqrt(),
                Some(DctNorm::Ortho) => (2.0 / bands).sqrt(),
            };
            (scale * (std::f64::consts::PI / bands * (n as f64 + 0.5) * k as f64).cos()) as f32
        };
        let cosines = (0..config.n_mfcc)
            .flat_map(|k| (0..config.mel.n_mels).map(move |n| (k, n)))
            .map(|(k, n)| cosine(k, n))
            .collect();
        Ok(Self {
            log_mel: LogMel::new(config.mel.clone())?,
            cosines,
            config,
        })
    }

    /// The parameters.
    pub fn config(&self) -> &MfccConfig {
        &self.config
    }

    /// Number of frames of a signal of `samples` samples, as [`LogMel::frames`].
    pub fn frames(&self, samples: usize) -> usize {
        self.log_mel.frames(samples)
    }

    /// The cepstral coefficients of a mono signal at `mel.sample_rate_hz`.
    ///
    /// `y[t, k] = s_k · Σ_m cos(π / n_mels · (m + ½) · k) · log_mel[t, m]`, with
    /// `s_0 = √(1 / n_mels)` and `s_k = √(2 / n_mels)` where orthonormal.
    ///
    /// # Shapes
    /// `[samples]` → row-major `[frames, n_mfcc]`.
    ///
    /// # Source
    /// `torchaudio.transforms.MFCC`. It takes `10 · log10` of magnitudes too; here decibels of
    /// magnitudes (`power` 1) are `20 · log10`.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let mut bands = self.log_mel.compute(samples);
        if let (LogScale::Db, Some(top_db)) = (self.config.mel.log, self.config.top_db) {
            let floor = bands.iter().copied().fold(f32::NEG_INFINITY, f32::max) - top_db;
            for band in &mut bands {
                *band = band.max(floor);
            }
        }
        let n_mels = self.config.mel.n_mels;
        bands
            .chunks_exact(n_mels)
            .flat_map(|frame| self.cosines.chunks_exact(n_mels).map(|row| dot(row, frame)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_out_of_bounds_is_reported() {
        let config = MfccConfig {
            n_mfcc: 0,
            top_db: Some(f32::NAN),
            mel: LogMelConfig {
                hop_length: 0,
                log: LogScale::None,
                ..LogMelConfig::default()
            },
            ..MfccConfig::default()
        };
        let errors = config.validate().unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert_eq!(Mfcc::new(config).unwrap_err(), MfccError::Mel(LogMelError::HopLength));
        assert_eq!(MfccConfig::default().validate(), Ok(()));
    }

    #[test]
    fn equal_bands_have_only_the_coefficient_of_their_sum() {
        // Silence has the same value in every band: the floor, -100 dB.
        let mfcc = Mfcc::new(MfccConfig::default()).unwrap();
        let values = mfcc.compute(&[0.0; 800]);
        assert_eq!(values.len(), 40 * mfcc.frames(800));
        for frame in values.chunks_exact(40) {
            assert!((frame[0] + 100.0 * 128_f32.sqrt()).abs() < 1e-2, "{}", frame[0]);
            assert!(frame[1..].iter().all(|x| x.abs() < 1e-3), "{frame:?}");
        }
    }

    #[test]
    fn no_samples_give_no_frames_and_one_sample_finite_ones() {
        let mfcc = Mfcc::new(MfccConfig::default()).unwrap();
        assert!(mfcc.compute(&[]).is_empty());
        assert!(mfcc.compute(&[0.5]).iter().all(|x| x.is_finite()));
    }
}
