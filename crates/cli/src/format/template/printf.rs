//! Pure: `printf`, as `fmt.Sprintf` words it.

use super::eval::{Item, show};
use super::functions::type_name;
use crate::format::value::Value;
use crate::text::append;

/// The verbs of `fmt.Sprintf` that make sense here: v s d q t x X o b c f g e %, with width,
/// precision, `-`, `0`, `+`.
pub(super) fn printf(arguments: &[Item]) -> Result<String, String> {
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
        let precision = dot.then(|| precision_of(&mut chars));
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

fn precision_of(chars: &mut Chars<'_>) -> usize {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse::<usize>().unwrap_or(0).min(1000)
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
        ('x', Value::String(text)) => {
            let mut hex = String::new();
            text.bytes()
                .for_each(|byte| append(&mut hex, format_args!("{byte:02x}")));
            hex
        }
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
