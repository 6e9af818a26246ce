//! Plain scalars by the YAML 1.2 core schema.

use crate::document::Value;

/// The value of a plain scalar. A whole number beyond 64 bits is a float, as in JSON.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => number(text).unwrap_or_else(|| Value::Str(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return i64::from_str_radix(digits, radix).ok().map(Value::Int);
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // What the core schema calls a number is a part of what Rust reads as one.
    if !is_float(unsigned) {
        return None;
    }
    let whole = text.parse().ok().map(Value::Int);
    whole.or_else(|| text.parse().ok().map(Value::Float))
}

/// `(\.[0-9]+ | [0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_is_number = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_is_number = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    mantissa_is_number && exponent_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let text = |text: &str| Value::Str(text.to_owned());
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("True", Value::Bool(true)),
            ("yes", text("yes")),
            ("12", Value::Int(12)),
            ("-0x1F", text("-0x1F")),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("+7", Value::Int(7)),
            ("1.0e-4", Value::Float(1.0e-4)),
            ("1e3", Value::Float(1e3)),
            ("1e-4", Value::Float(1e-4)),
            (".5", Value::Float(0.5)),
            ("5.", Value::Float(5.0)),
            (".", text(".")),
            ("1e", text("1e")),
            ("inf", text("inf")),
            ("1_000", text("1_000")),
            ("2024-01-01", text("2024-01-01")),
            ("9223372036854775808", Value::Float(9223372036854775808.0)),
            ("1e999", Value::Float(f64::INFINITY)),
            ("0xFFFFFFFFFFFFFFFFF", text("0xFFFFFFFFFFFFFFFFF")),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ];
        for (plain, value) in cases {
            assert_eq!(resolve(plain), value, "{plain}");
        }
    }
}
