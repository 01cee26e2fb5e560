//! Pure: queries as Go reads them: `a=1&b=x%20y`.

/// A decoded query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            text.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// Returns the first value of a key; empty when it is absent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_default()
    }

    /// Returns the first value of a key.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Returns all values of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a boolean: "", 0, no, false and none are false, anything else is true.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        !matches!(
            self.get(key).trim().to_ascii_lowercase().as_str(),
            "" | "0" | "no" | "false" | "none"
        )
    }

    /// Returns a number, if the key has one.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.find(key)?.parse().ok()
    }
}

/// Decodes `%XX`, and `+` as a blank in queries. What is no escape stays as it is.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escape = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high)
                    .zip(digit(*low))
                    .map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        match escape.and_then(|(byte, after)| Some((u8::try_from(byte).ok()?, after))) {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => bytes.push(if plus && *first == b'+' { b' ' } else { *first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let query = Query::parse("a=1&b=x%20y+z&c&d=%zz&t=True&f=No&a=2");
        assert_eq!(query.get("a"), "1");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("b"), "x y z");
        assert_eq!(query.find("c"), Some(""));
        assert_eq!(query.get("d"), "%zz");
        assert!(query.is_on("t") && !query.is_on("f") && !query.is_on("none"));
        assert_eq!(query.number("a"), Some(1));
        assert_eq!(decode("a+b%2Fc", false), "a+b/c");
    }
}
