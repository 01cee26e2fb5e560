//! Pure: moments as Go prints them.

/// Go's zero time.
pub(crate) const ZERO: &str = "0001-01-01T00:00:00Z";

/// Prints nanoseconds since 1970 as RFC 3339 with a fraction without trailing zeros
/// (`time.RFC3339Nano`).
pub(crate) fn rfc3339_nano(ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(moment) => moment.to_string(),
        Err(_) => ZERO.to_owned(),
    }
}

/// Prints a moment that may not have come, as Go prints its zero time.
pub(crate) fn or_zero(ns: Option<i64>) -> String {
    ns.map_or_else(|| ZERO.to_owned(), rfc3339_nano)
}

/// Reads `SECONDS[.NANOSECONDS]` as clients send `since` and `until`; nanoseconds since 1970.
pub(crate) fn parse_unix(text: &str) -> Result<i64, String> {
    let bad = || format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().map_err(|_| bad())?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: i64 = digits.parse().map_err(|_| bad())?;
    Ok(seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds))
}

/// Reads a moment as prune's `until` gives it: a duration back from `now_ns`, Unix seconds, or a
/// date with as much of its time as is said (UTC where no zone is). Nanoseconds since 1970.
pub(crate) fn parse_moment(text: &str, now_ns: i64) -> Option<i64> {
    if let Ok(nanos) = types::units::parse_duration(text) {
        return Some(now_ns.saturating_sub(nanos));
    }
    if let Ok(moment) = parse_unix(text) {
        return Some(moment);
    }
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let missing = match (clock.is_empty(), clock.matches(':').count()) {
        (true, _) => "00:00:00",
        (_, 0) => ":00:00",
        (_, 1) => ":00",
        _ => "",
    };
    let date = date.trim_end_matches('Z');
    let zone = if zone.is_empty() { "Z" } else { zone };
    let moment: jiff::Timestamp = format!("{date}T{clock}{missing}{zone}").parse().ok()?;
    i64::try_from(moment.as_nanosecond()).ok()
}

/// Says how long ago in the words of Docker's lists (go-units `HumanDuration`).
pub(crate) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(rfc3339_nano(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339_nano(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(or_zero(None), ZERO);
        assert_eq!(parse_unix("10.5"), Ok(10_500_000_000));
        assert_eq!(
            parse_unix("foo"),
            Err("strconv.ParseInt: parsing \"foo\": invalid syntax".to_owned())
        );
    }

    #[test]
    fn moments_of_a_filter() {
        const S: i64 = 1_000_000_000;
        for (text, moment) in [
            ("10s", Some(90 * S)),
            ("1h", Some(-3500 * S)),
            ("5", Some(5 * S)),
            ("1970-01-02", Some(86400 * S)),
            ("1970-01-01T00:01", Some(60 * S)),
            ("1970-01-01T00:00:02Z", Some(2 * S)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("zz", None),
            ("", None),
        ] {
            assert_eq!(parse_moment(text, 100 * S), moment, "{text:?}");
        }
    }

    #[test]
    fn durations_in_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (3 * 86400, "3 days"),
            (21 * 86400, "3 weeks"),
            (90 * 86400, "3 months"),
            (3 * 365 * 86400, "3 years"),
        ] {
            assert_eq!(human(seconds), words);
        }
    }
}
