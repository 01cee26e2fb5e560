//! Blobs, layers and snapshots: the image store.
//!
//! Vocabulary: GLOSSARY. A *layer* is kept unpacked per diff id, without its parent; an image is a
//! list of layers; a *snapshot* is the writable directory pair of one container.
//!
//! Invariants: what is on disk is immutable and content-named, or garbage; the only mutable state
//! are rows in `meta`, through a transaction that the engine hands over and commits; no container,
//! no HTTP, no global state here.

#![forbid(unsafe_code)]
