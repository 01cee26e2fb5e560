//! Pure: variables in words: `$NAME`, `${NAME:-word}` and the rest, with the quotes of a shell.

/// How deep words may stand in words.
const DEPTH_MAX: usize = 64;

/// A word cannot be expanded; the messages are BuildKit's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A quote is not closed.
    #[error("unexpected end of statement while looking for matching {0}-quote")]
    Quote(&'static str),
    /// `${NAME` and no end.
    #[error("syntax error: missing '}}'")]
    Brace,
    /// `${}`, `${:x}`, `${{x}`.
    #[error("syntax error: bad substitution")]
    Substitution,
    /// `${NAME!x}`.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// `${NAME?message}`.
    #[error("{0}: {1}")]
    Unset(String, String),
    /// Words in words in words …
    #[error("substitutions are nested too deeply")]
    Depth,
}

/// What quotes and unset names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// They are obeyed and go.
    Obeyed,
    /// They are characters like others: here-documents.
    Plain,
}

/// Puts values in the place of names.
pub struct Expander<'a> {
    /// The character that takes meaning away.
    pub escape: char,
    /// What quotes are.
    pub quotes: Quotes,
    /// Returns the value of a name.
    pub value: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Expander<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Expander")
            .field("escape", &self.escape)
            .field("quotes", &self.quotes)
            .finish_non_exhaustive()
    }
}

/// A word after expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// All of it.
    pub text: String,
    /// The same split at blanks that are not quoted, those of values too.
    pub words: Vec<String>,
    /// Names that had no value and no word in its place (lint: `UndefinedVar`).
    pub unset: Vec<String>,
}

impl Expander<'_> {
    /// Expands a text.
    pub fn expand(&self, text: &str) -> Result<Expanded, ExpandError> {
        let chars: Vec<char> = text.chars().collect();
        let mut scan = Scan {
            with: self,
            chars: &chars,
            at: 0,
            depth: 0,
            unset: Vec::new(),
        };
        let out = scan.until(None, false)?;
        Ok(Expanded {
            unset: scan.unset,
            words: out.words.into_iter().chain(out.open).collect(),
            text: out.text,
        })
    }
}

/// What was made so far.
#[derive(Default)]
struct Out {
    text: String,
    words: Vec<String>,
    open: Option<String>,
}

impl Out {
    /// A quoted or escaped character: part of a word whatever it is.
    fn raw(&mut self, c: char) {
        self.text.push(c);
        self.open.get_or_insert_default().push(c);
    }

    fn plain(&mut self, c: char) {
        if c.is_whitespace() {
            self.text.push(c);
            self.words.extend(self.open.take());
        } else {
            self.raw(c);
        }
    }

    fn value(&mut self, value: &str, quoted: bool) {
        for c in value.chars() {
            if quoted { self.raw(c) } else { self.plain(c) }
        }
    }
}

struct Scan<'a> {
    with: &'a Expander<'a>,
    chars: &'a [char],
    at: usize,
    depth: usize,
    unset: Vec<String>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn takes(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Reads up to `stop`, which goes, or to the end. `keep` leaves escapes as they are: patterns read
    /// them.
    fn until(&mut self, stop: Option<char>, keep: bool) -> Result<Out, ExpandError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ExpandError::Depth);
        }
        let mut out = Out::default();
        let obeyed = self.with.quotes == Quotes::Obeyed;
        loop {
            let Some(c) = self.next() else {
                if stop.is_some() {
                    return Err(ExpandError::Brace);
                }
                break;
            };
            match c {
                _ if stop == Some(c) => break,
                '\'' if obeyed => self.single(&mut out)?,
                '"' if obeyed => self.double(&mut out)?,
                '$' => self.dollar(&mut out, false)?,
                _ if c == self.with.escape => match self.next() {
                    Some(next) => {
                        if keep || (!obeyed && next != '$' && next != c) {
                            out.raw(c);
                        }
                        out.raw(next);
                    }
                    None if keep || !obeyed => out.raw(c),
                    None => {}
                },
                _ => out.plain(c),
            }
        }
        self.depth -= 1;
        Ok(out)
    }

    fn single(&mut self, out: &mut Out) -> Result<(), ExpandError> {
        out.open.get_or_insert_default();
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.raw(c),
                None => return Err(ExpandError::Quote("single")),
            }
        }
    }

    fn double(&mut self, out: &mut Out) -> Result<(), ExpandError> {
        out.open.get_or_insert_default();
        let escape = self.with.escape;
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => self.dollar(out, true)?,
                Some(c) if c == escape => match self.peek() {
                    Some(next) if next == '"' || next == '$' || next == escape => {
                        out.raw(next);
                        self.at += 1;
                    }
                    _ => out.raw(c),
                },
                Some(c) => out.raw(c),
                None => return Err(ExpandError::Quote("double")),
            }
        }
    }

    /// Reads what is behind a `$`.
    fn dollar(&mut self, out: &mut Out, quoted: bool) -> Result<(), ExpandError> {
        if !self.takes('{') {
            let name = self.name();
            if name.is_empty() {
                out.raw('$');
                return Ok(());
            }
            let value = self.plain_value(&name);
            out.value(&value, quoted);
            return Ok(());
        }
        match self.peek() {
            None => return Err(ExpandError::Brace),
            Some('{' | '}' | ':') => return Err(ExpandError::Substitution),
            Some(_) => {}
        }
        let name = self.name();
        let value = self.substitution(&name)?;
        out.value(&value, quoted);
        Ok(())
    }

    /// Reads a name: letters, digits and `_`; digits alone; or one special character.
    fn name(&mut self) -> String {
        let from = self.at;
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while self.peek().is_some_and(char::is_numeric) {
                    self.at += 1;
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => self.at += 1,
            _ => {
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                }
            }
        }
        self.chars[from..self.at].iter().collect()
    }

    fn plain_value(&mut self, name: &str) -> String {
        (self.with.value)(name).unwrap_or_else(|| {
            self.unset.push(name.to_owned());
            String::new()
        })
    }

    /// Reads what is behind `${NAME`.
    fn substitution(&mut self, name: &str) -> Result<String, ExpandError> {
        let value = (self.with.value)(name);
        let modifier = self.next().ok_or(ExpandError::Brace)?;
        match modifier {
            '}' => Ok(self.plain_value(name)),
            ':' => {
                let modifier = self.next().ok_or(ExpandError::Brace)?;
                if !matches!(modifier, '-' | '+' | '?') {
                    return Err(ExpandError::Modifier(format!(":{modifier}")));
                }
                let set = value.as_ref().is_some_and(|value| !value.is_empty());
                self.instead(name, modifier, value, set)
            }
            '-' | '+' | '?' => {
                let set = value.is_some();
                self.instead(name, modifier, value, set)
            }
            '#' | '%' => {
                let longest = self.takes(modifier);
                let pattern = Pattern::new(&self.until(Some('}'), true)?.text);
                let value = value.unwrap_or_default();
                Ok(if modifier == '#' {
                    pattern.without_prefix(&value, longest)
                } else {
                    pattern.without_suffix(&value, longest)
                })
            }
            '/' => {
                let all = self.takes('/');
                let pattern = Pattern::new(&self.until(Some('/'), true)?.text);
                let with = self.until(Some('}'), true)?.text;
                let with = unescaped(&with);
                Ok(pattern.replace(&value.unwrap_or_default(), &with, all))
            }
            other => Err(ExpandError::Modifier(other.to_string())),
        }
    }

    fn instead(
        &mut self,
        name: &str,
        modifier: char,
        value: Option<String>,
        set: bool,
    ) -> Result<String, ExpandError> {
        let word = self.until(Some('}'), false)?.text;
        match (modifier, set) {
            ('-' | '?', true) => Ok(value.unwrap_or_default()),
            ('-', false) | ('+', true) => Ok(word),
            ('+', false) => Ok(String::new()),
            _ => {
                let why = if !word.is_empty() {
                    word
                } else if value.is_none() {
                    "is not allowed to be unset".to_owned()
                } else {
                    "is not allowed to be empty".to_owned()
                };
                Err(ExpandError::Unset(name.to_owned(), why))
            }
        }
    }
}

/// Takes the escapes out of a replacement.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            plain.extend(chars.next());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This character.
    One(char),
    /// `?`
    Any,
    /// `*`
    Many,
}

/// A shell's pattern without brackets.
struct Pattern(Vec<Part>);

impl Pattern {
    fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::Any,
                '\\' => Part::One(chars.next().unwrap_or('\\')),
                c => Part::One(c),
            });
        }
        Self(parts)
    }

    /// Returns how many characters at the beginning match: the fewest and the most.
    fn lengths(&self, text: impl Iterator<Item = char>) -> Option<(usize, usize)> {
        let end = self.0.len();
        // Which parts may come next; `Many` may be over before it begins.
        let mut alive = vec![false; end + 1];
        alive[0] = true;
        let close = |alive: &mut Vec<bool>| {
            for (at, part) in self.0.iter().enumerate() {
                if alive[at] && *part == Part::Many {
                    alive[at + 1] = true;
                }
            }
        };
        close(&mut alive);
        let mut found = alive[end].then_some((0, 0));
        for (length, c) in text.enumerate() {
            let mut next = vec![false; end + 1];
            for at in (0..end).filter(|&at| alive[at]) {
                match self.0[at] {
                    Part::Many => next[at] = true,
                    Part::Any => next[at + 1] = true,
                    Part::One(wanted) if wanted == c => next[at + 1] = true,
                    Part::One(_) => {}
                }
            }
            alive = next;
            close(&mut alive);
            if alive[end] {
                let first = found.map_or(length + 1, |(first, _)| first);
                found = Some((first, length + 1));
            }
            if !alive.contains(&true) {
                break;
            }
        }
        found
    }

    fn without_prefix(&self, value: &str, longest: bool) -> String {
        let Some((short, long)) = self.lengths(value.chars()) else {
            return value.to_owned();
        };
        value
            .chars()
            .skip(if longest { long } else { short })
            .collect()
    }

    fn without_suffix(&self, value: &str, longest: bool) -> String {
        let reversed = Self(self.0.iter().rev().copied().collect());
        let Some((short, long)) = reversed.lengths(value.chars().rev()) else {
            return value.to_owned();
        };
        let left = value.chars().count() - if longest { long } else { short };
        value.chars().take(left).collect()
    }

    fn replace(&self, value: &str, with: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut made = String::new();
        let mut at = 0;
        while at < chars.len() {
            match self.lengths(chars[at..].iter().copied()) {
                Some((_, length)) if length > 0 => {
                    made.push_str(with);
                    at += length;
                    if !all {
                        break;
                    }
                }
                _ => {
                    made.push(chars[at]);
                    at += 1;
                }
            }
        }
        made.extend(&chars[at.min(chars.len())..]);
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        let known = match name {
            "A" => "a",
            "EMPTY" => "",
            "PATHS" => "/usr/lib/x.tar.gz",
            "PORTS" => "80 90",
            "1" => "one",
            "é" => "accent",
            _ => return None,
        };
        Some(known.to_owned())
    }

    fn expander(escape: char, quotes: Quotes) -> Expander<'static> {
        Expander {
            escape,
            quotes,
            value: &value,
        }
    }

    #[test]
    fn words() {
        let expander = expander('\\', Quotes::Obeyed);
        for (text, wanted) in [
            ("x", "x"),
            ("$A", "a"),
            ("${A}", "a"),
            ("$Ab", ""),
            ("${A}b", "ab"),
            ("$A-$A", "a-a"),
            ("$1x", "onex"),
            ("$é", "accent"),
            ("$", "$"),
            ("a$", "a$"),
            ("$ x", "$ x"),
            ("\\$A", "$A"),
            ("'$A'", "$A"),
            ("\"$A\"", "a"),
            ("\"\\$A\"", "$A"),
            ("\"\\\"\\x\"", "\"\\x"),
            ("a\\b\\\\c", "ab\\c"),
            ("a\\", "a"),
            ("${A:-x}", "a"),
            ("${B:-x}", "x"),
            ("${B-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${EMPTY:-x}", "x"),
            ("${A:+x}", "x"),
            ("${B:+x}", ""),
            ("${EMPTY+x}", "x"),
            ("${EMPTY:+x}", ""),
            ("${B:-${A}}", "a"),
            ("${B:-${C:-d}}", "d"),
            ("${B:-'x }'}", "x }"),
            ("${A:?m}", "a"),
            ("${PATHS#*/}", "usr/lib/x.tar.gz"),
            ("${PATHS##*/}", "x.tar.gz"),
            ("${PATHS%.*}", "/usr/lib/x.tar"),
            ("${PATHS%%.*}", "/usr/lib/x"),
            ("${PATHS%.g?}", "/usr/lib/x.tar"),
            ("${PATHS#nope}", "/usr/lib/x.tar.gz"),
            ("${PATHS#\\*}", "/usr/lib/x.tar.gz"),
            ("${PATHS/lib/LIB}", "/usr/LIB/x.tar.gz"),
            ("${PATHS/r*x/-}", "/us-.tar.gz"),
            ("${PATHS//r/R}", "/usR/lib/x.taR.gz"),
            ("${PATHS//\\//:}", ":usr:lib:x.tar.gz"),
            ("${PATHS/nope/x}", "/usr/lib/x.tar.gz"),
            ("${PATHS//?/x}", "xxxxxxxxxxxxxxxxx"),
            ("${B#x}", ""),
        ] {
            assert_eq!(
                expander.expand(text).map(|done| done.text),
                Ok(wanted.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn errors() {
        let expander = expander('\\', Quotes::Obeyed);
        for (text, message) in [
            (
                "'a",
                "unexpected end of statement while looking for matching single-quote",
            ),
            (
                "\"a",
                "unexpected end of statement while looking for matching double-quote",
            ),
            ("${", "syntax error: missing '}'"),
            ("${A", "syntax error: missing '}'"),
            ("${A:-x", "syntax error: missing '}'"),
            ("${}", "syntax error: bad substitution"),
            ("${:x}", "syntax error: bad substitution"),
            ("${{A}", "syntax error: bad substitution"),
            ("${A!x}", "unsupported modifier (!) in substitution"),
            ("${A:x}", "unsupported modifier (:x) in substitution"),
            ("${B:?}", "B: is not allowed to be unset"),
            ("${B?}", "B: is not allowed to be unset"),
            ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
            ("${B:?why}", "B: why"),
        ] {
            assert_eq!(
                expander.expand(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
        let deep = format!("{}x{}", "${B:-".repeat(99), "}".repeat(99));
        assert_eq!(expander.expand(&deep), Err(ExpandError::Depth));
    }

    #[test]
    fn values_are_split_unless_quoted() {
        let expander = expander('\\', Quotes::Obeyed);
        for (text, wanted) in [
            ("$PORTS 100", &["80", "90", "100"][..]),
            ("\"$PORTS\" 100", &["80 90", "100"]),
            ("a\\ b c", &["a b", "c"]),
            ("'' x", &["", "x"]),
            ("$EMPTY x", &["x"]),
            ("1$PORTS", &["180", "90"]),
        ] {
            assert_eq!(expander.expand(text).unwrap().words, wanted, "{text}");
        }
    }

    #[test]
    fn bodies_of_here_documents() {
        let expander = expander('\\', Quotes::Plain);
        for (text, wanted) in [
            ("'$A' \"$A\"", "'a' \"a\""),
            ("\\$A \\\\ \\n", "$A \\ \\n"),
            ("it's ${A}", "it's a"),
            ("end\\", "end\\"),
        ] {
            assert_eq!(expander.expand(text).unwrap().text, wanted, "{text}");
        }
    }

    #[test]
    fn other_escapes_and_names_without_value() {
        let windows = expander('`', Quotes::Obeyed);
        assert_eq!(windows.expand("c:\\$A `$A").unwrap().text, "c:\\a $A");
        let done = windows.expand("$NO ${NEVER} ${B:-x} $A").unwrap();
        assert_eq!(done.unset, ["NO", "NEVER"]);
    }
}
