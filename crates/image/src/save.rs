//! Saving images: one stream that is a Docker archive and an OCI image layout at once.
//!
//! Layers are stored plain, so that a layer's blob is named by its diff id and both manifests point
//! at the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use archive::{Entry, EntryKind, Replay, Time, Writer};
use meta::Read as MetaRead;
use serde_json::{Value, json};
use sys::dir::Dir;
use types::digest::Hasher;
use types::{Digest, Reference};

use crate::error::{Error, Result, at};
use crate::layout::{LAYERS, RECIPE};
use crate::record::{self, ImageId, ImageRecord, TAGS};
use crate::stage::Hashed;
use crate::store::Store;

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

impl Store {
    /// Writes images: a reference saves that tag, a repository all its tags, an id no tag.
    pub fn save(&self, read: &impl MetaRead, names: &[String], to: impl Write) -> Result<()> {
        let mut images: Vec<(ImageRecord, Vec<Reference>)> = Vec::new();
        for (id, tags) in self.choose(read, names)? {
            images.push((self.get(read, id)?, tags));
        }
        // Known before the first byte goes out: afterwards the receiver has half an archive.
        for layer in images.iter().flat_map(|(image, _)| image.layers()) {
            tar_size(read, *layer)?;
        }
        let mut writer = Writer::new(io::BufWriter::with_capacity(1 << 16, to));
        let mut seen = BTreeSet::new();
        put_directory(&mut writer, "blobs/")?;
        put_directory(&mut writer, "blobs/sha256/")?;
        let (mut index, mut manifests) = (Vec::new(), Vec::new());
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (image, tags) in &images {
            let mut layers = Vec::new();
            for layer in image.layers() {
                let size = self.put_layer(read, *layer, seen.insert(*layer), &mut writer)?;
                layers.push(descriptor(LAYER_TYPE, *layer, size));
            }
            let config = put_blob(&mut writer, image.config_text.as_bytes(), &mut seen)?;
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": descriptor(CONFIG_TYPE, config, image.config_text.len() as u64),
                "layers": layers,
            })
            .to_string();
            let digest = put_blob(&mut writer, manifest.as_bytes(), &mut seen)?;
            let pointer = descriptor(MANIFEST_TYPE, digest, manifest.len() as u64);
            index.extend(pointers(&pointer, tags));
            manifests.push(json!({
                "Config": blob_path(config),
                "RepoTags": tags.iter().map(Reference::familiar).collect::<Vec<_>>(),
                "Layers": image.layers().iter().map(|layer| blob_path(*layer)).collect::<Vec<_>>(),
            }));
            for tag in tags {
                let top = image.layers().last().map(Digest::hex).unwrap_or_default();
                let tags = repositories.entry(tag.familiar_name()).or_default();
                tags.insert(tag.tag().unwrap_or_default().to_owned(), top);
            }
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": index});
        put_file(&mut writer, "index.json", &index.to_string())?;
        put_file(&mut writer, "manifest.json", &json!(manifests).to_string())?;
        put_file(
            &mut writer,
            "oci-layout",
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        if !repositories.is_empty() {
            put_file(
                &mut writer,
                "repositories",
                &json!(repositories).to_string(),
            )?;
        }
        writer.finish()?;
        Ok(())
    }

    /// Finds out what names mean: images in the order of the names, each with the tags to save.
    fn choose(
        &self,
        read: &impl MetaRead,
        names: &[String],
    ) -> Result<Vec<(ImageId, Vec<Reference>)>> {
        let mut chosen: Vec<(ImageId, Vec<Reference>)> = Vec::new();
        let mut add = |id: ImageId, tag: Option<Reference>| {
            if !chosen.iter().any(|(other, _)| *other == id) {
                chosen.push((id, Vec::new()));
            }
            let tags = chosen
                .iter_mut()
                .filter(|(other, _)| *other == id)
                .map(|(_, tags)| tags);
            for tags in tags {
                tags.extend(
                    tag.iter()
                        .filter(|tag| !tags.contains(tag))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
        };
        for name in names {
            let reference = name.parse::<Reference>().ok();
            if let Some(reference) = reference.filter(|reference| reference.digest().is_none()) {
                let all = reference.tag().is_none();
                let mut found = false;
                for (tag, row) in read.scan(&TAGS)? {
                    let Ok(tag) = tag.parse::<Reference>() else {
                        continue;
                    };
                    let same = tag.registry() == reference.registry()
                        && tag.repository() == reference.repository();
                    if same && (all || tag.tag() == reference.tag()) {
                        add(row.image, Some(tag));
                        found = true;
                    }
                }
                if found {
                    continue;
                }
                if !all {
                    return Err(Error::NoReference);
                }
            }
            let id = self.resolve(read, name).map_err(|error| match error {
                // As it was given: Docker adds no tag to it here.
                Error::NoSuchImage { .. } => Error::NoSuchImage { name: name.clone() },
                other => other,
            })?;
            add(id, None);
        }
        Ok(chosen)
    }

    /// Writes a layer's tar again, where it was not written yet; returns its size.
    fn put_layer(
        &self,
        read: &impl MetaRead,
        layer: Digest,
        new: bool,
        writer: &mut Writer<impl Write>,
    ) -> Result<u64> {
        let row = record::find_layer(read, layer)?;
        let size = tar_size(read, layer)?;
        if !new {
            return Ok(size);
        }
        let path = Path::new(LAYERS).join(&row.k);
        let dir = self
            .area(LAYERS)?
            .open_dir(Path::new(&row.k))
            .map_err(at(&path))?;
        let recipe = dir
            .open_file(Path::new(RECIPE))
            .map_err(at(path.join(RECIPE)))?;
        let diff = self.layout().layer_diff(&row.k);
        let replay = Replay::new(recipe, Dir::open(&diff).map_err(at(diff))?);
        let inner = replay.map_err(archive::Error::Read)?;
        let mut hashed = Hashed {
            inner,
            hasher: Hasher::default(),
        };
        let kind = EntryKind::File { size };
        writer.entry(
            &Entry {
                mtime: Time::default(),
                ..Entry::new(blob_path(layer), kind)
            },
            &mut hashed,
        )?;
        // The receiver would find out too; here it is known whose fault it is.
        if hashed.hasher.finish() != layer {
            return Err(Error::LayerChanged { layer });
        }
        Ok(size)
    }
}

fn tar_size(read: &impl MetaRead, layer: Digest) -> Result<u64> {
    record::find_layer(read, layer)?
        .tar_size
        .ok_or(Error::NoRecipe { layer })
}

/// An index entry for each tag, or one without a name.
fn pointers(pointer: &Value, tags: &[Reference]) -> Vec<Value> {
    if tags.is_empty() {
        return vec![pointer.clone()];
    }
    let named = |tag: &Reference| {
        let mut pointer = pointer.clone();
        pointer["annotations"] = json!({
            "io.containerd.image.name": tag.to_string(),
            "org.opencontainers.image.ref.name": tag.tag(),
        });
        pointer
    };
    tags.iter().map(named).collect()
}

fn descriptor(kind: &str, digest: Digest, size: u64) -> Value {
    json!({"mediaType": kind, "digest": digest, "size": size})
}

fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn put_blob(
    writer: &mut Writer<impl Write>,
    bytes: &[u8],
    seen: &mut BTreeSet<Digest>,
) -> Result<Digest> {
    let digest = Digest::of(bytes);
    if seen.insert(digest) {
        let kind = EntryKind::File {
            size: bytes.len() as u64,
        };
        writer.entry(&Entry::new(blob_path(digest), kind), bytes)?;
    }
    Ok(digest)
}

fn put_file(writer: &mut Writer<impl Write>, name: &str, text: &str) -> Result<()> {
    let kind = EntryKind::File {
        size: text.len() as u64,
    };
    Ok(writer.entry(&Entry::new(name, kind), text.as_bytes())?)
}

fn put_directory(writer: &mut Writer<impl Write>, name: &str) -> Result<()> {
    Ok(writer.entry(&Entry::new(name, EntryKind::Directory), io::empty())?)
}
