//! Mel filterbanks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Formula of the mel scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelScale {
    /// `2595 · log10(1 + f / 700)`, as HTK and torchaudio's default.
    #[default]
    Htk,
    /// Linear below 1 kHz and logarithmic above, as Slaney's Auditory Toolbox and librosa's default.
    Slaney,
}

/// Scaling of the triangular filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelNorm {
    /// Equal area: each triangle is divided by half its width in hertz.
    Slaney,
}

const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;
const SLANEY_LOG_START_HZ: f64 = 1000.0;
const SLANEY_LOG_START_MEL: f64 = SLANEY_LOG_START_HZ / SLANEY_HZ_PER_MEL;

/// Natural logarithm of one mel step above 1 kHz on Slaney's scale.
fn slaney_log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

impl MelScale {
    fn mels(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Slaney if hz < SLANEY_LOG_START_HZ => hz / SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_LOG_START_MEL + (hz / SLANEY_LOG_START_HZ).ln() / slaney_log_step(),
        }
    }

    fn hertz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < SLANEY_LOG_START_MEL => mel * SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_LOG_START_HZ * (slaney_log_step() * (mel - SLANEY_LOG_START_MEL)).exp(),
        }
    }
}

/// One triangular filter: its non-zero weights and the frequency bin they start at.
#[derive(Debug, Clone)]
pub(crate) struct MelFilter {
    pub first_bin: usize,
    pub weights: Vec<f32>,
}

/// Shape of a filterbank.
pub(crate) struct Filterbank {
    pub scale: MelScale,
    pub norm: Option<MelNorm>,
    pub bins: usize,
    pub nyquist_hz: f64,
    pub f_min_hz: f64,
    pub f_max_hz: f64,
    pub n_mels: usize,
}

impl Filterbank {
    /// The triangular filters, lowest first.
    ///
    /// # Source
    /// `torchaudio.functional.melscale_fbanks`: triangles are straight in hertz, with corners
    /// equally spaced in mels.
    pub(crate) fn filters(&self) -> Vec<MelFilter> {
        let low = self.scale.mels(self.f_min_hz);
        let high = self.scale.mels(self.f_max_hz);
        let corner_hz = |index: usize| {
            let part = index as f64 / (self.n_mels + 1) as f64;
            self.scale.hertz(low + (high - low) * part)
        };
        let bin_hz = |bin: usize| self.nyquist_hz * bin as f64 / (self.bins - 1) as f64;
        (0..self.n_mels)
            .map(|mel| {
                let (left, centre, right) = (corner_hz(mel), corner_hz(mel + 1), corner_hz(mel + 2));
                let scale = match self.norm {
                    Some(MelNorm::Slaney) => 2.0 / (right - left),
                    None => 1.0,
                };
                let weight = |bin: usize| {
                    let hz = bin_hz(bin);
                    let triangle = ((hz - left) / (centre - left)).min((right - hz) / (right - centre));
                    (triangle.max(0.0) * scale) as f32
                };
                let first_bin = (0..self.bins).find(|&bin| weight(bin) > 0.0).unwrap_or(self.bins);
                let weights = (first_bin..self.bins)
                    .map(weight)
                    .take_while(|&weight| weight > 0.0)
                    .collect();
                MelFilter { first_bin, weights }
            })
            .collect()
    }
}

/// Dot product over the shorter length, in eight lanes so that it vectorises.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
