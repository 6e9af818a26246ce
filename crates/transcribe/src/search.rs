//! Choosing tokens: greedy and by beams, token for token as transformers' `generate`.

use crate::Step;
use crate::rules::{Rules, log_sum_exp};

/// How a text is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Hypotheses that are followed at once; 1 is greedy.
    pub beams: usize,
    /// Tokens of the prompt and the text together, at most (`max_length`).
    pub max_length: usize,
    /// The token that ends a text.
    pub end: u32,
    /// Scores are divided by the number of decoded tokens to this power.
    pub length_penalty: f32,
    /// When the search by beams ends.
    pub early_stopping: EarlyStopping,
    /// What is forbidden.
    pub rules: Rules,
}

/// When no better text is looked for (`early_stopping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as there are as many ended texts as beams (`true`).
    Full,
    /// Once the best running hypothesis is worse than the worst ended one at the present length (`false`).
    Heuristic,
    /// Once it cannot become better at any length (`"never"`).
    Never,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Decoded tokens, without the prompt, with the end where it came.
    pub tokens: Vec<u32>,
    /// Greedy: the sum of log-probabilities after the rules. Beams: the sum of log-probabilities over the number of tokens
    /// to the power of the length penalty (`sequences_scores`).
    pub score: f32,
}

/// What stands for −∞ where sums still are compared, as in transformers.
const OUT: f32 = -1.0e9;

impl Search {
    /// Looks for the text that follows `prompt`.
    ///
    /// # Errors
    /// Those of the model.
    pub fn run<M: Step>(&self, model: &mut M, prompt: &[u32]) -> Result<Found, M::Error> {
        if prompt.len() >= self.max_length {
            return Ok(Found {
                tokens: Vec::new(),
                score: 0.0,
            });
        }
        if self.beams <= 1 {
            self.greedy(model, prompt)
        } else {
            self.by_beams(model, prompt)
        }
    }

    fn greedy<M: Step>(&self, model: &mut M, prompt: &[u32]) -> Result<Found, M::Error> {
        let mut sequences = vec![prompt.to_vec()];
        let mut score = 0.0;
        while sequences[0].len() < self.max_length {
            let Some(mut scores) = model.step(&sequences, &[0])?.into_iter().next() else {
                break;
            };
            self.rules.apply(&sequences[0], prompt.len(), &mut scores);
            let Some(best) = highest(&scores, 1).first().copied() else {
                break;
            };
            score += scores[best] - log_sum_exp(&scores);
            sequences[0].push(best as u32);
            if best as u32 == self.end {
                break;
            }
        }
        Ok(Found {
            tokens: sequences[0].split_off(prompt.len()),
            score,
        })
    }

    fn by_beams<M: Step>(&self, model: &mut M, prompt: &[u32]) -> Result<Found, M::Error> {
        let beams = self.beams;
        let mut running = vec![prompt.to_vec(); beams];
        let mut parents = (0..beams).collect::<Vec<_>>();
        // All are the same at first: only one of them is continued.
        let mut sums = vec![OUT; beams];
        sums[0] = 0.0;
        let mut ended: Vec<Hypothesis> = vec![Hypothesis::none(); beams];
        let mut improvable = true;
        loop {
            let candidates = self.candidates(model.step(&running, &parents)?, &running, &sums, prompt.len());
            let length = running[0].len() + 1;
            let decoded = (length - prompt.len()) as f32;
            let full = ended.iter().all(|text| text.is_ended) && self.early_stopping == EarlyStopping::Full;
            let stops = |candidate: &Candidate| candidate.token == self.end || length >= self.max_length;
            for (rank, candidate) in candidates.iter().enumerate() {
                let is_ended = stops(candidate) && rank < beams;
                let mut score = candidate.sum / decoded.powf(self.length_penalty);
                for out in [full, !improvable, !is_ended] {
                    score += if out { OUT } else { 0.0 };
                }
                let mut tokens = running[candidate.parent].clone();
                tokens.push(candidate.token);
                ended.push(Hypothesis {
                    tokens,
                    score,
                    is_ended,
                });
            }
            ended.sort_by(|a, b| b.score.total_cmp(&a.score));
            ended.truncate(beams);

            let mut next = candidates.iter().collect::<Vec<_>>();
            let left = |candidate: &Candidate| candidate.sum + if stops(candidate) { OUT } else { 0.0 };
            next.sort_by(|a, b| left(b).total_cmp(&left(a)));
            next.truncate(beams);
            sums = next.iter().map(|candidate| left(candidate)).collect();
            parents = next.iter().map(|candidate| candidate.parent).collect();
            running = next.iter().map(|candidate| candidate.continuation(&running)).collect();

            improvable &= self.can_improve(&sums, &ended, length - prompt.len(), prompt.len());
            let open = !(self.early_stopping == EarlyStopping::Full && ended.iter().all(|text| text.is_ended));
            if !improvable || !open || candidates.iter().all(stops) {
                break;
            }
        }
        let best = ended.into_iter().next().unwrap_or_else(Hypothesis::none);
        Ok(Found {
            tokens: best.tokens.get(prompt.len()..).unwrap_or_default().to_vec(),
            score: best.score,
        })
    }

    /// The best continuations of all running hypotheses, best first: twice as many as beams, so that enough go on where
    /// some end.
    fn candidates(&self, rows: Vec<Vec<f32>>, running: &[Vec<u32>], sums: &[f32], prompt: usize) -> Vec<Candidate> {
        let mut all = Vec::new();
        for (parent, (mut scores, (sequence, before))) in rows.into_iter().zip(running.iter().zip(sums)).enumerate() {
            let total = log_sum_exp(&scores);
            scores.iter_mut().for_each(|score| *score -= total);
            self.rules.apply(sequence, prompt, &mut scores);
            all.extend(highest(&scores, 2 * self.beams).into_iter().map(|token| Candidate {
                parent,
                token: token as u32,
                sum: scores[token] + before,
            }));
        }
        all.sort_by(|a, b| b.sum.total_cmp(&a.sum));
        all.truncate(2 * self.beams);
        all
    }

    fn can_improve(&self, sums: &[f32], ended: &[Hypothesis], decoded: usize, prompt: usize) -> bool {
        let length = if self.early_stopping == EarlyStopping::Never && self.length_penalty > 0.0 {
            self.max_length - prompt
        } else {
            decoded
        };
        let best = sums.first().copied().unwrap_or(OUT) / (length as f32).powf(self.length_penalty);
        let worst = ended.iter().map(|text| text.score).fold(f32::INFINITY, f32::min);
        ended.iter().any(|text| best > if text.is_ended { worst } else { OUT })
    }
}

struct Candidate {
    parent: usize,
    token: u32,
    sum: f32,
}

impl Candidate {
    fn continuation(&self, running: &[Vec<u32>]) -> Vec<u32> {
        let mut tokens = running[self.parent].clone();
        tokens.push(self.token);
        tokens
    }
}

#[derive(Clone)]
struct Hypothesis {
    tokens: Vec<u32>,
    score: f32,
    is_ended: bool,
}

impl Hypothesis {
    fn none() -> Self {
        Self {
            tokens: Vec::new(),
            score: OUT,
            is_ended: false,
        }
    }
}

/// Places of the highest scores, highest first, the earlier of equal ones first.
fn highest(scores: &[f32], count: usize) -> Vec<usize> {
    let mut places = (0..scores.len()).collect::<Vec<_>>();
    let order = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let count = count.min(places.len());
    if count == 0 {
        return Vec::new();
    }
    places.select_nth_unstable_by(count - 1, order);
    places.truncate(count);
    places.sort_unstable_by(order);
    places
}
