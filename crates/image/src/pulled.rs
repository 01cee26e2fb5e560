//! An image of a registry: its layers are unpacked as they come, its documents kept as they came.

use std::io::{self, Read as _};
use std::sync::Arc;

use meta::{Read, Txn};
use types::digest::Hasher;
use types::oci::image::ImageConfig;
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::ingest::Follower;
use crate::names::canonical;
use crate::record::{
    self, DIGESTS, IMAGES, ImageId, LayerBlob, MANIFESTS, ManifestRow, TAGS, TagRow,
};
use crate::stage::{Hashed, Staged, StagedLayer};
use crate::store::Store;

/// A manifest or index as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What the registry calls it.
    pub media_type: String,
    /// Its bytes.
    pub text: String,
}

/// An image of a registry, complete on disk and not yet visible.
#[derive(Debug)]
#[must_use = "an image that is not published is removed"]
pub struct Pulled {
    /// Its config and layers.
    pub staged: Staged,
    /// The name that it gets.
    pub tag: Option<Reference>,
    /// `repository@digest`, as it was asked for.
    pub digest: Reference,
    /// Its manifest, and the index that led there; the manifest first.
    pub manifests: Vec<Manifest>,
}

/// What a layer must be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its compressed bytes.
    pub blob: LayerBlob,
    /// The digest of the uncompressed ones.
    pub diff_id: Digest,
}

impl Store {
    /// Tells whether a layer is here.
    pub fn has_layer(&self, read: &impl Read, layer: Digest) -> Result<bool> {
        Ok(read.get(&record::LAYERS, &layer.to_string())?.is_some())
    }

    /// Unpacks a blob behind the one who fetches it, and checks both digests. `progress` gets how
    /// many of its bytes are unpacked.
    pub fn unpack_blob(
        &self,
        from: Follower,
        wanted: &Wanted,
        progress: &mut dyn FnMut(u64),
    ) -> Result<StagedLayer> {
        let mut counted = Counted {
            inner: Hashed {
                inner: from,
                hasher: Hasher::default(),
            },
            progress,
        };
        let unpacked = self.unpack(&mut counted);
        // What stands behind the end of a layer belongs to its digest; and what could not be
        // unpacked may not be what the registry promised, which says more.
        let drained = io::copy(
            &mut counted.by_ref().take(wanted.blob.size),
            &mut io::sink(),
        );
        drained.map_err(|error| Error::Archive(archive::Error::Read(error)))?;
        let hasher = counted.inner.hasher;
        if hasher.len() != wanted.blob.size || hasher.finish() != wanted.blob.digest {
            let wanted = wanted.blob.digest;
            return Err(Error::LayerVerification { wanted });
        }
        let mut layer = unpacked.map_err(|error| match error {
            Error::Archive(source) => Error::Layer {
                name: wanted.blob.digest.to_string(),
                source,
            },
            other => other,
        })?;
        if layer.diff_id != wanted.diff_id {
            return Err(Error::LayerMismatch);
        }
        layer.keep_blob(wanted.blob.clone())?;
        Ok(layer)
    }

    /// Completes an image of a registry from its config's bytes and the layers that were not here.
    pub fn stage_pulled(&self, config: String, layers: Vec<Arc<StagedLayer>>) -> Result<Staged> {
        let parsed: ImageConfig = record::parse_config(&config)?;
        Staged::with_text(self, config, &parsed, layers, None)
    }

    /// Makes a pulled image visible; tells whether that changed anything.
    pub fn publish_pulled(&self, txn: &Txn<'_>, pulled: Pulled) -> Result<(ImageId, bool)> {
        let id = pulled.staged.id();
        let before = match &pulled.tag {
            Some(tag) => txn.get(&TAGS, &tag.to_string())?,
            None => txn.get(&DIGESTS, &canonical(&pulled.digest))?,
        };
        let same = before.is_some_and(|row| row.image == id);
        let tag = pulled.tag.as_ref().filter(|_| !same);
        self.publish(txn, pulled.staged, tag)?;
        self.record_digest(txn, id, &pulled.digest, pulled.manifests)?;
        Ok((id, !same))
    }

    /// Remembers that a registry has an image, and what it has of it.
    pub fn record_digest(
        &self,
        txn: &Txn<'_>,
        id: ImageId,
        digest: &Reference,
        manifests: Vec<Manifest>,
    ) -> Result<()> {
        let mut row = record::find_image(txn, id)?;
        for manifest in manifests {
            let (media_type, text) = (manifest.media_type, manifest.text);
            let key = manifest.digest.to_string();
            txn.put(&MANIFESTS, &key, &ManifestRow { media_type, text })?;
            if !row.manifests.contains(&manifest.digest) {
                row.manifests.push(manifest.digest);
            }
        }
        txn.put(&IMAGES, &id.to_string(), &row)?;
        txn.put(&DIGESTS, &canonical(digest), &TagRow { image: id })?;
        Ok(())
    }
}

/// A reader that says how far it is.
struct Counted<'a, R> {
    inner: Hashed<R>,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: io::Read> io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.progress)(self.inner.hasher.len());
        Ok(count)
    }
}
