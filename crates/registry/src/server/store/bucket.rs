//! Content in an S3-compatible bucket, by the crate `object_store`.
//!
//! One server to a bucket: what is remembered here is not told to another one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{
    GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload, WriteMultipart,
};

use super::connector::Connector;
use super::{Content, Entry, Error, Key, SMALL_MAX, Source};
use crate::server::blocking;

/// A part of what is put in parts; smaller things are put at once.
const PART: usize = 8 << 20;
/// Parts on their way at once.
const PARTS: usize = 2;

/// Where a bucket is, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// Before each key; empty, or ends with a slash.
    pub(crate) prefix: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// Access key and secret; without them requests are not signed.
    pub(crate) keys: Option<(String, String)>,
    pub(crate) token: Option<String>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A bucket that is used.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: AmazonS3,
    prefix: String,
}

impl Bucket {
    /// Makes the way to a bucket; nothing is connected.
    pub(crate) fn open(place: &Place) -> Result<Self, Error> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            // Not every server knows how to delete many things at once.
            .with_disable_bulk_delete(true)
            .with_http_connector(Connector);
        if let Some(endpoint) = &place.endpoint {
            let plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(plain);
        }
        builder = match &place.keys {
            Some((key, secret)) => builder
                .with_access_key_id(key)
                .with_secret_access_key(secret),
            None => builder.with_skip_signature(true),
        };
        if let Some(token) = &place.token {
            builder = builder.with_token(token);
        }
        let store = builder.build();
        Ok(Self {
            store: store.map_err(|source| Error::bucket(&place.bucket, source))?,
            prefix: place.prefix.clone(),
        })
    }

    fn path(&self, key: &Key) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}{}", self.prefix, key.as_str()))
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        let failed = |source| Error::bucket(key.as_str(), source);
        let Some(got) = found(self.store.get(&self.path(key)).await).map_err(failed)? else {
            return Ok(None);
        };
        if got.meta.size > SMALL_MAX {
            return Err(Error::TooLong {
                key: key.as_str().to_owned(),
                limit: SMALL_MAX,
            });
        }
        got.bytes().await.map(Some).map_err(failed)
    }

    pub(super) async fn write(&self, key: &Key, bytes: Bytes) -> Result<(), Error> {
        let path = self.path(key);
        let put = self.store.put(&path, PutPayload::from(bytes));
        put.await
            .map(drop)
            .map_err(|source| Error::bucket(key.as_str(), source))
    }

    pub(super) async fn remove(&self, key: &Key) -> Result<bool, Error> {
        // S3 does not say whether there was something to remove.
        if self.size(key).await?.is_none() {
            return Ok(false);
        }
        let gone = self.store.delete(&self.path(key)).await;
        let gone = found(gone).map_err(|source| Error::bucket(key.as_str(), source))?;
        Ok(gone.is_some())
    }

    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>, Error> {
        let head = found(self.store.head(&self.path(key)).await);
        let head = head.map_err(|source| Error::bucket(key.as_str(), source))?;
        Ok(head.map(|meta| meta.size))
    }

    pub(super) async fn names(&self, key: &Key) -> Result<Vec<String>, Error> {
        let listed = self.store.list_with_delimiter(Some(&self.path(key))).await;
        let listed = listed.map_err(|source| Error::bucket(key.as_str(), source))?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let all = objects.chain(&listed.common_prefixes);
        Ok(all
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect())
    }

    pub(super) async fn entries(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        let listed = self.store.list_with_delimiter(Some(&self.path(key))).await;
        let listed = listed.map_err(|source| Error::bucket(key.as_str(), source))?;
        let entries = listed.objects.into_iter().filter_map(|object| {
            Some(Entry {
                name: object.location.filename()?.to_owned(),
                size: object.size,
                modified: SystemTime::from(object.last_modified),
            })
        });
        Ok(entries.collect())
    }

    pub(super) async fn open_linked(
        self: &Arc<Self>,
        link: &Key,
        key: Key,
    ) -> Result<Option<Content>, Error> {
        if self.size(link).await?.is_none() {
            return Ok(None);
        }
        let size = self.size(&key).await?;
        Ok(size.map(|size| Content {
            size,
            source: Source::Object(Arc::clone(self), key),
        }))
    }

    /// Returns `len` bytes of content from the position `from`, as they come.
    pub(super) async fn stream(
        &self,
        key: &Key,
        (from, len): (u64, u64),
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, Error> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(from..from + len)),
            ..GetOptions::default()
        };
        let got = self.store.get_opts(&self.path(key), options).await;
        let got = got.map_err(|source| Error::bucket(key.as_str(), source))?;
        Ok(got.into_stream().map_err(std::io::Error::other).boxed())
    }

    pub(super) async fn adopt(&self, file: PathBuf, key: &Key) -> Result<(), Error> {
        let failed = |source| Error::bucket(key.as_str(), source);
        let (mut open, size) = begin(file.clone()).await?;
        let path = self.path(key);
        if size <= PART as u64 {
            let (_, bytes) = piece(open, &file).await?;
            let put = self.store.put(&path, PutPayload::from(bytes)).await;
            put.map_err(failed)?;
        } else {
            let upload = self.store.put_multipart(&path).await.map_err(failed)?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
            loop {
                let (back, bytes) = piece(open, &file).await?;
                open = back;
                if bytes.is_empty() {
                    break;
                }
                writer.wait_for_capacity(PARTS).await.map_err(failed)?;
                writer.put(bytes);
            }
            writer.finish().await.map_err(failed)?;
        }
        blocking::run(move || {
            std::fs::remove_file(&file).map_err(|e| Error::io("unlink", &file, e))
        })
        .await
    }
}

async fn begin(path: PathBuf) -> Result<(File, u64), Error> {
    blocking::run(move || {
        let failed = |e| Error::io("open", &path, e);
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok((file, size))
    })
    .await
}

/// Reads the next part of a file.
async fn piece(mut file: File, path: &Path) -> Result<(File, Bytes), Error> {
    let path = path.to_owned();
    blocking::run(move || {
        let mut bytes = Vec::new();
        let read = (&mut file).take(PART as u64).read_to_end(&mut bytes);
        read.map_err(|e| Error::io("read", &path, e))?;
        Ok((file, bytes.into()))
    })
    .await
}

/// Not being there is an answer, not an error.
fn found<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
