//! PAX extended header records: `LENGTH KEY=VALUE\n`.
//!
//! Source: POSIX.1-2024 pax, "pax Extended Header".

use crate::entry::Time;

/// What the records of one extended header say about the next entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) mtime: Option<Time>,
    /// `SCHILY.xattr.NAME`.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `GNU.sparse.*` stands here.
    pub(crate) sparse: bool,
}

/// Parses the content of an extended header; the error is the rule that it breaks.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Overrides, &'static str> {
    let mut overrides = Overrides::default();
    while !bytes.is_empty() {
        // Some writers pad with NULs.
        if bytes.iter().all(|byte| *byte == 0) {
            break;
        }
        let (key, value, rest) = record(bytes).ok_or("a PAX record is malformed")?;
        bytes = rest;
        overrides.apply(key, value)?;
    }
    Ok(overrides)
}

impl Overrides {
    fn apply(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.retain(|(other, _)| other != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes an earlier one back.
        let some = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = some.map(<[u8]>::to_vec),
            b"linkpath" => self.link = some.map(<[u8]>::to_vec),
            b"uid" => self.uid = some.map(decimal).transpose()?,
            b"gid" => self.gid = some.map(decimal).transpose()?,
            b"size" => self.size = some.map(decimal).transpose()?,
            b"mtime" => self.mtime = some.map(time).transpose()?,
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
        if [&self.path, &self.link]
            .into_iter()
            .flatten()
            .any(|text| text.contains(&0))
        {
            return Err("a PAX path holds a NUL byte");
        }
        Ok(())
    }
}

/// Writes one record.
pub(crate) fn write(to: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    to.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        to.extend_from_slice(part);
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(bytes.get(..blank)?).ok()?).ok()?;
    let body = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = body.split_at(equals);
    (!key.is_empty()).then_some((key, value.get(1..)?, bytes.get(length..)?))
}

fn decimal(text: &[u8]) -> Result<u64, &'static str> {
    const RULE: &str = "a PAX number is malformed";
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(RULE);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(RULE)
}

/// `[-]SECONDS[.FRACTION]`; the fraction of a negative time counts downwards.
fn time(text: &[u8]) -> Result<Time, &'static str> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(text.len());
    let (whole, fraction) = text.split_at(dot);
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    let seconds = i64::try_from(decimal(whole)?).map_err(|_| "a PAX time is out of range")?;
    let mut nanos = 0_u32;
    for at in 0..9 {
        let digit = fraction.get(at).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return Err("a PAX time is malformed");
        }
        nanos = nanos * 10 + u32::from(digit - b'0');
    }
    Ok(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time {
            seconds: -seconds,
            nanos,
        },
        (true, _) => Time {
            seconds: -seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records() {
        let overrides = parse(b"9 path=a\n12 size=512\n22 mtime=1234.5000001\n").unwrap();
        assert_eq!(overrides.path, Some(b"a".to_vec()));
        assert_eq!(overrides.size, Some(512));
        assert_eq!(
            overrides.mtime,
            Some(Time {
                seconds: 1234,
                nanos: 500_000_100
            })
        );
        let taken_back = parse(b"9 path=a\n8 path=\n").unwrap();
        assert_eq!(taken_back.path, None);
    }

    #[test]
    fn times() {
        for (text, seconds, nanos) in [
            (&b"1"[..], 1, 0),
            (b"-1", -1, 0),
            (b"-1.5", -2, 500_000_000),
            (b"0.123456789999", 0, 123_456_789),
        ] {
            assert_eq!(time(text), Ok(Time { seconds, nanos }));
        }
        for bad in [&b""[..], b".5", b"1.x", b"+1", b"99999999999999999999"] {
            assert!(time(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            &b"path=a\n"[..],
            b"8 path=a\n",
            b"11 path=a\n",
            b"9 path=a ",
            b"6 =ab\n",
            b"99999999999999999999 path=a\n",
            b"11 size=-1\n",
            b"11 path=a\0b\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_writes(value in prop::collection::vec(1_u8.., 1..2000)) {
            let mut bytes = Vec::new();
            write(&mut bytes, b"SCHILY.xattr.user.a", &value);
            write(&mut bytes, b"path", &value);
            let overrides = parse(&bytes).unwrap();
            prop_assert_eq!(overrides.xattrs, vec![(b"user.a".to_vec(), value.clone())]);
            prop_assert_eq!(overrides.path, Some(value));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&bytes));
        }
    }
}
