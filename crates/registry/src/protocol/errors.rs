//! Pure: the errors that registries answer with, and how Docker's client reads them out.

use serde::Deserialize;

/// One error of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// `MANIFEST_UNKNOWN`, …
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    #[serde(default)]
    details: Option<String>,
}

/// Reads the body of a refusal; empty when it is none of the distribution API.
pub fn parse(body: &[u8]) -> Vec<Item> {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Vec::new();
    };
    match body.details {
        // As the Hub says it when it has had enough.
        Some(message) if body.errors.is_empty() => vec![Item {
            code: String::new(),
            message,
        }],
        _ => body.errors,
    }
}

impl Item {
    /// Tells whether it has this code, in any case.
    pub fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }
}

/// `manifest unknown: manifest unknown`: the code as words, then the message.
impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.code.to_ascii_lowercase().replace('_', " ");
        match (words.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (words, "") => f.write_str(words),
            (words, message) => write!(f, "{words}: {message}"),
        }
    }
}

/// Returns what Docker prints of a list of errors.
pub fn text(items: &[Item]) -> String {
    match items {
        [] => "<nil>".to_owned(),
        [one] => one.to_string(),
        several => {
            let lines: Vec<_> = several.iter().map(ToString::to_string).collect();
            format!("errors:\n{}\n", lines.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_out() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"1"}}]}"#;
        let items = parse(body);
        assert!(items[0].is("manifest_unknown"));
        assert_eq!(text(&items), "manifest unknown: manifest unknown");
        assert_eq!(parse(b"<html>"), []);
        let limited = parse(br#"{"details":"You have reached your limit"}"#);
        assert_eq!(text(&limited), "You have reached your limit");
        let two = parse(br#"{"errors":[{"code":"A_B"},{"code":"DENIED","message":"no"}]}"#);
        assert_eq!(text(&two), "errors:\na b\ndenied: no\n");
    }
}
