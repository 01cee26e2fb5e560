//! Pure: the paths of the distribution API, as both ends write them.

use types::Digest;

/// Returns the path of a manifest; `reference` is a tag or a digest.
pub fn manifest(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

/// Returns the path of a blob.
pub fn blob(repository: &str, digest: Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// Returns the path where an upload begins.
pub fn uploads(repository: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/")
}

/// Returns the path where an upload begins that takes a blob of another repository.
pub fn mount(repository: &str, digest: Digest, from: &str) -> String {
    let from = escape(from);
    format!("/v2/{repository}/blobs/uploads/?from={from}&mount={digest}")
}

/// Returns the path of the list of tags.
pub fn tags(repository: &str) -> String {
    format!("/v2/{repository}/tags/list")
}

/// Escapes a text for a query.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(digit.into(), 16).unwrap_or('0');
                escaped.push(digit.to_ascii_uppercase());
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written() {
        let digest = Digest::of(b"");
        assert_eq!(manifest("a/b", "1"), "/v2/a/b/manifests/1");
        assert_eq!(blob("a", digest), format!("/v2/a/blobs/{digest}"));
        assert_eq!(
            mount("a", digest, "b/c"),
            format!("/v2/a/blobs/uploads/?from=b%2Fc&mount={digest}")
        );
        assert_eq!(
            escape("repository:a/b:pull *"),
            "repository%3Aa%2Fb%3Apull%20%2A"
        );
    }
}
