//! Filters such as `status == completed && emotion.uar > 0.7`: reading them.
//!
//! ```text
//! or    = and ("||" and)*
//! and   = not ("&&" not)*
//! not   = "!" not | "(" or ")" | key (operator value)?
//! ```
//! A key is a dotted path; operators are `== != < <= > >=` and `~` (contains); a value is a number, `true`, `false`,
//! `null`, a word, or a text in quotes.

use crate::CatalogueError;

/// Deepest nesting that is read.
const DEEPEST: usize = 64;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    /// Has the value at all, and it is not `false`.
    Has(String),
    Compare(String, Operator, Literal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

/// Longer ones first: `<` begins `<=`.
const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("~", Operator::Contains),
];

/// A value that stands in an expression or in a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Nothing,
    Flag(bool),
    Number(f64),
    Text(String),
}

impl Literal {
    fn of_word(word: &str) -> Self {
        match word {
            "null" => Self::Nothing,
            "true" => Self::Flag(true),
            "false" => Self::Flag(false),
            _ => word.parse().map_or_else(|_| Self::Text(word.to_owned()), Self::Number),
        }
    }
}

impl Expression {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, CatalogueError> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let found = reader.or()?;
        reader.space();
        if reader.at < text.len() {
            return Err(reader.problem("expected `&&`, `||` or the end"));
        }
        Ok(found)
    }
}

struct Reader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let is_there = self.rest().starts_with(token);
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn problem(&self, problem: &str) -> CatalogueError {
        CatalogueError::Expression {
            text: self.text.to_owned(),
            column: self.text[..self.at].chars().count(),
            problem: problem.to_owned(),
        }
    }

    fn or(&mut self) -> Result<Expression, CatalogueError> {
        self.several("||", Expression::Or, |reader| {
            reader.several("&&", Expression::And, Self::not)
        })
    }

    fn several(
        &mut self,
        between: &str,
        joined: fn(Vec<Expression>) -> Expression,
        mut one: impl FnMut(&mut Self) -> Result<Expression, CatalogueError>,
    ) -> Result<Expression, CatalogueError> {
        let first = one(self)?;
        let mut parts = vec![first];
        while self.take(between) {
            parts.push(one(self)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => joined(parts),
        })
    }

    fn not(&mut self) -> Result<Expression, CatalogueError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.problem("it is nested too deeply"));
        }
        let found = if self.take("!") {
            Expression::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.problem("expected `)`"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<Expression, CatalogueError> {
        self.space();
        let key = self.word();
        if key.is_empty() {
            return Err(self.problem("expected a name, such as `status` or `emotion.uar`"));
        }
        let key = key.to_owned();
        self.space();
        let operator = OPERATORS.iter().find(|(sign, _)| self.rest().starts_with(sign));
        let Some((sign, operator)) = operator else {
            if self.rest().starts_with('=') {
                return Err(self.problem("equality is written `==`"));
            }
            return Ok(Expression::Has(key));
        };
        self.at += sign.len();
        Ok(Expression::Compare(key, *operator, self.literal()?))
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let is_part = |letter: char| letter.is_alphanumeric() || "._-+:/@".contains(letter);
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn literal(&mut self) -> Result<Literal, CatalogueError> {
        self.space();
        for quote in ['"', '\''] {
            let Some(inner) = self.rest().strip_prefix(quote) else {
                continue;
            };
            let Some(end) = inner.find(quote) else {
                return Err(self.problem("this quote is not closed"));
            };
            self.at += end + 2;
            return Ok(Literal::Text(inner[..end].to_owned()));
        }
        match self.word() {
            "" => Err(self.problem("expected a value: a number, a word, or a text in quotes")),
            word => Ok(Literal::of_word(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_binds_closer_than_or_and_not_closest() {
        let found = Expression::parse("!a && (b == 'x y' || c<=1e-3) || tag ~ k").unwrap();
        let has_not_a = Expression::Not(Box::new(Expression::Has("a".into())));
        let b = Expression::Compare("b".into(), Operator::Equal, Literal::Text("x y".into()));
        let c = Expression::Compare("c".into(), Operator::LessOrEqual, Literal::Number(1e-3));
        let tag = Expression::Compare("tag".into(), Operator::Contains, Literal::Text("k".into()));
        let both = Expression::And(vec![has_not_a, Expression::Or(vec![b, c])]);
        assert_eq!(found, Expression::Or(vec![both, tag]));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let cases = [
            ("", 0, "expected a name"),
            ("status = completed", 7, "equality is written `==`"),
            ("a == ", 5, "expected a value"),
            ("a == 'x", 5, "not closed"),
            ("(a", 2, "expected `)`"),
            ("a b", 2, "expected `&&`"),
            ("ä == 1 && && b", 10, "expected a name"),
        ];
        for (text, place, expected) in cases {
            let error = Expression::parse(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            let CatalogueError::Expression { column, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(column, place, "{text}");
        }
        let deep = "(".repeat(100_000);
        assert!(Expression::parse(&deep).unwrap_err().to_string().contains("too deeply"));
    }
}
