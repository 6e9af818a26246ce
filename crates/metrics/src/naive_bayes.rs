//! What a transcript alone says of its class: how much of a result the words explain, without any sound.

use std::collections::HashMap;

/// Naive Bayes over counts of words: scikit-learn's `CountVectorizer()` and `MultinomialNB()` as they come, which are words
/// of two and more letters, digits or underscores, in lower case, with one added to the count of each (Manning et al.,
/// Introduction to Information Retrieval, 2008, section 13.2).
#[derive(Clone, Debug, PartialEq)]
pub struct NaiveBayes {
    /// Logarithm of each class's share of the training texts.
    log_prior: Vec<f64>,
    /// Logarithm of the probability of each known word in texts of each class.
    log_likelihood: HashMap<String, Vec<f64>>,
}

impl NaiveBayes {
    /// Fits it to texts, each with its class, of so many classes; `None` without a text or a word.
    pub fn fit<'a>(texts: impl IntoIterator<Item = (&'a str, usize)>, classes: usize) -> Option<Self> {
        let mut texts_of = vec![0_u64; classes];
        let mut words_of = vec![0_u64; classes];
        let mut counts: HashMap<String, Vec<u64>> = HashMap::new();
        for (text, class) in texts {
            let Some(texts) = texts_of.get_mut(class) else { continue };
            *texts += 1;
            for word in words(text) {
                counts.entry(word).or_insert_with(|| vec![0; classes])[class] += 1;
                words_of[class] += 1;
            }
        }
        if counts.is_empty() {
            return None;
        }
        let all = texts_of.iter().sum::<u64>() as f64;
        let known = counts.len() as f64;
        let of_word = |(word, of): (String, Vec<u64>)| {
            let shares = of.iter().zip(&words_of);
            let logs = shares.map(|(&count, &words)| (count as f64 + 1.0).ln() - (words as f64 + known).ln());
            (word, logs.collect())
        };
        Some(Self {
            log_prior: texts_of.iter().map(|&texts| (texts as f64 / all).ln()).collect(),
            log_likelihood: counts.into_iter().map(of_word).collect(),
        })
    }

    /// Probability of each class given a text; of one without a known word, the shares of the training texts. A class
    /// without a training text has none.
    pub fn probabilities(&self, text: &str) -> Vec<f64> {
        let mut logs = self.log_prior.clone();
        for likelihood in words(text).filter_map(|word| self.log_likelihood.get(&word)) {
            for (log, likelihood) in logs.iter_mut().zip(likelihood) {
                *log += likelihood;
            }
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        shares.iter().map(|share| share / sum).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let is_within = |letter: char| letter.is_alphanumeric() || letter == '_';
    let lower = text.to_lowercase();
    let found: Vec<String> = lower
        .split(|letter: char| !is_within(letter))
        .filter(|word| word.chars().nth(1).is_some())
        .map(ToOwned::to_owned)
        .collect();
    found.into_iter()
}
