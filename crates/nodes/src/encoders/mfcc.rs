//! Mel-frequency cepstral coefficients, computed on the host for each item.

use emorun_audio::{
    DctNorm, LogMelConfig, LogMelError, LogScale, MelNorm, MelScale, Mfcc, MfccConfig, MfccError, PadMode,
};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::Kind;
use crate::inference::{host_frames, wave_rate};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, HostValue, of_wave};

/// Mel-frequency cepstral coefficients with the parameters and defaults of `torchaudio.transforms.MFCC`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MfccNode {
    /// Waveform to analyse, usually `data.audio`.
    pub input: PortRef,
    /// Number of coefficients, at most `n_mels`.
    #[serde(default = "default_n_mfcc")]
    #[schemars(range(min = 1, max = 1024))]
    pub n_mfcc: usize,
    /// Scaling of the cosine transform; `null` for twice the plain sum.
    #[serde(default = "default_dct_norm")]
    pub dct_norm: Option<DctNorm>,
    /// Logarithm taken of the mel energies: `db` (of at least 1e-10), or `natural` (with 1e-6 added), which is
    /// torchaudio's `log_mels=True`.
    #[serde(default = "default_log")]
    pub log: LogScale,
    /// Bands more than this many decibels below the loudest one of the item are raised to that level, with
    /// `log: db`; `null` for no limit.
    #[serde(default = "default_top_db")]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub top_db: Option<f32>,
    /// Number of mel bands.
    #[serde(default = "default_n_mels")]
    #[schemars(range(min = 1, max = 1024))]
    pub n_mels: usize,
    /// Length of the Fourier transform in samples.
    #[serde(default = "default_n_fft")]
    #[schemars(range(min = 16, max = 65536))]
    pub n_fft: usize,
    /// Length of the Hann window in samples; at most `n_fft`.
    #[serde(default = "default_n_fft")]
    #[schemars(range(min = 16, max = 65536))]
    pub win_length: usize,
    /// Samples from one frame to the next.
    #[serde(default = "default_hop_length")]
    #[schemars(range(min = 1, max = 65536))]
    pub hop_length: usize,
    /// Lowest frequency of the mel bands in Hz.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub f_min_hz: f32,
    /// Highest frequency of the mel bands in Hz; half the sample rate when left out.
    #[serde(default)]
    pub f_max_hz: Option<f32>,
    /// Mel scale: `htk` (torchaudio's default) or `slaney` (librosa's default).
    #[serde(default)]
    pub mel_scale: MelScale,
    /// Area normalisation of the mel filters; none when left out, as in torchaudio.
    #[serde(default)]
    pub norm: Option<MelNorm>,
    /// Exponent of the magnitude: 2 for power, 1 for magnitude.
    #[serde(default = "default_power")]
    #[schemars(range(min = 0.1, max = 4.0))]
    pub power: f32,
    /// Whether frame `t` is centred at sample `t · hop_length`, with padding at both ends.
    #[serde(default = "default_center")]
    pub center: bool,
    /// What the padding of centred frames consists of.
    #[serde(default)]
    pub pad_mode: PadMode,
}

fn default_n_mfcc() -> usize {
    40
}
fn default_dct_norm() -> Option<DctNorm> {
    Some(DctNorm::Ortho)
}
fn default_log() -> LogScale {
    LogScale::Db
}
fn default_top_db() -> Option<f32> {
    Some(80.0)
}
fn default_n_mels() -> usize {
    128
}
fn default_n_fft() -> usize {
    400
}
fn default_hop_length() -> usize {
    200
}
fn default_power() -> f32 {
    2.0
}
fn default_center() -> bool {
    true
}

impl MfccNode {
    fn config(&self, sample_rate_hz: u32) -> MfccConfig {
        let (log_offset, log_floor) = match self.log {
            LogScale::Db => (0.0, 1e-10),
            LogScale::Natural | LogScale::None => (1e-6, 0.0),
        };
        MfccConfig {
            n_mfcc: self.n_mfcc,
            norm: self.dct_norm,
            top_db: self.top_db,
            mel: LogMelConfig {
                sample_rate_hz,
                n_fft: self.n_fft,
                win_length: self.win_length,
                hop_length: self.hop_length,
                n_mels: self.n_mels,
                f_min_hz: self.f_min_hz,
                f_max_hz: self.f_max_hz,
                mel_scale: self.mel_scale,
                norm: self.norm,
                power: self.power,
                log: self.log,
                log_offset,
                log_floor,
                center: self.center,
                pad_mode: self.pad_mode,
            },
        }
    }

    /// The extractor for waveforms of the given rate.
    ///
    /// # Errors
    /// The parameters do not fit each other.
    fn extractor(&self, sample_rate_hz: u32) -> Result<Mfcc, InferError> {
        Mfcc::new(self.config(sample_rate_hz)).map_err(|error| {
            let field = match &error {
                MfccError::NMfcc { .. } => "n_mfcc",
                MfccError::TopDb(_) => "top_db",
                MfccError::NoLogarithm => "log",
                MfccError::Mel(LogMelError::WinLength { .. }) => "win_length",
                MfccError::Mel(_) => "n_fft",
            };
            InferError::invalid(field, error.to_string())
        })
    }
}

impl Kind for MfccNode {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let fft = self.n_fft as f64;
        let work = 2.5 * fft * fft.log2() + 2.0 * fft + 2.0 * (self.n_mfcc * self.n_mels) as f64;
        host_frames(inputs, |rate_hz| {
            self.extractor(rate_hz)?;
            Ok((self.n_mfcc, self.hop_length, "hop_length", work))
        })
    }

    fn host_operation(
        &self,
        inputs: &InputSignals<'_>,
        _facts: &Facts,
    ) -> Result<Option<Box<dyn HostOperation>>, InferError> {
        let Some(rate_hz) = wave_rate(inputs) else {
            return Ok(None);
        };
        let extractor = self.extractor(rate_hz)?;
        Ok(Some(of_wave(move |samples| {
            HostValue::of_frames(extractor.compute(samples), extractor.config().n_mfcc)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_torchaudio_has_it() {
        // The defaults of the crate, whose golden vectors are torchaudio's.
        let node: MfccNode = serde_json::from_value(serde_json::json!({ "input": "data.audio" })).unwrap();
        assert_eq!(node.config(16_000), MfccConfig::default());
    }
}
