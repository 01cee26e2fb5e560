//! Where a registry keeps its content: a directory, or a bucket; the same keys in both.
//!
//! Orders of write make a crash harmless: content before the row that says a repository has it, a
//! manifest's row before the tag that names it. What is written is on disk when the call returns.

mod bucket;
mod connector;
mod directory;
mod layout;

pub(crate) use bucket::{Bucket, Place};
pub(crate) use directory::Directory;
pub(crate) use layout::{Key, UPLOADS, upload};

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::blocking;
use super::body::Body;
use super::manifest::MANIFEST_MAX;

/// Longest thing that is read whole: a descriptor repeats a manifest's annotations and says a little more.
const SMALL_MAX: u64 = MANIFEST_MAX as u64 + (64 << 10);

/// The storage did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call on a file failed.
    #[error("{call} {path}: {source}")]
    Io {
        call: &'static str,
        path: String,
        source: io::Error,
    },
    /// A call of ours to the kernel failed.
    #[error("{path}: {source}")]
    Sys { path: String, source: sys::Error },
    /// The bucket's server refused, or could not be reached.
    #[error("{key}: {source}")]
    Bucket {
        key: String,
        source: Box<object_store::Error>,
    },
    /// Another server uses this root.
    #[error("{} is used by another registry", root.display())]
    Locked { root: PathBuf },
    /// Something stands there that no version of ours wrote.
    #[error("{key}: longer than {limit} bytes")]
    TooLong { key: String, limit: u64 },
}

impl Error {
    pub(crate) fn io(call: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            call,
            path: path.display().to_string(),
            source,
        }
    }

    pub(crate) fn sys(path: &Path, source: sys::Error) -> Self {
        Self::Sys {
            path: path.display().to_string(),
            source,
        }
    }

    pub(crate) fn bucket(key: &str, source: object_store::Error) -> Self {
        Self::Bucket {
            key: key.to_owned(),
            source: Box::new(source),
        }
    }

    /// Tells whether space ran out.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::Sys { source, .. } => {
                matches!(source.errno, sys::Errno::NOSPC | sys::Errno::DQUOT)
            }
            Self::Bucket { .. } | Self::Locked { .. } | Self::TooLong { .. } => false,
        }
    }
}

/// One thing in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// Content that is there.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) size: u64,
    source: Source,
}

/// Where its bytes come from.
#[derive(Clone, Debug)]
enum Source {
    File(Arc<File>),
    Object(Arc<Bucket>, Key),
}

impl Content {
    /// Returns `len` bytes from the position `from`.
    pub(crate) async fn body(self, from: u64, len: u64) -> Result<Body, Error> {
        match self.source {
            Source::File(file) => Ok(Body::file(file, from, len)),
            Source::Object(bucket, key) => {
                let stream = bucket.stream(&key, (from, len)).await?;
                Ok(Body::stream(stream, len))
            }
        }
    }
}

/// A registry's storage.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Directory(Arc<Directory>),
    Bucket(Arc<Bucket>),
}

impl Store {
    /// Returns a small thing whole.
    pub(crate) async fn read(&self, key: Key) -> Result<Option<Bytes>, Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.read(&key)).await,
            Self::Bucket(bucket) => bucket.read(&key).await,
        }
    }

    /// Replaces a small thing at once.
    pub(crate) async fn write(&self, key: Key, bytes: Bytes) -> Result<(), Error> {
        match self.clone() {
            Self::Directory(directory) => {
                blocking::run(move || directory.write(&key, &bytes)).await
            }
            Self::Bucket(bucket) => bucket.write(&key, bytes).await,
        }
    }

    /// Removes a thing; tells whether it was there.
    pub(crate) async fn remove(&self, key: Key) -> Result<bool, Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.remove(&key)).await,
            Self::Bucket(bucket) => bucket.remove(&key).await,
        }
    }

    /// Returns the size of a thing, if it is there.
    pub(crate) async fn size(&self, key: Key) -> Result<Option<u64>, Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.size(&key)).await,
            Self::Bucket(bucket) => bucket.size(&key).await,
        }
    }

    /// Returns the names below a key, in no order; none if there is no such key.
    pub(crate) async fn names(&self, key: Key) -> Result<Vec<String>, Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.names(&key)).await,
            Self::Bucket(bucket) => bucket.names(&key).await,
        }
    }

    /// As [`Store::names`], with size and age.
    pub(crate) async fn entries(&self, key: Key) -> Result<Vec<Entry>, Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.entries(&key)).await,
            Self::Bucket(bucket) => bucket.entries(&key).await,
        }
    }

    /// Removes directories that hold nothing any more; in a bucket there are none.
    pub(crate) async fn prune(&self, key: Key) -> Result<(), Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.prune(&key)).await,
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Returns those of `keys` that are not there.
    pub(crate) async fn missing(&self, keys: Vec<Key>) -> Result<Vec<Key>, Error> {
        match self.clone() {
            Self::Directory(directory) => {
                blocking::run(move || {
                    let mut missing = Vec::new();
                    for key in keys {
                        if directory.size(&key)?.is_none() {
                            missing.push(key);
                        }
                    }
                    Ok(missing)
                })
                .await
            }
            Self::Bucket(bucket) => {
                let mut missing = Vec::new();
                for key in keys {
                    if bucket.size(&key).await?.is_none() {
                        missing.push(key);
                    }
                }
                Ok(missing)
            }
        }
    }

    /// Finds content, if `link` is there.
    pub(crate) async fn open_linked(&self, link: Key, key: Key) -> Result<Option<Content>, Error> {
        match self.clone() {
            Self::Directory(directory) => {
                blocking::run(move || match directory.size(&link)? {
                    Some(_) => directory.open(&key),
                    None => Ok(None),
                })
                .await
            }
            Self::Bucket(bucket) => bucket.open_linked(&link, key).await,
        }
    }

    /// Takes a file of this machine, which is verified, for content; the file is gone then.
    pub(crate) async fn adopt(&self, file: PathBuf, key: Key) -> Result<(), Error> {
        match self.clone() {
            Self::Directory(directory) => blocking::run(move || directory.adopt(&file, &key)).await,
            Self::Bucket(bucket) => bucket.adopt(file, &key).await,
        }
    }
}
