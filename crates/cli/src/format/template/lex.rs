//! Pure: text → tokens.

/// A token with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Byte offset.
    pub(super) at: usize,
    /// Line, from 1.
    pub(super) line: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Between actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A word.
    Word(String),
    /// `.Name`
    Field(String),
    /// `.`
    Dot,
    /// `$` or `$name`
    Variable(String),
    /// A text in quotes, as it means.
    String(String),
    /// A number as written.
    Number(String),
    /// `|`
    Pipe,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
    /// A blank between words.
    Space,
}

/// Splits a template into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    while at < text.len() {
        let open = text[at..].find("{{").map_or(text.len(), |found| at + found);
        let mut part = &text[at..open];
        if trim_next {
            part = part.trim_start_matches([' ', '\t', '\r', '\n']);
        }
        let trims_left = open < text.len()
            && text[open + 2..].starts_with('-')
            && text[open + 3..].starts_with([' ', '\t', '\r', '\n']);
        if trims_left {
            part = part.trim_end_matches([' ', '\t', '\r', '\n']);
        }
        if !part.is_empty() {
            tokens.push(Token {
                kind: Kind::Text(part.to_owned()),
                at,
                line: line_of(text, at),
            });
        }
        if open == text.len() {
            break;
        }
        let start = if trims_left { open + 4 } else { open + 2 };
        (at, trim_next) = lex_action(text, open, start, &mut tokens)?;
    }
    Ok(tokens)
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Reads one action; returns where it ends and whether it trims what follows.
fn lex_action(
    text: &str,
    open: usize,
    start: usize,
    tokens: &mut Vec<Token>,
) -> Result<(usize, bool), String> {
    let line = line_of(text, open);
    let complain = |what: String| Err(format!("template: :{line}: {what}"));
    if text[start..].starts_with("/*") {
        let Some(end) = text[start..].find("*/") else {
            return complain("unclosed comment".to_owned());
        };
        let after = start + end + 2;
        return match closing(&text[after..]) {
            Some((length, trims)) => Ok((after + length, trims)),
            None => complain("comment ends before closing delimiter".to_owned()),
        };
    }
    tokens.push(Token {
        kind: Kind::Open,
        at: open,
        line,
    });
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        let rest = &text[at..];
        if let Some((length, trims)) = closing(rest) {
            if depth > 0 {
                return complain("unclosed left paren".to_owned());
            }
            tokens.push(Token {
                kind: Kind::Close,
                at,
                line: line_of(text, at),
            });
            return Ok((at + length, trims));
        }
        let (kind, length) = match next_token(rest) {
            Ok(Some(found)) => found,
            Ok(None) => return complain("unclosed action".to_owned()),
            Err(what) => return complain(what),
        };
        match kind {
            Kind::OpenParen => depth += 1,
            Kind::CloseParen if depth == 0 => {
                return complain("unexpected right paren".to_owned());
            }
            Kind::CloseParen => depth -= 1,
            _ => {}
        }
        tokens.push(Token {
            kind,
            at,
            line: line_of(text, at),
        });
        at += length;
    }
}

/// Returns the length of `}}` or ` -}}`, and whether it trims.
fn closing(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    let blanks = rest.len() - trimmed.len();
    (blanks > 0 && trimmed.starts_with("-}}")).then_some((blanks + 3, true))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads one token; `None` = the text is over.
fn next_token(rest: &str) -> Result<Option<(Kind, usize)>, String> {
    let Some(first) = rest.chars().next() else {
        return Ok(None);
    };
    let word_end = |from: usize| {
        rest[from..]
            .find(|c| !is_word(c))
            .map_or(rest.len(), |n| from + n)
    };
    let found = match first {
        ' ' | '\t' | '\r' | '\n' => {
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            (Kind::Space, rest.len() - trimmed.len())
        }
        '|' => (Kind::Pipe, 1),
        '(' => (Kind::OpenParen, 1),
        ')' => (Kind::CloseParen, 1),
        ',' => (Kind::Comma, 1),
        '=' => (Kind::Assign, 1),
        ':' if rest.starts_with(":=") => (Kind::Declare, 2),
        ':' => return Err("expected :=".to_owned()),
        '"' | '`' => quoted(rest, first)?,
        '.' => {
            let next = rest[1..].chars().next();
            if next.is_some_and(|c| c.is_ascii_digit()) {
                number(rest)
            } else {
                let end = word_end(1);
                match &rest[1..end] {
                    "" => (Kind::Dot, 1),
                    name => (Kind::Field(name.to_owned()), end),
                }
            }
        }
        '$' => {
            let end = word_end(1);
            (Kind::Variable(rest[..end].to_owned()), end)
        }
        '\'' => return Err("unterminated character constant".to_owned()),
        '+' | '-' | '0'..='9' => number(rest),
        c if is_word(c) => {
            let end = word_end(0);
            (Kind::Word(rest[..end].to_owned()), end)
        }
        c => {
            let shown = u32::from(c);
            return Err(if c == '{' || c == '}' || !c.is_control() {
                format!("bad character U+{shown:04X} '{c}'")
            } else {
                format!("bad character U+{shown:04X}")
            });
        }
    };
    Ok(Some(found))
}

fn number(rest: &str) -> (Kind, usize) {
    let body = rest.trim_start_matches(['+', '-']);
    let signs = rest.len() - body.len();
    let end = body
        .find(|c: char| !(is_word(c) || c == '.'))
        .unwrap_or(body.len());
    let length = (signs + end).max(1);
    (Kind::Number(rest[..length].to_owned()), length)
}

fn quoted(rest: &str, quote: char) -> Result<(Kind, usize), String> {
    let raw = quote == '`';
    let name = if raw {
        "raw quoted string"
    } else {
        "quoted string"
    };
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Kind::String(text), at + 1)),
            '\n' if !raw => break,
            '\\' if !raw => match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(c) => text.push(c),
                None => break,
            },
            c => text.push(c),
        }
    }
    Err(format!("unterminated {name}"))
}
