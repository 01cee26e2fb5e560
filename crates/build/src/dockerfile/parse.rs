//! Pure: a logical line becomes an instruction: keyword, flags, arguments, here-documents.
//!
//! Arguments are told apart, not understood: what an instruction means is said where it is obeyed.

use super::Span;
use super::heredoc::Heredoc;
use super::lex::{Directives, LexError, Line, Lines};
use super::words::{self, Word};

/// A file as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// What its first comments say.
    pub directives: Directives,
    /// Its instructions.
    pub instructions: Vec<Instruction>,
    /// Logical lines with empty lines in them (`NoEmptyContinuation`): first and last, from 1.
    pub empty_continuations: Vec<(usize, usize)>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Which.
    pub keyword: Keyword,
    /// Where its keyword stands.
    pub span: Span,
    /// Where its arguments stand.
    pub arguments_span: Span,
    /// Its first and last line, here-documents included; from 1.
    pub lines: (usize, usize),
    /// The logical line as it was written, for histories.
    pub original: String,
    /// `--name=value`, without quotes.
    pub flags: Vec<String>,
    /// What is behind them.
    pub arguments: Arguments,
    /// Texts below it.
    pub heredocs: Vec<Heredoc>,
    /// The comments right above it.
    pub comments: Vec<String>,
}

/// What is behind the keyword and the flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// A JSON list.
    Json(Vec<String>),
    /// The rest of the line.
    Text(String),
    /// Words.
    Words(Vec<String>),
    /// Names and values, quotes and escapes still in them. Without a value: `ARG NAME`.
    Pairs(Vec<(String, Option<String>)>),
    /// `HEALTHCHECK WORD …`: the word in capitals.
    Health(String, Box<Arguments>),
    /// `ONBUILD …`.
    Instruction(Box<Instruction>),
}

macro_rules! keywords {
    ($($name:ident $text:literal),* $(,)?) => {
        /// The instructions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Keyword {
            $(
                #[doc = $text]
                $name,
            )*
        }

        impl Keyword {
            /// All of them.
            pub const ALL: &'static [Keyword] = &[$(Self::$name),*];

            /// Returns the word, in capitals.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

keywords! {
    Add "ADD", Arg "ARG", Cmd "CMD", Copy "COPY", Entrypoint "ENTRYPOINT", Env "ENV",
    Expose "EXPOSE", From "FROM", Healthcheck "HEALTHCHECK", Label "LABEL",
    Maintainer "MAINTAINER", Onbuild "ONBUILD", Run "RUN", Shell "SHELL",
    Stopsignal "STOPSIGNAL", User "USER", Volume "VOLUME", Workdir "WORKDIR",
}

impl Keyword {
    /// Finds the instruction of a word, in any case.
    pub fn find(word: &str) -> Option<Self> {
        let upper = word.to_ascii_uppercase();
        Self::ALL.iter().copied().find(|one| one.as_str() == upper)
    }

    fn has_heredocs(self) -> bool {
        matches!(self, Self::Add | Self::Copy | Self::Run)
    }
}

/// A file is no Dockerfile; the messages are BuildKit's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Its lines cannot be told.
    #[error(transparent)]
    Lines(#[from] LexError),
    /// It has none.
    #[error("file with no instructions")]
    Empty,
    /// The first word is none of ours.
    #[error("unknown instruction: {word}{}", suggestion(.word))]
    Unknown {
        /// The word.
        word: String,
        /// Where it stands.
        span: Span,
    },
    /// `ENV NAME`.
    #[error("{keyword} must have two arguments")]
    TwoArguments {
        /// The instruction.
        keyword: &'static str,
        /// Where its arguments stand.
        span: Span,
    },
    /// `ENV A=b C`.
    #[error("Syntax error - can't find = in {word:?}. Must be of the form: name=value")]
    NoEquals {
        /// The word.
        word: String,
        /// Where it stands.
        span: Span,
    },
    /// `CMD ["a", 1]`.
    #[error("when using JSON array syntax, arrays must be comprised of strings only")]
    NotStrings {
        /// Where the list stands.
        span: Span,
    },
    /// A here-document that the file ends in.
    #[error("unterminated heredoc")]
    Unterminated {
        /// Where its instruction stands.
        span: Span,
    },
}

impl ParseError {
    /// Returns where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Lines(error) => error.span(),
            Self::Empty => Span::default(),
            Self::Unknown { span, .. }
            | Self::TwoArguments { span, .. }
            | Self::NoEquals { span, .. }
            | Self::NotStrings { span }
            | Self::Unterminated { span } => *span,
        }
    }
}

/// Reads a file.
pub fn parse(file: &[u8]) -> Result<Dockerfile, ParseError> {
    let mut lines = Lines::new(file);
    let mut dockerfile = Dockerfile::default();
    while let Some(line) = lines.logical()? {
        if line.has_empty_continuation {
            dockerfile.empty_continuations.push(line.lines);
        }
        let escape = lines.directives.escape;
        let text = String::from_utf8_lossy(&line.text).into_owned();
        let mut instruction = instruction(&line, &text, 0, escape)?;
        read_heredocs(&mut instruction, &text, &mut lines)?;
        dockerfile.instructions.push(instruction);
    }
    if dockerfile.instructions.is_empty() {
        return Err(ParseError::Empty);
    }
    dockerfile.directives = lines.directives;
    Ok(dockerfile)
}

fn read_heredocs(
    instruction: &mut Instruction,
    text: &str,
    lines: &mut Lines<'_>,
) -> Result<(), ParseError> {
    let own = match &instruction.arguments {
        Arguments::Instruction(inner) => inner,
        _ => &*instruction,
    };
    let json = matches!(own.arguments, Arguments::Json(_));
    if !own.keyword.has_heredocs() || json || !text.contains("<<") {
        return Ok(());
    }
    for mut heredoc in Heredoc::in_line(text) {
        loop {
            let Some(line) = lines.physical()? else {
                let span = instruction.span;
                return Err(ParseError::Unterminated { span });
            };
            if heredoc.is_end(line.text) {
                break;
            }
            heredoc.content.push_str(&String::from_utf8_lossy(line.raw));
            if line.ended {
                heredoc.content.push('\n');
            }
        }
        instruction.heredocs.push(heredoc);
    }
    instruction.lines.1 = lines.number();
    Ok(())
}

/// Reads the instruction that begins at a byte of a line's text.
fn instruction(
    line: &Line,
    text: &str,
    from: usize,
    escape: char,
) -> Result<Instruction, ParseError> {
    let rest = &text[from..];
    let start = from + rest.len() - rest.trim_start_matches(words::is_blank).len();
    let rest = &text[start..];
    let end = start + rest.find(words::is_blank).unwrap_or(rest.len());
    let word = &text[start..end];
    let span = line.span(start, end);
    let keyword = Keyword::find(word).ok_or_else(|| ParseError::Unknown {
        word: word.to_owned(),
        span,
    })?;
    let rest = &text[end..];
    let begin = end + rest.len() - rest.trim_start().len();
    let stop = text.trim_end().len().max(begin);
    let (flags, skip) = words::flags(&text[begin..stop]);
    let begin = begin + skip;
    let place = Place {
        line,
        text,
        begin,
        end: stop,
        escape,
    };
    Ok(Instruction {
        keyword,
        span,
        arguments_span: line.span(begin, stop),
        lines: line.lines,
        original: text[start..].to_owned(),
        flags: flags.into_iter().map(|word| word.text).collect(),
        arguments: place.arguments(keyword)?,
        heredocs: Vec::new(),
        comments: line.comments.clone(),
    })
}

/// A part of a line that is read as arguments.
struct Place<'a> {
    line: &'a Line,
    text: &'a str,
    begin: usize,
    end: usize,
    escape: char,
}

impl Place<'_> {
    fn rest(&self) -> &str {
        &self.text[self.begin..self.end]
    }

    fn span(&self, word: &Word) -> Span {
        self.line
            .span(self.begin + word.start, self.begin + word.end)
    }

    fn whole(&self) -> Span {
        self.line.span(self.begin, self.end)
    }

    fn arguments(&self, keyword: Keyword) -> Result<Arguments, ParseError> {
        let rest = self.rest();
        Ok(match keyword {
            Keyword::Add | Keyword::Copy | Keyword::Volume => match self.json()? {
                Some(list) => Arguments::Json(list),
                None => words_of(rest),
            },
            Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Shell => {
                self.json_or_text()?
            }
            Keyword::Expose | Keyword::From => words_of(rest),
            Keyword::Env | Keyword::Label => Arguments::Pairs(self.pairs(keyword)?),
            Keyword::Arg => Arguments::Pairs(
                words::quoted(rest, self.escape)
                    .into_iter()
                    .map(|word| match word.text.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (word.text, None),
                    })
                    .collect(),
            ),
            Keyword::Maintainer | Keyword::Stopsignal | Keyword::User | Keyword::Workdir => {
                Arguments::Text(rest.to_owned())
            }
            Keyword::Healthcheck => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let behind = &rest[end..];
                let place = Self {
                    begin: self.end - behind.trim_start().len(),
                    ..*self
                };
                let kind = rest[..end].to_ascii_uppercase();
                Arguments::Health(kind, Box::new(place.json_or_text()?))
            }
            Keyword::Onbuild => {
                let inner = instruction(self.line, &self.text[..self.end], self.begin, self.escape);
                Arguments::Instruction(Box::new(inner?))
            }
        })
    }

    fn json_or_text(&self) -> Result<Arguments, ParseError> {
        Ok(match self.json()? {
            Some(list) => Arguments::Json(list),
            None => Arguments::Text(self.rest().to_owned()),
        })
    }

    /// Reads a JSON list of strings; what is no JSON is something else, and no error.
    fn json(&self) -> Result<Option<Vec<String>>, ParseError> {
        let rest = self.rest();
        if !rest.starts_with('[') {
            return Ok(None);
        }
        let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else {
            return Ok(None);
        };
        let strings = list.into_iter().map(|value| match value {
            serde_json::Value::String(text) => Ok(text),
            _ => Err(ParseError::NotStrings { span: self.whole() }),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    fn pairs(&self, keyword: Keyword) -> Result<Vec<(String, Option<String>)>, ParseError> {
        let all = words::quoted(self.rest(), self.escape);
        let Some(first) = all.first() else {
            return Ok(Vec::new());
        };
        if !first.text.contains('=') {
            // The old form: one name, and all the rest is its value.
            let rest = self.rest();
            let Some((name, value)) = rest.split_once(words::is_blank) else {
                return Err(ParseError::TwoArguments {
                    keyword: keyword.as_str(),
                    span: self.whole(),
                });
            };
            let value = value.trim_start_matches(words::is_blank).to_owned();
            return Ok(vec![(name.to_owned(), Some(value))]);
        }
        let pair = |word: &Word| match word.text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
            None => Err(ParseError::NoEquals {
                word: word.text.clone(),
                span: self.span(word),
            }),
        };
        all.iter().map(pair).collect()
    }
}

fn words_of(rest: &str) -> Arguments {
    let words = words::at_blanks(rest).into_iter();
    Arguments::Words(words.map(|word| word.text).collect())
}

/// Returns ` (did you mean X?)` if a word is nearly one of ours.
fn suggestion(word: &str) -> String {
    let upper = word.to_ascii_uppercase();
    let near = Keyword::ALL
        .iter()
        .map(|one| (distance(&upper, one.as_str()), one.as_str()))
        .min();
    match near {
        Some((1..=2, known)) => format!(" (did you mean {known}?)"),
        _ => String::new(),
    }
}

/// How many letters must change, come, go, or change places with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(file: &str) -> Instruction {
        let mut all = parse(file.as_bytes()).unwrap().instructions;
        assert_eq!(all.len(), 1, "{file}");
        all.remove(0)
    }

    fn text(text: &str) -> Arguments {
        Arguments::Text(text.to_owned())
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn pairs(all: &[(&str, &str)]) -> Arguments {
        let all = all.iter();
        Arguments::Pairs(
            all.map(|&(name, value)| (name.to_owned(), Some(value.to_owned())))
                .collect(),
        )
    }

    #[test]
    fn arguments() {
        let json = |words| Arguments::Json(list(words));
        let words = |words| Arguments::Words(list(words));
        for (line, wanted) in [
            ("FROM a AS b", words(&["a", "AS", "b"])),
            ("from a", words(&["a"])),
            ("RUN echo  a | b", text("echo  a | b")),
            ("RUN [\"a\", \"b c\"]", json(&["a", "b c"])),
            ("RUN  [ \"a\" ] ", json(&["a"])),
            ("RUN ['a']", text("['a']")),
            ("RUN [\"a\"] x", text("[\"a\"] x")),
            ("RUN []", json(&[])),
            ("RUN", text("")),
            ("CMD [\"\\u00e4\"]", json(&["ä"])),
            ("COPY a  b\tc", words(&["a", "b", "c"])),
            ("COPY [\"a b\", \"c\"]", json(&["a b", "c"])),
            ("COPY [a, b]", words(&["[a,", "b]"])),
            ("VOLUME /a /b", words(&["/a", "/b"])),
            ("EXPOSE 80 90/udp", words(&["80", "90/udp"])),
            ("ENV A b c", pairs(&[("A", "b c")])),
            ("ENV A  b", pairs(&[("A", "b")])),
            ("ENV A=b C=\"d e\"", pairs(&[("A", "b"), ("C", "\"d e\"")])),
            ("ENV A=b\\ c D=", pairs(&[("A", "b\\ c"), ("D", "")])),
            ("LABEL a=b=c", pairs(&[("a", "b=c")])),
            ("LABEL \"a b\"=c", pairs(&[("\"a b\"", "c")])),
            ("WORKDIR /a b", text("/a b")),
            ("USER a:b ", text("a:b")),
            ("MAINTAINER a <b@c>", text("a <b@c>")),
            ("STOPSIGNAL 9", text("9")),
            ("SHELL [\"a\", \"-c\"]", json(&["a", "-c"])),
            (
                "HEALTHCHECK none",
                Arguments::Health("NONE".to_owned(), Box::new(text(""))),
            ),
            (
                "HEALTHCHECK --retries=3 CMD a b",
                Arguments::Health("CMD".to_owned(), Box::new(text("a b"))),
            ),
            (
                "HEALTHCHECK CMD [\"a\"]",
                Arguments::Health("CMD".to_owned(), Box::new(json(&["a"]))),
            ),
        ] {
            assert_eq!(one(line).arguments, wanted, "{line}");
        }
        assert_eq!(
            one("ARG a=b c").arguments,
            Arguments::Pairs(vec![
                ("a".to_owned(), Some("b".to_owned())),
                ("c".to_owned(), None)
            ])
        );
    }

    #[test]
    fn flags() {
        let found = one("COPY --from=a --chown=\"b c\" --link d e");
        assert_eq!(found.flags, ["--from=a", "--chown=b c", "--link"]);
        assert_eq!(found.arguments, Arguments::Words(list(&["d", "e"])));
        let found = one("RUN --mount=type=cache,target=/x make --all");
        assert_eq!(found.flags, ["--mount=type=cache,target=/x"]);
        assert_eq!(found.arguments, text("make --all"));
        let found = one("ONBUILD COPY --from=a b c");
        let Arguments::Instruction(inner) = found.arguments else {
            panic!("an instruction")
        };
        assert_eq!(
            (inner.keyword, inner.flags),
            (Keyword::Copy, list(&["--from=a"]))
        );
        assert_eq!(found.original, "ONBUILD COPY --from=a b c");
    }

    #[test]
    fn errors_point_at_what_is_meant() {
        for (file, message, at) in [
            ("", "file with no instructions", ""),
            ("# c\n", "file with no instructions", ""),
            (
                "FROM a\nRNU x",
                "unknown instruction: RNU (did you mean RUN?)",
                "RNU",
            ),
            (
                "FROM a\nfrm x",
                "unknown instruction: frm (did you mean FROM?)",
                "frm",
            ),
            (
                "FROM a\nSOMETHING x",
                "unknown instruction: SOMETHING",
                "SOMETHING",
            ),
            (
                "FROM a\nONBUILD NOSUCHWORD",
                "unknown instruction: NOSUCHWORD",
                "NOSUCHWORD",
            ),
            ("ENV A", "ENV must have two arguments", "A"),
            ("LABEL a", "LABEL must have two arguments", "a"),
            (
                "ENV A=b C \\\n D",
                "Syntax error - can't find = in \"C\". Must be of the form: name=value",
                "C",
            ),
            (
                "ENV A=b \\\n D",
                "Syntax error - can't find = in \"D\". Must be of the form: name=value",
                "D",
            ),
            (
                "CMD [\"a\", 1]",
                "when using JSON array syntax, arrays must be comprised of strings only",
                "[\"a\", 1]",
            ),
            ("RUN <<EOF\na\n", "unterminated heredoc", "RUN"),
        ] {
            let error = parse(file.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message, "{file:?}");
            let span = error.span();
            assert_eq!(&file[span.start..span.end], at, "{file:?}");
        }
    }

    #[test]
    fn texts_below_an_instruction() {
        let found = one("RUN <<EOF cat\na \\\n# b\n\nEOF\n");
        assert_eq!(found.heredocs[0].content, "a \\\n# b\n\n");
        assert_eq!(
            (found.lines, &found.arguments),
            ((1, 5), &text("<<EOF cat"))
        );
        let file = "COPY <<A <<-\"B\" /d/\n$x\r\nA\n\tb\n\tB\nRUN x";
        let all = parse(file.as_bytes()).unwrap().instructions;
        let names: Vec<_> = all[0]
            .heredocs
            .iter()
            .map(|one| (one.name.as_str(), one.expand, one.text()))
            .collect();
        assert_eq!(
            names,
            [
                ("A", true, "$x\r\n".to_owned()),
                ("B", false, "b\n".to_owned())
            ]
        );
        assert_eq!(all[1].lines, (6, 6));
        // None in a list, nor where there are none.
        assert!(one("RUN [\"cat\", \"<<EOF\"]").heredocs.is_empty());
        assert!(one("CMD cat <<EOF").heredocs.is_empty());
        let found = one("ONBUILD RUN <<E\nx\nE");
        assert_eq!(found.heredocs[0].content, "x\n");
    }

    #[test]
    fn comments_and_empty_lines() {
        let file = "# escape=`\n# one\n# two\nFROM a\n\nRUN b `\n\n c\n";
        let found = parse(file.as_bytes()).unwrap();
        assert_eq!(found.directives.escape, '`');
        assert_eq!(found.instructions[0].comments, ["escape=`", "one", "two"]);
        assert_eq!(found.empty_continuations, [(6, 8)]);
        assert_eq!(found.instructions[1].original, "RUN b  c");
    }
}
