//! Pure: finds the key sequence that detaches in what a client types.

/// The state of one client's typing.
#[derive(Clone, Debug)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    /// How many keys were pressed and are held back.
    held: usize,
}

impl DetachKeys {
    /// Looks for `keys`; an empty sequence is never found.
    pub(crate) const fn new(keys: Vec<u8>) -> Self {
        Self { keys, held: 0 }
    }

    /// Appends to `out` what is to be passed on. True: the sequence is complete, and nothing behind
    /// it counts.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(bytes);
            return false;
        }
        for byte in bytes {
            if *byte != self.keys[self.held] {
                out.extend_from_slice(&self.keys[..self.held]);
                self.held = 0;
                if *byte != self.keys[0] {
                    out.push(*byte);
                    continue;
                }
            }
            self.held += 1;
            if self.held == self.keys.len() {
                self.held = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], expect: (&[u8], bool)) {
        let mut keys = DetachKeys::new(vec![16, 17]);
        let mut out = Vec::new();
        let found = chunks.iter().any(|chunk| keys.feed(chunk, &mut out));
        assert_eq!((&out[..], found), expect, "{chunks:?}");
    }

    #[test]
    fn finds_the_sequence_and_gives_the_rest_back() {
        check(&[b"ab\x10\x11cd"], (b"ab", true));
        check(&[b"a\x10", b"\x11"], (b"a", true));
        check(&[b"a\x10", b"b\x11"], (b"a\x10b\x11", false));
        check(&[b"\x10\x10\x11"], (b"\x10", true));
        check(&[b"\x10"], (b"", false));
    }

    #[test]
    fn no_keys_no_detaching() {
        let mut out = Vec::new();
        assert!(!DetachKeys::new(Vec::new()).feed(b"\x10\x11", &mut out));
        assert_eq!(out, b"\x10\x11");
    }
}
