//! What rubato makes, in double precision, of the first frames of the noise in `src/resample.rs`.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// As in `src/resample.rs`: the two rates and the taps that the filter has there.
const CASES: [(usize, usize, usize); 8] = [
    (48_000, 16_000, 1_536),
    (44_100, 16_000, 1_764),
    (22_050, 16_000, 882),
    (8_000, 16_000, 512),
    (16_000, 8_000, 1_024),
    (24_000, 16_000, 768),
    (16_000, 22_050, 640),
    (11_025, 48_000, 588),
];

fn main() {
    let mut state = 1_u64;
    let noise: Vec<f64> = (0..1_500)
        .map(|_| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            f64::from((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect();
    let mut bytes = Vec::new();
    for (from, to, taps) in CASES {
        for frames in [1, 100, noise.len()] {
            let input = InterleavedSlice::new(&noise[..frames], 1, frames).unwrap();
            let mut resampler = Fft::<f64>::new(from, to, taps, 1, FixedSync::Both).unwrap();
            let mut output = resampler.process_all(&input, frames, None).unwrap().take_data();
            output.resize((2 * frames * to + from) / (2 * from), 0.0);
            bytes.extend(output.iter().flat_map(|x| (*x as f32).to_le_bytes()));
        }
    }
    std::fs::write(std::env::args().nth(1).expect("usage: make-resampled FILE"), bytes).unwrap();
}
