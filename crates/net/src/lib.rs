//! Links, addresses, rules and names of containers.
//!
//! Vocabulary: an *endpoint* is one container's attachment to one network; a *wire* is its veth
//! pair, whose *host end* is a port of the bridge; a *pool* is a subnet that nobody uses yet.
//!
//! Invariants: no `ip`, `nft` or `iptables` program is run; what is decided (`plan`, `rules`,
//! `pool`, `hosts`) is pure, what is done (`apply`, `commit`) is thin; no thread of the caller
//! leaves its network namespace; a link is never removed while somebody waits; links and tables
//! that do not carry this engine's name are never touched.

#![forbid(unsafe_code)]

mod apply;
mod error;
pub mod hosts;
mod ipam;
mod keeper;
mod link;
mod netns;
mod networks;
mod nft;
mod plan;
mod publish;
mod sysctl;
mod wire;
mod wired;

pub use error::{Error, Result};
pub use ipam::Prefix;
pub use ipam::ledger::EndpointRecord;
pub use networks::{Config, Counts, Networks};
pub use publish::Publication;
