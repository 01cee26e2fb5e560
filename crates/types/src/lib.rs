//! The words of the house: pure values that parse, print and compare.
//!
//! Invariants: no I/O, no async, no clock; every `parse` has an inverse `Display`; a value that
//! exists is valid.

#![forbid(unsafe_code)]

pub mod digest;
pub mod error_kind;
pub mod id;
pub mod mount;
pub mod oci;
pub mod reference;

pub use digest::Digest;
pub use error_kind::ErrorKind;
pub use id::{ContainerId, ExecId};
pub use mount::Mount;
pub use reference::Reference;
