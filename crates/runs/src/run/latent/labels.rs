//! What is known of items that vectors are seen by.

use emorun_data::{Corpus, Item};
use emorun_latent::Labelling;

pub(super) const EMOTION: &str = "emotion";
pub(super) const SPEAKER: &str = "speaker";
const CORPUS: &str = "corpus";
const GENDER: &str = "gender";

/// Items and what they are seen by.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The items.
    pub items: Vec<Item>,
    /// Emotion, corpus, speaker and gender.
    pub labellings: Vec<Labelling>,
    /// The label column that counts as the emotion.
    pub emotion_column: String,
}

/// Items by emotion, corpus, speaker and gender. Where no column is called `emotion`, the first takes its place.
pub(super) fn seen(corpus: &Corpus, items: Vec<Item>) -> Seen {
    let columns = || corpus.label_sets.keys();
    let emotion = columns().find(|column| *column == EMOTION).or_else(|| columns().next());
    let emotion = emotion.cloned().unwrap_or_default();
    let class = |item: &Item, column: &str| {
        let names = corpus
            .label_sets
            .get(column)
            .or_else(|| corpus.attribute_sets.get(column))?;
        names.get(item.label(column)? as usize).cloned()
    };
    let speaker = |item: &Item| item.has_known_speaker().then(|| item.speaker.to_string());
    let labellings = vec![
        Labelling::of(EMOTION, items.iter().map(|item| class(item, &emotion))),
        Labelling::of(CORPUS, items.iter().map(|item| Some(item.dataset.to_string()))),
        Labelling::of(SPEAKER, items.iter().map(speaker)),
        Labelling::of(GENDER, items.iter().map(|item| class(item, GENDER))),
    ];
    Seen {
        items,
        labellings,
        emotion_column: emotion,
    }
}
