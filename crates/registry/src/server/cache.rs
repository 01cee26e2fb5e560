//! Manifests in memory, so that the address that everybody asks for costs no disk.
//!
//! Two generations: what is used moves to the young one; when that is full, the old one is dropped.
//! A change drops what it makes wrong, and whoever read the disk before a change may not store what
//! was read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use types::digest::Digest;

use super::names::Repository;

/// Bytes of manifests in one generation.
const GENERATION: usize = 1 << 20;
/// What an entry costs beside its bytes.
const OVERHEAD: usize = 256;

/// A manifest as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

type Place = (Repository, String);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Place, Arc<Manifest>>,
    old: HashMap<Place, Arc<Manifest>>,
    bytes: usize,
}

/// The manifests that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    shelves: Mutex<Generations>,
    changes: AtomicU64,
}

/// What was known of changes when somebody began to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl Cache {
    /// Notes the moment before the disk is read.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.changes.load(Ordering::SeqCst))
    }

    pub(crate) fn get(&self, repository: &Repository, target: &str) -> Option<Arc<Manifest>> {
        let place = (repository.clone(), target.to_owned());
        let mut shelves = self.lock();
        if let Some(found) = shelves.young.get(&place) {
            return Some(Arc::clone(found));
        }
        let found = shelves.old.remove(&place)?;
        shelves.put(place, Arc::clone(&found));
        Some(found)
    }

    /// Keeps what was read since `moment`, unless something changed meanwhile.
    pub(crate) fn put(
        &self,
        moment: Moment,
        repository: &Repository,
        target: &str,
        found: Arc<Manifest>,
    ) {
        let mut shelves = self.lock();
        if self.changes.load(Ordering::SeqCst) == moment.0 {
            shelves.put((repository.clone(), target.to_owned()), found);
        }
    }

    /// Forgets one target of a repository.
    pub(crate) fn forget(&self, repository: &Repository, target: &str) {
        let place = (repository.clone(), target.to_owned());
        let mut shelves = self.lock();
        self.changes.fetch_add(1, Ordering::SeqCst);
        shelves.young.remove(&place);
        shelves.old.remove(&place);
    }

    /// Forgets all of a repository.
    pub(crate) fn forget_all(&self, repository: &Repository) {
        let mut shelves = self.lock();
        self.changes.fetch_add(1, Ordering::SeqCst);
        shelves.young.retain(|(known, _), _| known != repository);
        shelves.old.retain(|(known, _), _| known != repository);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        // Each change is complete before the lock is let go.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, place: Place, manifest: Arc<Manifest>) {
        let cost = manifest.bytes.len() + place.1.len() + OVERHEAD;
        if cost > GENERATION / 4 {
            return;
        }
        if self.bytes + cost > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += cost;
        self.young.insert(place, manifest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(len: usize) -> Arc<Manifest> {
        Arc::new(Manifest {
            digest: Digest::of(b"x"),
            media_type: String::new(),
            bytes: vec![0; len].into(),
        })
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::default();
        let a: Repository = "a".parse().unwrap();
        cache.put(cache.moment(), &a, "kept", manifest(10));
        for number in 0..1000 {
            cache.put(cache.moment(), &a, &number.to_string(), manifest(10_000));
            assert!(cache.get(&a, "kept").is_some(), "{number}");
        }
        let kept = (0..1000).filter(|n| cache.get(&a, &n.to_string()).is_some());
        assert!((100..=220).contains(&kept.count()));
        cache.put(cache.moment(), &a, "huge", manifest(GENERATION));
        assert_eq!(cache.get(&a, "huge"), None);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let cache = Cache::default();
        let (a, b): (Repository, Repository) = ("a".parse().unwrap(), "b".parse().unwrap());
        let moment = cache.moment();
        cache.forget(&a, "latest");
        cache.put(moment, &a, "latest", manifest(1));
        assert_eq!(cache.get(&a, "latest"), None);
        cache.put(cache.moment(), &a, "latest", manifest(1));
        cache.put(cache.moment(), &b, "latest", manifest(1));
        cache.forget_all(&a);
        assert_eq!(cache.get(&a, "latest"), None);
        assert!(cache.get(&b, "latest").is_some());
    }
}
