//! Pure: the query and the escapes of an address.

/// A decoded query: `a=1&b=x%20y`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, or the body of a form.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// Returns the first value of a key.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        let of_key = self.0.iter().find(|(known, _)| known == key);
        of_key.map(|(_, value)| value.as_str())
    }

    /// Returns all values of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let of_key = move |(known, _): &&(String, String)| known == key;
        self.0
            .iter()
            .filter(of_key)
            .map(|(_, value)| value.as_str())
    }
}

/// Decodes `%XX`, and `+` as a blank where `plus` says so. What is no escape stays as it is.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) if plus => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Encodes a value for a query: all but what RFC 3986 calls unreserved.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let digit = |four: u8| char::from(b"0123456789ABCDEF"[usize::from(four)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "a b", "a+b&c=d", "sha256:1/2%", "ü"] {
            assert_eq!(decode(&encode(text), true), text);
        }
        assert_eq!(decode("%zz%4", true), "%zz%4");
        let query = Query::parse("n=1&n=2&last=a%2Fb&empty");
        assert_eq!(query.all("n").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.find("last"), Some("a/b"));
        assert_eq!(query.find("empty"), Some(""));
        assert_eq!(query.find("none"), None);
    }
}
