//! The documents of the Docker Engine API: what travels between a client and the daemon, and
//! nothing else.
//!
//! Invariants: keys are written in dockerd's order and read in any case; a list that dockerd
//! writes as `null` is an `Option`, one that it writes as `[]` is not; what `omitempty` hides is
//! marked `omit`. Domain types are not these types: the daemon's routes convert.

#![forbid(unsafe_code)]

pub mod auth;
pub mod container;
pub mod error;
pub mod event;
pub mod exec;
pub mod filters;
pub mod frame;
pub mod host_config;
pub mod image;
pub mod json;
pub mod network;
pub mod progress;
pub mod stats;
pub mod system;
pub mod version;
pub mod volume;

pub use filters::Filters;
pub use json::{Document, Keys, Words};
pub use version::ApiVersion;
