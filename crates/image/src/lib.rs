//! Blobs, layers and snapshots: the image store.
//!
//! Vocabulary: GLOSSARY. A *layer* is kept unpacked per diff id, without its parent; an image is a
//! list of layers; a *snapshot* is the writable directory pair of one container. What takes time
//! (reading, unpacking, syncing) is done without a transaction and ends in a [`Staged`] value; what
//! makes it visible ([`Store::publish`]) only writes rows and is quick. A `Staged` that is dropped
//! leaves nothing.
//!
//! Invariants: what is on disk is immutable and content-named, or garbage; the only mutable state
//! are rows in `meta`, through a transaction that the engine hands over and commits; no container,
//! no HTTP, no global state here. A directory without a row is garbage, swept at start.

#![forbid(unsafe_code)]

mod changes;
pub mod commit;
pub mod derive;
pub mod diff;
pub mod error;
pub mod from_host;
pub mod history;
mod import;
mod ingest;
mod layout;
pub mod load;
pub mod names;
mod pulled;
mod pushed;
pub mod record;
pub mod remove;
mod save;
pub mod snapshot;
mod spool;
mod stage;
pub mod store;

pub use commit::{CommitOptions, export};
pub use diff::{Change, ChangeKind};
pub use error::{Error, Result};
pub use history::HistoryStep;
pub use import::ImportOptions;
pub use ingest::{Follower, Ingest};
pub use load::{LoadProgress, Loaded, LoadedImages};
pub use pulled::{Manifest, Pulled, Wanted};
pub use pushed::ToPush;
pub use record::{ImageId, ImageRecord, LayerBlob};
pub use remove::{Removed, RemovedItem, User};
pub use snapshot::{Snapshot, SnapshotSize};
pub use stage::{Staged, StagedLayer};
pub use store::{Garbage, Store};
