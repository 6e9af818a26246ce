//! Suggestions: the known name nearest to what was written.

/// Longest word that is compared; nobody means a name by more.
const MAX_WORD: usize = 64;
/// Most names that a help text lists.
const MAX_LISTED: usize = 16;

/// The known name that `word` most likely means.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > MAX_WORD {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter(|name| name.len() <= 2 * MAX_WORD)
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            let part = name.split('_').any(|part| part == word);
            *distance <= (length.max(name.chars().count()) / 3).max(1) || part
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean …?` and what is known; `what` names the known things in the plural.
pub fn suggestion(word: &str, known: &[&str], what: &str) -> Option<String> {
    let guess = nearest(word, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    match (guess, known.is_empty()) {
        (guess, true) => guess,
        (Some(guess), false) => Some(format!("{guess} {what} are {}", listed(known))),
        (None, false) => Some(format!("{what} are {}", listed(known))),
    }
}

/// Names as a list for people, the end of a long one left out.
pub(crate) fn listed(names: &[&str]) -> String {
    let mut text = names
        .iter()
        .take(MAX_LISTED)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", names.len() - MAX_LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let known = ["hidden", "dropout", "input", "cross_entropy"];
        let cases = [
            ("hiden", Some("hidden")),
            ("Input", Some("input")),
            ("droput", Some("dropout")),
            ("entropy", Some("cross_entropy")),
            ("x", None),
            ("weights", None),
        ];
        for (word, found) in cases {
            assert_eq!(nearest(word, known), found, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
