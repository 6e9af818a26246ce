//! Who is one person: ids that are written in several ways, and speakers who are not known.

use crate::Corpus;
use crate::candidate::Candidate;
use crate::corpora::{DatasetConfig, Facts, people_of};
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization as _;

/// Start of the id of a speaker who is not known; the item's own key follows, so that nobody else has it.
pub(crate) const UNKNOWN: &str = "?";
/// What tables write where they do not know the speaker, without case and signs.
const PLACEHOLDERS: [&str; 21] = [
    "unknown",
    "unk",
    "unknownspeaker",
    "speakerunknown",
    "notknown",
    "na",
    "nan",
    "none",
    "null",
    "nil",
    "nospeaker",
    "notavailable",
    "undefined",
    "unspecified",
    "missing",
    "anonymous",
    "anon",
    "unbekannt",
    "inconnu",
    "desconocido",
    "sconosciuto",
];
/// Ids, and spellings of each, that a remark lists.
const SHOWN: usize = 5;

/// What all spellings of one id have in common: letter case, Unicode's forms (composed, decomposed, full width), characters
/// that are not seen, spaces around it and a number's leading zeros make no other person.
#[must_use]
pub fn key_of(id: &str) -> String {
    let key = folded(id);
    let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    match key.trim_start_matches('0') {
        "" if is_number => "0".to_owned(),
        plain if is_number => plain.to_owned(),
        _ => key,
    }
}

/// An id without what makes no other person, but for a number's leading zeros.
pub(crate) fn folded(id: &str) -> String {
    tidy(id).to_lowercase().nfkc().collect()
}

/// An id as it is seen: composed, of usual width, with single spaces inside and none around.
fn tidy(id: &str) -> String {
    let seen: String = id.chars().filter(|c| !is_unseen(*c)).collect();
    let composed: String = seen.nfkc().collect();
    let words: Vec<&str> = composed.split_whitespace().collect();
    words.join(" ")
}

/// Characters without width or with a meaning for layout alone.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether an id says that nobody knows who speaks.
pub(crate) fn is_placeholder(id: &str) -> bool {
    let key = key_of(id);
    let letters: String = key.chars().filter(|c| c.is_alphanumeric()).collect();
    letters.is_empty() || key == "-1" || PLACEHOLDERS.contains(&letters.as_str())
}

/// Whether the speaker `people/id` is one who is not known.
pub(crate) fn is_unknown(speaker: &str) -> bool {
    speaker.split_once('/').is_some_and(|(_, id)| id.starts_with(UNKNOWN))
}

/// What stands for a speaker where items are kept apart: unknown ones of the same people, who could all be one, stand
/// together, as `people/?`.
pub(crate) fn apart_as(speaker: &str) -> &str {
    match speaker.split_once('/') {
        Some((people, id)) if id.starts_with(UNKNOWN) => &speaker[..people.len() + 1 + UNKNOWN.len()],
        _ => speaker,
    }
}

/// Spellings of names, by what they have in common.
#[derive(Default)]
struct Spellings<'a>(IndexMap<String, BTreeSet<&'a str>>);

impl<'a> Spellings<'a> {
    fn add(&mut self, name: &'a str) {
        self.0.entry(key_of(name)).or_default().insert(name);
    }

    /// Each spelling with the one name that all of its like get, which does not depend on the order in which they came.
    fn names(&self) -> impl Iterator<Item = (&'a str, String)> + '_ {
        self.0.values().flat_map(|spellings| {
            let name = spellings.iter().map(|name| tidy(name)).min().unwrap_or_default();
            spellings.iter().map(move |spelling| (*spelling, name.clone()))
        })
    }

    /// A remark where one name is spelled in several ways.
    fn remark(&self, what: &str) -> Option<String> {
        let several: Vec<&BTreeSet<&str>> = self.0.values().filter(|spellings| spellings.len() > 1).collect();
        let shown: Vec<String> = several
            .iter()
            .take(SHOWN)
            .map(|spellings| {
                let all: Vec<String> = spellings.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
                all.join(" = ")
            })
            .collect();
        let more = match several.len().checked_sub(SHOWN + 1) {
            Some(more) => format!(" and {} more", more + 1),
            None => String::new(),
        };
        (!several.is_empty()).then(|| format!("{what}, each taken for one: {}{more}", shown.join(", ")))
    }
}

/// Names of some people's speakers and groups.
#[derive(Default)]
struct PersonNames<'a> {
    speakers: IndexSet<&'a str>,
    groups: IndexSet<&'a str>,
}

/// New names of people, and of speakers and groups by the spelling of their people and their own.
#[derive(Default)]
struct Renames {
    people: HashMap<String, String>,
    speakers: HashMap<(String, String), String>,
    groups: HashMap<(String, String), String>,
}

/// Gives speakers, groups and people whose names are spelled in several ways one name, and each item of a speaker who is
/// not known a speaker of its own; the corpus gets remarks that say so.
pub(crate) fn unite(candidates: &mut [Candidate], datasets: &IndexMap<String, DatasetConfig>, corpus: &mut Corpus) {
    let own = people_of(datasets);
    warn_of_unknown(candidates, datasets, corpus);
    let renames = renames(candidates, &own, corpus);
    let mut known: HashMap<(usize, *const Facts), Arc<Facts>> = HashMap::new();
    for candidate in candidates {
        let people = candidate.facts.people.as_deref().unwrap_or(&own[candidate.dataset]);
        let place = (candidate.dataset, Arc::as_ptr(&candidate.facts));
        let facts = if is_placeholder(&candidate.facts.speaker) {
            let mut facts = renames
                .apply(people, &candidate.facts)
                .unwrap_or_else(|| (*candidate.facts).clone());
            facts.speaker = format!("{UNKNOWN}{}", candidate.own_key());
            Some(Arc::new(facts))
        } else if let Some(facts) = known.get(&place) {
            Some(facts.clone())
        } else {
            let facts = renames.apply(people, &candidate.facts).map(Arc::new);
            if let Some(facts) = &facts {
                known.insert(place, facts.clone());
            }
            facts
        };
        if let Some(facts) = facts {
            candidate.facts = facts;
        }
    }
}

fn renames(candidates: &[Candidate], own: &[String], corpus: &mut Corpus) -> Renames {
    let mut told: IndexMap<&str, PersonNames<'_>> = IndexMap::new();
    for Candidate { dataset, facts, .. } in candidates {
        let told = told
            .entry(facts.people.as_deref().unwrap_or(&own[*dataset]))
            .or_default();
        if !is_placeholder(&facts.speaker) {
            told.speakers.insert(&facts.speaker);
        }
        told.groups.extend(facts.groups.iter().map(String::as_str));
    }
    let mut people = Spellings::default();
    told.keys().for_each(|name| people.add(name));
    corpus
        .warnings
        .extend(people.remark("some people are named in several ways"));
    let mut renames = Renames::default();
    for spellings in people.0.values() {
        let (mut speakers, mut groups) = (Spellings::default(), Spellings::default());
        for told in spellings.iter().filter_map(|spelling| told.get(spelling)) {
            told.speakers.iter().for_each(|name| speakers.add(name));
            told.groups.iter().for_each(|name| groups.add(name));
        }
        let of = spellings.first().copied().unwrap_or_default();
        let remarks = [
            speakers.remark(&format!("speakers of `{of}` are spelled in several ways")),
            groups.remark(&format!("groups of `{of}` are spelled in several ways")),
        ];
        corpus.warnings.extend(remarks.into_iter().flatten());
        for spelling in spellings {
            let key = |name: &str| ((*spelling).to_owned(), name.to_owned());
            renames
                .speakers
                .extend(speakers.names().map(|(old, new)| (key(old), new)));
            renames.groups.extend(groups.names().map(|(old, new)| (key(old), new)));
        }
    }
    renames
        .people
        .extend(people.names().map(|(old, new)| (old.to_owned(), new)));
    renames.people.retain(|old, new| old != new);
    renames.speakers.retain(|(_, old), new| old != new);
    renames.groups.retain(|(_, old), new| old != new);
    renames
}

impl Renames {
    /// The facts with new names; `None` where all are as they were.
    fn apply(&self, people: &str, facts: &Facts) -> Option<Facts> {
        let of = |name: &str| (people.to_owned(), name.to_owned());
        let people_name = self.people.get(people);
        let speaker = self
            .speakers
            .get(&of(&facts.speaker))
            .filter(|_| !self.speakers.is_empty());
        let groups = facts.groups.iter().any(|group| self.groups.contains_key(&of(group)));
        if people_name.is_none() && speaker.is_none() && !groups {
            return None;
        }
        let mut new = facts.clone();
        if let Some(name) = people_name {
            new.people = Some(name.clone());
        }
        if let Some(speaker) = speaker {
            new.speaker.clone_from(speaker);
        }
        for group in &mut new.groups {
            if let Some(name) = self.groups.get(&of(group)) {
                group.clone_from(name);
            }
        }
        Some(new)
    }
}

fn warn_of_unknown(candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>, corpus: &mut Corpus) {
    let mut unknown: Vec<(usize, BTreeSet<&str>)> = vec![(0, BTreeSet::new()); datasets.len()];
    for Candidate { dataset, facts, .. } in candidates {
        if is_placeholder(&facts.speaker) {
            unknown[*dataset].0 += 1;
            unknown[*dataset].1.insert(&facts.speaker);
        }
    }
    for (name, (count, spellings)) in datasets.keys().zip(unknown).filter(|(_, (count, _))| *count > 0) {
        let spellings: Vec<String> = spellings
            .into_iter()
            .take(SHOWN)
            .map(|text| format!("{text:?}"))
            .collect();
        corpus.warnings.push(format!(
            "dataset `{name}`: nobody knows who speaks in {count} items (their speaker is {}): each counts as another person, all stay on one side of a split, and nothing shows that they are not heard on another; say who they are, or leave these lines out",
            spellings.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_id_have_one_key() {
        // Composed and decomposed, full width, letter case, zero width, spaces, leading zeros: Unicode Standard Annex 15.
        for spellings in [
            &[
                "S01",
                "s01",
                " S01 ",
                "S\u{200b}01",
                "\u{feff}S01",
                "\u{ff33}\u{ff10}\u{ff11}",
                "S01\u{a0}",
            ][..],
            &["Jos\u{e9}", "Jose\u{301}", "JOS\u{c9}", "jose\u{301}"],
            &["3", "03", "003", " 3", "\u{ff13}"],
            &["0", "00"],
            &["a b", "A  B", "a\u{3000}b"],
        ] {
            let keys: BTreeSet<String> = spellings.iter().map(|id| key_of(id)).collect();
            assert_eq!(keys.len(), 1, "{keys:?}");
        }
        for (one, other) in [
            ("s1", "s01"),
            ("a", "b"),
            ("ab", "a b"),
            ("1", "10"),
            ("ß", "ss"),
            ("0", ""),
        ] {
            assert_ne!(key_of(one), key_of(other), "{one} {other}");
        }
    }

    #[test]
    fn nobody_is_called_unknown() {
        for id in [
            "unknown",
            "Unknown",
            "UNK",
            "<unk>",
            "(unknown)",
            "NA",
            "N/A",
            "#N/A",
            "n.a.",
            "nan",
            "None",
            "null",
            "-",
            "--",
            "?",
            "???",
            "_",
            ".",
            "–",
            "-1",
            "unknown speaker",
            "Unknown_Speaker",
            "\u{200b}",
            " ",
        ] {
            assert!(is_placeholder(id), "{id:?}");
        }
        for id in ["0", "1", "03", "unknown_7", "Nadia", "anna", "s-1", "NA1", "01F"] {
            assert!(!is_placeholder(id), "{id:?}");
        }
        assert_eq!(apart_as("m/?a/b.wav"), "m/?");
        assert_eq!(apart_as("m/a?"), "m/a?");
        assert!(is_unknown("m/?x") && !is_unknown("m/x?"));
    }
}
