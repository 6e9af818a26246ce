//! JSON values that read as they were written.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Map, Value};

/// The JSON value of anything serialisable, with 32-bit floats in their shortest form.
///
/// `serde_json::to_value` widens `0.3_f32` to `0.30000001192092896`, which would then stand in
/// the resolved file of every run.
///
/// # Errors
/// A map whose keys are not scalars, or a type that refuses to be serialised.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    value.serialize(ValueSerializer)
}

/// The double that is written as the float is: the nearest to its shortest decimal form.
pub(crate) fn widen(value: f32) -> f64 {
    format!("{value:?}").parse().unwrap_or_else(|_| f64::from(value))
}

struct ValueSerializer;

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, value: bool) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_i8(self, value: i8) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_u8(self, value: u8) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Error> {
        Ok(widen(value).into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_char(self, value: char) -> Result<Value, Error> {
        Ok(value.to_string().into())
    }

    fn serialize_str(self, value: &str) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Error> {
        Ok(value.into())
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<Value, Error> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(tagged(variant, to_value(value)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, Error> {
        Ok(Items::default())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items, Error> {
        Ok(Items::default())
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, Error> {
        Ok(Items::default())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items, Error> {
        Ok(Items {
            variant: Some(variant),
            ..Items::default()
        })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Entries, Error> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Entries, Error> {
        Ok(Entries::default())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Entries, Error> {
        Ok(Entries {
            variant: Some(variant),
            ..Entries::default()
        })
    }
}

fn tagged(variant: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(variant.to_owned(), value)]))
}

fn finish(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => tagged(variant, value),
        None => value,
    }
}

#[derive(Default)]
struct Items {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

macro_rules! serialize_items {
    ($($trait:ident :: $method:ident),*) => { $(
        impl $trait for Items {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.items.push(to_value(value)?);
                Ok(())
            }

            fn end(self) -> Result<Value, Error> {
                Ok(finish(self.variant, Value::Array(self.items)))
            }
        }
    )* };
}

serialize_items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

#[derive(Default)]
struct Entries {
    variant: Option<&'static str>,
    entries: Map<String, Value>,
    key: Option<String>,
}

macro_rules! serialize_fields {
    ($($trait:ident),*) => { $(
        impl $trait for Entries {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.entries.insert(key.to_owned(), to_value(value)?);
                Ok(())
            }

            fn end(self) -> Result<Value, Error> {
                Ok(finish(self.variant, Value::Object(self.entries)))
            }
        }
    )* };
}

serialize_fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(match to_value(key)? {
            Value::String(text) => text,
            key @ (Value::Bool(_) | Value::Number(_)) => key.to_string(),
            _ => return Err(Error::custom("a key must be a scalar")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().unwrap_or_default();
        self.entries.insert(key, to_value(value)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Object(self.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    enum Train {
        None,
        Last(u8),
        Named { layers: Vec<f32> },
        Pair(f32, bool),
    }

    #[test]
    fn values_equal_serde_json_but_for_short_floats() {
        let value = to_value(&(
            Train::None,
            Train::Last(2),
            Train::Named {
                layers: vec![0.3, 1e-5],
            },
            Train::Pair(0.1, true),
            std::collections::BTreeMap::from([(1, Some("x"))]),
        ))
        .unwrap();
        assert_eq!(
            value.to_string(),
            r#"["None",{"Last":2},{"Named":{"layers":[0.3,0.00001]}},{"Pair":[0.1,true]},{"1":"x"}]"#
        );
    }
}
