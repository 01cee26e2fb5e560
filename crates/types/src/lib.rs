//! The words of the house: pure values that parse, print and compare.
//!
//! Invariants: no I/O, no async, no clock; every `parse` has an inverse `Display`; a value that
//! exists is valid.

#![forbid(unsafe_code)]

pub mod digest;
pub mod env;
pub mod error_kind;
pub mod id;
pub mod label;
pub mod mount;
pub mod mount_spec;
pub mod name;
pub mod oci;
pub mod platform;
pub mod port;
pub mod reference;
pub mod restart_policy;
pub mod seccomp_profile;
pub mod signal;
pub mod units;
pub mod user;

pub use digest::Digest;
pub use error_kind::ErrorKind;
pub use id::{ContainerId, ExecId};
pub use mount::Mount;
pub use mount_spec::{MountKind, MountSpec};
pub use platform::Platform;
pub use reference::Reference;
