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
mod creation;
mod dns;
mod endpoints;
mod error;
mod firewall;
pub mod hosts;
mod ipam;
mod keeper;
mod link;
pub mod netd;
mod netns;
mod networks;
mod nft;
mod plan;
mod ports;
mod publish;
mod record;
mod repair;
mod sysctl;
mod wire;
mod wired;

pub use creation::{lacks_predefined, record_predefined, recorded};
pub use error::{Error, Result};
pub use ipam::Prefix;
pub use ipam::ledger::{EndpointRecord, EndpointRequest, gateway_of};
pub use networks::{Config, Counts, Networks, Running};
pub use ports::{Held, PortRequest};
pub use publish::Publication;
pub use record::{Driver, NetworkRecord, NetworkRequest, Subnet};
