//! Pure: labels as `--label` gives them.

/// A text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid label '{0}': empty name")]
pub struct InvalidLabel(pub String);

/// Splits `key=value`; a key alone has an empty value.
pub fn parse(text: &str) -> Result<(String, String), InvalidLabel> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(InvalidLabel(text.to_owned()));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        assert_eq!(parse("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse("a"), Ok(("a".to_owned(), String::new())));
        assert_eq!(
            parse("=x").unwrap_err().to_string(),
            "invalid label '=x': empty name"
        );
    }
}
