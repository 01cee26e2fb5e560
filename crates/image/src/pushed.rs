//! What a push sends: an image's documents, and its layers as registries want them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use archive::Replay;
use meta::{Read, Txn};
use serde_json::json;
use sys::dir::Dir;
use types::Digest;
use types::digest::Hasher;
use types::oci::image::{Descriptor, Manifest as Document};

use crate::error::{Error, Result, at};
use crate::layout::{BLOB, LAYERS, RECIPE};
use crate::pulled::Manifest;
use crate::record::{self, ImageId, LayerBlob, MANIFESTS};
use crate::stage::Hashed;
use crate::store::Store;

/// What layers are called that we compress, and their images.
const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image as a push finds it.
#[derive(Clone, Debug)]
pub struct ToPush {
    /// The config's bytes.
    pub config: String,
    /// Its layers, lowest first, with the blobs that are here.
    pub layers: Vec<(Digest, Option<LayerBlob>)>,
    /// The manifests that registries have of it, the latest last.
    manifests: Vec<Manifest>,
}

impl ToPush {
    /// Returns the manifest that says what these layers are: the one that came with the image, where
    /// its blobs are these, so that a pulled image goes out under its own digest; else a new one.
    pub fn manifest(&self, blobs: &[LayerBlob]) -> Manifest {
        let config = Digest::of(self.config.as_bytes());
        let same = |manifest: &&Manifest| {
            serde_json::from_str::<Document>(&manifest.text).is_ok_and(|document| {
                let theirs = document.layers.iter().map(|layer| layer.digest);
                document.config.digest == config && theirs.eq(blobs.iter().map(|blob| blob.digest))
            })
        };
        if let Some(known) = self.manifests.iter().rev().find(same) {
            return known.clone();
        }
        let descriptor = |kind: &str, digest: Digest, size: u64| Descriptor {
            media_type: kind.to_owned(),
            digest,
            size,
        };
        let layers: Vec<Descriptor> = blobs
            .iter()
            .map(|blob| descriptor(LAYER_TYPE, blob.digest, blob.size))
            .collect();
        let text = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config, self.config.len() as u64),
            "layers": layers,
        })
        .to_string();
        Manifest {
            digest: Digest::of(text.as_bytes()),
            media_type: MANIFEST_TYPE.to_owned(),
            text,
        }
    }
}

impl Store {
    /// Returns what a push of an image needs to know.
    pub fn to_push(&self, read: &impl Read, id: ImageId) -> Result<ToPush> {
        let row = record::find_image(read, id)?;
        let config = record::parse_config(&row.config)?;
        let layers = config
            .rootfs
            .diff_ids
            .iter()
            .map(|layer| Ok((*layer, record::find_layer(read, *layer)?.blob)))
            .collect::<Result<_>>()?;
        let mut manifests = Vec::new();
        for digest in row.manifests {
            if let Some(row) = read.get(&MANIFESTS, &digest.to_string())? {
                manifests.push(Manifest {
                    digest,
                    media_type: row.media_type,
                    text: row.text,
                });
            }
        }
        Ok(ToPush {
            config: row.config,
            layers,
            manifests,
        })
    }

    /// Opens the compressed bytes of a layer.
    pub fn open_blob(&self, read: &impl Read, layer: Digest) -> Result<File> {
        let row = record::find_layer(read, layer)?;
        let path = Path::new(LAYERS).join(&row.k).join(BLOB);
        self.layer_dir(&row.k)?
            .open_file(Path::new(BLOB))
            .map_err(at(path))
    }

    /// Compresses a layer that came without a compressed form, and keeps the result beside it. Two
    /// that do so at once make the same bytes.
    pub fn make_blob(&self, read: &impl Read, layer: Digest) -> Result<LayerBlob> {
        let row = record::find_layer(read, layer)?;
        if row.tar_size.is_none() {
            return Err(Error::NoRecipe { layer });
        }
        let path = Path::new(LAYERS).join(&row.k);
        let dir = self.layer_dir(&row.k)?;
        let recipe = dir
            .open_file(Path::new(RECIPE))
            .map_err(at(path.join(RECIPE)))?;
        let diff = self.layout().layer_diff(&row.k);
        let replay = Replay::new(recipe, Dir::open(&diff).map_err(at(diff))?);
        let mut plain = Hashed {
            inner: replay.map_err(archive::Error::Read)?,
            hasher: Hasher::default(),
        };
        let mut bytes = [0; 8];
        sys::random::fill(&mut bytes).map_err(at(&path))?;
        let partial = format!("{BLOB}.{:016x}", u64::from_ne_bytes(bytes));
        let file = dir
            .create_file(OsStr::new(&partial), 0o600)
            .map_err(at(path.join(&partial)))?;
        let written = compress(&mut plain, file);
        if written.is_err() || plain.hasher.finish() != layer {
            // A name that cannot be removed goes with its layer.
            let _gone = dir.unlink(OsStr::new(&partial));
            written?;
            return Err(Error::LayerChanged { layer });
        }
        let (digest, size) = written?;
        dir.rename(OsStr::new(&partial), &dir, OsStr::new(BLOB))
            .map_err(at(path.join(BLOB)))?;
        self.sync()?;
        Ok(LayerBlob {
            digest,
            size,
            media_type: LAYER_TYPE.to_owned(),
            sources: Vec::new(),
        })
    }

    /// Remembers the compressed form of layers.
    pub fn keep_blobs(&self, txn: &Txn<'_>, blobs: &[(Digest, LayerBlob)]) -> Result<()> {
        for (layer, blob) in blobs {
            let mut row = record::find_layer(txn, *layer)?;
            row.blob.get_or_insert_with(|| blob.clone());
            txn.put(&record::LAYERS, &layer.to_string(), &row)?;
        }
        Ok(())
    }

    /// Remembers the compressed form of layers, and that a repository (`registry/name`) has it.
    pub fn record_blobs(
        &self,
        txn: &Txn<'_>,
        blobs: &[(Digest, LayerBlob)],
        repository: &str,
    ) -> Result<()> {
        for (layer, blob) in blobs {
            let mut row = record::find_layer(txn, *layer)?;
            let known = row.blob.get_or_insert_with(|| blob.clone());
            let sources: BTreeSet<&str> = known.sources.iter().map(String::as_str).collect();
            if known.digest == blob.digest && !sources.contains(repository) {
                known.sources.push(repository.to_owned());
            }
            txn.put(&record::LAYERS, &layer.to_string(), &row)?;
        }
        Ok(())
    }

    fn layer_dir(&self, k: &str) -> Result<Dir> {
        let path = Path::new(LAYERS).join(k);
        self.area(LAYERS)?.open_dir(Path::new(k)).map_err(at(path))
    }
}

/// Compresses; returns the digest and the number of the bytes that came out.
fn compress(from: &mut impl io::Read, to: File) -> Result<(Digest, u64)> {
    let failed = |error: io::Error| Error::Archive(archive::Error::Write(error));
    let mut packed = archive::gzip(Tee {
        to,
        hasher: Hasher::default(),
    });
    io::copy(from, &mut packed).map_err(failed)?;
    let tee = packed.finish().map_err(failed)?;
    let size = tee.hasher.len();
    Ok((tee.hasher.finish(), size))
}

/// A writer that hashes what passes.
struct Tee {
    to: File,
    hasher: Hasher,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &str) -> LayerBlob {
        LayerBlob {
            digest: Digest::of(text.as_bytes()),
            size: 1,
            media_type: LAYER_TYPE.to_owned(),
            sources: Vec::new(),
        }
    }

    #[test]
    fn a_manifest_comes_back_when_its_blobs_are_these() {
        let mut image = ToPush {
            config: "{}".to_owned(),
            layers: Vec::new(),
            manifests: Vec::new(),
        };
        let new = image.manifest(&[blob("a")]);
        assert_eq!(new.digest, Digest::of(new.text.as_bytes()));
        let mut kept = new.clone();
        kept.text.push(' ');
        kept.digest = Digest::of(kept.text.as_bytes());
        image.manifests.push(kept.clone());
        assert_eq!(image.manifest(&[blob("a")]), kept);
        assert_ne!(image.manifest(&[blob("b")]), kept);
        assert_ne!(image.manifest(&[blob("a"), blob("a")]), kept);
    }
}
