//! Times this crate's resampler beside rubato's, both over the same minutes of noise, in turn: the median of the ratios.
//!
//!   cargo run --release --bin time_resampling

use std::time::Instant;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// Rates, and the taps of the filter there.
const CASES: [(usize, usize, usize); 5] = [
    (48_000, 16_000, 1_536),
    (44_100, 16_000, 1_764),
    (22_050, 16_000, 882),
    (8_000, 16_000, 512),
    (24_000, 16_000, 768),
];
const ROUNDS: usize = 9;

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed().as_secs_f64()
}

fn main() {
    for (of_s, times) in [(3, 40), (60, 2)] {
        for (from, to, taps) in CASES {
            let mut state = 1_u64;
            let noise: Vec<f32> = (0..from * of_s)
                .map(|_| {
                    state = state
                        .wrapping_mul(0x5851_f42d_4c95_7f2d)
                        .wrapping_add(0x1405_7b7e_f767_814f);
                    (state >> 40) as f32 / (1 << 23) as f32 - 1.0
                })
                .collect();
            let own = || {
                for _ in 0..times {
                    std::hint::black_box(emorun_audio::resample(&noise, from as u32, to as u32).unwrap());
                }
            };
            let rubatos = || {
                for _ in 0..times {
                    let input = InterleavedSlice::new(&noise, 1, noise.len()).unwrap();
                    let mut resampler = Fft::<f32>::new(from, to, taps, 1, FixedSync::Both).unwrap();
                    std::hint::black_box(resampler.process_all(&input, noise.len(), None).unwrap());
                }
            };
            let mut rounds: Vec<(f64, f64, f64)> = (0..ROUNDS)
                .map(|_| {
                    let (own, rubatos) = (seconds(own), seconds(rubatos));
                    (own / rubatos, own, rubatos)
                })
                .collect();
            rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (ratio, own, rubatos) = rounds[ROUNDS / 2];
            let per_hour = 3600.0 / (of_s * times) as f64;
            println!(
                "{from:>6} to {to}, {of_s:>2} s a recording: {:.2} s an hour here, {:.2} rubato's, ratio {ratio:.2} ({:.2} to {:.2})",
                own * per_hour,
                rubatos * per_hour,
                rounds[0].0,
                rounds[ROUNDS - 1].0
            );
        }
    }
}
