//! Blobs: a stream that begins where it is asked to.

use bytes::Bytes;
use hyper::header::{CONTENT_RANGE, RANGE};
use hyper::{Method, StatusCode};
use types::Digest;

use super::error::{Error, Result};
use super::repository::{Answer, Ask, Repository};
use crate::protocol::path;
use crate::protocol::range::{ContentRange, from_byte};

/// Bytes of a blob as they come. Nothing is verified here: who stores them hashes them.
#[derive(Debug)]
pub struct BlobStream {
    answer: Answer,
    start: u64,
}

impl BlobStream {
    /// Returns which byte comes first: a registry that knows no ranges begins again.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.answer.next().await
    }
}

impl Repository {
    /// Begins to read a blob at a byte.
    pub async fn blob(&self, digest: Digest, from: u64) -> Result<BlobStream> {
        let mut ask = Ask::new(Method::GET, path::blob(self.name(), digest));
        if from > 0 {
            ask = ask.with(RANGE, from_byte(from));
        }
        let answer = self.ask(&ask).await?;
        let start = if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = answer
                .header(CONTENT_RANGE.as_str())
                .and_then(ContentRange::parse);
            match range {
                Some(range) if range.first == from => from,
                _ => {
                    return Err(Error::Protocol {
                        url: answer.url,
                        reason: "another range than the one that was asked for".to_owned(),
                    });
                }
            }
        } else {
            0
        };
        Ok(BlobStream { answer, start })
    }

    /// Reads a small blob and checks its digest.
    pub async fn small_blob(&self, digest: Digest, limit: usize) -> Result<Vec<u8>> {
        let stream = self.blob(digest, 0).await?;
        let url = stream.answer.url.clone();
        let bytes = stream.answer.bytes(limit).await?;
        let got = Digest::of(&bytes);
        if got != digest {
            return Err(Error::Digest {
                url,
                wanted: digest,
                got,
            });
        }
        Ok(bytes)
    }

    /// Tells whether the registry has a blob.
    pub async fn has_blob(&self, digest: Digest) -> Result<bool> {
        let ask = Ask::new(Method::HEAD, path::blob(self.name(), digest));
        match self.ask(&ask).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
