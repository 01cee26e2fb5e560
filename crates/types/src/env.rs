//! Pure: environment variables as `-e` and `--env-file` give them.

/// A text is not a variable or a file of variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnv {
    /// `=x` or nothing.
    #[error("invalid environment variable: {0}")]
    NoName(String),
    /// A line of a file that starts with `=`.
    #[error("no variable name on line '{0}'")]
    LineWithoutName(String),
    /// A blank in the name.
    #[error("variable '{0}' contains whitespaces")]
    Blank(String),
    /// A line of a file that is not UTF-8; counted from 1.
    #[error("invalid utf8 bytes at line {0}: {1:?}")]
    NotUtf8(usize, Vec<u8>),
}

/// Returns `NAME=value` of an `-e` argument; a name alone takes its value from `lookup` and stays
/// a name alone where it has none (which unsets it).
pub fn parse(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, InvalidEnv> {
    let name = text.split('=').next().unwrap_or_default();
    if name.is_empty() {
        return Err(InvalidEnv::NoName(text.to_owned()));
    }
    if text.contains('=') {
        return Ok(text.to_owned());
    }
    Ok(lookup(name).map_or_else(|| text.to_owned(), |value| format!("{name}={value}")))
}

/// Returns the variables of a file: one a line, `#` comments; names that `lookup` does not know
/// are left out. Files of labels follow the same rules, with a `lookup` that knows nothing.
pub fn parse_file(
    bytes: &[u8],
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, InvalidEnv> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut variables = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|_| InvalidEnv::NotUtf8(number + 1, line.to_vec()))?
            .trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let name = text.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(InvalidEnv::LineWithoutName(text.to_owned()));
        }
        if name.contains(char::is_whitespace) {
            return Err(InvalidEnv::Blank(name.to_owned()));
        }
        if text.contains('=') {
            variables.push(text.to_owned());
        } else if let Some(value) = lookup(name) {
            variables.push(format!("{name}={value}"));
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    #[test]
    fn arguments() {
        for (text, variable) in [
            ("A=1", "A=1"),
            ("A=", "A="),
            ("HOME", "HOME=/root"),
            ("B", "B"),
        ] {
            assert_eq!(parse(text, lookup).unwrap(), variable);
        }
        for bad in ["", "=x"] {
            assert_eq!(parse(bad, lookup), Err(InvalidEnv::NoName(bad.to_owned())));
        }
    }

    #[test]
    fn files() {
        let text = b"\xef\xbb\xbfA=1\r\n# no\n\n  B= two \nHOME\nGONE\n";
        assert_eq!(
            parse_file(text, lookup).unwrap(),
            ["A=1", "B= two ", "HOME=/root"]
        );
        assert_eq!(
            parse_file(b"A B=1", lookup),
            Err(InvalidEnv::Blank("A B".to_owned()))
        );
        assert_eq!(
            parse_file(b"=1", lookup),
            Err(InvalidEnv::LineWithoutName("=1".to_owned()))
        );
        assert!(matches!(
            parse_file(b"A=1\n\xff", lookup),
            Err(InvalidEnv::NotUtf8(2, _))
        ));
    }
}
