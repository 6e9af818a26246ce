//! From a side for each item to a checked assignment, and the drawing of units to sides.

use super::certificate::shared_between_sides;
use super::units::Unit;
use super::{Assignment, Certificate};
use crate::{ContentHash, Corpus, DataError, SplitName};

/// The assignment with these sides (`None` leaves an item out), checked.
///
/// # Errors
/// A side without items that needs some, a learned class without training items, anything on two sides of a
/// split that does not say so.
pub(crate) fn assemble(
    corpus: &Corpus,
    learned: &[&str],
    label: Option<String>,
    sides: &[Option<SplitName>],
    needed: &[SplitName],
    leak: Option<&str>,
) -> Result<Assignment, Vec<DataError>> {
    let lead = label.as_ref().map_or_else(String::new, |label| format!("in {label}, "));
    let on = |side: SplitName| -> Vec<usize> {
        sides
            .iter()
            .enumerate()
            .filter(|(_, own)| **own == Some(side))
            .map(|(index, _)| index)
            .collect()
    };
    let (train, validation, test) = (on(SplitName::Train), on(SplitName::Validation), on(SplitName::Test));
    let all = [train.as_slice(), validation.as_slice(), test.as_slice()];
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for (side, items) in SplitName::ALL.into_iter().zip(all) {
        if items.is_empty() && needed.contains(&side) {
            errors.push(DataError::EmptySide {
                fold: label.clone(),
                side: side.as_str(),
            });
        }
    }
    warnings.extend(one_class(corpus, learned, &train, &lead));
    // Without training items every class would be reported as well.
    let checked = if errors.is_empty() { learned } else { &[] };
    for column in corpus
        .label_sets
        .keys()
        .filter(|column| checked.contains(&column.as_str()))
    {
        for (side, items) in SplitName::ALL.into_iter().zip(all) {
            for (class, count) in corpus.class_counts(column, items) {
                if count > 0 || items.is_empty() {
                    continue;
                }
                if side == SplitName::Train {
                    errors.push(DataError::ClassNotTrained {
                        fold: label.clone(),
                        column: column.clone(),
                        class,
                    });
                } else {
                    warnings.push(format!("{lead}class `{class}` of {column} has no item in {side}"));
                }
            }
        }
    }
    let shared = shared_between_sides(corpus, all).map_err(|error| vec![error])?;
    match leak {
        None => {
            errors.extend(shared.iter().take(LEAKS_SHOWN).map(|shared| DataError::Leak {
                fold: label.clone(),
                what: shared.what.clone(),
                sides: shared.sides.iter().map(ToString::to_string).collect(),
            }));
            let more = shared.len().saturating_sub(LEAKS_SHOWN);
            errors.extend((more > 0).then(|| DataError::MoreLeaks {
                fold: label.clone(),
                count: more,
            }));
        }
        Some(reason) if shared.is_empty() => {
            warnings.push(format!("`leak` says `{reason}`, but nothing is on two sides"));
        }
        Some(reason) => warnings.push(format!(
            "this split leaks ({reason}): {} speakers, groups or recordings are on more than one side",
            shared.len()
        )),
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let leak = leak.filter(|_| !shared.is_empty()).map(str::to_owned);
    let certificate = Certificate::new(corpus, all, shared, leak).map_err(|error| vec![error])?;
    warnings.extend(sound_alike(&certificate));
    Ok(Assignment {
        label,
        train,
        validation,
        test,
        warnings,
        certificate,
    })
}

/// Remarks on learned columns of which training has one class alone.
fn one_class(corpus: &Corpus, learned: &[&str], train: &[usize], lead: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for column in learned.iter().filter(|_| !train.is_empty()) {
        let counts = corpus.class_counts(column, train);
        let mut classes = counts.iter().filter(|(_, count)| **count > 0);
        if let (Some((class, _)), None) = (classes.next(), classes.next()) {
            warnings.push(format!(
                "{lead}all of training is of one class of {column}, `{class}`: there is nothing to tell apart, and every score is that of a constant answer"
            ));
        }
    }
    warnings
}

/// Remarks on what sounds like one recording on several sides.
fn sound_alike(certificate: &Certificate) -> Vec<String> {
    let mut warnings = Vec::new();
    for alike in certificate.alike.iter().take(LEAKS_SHOWN) {
        let sides: Vec<&str> = alike.sides.iter().map(|side| side.as_str()).collect();
        warnings.push(format!(
            "{} sound like one recording and are on more than one side ({})",
            alike.what,
            sides.join(", ")
        ));
    }
    let more = certificate.alike.len().saturating_sub(LEAKS_SHOWN);
    if more > 0 {
        warnings.push(format!("{more} more recordings sound like one on another side"));
    }
    warnings
}

/// Leaks of a split that are told one by one: a large corpus that is split wrongly has thousands.
const LEAKS_SHOWN: usize = 10;
/// Draws compared before the most even one is taken.
const DRAWS: u32 = 64;

/// Draws units to sides that want these shares of the speakers, and returns each unit's side.
///
/// Of several draws the one is taken whose sides are most alike in number of items and in classes
/// (gender too). Every side with a share gets at least one unit, given at least as many units as
/// such sides. `load` counts the speakers that each side holds already, which breaks ties. The draw
/// depends on the units, the seed and `purpose` alone.
pub(crate) fn draw(units: &[&Unit], shares: &[f64], load: &[usize], seed: u64, purpose: &str) -> Vec<usize> {
    let mut best: Option<(f64, Vec<usize>)> = None;
    for attempt in 0..DRAWS {
        let mut order: Vec<usize> = (0..units.len()).collect();
        order.sort_by_cached_key(|index| {
            ContentHash::of(format!("{:?}", (seed, purpose, attempt, units[*index].name())).as_bytes())
        });
        let sides = deal(units, &order, shares, load);
        let score = unevenness(units, &sides, shares);
        if best.as_ref().is_none_or(|(lowest, _)| score < *lowest) {
            best = Some((score, sides));
        }
    }
    best.map(|(_, sides)| sides).unwrap_or_default()
}

/// Gives each unit in `order` to the side that lacks most of its share, keeping one unit back for
/// each empty side.
fn deal(units: &[&Unit], order: &[usize], shares: &[f64], load: &[usize]) -> Vec<usize> {
    let total: usize = units.iter().map(|unit| unit.speakers.len()).sum();
    let mut held = vec![0_usize; shares.len()];
    let mut sides = vec![0; units.len()];
    for (place, index) in order.iter().enumerate() {
        let left = units.len() - place;
        let empty = (0..shares.len())
            .filter(|side| held[*side] == 0 && shares[*side] > 0.0)
            .count();
        let lack = |side: usize| shares[side] * total as f64 - held[side] as f64;
        let side = (0..shares.len())
            .filter(|side| shares[*side] > 0.0 && (held[*side] == 0 || left > empty))
            .max_by(|a, b| {
                lack(*a)
                    .total_cmp(&lack(*b))
                    .then(load[*b].cmp(&load[*a]))
                    .then(b.cmp(a))
            })
            .unwrap_or_default();
        held[side] += units[*index].speakers.len();
        sides[*index] = side;
    }
    sides
}

/// How far the sides' shares of items and of each class are from the shares wanted, with a class
/// that one side lacks counting most.
fn unevenness(units: &[&Unit], sides: &[usize], shares: &[f64]) -> f64 {
    let items: f64 = units.iter().map(|unit| unit.items.len() as f64).sum();
    let width = units.first().map_or(0, |unit| unit.profile.len());
    let mut score = 0.0;
    let mut add = |total: f64, of: &dyn Fn(&Unit) -> f64| {
        for (side, share) in shares.iter().enumerate() {
            let own: f64 = units
                .iter()
                .zip(sides)
                .filter(|(_, own)| **own == side)
                .map(|(unit, _)| of(unit))
                .sum();
            if total > 0.0 {
                score += (own / total - share).powi(2) + f64::from(u8::from(own == 0.0 && *share > 0.0));
            }
        }
    };
    add(items, &|unit| unit.items.len() as f64);
    for class in 0..width {
        let total = units.iter().map(|unit| unit.profile[class]).sum();
        add(total, &|unit| unit.profile[class]);
    }
    score
}
