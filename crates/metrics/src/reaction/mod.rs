//! How well generated reactions of a listener fit a speaker, and how they vary: the metrics of the REACT challenge.
//!
//! A clip has several generated reactions (samples) and one or more that were appropriate: the one that was seen, and those of
//! listeners to whom a speaker did alike. Values follow the challenge's programs, traps included, so that they can be put
//! beside published ones: FRCorr and FRDist are **sums** over the samples; a channel that does not vary counts as 0 in FRCorr,
//! for which even the truth can score below 1.
//!
//! # Source
//! Song et al., "REACT 2024: the Second Multiple Appropriate Facial Reaction Generation Challenge", FG 2024, and its programs
//! (`metric/` of `reactmultimodalchallenge/baseline_react2024`). Scores of different years are not comparable: the
//! appropriate reactions are others.

mod dtw;
mod motion;
mod naive;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::MetricsError;

pub use dtw::Warped;
pub use motion::{BranchErrors, Motion, branch_errors, motion};
pub use naive::Naive;

/// Frames up to which FRSyn looks for a delay, either way: just below two seconds at 25 frames a second.
const LAGS: usize = 49;
/// What is added to the denominator of FRCorr's concordance.
const EPSILON: f64 = 1e-8;

/// Channels that are warped together, and what their distance counts in FRDist.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The channels.
    pub channels: Range<usize>,
    /// The weight.
    pub weight: f64,
}

impl Group {
    /// The challenge's 25 channels: 15 action units, valence and arousal, 8 expressions.
    pub fn react() -> Vec<Self> {
        let group = |channels: Range<usize>, weight| Self { channels, weight };
        vec![group(0..15, 1.0 / 15.0), group(15..17, 1.0), group(17..25, 1.0 / 8.0)]
    }

    /// Groups of these widths one behind the other, each weighed by 1 / its width, as the challenge weighs action units and
    /// expressions.
    pub fn of_widths(widths: &[usize]) -> Vec<Self> {
        let mut start = 0;
        let group = |&width: &usize| {
            let channels = start..start + width;
            start += width;
            let weight = 1.0 / width.max(1) as f64;
            Self { channels, weight }
        };
        widths.iter().map(group).collect()
    }
}

/// A clip: frames are rows of as many numbers as [`Reactions::new`] is told, row after row.
#[derive(Clone, Debug, Default)]
pub struct Clip<'a> {
    /// What was generated.
    pub samples: Vec<&'a [f32]>,
    /// What would have been right; the reaction that was seen is among them.
    pub appropriate: Vec<&'a [f32]>,
    /// What the speaker did, in the same channels; empty where that is not known.
    pub speaker: &'a [f32],
}

/// Generated reactions to clips.
#[derive(Clone, Debug)]
pub struct Reactions<'a> {
    width: usize,
    groups: Vec<Group>,
    clips: Vec<Clip<'a>>,
    threads: usize,
}

impl<'a> Reactions<'a> {
    /// Reactions of this width. `groups` are what FRDist warps together.
    ///
    /// # Errors
    /// Frames that are not whole, or groups beyond the width.
    pub fn new(width: usize, groups: Vec<Group>, clips: Vec<Clip<'a>>) -> Result<Self, MetricsError> {
        let whole = |rows: &&[f32]| width > 0 && rows.len().is_multiple_of(width);
        for clip in &clips {
            let all = clip.samples.iter().chain(&clip.appropriate).chain([&clip.speaker]);
            if let Some(bad) = all.into_iter().find(|rows| !whole(rows)) {
                return Err(MetricsError::Lengths {
                    left: bad.len(),
                    right: width,
                });
            }
        }
        if let Some(group) = groups.iter().find(|group| group.channels.end > width) {
            return Err(MetricsError::Lengths {
                left: group.channels.end,
                right: width,
            });
        }
        Ok(Self {
            width,
            groups,
            clips,
            threads: thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// The same, computed with so many threads; no value depends on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// FRCorr: the sum over a clip's samples of their highest concordance with an appropriate reaction (the mean over the
    /// channels), mean over the clips. Of sequences of different lengths the common start is compared. `None` without clips.
    pub fn frcorr(&self) -> Option<f64> {
        self.each_clip(|clip| {
            let best = |sample: &&[f32]| {
                let all = clip.appropriate.iter().map(|truth| self.concordance(truth, sample));
                all.reduce(f64::max)
            };
            clip.samples.iter().map(best).sum()
        })
    }

    /// FRDist: the sum over a clip's samples of their least distance from an appropriate reaction, by dynamic time warping of
    /// each group, mean over the clips. Lower is better. `None` without clips.
    pub fn frdist(&self) -> Option<f64> {
        self.each_clip(|clip| {
            let warped = |rows: &&[f32]| -> Vec<Warped> {
                let of = |group: &Group| Warped::new(rows, self.width, group.channels.clone());
                self.groups.iter().map(of).collect()
            };
            let appropriate: Vec<Vec<Warped>> = clip.appropriate.iter().map(warped).collect();
            let least = |sample: &&[f32]| -> Option<f64> {
                let sample = warped(sample);
                let all = appropriate.iter().map(|truth| {
                    let groups = self.groups.iter().zip(sample.iter().zip(truth));
                    let distances = groups.map(|(group, (a, b))| Some(group.weight * a.distance(b)?));
                    distances.sum::<Option<f64>>()
                });
                all.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
            };
            clip.samples.iter().map(least).sum()
        })
    }

    /// FRDiv: how far a clip's samples are from one another, the mean squared difference over pairs, frames and channels,
    /// mean over the clips; 0 of a single sample. The challenge calls it S-MSE too.
    pub fn frdiv(&self) -> Option<f64> {
        self.each_clip(|clip| Some(mean_square_apart(&clip.samples).unwrap_or(0.0)))
    }

    /// FRVar: the variance of a channel over time (divided by n − 1), mean over channels, samples and clips. `None` where a
    /// sample has less than two frames.
    pub fn frvar(&self) -> Option<f64> {
        self.each_clip(|clip| {
            let own = clip.samples.iter().map(|sample| {
                let channels = (0..self.width).map(|at| variance(sample.iter().skip(at).step_by(self.width)));
                mean_of(channels)
            });
            mean_of(own)
        })
    }

    /// FRDvs: how far reactions to different clips are from one another: for samples of one number the mean squared difference
    /// over pairs of clips, frames and channels, mean over the numbers. Clips of different lengths are compared over their
    /// common start. `None` for less than two clips.
    pub fn frdvs(&self) -> Option<f64> {
        let samples = self.clips.iter().map(|clip| clip.samples.len()).min()?;
        mean_of((0..samples).map(|at| {
            let of_number: Vec<&[f32]> = self.clips.iter().map(|clip| clip.samples[at]).collect();
            mean_square_apart(&of_number)
        }))
    }

    /// FRSyn: by how many frames a sample is late or early, whichever way it correlates most with the speaker, mean over
    /// samples and clips. Lower is what the challenge calls better; a model that reacts when people do has theirs.
    pub fn frsyn(&self) -> Option<f64> {
        let lags = self.lags()?;
        mean_of(lags.into_iter().map(|lag| lag.map(|lag| lag.abs() as f64)))
    }

    /// FRSyn as the challenge's program for several processes has it, which counts the first sample of each clip alone.
    pub fn frsyn_first(&self) -> Option<f64> {
        let first = self.clips.iter().map(|clip| Clip {
            samples: clip.samples.iter().copied().take(1).collect(),
            ..clip.clone()
        });
        let first = Self {
            clips: first.collect(),
            ..self.clone()
        };
        first.frsyn()
    }

    /// For each clip and sample, after how many frames it correlates most with the speaker (negative: before). Of a sample
    /// that has less frames than lags, or no channel that varies beside the speaker's, `None`. `None` for all where a
    /// speaker is not known.
    pub fn lags(&self) -> Option<Vec<Option<i64>>> {
        if self.clips.iter().any(|clip| clip.speaker.is_empty()) {
            return None;
        }
        let lags = self.map_clips(|clip| -> Vec<Option<i64>> {
            let speaker = columns(clip.speaker, self.width);
            let lag = |sample: &&[f32]| lag_of(&columns(sample, self.width), &speaker);
            clip.samples.iter().map(lag).collect()
        });
        Some(lags.concat())
    }

    /// Mean over the channels of the concordance; a channel that does not vary counts as 0.
    fn concordance(&self, truth: &[f32], sample: &[f32]) -> f64 {
        let common = truth.len().min(sample.len());
        let (truth, sample) = (&truth[..common], &sample[..common]);
        let of = |at: usize| {
            let values = |rows: &[f32]| {
                rows.iter()
                    .skip(at)
                    .step_by(self.width)
                    .map(|value| f64::from(*value))
                    .collect()
            };
            let (truth, sample): (Vec<f64>, Vec<f64>) = (values(truth), values(sample));
            let moments = Moments::of(&truth, &sample);
            let apart = moments.mean_a - moments.mean_b;
            match moments.is_still() {
                true => 0.0,
                false => {
                    let n = truth.len() as f64;
                    let spread = (moments.squares_a + moments.squares_b) / n + apart * apart;
                    2.0 * moments.products / n / (spread + EPSILON)
                }
            }
        };
        (0..self.width).map(of).sum::<f64>() / self.width as f64
    }

    /// The mean over the clips of what is said of each; `None` where there is none, or of one nothing can be said.
    fn each_clip(&self, of: impl Fn(&Clip<'a>) -> Option<f64> + Sync) -> Option<f64> {
        mean_of(self.map_clips(of))
    }

    /// What is said of each clip, in their order, by as many threads as there are.
    fn map_clips<T: Send>(&self, of: impl Fn(&Clip<'a>) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut own = Vec::new();
            while let at = next.fetch_add(1, Ordering::Relaxed)
                && let Some(clip) = self.clips.get(at)
            {
                own.push((at, of(clip)));
            }
            own
        };
        let mut all = thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads.min(self.clips.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut all = work();
            for other in others {
                match other.join() {
                    Ok(own) => all.extend(own),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        });
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, value)| value).collect()
    }
}

/// Sums over two series of one length.
struct Moments {
    mean_a: f64,
    mean_b: f64,
    squares_a: f64,
    squares_b: f64,
    products: f64,
}

impl Moments {
    fn of(a: &[f64], b: &[f64]) -> Self {
        let n = a.len().max(1) as f64;
        let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
        let mut moments = Self {
            mean_a,
            mean_b,
            squares_a: 0.0,
            squares_b: 0.0,
            products: 0.0,
        };
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (a - mean_a, b - mean_b);
            moments.squares_a += a * a;
            moments.squares_b += b * b;
            moments.products += a * b;
        }
        moments
    }

    /// Whether either series is the same number throughout, but for the rounding of its mean.
    fn is_still(&self) -> bool {
        let still = |squares: f64, mean: f64| squares <= 1e-24 * (1.0 + mean * mean);
        still(self.squares_a, self.mean_a) || still(self.squares_b, self.mean_b)
    }

    fn correlation(&self) -> Option<f64> {
        (!self.is_still()).then(|| self.products / (self.squares_a * self.squares_b).sqrt())
    }
}

/// Each channel of rows.
fn columns(rows: &[f32], width: usize) -> Vec<Vec<f64>> {
    let column = |at: usize| {
        rows.iter()
            .skip(at)
            .step_by(width)
            .map(|value| f64::from(*value))
            .collect()
    };
    (0..width).map(column).collect()
}

/// After how many frames a reaction correlates most with the speaker, mean over the channels that vary in both; of equal ones
/// the earliest.
fn lag_of(sample: &[Vec<f64>], speaker: &[Vec<f64>]) -> Option<i64> {
    let frames = sample.first()?.len().min(speaker.first()?.len());
    if frames <= LAGS + 1 {
        return None;
    }
    let mut best: Option<(f64, i64)> = None;
    for lag in -(LAGS as i64)..=LAGS as i64 {
        let (late, early) = (lag.max(0) as usize, (-lag).max(0) as usize);
        let channels = sample.iter().zip(speaker).filter_map(|(own, theirs)| {
            let (own, theirs) = (&own[late..frames - early], &theirs[early..frames - late]);
            Moments::of(own, theirs).correlation()
        });
        let (count, sum) = channels.fold((0, 0.0), |(count, sum), one| (count + 1, sum + one));
        let mean = sum / f64::from(count.max(1));
        if count > 0 && best.is_none_or(|(most, _)| mean > most) {
            best = Some((mean, lag));
        }
    }
    best.map(|(_, lag)| lag)
}

/// Mean squared difference over all pairs, each over their common start; `None` for less than two.
fn mean_square_apart(rows: &[&[f32]]) -> Option<f64> {
    let (mut pairs, mut sum) = (0, 0.0);
    for (at, one) in rows.iter().enumerate() {
        for other in &rows[at + 1..] {
            let common = one.len().min(other.len());
            if common == 0 {
                return None;
            }
            let squares = one
                .iter()
                .zip(*other)
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
            sum += squares.sum::<f64>() / common as f64;
            pairs += 1;
        }
    }
    (pairs > 0).then(|| sum / f64::from(pairs))
}

/// Variance divided by n − 1; `None` of less than two values.
fn variance<'v>(values: impl Iterator<Item = &'v f32> + Clone) -> Option<f64> {
    let n = values.clone().count() as f64;
    let mean = values.clone().map(|value| f64::from(*value)).sum::<f64>() / n;
    let squares = values.map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    (n > 1.0).then(|| squares / (n - 1.0))
}

/// The mean; `None` of nothing, and where a value is not defined.
fn mean_of(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
