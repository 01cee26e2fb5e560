//! Pure: where everything lies below a registry's root; every path is made here, of typed names.
//!
//! ```text
//! ROOT/
//!   lock                                   held for life: one server to a root
//!   token.key                              signs tokens, 0600
//!   uploads/<uuid>/{data,repository}       what has come of a blob, and whose it is
//!   blobs/sha256/ab/abcdef…                verified content, shared by all repositories
//!   repositories/<a:b>/
//!     blobs/<hex>                          the repository has this blob (empty)
//!     manifests/<hex>                      … this manifest: its media type
//!     tags/<tag>                           the digest that the tag names
//!     referrers/<hex of subject>/<hex>     the descriptor of who names that subject
//! ```
//! A repository's `/` is `:` in a file's name. In a bucket the same keys stand below its prefix; only
//! `uploads` stays on this machine.

use types::digest::Digest;

use crate::server::names::{Repository, Tag, UploadId};

/// A relative path below the root, or the name of an object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// All repositories.
    pub(crate) fn repositories() -> Self {
        Self("repositories".to_owned())
    }

    /// One of the 256 shelves of blobs.
    pub(crate) fn shelf(number: u8) -> Self {
        Self(format!("blobs/sha256/{number:02x}"))
    }

    pub(crate) fn content(digest: Digest) -> Self {
        let hex = digest.hex();
        Self(format!("blobs/sha256/{}/{hex}", &hex[..2]))
    }

    pub(crate) fn repository(repository: &Repository) -> Self {
        Self(format!("repositories/{}", repository.word()))
    }

    pub(crate) fn blobs(repository: &Repository) -> Self {
        Self(format!("repositories/{}/blobs", repository.word()))
    }

    pub(crate) fn blob(repository: &Repository, digest: Digest) -> Self {
        let (word, hex) = (repository.word(), digest.hex());
        Self(format!("repositories/{word}/blobs/{hex}"))
    }

    pub(crate) fn manifests(repository: &Repository) -> Self {
        Self(format!("repositories/{}/manifests", repository.word()))
    }

    pub(crate) fn manifest(repository: &Repository, digest: Digest) -> Self {
        let (word, hex) = (repository.word(), digest.hex());
        Self(format!("repositories/{word}/manifests/{hex}"))
    }

    pub(crate) fn tags(repository: &Repository) -> Self {
        Self(format!("repositories/{}/tags", repository.word()))
    }

    pub(crate) fn tag(repository: &Repository, tag: &Tag) -> Self {
        let word = repository.word();
        Self(format!("repositories/{word}/tags/{}", tag.as_str()))
    }

    pub(crate) fn referrers(repository: &Repository, subject: Digest) -> Self {
        let (word, hex) = (repository.word(), subject.hex());
        Self(format!("repositories/{word}/referrers/{hex}"))
    }

    pub(crate) fn referrer(repository: &Repository, subject: Digest, digest: Digest) -> Self {
        let (word, subject, hex) = (repository.word(), subject.hex(), digest.hex());
        Self(format!("repositories/{word}/referrers/{subject}/{hex}"))
    }
}

/// The directories of uploads, relative to the root of this machine.
pub(crate) const UPLOADS: &str = "uploads";

/// The directory of one upload, relative to the root of this machine.
pub(crate) fn upload(id: UploadId) -> String {
    format!("{UPLOADS}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_share_a_place() {
        let (a, b): (Repository, Repository) = ("a/b".parse().unwrap(), "a".parse().unwrap());
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let tag: Tag = "latest".parse().unwrap();
        let keys = [
            Key::repositories(),
            Key::repository(&a),
            Key::repository(&b),
            Key::blobs(&a),
            Key::blob(&a, one),
            Key::manifests(&a),
            Key::manifest(&a, one),
            Key::manifest(&b, one),
            Key::tags(&a),
            Key::tag(&a, &tag),
            Key::referrers(&a, one),
            Key::referrer(&a, one, two),
            Key::referrer(&a, two, one),
            Key::content(one),
            Key::shelf(0xab),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{key:?}");
            assert!(
                !key.as_str()
                    .split('/')
                    .any(|part| matches!(part, "" | "." | ".."))
            );
        }
    }
}
