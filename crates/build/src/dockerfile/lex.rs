//! Pure: bytes become logical lines: comments and continuations are taken out, and each byte that is
//! left knows where it came from.

use super::Span;

/// The longest physical line (a limit of Go's scanner that files rely on).
pub const LINE_MAX: usize = 65_535;

/// A file's lines cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// The line is too long.
    #[error("dockerfile line greater than max allowed size of {LINE_MAX}")]
    TooLong(Span),
    /// `# escape=` twice, or another directive.
    #[error("only one {0} parser directive can be used")]
    Repeated(String, Span),
    /// `# escape=` something else.
    #[error("invalid escape token '{0}' does not match ` or \\")]
    Escape(String, Span),
}

impl LexError {
    /// Returns where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::TooLong(span) | Self::Repeated(_, span) | Self::Escape(_, span) => *span,
        }
    }
}

/// What the comments at the very beginning say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// The character that continues lines and takes meaning away: `\` or a backtick.
    pub escape: char,
    /// `# syntax=`.
    pub syntax: Option<String>,
    /// `# check=`.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            escape: '\\',
            syntax: None,
            check: None,
        }
    }
}

/// A logical line: what is left of some physical ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, without continuations, comments and the blanks before the first word.
    pub text: Vec<u8>,
    /// The first and last physical line, from 1.
    pub lines: (usize, usize),
    /// The comments right above it.
    pub comments: Vec<String>,
    /// An empty line stood among the continued ones.
    pub has_empty_continuation: bool,
    /// Where in the text a piece begins, and where in the file it comes from.
    pieces: Vec<(usize, usize)>,
}

impl Line {
    /// Returns where in the file a part of the text stands.
    pub fn span(&self, start: usize, end: usize) -> Span {
        Span {
            start: self.at(start),
            end: if end > start {
                self.at(end - 1) + 1
            } else {
                self.at(start)
            },
        }
    }

    fn at(&self, offset: usize) -> usize {
        let piece = self
            .pieces
            .iter()
            .rev()
            .find(|(from, _)| *from <= offset)
            .or(self.pieces.first());
        piece.map_or(offset, |(from, file)| file + (offset - from))
    }
}

/// The lines of a file, one after the other.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    file: &'a [u8],
    /// The next byte.
    at: usize,
    /// How many physical lines were read.
    number: usize,
    /// What the directives said so far; they are done when there is none any more.
    pub directives: Directives,
    in_directives: bool,
    seen: Vec<String>,
    comments: Vec<String>,
}

/// A physical line: its bytes without the line's end, and where they begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Physical<'a> {
    /// Without `\n`, with `\r`.
    pub(crate) raw: &'a [u8],
    /// Without `\r` too.
    pub(crate) text: &'a [u8],
    pub(crate) start: usize,
    /// It ends with `\n`.
    pub(crate) ended: bool,
}

impl<'a> Lines<'a> {
    /// Begins a file.
    pub fn new(file: &'a [u8]) -> Self {
        let bom = if file.starts_with(&[0xef, 0xbb, 0xbf]) {
            3
        } else {
            0
        };
        Self {
            file,
            at: bom,
            number: 0,
            directives: Directives::default(),
            in_directives: true,
            seen: Vec::new(),
            comments: Vec::new(),
        }
    }

    /// Returns how many physical lines were read.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Reads a physical line.
    pub(crate) fn physical(&mut self) -> Result<Option<Physical<'a>>, LexError> {
        if self.at >= self.file.len() {
            return Ok(None);
        }
        let start = self.at;
        let rest = &self.file[start..];
        let (raw, ended) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&rest[..end], true),
            None => (rest, false),
        };
        if raw.len() > LINE_MAX {
            let end = start + raw.len();
            return Err(LexError::TooLong(Span { start, end }));
        }
        self.at = start + raw.len() + usize::from(ended);
        self.number += 1;
        Ok(Some(Physical {
            raw,
            text: raw.strip_suffix(b"\r").unwrap_or(raw),
            start,
            ended,
        }))
    }

    /// Reads a logical line; comments and empty lines are passed over.
    pub fn logical(&mut self) -> Result<Option<Line>, LexError> {
        loop {
            let Some(first) = self.physical()? else {
                return Ok(None);
            };
            let blank = leading_blank(first.text);
            let text = &first.text[blank..];
            if text.starts_with(b"#") {
                self.comment(text, first.start + blank)?;
                continue;
            }
            self.in_directives = false;
            let (text, more) = self.without_continuation(text);
            if text.is_empty() && !more {
                self.comments.clear();
                continue;
            }
            let mut line = Line {
                text: text.to_vec(),
                lines: (self.number, self.number),
                comments: std::mem::take(&mut self.comments),
                pieces: vec![(0, first.start + blank)],
                ..Line::default()
            };
            if more {
                self.rest_of(&mut line)?;
            }
            line.lines.1 = self.number;
            return Ok(Some(line));
        }
    }

    /// Appends the physical lines that continue a logical one.
    fn rest_of(&mut self, line: &mut Line) -> Result<(), LexError> {
        while let Some(next) = self.physical()? {
            let blank = leading_blank(next.text);
            let bare = &next.text[blank..];
            if bare.starts_with(b"#") {
                continue;
            }
            if bare.is_empty() {
                line.has_empty_continuation = true;
                continue;
            }
            let (text, more) = self.without_continuation(next.text);
            line.pieces.push((line.text.len(), next.start));
            line.text.extend_from_slice(text);
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Takes the character that continues a line off its end: one that stands alone there, with
    /// nothing but blanks behind it. A doubled one is not it.
    fn without_continuation<'b>(&self, text: &'b [u8]) -> (&'b [u8], bool) {
        let end = text
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t'))
            .map_or(0, |last| last + 1);
        // The escape is one byte: `\` or a backtick.
        let escape = self.directives.escape as u8;
        match text[..end].split_last() {
            Some((&last, before)) if last == escape && before.last() != Some(&escape) => {
                (before, true)
            }
            _ => (text, false),
        }
    }

    fn comment(&mut self, text: &[u8], start: usize) -> Result<(), LexError> {
        let whole = String::from_utf8_lossy(text).into_owned();
        let span = Span {
            start,
            end: start + text.len(),
        };
        if self.in_directives {
            self.in_directives = self.directive(&whole, span)?;
        }
        let comment = whole[1..].trim().to_owned();
        if comment.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(comment);
        }
        Ok(())
    }

    /// Takes a comment as a directive; tells whether it is one.
    fn directive(&mut self, text: &str, span: Span) -> Result<bool, LexError> {
        let Some((key, value)) = text[1..].split_once('=') else {
            return Ok(false);
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        if !["syntax", "escape", "check"].contains(&key.as_str()) || value.is_empty() {
            return Ok(false);
        }
        if self.seen.contains(&key) {
            return Err(LexError::Repeated(key, span));
        }
        match key.as_str() {
            "escape" => match value.as_str() {
                "\\" => self.directives.escape = '\\',
                "`" => self.directives.escape = '`',
                _ => return Err(LexError::Escape(value, span)),
            },
            "syntax" => self.directives.syntax = Some(value),
            _ => self.directives.check = Some(value),
        }
        self.seen.push(key);
        Ok(true)
    }
}

/// Returns how many blanks a line begins with.
fn leading_blank(text: &[u8]) -> usize {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c);
    text.iter().take_while(|byte| blank(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str) -> Vec<String> {
        let mut lines = Lines::new(file.as_bytes());
        let mut all = Vec::new();
        while let Some(line) = lines.logical().unwrap() {
            all.push(String::from_utf8(line.text).unwrap());
        }
        all
    }

    #[test]
    fn lines_are_joined() {
        for (file, wanted) in [
            ("RUN a", &["RUN a"][..]),
            ("RUN a\nRUN b\n", &["RUN a", "RUN b"]),
            ("RUN a\r\nRUN b\r\n", &["RUN a", "RUN b"]),
            ("RUN a \\\n  b", &["RUN a   b"]),
            ("RUN a \\  \n b", &["RUN a  b"]),
            ("RUN a \\\t\n b", &["RUN a  b"]),
            ("RUN a\\\\\nRUN b", &["RUN a\\\\", "RUN b"]),
            ("RUN a\\\\\\\nRUN b", &["RUN a\\\\\\", "RUN b"]),
            ("RUN a \\\n# comment\n b", &["RUN a  b"]),
            ("RUN a \\\n   # comment\n b", &["RUN a  b"]),
            ("RUN a \\\n\n\n b", &["RUN a  b"]),
            ("RUN a \\", &["RUN a "]),
            ("RUN a \\\n", &["RUN a "]),
            ("  RUN a", &["RUN a"]),
            ("\t RUN a", &["RUN a"]),
            ("# c\nRUN a", &["RUN a"]),
            ("\n\nRUN a\n\n", &["RUN a"]),
            ("\\\nRUN a", &["RUN a"]),
            ("\u{feff}RUN a", &["RUN a"]),
            ("# escape=`\nRUN a `\n b", &["RUN a  b"]),
            ("# escape=`\nRUN a \\\nRUN b", &["RUN a \\", "RUN b"]),
            ("#escape = ` \nRUN a `\n b", &["RUN a  b"]),
            ("# ESCAPE=`\nRUN a `\n b", &["RUN a  b"]),
            ("\n# escape=`\nRUN a `\nRUN b", &["RUN a `", "RUN b"]),
            ("# c\n# escape=`\nRUN a `\nRUN b", &["RUN a `", "RUN b"]),
            ("# x=y\n# escape=`\nRUN a `\nRUN b", &["RUN a `", "RUN b"]),
            ("", &[]),
            ("\n \n", &[]),
            ("# only\n", &[]),
        ] {
            assert_eq!(lines(file), wanted, "{file:?}");
        }
    }

    #[test]
    fn directives() {
        let said = |file: &str| {
            let mut lines = Lines::new(file.as_bytes());
            while lines.logical()?.is_some() {}
            Ok::<_, LexError>(lines.directives)
        };
        let found = said("# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a").unwrap();
        assert_eq!(found.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!(found.check.as_deref(), Some("skip=all"));
        for (file, message) in [
            (
                "# escape=`\n# escape=\\\nFROM a",
                "only one escape parser directive can be used",
            ),
            (
                "# escape=x\nFROM a",
                "invalid escape token 'x' does not match ` or \\",
            ),
        ] {
            assert_eq!(said(file).unwrap_err().to_string(), message);
        }
        let long = format!("RUN {}", "a".repeat(LINE_MAX));
        assert_eq!(
            said(&long).unwrap_err().to_string(),
            "dockerfile line greater than max allowed size of 65535"
        );
        assert!(said(&long[..LINE_MAX]).is_ok());
    }

    #[test]
    fn a_part_knows_where_it_came_from() {
        let file = b"# c\n  RUN a \\\n# x\n  bcd\n";
        let mut lines = Lines::new(file);
        let line = lines.logical().unwrap().unwrap();
        assert_eq!(line.text, b"RUN a   bcd");
        let from = line.text.iter().position(|&byte| byte == b'b').unwrap();
        let span = line.span(from, from + 3);
        assert_eq!(&file[span.start..span.end], b"bcd");
        let span = line.span(0, 3);
        assert_eq!(&file[span.start..span.end], b"RUN");
        assert_eq!((line.lines, line.comments), ((2, 4), vec!["c".to_owned()]));
    }

    #[test]
    fn comments_above_an_instruction() {
        let comments = |file: &str| {
            let mut lines = Lines::new(file.as_bytes());
            lines.logical().unwrap().unwrap().comments
        };
        assert_eq!(comments("# a\n# b\nFROM x"), ["a", "b"]);
        assert_eq!(comments("# a\n#\n# b\nFROM x"), ["b"]);
        assert_eq!(comments("# a\n\n# b\nFROM x"), ["b"]);
    }
}
