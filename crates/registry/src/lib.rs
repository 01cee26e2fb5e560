//! Distribution, both ends: the client that pulls and pushes, and the server of repositories.
//!
//! Vocabulary: a *registry* is a server of repositories; a *blob* is bytes by digest; a *manifest*
//! names blobs; an *upload* is the server's session in which a blob arrives.
//!
//! Invariants: [`protocol`] holds what both ends must agree on and touches no socket and no clock; no
//! engine, no record file here; a credential is bound to the registry it was given for.

#![forbid(unsafe_code)]

pub mod client;
pub mod protocol;
pub mod server;
