//! Pure: sizes, durations and processors as people type and read them (go-units, Go's
//! `time.ParseDuration`).

/// A text is not a quantity; the messages are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// No digit, or below zero.
    #[error("invalid size: '{0}'")]
    Size(String),
    /// The letters behind the number.
    #[error("invalid suffix: '{0}'")]
    Suffix(String),
    /// The number itself.
    #[error("strconv.ParseFloat: parsing {0:?}: invalid syntax")]
    Number(String),
    /// Not a duration.
    #[error("time: invalid duration {0:?}")]
    Duration(String),
    /// A number without unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit that Go does not know.
    #[error("time: unknown unit {0:?} in duration {1:?}")]
    UnknownUnit(String, String),
    /// Not a number of processors.
    #[error("failed to parse {0} as a rational number")]
    Rational(String),
    /// Finer than a billionth of a processor.
    #[error("value is too precise")]
    TooPrecise,
}

/// Parses a size of memory in bytes: `512m`, `1.5GiB`, `100`; units are powers of 1024.
pub fn parse_bytes(text: &str) -> Result<i64, InvalidQuantity> {
    let Some(last) = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ') else {
        return Err(InvalidQuantity::Size(text.to_owned()));
    };
    let suffix = text[last + 1..].to_lowercase();
    let number = text[..=last].strip_suffix(' ').unwrap_or(&text[..=last]);
    let size = parse_float(number)?;
    if size < 0.0 {
        return Err(InvalidQuantity::Size(text.to_owned()));
    }
    let bad = || InvalidQuantity::Suffix(suffix.clone());
    let power = match suffix.chars().next() {
        None => 0,
        Some('b') if suffix.len() == 1 => 0,
        Some(unit) => "kmgtp".find(unit).ok_or_else(bad)? + 1,
    };
    if !matches!(suffix.get(1..), None | Some("" | "b" | "ib")) {
        return Err(bad());
    }
    let factor = (0..power).fold(1.0, |factor, _| factor * 1024.0);
    Ok(truncate(size * factor))
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, as sizes may")]
fn truncate(value: f64) -> i64 {
    value as i64
}

fn parse_float(text: &str) -> Result<f64, InvalidQuantity> {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or_else(|| InvalidQuantity::Number(text.to_owned()))
}

/// Parses a Go duration into nanoseconds: `1m30s`, `1.5h`, `100ms`, `0`.
pub fn parse_duration(text: &str) -> Result<i64, InvalidQuantity> {
    let invalid = || InvalidQuantity::Duration(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(InvalidQuantity::MissingUnit(text.to_owned()));
        }
        let scale = unit_nanos(unit)
            .ok_or_else(|| InvalidQuantity::UnknownUnit(unit.to_owned(), text.to_owned()))?;
        let part = scaled(number, scale).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    Ok(if negative { -total } else { total })
}

fn unit_nanos(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Returns a decimal number times `scale`, exactly, cut below one.
fn scaled(number: &str, scale: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(scale)?;
    let mut place = i128::from(scale);
    let mut below: i128 = 0;
    let mut denominator: i128 = 1;
    for digit in fraction.bytes().take(18) {
        denominator *= 10;
        below = below * 10 + i128::from(digit - b'0');
    }
    place *= below;
    total = total.checked_add(i64::try_from(place / denominator).ok()?)?;
    Some(total)
}

/// Parses a number of processors into billionths: `1.5`, `1/4`, `1e-2`.
pub fn parse_cpus(text: &str) -> Result<i64, InvalidQuantity> {
    let bad = || InvalidQuantity::Rational(text.to_owned());
    let (above, below) = match text.split_once('/') {
        Some((above, below)) => (
            decimal(above).ok_or_else(bad)?,
            decimal(below).ok_or_else(bad)?,
        ),
        None => (decimal(text).ok_or_else(bad)?, (1, 1)),
    };
    let numerator = above
        .0
        .checked_mul(below.1)
        .and_then(|n| n.checked_mul(1_000_000_000));
    let denominator = above.1.checked_mul(below.0).filter(|n| *n != 0);
    let (Some(numerator), Some(denominator)) = (numerator, denominator) else {
        return Err(bad());
    };
    if numerator % denominator != 0 {
        return Err(InvalidQuantity::TooPrecise);
    }
    i64::try_from(numerator / denominator).map_err(|_| bad())
}

/// Parses a decimal number into numerator and denominator.
fn decimal(text: &str) -> Option<(i128, i128)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || all.len() > 18 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i128 = all.parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let power = 10_i128
        .checked_pow(places.unsigned_abs())
        .filter(|power| *power < 1 << 60)?;
    let number = if negative { -number } else { number };
    Some(if places >= 0 {
        (number, power)
    } else {
        (number * power, 1)
    })
}

/// Returns a size with decimal units and `precision` digits: `21.5MB`.
pub fn human_size(bytes: i64, precision: usize) -> String {
    human(
        bytes,
        1000.0,
        &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
        precision,
    )
}

/// Returns a size with binary units and four digits: `1.5MiB`.
pub fn human_binary_size(bytes: i64) -> String {
    human(
        bytes,
        1024.0,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        4,
    )
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn human(bytes: i64, base: f64, units: &[&str], precision: usize) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    general(size, precision) + units[unit]
}

/// Formats as C's and Go's `%.{precision}g`.
pub fn general(value: f64, precision: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", precision.max(1) - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
    let trim = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let places = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.places$}"))
}

/// Returns a span of time in words, as go-units' `HumanDuration` does for whole seconds.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800).div_euclid(3600));
    match seconds {
        i64::MIN..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// Returns a duration as Go prints it: `1m30s`, `1.5s`, `100ms`.
pub fn format_duration(duration: std::time::Duration) -> String {
    let nanos = duration.as_nanos();
    let with_fraction = |whole: u128, unit: u128, name: &str| {
        let digits = unit.ilog10() as usize;
        let text = format!("{}.{:0digits$}", whole / unit, whole % unit);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{name}")
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => with_fraction(nanos, 1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => with_fraction(nanos, 1_000_000, "ms"),
        _ => {
            let seconds = with_fraction(nanos % 60_000_000_000, 1_000_000_000, "s");
            let minutes = nanos / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("1kib", 1024),
            ("1 k", 1024),
            ("10B", 10),
            ("3", 3),
            ("2KB", 2048),
            ("1p", 1 << 50),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, message) in [
            ("5x", "invalid suffix: 'x'"),
            ("x", "invalid size: 'x'"),
            ("-5", "invalid size: '-5'"),
            ("3zb", "invalid suffix: 'zb'"),
            ("1mm", "invalid suffix: 'mm'"),
            ("1bb", "invalid suffix: 'bb'"),
            ("", "invalid size: ''"),
            (
                "1.5.5g",
                "strconv.ParseFloat: parsing \"1.5.5\": invalid syntax",
            ),
        ] {
            assert_eq!(parse_bytes(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("100ms", 100_000_000),
            ("0", 0),
            ("-2s", -2_000_000_000),
            (".5s", 500_000_000),
            ("1µs", 1000),
        ] {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
        }
        for (text, message) in [
            ("x", "time: invalid duration \"x\""),
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1h5", "time: missing unit in duration \"1h5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn processors() {
        for (text, nano) in [
            ("1.5", 1_500_000_000),
            ("1/4", 250_000_000),
            ("1e-2", 10_000_000),
            ("-1", -1_000_000_000),
        ] {
            assert_eq!(parse_cpus(text), Ok(nano), "{text}");
        }
        assert_eq!(parse_cpus("1/3"), Err(InvalidQuantity::TooPrecise));
        assert_eq!(parse_cpus("0.0000000001"), Err(InvalidQuantity::TooPrecise));
        for bad in ["x", "", "1/0", "1e999999", "nan", "1..2"] {
            assert_eq!(
                parse_cpus(bad),
                Err(InvalidQuantity::Rational(bad.to_owned()))
            );
        }
    }

    #[test]
    fn for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_982_375, "1.98MB"),
            (21_500_000, "21.5MB"),
            (999_999, "1e+03kB"),
        ] {
            assert_eq!(human_size(bytes, 3), text);
        }
        assert_eq!(human_binary_size(25_276_502_016), "23.54GiB");
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (730 * 86400, "2 years"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }

    #[test]
    fn durations_as_go_prints_them() {
        use std::time::Duration;
        for (nanos, text) in [
            (0, "0s"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_100, "1.1\u{b5}s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
