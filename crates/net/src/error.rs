//! What the network room returns when it fails.

use std::io;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A network failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The conversation with the kernel broke down.
    #[error("netlink: {0}")]
    Socket(#[source] sys::Error),
    /// The kernel refused a request.
    #[error("{what}: {source}{explanation}")]
    Refused {
        /// What was to be done, and on which object.
        what: String,
        /// The kernel's own words in brackets, with a space in front, or nothing.
        explanation: String,
        /// Its errno.
        source: io::Error,
    },
    /// Objects change faster than they can be listed.
    #[error("kernel objects change while they are listed")]
    Unsteady,
    /// A network namespace cannot be made or entered.
    #[error("network namespace: {0}")]
    Namespace(#[source] sys::Error),
    /// A thread of this room cannot be made, or it died.
    #[error("network thread: {0}")]
    Thread(#[source] io::Error),
    /// A kernel setting cannot be read or written.
    #[error("kernel setting {path}: {source}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name belongs to a link of another kind.
    #[error("link {name} is a {kind:?}, not a bridge")]
    NotABridge {
        /// The link.
        name: String,
        /// What it is.
        kind: String,
    },
    /// A name of a link that no link can have.
    #[error("invalid bridge name {0:?}: must be 1 to 15 characters without '/', ':' and spaces")]
    InvalidBridgeName(String),
    /// A bridge that we did not make has another address.
    #[error("bridge {name} has address {present}, not {wanted}: another program made it")]
    BridgeAddress {
        /// The bridge.
        name: String,
        /// What it has.
        present: crate::Prefix,
        /// What the configuration says.
        wanted: crate::Prefix,
    },
    /// The text is no network address.
    #[error("invalid address {text:?}: must be ADDRESS/LENGTH with LENGTH from {min} to {max}")]
    InvalidPrefix {
        /// The text.
        text: String,
        /// Shortest length.
        min: u8,
        /// Longest length.
        max: u8,
    },
    /// Every default pool overlaps a route of this machine.
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoPool,
    /// Every address of a network is taken.
    #[error("no available IPv4 addresses on network {network} ({subnet})")]
    NoAddress {
        /// The network.
        network: String,
        /// Its subnet.
        subnet: crate::Prefix,
    },
    /// Another container has the port.
    #[error("Bind for {address}:{port} failed: port is already allocated")]
    PortTaken {
        /// On this machine; `0.0.0.0`: all.
        address: std::net::Ipv4Addr,
        /// There.
        port: u16,
    },
    /// There is no such network in this engine's configuration.
    #[error("the default bridge is switched off (--bridge none)")]
    NoBridge,
    /// The records failed.
    #[error(transparent)]
    Record(#[from] meta::Error),
}
