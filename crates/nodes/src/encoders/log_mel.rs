//! Log-mel spectrogram, computed on the host for each item.

use emorun_audio::{LogMel, LogMelConfig, LogScale, MelNorm, MelScale, PadMode};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::Kind;
use crate::inference::{host_frames, wave_rate};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, HostValue, of_wave};

/// Log-mel spectrogram with the parameters of `torchaudio.transforms.MelSpectrogram`, then
/// `ln(mel + log_offset)`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogMelNode {
    /// Waveform to analyse, usually `data.audio`.
    pub input: PortRef,
    /// Number of mel bands.
    #[serde(default = "default_n_mels")]
    #[schemars(range(min = 1, max = 1024))]
    pub n_mels: usize,
    /// Length of the Fourier transform in samples.
    #[serde(default = "default_n_fft")]
    #[schemars(range(min = 16, max = 65536))]
    pub n_fft: usize,
    /// Length of the Hann window in samples; at most `n_fft`.
    #[serde(default = "default_win_length")]
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
    /// Added to the mel energies before the logarithm.
    #[serde(default = "default_log_offset")]
    #[schemars(range(min = 1e-20, max = 1.0))]
    pub log_offset: f32,
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
    /// Logarithm taken of the mel energies.
    #[serde(default)]
    pub log: LogScale,
    /// Whether frame `t` is centred at sample `t · hop_length`, with padding at both ends.
    #[serde(default = "default_center")]
    pub center: bool,
    /// What the padding of centred frames consists of.
    #[serde(default)]
    pub pad_mode: PadMode,
}

fn default_n_mels() -> usize {
    64
}
fn default_n_fft() -> usize {
    512
}
fn default_win_length() -> usize {
    400
}
fn default_hop_length() -> usize {
    160
}
fn default_log_offset() -> f32 {
    1e-6
}
fn default_power() -> f32 {
    2.0
}
fn default_center() -> bool {
    true
}

impl LogMelNode {
    fn config(&self, sample_rate_hz: u32) -> LogMelConfig {
        LogMelConfig {
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
            log_offset: self.log_offset,
            center: self.center,
            pad_mode: self.pad_mode,
            ..LogMelConfig::default()
        }
    }

    /// The extractor for waveforms of the given rate.
    ///
    /// # Errors
    /// The parameters do not fit each other.
    fn extractor(&self, sample_rate_hz: u32) -> Result<LogMel, InferError> {
        LogMel::new(self.config(sample_rate_hz)).map_err(|error| InferError::invalid("n_fft", error.to_string()))
    }
}

impl Kind for LogMelNode {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let fft = self.n_fft as f64;
        host_frames(inputs, |rate_hz| {
            self.extractor(rate_hz)?;
            let work = 2.5 * fft * fft.log2() + 2.0 * fft;
            Ok((self.n_mels, self.hop_length, "hop_length", work))
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
            HostValue::of_frames(extractor.compute(samples), extractor.config().n_mels)
        })))
    }
}
