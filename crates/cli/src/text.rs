//! Pure: texts put together piece by piece.

use std::fmt::Write;

/// Appends formatted text.
pub(crate) fn append(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece)
        .expect("invariant: a String takes every text");
}
