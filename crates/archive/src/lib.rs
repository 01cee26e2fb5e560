//! Tar and its company: reading, writing, decompressing and safely extracting archives.
//!
//! Vocabulary: an *entry* is one object of an archive; a *whiteout* is an entry that hides an object
//! of a lower layer; a path that an archive states is hostile until `extract` has cleaned it.
//!
//! Invariants: memory does not grow with contents; nothing outside the directory that was handed in
//! is ever written, read or linked; the same tree packs to the same bytes.

#![forbid(unsafe_code)]

pub mod compress;
pub mod copy;
pub mod entry;
pub mod error;
pub mod extract;
mod header;
pub mod ignore;
pub mod pack;
mod path;
mod pax;
pub mod read;
pub mod recipe;
pub mod tree;
pub mod write;

pub use compress::{Compression, decompress, gzip};
pub use copy::{copy_tree, tree_size};
pub use entry::{Entry, EntryKind, Time};
pub use error::{Error, Result};
pub use extract::{Extracted, extract_layer};
pub use pack::{Source, pack, pack_object};
pub use read::Reader;
pub use recipe::{Recorder, Replay};
pub use tree::{Owners, Rename, unpack};
pub use write::Writer;

/// Marks a directory that hides the one of lower layers (overlayfs.rst); its value is `y`.
pub const OPAQUE: &str = "trusted.overlay.opaque";
