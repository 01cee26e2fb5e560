//! Pure: how the rest of a line is split: flags, JSON lists, blanks, names with values.

/// Splits the leading words that start with `--` off. Quotes and backslashes are taken away in
/// them; a bare `--` ends them.
pub(super) fn flags(rest: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut left = rest.trim_start();
    while left.starts_with("--") {
        let mut flag = String::new();
        let mut quote = None;
        let mut end = left.len();
        let mut chars = left.char_indices();
        while let Some((index, c)) = chars.next() {
            match (c, quote) {
                ('\\', _) => flag.extend(chars.next().map(|(_, next)| next)),
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                (_, None) if c.is_whitespace() => {
                    end = index;
                    break;
                }
                _ => flag.push(c),
            }
        }
        left = left[end..].trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, left)
}

/// A list of strings in JSON; none where the text is no JSON list: then it is meant for a shell.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    list.into_iter()
        .map(|one| match one {
            serde_json::Value::String(text) => Ok(text),
            _ => Err(
                "when using JSON array syntax, arrays must be comprised of strings only".to_owned(),
            ),
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// Splits at blanks; quotes mean nothing.
pub(super) fn blank(text: &str) -> Vec<String> {
    text.split(['\t', '\u{b}', '\u{c}', '\r', ' '])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Splits at blanks outside of quotes; quotes and escapes stay, for they are read when values are
/// put in.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            _ if c == escape && quote != Some('\'') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            (_, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `NAME=value …`, or the old form `NAME the rest`.
pub(super) fn pairs(
    text: &str,
    escape: char,
    keyword: &str,
) -> Result<Vec<(String, String)>, String> {
    let words = quoted(text, escape);
    let Some(first) = words.first() else {
        return Err(format!("{keyword} requires at least one argument"));
    };
    if !first.contains('=') {
        let text = text.trim();
        return match text.split_once(char::is_whitespace) {
            Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
            None => Err(format!("{keyword} must have two arguments")),
        };
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(format!("{keyword} names can not be blank")),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!(
                "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
            )),
        })
        .collect()
}

/// Returns the known word nearest to a mistyped one, if it is near enough to be meant.
pub(super) fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    const FARTHEST: usize = 2;
    known
        .iter()
        .map(|word| {
            (
                distance(&typed.to_ascii_lowercase(), &word.to_ascii_lowercase()),
                *word,
            )
        })
        .filter(|(distance, _)| (1..=FARTHEST).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Levenshtein's, with two neighbours in the wrong order as one mistake.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = rows[i][j] + usize::from(x != y);
            let mut best = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        let (flags, rest) = flags(r#"--chown=1:2 --from="a b" --x=\" -- --y z "#);
        assert_eq!(flags, ["--chown=1:2", "--from=a b", "--x=\""]);
        assert_eq!(rest, "--y z ");
        assert_eq!(super::flags("a --b").1, "a --b");
        assert_eq!(
            json(r#" ["a", "b c"] "#),
            Ok(Some(vec!["a".into(), "b c".into()]))
        );
        assert_eq!(json("['a']"), Ok(None));
        assert_eq!(json("[\"a\"] b"), Ok(None));
        assert!(json("[1]").is_err());
        assert_eq!(blank("a  b\t'c d'"), ["a", "b", "'c", "d'"]);
        assert_eq!(
            quoted(r#"a="b c" d\ e 'f\' g"#, '\\'),
            [r#"a="b c""#, r"d\ e", r"'f\'", "g"]
        );
        assert_eq!(quoted("a` b", '`'), ["a` b"]);
    }

    #[test]
    fn pairs_of_both_forms() {
        let pairs = |text| pairs(text, '\\', "ENV");
        let owned = |list: &[(&str, &str)]| {
            Ok(list
                .iter()
                .map(|&(a, b)| (a.to_owned(), b.to_owned()))
                .collect::<Vec<_>>())
        };
        assert_eq!(
            pairs("a=b c=\"d e\""),
            owned(&[("a", "b"), ("c", "\"d e\"")])
        );
        assert_eq!(pairs("a b  c=d"), owned(&[("a", "b  c=d")]));
        for (text, wanted) in [
            ("", "ENV requires at least one argument"),
            ("a", "ENV must have two arguments"),
            ("=b", "ENV names can not be blank"),
            (
                "a=b c",
                "Syntax error - can't find = in \"c\". Must be of the form: name=value",
            ),
        ] {
            assert_eq!(pairs(text), Err(wanted.to_owned()));
        }
    }

    #[test]
    fn what_was_meant() {
        assert_eq!(nearest("RNU", &["RUN", "FROM"]), Some("RUN"));
        assert_eq!(nearest("copi", &["COPY", "FROM"]), Some("COPY"));
        assert_eq!(nearest("nonsense", &["COPY", "FROM"]), None);
    }
}
