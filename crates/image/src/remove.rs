//! Removing names and images, with Docker's conflicts and answers.
//!
//! Source: moby daemon/images/image_delete.go. A *hard* conflict (a running container, a child
//! image) stands against force too; a *soft* one (a stopped container, several names) does not.

use std::collections::BTreeSet;

use meta::{Read as _, Txn};
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::names::canonical;
use crate::record::{self, DIGESTS, IMAGES, ImageId, MANIFESTS, TAGS};
use crate::snapshot::Snapshot;
use crate::store::{Garbage, Store};

/// A container that uses an image.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The container's short id, for messages.
    pub container: &'a str,
    /// Its image.
    pub image: ImageId,
    /// It runs (or is paused).
    pub running: bool,
    /// Its layers, which stay.
    pub snapshot: &'a Snapshot,
}

/// What a removal did; [`Removed::garbage`] goes to [`Store::discard`] after the commit.
#[derive(Debug, Default)]
pub struct Removed {
    /// In the order of Docker's answer.
    pub items: Vec<RemovedItem>,
    /// Directories.
    pub garbage: Garbage,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovedItem {
    /// A name is gone: its familiar form.
    Untagged(String),
    /// An image or a layer (by its chain id) is gone.
    Deleted(Digest),
}

impl Store {
    /// Removes what `name` names: a tag, and the image with it when it was the last one.
    pub fn remove(
        &self,
        txn: &Txn<'_>,
        name: &str,
        force: bool,
        users: &[User<'_>],
    ) -> Result<Removed> {
        let image = self.resolve(txn, name)?;
        let mut names = self.tags(txn, image)?;
        names.extend(self.digests(txn, image)?);
        // As Docker sorts them: a repository's tags before its digests.
        names.sort_by_key(Reference::to_string);
        let user = users.iter().find(|user| user.image == image);
        let mut removed = Removed::default();
        let asked = name.parse::<Reference>().ok().map(as_kept);
        if let Some(asked) = asked.filter(|asked| names.contains(asked) && !is_id(name, image)) {
            if let (false, true, Some(user)) = (force, is_single(&names), user) {
                return Err(Error::Conflict(format!(
                    "unable to remove repository reference \"{name}\" (must force) - container {} \
                     is using its referenced image {}",
                    user.container,
                    image.short()
                )));
            }
            let (gone, stay) = untagged(&asked, names);
            gone.iter()
                .try_for_each(|name| untag(txn, name, &mut removed))?;
            // Only a name was asked for: what keeps the image keeps it silently.
            if !stay.is_empty() || conflict(txn, image, true, users)?.is_some() {
                return Ok(removed);
            }
            if !force && conflict(txn, image, false, users)?.is_some() {
                return Ok(removed);
            }
        } else {
            if let Some(text) = conflict(txn, image, true, users)? {
                return Err(Error::Conflict(text));
            }
            if !force && !is_single(&names) {
                return Err(must_force(
                    image,
                    "image is referenced in multiple repositories",
                ));
            }
            if !force && let Some(text) = conflict(txn, image, false, users)? {
                return Err(Error::Conflict(text));
            }
            names
                .iter()
                .try_for_each(|name| untag(txn, name, &mut removed))?;
        }
        self.delete(txn, image, users, &mut removed)?;
        Ok(removed)
    }

    /// Removes an image that has no tags and no conflicts, then its parents that nothing names.
    fn delete(
        &self,
        txn: &Txn<'_>,
        image: ImageId,
        users: &[User<'_>],
        removed: &mut Removed,
    ) -> Result<()> {
        let mut next = Some(image);
        while let Some(image) = next {
            let row = record::find_image(txn, image)?;
            txn.delete(&IMAGES, &image.to_string())?;
            for manifest in &row.manifests {
                txn.delete(&MANIFESTS, &manifest.to_string())?;
            }
            removed.items.push(RemovedItem::Deleted(image));
            let chain = chain_ids(&record::parse_config(&row.config)?.rootfs.diff_ids);
            let mut kept = BTreeSet::new();
            for (_, other) in txn.scan(&IMAGES)? {
                kept.extend(chain_ids(
                    &record::parse_config(&other.config)?.rootfs.diff_ids,
                ));
            }
            for user in users {
                kept.extend(chain_ids(user.snapshot.layers()));
            }
            let gone = chain.iter().rev().filter(|id| !kept.contains(id));
            removed
                .items
                .extend(gone.copied().map(RemovedItem::Deleted));
            next = None;
            if let Some(parent) = row.parent
                && txn.get(&IMAGES, &parent.to_string())?.is_some()
                && self.tags(txn, parent)?.is_empty()
                && self.digests(txn, parent)?.is_empty()
                && conflict(txn, parent, true, users)?.is_none()
                && conflict(txn, parent, false, users)?.is_none()
            {
                next = Some(parent);
            }
        }
        removed.garbage = self.collect(txn, users.iter().map(|user| user.snapshot))?;
        Ok(())
    }
}

/// Returns why an image cannot go: hard reasons, or the soft ones that force overrides.
fn conflict(
    txn: &Txn<'_>,
    image: ImageId,
    hard: bool,
    users: &[User<'_>],
) -> Result<Option<String>> {
    let mut users = users.iter().filter(|user| user.image == image);
    let text = |force, why: String| {
        Some(format!(
            "unable to delete {} ({force}) - {why}",
            image.short()
        ))
    };
    if !hard {
        return Ok(users.find(|user| !user.running).and_then(|user| {
            text(
                "must be forced",
                format!(
                    "image is being used by stopped container {}",
                    user.container
                ),
            )
        }));
    }
    if txn
        .scan(&IMAGES)?
        .iter()
        .any(|(_, row)| row.parent == Some(image))
    {
        return Ok(text(
            "cannot be forced",
            "image has dependent child images".to_owned(),
        ));
    }
    Ok(users.find(|user| user.running).and_then(|user| {
        text(
            "cannot be forced",
            format!(
                "image is being used by running container {}",
                user.container
            ),
        )
    }))
}

fn must_force(image: ImageId, why: &str) -> Error {
    Error::Conflict(format!(
        "unable to delete {} (must be forced) - {why}",
        image.short()
    ))
}

fn untag(txn: &Txn<'_>, name: &Reference, removed: &mut Removed) -> Result<()> {
    if name.digest().is_some() {
        txn.delete(&DIGESTS, &name.to_string())?;
    } else {
        txn.delete(&TAGS, &name.to_string())?;
    }
    removed.items.push(RemovedItem::Untagged(name.familiar()));
    Ok(())
}

/// Returns a reference as its row is called: where a digest stands, the tag says nothing.
fn as_kept(reference: Reference) -> Reference {
    if reference.digest().is_some() {
        let name = canonical(&reference);
        return name.parse().unwrap_or(reference);
    }
    reference.or_latest()
}

fn same_repository(one: &Reference, other: &Reference) -> bool {
    one.registry() == other.registry() && one.repository() == other.repository()
}

/// Tells whether names come to one: at most one tag, and digests of one repository, the tag's.
fn is_single(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    tags <= 1 && names.iter().all(|name| same_repository(name, &names[0]))
}

/// Parts the names of an image into what goes with one of them and what stays: with the last tag of a
/// repository, its digests go.
fn untagged(asked: &Reference, names: Vec<Reference>) -> (Vec<Reference>, Vec<Reference>) {
    let last = asked.digest().is_none()
        && !names
            .iter()
            .any(|name| name != asked && name.digest().is_none() && same_repository(name, asked));
    names.into_iter().partition(|name| {
        name == asked || (last && name.digest().is_some() && same_repository(name, asked))
    })
}

/// A text that could be a name is taken for an id when the id begins so.
fn is_id(name: &str, image: ImageId) -> bool {
    let hex = image.hex();
    hex.starts_with(name.strip_prefix("sha256:").unwrap_or(name))
}

/// Returns the chain id of every layer, lowest first (OCI image specification, "Layer ChainID").
pub(crate) fn chain_ids(layers: &[Digest]) -> Vec<Digest> {
    let mut below: Option<Digest> = None;
    layers
        .iter()
        .map(|layer| {
            let id = match below {
                None => *layer,
                Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
            };
            below = Some(id);
            id
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_a_name() {
        let digest = Digest::of(b"x");
        let names = |texts: &[&str]| -> Vec<Reference> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let (tag, by_digest) = ("r:5/a:1", format!("r:5/a@{digest}"));
        let one = names(&[tag, &by_digest]);
        assert!(is_single(&one) && is_single(&[]));
        let (gone, stay) = untagged(&one[0], one.clone());
        assert_eq!((gone.len(), stay.len()), (2, 0));
        let (gone, stay) = untagged(&one[1], one.clone());
        assert_eq!((gone.len(), stay.len()), (1, 1));
        let two = names(&[tag, "r:5/a:2", &by_digest]);
        assert!(!is_single(&two));
        assert_eq!(untagged(&two[0], two.clone()).0, two[..1]);
        assert!(!is_single(&names(&[&by_digest, "b:1"])));
        let typed = format!("r:5/a:1@{digest}");
        assert_eq!(as_kept(typed.parse().unwrap()), one[1]);
    }

    #[test]
    fn chains() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        assert_eq!(chain_ids(&[]), []);
        let both = Digest::of(format!("{a} {b}").as_bytes());
        assert_eq!(chain_ids(&[a, b]), [a, both]);
    }
}
