//! The verbs of the engine.
//!
//! Tasks and channels: one task per connected shim reads its packets and sends events to one task
//! per container (`start.rs`, `mind`), which is the only one that records an end. Every verb runs in
//! its request's task and does its disk work through `blocking`.
//!
//! Lock order (a lock is taken only while those above it are held or free, never below):
//! `Cell::verb` (async, one per container) → `cells` (the table) → one of a cell's small locks →
//! `meta`'s writer. No lock but `verb` is held across `.await`.
//!
//! Invariants: no HTTP, no API documents, no terminal text here; the disk record is the truth and
//! memory is a cache; a crash at any instruction is recovered by `container::restore`.

#![forbid(unsafe_code)]

mod blocking;
pub mod build_verbs;
mod clock;
mod config;
pub mod container;
mod error;
mod events;
mod followers;
mod image_verbs;
mod info;
mod input;
mod layout;
mod names;
pub mod network;
mod nursery;
mod open;
mod prune;
mod pull;
mod push;
mod readiness;
mod reserve;
mod shim_client;
pub mod volume;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

pub use blocking::run as blocking;
pub use build_verbs::scratch_config;
pub use cgroup::IoCount;
pub use clock::Step;
pub use config::{Bridge, Config};
pub use error::{Error, Result};
pub use events::Event;
pub use image::{Change, ChangeKind, ImageRecord, LoadProgress, RemovedItem};
pub use image_verbs::ImportRequest;
pub use info::Info;
pub use input::Input;
pub use logs::{Entry as LogEntry, Stream as LogStreamKind};
pub use net::netd::{NAME as NETD_NAME, run as netd};
pub use nursery::SHIM_NAME;
pub use prune::PruneFilter;
pub use pull::{Distribution, LayerStep, PullRequest, PullStep, Steps};
pub use push::{PushRequest, PushStep, PushSteps, SendStep};
pub use registry::client::{Credentials, SearchResult, Settings as Registries};
pub use shim::protocol::{Attach, Feeling};

use container::cell::Cell;
use container::record::STATES;
use container::state::State;
use types::ContainerId;

/// The engine: a handle that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    config: Config,
    layout: layout::Layout,
    meta: meta::Meta,
    images: image::Store,
    volumes: volume::Volumes,
    registry: registry::client::Client,
    flights: pull::Flights,
    networks: net::Networks,
    topology: cgroup::Topology,
    cgroup_base: String,
    nursery: Arc<nursery::Nursery>,
    cells: RwLock<names::Cells>,
    events: events::Bus,
    pruning: prune::Pruning,
    clock: clock::Clock,
    followers: followers::Followers,
    /// Our program as containers with `--init` see it, once one has asked.
    init: std::sync::Mutex<Option<String>>,
    /// Held for reading by whoever cleans up behind an answer; a clean stop waits for it.
    busy: tokio::sync::RwLock<()>,
    /// Keeps every other daemon off this data root.
    _lock: std::fs::File,
}

impl Engine {
    /// Returns the engine's id: 8 hexadecimal digits, made with its data root.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns what the engine was told at its start.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the steps that a container's verbs took, the oldest first.
    pub fn trace(&self, typed: &str) -> Result<Vec<Step>> {
        Ok(self.0.clock.of(self.find(typed)?.id))
    }

    /// Returns what was, and what will be, without gap or repetition.
    pub fn events(&self) -> (Vec<Event>, tokio::sync::broadcast::Receiver<Event>) {
        self.0.events.subscribe()
    }

    fn layout(&self) -> &layout::Layout {
        &self.0.layout
    }

    fn meta(&self) -> &meta::Meta {
        &self.0.meta
    }

    fn images(&self) -> &image::Store {
        &self.0.images
    }

    fn volumes(&self) -> &volume::Volumes {
        &self.0.volumes
    }

    fn registry(&self) -> &registry::client::Client {
        &self.0.registry
    }

    fn flights(&self) -> &pull::Flights {
        &self.0.flights
    }

    fn networks(&self) -> &net::Networks {
        &self.0.networks
    }

    fn nursery(&self) -> &Arc<nursery::Nursery> {
        &self.0.nursery
    }

    fn followers(&self) -> &followers::Followers {
        &self.0.followers
    }

    fn clock(&self) -> &clock::Clock {
        &self.0.clock
    }

    fn cells<T>(&self, read: impl FnOnce(&names::Cells) -> T) -> T {
        read(&self.0.cells.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn cells_mut<T>(&self, change: impl FnOnce(&mut names::Cells) -> T) -> T {
        change(&mut self.0.cells.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, typed: &str) -> Result<Arc<Cell>> {
        self.cells(|cells| cells.find(typed))
    }

    async fn save_state(&self, id: ContainerId, state: State) -> Result<()> {
        let engine = self.clone();
        blocking::run(move || {
            engine.meta().write(|txn| {
                txn.put(&STATES, &id.to_string(), &state)?;
                Ok(())
            })
        })
        .await
    }

    /// Tells the listeners what happened to a container; image, name and labels go along.
    fn container_event(&self, cell: &Cell, action: &str, more: &[(&str, &str)]) {
        self.container_event_at(cell, action, more, now_ns());
    }

    /// The same of something that happened some time ago.
    fn container_event_at(&self, cell: &Cell, action: &str, more: &[(&str, &str)], time_ns: i64) {
        let record = cell.record();
        let mut attributes = record.config.labels.clone();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        for &(key, value) in more {
            attributes.insert(key.to_owned(), value.to_owned());
        }
        self.publish_at(
            "container",
            action,
            cell.id.to_string(),
            attributes,
            time_ns,
        );
    }

    fn publish(
        &self,
        kind: &'static str,
        action: &str,
        id: String,
        attributes: BTreeMap<String, String>,
    ) {
        self.publish_at(kind, action, id, attributes, now_ns());
    }

    fn publish_at(
        &self,
        kind: &'static str,
        action: &str,
        id: String,
        attributes: BTreeMap<String, String>,
        time_ns: i64,
    ) {
        sys::failpoint::reach("event");
        let action = action.to_owned();
        self.0.events.publish(Event {
            kind: kind.to_owned(),
            action,
            id,
            attributes,
            time_ns,
        });
    }
}

/// Does work that must not end half-way when the client who asked for it goes away.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|e| Err(Error::internal("a verb broke off", e)))
}

fn random_u64() -> Result<u64> {
    let mut bytes = [0; 8];
    sys::random::fill(&mut bytes).map_err(|e| Error::internal("drawing a number", e))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}
