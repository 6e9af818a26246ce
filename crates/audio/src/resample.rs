//! Changing the sampling rate.

use std::cell::RefCell;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::{MAX_FRAMES, RATE_BOUNDS_HZ};

/// Frames of the smaller side of a block, at least. It fixes the length of the anti-aliasing filter
/// and with it the result, so a change here must change every cache key.
const BLOCK_FRAMES: usize = 512;

/// Why a rate cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// A rate out of bounds.
    #[error("{rate_hz} Hz is not a sampling rate from {} to {} Hz; choose one", RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end())]
    Rate {
        /// The rate in hertz.
        rate_hz: u32,
    },
    /// More output than is held in memory at once.
    #[error(
        "resampling to {rate_hz} Hz makes {frames} frames, more than {MAX_FRAMES}; split the audio or choose a lower rate"
    )]
    TooLong {
        /// The target rate in hertz.
        rate_hz: u32,
        /// Frames the result would have.
        frames: u64,
    },
    /// The resampler refused the rates.
    #[error("cannot resample from {from_hz} to {to_hz} Hz ({source}); choose another rate")]
    Construction {
        /// The given rate in hertz.
        from_hz: u32,
        /// The wanted rate in hertz.
        to_hz: u32,
        /// What it said.
        source: rubato::ResamplerConstructionError,
    },
    /// The resampler failed.
    #[error("resampling from {from_hz} to {to_hz} Hz failed ({source}); choose another rate")]
    Process {
        /// The given rate in hertz.
        from_hz: u32,
        /// The wanted rate in hertz.
        to_hz: u32,
        /// What it said.
        source: rubato::ResampleError,
    },
}

/// Number of frames after resampling: `round(frames · to / from)`, halves rounded up.
pub fn resampled_len(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    let (from, to) = (u128::from(from_hz.max(1)), u128::from(to_hz));
    u64::try_from((u128::from(frames) * to * 2 + from) / (from * 2)).unwrap_or(u64::MAX)
}

struct Cached {
    from_hz: u32,
    to_hz: u32,
    resampler: Fft<f32>,
}

thread_local! {
    /// The filter's making costs as much as resampling seconds of audio, and a data set mostly has one rate.
    static LAST: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

/// Resamples mono audio by FFT with a linear-phase anti-aliasing filter.
///
/// The result has [`resampled_len`] frames and no delay: frame `i` is the moment `i / to_hz`.
/// It is a function of the arguments alone.
///
/// # Errors
/// [`ResampleError`] when a rate or the result's length is out of bounds.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, ResampleError> {
    for rate_hz in [from_hz, to_hz] {
        if !RATE_BOUNDS_HZ.contains(&rate_hz) {
            return Err(ResampleError::Rate { rate_hz });
        }
    }
    if from_hz == to_hz || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let frames = resampled_len(samples.len() as u64, from_hz, to_hz);
    if frames > MAX_FRAMES {
        return Err(ResampleError::TooLong {
            rate_hz: to_hz,
            frames,
        });
    }
    LAST.with_borrow_mut(|last| {
        let cached = match last {
            Some(cached) if (cached.from_hz, cached.to_hz) == (from_hz, to_hz) => cached,
            _ => last.insert(Cached {
                from_hz,
                to_hz,
                resampler: make(from_hz, to_hz)?,
            }),
        };
        let failed = |source| ResampleError::Process {
            from_hz,
            to_hz,
            source,
        };
        let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|_| {
            failed(rubato::ResampleError::InsufficientInputBufferSize {
                expected: samples.len(),
                actual: 0,
            })
        })?;
        let output = cached
            .resampler
            .process_all(&input, samples.len(), None)
            .map_err(failed)?;
        let mut output = output.take_data();
        output.resize(frames as usize, 0.0);
        Ok(output)
    })
}

fn make(from_hz: u32, to_hz: u32) -> Result<Fft<f32>, ResampleError> {
    let (from, to) = (from_hz as usize, to_hz as usize);
    let divisor = gcd(from, to);
    // A power of two keeps the FFT lengths products of the rates' own small primes.
    let blocks = BLOCK_FRAMES
        .div_ceil(from.min(to) / divisor)
        .next_power_of_two();
    let chunk = from / divisor * blocks;
    Fft::new(from, to, chunk, 1, FixedSync::Both).map_err(|source| ResampleError::Construction {
        from_hz,
        to_hz,
        source,
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
