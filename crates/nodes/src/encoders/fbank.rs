//! Kaldi's filterbank energies, computed on the host for each item.

use emorun_audio::{KaldiFbank, KaldiFbankConfig, KaldiFbankError, KaldiWindow};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::Kind;
use crate::inference::{host_frames, wave_rate};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, HostValue, of_wave};

/// Kaldi's log filterbank energies with the parameters and defaults of `torchaudio.compliance.kaldi.fbank`, without
/// its random dither.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FbankNode {
    /// Waveform to analyse, usually `data.audio`.
    pub input: PortRef,
    /// Number of mel bands. torchaudio's default is 23; networks often take 80.
    #[serde(default = "default_num_mel_bins")]
    #[schemars(range(min = 4, max = 1024))]
    pub num_mel_bins: usize,
    /// Length of a frame in milliseconds.
    #[serde(default = "default_frame_length_ms")]
    #[schemars(range(min = 0.1, max = 10_000.0))]
    pub frame_length_ms: f64,
    /// Milliseconds from one frame to the next.
    #[serde(default = "default_frame_shift_ms")]
    #[schemars(range(min = 0.1, max = 10_000.0))]
    pub frame_shift_ms: f64,
    /// Window that each frame is multiplied with.
    #[serde(default)]
    pub window_type: KaldiWindow,
    /// Whether only whole frames are taken. If not, the signal is mirrored at both ends and frame `t` is centred at
    /// `(t + ½) · frame_shift_ms`.
    #[serde(default = "yes")]
    pub snip_edges: bool,
    /// Whether each frame's mean is subtracted.
    #[serde(default = "yes")]
    pub remove_dc_offset: bool,
    /// Coefficient of the pre-emphasis.
    #[serde(default = "default_preemphasis")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub preemphasis_coefficient: f64,
    /// Whether frames are padded with zeros to a power of two.
    #[serde(default = "yes")]
    pub round_to_power_of_two: bool,
    /// Lowest frequency of the mel bands in Hz.
    #[serde(default = "default_low_freq_hz")]
    #[schemars(range(min = 0.0))]
    pub low_freq_hz: f64,
    /// Highest frequency of the mel bands in Hz; 0 and below count from half the sample rate.
    #[serde(default)]
    pub high_freq_hz: f64,
    /// Whether bands are sums of power, or else of magnitude.
    #[serde(default = "yes")]
    pub use_power: bool,
    /// Whether the natural logarithm is taken, of at least 1.19e-7.
    #[serde(default = "yes")]
    pub use_log_fbank: bool,
    /// Whether each frame has the logarithm of its energy as well, which makes it one wider.
    #[serde(default)]
    pub use_energy: bool,
    /// Whether that energy is taken before pre-emphasis and window.
    #[serde(default = "yes")]
    pub raw_energy: bool,
    /// Least energy that its logarithm is taken of.
    #[serde(default = "default_energy_floor")]
    #[schemars(range(min = 0.0))]
    pub energy_floor: f64,
    /// Whether the energy stands last, or else first.
    #[serde(default)]
    pub htk_compat: bool,
    /// What samples are multiplied with first: 1 as torchaudio takes them, 32768 for the 16-bit range that Kaldi
    /// works in.
    #[serde(default = "default_scale")]
    #[schemars(range(min = 1e-6, max = 1e9))]
    pub scale: f32,
}

fn default_num_mel_bins() -> usize {
    23
}
fn default_frame_length_ms() -> f64 {
    25.0
}
fn default_frame_shift_ms() -> f64 {
    10.0
}
fn default_preemphasis() -> f64 {
    0.97
}
fn default_low_freq_hz() -> f64 {
    20.0
}
fn default_energy_floor() -> f64 {
    1.0
}
fn default_scale() -> f32 {
    1.0
}
fn yes() -> bool {
    true
}

impl FbankNode {
    fn config(&self, sample_rate_hz: u32) -> KaldiFbankConfig {
        KaldiFbankConfig {
            sample_rate_hz,
            scale: self.scale,
            frame_length_ms: self.frame_length_ms,
            frame_shift_ms: self.frame_shift_ms,
            snip_edges: self.snip_edges,
            remove_dc_offset: self.remove_dc_offset,
            preemphasis_coefficient: self.preemphasis_coefficient,
            window_type: self.window_type,
            round_to_power_of_two: self.round_to_power_of_two,
            num_mel_bins: self.num_mel_bins,
            low_freq_hz: self.low_freq_hz,
            high_freq_hz: self.high_freq_hz,
            use_power: self.use_power,
            use_log_fbank: self.use_log_fbank,
            use_energy: self.use_energy,
            raw_energy: self.raw_energy,
            energy_floor: self.energy_floor,
            htk_compat: self.htk_compat,
        }
    }

    /// The extractor for waveforms of the given rate.
    ///
    /// # Errors
    /// The parameters do not fit each other.
    fn extractor(&self, sample_rate_hz: u32) -> Result<KaldiFbank, InferError> {
        KaldiFbank::new(self.config(sample_rate_hz)).map_err(|error| {
            let field = match &error {
                KaldiFbankError::SampleRate { .. } => "input",
                KaldiFbankError::Scale(_) => "scale",
                KaldiFbankError::FrameLength { .. } | KaldiFbankError::OddFrame(_) => "frame_length_ms",
                KaldiFbankError::FrameShift(_) => "frame_shift_ms",
                KaldiFbankError::Preemphasis(_) => "preemphasis_coefficient",
                KaldiFbankError::NumMelBins(_) => "num_mel_bins",
                KaldiFbankError::FrequencyRange { .. } => "low_freq_hz",
                KaldiFbankError::EnergyFloor(_) => "energy_floor",
            };
            InferError::invalid(field, error.to_string())
        })
    }
}

impl Kind for FbankNode {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        host_frames(inputs, |rate_hz| {
            let extractor = self.extractor(rate_hz)?;
            let length = self.frame_length_ms / 1000.0 * f64::from(rate_hz);
            let work = 5.0 * length * length.max(2.0).log2();
            Ok((extractor.width(), extractor.hop_length(), "frame_shift_ms", work))
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
            HostValue::of_frames(extractor.compute(samples), extractor.width())
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_torchaudio_has_it() {
        // The defaults of the crate, whose golden vectors are torchaudio's.
        let node: FbankNode = serde_json::from_value(serde_json::json!({ "input": "data.audio" })).unwrap();
        assert_eq!(node.config(16_000), KaldiFbankConfig::default());
    }
}
