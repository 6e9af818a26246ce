//! Typed values from trees: a serde deserializer whose errors know their place.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use crate::diagnostic::{Code, Diagnostic};
use crate::document::{Entry, Tree, Value};
use crate::source::Span;

/// The struct name by which [`crate::kinded_enum`] asks for `kind` to come first.
pub(crate) const KINDED: &str = "$emorun::kinded";

/// Why a typed value could not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct DeserializeError {
    message: String,
    span: Option<Span>,
}

impl DeserializeError {
    /// An error at a place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
        }
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The innermost value that is wrong; [`from_tree`] always sets it.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// The diagnostic, at `otherwise` if the error has no place.
    pub fn into_diagnostic(self, otherwise: Span) -> Diagnostic {
        Diagnostic::error(Code::InvalidValue, self.message).label(self.span.unwrap_or(otherwise), "this value")
    }

    fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl de::Error for DeserializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            span: None,
        }
    }
}

/// Reads a typed value.
///
/// Enums are externally tagged: a word for a unit variant, a mapping with one key for others.
///
/// # Errors
/// The first value that does not fit, with its place.
pub fn from_tree<T: DeserializeOwned>(tree: &Tree) -> Result<T, DeserializeError> {
    T::deserialize(tree).map_err(|error| error.or_at(tree.span))
}

impl<'de> IntoDeserializer<'de, DeserializeError> for &'de Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Tree {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Seq(items) => visit_all(Items(items.iter()), visitor),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries.iter().collect())),
        }
        .map_err(|error| error.or_at(self.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match &self.value {
            Value::Map(entries) if name == KINDED => {
                let (mut ordered, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.key == "kind");
                ordered.extend(others);
                visitor
                    .visit_map(Entries::new(ordered))
                    .map_err(|error| error.or_at(self.span))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match &self.value {
            Value::Str(name) => visitor.visit_enum(Variant { name, value: None }),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant {
                    name: &entry.key,
                    value: Some(&entry.value),
                }),
                _ => Err(de::Error::custom("expected a mapping with one key")),
            },
            _ => Err(de::Error::custom(format!(
                "expected a word or a mapping with one key, found {}",
                self.describe()
            ))),
        }
        .map_err(|error: DeserializeError| error.or_at(self.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de>(std::slice::Iter<'de, Tree>);

fn visit_all<'de, V: Visitor<'de>>(mut items: Items<'de>, visitor: V) -> Result<V::Value, DeserializeError> {
    let value = visitor.visit_seq(&mut items)?;
    match items.0.next() {
        Some(extra) => Err(DeserializeError::new("more items than wanted", extra.span)),
        None => Ok(value),
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        self.0
            .next()
            .map(|item| seed.deserialize(item).map_err(|error| error.or_at(item.span)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    entries: std::vec::IntoIter<&'de Entry>,
    current: Option<&'de Entry>,
}

impl<'de> Entries<'de> {
    fn new(entries: Vec<&'de Entry>) -> Self {
        Self {
            entries: entries.into_iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.current = self.entries.next();
        self.current
            .map(|entry| {
                seed.deserialize(BorrowedStrDeserializer::new(&entry.key))
                    .map_err(|error: DeserializeError| error.or_at(entry.key_span))
            })
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Self::Error> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value was read before its key"));
        };
        seed.deserialize(&entry.value)
            .map_err(|error| error.or_at(entry.value.span))
    }
}

struct Variant<'de> {
    name: &'de str,
    value: Option<&'de Tree>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = DeserializeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Self::Error> {
        let name: StrDeserializer<'_, DeserializeError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<&'de Tree, DeserializeError> {
        self.value
            .ok_or_else(|| de::Error::custom(format!("`{}` needs a value", self.name)))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = DeserializeError;

    fn unit_variant(self) -> Result<(), Self::Error> {
        match self.value {
            None => Ok(()),
            Some(value) => Err(DeserializeError::new(
                format!("`{}` takes no value", self.name),
                value.span,
            )),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Self::Error> {
        let content = self.content()?;
        seed.deserialize(content).map_err(|error| error.or_at(content.span))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.content()?.deserialize_any(visitor)
    }
}
