//! Canonical JSON, in the two forms that bundle hashes are computed over (`docs/protocol.md` section 10).

use serde_json::Value;
use std::fmt::Write;

/// Which canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanonicalForm {
    /// GEN-A: every number rounded through binary64, members sorted by bytes, HTML characters escaped.
    Binary64,
    /// GEN-B: RFC 8785 (JCS).
    Jcs,
}

/// Appends the canonical form of `value` to `out`.
pub fn write_value(form: CanonicalForm, value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            let float = number.as_f64().expect("a JSON number within binary64 range was parsed");
            let negative_zero = float == 0.0 && float.is_sign_negative();
            if form == CanonicalForm::Binary64 && negative_zero {
                out.push_str("-0");
            } else {
                out.push_str(ryu_js::Buffer::new().format(float));
            }
        }
        Value::String(text) => write_text(form, text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(form, item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            if form == CanonicalForm::Jcs {
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(form, name, out);
                out.push(':');
                write_value(form, member, out);
            }
            out.push('}');
        }
    }
}

/// Appends `text` as a canonical JSON string.
pub fn write_text(form: CanonicalForm, text: &str, out: &mut String) {
    let start = out.len();
    super::value::encode_text(text, out);
    let html = |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    if form == CanonicalForm::Binary64 && out[start..].contains(html) {
        let plain = out.split_off(start);
        for character in plain.chars() {
            if html(character) {
                write!(out, "\\u{:04x}", u32::from(character)).expect("a String takes every write");
            } else {
                out.push(character);
            }
        }
    }
}

/// The canonical form of a JSON text.
pub fn canonicalize(form: CanonicalForm, json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(json.len());
    write_value(form, &serde_json::from_str(json)?, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_characters_are_escaped_in_the_first_generation_only() {
        let json = "\"<&>\u{2028}\u{7f}\\u0001\\b\"";
        let a = canonicalize(CanonicalForm::Binary64, json).expect("JSON");
        assert_eq!(a, "\"\\u003c\\u0026\\u003e\\u2028\u{7f}\\u0001\\b\"");
        let b = canonicalize(CanonicalForm::Jcs, json).expect("JSON");
        assert_eq!(b, "\"<&>\u{2028}\u{7f}\\u0001\\b\"");
    }

    #[test]
    fn members_are_sorted_and_numbers_rounded_through_binary64() {
        let json = r#"{"b":9007199254740993,"a":[1.0,1e21,-0.0]}"#;
        let canonical = canonicalize(CanonicalForm::Binary64, json).expect("JSON");
        assert_eq!(canonical, r#"{"a":[1,1e+21,-0],"b":9007199254740992}"#);
    }
}
