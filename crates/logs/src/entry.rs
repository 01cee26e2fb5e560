//! Pure: one line of output, with where and when it came out.

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Output.
    Stdout,
    /// Errors.
    Stderr,
}

impl Stream {
    /// Returns `stdout` or `stderr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it came out, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Where.
    pub stream: Stream,
    /// Its bytes, the end of line included.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// Tells whether the end of the line is missing.
    pub fn is_partial(&self) -> bool {
        self.bytes.last() != Some(&b'\n')
    }
}
