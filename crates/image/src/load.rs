//! Loading images: Docker's archive (`manifest.json`) and the OCI image layout (`index.json`), from a
//! stream, its parts in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use meta::{Read as MetaRead, Txn};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use types::oci::image::{Descriptor, ImageConfig, Manifest};
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::import::architecture;
use crate::record::{self, ImageId, TAGS};
use crate::spool::{Spool, invalid};
use crate::stage::{Staged, StagedLayer};
use crate::store::Store;

/// Bytes of documents (storage reference §8 rule 11).
const MAX_MANIFEST: u64 = 4 << 20;
const MAX_CONFIG: u64 = 8 << 20;
/// An index may point at an index.
const MAX_INDEXES: usize = 4;

/// How far a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// The layer's diff id.
    pub layer: Digest,
    /// Bytes of the archive's file that were unpacked.
    pub current: u64,
    /// Bytes of the archive's file.
    pub total: u64,
}

/// Images of an archive, complete on disk and not yet visible. Dropped, they leave nothing.
#[derive(Debug)]
#[must_use = "images that are not published are removed"]
pub struct LoadedImages {
    images: Vec<(Staged, Vec<Reference>)>,
}

/// What the publication of loaded images did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The images.
    pub ids: Vec<ImageId>,
    /// Docker's lines, without line ends: `Loaded image: NAME`, `Loaded image ID: sha256:…`.
    pub lines: Vec<String>,
}

/// One image of an archive, as its manifest describes it.
struct Described {
    config: String,
    layers: Vec<String>,
    tags: Vec<Reference>,
    parent: Option<ImageId>,
}

/// An element of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<ImageId>,
}

/// `index.json` and the indexes that it points at.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Pointer>,
}

/// A descriptor with what an index adds.
#[derive(Deserialize)]
struct Pointer {
    #[serde(flatten)]
    blob: Descriptor,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Store {
    /// Unpacks the images of an archive. Layers that the store has already are not unpacked again.
    pub fn load(
        &self,
        from: impl Read,
        read: &impl MetaRead,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<LoadedImages> {
        let spool = Spool::read(self, from)?;
        let mut loading = Loading {
            store: self,
            spool: &spool,
            seen: BTreeSet::new(),
            progress,
        };
        let images = describe(&spool)?
            .into_iter()
            .map(|image| loading.image(read, image))
            .collect::<Result<_>>()?;
        Ok(LoadedImages { images })
    }

    /// Makes loaded images visible. A tag that another image has is taken from it.
    pub fn publish_loaded(&self, txn: &Txn<'_>, loaded: LoadedImages) -> Result<Loaded> {
        let mut done = Loaded::default();
        let mut nameless = Vec::new();
        for (staged, tags) in loaded.images {
            let id = self.publish(txn, staged, None)?;
            for tag in &tags {
                let old = txn.get(&TAGS, &tag.to_string())?.map(|row| row.image);
                if let Some(old) = old.filter(|old| *old != id) {
                    done.lines.push(format!(
                        "The image {} already exists, renaming the old one with ID {old} to empty string",
                        tag.familiar()
                    ));
                }
                self.tag(txn, id, tag)?;
                done.lines.push(format!("Loaded image: {}", tag.familiar()));
            }
            if tags.is_empty() {
                nameless.push(format!("Loaded image ID: {id}"));
            }
            done.ids.push(id);
        }
        done.lines.append(&mut nameless);
        Ok(done)
    }
}

/// The work on one archive.
struct Loading<'a> {
    store: &'a Store,
    spool: &'a Spool,
    /// Layers that an earlier image of this archive has staged.
    seen: BTreeSet<Digest>,
    progress: &'a mut dyn FnMut(LoadProgress),
}

impl Loading<'_> {
    fn image(
        &mut self,
        read: &impl MetaRead,
        image: Described,
    ) -> Result<(Staged, Vec<Reference>)> {
        let text = required(self.spool.text(&image.config, MAX_CONFIG)?, &image.config)?;
        let config: ImageConfig = record::parse_config(&text)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            let (expected, got) = (diff_ids.len(), image.layers.len());
            let reason =
                format!("invalid manifest, layers length mismatch: expected {expected}, got {got}");
            return Err(invalid(image.config.as_bytes(), &reason));
        }
        let mut layers = Vec::new();
        for (number, (diff_id, name)) in diff_ids.iter().zip(&image.layers).enumerate() {
            if read.get(&record::LAYERS, &diff_id.to_string())?.is_some()
                || !self.seen.insert(*diff_id)
            {
                continue;
            }
            let layer = self.layer(*diff_id, name)?;
            if layer.diff_id != *diff_id {
                let got = layer.diff_id;
                let reason = format!(
                    "invalid diffID for layer {number}: expected \"{diff_id}\", got \"{got}\""
                );
                return Err(invalid(name.as_bytes(), &reason));
            }
            layers.push(std::sync::Arc::new(layer));
        }
        // A parent that is not here is no parent.
        let parent = match image.parent {
            Some(parent) => read
                .get(&record::IMAGES, &parent.to_string())?
                .map(|_| parent),
            None => None,
        };
        let staged = Staged::with_text(self.store, text, &config, layers, parent)?;
        Ok((staged, image.tags))
    }

    fn layer(&mut self, layer: Digest, name: &str) -> Result<StagedLayer> {
        let (file, total) = required(self.spool.open(name)?, name)?;
        let counted = Counted {
            inner: file,
            current: 0,
            layer,
            total,
            progress: &mut *self.progress,
        };
        self.store.unpack(counted).map_err(|error| match error {
            Error::Archive(source) => Error::Layer {
                name: name.to_owned(),
                source,
            },
            other => other,
        })
    }
}

/// Finds out what is in the archive.
fn describe(spool: &Spool) -> Result<Vec<Described>> {
    if let Some(text) = spool.text("manifest.json", MAX_MANIFEST)? {
        let manifests: Vec<DockerManifest> = parse("manifest.json", &text)?;
        return manifests.into_iter().map(from_docker).collect();
    }
    if let Some(text) = spool.text("index.json", MAX_MANIFEST)? {
        let index: Index = parse("index.json", &text)?;
        return index
            .manifests
            .into_iter()
            .map(|pointer| from_oci(spool, pointer))
            .collect();
    }
    Err(invalid(
        b"manifest.json",
        "invalid archive: does not contain a manifest.json",
    ))
}

fn from_docker(manifest: DockerManifest) -> Result<Described> {
    let tags = manifest.repo_tags.unwrap_or_default();
    Ok(Described {
        config: manifest.config,
        layers: manifest.layers.unwrap_or_default(),
        tags: tags.iter().map(|tag| tag_of(tag)).collect::<Result<_>>()?,
        parent: manifest.parent,
    })
}

fn tag_of(text: &str) -> Result<Reference> {
    let bad = || invalid(b"manifest.json", &format!("invalid tag {text:?}"));
    let tag: Reference = text.parse().map_err(|_| bad())?;
    if tag.tag().is_none() || tag.digest().is_some() {
        return Err(bad());
    }
    Ok(tag)
}

fn from_oci(spool: &Spool, mut pointer: Pointer) -> Result<Described> {
    let tags = [
        "io.containerd.image.name",
        "org.opencontainers.image.ref.name",
    ]
    .iter()
    .filter_map(|key| pointer.annotations.get(*key))
    .filter_map(|name| name.parse::<Reference>().ok())
    // The second is often a bare tag, which names nothing.
    .find(|name| name.tag().is_some() && name.digest().is_none());
    for _ in 0..MAX_INDEXES {
        let name = blob(&pointer.blob);
        let text = required(spool.text(&name, MAX_MANIFEST)?, &name)?;
        if let Ok(index) = serde_json::from_str::<Index>(&text) {
            let ours = index.manifests.into_iter().find(|pointer| {
                pointer.platform.as_ref().is_none_or(|platform| {
                    platform.os == "linux" && platform.architecture == architecture()
                })
            });
            pointer = ours.ok_or_else(|| {
                invalid(name.as_bytes(), "no image of this platform is in the index")
            })?;
            continue;
        }
        let manifest: Manifest = parse(&name, &text)?;
        return Ok(Described {
            config: blob(&manifest.config),
            layers: manifest.layers.iter().map(blob).collect(),
            tags: tags.into_iter().collect(),
            parent: None,
        });
    }
    Err(invalid(
        b"index.json",
        "too many indexes within one another",
    ))
}

fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest.hex())
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| invalid(name.as_bytes(), &error.to_string()))
}

fn required<T>(part: Option<T>, name: &str) -> Result<T> {
    part.ok_or_else(|| invalid(name.as_bytes(), "not in the archive"))
}

/// A reader that reports how far it is.
struct Counted<'a> {
    inner: std::fs::File,
    current: u64,
    total: u64,
    layer: Digest,
    progress: &'a mut dyn FnMut(LoadProgress),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.current += read as u64;
        let (layer, current, total) = (self.layer, self.current, self.total);
        (self.progress)(LoadProgress {
            layer,
            current,
            total,
        });
        Ok(read)
    }
}
