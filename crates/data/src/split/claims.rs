//! What a certificate shows, and what it does not, in words.

use super::{Certificate, Shared};
use crate::SplitName;

/// Things on two sides that are named.
const SHOWN: usize = 5;

impl Certificate {
    /// What is known of the sides and what is not, a sentence each: for people who read a plan or a result.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        let mut claims = vec![match &self.leak {
            Some(reason) => format!(
                "THIS SPLIT LEAKS ({reason}): {} on more than one side: {}",
                match self.shared.len() {
                    1 => "1 speaker, group or recording is".to_owned(),
                    count => format!("{count} speakers, groups or recordings are"),
                },
                named(&self.shared)
            ),
            None => self.apart(),
        }];
        claims.extend(self.unknown());
        if !self.alike.is_empty() {
            claims.push(format!(
                "{} like one on another side, shifted, resampled, louder or coded: {}",
                match self.alike.len() {
                    1 => "1 recording sounds".to_owned(),
                    count => format!("{count} recordings sound"),
                },
                named(&self.alike)
            ));
        }
        for (side, texts) in &self.texts {
            let share = 100.0 * texts.heard as f64 / texts.items as f64;
            claims.push(format!(
                "words: {} of {} items of {side} with a text ({share:.0} %) say what is also said in training ({} of {} texts)",
                texts.heard, texts.items, texts.heard_texts, texts.texts
            ));
        }
        claims
    }

    /// What was compared and found apart.
    fn apart(&self) -> String {
        let items: usize = self.splits.values().map(|side| side.items).sum();
        match items.saturating_sub(self.audio_compared) {
            0 => "no leak is declared, and no speaker, group or recording is on two sides: all samples were compared"
                .to_owned(),
            left => format!(
                "no leak is declared, and no speaker, group or file is on two sides; the samples of {left} of {items} items were not compared, so that a copy under another name would not be seen: `emorun check --deep` compares them, and so does every run"
            ),
        }
    }

    /// Items of which nobody knows who speaks.
    fn unknown(&self) -> Option<String> {
        let sides: Vec<(&SplitName, usize)> = self
            .splits
            .iter()
            .map(|(name, side)| (name, side.unknown_speakers))
            .filter(|(_, count)| *count > 0)
            .collect();
        let listed: Vec<String> = sides.iter().map(|(name, count)| format!("{count} in {name}")).collect();
        let unknown: usize = sides.iter().map(|(_, count)| count).sum();
        (unknown > 0).then(|| {
            format!(
                "nobody knows who speaks in {unknown} {} ({}): they may be of speakers on another side",
                if unknown == 1 { "item" } else { "items" },
                listed.join(", ")
            )
        })
    }
}

fn named(shared: &[Shared]) -> String {
    let sides = |one: &Shared| {
        let names: Vec<&str> = one.sides.iter().map(|side| side.as_str()).collect();
        names.join(" and ")
    };
    let mut names: Vec<String> = shared
        .iter()
        .take(SHOWN)
        .map(|one| format!("{} ({})", one.what, sides(one)))
        .collect();
    if shared.len() > SHOWN {
        names.push(format!("{} more", shared.len() - SHOWN));
    }
    names.join(", ")
}
