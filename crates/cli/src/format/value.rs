//! Pure: JSON with its order of keys and the text of its numbers kept.

use crate::text::append;
use serde::de::{MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Keys in the order they came.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Makes a text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Object(entries) => entries
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns JSON without blanks, as Go's encoder writes it.
    pub(crate) fn to_json(&self, escape_html: bool) -> String {
        let mut text = String::new();
        self.write_json(&mut text, escape_html);
        text
    }

    fn write_json(&self, to: &mut String, escape_html: bool) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bool(value) => to.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => to.push_str(text),
            Self::String(text) => write_string(text, to, escape_html),
            Self::Array(values) => {
                to.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    value.write_json(to, escape_html);
                }
                to.push(']');
            }
            Self::Object(entries) => {
                to.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    write_string(key, to, escape_html);
                    to.push(':');
                    value.write_json(to, escape_html);
                }
                to.push('}');
            }
        }
    }
}

fn write_string(text: &str, to: &mut String, escape_html: bool) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\x08' => to.push_str("\\b"),
            '\x0c' => to.push_str("\\f"),
            '<' | '>' | '&' if escape_html => append(to, format_args!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => append(to, format_args!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => append(to, format_args!("\\u{:04x}", u32::from(c))),
            c => to.push(c),
        }
    }
    to.push('"');
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Number(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Number(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Number(value.to_string()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::String(value.to_owned()))
            }
            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::String(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Value::Array(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Object(entries))
            }
        }
        from.deserialize_any(Reader)
    }
}

/// Lays JSON out as Go's `json.Indent` with four blanks does.
pub(crate) fn indent(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut chars = json.chars().peekable();
    let newline = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("    ", depth));
    };
    let (mut in_string, mut escaped) = (false, false);
    while let Some(c) = chars.next() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                text.push(c);
                while chars.peek().is_some_and(char::is_ascii_whitespace) {
                    chars.next();
                }
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    newline(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                newline(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                in_string = true;
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_escapes_are_kept() {
        let text = r#"{"b":[1,-2,true,null],"a":{"z":"<\"\\\n>"},"e":{},"f":[]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.to_json(false), text);
        assert_eq!(
            value.get("a").unwrap().to_json(true),
            r#"{"z":"\u003c\"\\\n\u003e"}"#
        );
    }

    #[test]
    fn indented_as_go_does() {
        assert_eq!(
            indent(r#"[{"a":"x,{:\"","b":[1,2],"c":{},"d":[ ]}]"#),
            "[\n    {\n        \"a\": \"x,{:\\\"\",\n        \"b\": [\n            1,\n            2\n        ],\n        \"c\": {},\n        \"d\": []\n    }\n]"
        );
    }
}
