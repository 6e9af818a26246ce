//! What filters and orders ask of runs: a value by its name.

use std::cmp::Ordering;

use emorun_lang::nearest;

use crate::expression::{Expression, Literal, Operator};
use crate::{Catalogue, CatalogueError, Facts, Run};

/// A value of a run.
#[derive(Clone, Debug, PartialEq)]
enum Cell<'a> {
    Nothing,
    Flag(bool),
    Number(f64),
    Text(&'a str),
    Words(&'a [String]),
}

/// What is found by a name that every run has.
type Fact = for<'a> fn(&'a Run) -> Cell<'a>;

const FACTS: [(&str, Fact); 20] = [
    ("label", |run| Cell::Text(run.label())),
    ("place", |run| Cell::Text(&run.place)),
    ("experiment", |run| Cell::Text(&run.facts.experiment)),
    ("status", |run| Cell::Text(&run.facts.status)),
    ("kind", |run| Cell::Text(run.kind.name())),
    ("id", |run| Cell::Text(&run.facts.id)),
    ("seed", |run| number(run.facts.seed.map(|seed| seed as f64))),
    ("fold", |run| text(&run.facts.fold)),
    ("started", |run| Cell::Text(&run.facts.started)),
    ("ended", |run| text(&run.facts.ended)),
    ("seconds", |run| number(run.facts.seconds)),
    ("device", |run| text(&run.facts.device)),
    ("commit", |run| text(&run.facts.commit)),
    ("version", |run| Cell::Text(&run.facts.version)),
    ("items", |run| number(run.facts.items.map(|items| items as f64))),
    ("error", |run| text(&run.facts.error)),
    ("problem", |run| Cell::Words(&run.facts.problems)),
    ("tag", |run| Cell::Words(&run.facts.notes.tags)),
    ("note", |run| Cell::Text(&run.facts.notes.note)),
    ("archived", |run| Cell::Flag(run.facts.notes.archived)),
];

fn number<'a>(value: Option<f64>) -> Cell<'a> {
    value.map_or(Cell::Nothing, Cell::Number)
}

fn text(value: &Option<String>) -> Cell<'_> {
    value.as_deref().map_or(Cell::Nothing, Cell::Text)
}

/// In front of a setting that is called like something else.
const SETTING: &str = "config.";

/// How a name is looked up in a run.
enum Column {
    Fact(Fact),
    Metric(String),
    /// The value of each setting of the catalogue that has this path.
    Setting(Vec<Option<Literal>>),
}

impl Column {
    /// # Errors
    /// No run has a value of this name.
    fn of(name: &str, catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        // Both spellings are natural.
        let known = if name == "tags" { "tag" } else { name };
        if let Some((_, fact)) = FACTS.iter().find(|(own, _)| *own == known) {
            return Ok(Self::Fact(*fact));
        }
        if catalogue.runs.iter().any(|run| run.facts.metric(name).is_some()) {
            return Ok(Self::Metric(name.to_owned()));
        }
        let path = name.strip_prefix(SETTING).unwrap_or(name);
        let values = catalogue.settings.iter();
        let values = values.map(|(own, value)| (own == path).then(|| literal(value)));
        let values: Vec<Option<Literal>> = values.collect();
        if values.iter().any(Option::is_some) {
            return Ok(Self::Setting(values));
        }
        let facts = FACTS.iter().map(|(name, _)| *name);
        let metrics = catalogue.runs.iter().flat_map(|run| &run.facts.metrics);
        let all = facts.chain(metrics.map(|(name, _)| &**name));
        let mut all: Vec<&str> = all.chain(catalogue.settings.paths()).collect();
        all.sort_unstable();
        all.dedup();
        Err(CatalogueError::UnknownKey {
            key: name.to_owned(),
            nearest: nearest(name, all).map(str::to_owned),
        })
    }

    fn cell<'a>(&'a self, run: &'a Run) -> Cell<'a> {
        match self {
            Self::Fact(fact) => fact(run),
            Self::Metric(name) => number(run.facts.metric(name)),
            Self::Setting(values) => {
                let own = run.facts.settings.iter();
                let mut own = own.filter_map(|place| values.get(*place as usize)?.as_ref());
                own.next().map_or(Cell::Nothing, |value| match value {
                    Literal::Nothing => Cell::Nothing,
                    Literal::Flag(flag) => Cell::Flag(*flag),
                    Literal::Number(number) => Cell::Number(*number),
                    Literal::Text(text) => Cell::Text(text),
                })
            }
        }
    }
}

/// A setting's JSON text as a value to compare; lists are their text.
fn literal(json: &str) -> Literal {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::Null) => Literal::Nothing,
        Ok(serde_json::Value::Bool(flag)) => Literal::Flag(flag),
        Ok(serde_json::Value::Number(number)) => number.as_f64().map_or(Literal::Nothing, Literal::Number),
        Ok(serde_json::Value::String(text)) => Literal::Text(text),
        Ok(_) | Err(_) => Literal::Text(json.to_owned()),
    }
}

/// Which runs are meant.
pub struct Filter {
    test: Test,
}

/// An expression whose names are looked up.
enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Has(Column),
    Compare(Column, Operator, Literal),
}

impl Filter {
    /// Reads a filter, such as `status == completed && emotion.uar > 0.7`.
    ///
    /// # Errors
    /// It cannot be read, or names what no run has.
    pub fn of(text: &str, catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        let test = Test::of(Expression::parse(text)?, catalogue)?;
        Ok(Self { test })
    }

    /// Whether it means a run. One that lacks a value is not meant by any comparison with it, but `== null`.
    pub fn means(&self, run: &Run) -> bool {
        self.test.holds(run)
    }
}

impl Test {
    fn of(expression: Expression, catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        let all = |parts: Vec<Expression>| -> Result<Vec<Self>, CatalogueError> {
            parts.into_iter().map(|part| Self::of(part, catalogue)).collect()
        };
        Ok(match expression {
            Expression::Or(parts) => Self::Or(all(parts)?),
            Expression::And(parts) => Self::And(all(parts)?),
            Expression::Not(inner) => Self::Not(Box::new(Self::of(*inner, catalogue)?)),
            Expression::Has(key) => Self::Has(Column::of(&key, catalogue)?),
            Expression::Compare(key, operator, value) => Self::Compare(Column::of(&key, catalogue)?, operator, value),
        })
    }

    fn holds(&self, run: &Run) -> bool {
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.holds(run)),
            Self::And(parts) => parts.iter().all(|part| part.holds(run)),
            Self::Not(inner) => !inner.holds(run),
            Self::Has(column) => match column.cell(run) {
                Cell::Nothing | Cell::Flag(false) => false,
                Cell::Text(text) => !text.is_empty(),
                Cell::Words(words) => !words.is_empty(),
                Cell::Flag(true) | Cell::Number(_) => true,
            },
            Self::Compare(column, operator, value) => compare(&column.cell(run), *operator, value),
        }
    }
}

fn compare(cell: &Cell<'_>, operator: Operator, value: &Literal) -> bool {
    if let (Cell::Words(words), Literal::Text(text)) = (cell, value) {
        let is_there = words.iter().any(|word| word == text);
        return match operator {
            Operator::Equal => is_there,
            Operator::NotEqual => !is_there,
            Operator::Contains => words.iter().any(|word| contains(word, text)),
            _ => false,
        };
    }
    let order = match (cell, value) {
        (Cell::Nothing, Literal::Nothing) => Some(Ordering::Equal),
        (Cell::Nothing, _) => return false,
        (_, Literal::Nothing) => None,
        (Cell::Number(one), Literal::Number(other)) => one.partial_cmp(other),
        (Cell::Flag(one), Literal::Flag(other)) => (one == other).then_some(Ordering::Equal),
        (Cell::Text(one), Literal::Text(other)) => {
            if operator == Operator::Contains {
                return contains(one, other);
            }
            Some(one.cmp(&other.as_str()))
        }
        // A label may be all digits.
        (Cell::Text(one), Literal::Number(other)) => one.parse().ok().and_then(|one: f64| one.partial_cmp(other)),
        _ => None,
    };
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Operator::Contains => false,
    }
}

/// Whatever their letters' case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// An order of runs by one or more values.
pub struct Sorting(Vec<(Column, bool)>);

impl Sorting {
    /// Reads an order, such as `-emotion.uar,label`: a `-` in front of a name puts the highest first.
    ///
    /// # Errors
    /// It names what no run has.
    pub fn of(text: &str, catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        let columns = keys.map(|key| {
            let name = key.strip_prefix('-');
            Ok((Column::of(name.unwrap_or(key), catalogue)?, name.is_some()))
        });
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// Which of two runs stands first; what lacks a value stands last, whichever way the order goes.
    pub fn compare(&self, one: &Run, other: &Run) -> Ordering {
        for (column, is_reversed) in &self.0 {
            let (one, other) = (column.cell(one), column.cell(other));
            let order = match (&one, &other) {
                (Cell::Nothing, Cell::Nothing) => Ordering::Equal,
                (Cell::Nothing, _) => return Ordering::Greater,
                (_, Cell::Nothing) => return Ordering::Less,
                _ => order(&one, &other),
            };
            let order = if *is_reversed { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }
}

fn order(one: &Cell<'_>, other: &Cell<'_>) -> Ordering {
    match (one, other) {
        (Cell::Number(one), Cell::Number(other)) => one.total_cmp(other),
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        (Cell::Flag(one), Cell::Flag(other)) => one.cmp(other),
        (Cell::Words(one), Cell::Words(other)) => one.cmp(other),
        _ => rank(one).cmp(&rank(other)),
    }
}

/// Numbers before texts, where runs have a setting in several types.
fn rank(cell: &Cell<'_>) -> u8 {
    match cell {
        Cell::Number(_) => 0,
        Cell::Flag(_) => 1,
        Cell::Text(_) => 2,
        Cell::Words(_) => 3,
        Cell::Nothing => 4,
    }
}

/// The result of a run by `HEAD.METRIC` that lists show, where none is named: the first of most runs.
pub fn usual_metric(runs: &[&Run]) -> Option<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let first = |facts: &Facts| -> Option<usize> {
        let heads = facts
            .metrics
            .iter()
            .position(|(name, _)| name.contains('.') && !name.starts_with("validation."));
        heads.or_else(|| (!facts.metrics.is_empty()).then_some(0))
    };
    for run in runs {
        let Some(at) = first(&run.facts) else { continue };
        let name = &*run.facts.metrics[at].0;
        match counts.iter_mut().find(|(own, _)| *own == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    // The first of equals.
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map(|(name, _)| name.to_owned())
}
