//! Pure: `WWW-Authenticate` (RFC 9110 §11.6.1): what a registry wants to be shown.

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `basic`, `bearer`, in lower case.
    pub scheme: String,
    /// Its parameters, the keys in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads the challenges of one header. What cannot be read ends the list.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let behind = after.trim_start();
        if let Some(value) = behind.strip_prefix('=') {
            let Some((value, after)) = value_of(value.trim_start()) else {
                break;
            };
            let Some(challenge) = challenges.last_mut() else {
                break;
            };
            let pair = (word.to_ascii_lowercase(), value);
            challenge.parameters.push(pair);
            rest = after;
        } else {
            challenges.push(Challenge {
                scheme: word.to_ascii_lowercase(),
                parameters: Vec::new(),
            });
            rest = behind;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    challenges
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Reads a token or a quoted string; returns it and what follows.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_send() {
        let parsed = parse(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
             scope=\"repository:samalba/my-app:pull,push\"",
        );
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].scheme, "bearer");
        assert_eq!(parsed[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(
            parsed[0].get("scope"),
            Some("repository:samalba/my-app:pull,push")
        );
        let parsed = parse("Basic realm=\"a \\\"b\\\"\", Bearer realm=x , error=\"invalid_token\"");
        let schemes: Vec<_> = parsed.iter().map(|one| one.scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "bearer"]);
        assert_eq!(parsed[0].get("realm"), Some("a \"b\""));
        assert_eq!(parsed[1].get("error"), Some("invalid_token"));
    }

    #[test]
    fn rubbish_ends_the_list() {
        for (text, count) in [
            ("", 0),
            ("=", 0),
            ("a=b", 0),
            ("Basic realm=\"", 1),
            ("é", 0),
        ] {
            assert_eq!(parse(text).len(), count, "{text}");
        }
    }
}
