//! Pure: the keys that end an attachment: `ctrl-p,ctrl-q`.

use crate::error::{Error, Result};

/// A sequence of keys, and how much of it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    sequence: Vec<u8>,
    typed: usize,
}

impl Keys {
    /// Parses `--detach-keys`; an empty text means the default.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = if text.is_empty() {
            "ctrl-p,ctrl-q"
        } else {
            text
        };
        let mut sequence = Vec::new();
        for key in text.split(',') {
            let code = match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
                (&[byte], _) => Some(byte),
                (_, Some(&[b'@'])) => Some(0),
                (_, Some(&[letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
                (_, Some(b"[")) => Some(27),
                (_, Some(b"\\")) => Some(28),
                (_, Some(b"]")) => Some(29),
                (_, Some(b"^")) => Some(30),
                (_, Some(b"_")) => Some(31),
                _ => None,
            };
            let bad = || Error::text(format!("invalid detach keys ({text}) provided"));
            sequence.push(code.ok_or_else(bad)?);
        }
        Ok(Self { sequence, typed: 0 })
    }

    /// Returns what of the typed bytes goes on, and whether the sequence is complete. Bytes that
    /// only began the sequence follow when it turns out to be something else.
    pub(crate) fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.sequence.get(self.typed) == Some(&byte) {
                self.typed += 1;
                if self.typed == self.sequence.len() {
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.sequence[..self.typed]);
            self.typed = 0;
            if self.sequence.first() == Some(&byte) {
                self.typed = 1;
            } else {
                passed.push(byte);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_held_back() {
        let mut keys = Keys::parse("").unwrap();
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.filter(b"b\x10"), (b"\x10b".to_vec(), false));
        assert_eq!(keys.filter(b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11x"), (Vec::new(), true));
        let mut keys = Keys::parse("ctrl-@,x,ctrl-_").unwrap();
        assert_eq!(keys.filter(b"\0x\x1f"), (Vec::new(), true));
        for bad in ["zzz", "ctrl-A", "a,,b", "ctrl-"] {
            assert!(Keys::parse(bad).is_err(), "{bad}");
        }
    }
}
