//! What a running registry has: its storage, its uploads, its memory, and its turns.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, RwLock, Semaphore};

use super::cache::Cache;
use super::collect::Touched;
use super::door::Door;
use super::fault::{Code, Fault};
use super::metrics::Metrics;
use super::mirror::Mirror;
use super::names::Repository;
use super::options::Settings;
use super::quota::Quotas;
use super::store::Store;
use super::uploads::Uploads;

/// Repositories whose manifests may change at once.
const TURNS: usize = 64;
/// Large manifests that may come at once.
const LARGE_MANIFESTS: usize = 8;

/// A registry. Lock order: `gate`, then a turn; the cache's lock is never held while waiting.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) store: Store,
    pub(crate) uploads: Uploads,
    pub(crate) cache: Cache,
    pub(crate) settings: Settings,
    pub(crate) door: Door,
    pub(crate) quotas: Quotas,
    pub(crate) metrics: Metrics,
    pub(crate) touched: Touched,
    /// The registry that this one is a cache of.
    pub(crate) mirror: Option<Mirror>,
    /// Whoever adds a reference to content reads; the collector writes.
    pub(crate) gate: RwLock<()>,
    /// Bounds the memory of manifests on their way in.
    pub(crate) large: Semaphore,
    turns: Vec<Mutex<()>>,
}

impl Registry {
    pub(crate) fn new(
        store: Store,
        uploads: Uploads,
        settings: Settings,
        door: Door,
        mirror: Option<Mirror>,
    ) -> Arc<Self> {
        let quotas = Quotas::new(settings.quota);
        Arc::new(Self {
            store,
            uploads,
            cache: Cache::default(),
            settings,
            door,
            quotas,
            metrics: Metrics::default(),
            touched: Touched::default(),
            mirror,
            gate: RwLock::new(()),
            large: Semaphore::new(LARGE_MANIFESTS),
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
        })
    }

    /// Refuses what would make a cache differ from its origin.
    pub(crate) fn may_push(&self) -> Result<(), Fault> {
        if self.mirror.is_none() {
            return Ok(());
        }
        let words = "this registry is a cache of another: push there";
        Err(Fault::new(Code::Unsupported, words))
    }

    /// Waits for the turn to change a repository's manifests and tags.
    pub(crate) async fn turn(&self, repository: &Repository) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(repository);
        let place = usize::try_from(hash % TURNS as u64).unwrap_or(0);
        self.turns[place].lock().await
    }
}
