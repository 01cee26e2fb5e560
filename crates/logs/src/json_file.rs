//! Pure: Docker's json-file format, byte for byte:
//! `{"log":"…\n","stream":"stdout","time":"2026-11-21T09:58:18.455229062Z"}` and an end of line.

use std::borrow::Cow;

use serde::Deserialize;

use crate::entry::{Entry, Stream};
use crate::time;

/// Appends one entry as a line of the file.
pub fn encode(out: &mut Vec<u8>, time_ns: i64, stream: Stream, bytes: &[u8]) {
    out.push(b'{');
    if !bytes.is_empty() {
        out.extend_from_slice(b"\"log\":\"");
        for chunk in bytes.utf8_chunks() {
            escape(out, chunk.valid());
            // Go replaces every byte that is not part of a character.
            for _ in chunk.invalid() {
                out.extend_from_slice(b"\\ufffd");
            }
        }
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(b"\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    time::push_rfc3339_nano(out, time_ns);
    out.extend_from_slice(b"\"}\n");
}

/// Escapes as moby's `ffjsonWriteJSONBytesAsString`: for HTML and JavaScript too.
fn escape(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let unicode;
        let (escaped, len): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            0..0x20 | b'<' | b'>' | b'&' => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                unicode = [b'\\', b'u', b'0', b'0', high, low];
                (&unicode, 1)
            }
            0xe2 => match bytes.get(at + 1..at + 3) {
                // U+2028 and U+2029 end a line in JavaScript.
                Some(&[0x80, 0xa8]) => (b"\\u2028", 3),
                Some(&[0x80, 0xa9]) => (b"\\u2029", 3),
                _ => continue,
            },
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..at]);
        out.extend_from_slice(escaped);
        start = at + len;
    }
    out.extend_from_slice(&bytes[start..]);
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads a line of the file; none when it is not one (a crash or a full disk may cut one short).
pub fn decode(line: &[u8]) -> Option<Entry> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(Entry {
        time_ns: time::parse_rfc3339(line.time.as_bytes())?,
        stream: if line.stream == "stderr" {
            Stream::Stderr
        } else {
            Stream::Stdout
        },
        bytes: line.log.into_owned().into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(&mut out, 1_500_000_000, Stream::Stdout, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_go_s() {
        let table: [(&[u8], &str); 9] = [
            (b"hello\n", r"hello\n"),
            (
                b"\"\\\r\t\0\x1b\x7f",
                "\\\"\\\\\\r\\u0009\\u0000\\u001b\x7f",
            ),
            (b"<a>&", r"\u003ca\u003e\u0026"),
            (
                "é\u{2028}x\u{2029}\u{202a}".as_bytes(),
                "é\\u2028x\\u2029\u{202a}",
            ),
            (b"a\xffb", r"a\ufffdb"),
            (b"\xe2\x80", r"\ufffd\ufffd"),
            (b"\xf0\x9f\x98", r"\ufffd\ufffd\ufffd"),
            ("😀".as_bytes(), "😀"),
            (b"\xed\xa0\x80", r"\ufffd\ufffd\ufffd"),
        ];
        for (bytes, escaped) in table {
            let expect = format!(
                "{{\"log\":\"{escaped}\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01.5Z\"}}\n"
            );
            assert_eq!(text(bytes), expect);
        }
        assert_eq!(
            text(b""),
            "{\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01.5Z\"}\n"
        );
    }

    #[test]
    fn reads_what_it_writes() {
        for bytes in [
            &b"plain\n"[..],
            b"",
            b"\x01\x02<>&\"\\",
            "é\u{2028}😀".as_bytes(),
        ] {
            let entry = decode(text(bytes).trim_end().as_bytes()).unwrap();
            assert_eq!(entry.bytes, bytes);
            assert_eq!(
                (entry.time_ns, entry.stream),
                (1_500_000_000, Stream::Stdout)
            );
        }
        let foreign =
            br#"{"log":"x\n","stream":"stderr","attrs":{"a":"b"},"time":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(decode(foreign).unwrap().stream, Stream::Stderr);
        assert_eq!(decode(b"{\"log\":\"cut sho"), None);
    }
}
