//! Pure: the functions of templates: Go's own and Docker's.

use std::cmp::Ordering;

use super::eval::{Item, is_true, show};
use crate::format::value::Value;
use crate::text::append;

/// Calls a function; the error is what Go says behind `error calling NAME: `.
pub(super) fn call(name: &str, arguments: Vec<Item>, header: bool) -> Result<Item, String> {
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
    let count = arguments.len();
    let text = |index: usize| arguments.get(index).map(show).unwrap_or_default();
    let needs = |wanted: usize| {
        if count == wanted {
            Ok(())
        } else {
            Err(format!(
                "wrong number of args for {name}: want {wanted} got {count}"
            ))
        }
    };
    let value = match name {
        "json" => {
            needs(1)?;
            Value::String(arguments[0].value.to_json(false))
        }
        "lower" | "upper" | "title" => {
            needs(1)?;
            Value::String(match name {
                "lower" => text(0).to_lowercase(),
                "upper" => text(0).to_uppercase(),
                _ => title(&text(0)),
            })
        }
        "split" => {
            needs(2)?;
            let parts = text(0).split(&text(1)).map(Value::text).collect();
            Value::Array(parts)
        }
        "join" => {
            needs(2)?;
            let Value::Array(values) = &arguments[0].value else {
                return Err("expected a list".to_owned());
            };
            let parts: Vec<String> = values
                .iter()
                .map(|value| show(&Item::new(value.clone())))
                .collect();
            Value::String(parts.join(&text(1)))
        }
        "pad" => {
            needs(3)?;
            let blanks = |index| " ".repeat(integer(&arguments, index).unwrap_or(0).min(10_000));
            let inner = text(0);
            Value::String(if inner.is_empty() {
                inner
            } else {
                format!("{}{inner}{}", blanks(1), blanks(2))
            })
        }
        "truncate" => {
            needs(2)?;
            let mut whole = text(0);
            let most = integer(&arguments, 1).unwrap_or(0);
            let cut = (0..=most.min(whole.len()))
                .rev()
                .find(|at| whole.is_char_boundary(*at));
            whole.truncate(cut.unwrap_or(0));
            Value::String(whole)
        }
        "not" => {
            needs(1)?;
            Value::Bool(!is_true(&arguments[0].value))
        }
        "len" => {
            needs(1)?;
            length(&arguments[0].value)?
        }
        "index" => return index(&arguments),
        "slice" => slice(&arguments)?,
        "print" => Value::String(print(&arguments)),
        "println" => {
            let parts: Vec<String> = arguments.iter().map(show).collect();
            Value::String(parts.join(" ") + "\n")
        }
        "printf" => Value::String(printf(&arguments)?),
        "html" => Value::String(html(&print(&arguments))),
        "js" => Value::String(js(&print(&arguments))),
        "urlquery" => Value::String(crate::http::escape(&print(&arguments))),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, &arguments)?,
        _ => return Err(format!("{name} is not a function here")),
    };
    Ok(Item::new(value))
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

fn type_name(value: &Value) -> &'static str {
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
                append(&mut escaped, format_args!("\\u{:04X}", u32::from(c)))
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The verbs of `fmt.Sprintf` that make sense here: v s d q t x X o b c f g e %, with width,
/// precision, `-`, `0`, `+`.
fn printf(arguments: &[Item]) -> Result<String, String> {
    let Some(Value::String(format)) = arguments.first().map(|item| &item.value) else {
        return Err("wrong number of args for printf: want at least 1 got 0".to_owned());
    };
    let mut rest = arguments[1..].iter();
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| "-+0 #".contains(*c)) {
            flags.push(flag);
        }
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits
                .parse::<usize>()
                .ok()
                .map(|number| number.min(10_000))
        };
        let width = number();
        let dot = format_dot(&mut chars);
        let precision = if dot { precision_of(&mut chars) } else { None };
        let Some(verb) = chars.next() else {
            text.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            text.push('%');
            continue;
        }
        let Some(item) = rest.next() else {
            append(&mut text, format_args!("%!{verb}(MISSING)"));
            continue;
        };
        let shown = verb_text(verb, item, precision, flags.contains('+'));
        pad(&mut text, &shown, width.unwrap_or(0), &flags);
    }
    let extra: Vec<String> = rest
        .map(|item| format!("{}={}", type_name(&item.value), show(item)))
        .collect();
    if !extra.is_empty() {
        append(&mut text, format_args!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(text)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn format_dot(chars: &mut Chars<'_>) -> bool {
    chars.next_if_eq(&'.').is_some()
}

fn precision_of(chars: &mut Chars<'_>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    Some(digits.parse::<usize>().unwrap_or(0).min(1000))
}

fn pad(text: &mut String, shown: &str, width: usize, flags: &str) {
    let missing = width.saturating_sub(shown.chars().count());
    if flags.contains('-') {
        text.push_str(shown);
        text.push_str(&" ".repeat(missing));
    } else if flags.contains('0') {
        let (sign, digits) = match shown.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", shown),
        };
        text.push_str(sign);
        text.push_str(&"0".repeat(missing));
        text.push_str(digits);
    } else {
        text.push_str(&" ".repeat(missing));
        text.push_str(shown);
    }
}

fn verb_text(verb: char, item: &Item, precision: Option<usize>, plus: bool) -> String {
    let bad = || format!("%!{verb}({}={})", type_name(&item.value), show(item));
    let integer = match &item.value {
        Value::Number(text) => text.parse::<i64>().ok(),
        _ => None,
    };
    match (verb, &item.value) {
        ('v', _) => show(item),
        ('s', Value::Number(_) | Value::Bool(_)) => bad(),
        ('s', _) => match precision {
            Some(most) => show(item).chars().take(most).collect(),
            None => show(item),
        },
        ('q', Value::String(text)) => crate::flags::quote(text),
        ('t', Value::Bool(value)) => value.to_string(),
        ('d', Value::Number(_)) => match integer {
            Some(number) if plus && number >= 0 => format!("+{number}"),
            Some(number) => number.to_string(),
            None => bad(),
        },
        ('x' | 'X' | 'o' | 'b' | 'c', Value::Number(_)) => match (verb, integer) {
            ('x', Some(number)) => format!("{number:x}"),
            ('X', Some(number)) => format!("{number:X}"),
            ('o', Some(number)) => format!("{number:o}"),
            ('b', Some(number)) => format!("{number:b}"),
            (_, Some(number)) => u32::try_from(number)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}')
                .to_string(),
            (_, None) => bad(),
        },
        ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('f', Value::Number(text)) => match text.parse::<f64>() {
            Ok(number) if text.contains(['.', 'e']) => {
                format!("{number:.*}", precision.unwrap_or(6))
            }
            _ => bad(),
        },
        ('g', Value::Number(text)) if text.contains(['.', 'e']) => text.clone(),
        _ => bad(),
    }
}
