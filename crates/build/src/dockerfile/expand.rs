//! Pure: values in place of variables, quotes taken away (Dockerfile reference, "Environment
//! replacement").

use std::iter::Peekable;
use std::str::Chars;

/// What is wrong with a word.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// Puts values in place of variables.
#[derive(Clone, Copy)]
pub struct Expander<'a> {
    /// The escape character of the file.
    pub escape: char,
    /// Returns a variable's value.
    pub value: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

impl std::fmt::Debug for Expander<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

impl Expander<'_> {
    /// Returns a word with values in place of variables and without its quotes.
    pub fn word(&self, text: &str) -> Result<String> {
        Ok(self.run(text, true)?.0)
    }

    /// Returns the words that a text becomes: a value may bring several.
    pub fn words(&self, text: &str) -> Result<Vec<String>> {
        Ok(self.run(text, true)?.1)
    }

    /// Returns the body of a heredoc with values: quotes are no quotes there.
    pub fn body(&self, text: &str) -> Result<String> {
        Ok(self.run(text, false)?.0)
    }

    fn run(&self, text: &str, quotes: bool) -> Result<(String, Vec<String>)> {
        let mut walk = Walk {
            expander: *self,
            chars: text.chars().peekable(),
            quotes,
        };
        let mut out = Out::default();
        walk.until(None, &mut out)?;
        out.end_word();
        Ok((out.text, out.words))
    }
}

/// What comes out: the whole text, and the words in it.
#[derive(Default)]
struct Out {
    text: String,
    words: Vec<String>,
    word: Option<String>,
}

impl Out {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.word.get_or_insert_default().push(c);
    }

    /// A blank that no quote protects.
    fn blank(&mut self, c: char) {
        self.text.push(c);
        self.end_word();
    }

    /// A value that no quote protects: its blanks separate words.
    fn value(&mut self, value: &str) {
        for c in value.chars() {
            if c.is_whitespace() {
                self.blank(c);
            } else {
                self.push(c);
            }
        }
    }

    fn quoted(&mut self, value: &str) {
        self.text.push_str(value);
        self.word.get_or_insert_default().push_str(value);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }
}

struct Walk<'a> {
    expander: Expander<'a>,
    chars: Peekable<Chars<'a>>,
    quotes: bool,
}

impl Walk<'_> {
    /// Walks up to `stop`, or to the end.
    fn until(&mut self, stop: Option<char>, out: &mut Out) -> Result<()> {
        while let Some(&c) = self.chars.peek() {
            if Some(c) == stop {
                return Ok(());
            }
            match c {
                '\'' if self.quotes => self.single(out)?,
                '"' if self.quotes => self.double(out)?,
                '$' => {
                    let value = self.dollar()?;
                    out.value(&value);
                }
                _ if c == self.expander.escape => {
                    self.chars.next();
                    match self.chars.next() {
                        // In a heredoc only a dollar and itself need it.
                        Some(next) if self.quotes || next == '$' || next == c => out.push(next),
                        Some(next) => {
                            out.push(c);
                            out.push(next);
                        }
                        None => out.push(c),
                    }
                }
                _ => {
                    self.chars.next();
                    if c.is_whitespace() {
                        out.blank(c);
                    } else {
                        out.push(c);
                    }
                }
            }
        }
        Ok(())
    }

    fn single(&mut self, out: &mut Out) -> Result<()> {
        self.chars.next();
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('\'') => break,
                Some(c) => text.push(c),
                None => {
                    return Err(
                        "unexpected end of statement while looking for matching single-quote"
                            .to_owned(),
                    );
                }
            }
        }
        out.quoted(&text);
        Ok(())
    }

    fn double(&mut self, out: &mut Out) -> Result<()> {
        self.chars.next();
        let mut text = String::new();
        loop {
            match self.chars.peek().copied() {
                Some('"') => {
                    self.chars.next();
                    break;
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.expander.escape => {
                    self.chars.next();
                    match self.chars.peek().copied() {
                        Some(next) if next == '"' || next == '$' || next == c => {
                            self.chars.next();
                            text.push(next);
                        }
                        _ => text.push(c),
                    }
                }
                Some(c) => {
                    self.chars.next();
                    text.push(c);
                }
                None => {
                    return Err(
                        "unexpected end of statement while looking for matching double-quote"
                            .to_owned(),
                    );
                }
            }
        }
        out.quoted(&text);
        Ok(())
    }

    fn dollar(&mut self) -> Result<String> {
        self.chars.next();
        if self.chars.peek() == Some(&'{') {
            self.chars.next();
            return self.braces();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(self.value(&name).unwrap_or_default())
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.expander.value)(name)
    }

    /// A name, a number, or one of the shell's special ones.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(&c) = self.chars.peek() {
            let number = name.starts_with(|c: char| c.is_ascii_digit());
            let goes_on = if number {
                c.is_ascii_digit()
            } else {
                c == '_' || c.is_alphanumeric()
            };
            if !goes_on {
                let special = name.is_empty() && "@*#?-$!".contains(c);
                if special {
                    self.chars.next();
                    name.push(c);
                }
                return name;
            }
            self.chars.next();
            name.push(c);
        }
        name
    }

    fn braces(&mut self) -> Result<String> {
        const BAD: &str = "syntax error: bad substitution";
        if matches!(self.chars.peek(), None | Some('{' | '}' | ':')) {
            return Err(BAD.to_owned());
        }
        let name = self.name();
        let Some(c) = self.chars.next() else {
            return Err("syntax error: missing '}'".to_owned());
        };
        let value = self.value(&name);
        match c {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let Some(modifier) = self.chars.next() else {
                    return Err("syntax error: missing ':' in substitution".to_owned());
                };
                if !"+-?".contains(modifier) {
                    return Err(format!("unsupported modifier ({modifier}) in substitution"));
                }
                let value = value.filter(|value| !value.is_empty());
                self.choice(modifier, &name, value, "empty")
            }
            '+' | '-' | '?' => self.choice(c, &name, value, "unset"),
            '#' | '%' => {
                let long = self.chars.next_if_eq(&c).is_some();
                let pattern = self.rest('}')?;
                Ok(trimmed(
                    &value.unwrap_or_default(),
                    &pattern,
                    c == '#',
                    long,
                ))
            }
            '/' => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let pattern = self.rest('/')?;
                let new = self.rest('}')?;
                Ok(replaced(&value.unwrap_or_default(), &pattern, &new, all))
            }
            _ => Err(format!("unsupported modifier ({c}) in substitution")),
        }
    }

    /// `-`, `+`, `?` and the word behind it.
    fn choice(
        &mut self,
        modifier: char,
        name: &str,
        value: Option<String>,
        state: &str,
    ) -> Result<String> {
        let word = self.nested()?;
        match (modifier, value) {
            ('+', Some(_)) | ('-', None) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            _ if word.is_empty() => Err(format!("{name}: is not allowed to be {state}")),
            _ => Err(format!("{name}: {word}")),
        }
    }

    /// The word up to the closing brace, expanded.
    fn nested(&mut self) -> Result<String> {
        let mut out = Out::default();
        self.until(Some('}'), &mut out)?;
        match self.chars.next() {
            Some('}') => Ok(out.text),
            _ => Err("syntax error: missing '}'".to_owned()),
        }
    }

    /// A pattern up to `end`: variables have values, and what is escaped stays escaped.
    fn rest(&mut self, end: char) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.chars.peek().copied() {
                None => return Err(format!("syntax error: missing '{end}'")),
                Some(c) if c == end => {
                    self.chars.next();
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some('\\') => {
                    self.chars.next();
                    match self.chars.next() {
                        Some(next) if next == '}' || next == '/' => text.push(next),
                        Some(next) => {
                            text.push('\\');
                            text.push(next);
                        }
                        None => text.push('\\'),
                    }
                }
                Some(c) => {
                    self.chars.next();
                    text.push(c);
                }
            }
        }
    }
}

/// A piece of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    One(char),
    Any,
    Many,
}

/// `*`, `?`, and escapes of these and of the escape itself.
fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Many,
            '?' => Piece::Any,
            '\\' => chars.next().map_or(Piece::One('\\'), Piece::One),
            _ => Piece::One(c),
        });
    }
    pieces
}

fn matches(pieces: &[Piece], text: &[char]) -> bool {
    // Where the pattern may stand after each character: linear in pattern times text.
    let mut at = vec![false; pieces.len() + 1];
    at[0] = true;
    spread(&mut at, pieces);
    for c in text {
        let mut next = vec![false; pieces.len() + 1];
        for (index, piece) in pieces.iter().enumerate() {
            if !at[index] {
                continue;
            }
            match piece {
                Piece::Many => next[index] = true,
                Piece::Any => next[index + 1] = true,
                Piece::One(wanted) if wanted == c => next[index + 1] = true,
                Piece::One(_) => {}
            }
        }
        at = next;
        spread(&mut at, pieces);
    }
    at[pieces.len()]
}

/// A star matches nothing, too.
fn spread(at: &mut [bool], pieces: &[Piece]) {
    for (index, piece) in pieces.iter().enumerate() {
        if at[index] && *piece == Piece::Many {
            at[index + 1] = true;
        }
    }
}

/// Takes the part that matches away: at the front or at the end, the longest or the shortest.
fn trimmed(value: &str, pattern: &str, front: bool, long: bool) -> String {
    let pieces = pieces(pattern);
    let chars: Vec<char> = value.chars().collect();
    let mut lengths: Vec<usize> = (0..=chars.len()).collect();
    if long {
        lengths.reverse();
    }
    for length in lengths {
        let (part, rest) = if front {
            chars.split_at(length)
        } else {
            let (rest, part) = chars.split_at(chars.len() - length);
            (part, rest)
        };
        if matches(&pieces, part) {
            return rest.iter().collect();
        }
    }
    value.to_owned()
}

/// Puts `new` in place of the first part that matches, or of all; each as long as can be.
fn replaced(value: &str, pattern: &str, new: &str, all: bool) -> String {
    let pieces = pieces(pattern);
    if pieces.is_empty() {
        return value.to_owned();
    }
    let chars: Vec<char> = value.chars().collect();
    let mut text = String::new();
    let mut from = 0;
    let mut done = false;
    while from < chars.len() {
        let found = (from + 1..=chars.len())
            .rev()
            .find(|&to| matches(&pieces, &chars[from..to]));
        match found {
            Some(to) if all || !done => {
                text.push_str(new);
                from = to;
                done = true;
            }
            _ => {
                text.push(chars[from]);
                from += 1;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expander(value: &(dyn Fn(&str) -> Option<String> + Sync)) -> Expander<'_> {
        Expander {
            escape: '\\',
            value,
        }
    }

    fn value(name: &str) -> Option<String> {
        let value = match name {
            "A" => "one",
            "EMPTY" => "",
            "PATHS" => "/usr/local/bin/x.tar.gz",
            "TWO" => "a b",
            "1" => "first",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn every_form() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("$A", "one"),
            ("${A}", "one"),
            ("x${A}y$A.z", "xoneyone.z"),
            ("$NONE", ""),
            ("${NONE:-word}", "word"),
            ("${EMPTY:-word}", "word"),
            ("${EMPTY-word}", ""),
            ("${NONE-word}", "word"),
            ("${A:+word}", "word"),
            ("${EMPTY:+word}", ""),
            ("${EMPTY+word}", "word"),
            ("${NONE+word}", ""),
            ("${A:?no}", "one"),
            ("${NONE:-${A}-$A}", "one-one"),
            ("${NONE:-'q}'}", "q}"),
            ("${PATHS#*/}", "usr/local/bin/x.tar.gz"),
            ("${PATHS##*/}", "x.tar.gz"),
            ("${PATHS%.*}", "/usr/local/bin/x.tar"),
            ("${PATHS%%.*}", "/usr/local/bin/x"),
            ("${PATHS/local/opt}", "/usr/opt/bin/x.tar.gz"),
            ("${PATHS//[/]/-}", "/usr/local/bin/x.tar.gz"),
            ("${PATHS//\\//-}", "-usr-local-bin-x.tar.gz"),
            ("${A/?/O}", "One"),
            ("${A//?/O}", "OOO"),
            ("${PATHS#\\*}", "/usr/local/bin/x.tar.gz"),
            ("'$A'", "$A"),
            ("\"$A b\"", "one b"),
            ("\"\\$A \\\" \\x\"", "$A \" \\x"),
            ("\\$A", "$A"),
            ("a\\ b", "a b"),
            ("$", "$"),
            ("a$", "a$"),
            ("$1x", "firstx"),
            ("$/", "$/"),
            ("a'b'\"c\"", "abc"),
            ("\\", "\\"),
        ] {
            assert_eq!(
                expander(&value).word(text).as_deref(),
                Ok(wanted),
                "{text:?}"
            );
        }
    }

    #[test]
    fn refuses() {
        for (text, wanted) in [
            ("${}", "syntax error: bad substitution"),
            ("${:x}", "syntax error: bad substitution"),
            ("${{x}", "syntax error: bad substitution"),
            ("${A", "syntax error: missing '}'"),
            ("${A:-x", "syntax error: missing '}'"),
            ("${A:x}", "unsupported modifier (x) in substitution"),
            ("${A^}", "unsupported modifier (^) in substitution"),
            ("${NONE:?}", "NONE: is not allowed to be empty"),
            ("${NONE?}", "NONE: is not allowed to be unset"),
            ("${NONE?why not}", "NONE: why not"),
            (
                "'a",
                "unexpected end of statement while looking for matching single-quote",
            ),
            (
                "\"a",
                "unexpected end of statement while looking for matching double-quote",
            ),
        ] {
            assert_eq!(
                expander(&value).word(text),
                Err(wanted.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn words_of_values() {
        for (text, wanted) in [
            ("a b", vec!["a", "b"]),
            ("$TWO", vec!["a", "b"]),
            ("\"$TWO\"", vec!["a b"]),
            ("x$TWO", vec!["xa", "b"]),
            ("$NONE", vec![]),
            ("''", vec![""]),
        ] {
            assert_eq!(expander(&value).words(text).unwrap(), wanted, "{text:?}");
        }
    }

    #[test]
    fn bodies() {
        for (text, wanted) in [
            ("a '$A' \"b\"\n", "a 'one' \"b\"\n"),
            ("\\$A \\n \\\\", "$A \\n \\"),
        ] {
            assert_eq!(expander(&value).body(text).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn a_long_pattern_is_quick() {
        let text = "a".repeat(200);
        let pattern = "a*".repeat(50) + "b";
        assert_eq!(trimmed(&text, &pattern, true, true), text);
    }
}
