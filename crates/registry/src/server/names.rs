//! Pure: the words of a registry's addresses: repositories, tags, uploads, and what a path asks for.

use std::fmt;
use std::str::FromStr;

use types::digest::Digest;

/// Longest name of a repository, as clients limit it.
const REPOSITORY_MAX: usize = 255;
/// Longest tag, of the distribution specification.
const TAG_MAX: usize = 128;

/// The name of a repository: `team/app`. It can neither climb out of a directory nor be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Repository(String);

/// A text is not the name of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAName;

impl Repository {
    /// Returns the name as it stands in addresses.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as one word for a file: `/` becomes `:`, which no name has.
    pub(crate) fn word(&self) -> String {
        self.0.replace('/', ":")
    }

    /// Returns the repository of a [`Repository::word`].
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        word.replace(':', "/").parse().ok()
    }
}

impl FromStr for Repository {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let fits = text.len() <= REPOSITORY_MAX && text.split('/').all(is_component);
        fits.then(|| Self(text.to_owned())).ok_or(NotAName)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_word(first) || !is_word(last) {
        return false;
    }
    let mut gaps = bytes
        .split(|byte| is_word(byte))
        .filter(|gap| !gap.is_empty());
    gaps.all(|gap| matches!(gap, b"." | b"_" | b"__") || gap.iter().all(|byte| *byte == b'-'))
}

/// A tag: one component of a path that is not hidden.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let mut bytes = text.bytes();
        let begins = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let goes_on =
            bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        (begins && goes_on && text.len() <= TAG_MAX)
            .then(|| Self(text.to_owned()))
            .ok_or(NotAName)
    }
}

/// What names a manifest in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Tag(Tag),
    Digest(Digest),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag.as_str()),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The name of an upload: a version 4 UUID. Nothing else is looked for on disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UploadId([u8; 16]);

impl UploadId {
    /// Makes a name of 16 random bytes.
    pub(crate) fn of_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UploadId {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| *byte != b'-')
            .map(|byte| match byte {
                b'0'..=b'9' => Ok(byte - b'0'),
                b'a'..=b'f' => Ok(byte - b'a' + 10),
                _ => Err(NotAName),
            })
            .collect::<Result<_, _>>()?;
        let mut bytes = [0; 16];
        if digits.len() != 32 {
            return Err(NotAName);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        let id = Self(bytes);
        // One spelling only: a name is also a file's.
        (id.to_string() == text).then_some(id).ok_or(NotAName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        let long = "a".repeat(255);
        for good in [
            "a",
            "a/b",
            "a.b",
            "a__b",
            "a---b",
            "team/app-1/x_y",
            "0",
            &long,
        ] {
            let name: Repository = good.parse().unwrap_or_else(|_| panic!("{good}"));
            assert_eq!(Repository::of_word(&name.word()), Some(name));
        }
        let longer = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "..", "a/../b", ".a", "a.", "_a", "a___b",
            "a:b", "a b", "a\0b", "é", "-a", "a-", "a._b", &longer,
        ] {
            assert_eq!(bad.parse::<Repository>(), Err(NotAName), "{bad:?}");
        }
    }

    #[test]
    fn tags_follow_the_specification() {
        let long = "x".repeat(128);
        for good in ["latest", "_x", "1.0-rc_2", "V1", &long] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        let longer = "x".repeat(129);
        for bad in ["", ".x", "-x", "a/b", "a:b", "..", "ü", "a b", &longer] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_upload_has_one_spelling() {
        let id = UploadId::of_random([0xab; 16]);
        let text = id.to_string();
        assert_eq!(text, "abababab-abab-4bab-abab-abababababab");
        assert_eq!(text.parse(), Ok(id));
        for bad in [
            "",
            "abc",
            "../..",
            &text.to_uppercase(),
            &text.replace('-', ""),
        ] {
            assert!(bad.parse::<UploadId>().is_err(), "{bad:?}");
        }
    }
}
