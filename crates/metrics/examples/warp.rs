//! Times dynamic time warping and the metrics of reactions; `warp.py` beside it times the former in `tslearn` and
//! `dtaidistance`.
//!
//! cargo run --release -p emorun-metrics --example warp
#![allow(clippy::print_stdout)]

use std::time::Instant;

use emorun_metrics::reaction::{Clip, Group, Reactions, Warped};

const FRAMES: usize = 750;
const WIDTH: usize = 25;

fn rows(seed: usize) -> Vec<f32> {
    let value =
        |at: usize| (((at * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 + (at / WIDTH) as f32 * 0.013 % 1.0) / 2.0;
    (0..FRAMES * WIDTH).map(value).collect()
}

fn main() {
    let (a, b) = (rows(1), rows(2));
    for width in [1, 2, 8, 15, 25] {
        let (a, b) = (Warped::new(&a, WIDTH, 0..width), Warped::new(&b, WIDTH, 0..width));
        let start = Instant::now();
        let times = 50;
        let mut sum = 0.0;
        for _ in 0..times {
            sum += a.distance(&b).unwrap_or_default();
        }
        let ms = start.elapsed().as_secs_f64() * 1000.0 / f64::from(times);
        println!(
            "dtw {FRAMES} x {FRAMES}, {width} wide: {ms:.3} ms, {:.6}",
            sum / f64::from(times)
        );
    }
    let samples: Vec<Vec<f32>> = (0..80).map(rows).collect();
    let clips: Vec<Clip<'_>> = (0..8)
        .map(|clip| Clip {
            samples: samples[clip * 10..][..10].iter().map(Vec::as_slice).collect(),
            appropriate: samples[..5].iter().map(Vec::as_slice).collect(),
            speaker: &samples[clip],
        })
        .collect();
    for threads in [1, 2] {
        let Ok(reactions) = Reactions::new(WIDTH, Group::react(), clips.clone()) else {
            return;
        };
        let reactions = reactions.with_threads(threads);
        let start = Instant::now();
        let dist = reactions.frdist().unwrap_or_default();
        let of_dist = start.elapsed().as_secs_f64();
        let syn = reactions.frsyn().unwrap_or_default();
        println!(
            "8 clips x 10 samples x 5 appropriate, {threads} threads: FRDist {dist:.4} in {of_dist:.2} s, FRSyn {syn:.2} in {:.2} s",
            start.elapsed().as_secs_f64() - of_dist
        );
    }
}
