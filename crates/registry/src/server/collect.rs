//! Garbage collection while the registry serves.
//!
//! First everything that is needed is looked up, then what is not needed and rests for a while is
//! removed, a few at a time under the gate that every new reference passes: whoever referred to
//! something since the look-up began has touched it, and what was touched stays for this round.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use types::digest::Digest;

use super::fault::Fault;
use super::manifest;
use super::names::Repository;
use super::state::Registry;
use super::store::{Entry, Key};
use super::{lists, manifests};

/// What is removed at once while others wait.
const BATCH: usize = 64;
/// Digests whose use is remembered; beyond it a round is left out.
const TOUCHED_MAX: usize = 100_000;

/// What was used or referred to lately.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    digests: Mutex<HashMap<Digest, Instant>>,
    overflowed: AtomicBool,
}

impl Touched {
    pub(crate) fn touch(&self, digest: Digest) {
        let mut digests = self.lock();
        if digests.len() >= TOUCHED_MAX && !digests.contains_key(&digest) {
            self.overflowed.store(true, Ordering::SeqCst);
            return;
        }
        digests.insert(digest, Instant::now());
    }

    fn has(&self, digest: Digest) -> bool {
        self.lock().contains_key(&digest)
    }

    /// Forgets what rests since `age`; tells whether all that was touched is known.
    fn settle(&self, age: Duration) -> bool {
        let mut digests = self.lock();
        digests.retain(|_, when| when.elapsed() <= age);
        !self.overflowed.swap(false, Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Instant>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Contents that are gone.
    pub(crate) removed: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Collects again and again.
#[expect(
    clippy::infinite_loop,
    reason = "ends with the runtime that it is a task of"
)]
pub(crate) async fn run(registry: Arc<Registry>) {
    loop {
        tokio::time::sleep(registry.settings.collect.interval).await;
        match round(&registry).await {
            Ok(Round { removed: 0, .. }) => {}
            Ok(round) => tracing::info!(removed = round.removed, bytes = round.bytes, "collected"),
            Err(fault) => tracing::warn!(fault = ?fault.said, "collecting"),
        }
    }
}

/// Removes what no repository needs any more.
pub(crate) async fn round(registry: &Registry) -> Result<Round, Fault> {
    let mut done = Round::default();
    if !registry.touched.settle(registry.settings.collect.grace) {
        return Ok(done);
    }
    let mut live = HashSet::new();
    for repository in lists::repositories(registry).await? {
        if registry.settings.collect.untagged {
            drop_untagged(registry, &repository).await?;
        }
        unlink(registry, &repository).await?;
        for key in [Key::blobs(&repository), Key::manifests(&repository)] {
            let names = registry.store.names(key).await?;
            live.extend(names.iter().filter_map(|hex| Digest::from_hex(hex)));
        }
        let _nothing_new = registry.gate.write().await;
        registry.store.prune(Key::repository(&repository)).await?;
    }
    for shelf in 0..=u8::MAX {
        let entries = registry.store.entries(Key::shelf(shelf)).await?;
        let gone = resting(registry, entries).filter(|(digest, _)| !live.contains(digest));
        let gone: Vec<(Digest, u64)> = gone.collect();
        for batch in gone.chunks(BATCH) {
            let _nothing_new = registry.gate.write().await;
            for (digest, size) in batch {
                if !registry.touched.has(*digest)
                    && registry.store.remove(Key::content(*digest)).await?
                {
                    done.removed += 1;
                    done.bytes += size;
                }
            }
        }
    }
    registry.metrics.collected(done.removed, done.bytes);
    registry.quotas.recount(registry).await?;
    Ok(done)
}

/// Takes blobs from a repository that none of its manifests needs.
async fn unlink(registry: &Registry, repository: &Repository) -> Result<(), Fault> {
    let mut needed = HashSet::new();
    for hex in registry.store.names(Key::manifests(repository)).await? {
        let Some(digest) = Digest::from_hex(&hex) else {
            continue;
        };
        let Some(found) = manifests::load(registry, repository, digest).await? else {
            continue;
        };
        if let Ok(document) = manifest::read(Some(&found.media_type), &found.bytes) {
            needed.extend(document.blobs);
            needed.extend(document.layers.iter().map(|(layer, _)| *layer));
        }
    }
    let links = registry.store.entries(Key::blobs(repository)).await?;
    let gone = resting(registry, links).filter(|(digest, _)| !needed.contains(digest));
    let gone: Vec<(Digest, u64)> = gone.collect();
    for batch in gone.chunks(BATCH) {
        let _nothing_new = registry.gate.write().await;
        for (digest, _) in batch {
            if !registry.touched.has(*digest) {
                registry
                    .store
                    .remove(Key::blob(repository, *digest))
                    .await?;
            }
        }
    }
    Ok(())
}

/// Removes manifests that no tag, no index and no subject leads to.
async fn drop_untagged(registry: &Registry, repository: &Repository) -> Result<(), Fault> {
    let links = registry.store.entries(Key::manifests(repository)).await?;
    let mut documents = HashMap::new();
    for entry in &links {
        let Some(digest) = Digest::from_hex(&entry.name) else {
            continue;
        };
        if let Some(found) = manifests::load(registry, repository, digest).await?
            && let Ok(document) = manifest::read(Some(&found.media_type), &found.bytes)
        {
            documents.insert(digest, document);
        }
    }
    let mut reached = HashSet::new();
    let mut next = Vec::new();
    for name in registry.store.names(Key::tags(repository)).await? {
        if let Ok(tag) = name.parse() {
            next.extend(manifests::digest_of(registry, repository, &tag).await?);
        }
    }
    while let Some(digest) = next.pop() {
        if !reached.insert(digest) {
            continue;
        }
        if let Some(document) = documents.get(&digest) {
            next.extend(&document.manifests);
        }
        // What says something of this one is kept with it.
        let referrers = documents.iter().filter(|(_, d)| d.subject == Some(digest));
        next.extend(referrers.map(|(referrer, _)| *referrer));
    }
    let gone: Vec<Digest> = resting(registry, links)
        .map(|(digest, _)| digest)
        .filter(|digest| !reached.contains(digest))
        .collect();
    for digest in gone {
        let _nothing_new = registry.gate.write().await;
        let _turn = registry.turn(repository).await;
        // A tag may have been put on it since.
        if !registry.touched.has(digest) {
            manifests::remove(registry, repository, digest).await?;
        }
    }
    Ok(())
}

/// Returns what was not written for a while.
fn resting(registry: &Registry, entries: Vec<Entry>) -> impl Iterator<Item = (Digest, u64)> {
    let grace = registry.settings.collect.grace;
    let now = SystemTime::now();
    entries.into_iter().filter_map(move |entry| {
        // What was written in the future was written just now by another clock.
        let age = now.duration_since(entry.modified).unwrap_or_default();
        let digest = Digest::from_hex(&entry.name)?;
        (age >= grace).then_some((digest, entry.size))
    })
}
