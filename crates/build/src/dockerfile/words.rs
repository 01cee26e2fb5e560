//! Pure: how the words of a line are told apart: three ways, for instructions differ.

/// A word and where it stands in the text that was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word; whether quotes and escapes are in it depends on who split.
    pub text: String,
    /// Its first byte.
    pub start: usize,
    /// Behind its last one.
    pub end: usize,
}

/// Splits at blanks, whatever quotes there are.
pub fn at_blanks(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open = false;
    for (at, c) in text.char_indices() {
        if is_blank(c) {
            open = false;
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut().filter(|_| open) {
            Some(word) => {
                word.text.push(c);
                word.end = end;
            }
            None => words.push(Word {
                text: c.to_string(),
                start: at,
                end,
            }),
        }
        open = true;
    }
    words
}

/// The blanks between words of an instruction.
pub fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// Splits at blanks that are neither quoted nor escaped; quotes and escapes stay in the words, for
/// they are read when variables are.
pub fn quoted(text: &str, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word {
            text: String::new(),
            start: at,
            end: at,
        });
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape && quote != Some('\'') => {
                let Some((next, escaped)) = chars.next() else {
                    // One at the very end says nothing.
                    quote = None;
                    continue;
                };
                word.text.push(c);
                word.text.push(escaped);
                word.end = next + escaped.len_utf8();
                continue;
            }
            _ => {}
        }
        word.text.push(c);
        word.end = at + c.len_utf8();
    }
    words.extend(word.filter(|word| !word.text.is_empty()));
    words
}

/// Takes the leading words that begin with `--` off a line, without their quotes and escapes. Returns
/// them and where the rest begins; a bare `--` ends them and goes.
pub fn flags(text: &str) -> (Vec<Word>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        if !text[at..].starts_with("--") {
            return (found, at);
        }
        let (word, end) = flag(text, at);
        at = end;
        if word == "--" {
            let rest = &text[at..];
            return (found, at + rest.len() - rest.trim_start().len());
        }
        found.push(Word {
            start: found_start(text, end, &found),
            text: word,
            end,
        });
    }
}

/// Where the flag that ends at `end` began: behind the blanks behind the one before.
fn found_start(text: &str, end: usize, found: &[Word]) -> usize {
    let from = found.last().map_or(0, |word| word.end);
    let between = &text[from..end];
    from + between.len() - between.trim_start().len()
}

/// Reads one flag; returns it, and where it ends.
fn flag(text: &str, start: usize) -> (String, usize) {
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text[start..].char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, start + at),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == '\\' => match chars.next() {
                Some((_, escaped)) => word.push(escaped),
                None => break,
            },
            _ => word.push(c),
        }
    }
    (word, text.len())
}

/// Takes quotes and escapes out of a word, as a shell does; variables stay.
pub fn unquote(word: &str, escape: char) -> String {
    let mut plain = String::new();
    let mut quote: Option<char> = None;
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            Some('\'') => plain.push(c),
            Some(_) if c == escape => match chars.peek() {
                Some(&next) if next == '"' || next == '$' || next == escape => {
                    plain.push(next);
                    chars.next();
                }
                _ => plain.push(c),
            },
            None if c == escape => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn quotes_hold_words_together() {
        for (text, wanted) in [
            ("a b", &["a", "b"][..]),
            ("  a\t b  ", &["a", "b"]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("a='b c' d", &["a='b c'", "d"]),
            ("a=b\\ c d", &["a=b\\ c", "d"]),
            ("a=\"b\\\" c\" d", &["a=\"b\\\" c\"", "d"]),
            ("a='b\\' c", &["a='b\\'", "c"]),
            ("\"\"", &["\"\""]),
            ("", &[]),
            ("a\\", &["a"]),
            ("a=\"open b", &["a=\"open b"]),
        ] {
            assert_eq!(texts(&quoted(text, '\\')), wanted, "{text:?}");
        }
        assert_eq!(texts(&quoted("a=b` c d", '`')), ["a=b` c", "d"]);
        assert_eq!(texts(&at_blanks(" a  'b c'\t")), ["a", "'b", "c'"]);
        let word = &quoted(" ä b", '\\')[1];
        assert_eq!((word.start, word.end), (4, 5));
    }

    #[test]
    fn flags_come_first() {
        for (text, wanted, rest) in [
            ("a b", &[][..], "a b"),
            ("--a=b c", &["--a=b"], "c"),
            ("--a --b='c d' e --f", &["--a", "--b=c d"], "e --f"),
            ("--a=\"b\\\"c\" d", &["--a=b\"c"], "d"),
            ("-- --a b", &[], "--a b"),
            ("--a -- b", &["--a"], "b"),
            ("--a", &["--a"], ""),
            ("  --a\\ b c", &["--a b"], "c"),
            ("-a b", &[], "-a b"),
        ] {
            let (found, at) = flags(text);
            assert_eq!(
                (texts(&found), &text[at..]),
                (wanted.to_vec(), rest),
                "{text:?}"
            );
        }
        let (found, _) = flags("  --a  --bc x");
        assert_eq!((found[0].start, found[0].end), (2, 5));
        assert_eq!((found[1].start, found[1].end), (7, 11));
    }

    #[test]
    fn quotes_go() {
        for (word, wanted) in [
            ("a", "a"),
            ("'a b'", "a b"),
            ("\"a b\"", "a b"),
            ("a\\ b", "a b"),
            ("\"a\\\"b\"", "a\"b"),
            ("\"a\\b\"", "a\\b"),
            ("'a\\b'", "a\\b"),
            ("\"\\$x\"", "$x"),
            ("'", ""),
        ] {
            assert_eq!(unquote(word, '\\'), wanted, "{word:?}");
        }
    }
}
