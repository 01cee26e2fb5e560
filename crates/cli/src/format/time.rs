//! Times for people. Our own terminal's zone is not consulted: UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns `2 minutes ago`.
pub(crate) fn ago(seconds: i64) -> String {
    format!("{} ago", types::units::human_duration(now() - seconds))
}

/// Returns `2006-01-02 15:04:05 +0000 UTC`.
pub(crate) fn go_time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// Returns `2006-01-02T15:04:05Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Turns `--since` and `--until` into what the API takes: Unix seconds with a fraction. Durations
/// count back from now; dates without zone are ours.
pub(crate) fn api_time(text: &str, now: SystemTime) -> Option<String> {
    if let Ok(nanos) = types::units::parse_duration(text) {
        let now = now.duration_since(UNIX_EPOCH).ok()?;
        let at = i128::try_from(now.as_nanos()).ok()? - i128::from(nanos);
        return Some(format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000));
    }
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !text.is_empty()
    {
        return Some(text.to_owned());
    }
    let complete = complete_date(text);
    let time: jiff::Timestamp = complete.parse().ok()?;
    Some(format!(
        "{}.{:09}",
        time.as_second(),
        time.subsec_nanosecond()
    ))
}

/// Adds what is missing to a date: hours, minutes, seconds, zone.
fn complete_date(text: &str) -> String {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    if time.is_empty() {
        return format!("{}T00:00:00Z", date.trim_end_matches('Z'));
    }
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let clock = match clock.matches(':').count() {
        0 => format!("{clock}:00:00"),
        1 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    let zone = if zone.is_empty() { "Z" } else { zone };
    format!("{date}T{clock}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(go_time(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(rfc3339(1_795_260_461), "2026-11-21T11:27:41Z");
    }

    #[test]
    fn since_and_until() {
        let now = UNIX_EPOCH + std::time::Duration::from_millis(100_500);
        for (text, expected) in [
            ("10s", Some("90.500000000")),
            ("12", Some("12")),
            ("12.5", Some("12.5")),
            ("1970-01-01T00:01", Some("60.000000000")),
            ("1970-01-01T00:01:00.25Z", Some("60.250000000")),
            ("1970-01-02", Some("86400.000000000")),
            ("1970-01-01T01:00:00+01:00", Some("0.000000000")),
            ("zz", None),
        ] {
            assert_eq!(api_time(text, now).as_deref(), expected, "{text}");
        }
    }
}
