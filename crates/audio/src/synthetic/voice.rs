//! The synthesiser: a score to samples.

use super::plan::{FORMANTS, FRAME_S, Score, decibels};

/// Bandwidths of the formants in hertz.
const BANDWIDTHS_HZ: [f64; FORMANTS] = [70.0, 90.0, 130.0, 220.0, 320.0];
/// Bandwidth of frication noise in hertz.
const FRICATION_BANDWIDTH_HZ: f64 = 900.0;
/// Resonances above this part of the sampling rate are left out.
const HIGHEST: f64 = 0.45;
/// Room noise relative to full scale, in decibels.
const ROOM_DB: f64 = -80.0;
/// Frequency that tilt is stated at, in hertz.
const TILT_HZ: f64 = 3000.0;

/// Second-order resonator with unit gain at 0 Hz.
///
/// # Source
/// Klatt, JASA 67 (1980), equations 1 and 2.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    a: f64,
    b: f64,
    c: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    fn tune(&mut self, hz: f64, bandwidth_hz: f64, rate: f64) {
        if hz > HIGHEST * rate {
            (self.a, self.b, self.c) = (1.0, 0.0, 0.0);
            return;
        }
        let radius = libm::exp(-std::f64::consts::PI * bandwidth_hz / rate);
        self.c = -radius * radius;
        self.b = 2.0 * radius * libm::cos(std::f64::consts::TAU * hz / rate);
        self.a = 1.0 - self.b - self.c;
    }

    /// Standard deviation of the output's first difference for white noise of deviation 1: that of
    /// an autoregression of order two.
    fn difference_deviation(&self) -> f64 {
        let Self { a, b, c, .. } = *self;
        let variance = a * a * (1.0 - c) / ((1.0 + c) * ((1.0 - c) * (1.0 - c) - b * b));
        libm::sqrt(2.0 * variance * (1.0 - b / (1.0 - c)))
    }

    fn step(&mut self, x: f64) -> f64 {
        let y = self.a * x + self.b * self.y1 + self.c * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}

/// Coefficient of the one-pole low-pass filter with this gain at [`TILT_HZ`].
fn tilt_coefficient(tilt_db: f64, rate: f64) -> f64 {
    let cosine = libm::cos(std::f64::consts::TAU * TILT_HZ.min(HIGHEST * rate) / rate);
    let gain = decibels(2.0 * tilt_db);
    if gain > 0.999 {
        return 0.0;
    }
    // (1 - p)² = gain · (1 - 2 p cos + p²), solved for the stable p.
    let half = (1.0 - gain * cosine) / (1.0 - gain);
    half - libm::sqrt(half * half - 1.0)
}

/// Renders a score at a rate in hertz.
pub(super) fn render(score: &Score, rate_hz: u32) -> Vec<f32> {
    let rate = f64::from(rate_hz);
    let mut random = score.random.clone();
    let length = (score.frames.len() as f64 * FRAME_S * rate) as usize;
    let mut samples = Vec::with_capacity(length);
    let mut formants = [Resonator::default(); FORMANTS];
    let mut frication = Resonator::default();
    let pole = tilt_coefficient(score.tilt_db, rate);
    let (mut tilted, mut resonance_before) = (0.0, 0.0);
    let room = decibels(ROOM_DB);
    let mut frication_level = 0.0;
    // Position in the glottal period from 0 to 1, its own deviations, and the energy of speech.
    let (mut phase, mut period, mut pulse) = (1.0, 1.0, 1.0);
    let (mut energy, mut active) = (0.0, 0_usize);
    let mut frame_index = usize::MAX;
    for i in 0..length {
        let index = ((i as f64 / (FRAME_S * rate)) as usize).min(score.frames.len() - 1);
        let frame = &score.frames[index];
        if index != frame_index {
            frame_index = index;
            for ((formant, &hz), bandwidth) in formants.iter_mut().zip(&frame.formants_hz).zip(BANDWIDTHS_HZ) {
                formant.tune(hz, bandwidth, rate);
            }
            frication.tune(frame.frication_hz.min(0.42 * rate), FRICATION_BANDWIDTH_HZ, rate);
            frication_level = score.frication_level / frication.difference_deviation();
        }
        phase += frame.f0_hz / rate * period;
        if phase >= 1.0 {
            phase -= 1.0;
            period = 1.0 / (1.0 + score.jitter * random.normal()).max(0.5);
            pulse = (1.0 + score.shimmer * random.normal()).max(0.1);
        }
        // Derivative of the glottal flow t² - t³ over the open phase, zero at rest.
        let open = phase / score.open_quotient;
        let flow = if open < 1.0 {
            open * (2.0 - 3.0 * open) * pulse
        } else {
            0.0
        };
        tilted = (1.0 - pole) * flow + pole * tilted;
        let white = random.normal();
        // Turbulence is stronger while the glottis is open.
        let gate = if open < 1.0 { 1.0 } else { 0.4 };
        let mut x = frame.voicing * tilted + frame.breath * gate * white;
        for formant in &mut formants {
            x = formant.step(x);
        }
        if frame.voicing > 0.2 {
            energy += x * x;
            active += 1;
        }
        // The difference takes away what the resonator passes at low frequencies.
        let resonance = frication.step(white);
        let hiss = frame.frication * frication_level * (resonance - resonance_before);
        resonance_before = resonance;
        samples.push((x, hiss + room * random.normal()));
    }
    let gain = score.level / libm::sqrt(energy / active.max(1) as f64).max(1e-9);
    samples
        .into_iter()
        .map(|(voice, noise)| (gain * voice + noise).clamp(-1.0, 1.0) as f32)
        .collect()
}
