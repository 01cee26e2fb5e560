//! Pure: the Dockerfile language: text becomes instructions (Dockerfile reference, frontend 1.26).
//!
//! [`lex`] joins physical lines to logical ones, [`words`] splits a line by each instruction's own
//! grammar, [`parse`] makes typed instructions, [`expand`] puts values in place of variables.

pub mod expand;
mod instruction;
pub mod lex;
pub mod parse;
mod words;

pub use expand::Expander;
pub use instruction::{Command, CopyFlags, Form, From, Healthcheck, Instruction, RunFlags};
pub use parse::{Dockerfile, Node, Stage, parse, parse_trigger};

/// What is wrong with a Dockerfile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line cannot be understood.
    #[error("dockerfile parse error on line {line}: {reason}")]
    Line {
        /// The first physical line of the instruction, from 1.
        line: usize,
        /// Why, in BuildKit's words.
        reason: String,
    },
    /// It is wrong as a whole.
    #[error("{0}")]
    Whole(String),
}

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Makes an error of a line.
pub(crate) fn at(line: usize, reason: impl Into<String>) -> Error {
    Error::Line {
        line,
        reason: reason.into(),
    }
}
