//! IEMOCAP's label files and transcripts, told apart by what their lines look like.

use super::{EMOTIONS, NO_AGREEMENT};
use crate::emotion::canonical;
use crate::walk::Found;
use crate::{DataError, text};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What is known of one utterance.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Label {
    /// Canonical name of the category that raters agreed on.
    pub category: Option<&'static str>,
    /// Valence, arousal and dominance from 1 to 5.
    pub dimensions: [Option<f32>; 3],
    /// Votes of the raters for each category; a rater who chose several shares the vote among them.
    pub votes: IndexMap<&'static str, f64>,
}

/// One utterance's label in the raters' own files.
#[derive(Clone, Debug, Default)]
struct Raters {
    votes: IndexMap<&'static str, f64>,
    sums: [f64; 3],
    counts: [u32; 3],
}

/// All labels and texts.
#[derive(Debug, Default)]
pub(super) struct Labels {
    labels: HashMap<String, Label>,
    texts: HashMap<String, String>,
    /// How many labels follow from the raters' own files alone.
    derived: usize,
}

/// Whether a path is a text file of a dialogue: `Ses01F_impro01.txt`, `Ses01F_impro01_e2_cat.txt`.
pub(super) fn is_table(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    name.starts_with("Ses") && extension.eq_ignore_ascii_case("txt")
}

impl Labels {
    /// Reads the files, the least nested first: a second copy changes nothing.
    pub fn read(dataset: &str, tables: &[Found]) -> Result<Self, DataError> {
        let mut labels = Self::default();
        let mut raters: HashMap<String, Raters> = HashMap::new();
        // The raters' own files have their names in them, and a copy has the same.
        let mut names: HashSet<&str> = HashSet::new();
        for found in tables {
            let text = text::read(dataset, &found.path)?.text;
            match rater_of(found.stem()) {
                Some(true) => {
                    if names.insert(found.name()) {
                        text.lines().for_each(|line| read_rater_line(line, &mut raters));
                    }
                }
                // The actors' ratings of themselves are not those that the labels go by.
                Some(false) => {}
                None => labels.read_dialogue(&text),
            }
        }
        for (name, raters) in raters {
            if !labels.labels.contains_key(&name) {
                labels.derived += 1;
                labels.labels.insert(name, raters.label());
            }
        }
        Ok(labels)
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn of(&self, utterance: &str) -> Option<&Label> {
        self.labels.get(utterance)
    }

    pub fn text(&self, utterance: &str) -> Option<String> {
        self.texts.get(utterance).cloned()
    }

    /// That labels were not read but computed.
    pub fn remark(&self, dataset: &str) -> Option<String> {
        (self.derived > 0).then(|| {
            format!(
                "dataset `{dataset}`: {} labels are the majority of the raters' own files, because the dialogues' files in EmoEvaluation lack them",
                self.derived
            )
        })
    }

    /// Reads the file of a dialogue's labels, or of its transcript.
    fn read_dialogue(&mut self, text: &str) {
        let mut current: Option<String> = None;
        for line in text.lines() {
            let line = line.trim();
            if let Some((name, label)) = summary_line(line) {
                let is_new = !self.labels.contains_key(name);
                current = is_new.then(|| name.to_owned());
                if is_new {
                    self.labels.insert(name.to_owned(), label);
                }
            } else if let Some((name, words)) = transcript_line(line) {
                self.texts.entry(name.to_owned()).or_insert_with(|| words.to_owned());
            } else if let Some(categories) = line.strip_prefix("C-E")
                && let Some(label) = current.as_ref().and_then(|name| self.labels.get_mut(name))
                && let Some((_, categories)) = categories.split_once(':')
            {
                add_votes(&mut label.votes, categories);
            }
        }
    }
}

impl Raters {
    fn label(self) -> Label {
        let most = self.votes.values().copied().fold(0.0, f64::max);
        let mut winners = self.votes.iter().filter(|(_, votes)| **votes >= most);
        let winner = winners.next().filter(|_| winners.next().is_none());
        let mut dimensions = [None; 3];
        for (dimension, (sum, count)) in dimensions.iter_mut().zip(self.sums.iter().zip(self.counts)) {
            *dimension = (count > 0).then(|| (sum / f64::from(count)) as f32);
        }
        Label {
            // Agreement is of two raters at least.
            category: winner.filter(|_| most >= 2.0).map(|(name, _)| *name),
            dimensions,
            votes: self.votes,
        }
    }
}

/// Whether a file holds ratings by one person, of an evaluator (`…_e2_cat`, true) or of the actor
/// (`…_f_atr`, false).
fn rater_of(stem: &str) -> Option<bool> {
    let lower = stem.to_lowercase();
    let rest = lower.strip_suffix("_cat").or_else(|| lower.strip_suffix("_atr"))?;
    let who = rest.rsplit('_').next().unwrap_or_default();
    Some(who.starts_with('e'))
}

/// `[6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]`
fn summary_line(line: &str) -> Option<(&str, Label)> {
    let mut cells = line.strip_prefix('[')?.split('\t');
    let name = cells.nth(1)?.trim();
    let code = cells.next()?.trim().to_lowercase();
    if !name.starts_with("Ses") {
        return None;
    }
    let known = EMOTIONS.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    if known.is_none() && code != NO_AGREEMENT {
        return None;
    }
    let mut dimensions = [None; 3];
    let numbers = cells.next().unwrap_or_default().trim().trim_matches(['[', ']']);
    for (dimension, number) in dimensions.iter_mut().zip(numbers.split(',')) {
        *dimension = rating(number);
    }
    let label = Label {
        category: known,
        dimensions,
        votes: IndexMap::new(),
    };
    Some((name, label))
}

/// A rating on the corpus' scale of 1 to 5; some raters went half a step beyond.
fn rating(text: &str) -> Option<f32> {
    text.trim()
        .parse::<f32>()
        .ok()
        .filter(|value| (0.0..=6.0).contains(value))
}

/// `Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`
fn transcript_line(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" [")?;
    let (_, words) = rest.split_once("]:")?;
    name.starts_with("Ses").then_some((name, words.trim()))
}

/// `Ses01F_impro01_F000 :Neutral state; ()` or `Ses01F_impro01_F000 :act 2; :val  3; :dom  2; ()`
fn read_rater_line(line: &str, raters: &mut HashMap<String, Raters>) {
    let Some((name, rest)) = line.trim().split_once(" :") else {
        return;
    };
    if !name.starts_with("Ses") {
        return;
    }
    let own = raters.entry(name.trim().to_owned()).or_default();
    let places = [("val", 0), ("act", 1), ("dom", 2)];
    let mut has_rating = false;
    for part in rest.split(';').map(|part| part.trim().trim_start_matches(':').trim()) {
        for (word, place) in places {
            if let Some(value) = part
                .strip_prefix(word)
                .filter(|value| value.starts_with(char::is_whitespace))
            {
                has_rating = true;
                if let Some(value) = rating(value) {
                    own.sums[place] += f64::from(value);
                    own.counts[place] += 1;
                }
            }
        }
    }
    if !has_rating {
        add_votes(&mut own.votes, &rest.replace(':', ""));
    }
}

/// Adds one rater's vote: categories with a `;` behind each, then a remark in parentheses.
fn add_votes(votes: &mut IndexMap<&'static str, f64>, text: &str) {
    let named: Vec<&'static str> = text
        .split(';')
        .filter_map(|word| canonical(word.trim()))
        .filter(|name| EMOTIONS.iter().any(|(_, known)| known == name))
        .collect();
    let share = 1.0 / named.len().max(1) as f64;
    for name in named {
        *votes.entry(name).or_default() += share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Labels {
        let folder = tempfile::tempdir().unwrap();
        let found: Vec<Found> = files
            .iter()
            .map(|(name, text)| {
                let path = folder.path().join(name.replace('/', "-"));
                std::fs::write(&path, text).unwrap();
                Found {
                    path,
                    relative: (*name).to_owned(),
                    bytes: 0,
                }
            })
            .collect();
        Labels::read("d", &found).unwrap()
    }

    const SUMMARY: &str = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n\
        [6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.5000]\nC-E2:\tNeutral;\t()\nC-E3:\tNeutral; Sadness;\t()\n\
        C-E4:\tFrustration;\t()\nC-F1:\tAnger;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\n\n\
        [10.0100 - 11.3925]\tSes01F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]\nC-E2:\tSurprise;\t()\n";

    #[test]
    fn a_dialogues_file_tells_category_dimensions_and_votes_of_the_evaluators() {
        let labels = read(&[
            ("a/Ses01F_impro01.txt", SUMMARY),
            (
                "b/Ses01F_impro01.txt",
                "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nM: [BREATHING]\n",
            ),
            ("c/d/Ses01F_impro01.txt", SUMMARY),
        ]);
        let label = labels.of("Ses01F_impro01_F000").unwrap();
        assert_eq!(label.category, Some("neutral"));
        assert_eq!(label.dimensions, [Some(2.5), Some(2.0), Some(3.5)]);
        let votes: Vec<(&str, f64)> = label.votes.iter().map(|(name, votes)| (*name, *votes)).collect();
        assert_eq!(votes, [("neutral", 1.5), ("sad", 0.5), ("frustrated", 1.0)]);
        assert_eq!(labels.text("Ses01F_impro01_F000").as_deref(), Some("Excuse me."));
        assert_eq!(labels.of("Ses01F_impro01_F001").unwrap().category, None);
        assert_eq!((labels.labels.len(), labels.remark("d")), (2, None));
    }

    #[test]
    fn raters_own_files_give_the_majority_and_the_mean() {
        let cat = |first: &str, second: &str| {
            format!("Ses01F_impro01_F000 :{first}; ()\nSes01F_impro01_F001 :{second}; (unsure)\n")
        };
        let labels = read(&[
            ("Ses01F_impro01_e1_cat.txt", &cat("Neutral state", "Anger")),
            (
                "Ses01F_impro01_e2_cat.txt",
                &cat("Neutral state", "Sadness; :Frustration"),
            ),
            ("copy/Ses01F_impro01_e2_cat.txt", &cat("Neutral state", "Sadness")),
            ("Ses01F_impro01_f_cat.txt", &cat("Anger", "Anger")),
            (
                "Ses01F_impro01_e3_atr.txt",
                "Ses01F_impro01_F000 :act 2; :val  3; :dom  2; ()\n",
            ),
            (
                "Ses01F_impro01_e4_atr.txt",
                "Ses01F_impro01_F000 :act 3; :val  4; :dom ; ()\n",
            ),
        ]);
        let label = labels.of("Ses01F_impro01_F000").unwrap();
        assert_eq!((label.category, label.votes["neutral"]), (Some("neutral"), 2.0));
        assert_eq!(label.dimensions, [Some(3.5), Some(2.5), Some(2.0)]);
        let unsure = labels.of("Ses01F_impro01_F001").unwrap();
        assert_eq!((unsure.category, unsure.dimensions), (None, [None; 3]));
        assert!(labels.remark("d").unwrap().contains("2 labels"));
    }

    #[test]
    fn broken_lines_are_no_labels() {
        for line in [
            "[",
            "[\t\t",
            "[1 - 2]\tSes01F_impro01_F000\tbad\t[1,2,3]",
            "[1 - 2]\tOther\tneu\t[]",
        ] {
            assert_eq!(summary_line(line), None, "{line}");
        }
        let (_, label) = summary_line("[1 - 2]\tSes01F_impro01_F000\tang\t[x, 2]").unwrap();
        assert_eq!(label.dimensions, [None, Some(2.0), None]);
    }
}
