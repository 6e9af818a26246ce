//! Impulse responses of rooms that nobody has been in.

use super::butterworth::{Butterworth, Pass};

/// Speed of sound in metres a second, at 20 °C.
const SOUND: f64 = 343.0;
/// Below this the images' sum, which never turns its sign, is no sound of a room; in Hz.
const LOWEST_HZ: f64 = 50.0;
/// Where a decay is measured, in decibels below its beginning: T30 of ISO 3382-1.
const MEASURED_DB: (f64, f64) = (-5.0, -35.0);
/// How often the decay is measured and set.
const WEIGHTINGS: usize = 3;

/// A box with a speaker and a microphone in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Length, width and height in metres.
    pub size_m: [f64; 3],
    /// Where the speaker is, in metres from one corner.
    pub source_m: [f64; 3],
    /// Where the microphone is.
    pub microphone_m: [f64; 3],
    /// Time in which the sound falls by 60 dB, in seconds.
    pub rt60_s: f64,
}

/// The images of the speaker along one axis: squared distance from the microphone in m², and what is
/// left after the walls.
struct Axis(Vec<(f64, f32)>);

impl Room {
    /// The sample of the direct sound.
    pub fn direct(&self, rate_hz: u32) -> usize {
        let squared: f64 = self
            .source_m
            .iter()
            .zip(&self.microphone_m)
            .map(|(a, b)| (a - b) * (a - b))
            .sum();
        sample_of(squared.sqrt(), f64::from(rate_hz))
    }

    /// The impulse response, as long as the reverberation time.
    ///
    /// # Source
    /// The image-source method of Allen & Berkley, JASA 65, 1979, section I, with delays rounded to
    /// samples as there; walls absorb by Eyring's formula. In a box a sound field is not diffuse, and
    /// decays more slowly than Eyring says: the response is therefore weighted with the exponential that
    /// gives it the reverberation time asked for, by T30.
    pub fn response(&self, rate_hz: u32) -> Vec<f32> {
        let rate_hz = f64::from(rate_hz);
        let farthest_m = SOUND * self.rt60_s;
        let length = (self.rt60_s * rate_hz) as usize + 1;
        let [x, y, z] = self.size_m;
        let surface = 2.0 * (x * y + y * z + z * x);
        // Amplitudes are square roots of energies.
        let reflection = libm::exp(-0.161 * x * y * z / (surface * self.rt60_s) / 2.0);
        let [x, y, z] = [0, 1, 2].map(|axis| self.images(axis, reflection, farthest_m));
        let mut response = vec![0f32; length];
        let limit = farthest_m * farthest_m;
        for &(x2, x_left) in &x.0 {
            for &(y2, y_left) in y.0.iter().take_while(|(y2, _)| x2 + y2 < limit) {
                let left = x_left * y_left;
                for &(z2, z_left) in z.0.iter().take_while(|(z2, _)| x2 + y2 + z2 < limit) {
                    let distance = (x2 + y2 + z2).sqrt();
                    if let Some(sample) = response.get_mut(sample_of(distance, rate_hz)) {
                        *sample += left * z_left / distance as f32;
                    }
                }
            }
        }
        Butterworth::new(Pass::High, 2, LOWEST_HZ / rate_hz).apply(&mut response);
        // A decay that is no straight line changes its T30 by less than the weight does.
        for _ in 0..WEIGHTINGS {
            let Some(measured) = rt60(&response, rate_hz) else {
                break;
            };
            // Natural decay a sample: 60 dB is a factor of 1000.
            let decay = |rt60_s: f64| 1000f64.ln() / (rt60_s * rate_hz);
            let more = decay(self.rt60_s) - decay(measured);
            for (i, sample) in response.iter_mut().enumerate() {
                *sample *= libm::exp(-more * i as f64) as f32;
            }
        }
        response
    }

    /// Images up to a distance, nearest first.
    fn images(&self, axis: usize, reflection: f64, farthest_m: f64) -> Axis {
        let (size, source, microphone) = (self.size_m[axis], self.source_m[axis], self.microphone_m[axis]);
        let most = (farthest_m / (2.0 * size)) as i32 + 2;
        let mut images = Vec::new();
        for n in -most..=most {
            for mirrored in [0, 1] {
                let image = f64::from(1 - 2 * mirrored) * source + 2.0 * f64::from(n) * size;
                let walls = (n - mirrored).abs() + n.abs();
                let distance = image - microphone;
                if distance.abs() < farthest_m {
                    images.push((distance * distance, libm::pow(reflection, f64::from(walls)) as f32));
                }
            }
        }
        images.sort_by(|a, b| a.0.total_cmp(&b.0));
        Axis(images)
    }
}

/// When a sound from a distance in metres arrives.
fn sample_of(distance_m: f64, rate_hz: f64) -> usize {
    (distance_m / SOUND * rate_hz + 0.5) as usize
}

/// The reverberation time of an impulse response in seconds: Schroeder's integral backwards, and a
/// straight line through its levels from -5 to -35 dB. `None` if it does not fall that far.
pub(super) fn rt60(response: &[f32], rate_hz: f64) -> Option<f64> {
    let mut left: Vec<f64> = response.iter().map(|&x| f64::from(x) * f64::from(x)).collect();
    let mut sum = 0.0;
    for energy in left.iter_mut().rev() {
        sum += *energy;
        *energy = sum;
    }
    let (mut n, mut t, mut l, mut tt, mut tl) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, energy) in left.iter().enumerate() {
        let level = 10.0 * (energy / sum).log10();
        if (MEASURED_DB.1..=MEASURED_DB.0).contains(&level) {
            let time = i as f64 / rate_hz;
            n += 1.0;
            t += time;
            l += level;
            tt += time * time;
            tl += time * level;
        }
    }
    let slope = (n * tl - t * l) / (n * tt - t * t);
    (slope.is_finite() && slope < 0.0).then(|| -60.0 / slope)
}
