//! From bytes to rows: a layer is unpacked in its final place, synced, and published by its row.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use archive::{Reader, Recorder, decompress, extract_layer};
use meta::{Read as _, Txn};
use types::digest::Hasher;
use types::oci::image::ImageConfig;
use types::{Digest, Reference};

use crate::error::{Error, Result, at};
use crate::layout::{BLOB, DIFF, LAYERS, RECIPE};
use crate::record::{self, IMAGES, ImageId, ImageRow, LayerBlob, LayerRow, TAGS, TagRow};
use crate::store::{Store, make_dir};

/// Layers of one image: the kernel stacks 500 directories, one of them is the init layer.
const MAX_LAYERS: usize = 499;

/// An image that is complete on disk and not yet visible. Dropped, it leaves nothing.
#[derive(Debug)]
#[must_use = "an image that is not published is removed"]
pub struct Staged {
    config_text: String,
    id: ImageId,
    layer_ids: Vec<Digest>,
    layers: Vec<Arc<StagedLayer>>,
    parent: Option<ImageId>,
}

/// A layer that is unpacked and has no row. Dropped, it is removed. Two images that are staged at
/// once may share one.
#[derive(Debug)]
pub struct StagedLayer {
    store: Store,
    k: String,
    kept: AtomicBool,
    blob: Option<LayerBlob>,
    pub(crate) diff_id: Digest,
    size: u64,
    has_root: bool,
    tar_size: Option<u64>,
}

impl Staged {
    /// Returns the id that the image will have.
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// Completes an image: its layers are on disk after this.
    pub(crate) fn new(
        store: &Store,
        config: &ImageConfig,
        layers: Vec<StagedLayer>,
        parent: Option<ImageId>,
    ) -> Result<Self> {
        let text = serde_json::to_string(config).map_err(Error::Config)?;
        let layers = layers.into_iter().map(Arc::new).collect();
        Self::with_text(store, text, config, layers, parent)
    }

    /// Completes an image whose config has these very bytes.
    pub(crate) fn with_text(
        store: &Store,
        config_text: String,
        config: &ImageConfig,
        layers: Vec<Arc<StagedLayer>>,
        parent: Option<ImageId>,
    ) -> Result<Self> {
        if config.rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(Error::TooManyLayers);
        }
        store.sync()?;
        Ok(Self {
            id: Digest::of(config_text.as_bytes()),
            config_text,
            layer_ids: config.rootfs.diff_ids.clone(),
            layers,
            parent,
        })
    }
}

impl Store {
    /// Makes a staged image visible, with a tag where one is given (taken from another image if
    /// need be). Quick: only rows are written. The image is durable when the transaction is.
    pub fn publish(
        &self,
        txn: &Txn<'_>,
        staged: Staged,
        tag: Option<&Reference>,
    ) -> Result<ImageId> {
        for layer in staged.layers {
            let key = layer.diff_id.to_string();
            // Somebody else may have unpacked the same one meanwhile: then ours is dropped.
            if txn.get(&record::LAYERS, &key)?.is_none() {
                if layer.kept.load(Ordering::Acquire) {
                    // Published with another image, and removed with it.
                    let layer = layer.diff_id;
                    return Err(Error::MissingLayer { layer });
                }
                let row = LayerRow {
                    k: layer.k.clone(),
                    size: layer.size,
                    has_root: layer.has_root,
                    tar_size: layer.tar_size,
                    blob: layer.blob.clone(),
                };
                txn.put(&record::LAYERS, &key, &row)?;
                layer.kept.store(true, Ordering::Release);
            }
        }
        for layer in staged.layer_ids {
            record::find_layer(txn, layer)?;
        }
        let key = staged.id.to_string();
        if txn.get(&IMAGES, &key)?.is_none() {
            let row = ImageRow {
                config: staged.config_text,
                parent: staged.parent,
                last_tagged: None,
                manifests: Vec::new(),
            };
            txn.put(&IMAGES, &key, &row)?;
        }
        if let Some(tag) = tag {
            self.tag(txn, staged.id, tag)?;
        }
        Ok(staged.id)
    }

    /// Gives an image a tag, taking it from another image if need be.
    pub fn tag(&self, txn: &Txn<'_>, image: ImageId, tag: &Reference) -> Result<()> {
        if tag.digest().is_some() {
            return Err(Error::TagWithDigest);
        }
        let mut row = record::find_image(txn, image)?;
        row.last_tagged = Some(now());
        txn.put(&IMAGES, &image.to_string(), &row)?;
        txn.put(
            &TAGS,
            &tag.clone().or_latest().to_string(),
            &TagRow { image },
        )?;
        Ok(())
    }

    /// Unpacks a layer in any compression; its diff id is known at the end.
    pub(crate) fn unpack(&self, from: impl Read) -> Result<StagedLayer> {
        let (k, dir) = self.make(LAYERS)?;
        // From here on the directory is removed when something fails.
        let mut layer = StagedLayer {
            store: self.clone(),
            k,
            kept: AtomicBool::new(false),
            blob: None,
            diff_id: Digest::of(b""),
            size: 0,
            has_root: false,
            tar_size: None,
        };
        let path = || Path::new(LAYERS).join(&layer.k);
        let root = make_dir(&dir, DIFF, 0o755).map_err(at(path()))?;
        let recipe = dir
            .create_file(OsStr::new(RECIPE), 0o600)
            .map_err(at(path()))?;
        let recorder = Recorder::new(recipe).map_err(archive::Error::Write)?;
        let hashed = Hashed {
            inner: decompress(from)?,
            hasher: Hasher::default(),
        };
        let mut reader = Reader::recorded(hashed, recorder);
        let done = extract_layer(&mut reader, &root)?;
        let (hashed, recorder) = reader.finish()?;
        if let Some(recorder) = recorder {
            let size = recorder.finish().map_err(archive::Error::Write)?;
            layer.tar_size = (!done.lossy).then_some(size);
        }
        layer.diff_id = hashed.hasher.finish();
        layer.size = done.size;
        layer.has_root = done.has_root;
        Ok(layer)
    }
}

impl StagedLayer {
    /// Remembers the compressed bytes that the layer came from: they lie beside it.
    pub(crate) fn keep_blob(&mut self, blob: LayerBlob) -> Result<()> {
        let path = Path::new(LAYERS).join(&self.k);
        let layers = self.store.area(LAYERS)?;
        let dir = layers.open_dir(Path::new(&self.k)).map_err(at(path))?;
        self.store.link_ingest(blob.digest, &dir, BLOB)?;
        self.blob = Some(blob);
        Ok(())
    }

    /// Returns the digest of the uncompressed layer.
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            // What cannot be removed now has no row: the next start sweeps it.
            drop(self.store.remove_now(LAYERS, &self.k));
        }
    }
}

/// A reader that hashes what passes.
pub(crate) struct Hashed<R> {
    pub(crate) inner: R,
    pub(crate) hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Returns the time as image configs write it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
