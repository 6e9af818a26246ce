//! Alternatives that are told apart by `kind:`, such as optimizers: `{ kind: adam, lr: 1.0e-4 }`.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::de::KINDED;
use crate::ser;
use crate::shape::tag;

/// The key that marks a schema whose alternatives are told apart by `kind`.
pub const KINDED_MARK: &str = "x-kinded";

/// What [`kinded_enum!`](crate::kinded_enum) implements: an enum of configurations, one a kind.
pub trait Kinded: Sized {
    /// The kinds, in the order of the declaration.
    const KINDS: &'static [&'static str];

    /// The kind of this value.
    fn kind(&self) -> &'static str;

    /// Reads the fields of a kind.
    ///
    /// # Errors
    /// An unknown kind, or what the deserializer reports.
    fn deserialize_kind<'de, D: Deserializer<'de>>(kind: &str, deserializer: D) -> Result<Self, D::Error>;
}

/// Defines an enum whose values are written `{ kind: cosine, ...fields }`.
///
/// ```text
/// kinded_enum! {
///     /// How the learning rate changes.
///     #[derive(PartialEq)]
///     pub enum Scheduler {
///         constant => Constant(Constant),
///         cosine => Cosine(Cosine),
///     }
/// }
/// ```
///
/// `Clone` and `Debug` are derived; `Serialize`, `Deserialize`, `JsonSchema` and
/// [`Kinded`] are implemented. Every configuration is a struct that implements
/// these too and denies unknown fields; its doc comment describes the kind.
#[macro_export]
macro_rules! kinded_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $kind:ident => $variant:ident($config:ty)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis enum $name {
            $(
                #[doc = concat!("Kind `", stringify!($kind), "`.")]
                $(#[$variant_meta])*
                $variant($config)
            ),+
        }

        impl $crate::Kinded for $name {
            const KINDS: &'static [&'static str] = &[$(stringify!($kind)),+];

            fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($kind)),+ }
            }

            fn deserialize_kind<'de, D: $crate::private::serde::Deserializer<'de>>(
                kind: &str,
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                match kind {
                    $(stringify!($kind) => {
                        $crate::private::serde::Deserialize::deserialize(deserializer)
                            .map(Self::$variant)
                    })+
                    _ => Err($crate::private::serde::de::Error::unknown_variant(
                        kind,
                        <Self as $crate::Kinded>::KINDS,
                    )),
                }
            }
        }

        impl<'de> $crate::private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::private::deserialize_kinded(deserializer)
            }
        }

        impl $crate::private::serde::Serialize for $name {
            fn serialize<S: $crate::private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(config) => {
                        $crate::private::serialize_kinded(stringify!($kind), config, serializer)
                    })+
                }
            }
        }

        impl $crate::private::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(
                generator: &mut $crate::private::schemars::SchemaGenerator,
            ) -> $crate::private::schemars::Schema {
                $crate::private::kinded_schema(vec![
                    $((
                        stringify!($kind),
                        <$config as $crate::private::schemars::JsonSchema>::json_schema(generator),
                    )),+
                ])
            }
        }
    };
}

/// Reads a mapping with `kind`; trees give it first wherever it stands.
///
/// # Errors
/// What the deserializer reports, and a `kind` that is absent or unknown.
pub fn deserialize_kinded<'de, T: Kinded, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct KindedVisitor<T>(PhantomData<T>);

    impl<'de, T: Kinded> Visitor<'de> for KindedVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping with `kind`")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut before = Map::new();
            while let Some(key) = map.next_key::<String>()? {
                if key != "kind" {
                    before.insert(key, map.next_value()?);
                    continue;
                }
                let kind: String = map.next_value()?;
                if before.is_empty() {
                    return T::deserialize_kind(&kind, MapAccessDeserializer::new(map));
                }
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    before.insert(key, value);
                }
                return T::deserialize_kind(&kind, Value::Object(before)).map_err(de::Error::custom);
            }
            Err(de::Error::missing_field("kind"))
        }
    }

    deserializer.deserialize_struct(KINDED, &["kind"], KindedVisitor(PhantomData))
}

/// Writes `kind` and then the fields.
///
/// # Errors
/// What the serializer reports, and a configuration that is not a struct.
pub fn serialize_kinded<T: Serialize, S: Serializer>(kind: &str, config: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let fields = ser::to_value(config).map_err(serde::ser::Error::custom)?;
    with_kind(kind, fields).serialize(serializer)
}

/// The fields of a mapping with `kind` in front, unless it is there already.
pub(crate) fn with_kind(kind: &str, fields: Value) -> Value {
    let mut map = Map::from_iter([("kind".to_owned(), kind.into())]);
    if let Value::Object(fields) = fields {
        map.extend(fields.into_iter().filter(|(key, _)| key != "kind"));
    }
    Value::Object(map)
}

/// The schema of alternatives told apart by `kind`.
pub fn kinded_schema(kinds: Vec<(&'static str, Schema)>) -> Schema {
    let alternatives: Vec<Value> = kinds
        .into_iter()
        .map(|(kind, schema)| kind_schema(kind, schema.to_value()))
        .collect();
    let schema = json!({ KINDED_MARK: true, "oneOf": alternatives });
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema of a mapping with fields, extended by `kind`.
pub(crate) fn kind_schema(kind: &str, mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    object.remove("title");
    let description = object.get("description").and_then(Value::as_str).unwrap_or(kind);
    let mut properties = Map::from_iter([("kind".to_owned(), json!({ "const": kind, "description": description }))]);
    if let Some(Value::Object(fields)) = object.remove("properties") {
        properties.extend(fields);
    }
    object.insert("type".to_owned(), "object".into());
    object.insert("properties".to_owned(), Value::Object(properties));
    let mut required = vec![Value::from("kind")];
    if let Some(Value::Array(fields)) = object.remove("required") {
        required.extend(fields);
    }
    object.insert("required".to_owned(), Value::Array(required));
    object.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// The JSON Schema of a type, with every definition in place and without a title.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut schema = generator.root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("title");
    }
    tidy(&mut schema);
    schema
}

/// Writes the defaults of 32-bit floats in their shortest form, and describes the one key of an
/// externally tagged variant as the variant is.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let format = object.get("format").or_else(|| object.get("items")?.get("format"));
            if format.and_then(Value::as_str) == Some("float") {
                object.get_mut("default").into_iter().for_each(shorten);
            }
            if let (Some((name, _)), Some(description)) = (tag(object), object.get("description").cloned()) {
                let name = name.to_owned();
                let content = object.get_mut("properties").and_then(|fields| fields.get_mut(name));
                if let Some(content) = content.and_then(Value::as_object_mut) {
                    content.entry("description").or_insert(description);
                }
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Number(number) if number.is_f64() => {
            if let Some(double) = number.as_f64() {
                // A default of an `f32` field is exactly a float, so nothing is lost.
                #[expect(clippy::cast_possible_truncation, reason = "it was widened from an f32")]
                let float = double as f32;
                *value = ser::widen(float).into();
            }
        }
        _ => {}
    }
}
