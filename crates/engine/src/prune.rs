//! `prune` and `system df`: what nobody uses any more, and how much space things take.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImageRecord, RemovedItem};
use types::{Digest, ErrorKind};

use crate::Engine;
use crate::container::{Snapshot, Volumes};
use crate::error::{Error, Result};

/// Which of what nobody uses is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneFilter {
    /// `k` or `k=v`; all must hold.
    pub labels: Vec<String>,
    /// As that; what all of these hold for stays.
    pub not_labels: Vec<String>,
    /// Only what was made before, in nanoseconds since 1970.
    pub until_ns: Option<i64>,
}

impl PruneFilter {
    /// Tells whether something may go.
    pub fn holds(&self, labels: &BTreeMap<String, String>, created_ns: i64) -> bool {
        let all = |wanted: &[String]| {
            wanted.iter().all(|filter| match filter.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
                None => labels.contains_key(filter),
            })
        };
        all(&self.labels)
            && (self.not_labels.is_empty() || !all(&self.not_labels))
            && self.until_ns.is_none_or(|until| created_ns < until)
    }
}

/// One prune of a kind at a time, as under Docker.
#[derive(Debug, Default)]
pub(crate) struct Pruning {
    containers: tokio::sync::Mutex<()>,
    images: tokio::sync::Mutex<()>,
}

fn already_runs(_held: tokio::sync::TryLockError) -> Error {
    Error::conflict("a prune operation is already running")
}

impl Engine {
    /// Removes containers that do not run; returns which, and the bytes that they had written.
    pub async fn containers_prune(&self, filter: &PruneFilter) -> Result<(Vec<String>, u64)> {
        let _one = self.0.pruning.containers.try_lock().map_err(already_runs)?;
        let (mut gone, mut bytes) = (Vec::new(), 0_u64);
        for one in self.list() {
            let idle = !one.state.status.is_running();
            if !idle || !filter.holds(&one.record.config.labels, one.record.created_ns) {
                continue;
            }
            let id = one.record.id.to_string();
            let written = self.size(&id).await.map_or(0, |size| size.written);
            match self.remove(&id, false, Volumes::Keep).await {
                Ok(()) => {
                    bytes = bytes.saturating_add(written);
                    gone.push(id);
                }
                // It was started, or removed, meanwhile.
                Err(error) if is_news(&error) => {}
                Err(error) => tracing::warn!(%error, %id, "pruning a container"),
            }
        }
        self.prune_event("container", bytes);
        Ok((gone, bytes))
    }

    /// Removes images that no container uses: those without a name, or `all`. Returns what went, and
    /// how many bytes their layers had that no other image has.
    pub async fn images_prune(
        &self,
        filter: &PruneFilter,
        all: bool,
    ) -> Result<(Vec<RemovedItem>, u64)> {
        let _one = self.0.pruning.images.try_lock().map_err(already_runs)?;
        let images = self.images_list().await?;
        let before = layer_bytes(&images);
        let used: BTreeSet<Digest> = self.image_users().into_keys().collect();
        let mut gone = Vec::new();
        for image in images {
            let unused = !used.contains(&image.id) && (all || image.tags.is_empty());
            if !unused || !filter.holds(labels_of(&image), created_ns(&image)) {
                continue;
            }
            let names: Vec<String> = if image.tags.is_empty() {
                vec![image.id.to_string()]
            } else {
                image.tags.iter().map(ToString::to_string).collect()
            };
            for name in names {
                match self.image_remove(&name, false).await {
                    Ok(items) => gone.extend(items),
                    // A container was made from it meanwhile, or another image stands on it.
                    Err(error) if is_news(&error) => {}
                    Err(error) => tracing::warn!(%error, %name, "pruning an image"),
                }
            }
        }
        let left = layer_bytes(&self.images_list().await?);
        let lost = before.iter().filter(|(layer, _)| !left.contains_key(layer));
        let bytes = lost.map(|(_, bytes)| bytes).sum();
        self.prune_event("image", bytes);
        Ok((gone, bytes))
    }

    fn prune_event(&self, kind: &'static str, bytes: u64) {
        let reclaimed = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
        self.publish(kind, "prune", String::new(), reclaimed);
    }

    /// Returns the bytes of each layer that an image has.
    pub async fn layer_space(&self) -> Result<BTreeMap<Digest, u64>> {
        Ok(layer_bytes(&self.images_list().await?))
    }

    /// Returns a container's own bytes and those of its whole root; zero of one that went.
    pub async fn space_of(&self, one: &Snapshot) -> (u64, u64) {
        let id = one.record.id.to_string();
        let size = self.size(&id).await;
        size.map_or((0, 0), |size| (size.written, size.root))
    }
}

/// The world has changed since the list was made.
fn is_news(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
}

fn layer_bytes(images: &[ImageRecord]) -> BTreeMap<Digest, u64> {
    let layers = images
        .iter()
        .flat_map(|image| image.layers().iter().zip(&image.layer_sizes));
    layers.map(|(id, bytes)| (*id, *bytes)).collect()
}

fn labels_of(image: &ImageRecord) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let defaults = image.config.config.as_ref();
    defaults
        .and_then(|defaults| defaults.labels.as_ref())
        .unwrap_or(&NONE)
}

/// When an image was made; one that does not say is as old as time.
fn created_ns(image: &ImageRecord) -> i64 {
    let text = image.config.created.as_deref().unwrap_or_default();
    let moment: Option<jiff::Timestamp> = text.parse().ok();
    moment
        .and_then(|moment| i64::try_from(moment.as_nanosecond()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_go() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let filter = |own: &[&str], not: &[&str], until_ns| PruneFilter {
            labels: words(own),
            not_labels: words(not),
            until_ns,
        };
        for (filter, expected) in [
            (filter(&[], &[], None), true),
            (filter(&["a"], &[], None), true),
            (filter(&["a=1"], &[], None), true),
            (filter(&["a=2"], &[], None), false),
            (filter(&["b"], &[], None), false),
            (filter(&[], &["a"], None), false),
            (filter(&[], &["b"], None), true),
            (filter(&[], &[], Some(5)), false),
            (filter(&[], &[], Some(6)), true),
        ] {
            assert_eq!(filter.holds(&labels, 5), expected, "{filter:?}");
        }
    }
}
