//! Pure: physical lines become logical ones: directives, comments, continuations, heredocs.

use super::{Error, Result, at};

/// Bytes of a physical line that BuildKit's reader takes.
const MAX_LINE: usize = 65_535;

/// Directives at the head of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// The escape character: `\` or `` ` ``.
    pub escape: char,
    /// The frontend that is asked for; ours does all of them.
    pub syntax: Option<String>,
    /// What lint is told.
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

/// A logical line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Joined, without continuation characters and comments.
    pub text: String,
    /// First physical line, from 1.
    pub start: usize,
    /// Last physical line, with heredocs.
    pub end: usize,
    /// Comments right above it, without `#`.
    pub comments: Vec<String>,
    /// The bodies that follow it, in order.
    pub heredocs: Vec<Heredoc>,
}

/// Text that follows an instruction up to a word of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// What stands between, verbatim.
    pub body: String,
    /// Variables in it have values: the word was not quoted.
    pub expand: bool,
    /// Leading tabs are dropped (`<<-`).
    pub chomp: bool,
}

/// A file, joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// What the head says.
    pub directives: Directives,
    /// The logical lines that are instructions.
    pub lines: Vec<Line>,
    /// Physical lines of empty continuations, which a warning names.
    pub empty_continuations: Vec<usize>,
}

/// Reads a file.
pub fn read(text: &str) -> Result<Source> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        lines: text.split_inclusive('\n').collect(),
        next: 0,
        source: Source {
            directives: directives(text)?,
            ..Source::default()
        },
        comments: Vec::new(),
    };
    while let Some((number, line)) = reader.take()? {
        reader.logical(number, line)?;
    }
    if reader.source.lines.is_empty() {
        return Err(Error::Whole("file with no instructions".to_owned()));
    }
    Ok(reader.source)
}

struct Reader<'a> {
    /// Physical lines with their ends.
    lines: Vec<&'a str>,
    next: usize,
    source: Source,
    comments: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Returns the next physical line and its number, without its end.
    fn take(&mut self) -> Result<Option<(usize, &'a str)>> {
        let Some(raw) = self.lines.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        if raw.len() > MAX_LINE {
            let reason = format!("dockerfile line greater than max allowed size of {MAX_LINE}");
            return Err(at(self.next, reason));
        }
        Ok(Some((self.next, without_end(raw))))
    }

    fn logical(&mut self, number: usize, first: &str) -> Result<()> {
        let first = first.trim_start();
        if let Some(comment) = first.strip_prefix('#') {
            let comment = comment.trim();
            if comment.is_empty() {
                self.comments.clear();
            } else {
                self.comments.push(comment.to_owned());
            }
            return Ok(());
        }
        if first.trim().is_empty() {
            self.comments.clear();
            return Ok(());
        }
        let escape = self.source.directives.escape;
        let (mut text, mut goes_on) = continued(first, escape);
        while goes_on && let Some((number, line)) = self.take()? {
            if line.trim_start().starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                self.source.empty_continuations.push(number);
                continue;
            }
            let (piece, more) = continued(line, escape);
            text.push_str(&piece);
            goes_on = more;
        }
        let mut line = Line {
            heredocs: self.heredocs(number, &text)?,
            text,
            start: number,
            end: self.next,
            comments: std::mem::take(&mut self.comments),
        };
        line.text.truncate(line.text.trim_end().len());
        self.source.lines.push(line);
        Ok(())
    }

    fn heredocs(&mut self, number: usize, text: &str) -> Result<Vec<Heredoc>> {
        let mut heredocs = announced(text);
        for heredoc in &mut heredocs {
            loop {
                let Some(raw) = self.lines.get(self.next) else {
                    return Err(at(number, "unterminated heredoc"));
                };
                self.next += 1;
                let raw = if heredoc.chomp {
                    raw.trim_start_matches('\t')
                } else {
                    raw
                };
                if without_end(raw) == heredoc.name {
                    break;
                }
                heredoc.body.push_str(raw);
            }
        }
        Ok(heredocs)
    }
}

fn without_end(raw: &str) -> &str {
    let line = raw.strip_suffix('\n').unwrap_or(raw);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Takes the continuation character away, and tells whether it was there. A doubled one at the end
/// of the line is none.
fn continued(line: &str, escape: char) -> (String, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    if let Some(rest) = trimmed.strip_suffix(escape)
        && !rest.ends_with(escape)
    {
        return (rest.to_owned(), true);
    }
    (line.to_owned(), false)
}

fn directives(text: &str) -> Result<Directives> {
    let mut found = Directives::default();
    let mut seen: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((key, value)) = directive(line) else {
            break;
        };
        if seen.contains(&key) {
            let reason = format!("only one {key} parser directive can be used");
            return Err(at(index + 1, reason));
        }
        match key.as_str() {
            "escape" => {
                found.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        let reason =
                            format!("invalid escape token '{other}' does not match ` or \\");
                        return Err(at(index + 1, reason));
                    }
                }
            }
            "syntax" => found.syntax = Some(value.to_owned()),
            _ => found.check = Some(value.to_owned()),
        }
        seen.push(key);
    }
    Ok(found)
}

/// A line `# key = value` with a key that is known.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    (["syntax", "escape", "check"].contains(&key.as_str()) && !value.is_empty())
        .then_some((key, value))
}

/// The heredocs that an instruction announces; their bodies are still empty.
pub(super) fn announced(text: &str) -> Vec<Heredoc> {
    let mut words = text.split_ascii_whitespace();
    let mut keyword = words.next().unwrap_or_default().to_ascii_uppercase();
    if keyword == "ONBUILD" {
        keyword = words.next().unwrap_or_default().to_ascii_uppercase();
    }
    let takes_them = ["ADD", "COPY", "RUN"].contains(&keyword.as_str());
    let json = words.next().is_some_and(|word| word.starts_with('['));
    if !takes_them || json || !text.contains("<<") {
        return Vec::new();
    }
    shell_words(text)
        .iter()
        .filter_map(|word| heredoc(word))
        .collect()
}

/// Returns the heredoc that a word of a shell announces: digits, `<<`, perhaps `-`, and a name.
pub fn heredoc(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix("<<")?;
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let mut name = String::new();
    let mut quote = None;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => name.extend(chars.next()),
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => name.push(c),
        }
    }
    (quote.is_none() && !name.is_empty()).then(|| Heredoc {
        expand: name == rest,
        name,
        body: String::new(),
        chomp,
    })
}

/// Splits at blanks outside of quotes, and keeps quotes and backslashes.
pub(super) fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(chars.next());
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.push(c);
            }
            (_, Some(open)) if c == open => {
                quote = None;
                word.push(c);
            }
            (_, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(String, usize, usize)> {
        let lines = read(source).unwrap().lines;
        lines
            .into_iter()
            .map(|line| (line.text, line.start, line.end))
            .collect()
    }

    #[test]
    fn joins_lines() {
        for (source, wanted) in [
            ("FROM a\n", vec![("FROM a", 1, 1)]),
            ("\u{feff}FROM a", vec![("FROM a", 1, 1)]),
            (
                "\r\n  FROM a  \r\nRUN b\r\n",
                vec![("FROM a", 2, 2), ("RUN b", 3, 3)],
            ),
            ("RUN a \\\n  b", vec![("RUN a   b", 1, 2)]),
            (
                "RUN a \\  \n# comment\n\n  b\nRUN c",
                vec![("RUN a   b", 1, 4), ("RUN c", 5, 5)],
            ),
            (
                "RUN a \\\\\nRUN b",
                vec![("RUN a \\\\", 1, 1), ("RUN b", 2, 2)],
            ),
            ("RUN a \\", vec![("RUN a", 1, 1)]),
            ("# escape=`\nRUN a `\n b\\", vec![("RUN a  b\\", 2, 3)]),
            ("RUN a\\\n\\\nb", vec![("RUN ab", 1, 3)]),
        ] {
            let wanted: Vec<_> = wanted
                .into_iter()
                .map(|(text, start, end)| (text.to_owned(), start, end))
                .collect();
            assert_eq!(texts(source), wanted, "{source:?}");
        }
    }

    #[test]
    fn reads_heredocs() {
        let source =
            read("RUN <<EOF\na\n  b \nEOF\nCOPY <<-'x y' <<\"z\" /d/\n\tone\n\tx y\ntwo\nz\n");
        let lines = source.unwrap().lines;
        let bodies: Vec<_> = lines
            .iter()
            .flat_map(|line| &line.heredocs)
            .map(|one| (one.name.as_str(), one.body.as_str(), one.expand, one.chomp))
            .collect();
        assert_eq!(
            bodies,
            [
                ("EOF", "a\n  b \n", true, false),
                ("x y", "one\n", false, true),
                ("z", "two\n", false, false),
            ]
        );
        assert_eq!((lines[0].end, lines[1].start, lines[1].end), (4, 5, 9));
        assert!(announced("RUN [\"a\", \"<<EOF\"]").is_empty());
        assert!(announced("ENV a <<EOF").is_empty());
        assert!(announced("RUN echo $((1 << 2))").is_empty());
        assert_eq!(announced("RUN 3<<A cat <<B").len(), 2);
    }

    #[test]
    fn knows_directives() {
        let source =
            read("# Escape = `\n#syntax=docker/dockerfile:1\n# other=1\n# check=skip=all\nFROM a");
        let directives = source.unwrap().directives;
        assert_eq!(directives.escape, '`');
        assert_eq!(directives.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!(directives.check, None);
    }

    #[test]
    fn refuses() {
        let long = format!("RUN {}", "x".repeat(MAX_LINE));
        for (source, wanted) in [
            ("", "file with no instructions"),
            ("# only\n\n", "file with no instructions"),
            (
                "# escape=\\\n# escape=`\nFROM a",
                "dockerfile parse error on line 2: only one escape parser directive can be used",
            ),
            (
                "# escape=x\nFROM a",
                "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\",
            ),
            (
                "FROM a\nRUN <<E\nx",
                "dockerfile parse error on line 2: unterminated heredoc",
            ),
            (
                &long,
                "dockerfile parse error on line 1: dockerfile line greater than max allowed size of 65535",
            ),
        ] {
            assert_eq!(read(source).unwrap_err().to_string(), wanted);
        }
    }
}
