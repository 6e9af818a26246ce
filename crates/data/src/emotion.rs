//! Emotion names: the canonical vocabulary and the words that mean the same.

/// The canonical emotion names, in the order in which classes are numbered.
///
/// Corpora map to these names; where several corpora meet, their classes are the union in this
/// order. Names that are not listed (from `mapping:` or a manifest) follow after them in the order
/// of their first appearance.
pub const EMOTIONS: [&str; 14] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
    "bored",
    "excited",
    "frustrated",
    "contempt",
    "anxious",
    "other",
];

/// Names of the gender classes, in the order in which they are numbered.
pub const GENDERS: [&str; 2] = ["female", "male"];

/// Words of public corpora and the canonical name each stands for.
const SYNONYMS: [(&str, &str); 43] = [
    ("neu", "neutral"),
    ("neutrality", "neutral"),
    ("neutral state", "neutral"),
    ("calmness", "calm"),
    ("hap", "happy"),
    ("happiness", "happy"),
    ("joy", "happy"),
    ("joyful", "happy"),
    ("sadness", "sad"),
    ("ang", "angry"),
    ("anger", "angry"),
    ("fea", "fearful"),
    ("fear", "fearful"),
    ("afraid", "fearful"),
    ("scared", "fearful"),
    ("dis", "disgust"),
    ("disgusted", "disgust"),
    ("sur", "surprised"),
    ("surprise", "surprised"),
    ("boredom", "bored"),
    ("exc", "excited"),
    ("excitement", "excited"),
    ("fru", "frustrated"),
    ("frustration", "frustrated"),
    ("contemptuous", "contempt"),
    ("anxiety", "anxious"),
    ("happy/joy", "happy"),
    ("oth", "other"),
    // EmoDB's own terms, in German.
    ("neutralität", "neutral"),
    ("freude", "happy"),
    ("trauer", "sad"),
    ("wut", "angry"),
    ("ärger", "angry"),
    ("angst", "fearful"),
    ("ekel", "disgust"),
    ("langeweile", "bored"),
    // ESD's Mandarin half.
    ("中立", "neutral"),
    ("快乐", "happy"),
    ("伤心", "sad"),
    ("生气", "angry"),
    ("惊喜", "surprised"),
    // Spellings that differ between releases of one corpus.
    ("suprised", "surprised"),
    ("pleasant_surprise", "surprised"),
];

/// The canonical name that `word` stands for, in any letter case; `None` where it is no word for an
/// emotion known here.
#[must_use]
pub fn canonical(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase();
    EMOTIONS
        .iter()
        .find(|name| **name == word)
        .or_else(|| {
            SYNONYMS
                .iter()
                .find(|(synonym, _)| *synonym == word)
                .map(|(_, name)| name)
        })
        .copied()
}

/// The gender class that `word` stands for (`f`, `female`, `woman`, `m`, `male`, `man`, in any
/// letter case).
#[must_use]
pub fn gender(word: &str) -> Option<&'static str> {
    match word.trim().to_lowercase().as_str() {
        "f" | "female" | "woman" | "w" => Some(GENDERS[0]),
        "m" | "male" | "man" => Some(GENDERS[1]),
        _ => None,
    }
}

/// `names` without repeats: canonical names first and in canonical order, then the others by name. No
/// order of files, rows or datasets changes it.
#[must_use]
pub fn in_canonical_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.sort_by_key(|name| {
        let rank = EMOTIONS.iter().position(|known| known == name);
        (rank.unwrap_or(EMOTIONS.len()), *name)
    });
    seen.into_iter().map(str::to_owned).collect()
}

/// The name in `known` that `name` was probably meant to be: at most a third of its letters differ.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Longest name that is compared, in bytes: the comparison takes the square of it.
    const LONGEST: usize = 128;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3)) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synonym_leads_to_a_canonical_name_and_hides_none() {
        for (word, name) in SYNONYMS {
            assert!(
                EMOTIONS.contains(&name),
                "{word} leads to {name}, which is not canonical"
            );
            assert!(!EMOTIONS.contains(&word), "{word} is canonical itself");
            assert_eq!(canonical(&word.to_uppercase()), Some(name));
        }
        assert_eq!(canonical("hapy"), None);
    }

    #[test]
    fn canonical_names_come_first_and_others_follow_by_name_whatever_comes_first() {
        let expected = ["neutral", "angry", "negative", "positive"];
        for names in [
            ["positive", "angry", "neutral", "negative", "angry"],
            ["negative", "neutral", "angry", "angry", "positive"],
        ] {
            assert_eq!(in_canonical_order(names), expected);
        }
    }

    #[test]
    fn suggests_a_near_name_and_nothing_for_a_far_one() {
        assert_eq!(nearest("hapy", EMOTIONS), Some("happy".to_owned()));
        assert_eq!(nearest("Saad", EMOTIONS), Some("sad".to_owned()));
        assert_eq!(nearest("thermodynamic", EMOTIONS), None);
        assert_eq!(nearest(&"a".repeat(1 << 20), EMOTIONS), None);
    }
}
