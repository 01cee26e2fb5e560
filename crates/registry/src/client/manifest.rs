//! Manifests: fetched by tag or digest, asked for, put.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use types::Digest;

use super::error::{Error, Result};
use super::repository::{Ask, Repository};
use crate::protocol::path;

/// Longest manifest or index (security reference §6).
const MANIFEST_MAX: usize = 4 << 20;
/// What we can read.
const KNOWN: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, */*";

/// A manifest as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What the registry calls it.
    pub media_type: String,
    /// Its bytes.
    pub text: String,
}

impl Repository {
    /// Fetches a manifest or index. By a digest, the bytes are those of it.
    pub async fn manifest(&self, reference: &str) -> Result<Fetched> {
        let target = path::manifest(self.name(), reference);
        let ask = Ask::new(Method::GET, target).with(ACCEPT, KNOWN);
        let answer = self.ask(&ask).await.map_err(|error| match error {
            // The words of dockerd, which asks for the head first.
            Error::NoCredentials { url, .. } => Error::NoCredentials {
                method: "Head".to_owned(),
                url,
            },
            other => other,
        })?;
        let url = answer.url.clone();
        let media_type = media_type(answer.header(CONTENT_TYPE.as_str()));
        let bytes = answer.bytes(MANIFEST_MAX).await?;
        let digest = Digest::of(&bytes);
        if let Ok(wanted) = reference.parse::<Digest>()
            && wanted != digest
        {
            return Err(Error::Digest {
                url,
                wanted,
                got: digest,
            });
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::Protocol {
            url,
            reason: "a manifest that is no text".to_owned(),
        })?;
        Ok(Fetched {
            digest,
            media_type,
            text,
        })
    }

    /// Puts a manifest under a tag or its digest.
    pub async fn put_manifest(&self, reference: &str, media_type: &str, text: &str) -> Result<()> {
        let target = path::manifest(self.name(), reference);
        let mut ask = Ask::new(Method::PUT, target).with(CONTENT_TYPE, media_type);
        ask.body = Some(Bytes::copy_from_slice(text.as_bytes()));
        self.ask(&ask).await.map(drop)
    }

    /// Tells whether the registry has a manifest.
    pub async fn has_manifest(&self, reference: &str) -> Result<bool> {
        let target = path::manifest(self.name(), reference);
        let ask = Ask::new(Method::HEAD, target).with(ACCEPT, KNOWN);
        match self.ask(&ask).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn media_type(header: Option<&str>) -> String {
    let text = header.unwrap_or_default();
    text.split(';').next().unwrap_or(text).trim().to_owned()
}
