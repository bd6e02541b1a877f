//! Columns and their values on the wire (`docs/protocol.md` section 9), as SQL.
//!
//! History keeps one payload for both generations: numbers are JSON numbers, in the digits that the second generation
//! demands, so that quoting them makes its payload.

use rowtide::protocol::profile::WireGeneration;
use std::borrow::Cow;

/// How a column's values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// `real`, `double precision`.
    Float,
    /// `numeric`.
    Decimal,
    Boolean,
    /// `bytea`: base64.
    Bytes,
    /// `timestamp`, `timestamptz`: ISO 8601.
    Moment,
    /// Everything else, as PostgreSQL writes and reads it.
    Text,
}

impl ColumnKind {
    pub(super) fn of(base_type: &str) -> Self {
        match base_type {
            "int2" | "int4" | "int8" => Self::Integer,
            "float4" | "float8" => Self::Float,
            "numeric" => Self::Decimal,
            "bool" => Self::Boolean,
            "bytea" => Self::Bytes,
            "timestamp" | "timestamptz" => Self::Moment,
            _ => Self::Text,
        }
    }
}

/// A column of a registered table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// Type without its modifier, as a cast is written: the column's own length and scale apply at the assignment,
    /// where what is too long is an error and is not cut.
    pub(super) cast: String,
    pub(super) kind: ColumnKind,
    pub(super) not_null: bool,
    /// Computed by PostgreSQL: sent to clients, not taken from them.
    pub(super) generated: bool,
}

/// A quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Column {
    /// The column's value in the row `t` as JSON text.
    fn value_sql(&self, generation: WireGeneration) -> String {
        let column = format!("t.{}", quoted(&self.name));
        let number = |text: &str| match generation {
            WireGeneration::A => text.to_owned(),
            WireGeneration::B => format!("'\"' || {text} || '\"'"),
        };
        // What JSON has no number for travels as its name.
        let finite = |digits: &str| {
            format!(
                "CASE WHEN {column} IN ('NaN', 'Infinity', '-Infinity') THEN '\"' || {column}::text || '\"' ELSE {} END",
                number(digits)
            )
        };
        let text = match self.kind {
            ColumnKind::Integer => number(&format!("{column}::text")),
            ColumnKind::Float => finite(&format!("rowtide.float_text({column}::double precision)")),
            ColumnKind::Decimal => finite(&format!("{column}::text")),
            ColumnKind::Boolean => format!("{column}::text"),
            ColumnKind::Bytes => format!("'\"' || translate(encode({column}, 'base64'), E'\\n', '') || '\"'"),
            ColumnKind::Moment => format!("to_json({column})"),
            ColumnKind::Text => format!("to_json({column}::text)"),
        };
        format!("coalesce({text}, 'null')")
    }

    /// The column's value in the uploaded `payload` of a row.
    pub(super) fn upload_sql(&self, row: &str) -> String {
        let member = format!("{row}.payload ->> '{}'", self.name);
        match self.kind {
            ColumnKind::Bytes => format!("decode({member}, 'base64')"),
            _ => format!("({member})::{}", self.cast),
        }
    }
}

/// The payload of the row `t` as JSON text.
pub(super) fn payload_sql(columns: &[Column], generation: WireGeneration) -> String {
    let mut sql = String::from("concat('{");
    for (index, column) in columns.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        sql.push_str(&format!("{comma}\"{}\":', {}, '", column.name, column.value_sql(generation)));
    }
    sql.push_str("}')");
    sql
}

/// A stored payload as a generation sends it.
pub(super) fn in_generation(payload: &str, generation: WireGeneration) -> Cow<'_, str> {
    match generation {
        WireGeneration::A => Cow::Borrowed(payload),
        WireGeneration::B => Cow::Owned(quote_numbers(payload)),
    }
}

/// Quotes the numbers of a flat JSON object.
fn quote_numbers(payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + 16);
    let (mut in_text, mut escaped, mut in_number) = (false, false, false);
    for character in payload.chars() {
        if in_text {
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if in_number && matches!(character, ',' | '}') {
            out.push('"');
            in_number = false;
        } else if !in_number && (character == '-' || character.is_ascii_digit()) {
            out.push('"');
            in_number = true;
        } else {
            in_text = character == '"';
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_quoted_and_nothing_else_is_touched() {
        let stored = r#"{"id":"7, -1}","count":-9007199254740993,"ratio":5e-324,"flag":true,"none":null,"text":"a\"1,\\","n":0}"#;
        let quoted = r#"{"id":"7, -1}","count":"-9007199254740993","ratio":"5e-324","flag":true,"none":null,"text":"a\"1,\\","n":"0"}"#;
        assert_eq!(in_generation(stored, WireGeneration::A), stored);
        assert_eq!(in_generation(stored, WireGeneration::B), quoted);
    }

    #[test]
    fn an_empty_payload_and_text_beyond_ascii_stay() {
        for payload in ["{}", r#"{"id":"日本 12"}"#] {
            assert_eq!(in_generation(payload, WireGeneration::B), payload);
        }
    }
}
