//! Pure: the store's rows in `meta`, and what a reader gets of them.

use meta::{Read, Table};
use serde::{Deserialize, Serialize};
use types::oci::image::ImageConfig;
use types::{Digest, Reference};

use crate::error::{Error, Result};

/// The id of an image: the digest of its config's bytes.
pub type ImageId = Digest;

/// Images by id.
pub(crate) const IMAGES: Table<ImageRow> = Table::new("image");
/// Tags by canonical reference.
pub(crate) const TAGS: Table<TagRow> = Table::new("ref");
/// Layers by diff id.
pub(crate) const LAYERS: Table<LayerRow> = Table::new("layer");

/// Images by where they came from or went to: `registry/repository@digest`.
pub(crate) const DIGESTS: Table<TagRow> = Table::new("digest");
/// Manifests and indexes of pulled and pushed images, by digest.
pub(crate) const MANIFESTS: Table<ManifestRow> = Table::new("manifest");

/// An image as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// The config's bytes, for their digest is the id.
    pub(crate) config: String,
    /// The image that this one was committed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ImageId>,
    /// RFC 3339: when its last tag was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_tagged: Option<String>,
    /// The manifests that a registry has of it; the last one is what a push sends again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) manifests: Vec<Digest>,
}

/// A manifest as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestRow {
    /// What the registry calls it.
    pub(crate) media_type: String,
    /// Its bytes, for their digest is its name.
    pub(crate) text: String,
}

/// A tag as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagRow {
    pub(crate) image: ImageId,
}

/// A layer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRow {
    /// Its directory.
    pub(crate) k: String,
    /// Bytes of file contents.
    pub(crate) size: u64,
    /// The layer has an entry for `/`, so that it decides the root's owner and mode.
    #[serde(default)]
    pub(crate) has_root: bool,
    /// Bytes of its tar, which a recipe beside it makes again; `None` where it cannot.
    #[serde(default)]
    pub(crate) tar_size: Option<u64>,
    /// The layer as a registry has it, which lies beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blob: Option<LayerBlob>,
}

/// A layer as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerBlob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
    /// How they are compressed.
    pub media_type: String,
    /// `registry/repository` where it is known to be.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// An image as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// The digest of `config_text`.
    pub id: ImageId,
    /// The config, parsed.
    pub config: ImageConfig,
    /// The config's bytes.
    pub config_text: String,
    /// The image that this one was committed from.
    pub parent: Option<ImageId>,
    /// Bytes of the contents of all layers' files.
    pub size: u64,
    /// Bytes by layer, lowest first.
    pub layer_sizes: Vec<u64>,
    /// Its tags, sorted.
    pub tags: Vec<Reference>,
    /// Where registries have it: repositories with digests, sorted.
    pub digests: Vec<Reference>,
    /// RFC 3339: when its last tag was set.
    pub last_tagged: Option<String>,
}

impl ImageRecord {
    /// Returns the diff ids of the layers, lowest first.
    pub fn layers(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// Makes the record of a row.
    pub(crate) fn from_row(
        read: &impl Read,
        id: ImageId,
        row: ImageRow,
        tags: Vec<Reference>,
        digests: Vec<Reference>,
    ) -> Result<Self> {
        let config = parse_config(&row.config)?;
        let layer_sizes: Vec<u64> = config
            .rootfs
            .diff_ids
            .iter()
            .map(|layer| Ok(find_layer(read, *layer)?.size))
            .collect::<Result<_>>()?;
        Ok(Self {
            id,
            config,
            size: layer_sizes.iter().sum(),
            layer_sizes,
            config_text: row.config,
            parent: row.parent,
            tags,
            digests,
            last_tagged: row.last_tagged,
        })
    }
}

/// Parses the bytes of a config.
pub(crate) fn parse_config(text: &str) -> Result<ImageConfig> {
    serde_json::from_str(text).map_err(Error::Config)
}

/// Returns the row of a layer that an image names.
pub(crate) fn find_layer(read: &impl Read, layer: Digest) -> Result<LayerRow> {
    read.get(&LAYERS, &layer.to_string())?
        .ok_or(Error::MissingLayer { layer })
}

/// Returns an image's row.
pub(crate) fn find_image(read: &impl Read, id: ImageId) -> Result<ImageRow> {
    read.get(&IMAGES, &id.to_string())?
        .ok_or_else(|| Error::NoSuchImage {
            name: id.to_string(),
        })
}
