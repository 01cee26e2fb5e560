//! Pure: times as Go prints and reads them (`time.RFC3339Nano`, UTC).

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// Appends `2026-11-21T09:58:18.455229062Z`; zeros at the end of the fraction are left out.
pub fn push_rfc3339_nano(out: &mut Vec<u8>, time_ns: i64) {
    push_seconds(out, time_ns.div_euclid(SECOND));
    let mut fraction = time_ns.rem_euclid(SECOND);
    if fraction != 0 {
        let mut width = 9;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        out.push(b'.');
        push_number(out, fraction, width);
    }
    out.push(b'Z');
}

/// Returns the time with all nine digits of the fraction, as `docker logs -t` prints it.
pub fn rfc3339_nine_digits(time_ns: i64) -> String {
    let mut out = Vec::with_capacity(30);
    push_seconds(&mut out, time_ns.div_euclid(SECOND));
    out.push(b'.');
    push_number(&mut out, time_ns.rem_euclid(SECOND), 9);
    out.push(b'Z');
    String::from_utf8(out).expect("digits and punctuation are ASCII")
}

fn push_seconds(out: &mut Vec<u8>, seconds: i64) {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
    ];
    for (number, width, behind) in parts {
        push_number(out, number, width);
        out.push(behind);
    }
    push_number(out, second % 60, 2);
}

fn push_number(out: &mut Vec<u8>, mut number: i64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit =
            b'0' + u8::try_from(number % 10).expect("a digit of a number that is not negative");
        number /= 10;
    }
}

/// Reads what [`push_rfc3339_nano`] writes; also other zones (`+02:00`), as RFC 3339 allows.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| parse_number(text.get(from..to)?);
    let is = |at: usize, byte: u8| (*text.get(at)? == byte).then_some(());
    is(4, b'-')
        .and(is(7, b'-'))
        .and(is(13, b':'))
        .and(is(16, b':'))?;
    matches!(text.get(10)?, b'T' | b't' | b' ').then_some(())?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sane = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    (sane && second <= 60).then_some(())?;
    let mut zone = text.get(19..)?;
    let mut fraction = 0;
    if let Some(behind) = zone.strip_prefix(b".") {
        let digits = behind
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let kept = behind
            .get(..digits.min(9))
            .filter(|kept| !kept.is_empty())?;
        let missing = u32::try_from(9 - kept.len()).ok()?;
        fraction = parse_number(kept)? * 10_i64.pow(missing);
        zone = &behind[digits..];
    }
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = parse_number(&[*h1, *h2])? * 3600 + parse_number(&[*m1, *m2])? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(SECOND)?.checked_add(fraction)
}

fn parse_number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970 → year, month, day (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(time_ns: i64) -> String {
        let mut out = Vec::new();
        push_rfc3339_nano(&mut out, time_ns);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prints_as_go() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_500_000_000, "2000-02-29T00:00:00.5Z"),
            (1_795_255_098_455_229_060, "2026-11-21T09:58:18.45522906Z"),
            (4_102_444_799_999_000_000, "2099-12-31T23:59:59.999Z"),
        ];
        for (time, text) in table {
            assert_eq!(print(time), text);
            assert_eq!(parse_rfc3339(text.as_bytes()), Some(time));
        }
        assert_eq!(
            rfc3339_nine_digits(500_000_000),
            "1970-01-01T00:00:00.500000000Z"
        );
    }

    #[test]
    fn every_day_from_1860_to_2260_is_read_back() {
        for day in -40_000..106_000 {
            let time = day * 86_400 * SECOND + 1;
            assert_eq!(parse_rfc3339(print(time).as_bytes()), Some(time));
        }
    }

    #[test]
    fn reads_zones_and_refuses_the_rest() {
        assert_eq!(parse_rfc3339(b"1970-01-01T02:00:00+02:00"), Some(0));
        for bad in [
            "",
            "1970",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:0xZ",
        ] {
            assert_eq!(parse_rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }
}
