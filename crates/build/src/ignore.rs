//! Pure: `.dockerignore`: which paths of a context are left out, with the quirks that files rely on.

/// A pattern cannot be read; the messages are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `!` and nothing else.
    #[error("illegal exclusion pattern: \"!\"")]
    Bare,
    /// A bracket is not closed, or holds nothing.
    #[error("syntax error in pattern")]
    Syntax(String),
}

/// The patterns of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// `!`: what matches is wanted after all.
    wanted: bool,
    how: How,
}

/// How a pattern is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// `a/b`
    Exact(String),
    /// `a/**`: all that begins so.
    Prefix(String),
    /// `**/a`, `**a`: all that ends so.
    Suffix(String),
    /// What has wildcards elsewhere.
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This character.
    One(char),
    /// `?`: any but the slash.
    Any,
    /// `*`: any number of those.
    Many,
    /// `**/`: nothing, or anything that ends with a slash.
    Directories,
    /// `**` at the end: anything.
    All,
    /// `[a-z]`, `[^a]`.
    Class(bool, Vec<(char, char)>),
}

impl Ignore {
    /// Reads a file.
    pub fn parse(file: &[u8]) -> Result<Self, IgnoreError> {
        let text = String::from_utf8_lossy(file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file));
        let mut patterns = Vec::new();
        for line in text.lines() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (wanted, bare) = match line.trim().strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line.trim()),
            };
            if bare.is_empty() {
                return Err(IgnoreError::Bare);
            }
            let cleaned = clean(bare);
            let cleaned = match cleaned.strip_prefix('/') {
                Some(rest) if !rest.is_empty() => rest,
                _ => &cleaned,
            };
            patterns.push(Pattern {
                wanted,
                how: How::new(cleaned)?,
            });
        }
        Ok(Self(patterns))
    }

    /// Tells whether a path of the context is left out: it, or a directory that it is in, matches the
    /// last pattern that matches at all.
    pub fn excludes(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        let all: Vec<&str> = std::iter::once(path).chain(parents).collect();
        let mut excluded = false;
        for pattern in &self.0 {
            if pattern.wanted == excluded && all.iter().any(|path| pattern.how.matches(path)) {
                excluded = !pattern.wanted;
            }
        }
        excluded
    }

    /// Tells whether something below an excluded directory may be wanted after all.
    pub fn has_exceptions(&self) -> bool {
        self.0.iter().any(|pattern| pattern.wanted)
    }
}

/// Returns a path without `.`, `..` and doubled slashes, as Go's `filepath.Clean` does.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if rooted || parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

impl How {
    fn new(pattern: &str) -> Result<Self, IgnoreError> {
        let bad = || IgnoreError::Syntax(pattern.to_owned());
        let mut parts = Vec::new();
        // Where the pattern could stop being compared as a text.
        let (mut plain, mut prefix, mut suffix) = (true, false, false);
        let mut chars = pattern.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    chars.next();
                    if chars.peek() == Some(&'/') {
                        chars.next();
                    }
                    if chars.peek().is_some() {
                        parts.push(Part::Directories);
                        plain = false;
                    } else {
                        prefix = plain;
                        parts.push(Part::All);
                        plain = false;
                    }
                    // What begins so is compared by its end, unless more wildcards follow.
                    suffix = first;
                }
                '*' | '?' => {
                    parts.push(if c == '*' { Part::Many } else { Part::Any });
                    (plain, suffix) = (false, false);
                }
                '[' => {
                    parts.push(class(&mut chars).ok_or_else(bad)?);
                    (plain, suffix) = (false, false);
                }
                '\\' => {
                    parts.push(Part::One(chars.next().ok_or_else(bad)?));
                    (plain, suffix) = (false, false);
                }
                c => parts.push(Part::One(c)),
            }
            first = false;
        }
        Ok(if suffix {
            Self::Suffix(pattern[2..].to_owned())
        } else if prefix {
            Self::Prefix(pattern[..pattern.len() - 2].to_owned())
        } else if plain {
            Self::Exact(pattern.to_owned())
        } else {
            Self::Parts(parts)
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => path == text,
            Self::Prefix(text) => path.starts_with(text.as_str()),
            Self::Suffix(text) => {
                path.ends_with(text.as_str()) || text.strip_prefix('/') == Some(path)
            }
            Self::Parts(parts) => whole(parts, path),
        }
    }
}

/// Reads what is behind `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class(negated, ranges)),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let to = if chars.next_if_eq(&'-').is_some() {
            match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            }
        } else {
            from
        };
        ranges.push((from, to));
    }
}

/// Tells whether all of a path matches. Walks all ways at once: no pattern takes long.
fn whole(parts: &[Part], path: &str) -> bool {
    let end = parts.len();
    let close = |alive: &mut Vec<bool>| {
        for (at, part) in parts.iter().enumerate() {
            let over = matches!(part, Part::Many | Part::Directories | Part::All);
            if alive[at] && over {
                alive[at + 1] = true;
            }
        }
    };
    let mut alive = vec![false; end + 1];
    alive[0] = true;
    close(&mut alive);
    // `**/` that has begun is over only behind a slash.
    let mut within = vec![false; end + 1];
    for c in path.chars() {
        let mut next = vec![false; end + 1];
        let mut inside = vec![false; end + 1];
        for (at, part) in parts.iter().enumerate() {
            if !alive[at] && !within[at] {
                continue;
            }
            match part {
                Part::Directories => {
                    inside[at] = true;
                    next[at + 1] |= c == '/';
                }
                Part::All => next[at] = true,
                Part::Many => next[at] |= alive[at] && c != '/',
                Part::Any => next[at + 1] |= alive[at] && c != '/',
                Part::One(wanted) => next[at + 1] |= alive[at] && c == *wanted,
                Part::Class(negated, ranges) => {
                    let found = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                    next[at + 1] |= alive[at] && found != *negated;
                }
            }
        }
        alive = next;
        within = inside;
        close(&mut alive);
    }
    alive[end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of moby's patternmatcher, what matters of it here.
    #[test]
    fn patterns() {
        for (pattern, path, excluded) in [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**/file", "dir/file", true),
            ("**file", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/file.txt", true),
            ("**/**/*.txt2", "dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abc/def", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/foo/bar", true),
            ("**/foo/bar", "xfoo/bar", false),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def/ghi", true),
            ("*/c/d", "a/b/c/d", false),
            ("a", "a/b/c", true),
            ("./a/", "a", true),
            ("/a", "a", true),
            ("a/../b", "b", true),
            ("*", "a/b", true),
            ("b", "a/b", false),
        ] {
            let ignore = Ignore::parse(pattern.as_bytes()).unwrap();
            assert_eq!(ignore.excludes(path), excluded, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_word_counts() {
        let ignore =
            Ignore::parse(b"\xef\xbb\xbf# c\n\n*.md\n! README.md\ndocs\n!docs/kept\n").unwrap();
        for (path, excluded) in [
            ("x.md", true),
            ("README.md", false),
            ("docs/a", true),
            ("docs/kept", false),
            ("docs/kept/deep", false),
            ("x", false),
        ] {
            assert_eq!(ignore.excludes(path), excluded, "{path}");
        }
        assert!(ignore.has_exceptions());
        // A hash behind a blank begins no comment.
        assert!(Ignore::parse(b" #a").unwrap().excludes("#a"));
    }

    #[test]
    fn what_cannot_be_read() {
        assert_eq!(Ignore::parse(b"a\n!\n"), Err(IgnoreError::Bare));
        for bad in ["[", "a[", "a[]", "a[-]", "a[x-]", "a\\"] {
            let error = Ignore::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "syntax error in pattern", "{bad}");
        }
        // A long fight with one path is over at once.
        let pattern = format!("{}b", "*a".repeat(200));
        let ignore = Ignore::parse(pattern.as_bytes()).unwrap();
        assert!(!ignore.excludes(&"a".repeat(2000)));
    }
}
