//! Pure: the functions of templates: Go's own and Docker's.

use std::cmp::Ordering;

use super::eval::{Item, is_true, show};
use crate::format::value::Value;
use crate::text::append;

/// Calls a function; the error is what Go says behind `error calling NAME: `.
pub(super) fn call(name: &str, arguments: &[Item], header: bool) -> Result<Item, String> {
    // The names of columns are left alone.
    if header
        && matches!(
            name,
            "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate"
        )
        && let Some(first) = arguments.first()
    {
        return Ok(first.clone());
    }
    let wanted = match name {
        "json" | "lower" | "upper" | "title" | "not" | "len" => 1,
        "split" | "join" | "truncate" => 2,
        "pad" => 3,
        _ => arguments.len(),
    };
    if arguments.len() != wanted {
        let count = arguments.len();
        return Err(format!(
            "wrong number of args for {name}: want {wanted} got {count}"
        ));
    }
    let value = match name {
        "json" => Value::String(arguments[0].value.to_json(false)),
        "not" => Value::Bool(!is_true(&arguments[0].value)),
        "len" => length(&arguments[0].value)?,
        "index" => return index(arguments),
        "slice" => slice(arguments)?,
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, arguments)?,
        "split" => {
            let parts = show(&arguments[0])
                .split(&show(&arguments[1]))
                .map(Value::text)
                .collect();
            Value::Array(parts)
        }
        _ => Value::String(text_function(name, arguments)?),
    };
    Ok(Item::new(value))
}

/// The functions that make a text.
fn text_function(name: &str, arguments: &[Item]) -> Result<String, String> {
    let text = |index: usize| arguments.get(index).map(show).unwrap_or_default();
    Ok(match name {
        "lower" => text(0).to_lowercase(),
        "upper" => text(0).to_uppercase(),
        "title" => title(&text(0)),
        "join" => {
            let Value::Array(values) = &arguments[0].value else {
                return Err("expected a list".to_owned());
            };
            let shown = |value: &Value| show(&Item::new(value.clone()));
            values.iter().map(shown).collect::<Vec<_>>().join(&text(1))
        }
        "pad" => {
            let blanks = |index| " ".repeat(integer(arguments, index).unwrap_or(0).min(10_000));
            let inner = text(0);
            if inner.is_empty() {
                inner
            } else {
                [blanks(1), inner, blanks(2)].concat()
            }
        }
        "truncate" => {
            let mut whole = text(0);
            let most = integer(arguments, 1).unwrap_or(0).min(whole.len());
            let cut = (0..=most).rev().find(|at| whole.is_char_boundary(*at));
            whole.truncate(cut.unwrap_or(0));
            whole
        }
        "print" => print(arguments),
        "println" => arguments.iter().map(show).collect::<Vec<_>>().join(" ") + "\n",
        "printf" => super::printf::printf(arguments)?,
        "html" => html(&print(arguments)),
        "js" => js(&print(arguments)),
        "urlquery" => crate::http::escape(&print(arguments)),
        _ => return Err(format!("{name} is not a function here")),
    })
}

fn integer(arguments: &[Item], index: usize) -> Option<usize> {
    match &arguments.get(index)?.value {
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    let upper = |c: char| c.to_uppercase().next().unwrap_or(c);
    text.chars()
        .map(|c| {
            let result = if start { upper(c) } else { c };
            start = !(c.is_alphanumeric() || c == '_' || c == '\'');
            result
        })
        .collect()
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.len(),
        Value::Object(entries) => entries.len(),
        Value::Null => 0,
        Value::Bool(_) => return Err("len of type bool".to_owned()),
        Value::Number(_) => return Err("len of type int".to_owned()),
    };
    Ok(Value::Number(length.to_string()))
}

fn index(arguments: &[Item]) -> Result<Item, String> {
    let Some(first) = arguments.first() else {
        return Err("wrong number of args for index: want at least 1 got 0".to_owned());
    };
    let mut item = first.clone();
    for key in &arguments[1..] {
        let value = match (&item.value, &key.value) {
            (Value::Array(values), Value::Number(text)) => {
                let found = text.parse::<usize>().ok().and_then(|at| values.get(at));
                found
                    .cloned()
                    .ok_or_else(|| format!("index out of range: {text}"))?
            }
            (Value::Object(_), Value::String(name)) => item
                .value
                .get(name)
                .cloned()
                .unwrap_or_else(|| Value::text("")),
            (Value::Object(_), _) => {
                return Err(format!(
                    "value has type {}; should be string",
                    type_name(&key.value)
                ));
            }
            (Value::Array(_), _) => {
                return Err(format!(
                    "cannot index slice/array with type {}",
                    type_name(&key.value)
                ));
            }
            (Value::Null, _) => Value::text(""),
            (value, _) => return Err(format!("can't index item of type {}", type_name(value))),
        };
        item = Item {
            value,
            field: "index".to_owned(),
        };
    }
    Ok(item)
}

fn slice(arguments: &[Item]) -> Result<Value, String> {
    let from = if arguments.len() > 1 {
        integer(arguments, 1).ok_or("cannot index slice")?
    } else {
        0
    };
    match arguments.first().map(|item| &item.value) {
        Some(Value::String(text)) => {
            let to = if arguments.len() > 2 {
                integer(arguments, 2).ok_or("cannot index slice")?
            } else {
                text.len()
            };
            let part = text
                .get(from..to)
                .ok_or_else(|| format!("index out of range: {}", to.max(from)))?;
            Ok(Value::text(part))
        }
        Some(Value::Array(values)) => {
            let to = if arguments.len() > 2 {
                integer(arguments, 2).ok_or("cannot index slice")?
            } else {
                values.len()
            };
            let part = values
                .get(from..to)
                .ok_or_else(|| format!("index out of range: {}", to.max(from)))?;
            Ok(Value::Array(part.to_vec()))
        }
        Some(value) => Err(format!("can't slice item of type {}", type_name(value))),
        None => Err("wrong number of args for slice: want at least 1 got 0".to_owned()),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(text) if text.contains(['.', 'e']) => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As `fmt.Sprint`: blanks only between operands that are not texts.
fn print(arguments: &[Item]) -> String {
    let mut text = String::new();
    let is_text = |item: &Item| matches!(item.value, Value::String(_));
    for (index, item) in arguments.iter().enumerate() {
        if index > 0 && !is_text(item) && !is_text(&arguments[index - 1]) {
            text.push(' ');
        }
        text.push_str(&show(item));
    }
    text
}

fn compare(name: &str, arguments: &[Item]) -> Result<Value, String> {
    let [first, rest @ ..] = arguments else {
        return Err("missing argument for comparison".to_owned());
    };
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    if name == "eq" {
        for other in rest {
            if order(&first.value, &other.value)? == Ordering::Equal {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    let [second] = rest else {
        return Err(format!(
            "wrong number of args for {name}: want 2 got {}",
            arguments.len()
        ));
    };
    let order = order(&first.value, &second.value)?;
    Ok(Value::Bool(match name {
        "ne" => order != Ordering::Equal,
        "lt" => order == Ordering::Less,
        "le" => order != Ordering::Greater,
        "gt" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
        (Value::Null, Value::Null) => Ok(Ordering::Equal),
        (Value::Null, _) | (_, Value::Null) => Ok(Ordering::Less),
        (Value::Number(x), Value::Number(y)) if type_name(a) == type_name(b) => {
            let (x, y): (f64, f64) = (x.parse().unwrap_or(0.0), y.parse().unwrap_or(0.0));
            Ok(x.total_cmp(&y))
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn html(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn js(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' => append(&mut escaped, format_args!("\\u{:04X}", u32::from(c))),
            c if u32::from(c) < 0x20 => {
                append(&mut escaped, format_args!("\\u{:04X}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
