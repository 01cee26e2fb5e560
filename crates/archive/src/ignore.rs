//! Pure: `.dockerignore` and its patterns (moby/patternmatcher, with its quirks).

/// What a context leaves out.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// `!`: what matches stays after all.
    keep: bool,
    pattern: Pattern,
}

/// A pattern of paths: `*`, `?`, `[a-z]` within a name, `**` across names.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    One(char),
    /// `?`: any but a slash.
    Any,
    /// `*`: any number of any but a slash.
    Star,
    /// `**/`: any number of directories.
    Directories,
    /// `**` at the end: anything.
    Rest,
    /// `[…]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A pattern cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern: {0:?}")]
pub struct BadPattern(pub String);

impl Ignore {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for line in text.lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (keep, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = clean(pattern);
            // The context itself cannot be left out.
            if line.is_empty() || pattern.is_empty() || pattern == "." {
                continue;
            }
            rules.push(Rule {
                keep,
                pattern: Pattern::parse(&pattern)?,
            });
        }
        Ok(Self { rules })
    }

    /// Keeps one more path, whatever the file says.
    pub fn keep(&mut self, path: &str) -> Result<(), BadPattern> {
        let pattern = Pattern::parse(&clean(path))?;
        self.rules.push(Rule {
            keep: true,
            pattern,
        });
        Ok(())
    }

    /// Tells whether a path (relative, with slashes) is left out: the last rule that matches it or one
    /// of its directories decides.
    pub fn leaves_out(&self, path: &str) -> bool {
        self.rules.iter().fold(false, |out, rule| {
            // A rule that changes nothing need not be asked.
            if rule.keep == out && rule.pattern.matches_or_parent(path) {
                !rule.keep
            } else {
                out
            }
        })
    }

    /// Tells whether something below a directory that is left out may stay after all.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.keep)
    }
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.to_owned());
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    let slash = chars.next_if_eq(&'/').is_some();
                    let plain = !chars.clone().any(|c| "*?[\\".contains(c));
                    tokens.push(if chars.peek().is_none() {
                        Token::Rest
                    } else if tokens.is_empty() && !slash && plain {
                        // `**x` is what ends with x.
                        Token::Rest
                    } else {
                        Token::Directories
                    });
                }
                '*' => tokens.push(Token::Star),
                '?' => tokens.push(Token::Any),
                '\\' => tokens.push(Token::One(chars.next().ok_or_else(bad)?)),
                '[' => tokens.push(class(&mut chars).ok_or_else(bad)?),
                _ => tokens.push(Token::One(c)),
            }
        }
        Ok(Self(tokens))
    }

    /// Tells whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        // Each token may be where the path stands: no pattern takes longer than its length times
        // the path's.
        let end = self.0.len();
        let mut at = vec![false; end + 1];
        let mut inside = vec![false; end];
        at[0] = true;
        self.skip(&mut at);
        for c in path.chars() {
            let mut next = vec![false; end + 1];
            let mut still = vec![false; end];
            for (index, token) in self.0.iter().enumerate() {
                match token {
                    Token::Directories if at[index] || inside[index] => {
                        still[index] = true;
                        next[index + 1] |= c == '/';
                    }
                    _ if !at[index] => {}
                    Token::Rest => next[index] = true,
                    Token::Star => next[index] |= c != '/',
                    Token::Any => next[index + 1] |= c != '/',
                    Token::One(wanted) => next[index + 1] |= *wanted == c,
                    Token::Class { negated, ranges } => {
                        let found = ranges.iter().any(|&(low, high)| (low..=high).contains(&c));
                        next[index + 1] |= c != '/' && found != *negated;
                    }
                    Token::Directories => {}
                }
            }
            (at, inside) = (next, still);
            self.skip(&mut at);
        }
        at[end]
    }

    /// Tells whether the path or one of its directories matches.
    pub fn matches_or_parent(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(index, _)| &path[..index]);
        parents.chain([path]).any(|part| self.matches(part))
    }

    /// What may stand for nothing is passed by.
    fn skip(&self, at: &mut [bool]) {
        for (index, token) in self.0.iter().enumerate() {
            if at[index] && matches!(token, Token::Star | Token::Directories | Token::Rest) {
                at[index + 1] = true;
            }
        }
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next()? {
        '\\' => chars.next(),
        c => Some(c),
    };
    loop {
        if chars.peek() == Some(&']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = one(chars)?;
        let high = match chars.next_if_eq(&'-') {
            Some(_) => one(chars)?,
            None => low,
        };
        ranges.push((low, high));
    }
}

/// Takes `.`, `..`, doubled and leading slashes out of a path, as Go's `filepath.Clean` does.
pub fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, wanted) in [
            ("a", "a", true),
            ("a", "b", false),
            ("*.md", "x.md", true),
            ("*.md", "d/x.md", false),
            ("**/*.md", "x.md", true),
            ("**/*.md", "d/e/x.md", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/foo", "foo", true),
            ("**/foo", "a/foo", true),
            ("**/foo", "afoo", false),
            ("**foo", "afoo", true),
            ("**foo", "b/afoo", true),
            ("**foo*", "foox", true),
            ("**foo*", "afoox", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[a\\]]x", "]x", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("abc.def", "abcXdef", false),
            ("*", "a/b", false),
            ("", "", true),
        ] {
            let pattern_ = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern_.matches(path), wanted, "{pattern:?} {path:?}");
        }
        for bad in ["[", "[a", "a\\", "[]"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_last_rule_decides() {
        let ignore = Ignore::parse(
            "\u{feff}# comment\n /docs/ \n!docs/keep\n*.o\n!main.o\ndeep/./x/../y\n.\n!\n",
        )
        .unwrap();
        for (path, out) in [
            ("docs", true),
            ("docs/a", true),
            ("docs/keep", false),
            ("docs/keep/b", false),
            ("a.o", true),
            ("main.o", false),
            ("d/a.o", false),
            ("deep/y", true),
            ("deep/x", false),
            ("other", false),
        ] {
            assert_eq!(ignore.leaves_out(path), out, "{path}");
        }
        assert!(ignore.has_exceptions());
    }
}
