//! What a metric is: the one place that logs, choices, tables and comparisons ask.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::classification::mean;
use crate::{Agreement, ClassPredictions, Confusion, Number, Predictions};

/// A metric of a head. Every one is a row of the table in `table.rs`.
#[derive(Clone, Copy)]
pub struct Metric(pub(crate) &'static Definition);

/// What there is to know of a metric.
pub(crate) struct Definition {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub undefined: &'static str,
    pub direction: Direction,
    pub unit: Unit,
    pub formula: Formula,
}

/// How a metric follows from predictions; what follows from sums needs no rows.
#[derive(Clone, Copy)]
pub(crate) enum Formula {
    /// Of counts of true and predicted classes.
    Counts(fn(&Confusion) -> Option<f64>),
    /// Of the scores of every item.
    Scores(fn(&ClassPredictions) -> Option<f64>, Merge),
    /// Of the sums of a number.
    Sums(fn(&Agreement) -> Option<f64>),
    /// Of the pairs of a number.
    Pairs(fn(Number<'_>) -> Option<f64>, Merge),
}

/// What a head predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicts {
    /// One of several classes.
    Classes,
    /// Numbers.
    Numbers,
    /// Numbers in each frame.
    Frames,
}

/// What a metric is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// True and predicted classes.
    Classes,
    /// True classes and the probability of each class.
    Scores,
    /// True and predicted numbers.
    Numbers,
}

impl Needs {
    /// As people read it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Scores => "probabilities of classes",
            Self::Numbers => "numbers",
        }
    }
}

/// Which values of a metric are the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
    /// The nearer to 0.
    NearZero,
}

impl Direction {
    /// A number that is higher the better a value is.
    pub fn reward(self, value: f64) -> f64 {
        match self {
            Self::Higher => value,
            Self::Lower => -value,
            Self::NearZero => -value.abs(),
        }
    }

    /// Whether a value is better than another by more than `by`.
    pub fn is_better(self, value: f64, than: f64, by: f64) -> bool {
        self.reward(value) > self.reward(than) + by
    }

    /// Whether a value is better than another by more than this share of the other.
    pub fn is_better_by_share(self, value: f64, than: f64, share: f64) -> bool {
        match self {
            Self::Higher => value > than * (1.0 + share),
            Self::Lower => value < than * (1.0 - share),
            Self::NearZero => value.abs() < than.abs() * (1.0 - share),
        }
    }

    /// As people read it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Higher => "the higher, the better",
            Self::Lower => "the lower, the better",
            Self::NearZero => "the nearer to 0, the better",
        }
    }
}

/// How values of a metric are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share, in percent.
    Percent,
    /// A number.
    Number,
}

impl Unit {
    /// What stands behind a number.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Percent => " %",
            Self::Number => "",
        }
    }

    /// A value without its sign.
    pub fn number(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.2}", 100.0 * value),
            Self::Number => format!("{value:.4}"),
        }
    }

    /// A difference, with plus or minus and without the sign of the unit.
    pub fn signed(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:+.2}", 100.0 * value),
            Self::Number => format!("{value:+.4}"),
        }
    }

    /// A value with a digit less, for a line among many.
    pub fn short(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.1} %", 100.0 * value),
            Self::Number => format!("{value:.3}"),
        }
    }
}

/// How values of members, such as folds and seeds, become one for all their items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Computed again from the sums of all members.
    Pooled,
    /// Their mean, each member weighted by its items: the same as over all items together.
    ItemMean,
    /// Their plain mean: scores of different models cannot be ranked or binned together (Forman & Scholz, "Apples-to-apples
    /// in cross-validation studies", SIGKDD Explorations 12(1), 2010).
    MemberMean,
}

impl Metric {
    /// The metric of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|metric| metric.name() == name).copied()
    }

    /// The metrics that a head can give, in the order of the table.
    pub fn of(predicts: Predicts) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |metric| metric.is_of(predicts))
    }

    /// Those of every such head, whatever is asked for, in the order of tables; the first chooses the best epoch.
    pub fn always(predicts: Predicts) -> &'static [Self] {
        match predicts {
            Predicts::Classes => &[Self::UAR, Self::WA, Self::MACRO_F1, Self::WEIGHTED_F1, Self::LOG_LOSS],
            Predicts::Numbers | Predicts::Frames => &[Self::CCC, Self::MSE],
        }
    }

    /// Those of each number that a head predicts, whatever is asked for.
    pub const OF_EACH_NUMBER: [Self; 3] = [Self::CCC, Self::PEARSON, Self::MSE];

    /// Those that are shown where none are named.
    pub const SHOWN: [Self; 3] = [Self::UAR, Self::WA, Self::MACRO_F1];

    /// Name in files and tags.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Name in tables.
    pub fn title(self) -> &'static str {
        self.0.title
    }

    /// Its definition in a sentence or two.
    pub fn about(self) -> &'static str {
        self.0.about
    }

    /// Where it is not defined, and why; then it has no value.
    pub fn undefined(self) -> &'static str {
        self.0.undefined
    }

    /// Which values are the better ones.
    pub fn direction(self) -> Direction {
        self.0.direction
    }

    /// How values are written.
    pub fn unit(self) -> Unit {
        self.0.unit
    }

    /// A value as people read it; that it has none is a dash.
    pub fn text(self, value: Option<f64>) -> String {
        let unit = self.unit();
        value.map_or_else(|| "–".into(), |value| unit.number(value) + unit.sign())
    }

    /// What it is computed from.
    pub fn needs(self) -> Needs {
        match self.0.formula {
            Formula::Counts(_) => Needs::Classes,
            Formula::Scores(..) => Needs::Scores,
            Formula::Sums(_) | Formula::Pairs(..) => Needs::Numbers,
        }
    }

    /// Whether such a head has what it needs.
    pub fn is_of(self, predicts: Predicts) -> bool {
        match self.needs() {
            Needs::Classes | Needs::Scores => predicts == Predicts::Classes,
            Needs::Numbers => predicts != Predicts::Classes,
        }
    }

    /// How those of members become one.
    pub fn merge(self) -> Merge {
        match self.0.formula {
            Formula::Counts(_) | Formula::Sums(_) => Merge::Pooled,
            Formula::Scores(_, merge) | Formula::Pairs(_, merge) => merge,
        }
    }

    /// Its value; of several numbers the mean over those for which it is defined. `None` where it is not defined
    /// ([`Metric::undefined`]) and where the predictions lack what it needs.
    pub fn compute(self, predictions: &Predictions) -> Option<f64> {
        match (self.0.formula, predictions) {
            (Formula::Scores(formula, _), Predictions::Classes(rows)) if rows.has_scores() => finite(formula(rows)),
            (Formula::Counts(_), Predictions::Classes(rows)) => self.of_counts(rows.confusion()),
            (Formula::Sums(_) | Formula::Pairs(..), Predictions::Numbers(rows)) => {
                self.over_numbers(rows.numbers().map(|number| self.of_number(number)))
            }
            (Formula::Counts(_) | Formula::Scores(..), _) | (Formula::Sums(_) | Formula::Pairs(..), _) => None,
        }
    }

    /// Its value over several numbers: the mean of those that have one.
    pub fn over_numbers(self, values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
        mean(values.flatten())
    }

    /// Its value of counts; `None` where it does not follow from them.
    pub fn of_counts(self, counts: &Confusion) -> Option<f64> {
        match self.0.formula {
            Formula::Counts(formula) => finite(formula(counts)),
            Formula::Scores(..) | Formula::Sums(_) | Formula::Pairs(..) => None,
        }
    }

    /// Its value of the sums of a number; `None` where it does not follow from them.
    pub fn of_sums(self, sums: &Agreement) -> Option<f64> {
        match self.0.formula {
            Formula::Sums(formula) => finite(formula(sums)),
            Formula::Counts(_) | Formula::Scores(..) | Formula::Pairs(..) => None,
        }
    }

    /// Its value of one number; `None` where it is no metric of numbers.
    pub fn of_number(self, number: Number<'_>) -> Option<f64> {
        match self.0.formula {
            Formula::Sums(formula) => finite(formula(number.agreement)),
            Formula::Pairs(formula, _) => finite(formula(number)),
            Formula::Counts(_) | Formula::Scores(..) => None,
        }
    }
}

/// What is no number is never shown.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Metric {}

impl Hash for Metric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Metric;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a metric")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Metric, E> {
                Metric::named(name).ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
            }
        }

        deserializer.deserialize_str(Name)
    }
}
