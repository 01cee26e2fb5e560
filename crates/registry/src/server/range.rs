//! Pure: ranges of bytes, as clients ask for them and as they push them.

/// Which bytes of a blob are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range was asked for, or one that may be ignored (RFC 9110 §14.2).
    All,
    /// From the first position, so many.
    Part { from: u64, len: u64 },
    /// No byte of the blob lies in it.
    Nothing,
}

/// Reads a `Range` header for a blob of `size` bytes. Several ranges at once are answered whole.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((unit, set)) = header.and_then(|text| text.split_once('=')) else {
        return Wanted::All;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Wanted::All;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::All;
    }
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match number(last) {
            None => Wanted::All,
            Some(0) => Wanted::Nothing,
            Some(_) if size == 0 => Wanted::Nothing,
            Some(count) => {
                let len = count.min(size);
                let from = size - len;
                Wanted::Part { from, len }
            }
        };
    }
    let end = if last.is_empty() {
        Some(u64::MAX)
    } else {
        number(last)
    };
    match (number(first), end) {
        (Some(from), Some(end)) if from <= end => {
            if from >= size {
                return Wanted::Nothing;
            }
            let len = end.min(size - 1) - from + 1;
            Wanted::Part { from, len }
        }
        _ => Wanted::All,
    }
}

/// Reads the `Content-Range` of a chunk, `^[0-9]+-[0-9]+$`: its first position and its length.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let (first, last) = header.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let len = last.checked_sub(first)?.checked_add(1)?;
    Some((first, len))
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What does not fit is beyond every blob.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let part = |from, len| Wanted::Part { from, len };
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=2-", part(2, 8)),
            ("bytes=9-", part(9, 1)),
            ("bytes=5-100", part(5, 5)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("Bytes = 1-2", part(1, 2)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=0-99999999999999999999999", part(0, 10)),
            ("bytes=3-1", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header:?}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        for header in ["bytes=0-", "bytes=-1"] {
            assert_eq!(wanted(Some(header), 0), Wanted::Nothing, "{header}");
        }
    }

    #[test]
    fn chunks_are_inclusive() {
        assert_eq!(chunk("0-0"), Some((0, 1)));
        assert_eq!(chunk("10-19"), Some((10, 10)));
        for bad in [
            "",
            "-",
            "0-",
            "-1",
            "1-0",
            "a-b",
            "bytes 0-1/2",
            "+0-1",
            " 0-1",
        ] {
            assert_eq!(chunk(bad), None, "{bad:?}");
        }
        assert_eq!(chunk("0-18446744073709551615"), None);
    }
}
