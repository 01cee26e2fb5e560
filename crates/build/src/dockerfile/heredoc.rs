//! Pure: here-documents: text that stands in the file below its instruction.

use super::words::{quoted, unquote};

/// A here-document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, without quotes.
    pub name: String,
    /// The number before `<<`; 0 if there is none.
    pub descriptor: u32,
    /// Its variables are expanded: no part of the word was quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of its lines go.
    pub chomp: bool,
    /// The lines, with their ends.
    pub content: String,
}

impl Heredoc {
    /// Reads a word `<<NAME`; none if it is not one.
    pub fn parse(word: &str) -> Option<Self> {
        let (number, rest) = word.split_once("<<")?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (chomp, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let [raw] = &quoted(rest, '\\')[..] else {
            return None;
        };
        let name = unquote(&raw.text, '\\');
        Some(Self {
            expand: name == raw.text,
            name,
            descriptor: number.parse().unwrap_or(0),
            chomp,
            content: String::new(),
        })
    }

    /// Returns the here-documents that a line announces.
    pub fn in_line(text: &str) -> Vec<Self> {
        let words = quoted(text, '\\');
        words
            .iter()
            .filter_map(|word| Self::parse(&word.text))
            .collect()
    }

    /// Tells whether a line of the file, without its end, is where it ends.
    pub fn is_end(&self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let tabs = line.iter().take_while(|&&byte| byte == b'\t').count();
        let line = if self.chomp { &line[tabs..] } else { line };
        line == self.name.as_bytes()
    }

    /// Returns the content as it is meant: with `<<-` without the tabs in front.
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content
            .split_inclusive('\n')
            .map(|line| line.trim_start_matches('\t'))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one() {
        let found = |word: &str| {
            Heredoc::parse(word).map(|one| (one.name, one.descriptor, one.expand, one.chomp))
        };
        let one = |name: &str, descriptor, expand, chomp| {
            Some((name.to_owned(), descriptor, expand, chomp))
        };
        for (word, wanted) in [
            ("<<EOF", one("EOF", 0, true, false)),
            ("<<-EOF", one("EOF", 0, true, true)),
            ("3<<EOF", one("EOF", 3, true, false)),
            ("<<'EOF'", one("EOF", 0, false, false)),
            ("<<\"EOF\"", one("EOF", 0, false, false)),
            ("<<E\\OF", one("EOF", 0, false, false)),
            ("<<E'O'F", one("EOF", 0, false, false)),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("a<<EOF", None),
            ("<<'a b'", one("a b", 0, false, false)),
            ("EOF", None),
        ] {
            assert_eq!(found(word), wanted, "{word}");
        }
        let names = |line: &str| -> Vec<String> {
            Heredoc::in_line(line)
                .into_iter()
                .map(|one| one.name)
                .collect()
        };
        assert_eq!(names("RUN cat <<A 3<<B > x"), ["A", "B"]);
        assert_eq!(names("RUN echo \"<<A\" '<<B'"), Vec::<String>::new());
        assert_eq!(names("RUN echo \\<<A"), Vec::<String>::new());
    }

    #[test]
    fn where_it_ends() {
        let plain = Heredoc::parse("<<EOF").unwrap();
        assert!(plain.is_end(b"EOF") && plain.is_end(b"EOF\r"));
        assert!(!plain.is_end(b"\tEOF") && !plain.is_end(b"EOF ") && !plain.is_end(b"EO"));
        let mut chomped = Heredoc::parse("<<-EOF").unwrap();
        assert!(chomped.is_end(b"\t\tEOF") && !chomped.is_end(b" EOF"));
        chomped.content = "\ta\n\t\t b\nc\t\n".to_owned();
        assert_eq!(chomped.text(), "a\n b\nc\t\n");
    }
}
