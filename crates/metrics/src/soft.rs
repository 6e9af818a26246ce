//! Predictions beside what several raters said: distributions against distributions.

use serde::{Deserialize, Serialize};

/// Least probability whose logarithm is taken, as in the log loss.
const LEAST: f64 = f64::EPSILON;

/// An item's shares of votes and the probabilities that were predicted, a number a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Votes {
    /// Share of the raters for each class.
    pub votes: Vec<f32>,
    /// Predicted probability of each class.
    pub predicted: Vec<f32>,
}

/// Items by how far their raters agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreeing {
    /// `low`, `middle` or `high`: thirds of the entropy of votes; items of one entropy are in one third, so that these are not
    /// of one size.
    pub third: String,
    /// Greatest entropy of its items' votes, in bits.
    pub most_bits: f64,
    /// The items' divergences.
    pub divergence: Divergence,
    /// Share of them whose most probable class has the most votes, or as many as another.
    pub top_agrees: f64,
}

/// Means of divergences over items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Items.
    pub items: u64,
    /// Mean Kullback–Leibler divergence of the predictions from the votes, `Σ v ln(v / p)`, in nats.
    pub kl: f64,
    /// Mean Jensen–Shannon divergence, with base 2: from 0 to 1.
    pub jsd: f64,
}

impl Votes {
    /// Both sides as distributions; `None` where one has no sum, a negative or no number, or they are not of one length.
    fn distributions(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let of = |shares: &[f32]| {
            let sum: f64 = shares.iter().map(|share| f64::from(*share)).sum();
            let is_one = sum.is_finite() && sum > 0.0 && shares.iter().all(|share| *share >= 0.0);
            is_one.then(|| shares.iter().map(|share| f64::from(*share) / sum).collect::<Vec<f64>>())
        };
        let same = self.votes.len() == self.predicted.len();
        of(&self.votes).zip(of(&self.predicted)).filter(|_| same)
    }

    /// Kullback–Leibler divergence `Σ v ln(v / p)` in nats, of probabilities of at least 2⁻⁵²; `None` where one side is no
    /// distribution.
    ///
    /// # Source
    /// Equal to scipy's `entropy(votes, predicted)`, where nothing is clipped.
    pub fn kl(&self) -> Option<f64> {
        let (votes, predicted) = self.distributions()?;
        Some(kl(&votes, predicted.iter().map(|p| p.max(LEAST))))
    }

    /// Jensen–Shannon divergence with base 2; `None` where one side is no distribution.
    ///
    /// # Source
    /// Lin, IEEE Transactions on Information Theory 37(1), 1991. Equal to the square of scipy's `jensenshannon(base=2)`.
    pub fn jsd(&self) -> Option<f64> {
        let (votes, predicted) = self.distributions()?;
        let middle = || votes.iter().zip(&predicted).map(|(v, p)| 0.5 * (v + p));
        let nats = 0.5 * (kl(&votes, middle()) + kl(&predicted, middle()));
        Some(nats.max(0.0) / std::f64::consts::LN_2)
    }

    /// Entropy of the votes in bits; `None` where they are no distribution.
    pub fn entropy_bits(&self) -> Option<f64> {
        let (votes, _) = self.distributions()?;
        let nats: f64 = votes.iter().filter(|v| **v > 0.0).map(|v| -v * v.ln()).sum();
        Some(nats / std::f64::consts::LN_2)
    }

    fn top_agrees(&self) -> bool {
        let most = self.votes.iter().copied().fold(f32::MIN, f32::max);
        self.votes.get(crate::highest(&self.predicted)) == Some(&most)
    }
}

fn kl(one: &[f64], other: impl Iterator<Item = f64>) -> f64 {
    let terms = one.iter().zip(other).filter(|(v, _)| **v > 0.0);
    terms.map(|(v, p)| v * (v / p).ln()).sum()
}

impl Divergence {
    /// Means over the items whose votes and predictions are distributions; `None` without any.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Votes>) -> Option<Self> {
        let (mut n, mut kl, mut jsd) = (0_u64, 0.0, 0.0);
        for item in items {
            if let (Some(own_kl), Some(own_jsd)) = (item.kl(), item.jsd()) {
                n += 1;
                kl += own_kl;
                jsd += own_jsd;
            }
        }
        (n > 0).then(|| Self {
            items: n,
            kl: kl / n as f64,
            jsd: jsd / n as f64,
        })
    }
}

/// Items in thirds of their votes' entropy, the most agreeing first; a third without items is left out.
pub fn by_agreement(items: &[Votes]) -> Vec<Agreeing> {
    let mut known: Vec<(f64, &Votes)> = items
        .iter()
        .filter_map(|item| Some((item.entropy_bits()?, item)))
        .collect();
    known.sort_by(|one, other| one.0.total_cmp(&other.0));
    let edge = |third: usize| {
        known
            .get((known.len() * third).div_ceil(3).max(1) - 1)
            .map(|(bits, _)| *bits)
    };
    let (Some(first), Some(second)) = (edge(1), edge(2)) else {
        return Vec::new();
    };
    let place = |bits: f64| usize::from(bits > first) + usize::from(bits > second);
    let third = |(at, name): (usize, &str)| {
        let own: Vec<&(f64, &Votes)> = known.iter().filter(|(bits, _)| place(*bits) == at).collect();
        let agree = own.iter().filter(|(_, item)| item.top_agrees()).count();
        Some(Agreeing {
            third: name.to_owned(),
            most_bits: own.last()?.0,
            divergence: Divergence::of(own.iter().map(|(_, item)| *item))?,
            top_agrees: agree as f64 / own.len() as f64,
        })
    };
    let names = ["low", "middle", "high"].into_iter().enumerate();
    names.filter_map(third).collect()
}
