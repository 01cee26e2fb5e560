//! Names of images: what a text means, and what there is.

use std::collections::BTreeMap;

use meta::Read;
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::record::{self, DIGESTS, IMAGES, ImageId, ImageRecord, TAGS};
use crate::store::Store;

impl Store {
    /// Returns the image that a text names: a reference (`latest` where no tag stands), an id, or
    /// a unique beginning of one, with or without `sha256:`. An ambiguous beginning names nothing,
    /// as in Docker.
    pub fn resolve(&self, read: &impl Read, name: &str) -> Result<ImageId> {
        let missing = |name: String| Err(Error::NoSuchImage { name });
        let full = name
            .parse::<Digest>()
            .ok()
            .or_else(|| Digest::from_hex(name));
        if let Some(id) = full {
            return if self.has(read, id)? {
                Ok(id)
            } else {
                missing(name.to_owned())
            };
        }
        let reference = name.parse::<Reference>();
        if let Ok(reference) = &reference
            && reference.digest().is_some()
            && let Some(row) = read.get(&DIGESTS, &canonical(reference))?
        {
            return Ok(row.image);
        }
        if let Ok(reference) = &reference
            && reference.digest().is_none()
            && let Some(row) = read.get(&TAGS, &reference.clone().or_latest().to_string())?
        {
            return Ok(row.image);
        }
        let prefix = name.strip_prefix("sha256:").unwrap_or(name);
        if !prefix.is_empty()
            && prefix
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            let start = format!("sha256:{prefix}");
            let mut found = read
                .scan(&IMAGES)?
                .into_iter()
                .map(|(key, _)| key)
                .filter(|key| key.starts_with(&start));
            if let (Some(id), None) = (found.next(), found.next())
                && let Ok(id) = id.parse()
            {
                return Ok(id);
            }
        }
        missing(reference?.or_latest().familiar())
    }

    /// Tells whether there is such an image.
    pub fn has(&self, read: &impl Read, id: ImageId) -> Result<bool> {
        Ok(read.get(&IMAGES, &id.to_string())?.is_some())
    }

    /// Returns an image.
    pub fn get(&self, read: &impl Read, id: ImageId) -> Result<ImageRecord> {
        let row = record::find_image(read, id)?;
        let (tags, digests) = (self.tags(read, id)?, self.digests(read, id)?);
        ImageRecord::from_row(read, id, row, tags, digests)
    }

    /// Returns all images, the newest first.
    pub fn list(&self, read: &impl Read) -> Result<Vec<ImageRecord>> {
        let mut tags: BTreeMap<ImageId, Vec<Reference>> = BTreeMap::new();
        for (tag, row) in read.scan(&TAGS)? {
            tags.entry(row.image)
                .or_default()
                .extend(tag.parse::<Reference>());
        }
        let mut digests: BTreeMap<ImageId, Vec<Reference>> = BTreeMap::new();
        for (name, row) in read.scan(&DIGESTS)? {
            digests
                .entry(row.image)
                .or_default()
                .extend(name.parse::<Reference>());
        }
        let mut images = read
            .scan(&IMAGES)?
            .into_iter()
            .filter_map(|(key, row)| Some((key.parse::<Digest>().ok()?, row)))
            .map(|(id, row)| {
                let tags = tags.remove(&id).unwrap_or_default();
                let digests = digests.remove(&id).unwrap_or_default();
                ImageRecord::from_row(read, id, row, tags, digests)
            })
            .collect::<Result<Vec<_>>>()?;
        images.sort_by(|a, b| {
            b.config
                .created
                .cmp(&a.config.created)
                .then(a.id.cmp(&b.id))
        });
        Ok(images)
    }

    /// Returns the tags of an image, sorted.
    pub fn tags(&self, read: &impl Read, id: ImageId) -> Result<Vec<Reference>> {
        Ok(read
            .scan(&TAGS)?
            .into_iter()
            .filter(|(_, row)| row.image == id)
            .filter_map(|(tag, _)| tag.parse().ok())
            .collect())
    }

    /// Returns the tags of a reference's repository with their images, sorted.
    pub fn tags_of(
        &self,
        read: &impl Read,
        repository: &Reference,
    ) -> Result<Vec<(Reference, ImageId)>> {
        let same = |tag: &Reference| {
            tag.registry() == repository.registry() && tag.repository() == repository.repository()
        };
        Ok(read
            .scan(&TAGS)?
            .into_iter()
            .filter_map(|(tag, row)| Some((tag.parse::<Reference>().ok()?, row.image)))
            .filter(|(tag, _)| same(tag))
            .collect())
    }

    /// Returns where registries have an image: repositories with digests, sorted.
    pub fn digests(&self, read: &impl Read, id: ImageId) -> Result<Vec<Reference>> {
        Ok(read
            .scan(&DIGESTS)?
            .into_iter()
            .filter(|(_, row)| row.image == id)
            .filter_map(|(name, _)| name.parse().ok())
            .collect())
    }
}

/// Returns `registry/repository@digest`: where a digest stands, a tag says nothing.
pub(crate) fn canonical(reference: &Reference) -> String {
    let digest = reference.digest().map(|digest| format!("@{digest}"));
    let repository = reference.repository();
    format!(
        "{}/{repository}{}",
        reference.registry(),
        digest.unwrap_or_default()
    )
}
