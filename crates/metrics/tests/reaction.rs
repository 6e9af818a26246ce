//! Metrics of generated reactions beside the formulas of the challenge's programs (`golden/make_reaction.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use emorun_metrics::reaction::{Clip, Group, Reactions, Warped, branch_errors, motion};
use serde_json::Value;

const CLIPS: u64 = 4;
const SAMPLES: u64 = 3;
const FRAMES: u64 = 130;
const WIDTH: u64 = 25;
/// Clips whose listeners react appropriately to each clip.
const NEIGHBOURS: [&[usize]; 4] = [&[0, 2], &[1], &[0, 2], &[1, 3]];

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/reaction.json")).unwrap()
}

fn near(found: Option<f64>, expected: &Value, what: &str) {
    let (found, expected) = (found.unwrap(), expected.as_f64().unwrap());
    assert!(
        (found - expected).abs() <= 1e-6 * expected.abs().max(1e-3),
        "{what}: {found} {expected}"
    );
}

fn noise(kind: u64, clip: u64, frame: u64, channel: u64) -> u64 {
    let key = ((kind * 64 + clip) * 1024 + frame) * 64 + channel;
    let z = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 56
}

fn rows(kind: u64, clip: u64, delay: i64, own: u64, frames: u64) -> Vec<f32> {
    let mut rows = Vec::new();
    for t in 0..frames {
        for d in 0..WIDTH {
            let from = t + (100 - delay) as u64;
            let shared: u64 = (0..8).map(|s| noise(0, clip, from + s, d)).sum();
            let extra: u64 = (0..4).map(|s| noise(kind, clip, t + s, d)).sum();
            rows.push(((4 - own) * shared + 2 * own * extra) as f32 / 8192.0);
        }
    }
    rows
}

fn set(rows: &mut [f32], channel: usize, value: f32) {
    rows.iter_mut()
        .skip(channel)
        .step_by(WIDTH as usize)
        .for_each(|own| *own = value);
}

struct Made {
    speakers: Vec<Vec<f32>>,
    listeners: Vec<Vec<f32>>,
    samples: Vec<Vec<Vec<f32>>>,
}

impl Made {
    fn new() -> Self {
        let sample = |clip, sample: u64| {
            let delay = if sample == 1 { -3 } else { 7 + sample as i64 };
            let mut rows = rows(2 + sample, clip, delay, 1 + sample, FRAMES);
            set(&mut rows, 9, 0.5);
            rows
        };
        let listener = |clip| {
            let mut rows = rows(1, clip, 7, 1, FRAMES);
            set(&mut rows, 3, 0.25);
            rows
        };
        Self {
            speakers: (0..CLIPS).map(|clip| rows(0, clip, 0, 0, FRAMES)).collect(),
            listeners: (0..CLIPS).map(listener).collect(),
            samples: (0..CLIPS)
                .map(|clip| (0..SAMPLES).map(|at| sample(clip, at)).collect())
                .collect(),
        }
    }

    fn clips(&self) -> Vec<Clip<'_>> {
        let clip = |at: usize| Clip {
            samples: self.samples[at].iter().map(Vec::as_slice).collect(),
            appropriate: NEIGHBOURS[at]
                .iter()
                .map(|other| self.listeners[*other].as_slice())
                .collect(),
            speaker: &self.speakers[at],
        };
        (0..CLIPS as usize).map(clip).collect()
    }

    fn reactions(&self) -> Reactions<'_> {
        Reactions::new(WIDTH as usize, Group::react(), self.clips()).unwrap()
    }
}

#[test]
fn every_metric_of_the_challenge_is_that_of_its_formula() {
    let (golden, made) = (golden(), Made::new());
    let first: Vec<f64> = made.speakers[1][50..54].iter().map(|value| f64::from(*value)).collect();
    assert_eq!(serde_json::json!(first), golden["first"]);
    let reactions = made.reactions();
    near(reactions.frcorr(), &golden["frcorr"], "FRCorr");
    near(reactions.frdist(), &golden["frdist"], "FRDist");
    near(reactions.frdiv(), &golden["frdiv"], "FRDiv");
    near(reactions.frvar(), &golden["frvar"], "FRVar");
    near(reactions.frdvs(), &golden["frdvs"], "FRDvs");
    near(reactions.frsyn(), &golden["frsyn"], "FRSyn");
    near(reactions.frsyn_first(), &golden["frsyn_first"], "FRSyn of the first");
    let lags: Vec<i64> = reactions.lags().unwrap().into_iter().map(Option::unwrap).collect();
    let expected: Vec<i64> = golden["lags"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|own| own.as_array().unwrap())
        .map(|lag| lag.as_i64().unwrap())
        .collect();
    assert_eq!(lags, expected);
}

#[test]
fn no_value_depends_on_the_number_of_threads() {
    let made = Made::new();
    let all = |threads| {
        let reactions = made.reactions().with_threads(threads);
        [reactions.frcorr(), reactions.frdist(), reactions.frsyn()].map(|value| value.unwrap().to_bits())
    };
    assert_eq!(all(1), all(3));
    assert_eq!(all(1), all(100));
}

#[test]
fn frames_are_compared_and_move_as_numpy_says() {
    let (golden, made) = (golden(), Made::new());
    let samples: Vec<&[f32]> = made.samples[0].iter().map(Vec::as_slice).collect();
    for (at, branch) in [0..15, 15..25].into_iter().enumerate() {
        let expected = &golden["branches"][at];
        let found = branch_errors(WIDTH as usize, branch.clone(), &samples, &made.listeners[0]).unwrap();
        near(Some(found.mse), &expected["mse"], "mse");
        near(Some(found.mae), &expected["mae"], "mae");
        near(Some(found.rmse), &expected["rmse"], "rmse");
        near(found.pearson, &expected["pearson"], "pearson");
        let found = motion(WIDTH as usize, branch, samples[0]).unwrap();
        near(Some(found.frame_difference), &expected["difference"], "difference");
        near(Some(found.acceleration), &expected["acceleration"], "acceleration");
    }
}

#[test]
fn sequences_of_other_lengths_are_warped_and_what_is_not_defined_is_none() {
    let (golden, made) = (golden(), Made::new());
    let width = WIDTH as usize;
    let short = rows(1, 0, 7, 1, 40);
    let found = Warped::new(&made.samples[0][0], width, 0..3).distance(&Warped::new(&short, width, 0..3));
    near(found, &golden["dtw_of_other_lengths"], "dtw");
    let reactions = |clips| Reactions::new(width, Group::react(), clips);
    let none = reactions(Vec::new()).unwrap();
    assert_eq!(
        (none.frcorr(), none.frdist(), none.frdvs(), none.frvar()),
        (None, None, None, None)
    );
    // One sample of one frame, compared with nothing: no variance, no lag, no best.
    let frame = &made.samples[0][0][..width];
    let one = Clip {
        samples: vec![frame],
        appropriate: Vec::new(),
        speaker: frame,
    };
    let one = reactions(vec![one]).unwrap();
    assert_eq!(
        (one.frcorr(), one.frvar(), one.frsyn(), one.frdvs()),
        (None, None, None, None)
    );
    assert_eq!(one.frdiv(), Some(0.0));
    // No speaker.
    let mut clips = made.clips();
    clips[2].speaker = &[];
    assert_eq!(reactions(clips).unwrap().frsyn(), None);
    let mut clips = made.clips();
    clips[0].samples[0] = &made.samples[0][0][1..];
    assert!(reactions(clips).is_err());
    assert!(Reactions::new(24, Group::react(), Vec::new()).is_err());
    // What stands still correlates with nothing, and is at no lag.
    let still = vec![0.5; 130 * width];
    let clip = Clip {
        samples: vec![&still],
        appropriate: vec![&made.listeners[0]],
        speaker: &made.speakers[0],
    };
    let still = reactions(vec![clip]).unwrap();
    assert_eq!((still.frcorr(), still.lags()), (Some(0.0), Some(vec![None])));
}
