//! Pure: ranges of bytes: what a client asks for, what a server says it gives or has.

/// Which bytes of how many an answer holds: `Content-Range: bytes 5-9/10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, which is included.
    pub last: u64,
    /// How many there are; `None` when the server does not know.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads the header.
    pub fn parse(header: &str) -> Option<Self> {
        let rest = header.trim().strip_prefix("bytes ")?;
        let (range, total) = rest.split_once('/')?;
        let (first, last) = pair(range)?;
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        (total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }
}

/// Writes a request for everything from a byte on.
pub fn from_byte(first: u64) -> String {
    format!("bytes={first}-")
}

/// Reads how many bytes an upload has: `Range: 0-99`, with or without `bytes=`.
pub fn received(header: &str) -> Option<u64> {
    let text = header.trim();
    let (first, last) = pair(text.strip_prefix("bytes=").unwrap_or(text))?;
    // An empty upload is `0-0`, as is one of one byte: a server that counts so is asked again.
    (first == 0).then(|| if last == 0 { 0 } else { last + 1 })
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && last < u64::MAX).then_some((first, last))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    (text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let some = |first, last, total| Some(ContentRange { first, last, total });
        for (header, expect) in [
            ("bytes 0-4/10", some(0, 4, Some(10))),
            ("bytes 5-9/*", some(5, 9, None)),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes -1-2/3", None),
            ("bytes 0-18446744073709551615/*", None),
            ("items 0-4/10", None),
        ] {
            assert_eq!(ContentRange::parse(header), expect, "{header}");
        }
    }

    #[test]
    fn uploads() {
        assert_eq!(received("0-99"), Some(100));
        assert_eq!(received("bytes=0-99"), Some(100));
        assert_eq!(received("0-0"), Some(0));
        assert_eq!(received("1-2"), None);
        assert_eq!(from_byte(7), "bytes=7-");
    }
}
