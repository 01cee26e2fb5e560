//! Pure: bytes as they come from a pipe become lines, cut as Docker cuts them: at every end of
//! line, and after [`LINE_MAX`] bytes without one; the pieces of a line carry the time of its
//! first.

/// Longest entry in bytes, without the end of line (moby: `defaultBufSize` of its copier).
pub const LINE_MAX: usize = 16 * 1024;

/// Cuts one stream. Holds at most [`LINE_MAX`] bytes, and none between lines.
#[derive(Debug, Default)]
pub struct Lines {
    tail: Vec<u8>,
    /// Time of the first piece of the line that goes on.
    first_piece_ns: Option<i64>,
}

impl Lines {
    /// Takes bytes and calls `emit` with time and bytes of every entry that is complete, its end
    /// of line included. `now` is asked once per entry.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut now: impl FnMut() -> i64,
        mut emit: impl FnMut(i64, &[u8]),
    ) {
        while !bytes.is_empty() {
            let room = LINE_MAX - self.tail.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let taken = end.map_or(room.min(bytes.len()), |end| end + 1);
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            if end.is_some() {
                let time = self.first_piece_ns.take().unwrap_or_else(&mut now);
                if self.tail.is_empty() {
                    emit(time, piece);
                } else {
                    self.tail.extend_from_slice(piece);
                    emit(time, &self.tail);
                    self.tail = Vec::new();
                }
                continue;
            }
            self.tail.extend_from_slice(piece);
            if self.tail.len() == LINE_MAX {
                self.flush_piece(&mut now, &mut emit);
            }
        }
    }

    /// Gives out what has no end of line, because no more comes.
    pub fn finish(&mut self, now: impl FnMut() -> i64, emit: impl FnMut(i64, &[u8])) {
        if !self.tail.is_empty() {
            self.flush_piece(now, emit);
        }
    }

    fn flush_piece(&mut self, now: impl FnMut() -> i64, mut emit: impl FnMut(i64, &[u8])) {
        let time = *self.first_piece_ns.get_or_insert_with(now);
        emit(time, &self.tail);
        self.tail = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(input: &[u8], chunk: usize) -> Vec<(i64, Vec<u8>)> {
        let mut lines = Lines::default();
        let (mut out, mut clock) = (Vec::new(), 0);
        for bytes in input.chunks(chunk) {
            let now = || {
                clock += 1;
                clock
            };
            lines.feed(bytes, now, |time, bytes| out.push((time, bytes.to_vec())));
        }
        lines.finish(|| 99, |time, bytes| out.push((time, bytes.to_vec())));
        out
    }

    #[test]
    fn lines_are_the_same_whatever_the_chunks() {
        let expect = vec![
            (1, b"a\n".to_vec()),
            (2, b"\n".to_vec()),
            (3, b"bc\n".to_vec()),
            (99, b"d".to_vec()),
        ];
        for chunk in 1..12 {
            assert_eq!(cut(b"a\n\nbc\nd", chunk), expect, "{chunk}");
        }
    }

    #[test]
    fn long_lines_are_cut_and_keep_their_first_time() {
        let mut input = vec![b'x'; LINE_MAX * 2 + 5];
        input.extend(b"\nnext\n");
        for chunk in [1, 4096, input.len()] {
            let out = cut(&input, chunk);
            let shape: Vec<_> = out
                .iter()
                .map(|(time, bytes)| (*time, bytes.len()))
                .collect();
            assert_eq!(
                shape,
                [(1, LINE_MAX), (1, LINE_MAX), (1, 6), (2, 5)],
                "{chunk}"
            );
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit() {
        let mut input = vec![b'x'; LINE_MAX];
        input.push(b'\n');
        for chunk in [1, input.len()] {
            let out = cut(&input, chunk);
            assert_eq!((out[0].1.len(), &out[1].1[..]), (LINE_MAX, &b"\n"[..]));
        }
    }
}
