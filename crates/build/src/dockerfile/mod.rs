//! Pure: the language of Dockerfiles, as BuildKit's parser has it (frontend 1.26).
//!
//! Bytes become logical lines ([`lex`]), a line becomes an instruction with flags, arguments and
//! here-documents ([`parse`]), and variables become text when a stage asks for it ([`expand`]). Every
//! part knows where it stands in the file ([`Span`]), so that a complaint can point at it.

pub mod expand;
pub mod heredoc;
pub mod lex;
pub mod parse;
pub mod words;

pub use expand::{ExpandError, Expander};
pub use heredoc::Heredoc;
pub use lex::{Directives, LexError, Line};
pub use parse::{Arguments, Dockerfile, Instruction, Keyword, ParseError, parse};

/// Where something stands in the file: bytes from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
}

/// Returns the number of the line (from 1) and of the column (from 1, in characters) of a byte.
pub fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.split(|&byte| byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}

/// Returns a complaint as people want it: the sentence, the line, and a caret below what is meant.
pub fn caret(name: &str, text: &[u8], span: Span, message: &str) -> String {
    let (line, column) = position(text, span.start);
    let all: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    let whole = String::from_utf8_lossy(all.get(line - 1).copied().unwrap_or_default());
    // A tab keeps its width below itself.
    let indent: String = whole
        .chars()
        .take(column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let meant =
        String::from_utf8_lossy(&text[span.start.min(text.len())..span.end.min(text.len())]);
    let width = meant
        .lines()
        .next()
        .map_or(1, |first| first.chars().count().max(1));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    format!(
        "{message}\n{margin}--> {name}:{line}:{column}\n{margin} |\n{number} | {}\n{margin} | {indent}{}\n",
        whole.trim_end_matches('\r'),
        "^".repeat(width)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_below_what_is_meant() {
        let text = b"FROM a\n\tRNU x\n";
        let at = Span { start: 8, end: 11 };
        assert_eq!(position(text, 8), (2, 2));
        assert_eq!(
            caret("Dockerfile", text, at, "unknown instruction: RNU"),
            "unknown instruction: RNU\n --> Dockerfile:2:2\n  |\n2 | \tRNU x\n  | \t^^^\n"
        );
        assert_eq!(position("ä\n".as_bytes(), 2), (1, 2));
        // Beyond the end is the end.
        assert_eq!(position(b"a", 9), (1, 2));
    }
}
