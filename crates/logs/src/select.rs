//! Pure: which entries a reader is shown.

use crate::entry::Entry;

/// What `--since`, `--until` and `--tail` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// Only entries at this time or later, in nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// Only entries at this time or earlier; the first later one ends the reading.
    pub until_ns: Option<i64>,
    /// Only the last so many that exist at the beginning; counted before the times are looked at.
    pub tail: Option<u64>,
}

/// What to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Show it.
    Show,
    /// Not this one.
    Skip,
    /// Neither this nor any later one.
    End,
}

impl Select {
    /// Judges an entry. Entries come in the order of their times.
    pub(crate) fn judge(&self, entry: &Entry) -> Verdict {
        if self.until_ns.is_some_and(|until| entry.time_ns > until) {
            Verdict::End
        } else if self.since_ns.is_some_and(|since| entry.time_ns < since) {
            Verdict::Skip
        } else {
            Verdict::Show
        }
    }
}

/// Looks from the end of `block` for the ends of lines, of which `wanted` are still to be passed
/// (the one at the very end of the file included). Returns the offset behind the last one wanted,
/// or how many are still wanted before this block.
pub(crate) fn tail_in_block(block: &[u8], wanted: u64) -> Result<usize, u64> {
    let mut left = wanted;
    for (at, byte) in block.iter().enumerate().rev() {
        if *byte == b'\n' {
            left -= 1;
            if left == 0 {
                return Ok(at + 1);
            }
        }
    }
    Err(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Stream;

    #[test]
    fn times_are_inclusive() {
        let select = Select {
            since_ns: Some(5),
            until_ns: Some(7),
            tail: None,
        };
        let judge = |time_ns| {
            select.judge(&Entry {
                time_ns,
                stream: Stream::Stdout,
                bytes: Vec::new(),
            })
        };
        let verdicts = [4, 5, 7, 8].map(judge);
        assert_eq!(
            verdicts,
            [Verdict::Skip, Verdict::Show, Verdict::Show, Verdict::End]
        );
    }

    #[test]
    fn tails_are_found_across_blocks() {
        // Two lines wanted: the third end of line from behind is where they begin.
        assert_eq!(tail_in_block(b"a\nb\nc\n", 3), Ok(2));
        assert_eq!(tail_in_block(b"b\nc\n", 3), Err(1));
        assert_eq!(tail_in_block(b"a\n", 1), Ok(2));
        assert_eq!(tail_in_block(b"", 1), Err(1));
    }
}
