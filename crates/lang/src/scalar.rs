//! Plain scalars by the YAML 1.2 core schema.

use crate::document::Value;

/// The value of a plain scalar.
///
/// # Errors
/// A number that does not fit 64 bits.
pub(crate) fn resolve(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => return number(text),
    })
}

fn number(text: &str) -> Result<Value, String> {
    let too_large = |_| format!("the number {} does not fit 64 bits", shortened(text));
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && all(digits, radix)
        {
            return i64::from_str_radix(digits, radix).map(Value::Int).map_err(too_large);
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if all(unsigned, 10) {
        return text.parse().map(Value::Int).map_err(too_large);
    }
    if is_float(unsigned) {
        // The grammar of the core schema is a part of what Rust reads.
        if let Ok(value) = text.parse::<f64>() {
            return if value.is_finite() {
                Ok(Value::Float(value))
            } else {
                Err(format!("the number {} does not fit 64 bits", shortened(text)))
            };
        }
    }
    Ok(Value::Str(text.to_owned()))
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

fn shortened(text: &str) -> String {
    if text.len() <= 24 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(24).collect::<String>())
    }
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
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ];
        for (plain, value) in cases {
            assert_eq!(resolve(plain), Ok(value), "{plain}");
        }
        for plain in ["9223372036854775808", "1e999", "0xFFFFFFFFFFFFFFFFF"] {
            assert!(resolve(plain).is_err(), "{plain}");
        }
    }
}
