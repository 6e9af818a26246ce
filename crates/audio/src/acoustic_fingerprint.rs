//! Whether two recordings are one, whatever their container, coding, level, rate and start.

use std::fmt;
use std::str::FromStr;

use realfft::RealFftPlanner;

use crate::resample::{ResampleError, resample};

/// Rate that recordings are brought to, in hertz: what a telephone leaves of speech is enough.
const RATE_HZ: u32 = 8_000;
/// Samples of a frame: 256 ms, so long that frames which start a few milliseconds apart look alike.
const WINDOW: usize = 2_048;
/// Samples from frame to frame: 24 ms.
const HOP: usize = 192;
/// Frames whose difference a number tells: 120 ms.
const LAG: usize = 5;
/// Bands of a frame, of equal width in the logarithm of frequency; neighbours give a bit.
const BANDS: usize = 33;
/// Borders of the bands in hertz.
const BAND_HZ: (f64, f64) = (300.0, 3_000.0);
/// Frames that are so much quieter than the loudest are silence (40 dB).
const QUIET: f64 = 1e-4;
/// Power of a band, beside that of the loudest frame, below which it is taken for empty.
const FLOOR: f64 = 1e-9;
/// Longest stretch from a recording's start that is looked at, in seconds.
const LONGEST_S: f64 = 20.0;
/// Share of bits that may differ in one recording. Copies at another rate, level or start, or coded as MP3, differ in a
/// tenth at most; of all recordings of EmoDB and of eight actors of RAVDESS no two differ in less than a quarter.
const MOST_DIFFERENT: f64 = 0.2;
/// Fewest frames that two recordings must have in common.
const FEWEST_FRAMES: usize = 10;
/// Frames with one key that each is compared with.
const COMPARED: usize = 16;

/// What a recording sounds like: a number for each stretch of 24 ms, 0 in silence.
///
/// A bit tells whether the step from one band to the next grew or fell within 120 ms. Half of the bits differ between two
/// recordings, be they of one speaker who says one sentence twice.
///
/// # Source
/// Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002, with shorter frames farther apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcousticFingerprint(Box<[u32]>);

impl AcousticFingerprint {
    /// The fingerprint of the first twenty seconds of mono samples; empty for less than a third of a second.
    ///
    /// # Errors
    /// The rate is out of bounds.
    pub fn of(samples: &[f32], rate_hz: u32) -> Result<Self, ResampleError> {
        let longest = (LONGEST_S * f64::from(rate_hz)) as usize;
        let samples = resample(&samples[..samples.len().min(longest)], rate_hz, RATE_HZ)?;
        let frames = match samples.len().checked_sub(WINDOW) {
            Some(rest) => rest / HOP + 1,
            None => 0,
        };
        if frames <= LAG {
            return Ok(Self::default());
        }
        let powers = powers(&samples, frames);
        let totals: Vec<f64> = powers.iter().map(|bands| bands.iter().sum()).collect();
        let loudest = totals.iter().fold(0.0, |a: f64, b| a.max(*b));
        let levels: Vec<Vec<f64>> = powers
            .iter()
            .map(|bands| {
                bands
                    .iter()
                    .map(|power| (power + FLOOR * loudest + 1e-30).ln())
                    .collect()
            })
            .collect();
        let numbers = (LAG..frames).map(|frame| {
            let (now, before) = (&levels[frame], &levels[frame - LAG]);
            if totals[frame].min(totals[frame - LAG]) <= QUIET * loudest {
                return 0;
            }
            let grew = |band: usize| now[band] - now[band + 1] > before[band] - before[band + 1];
            let number = (0..BANDS - 1).fold(0, |number, band| number | u32::from(grew(band)) << band);
            number.max(1)
        });
        Ok(Self(numbers.collect()))
    }

    /// Keys of the frames that are no silence: most of the bits of each, of which some are the same in a copy.
    fn keys(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let loud = self.0.iter().enumerate().filter(|(_, number)| **number != 0);
        loud.map(|(frame, number)| (number >> 4 & 0x00ff_ffff, frame))
    }

    /// Whether this is the recording of `other` if its frame `own` is the other's frame `theirs`.
    fn is_alike(&self, other: &Self, own: usize, theirs: usize) -> bool {
        let shift = own.min(theirs);
        let pairs = self.0[own - shift..].iter().zip(&other.0[theirs - shift..]);
        let (mut frames, mut bits) = (0, 0);
        for (a, b) in pairs.filter(|(a, b)| **a != 0 && **b != 0) {
            frames += 1;
            bits += (a ^ b).count_ones();
        }
        let loud = |print: &Self| print.0.iter().filter(|number| **number != 0).count();
        let fewest = FEWEST_FRAMES.max(loud(self).min(loud(other)) / 2);
        frames >= fewest && f64::from(bits) <= MOST_DIFFERENT * 32.0 * frames as f64
    }
}

/// As hexadecimal digits, eight a number.
impl fmt::Display for AcousticFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|number| write!(f, "{number:08x}"))
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no acoustic fingerprint")]
pub struct NoFingerprint;

impl FromStr for AcousticFingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let number = |word: &[u8; 8]| {
            let word = std::str::from_utf8(word).map_err(|_| NoFingerprint)?;
            u32::from_str_radix(word, 16).map_err(|_| NoFingerprint)
        };
        match rest {
            [] => words.iter().map(number).collect::<Result<_, _>>().map(Self),
            _ => Err(NoFingerprint),
        }
    }
}

/// The recordings that are one, by their places, each group in ascending order. Not every two are compared but those with a
/// key in common, so that a hundred thousand take seconds.
#[must_use]
pub fn alike(prints: &[&AcousticFingerprint]) -> Vec<Vec<usize>> {
    let mut keys: Vec<(u32, u32, u32)> = Vec::new();
    for (place, print) in prints.iter().enumerate() {
        keys.extend(print.keys().map(|(key, frame)| (key, place as u32, frame as u32)));
    }
    keys.sort_unstable();
    let mut parents: Vec<usize> = (0..prints.len()).collect();
    for bucket in keys.chunk_by(|a, b| a.0 == b.0) {
        for (at, &(_, place, frame)) in bucket.iter().enumerate() {
            for &(_, earlier, its_frame) in &bucket[at.saturating_sub(COMPARED)..at] {
                let (a, b) = (earlier as usize, place as usize);
                let (root_a, root_b) = (find(&mut parents, a), find(&mut parents, b));
                if root_a != root_b && prints[a].is_alike(prints[b], its_frame as usize, frame as usize) {
                    parents[root_a.max(root_b)] = root_a.min(root_b);
                }
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); prints.len()];
    for place in 0..prints.len() {
        let root = find(&mut parents, place);
        groups[root].push(place);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn find(parents: &mut [usize], mut place: usize) -> usize {
    while parents[place] != place {
        parents[place] = parents[parents[place]];
        place = parents[place];
    }
    place
}

/// Power of each band of each frame, under a Hann window.
fn powers(samples: &[f32], frames: usize) -> Vec<Vec<f64>> {
    let window: Vec<f32> = (0..WINDOW)
        .map(|at| (0.5 - 0.5 * (std::f64::consts::TAU * at as f64 / WINDOW as f64).cos()) as f32)
        .collect();
    let bin_hz = f64::from(RATE_HZ) / WINDOW as f64;
    let (low, high) = BAND_HZ;
    let border = |band: usize| (low * (high / low).powf(band as f64 / BANDS as f64) / bin_hz).ceil() as usize;
    let borders: Vec<usize> = (0..=BANDS).map(border).collect();
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    let (mut frame, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    (0..frames)
        .map(|number| {
            let from = number * HOP;
            for ((out, sample), weight) in frame.iter_mut().zip(&samples[from..]).zip(&window) {
                *out = sample * weight;
            }
            // Both buffers are of the transform's own lengths, the only thing it refuses.
            if transform.process(&mut frame, &mut spectrum).is_err() {
                return vec![0.0; BANDS];
            }
            let power = |band: &[usize]| {
                let bins = &spectrum[band[0]..band[1]];
                bins.iter().map(|bin| f64::from(bin.norm_sqr())).sum()
            };
            borders.windows(2).map(power).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second and a half at 8 kHz of tones that wander, other ones for another `seed`: see `tests/golden/make_prints.py`.
    fn wandering(seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut tones = [[0.0_f64; 3]; 12];
        for value in tones.as_flattened_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = f64::from(state >> 8) / f64::from(1 << 24);
        }
        (0..12_000)
            .map(|at| {
                let time = f64::from(at) / 8_000.0;
                let tone = |&[a, b, c]: &[f64; 3]| {
                    let hz = 200.0 + 2_800.0 * a;
                    let loud = 1.0 + (std::f64::consts::TAU * (1.0 + 4.0 * b) * time + 7.0 * c).sin();
                    loud * (std::f64::consts::TAU * hz * time + 40.0 * b * (3.0 * time + c).sin()).sin()
                };
                (0.02 * tones.iter().map(tone).sum::<f64>()) as f32
            })
            .collect()
    }

    fn print(samples: &[f32]) -> AcousticFingerprint {
        AcousticFingerprint::of(samples, 8_000).unwrap()
    }

    #[test]
    fn the_bits_are_those_that_numpy_finds() {
        let golden = include_str!("../tests/golden/prints.txt");
        for (seed, line) in (1..).zip(golden.lines()) {
            let expected: AcousticFingerprint = line.parse().unwrap();
            let found = print(&wandering(seed));
            assert_eq!(found.0.len(), expected.0.len());
            // A bit whose step is nearly none may be rounded either way.
            let bits: u32 = found.0.iter().zip(&expected.0).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!(bits <= 2, "{bits} bits differ\n{found}\n{expected}");
            assert_eq!(found.to_string().parse(), Ok(found));
        }
        assert_eq!("0123".parse::<AcousticFingerprint>(), Err(NoFingerprint));
        assert_eq!("0123456x".parse::<AcousticFingerprint>(), Err(NoFingerprint));
    }

    #[test]
    fn a_copy_that_is_shifted_louder_shorter_noisy_or_at_another_rate_is_the_same_recording() {
        let own = wandering(1);
        let mut noise = wandering(9);
        noise.iter_mut().for_each(|x| *x *= 0.03);
        let copies: [(&str, Vec<f32>); 7] = [
            ("itself", own.clone()),
            ("10 ms later", [vec![0.0; 80], own.clone()].concat()),
            (
                "12 ms later, the worst between frames",
                [vec![0.0; 96], own.clone()].concat(),
            ),
            ("300 ms earlier", own[2_400..].to_vec()),
            ("20 dB quieter", own.iter().map(|x| 0.1 * x).collect()),
            (
                "in noise 30 dB below",
                own.iter().zip(&noise).map(|(x, y)| x + y).collect(),
            ),
            ("turned over", own.iter().map(|x| -x).collect()),
        ];
        let first = print(&own);
        for (what, samples) in copies {
            assert_eq!(alike(&[&first, &print(&samples)]), [[0, 1]], "{what}");
        }
        let fast = resample(&own, 8_000, 44_100).unwrap();
        let fast = AcousticFingerprint::of(&fast, 44_100).unwrap();
        assert_eq!(alike(&[&first, &fast]), [[0, 1]]);
    }

    #[test]
    fn other_recordings_silence_and_what_is_too_short_are_like_nothing() {
        let prints: Vec<AcousticFingerprint> = (1..200).map(|seed| print(&wandering(seed))).collect();
        let silence = print(&[0.0; 12_000]);
        assert!(silence.0.iter().all(|number| *number == 0));
        let short = print(&wandering(1)[..2_900]);
        let mut all: Vec<&AcousticFingerprint> = prints.iter().collect();
        all.extend([&silence, &silence, &short, &short]);
        assert_eq!(alike(&all), Vec::<Vec<usize>>::new());
        assert!(print(&[]).0.is_empty());
    }

    #[test]
    fn copies_are_one_group_and_other_recordings_another() {
        let later = |seed: u32, by: usize| print(&[vec![0.0; by], wandering(seed)].concat());
        let prints = [
            later(1, 0),
            later(2, 0),
            later(1, 50),
            later(3, 0),
            later(1, 700),
            later(2, 333),
        ];
        assert_eq!(alike(&prints.iter().collect::<Vec<_>>()), [vec![0, 2, 4], vec![1, 5]]);
    }
}
