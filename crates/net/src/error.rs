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
    #[error("no available IPv4 addresses on this network's address pools: {network} ({id})")]
    NoAddress {
        /// The network.
        network: String,
        /// Its id.
        id: String,
    },
    /// Somebody has the address that was asked for.
    #[error("Address already in use")]
    AddressTaken,
    /// Two networks would have the same addresses.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    PoolOverlaps,
    /// A network of that name is there.
    #[error("network with name {0} already exists")]
    NameTaken(String),
    /// There is no such network.
    #[error("network {0} not found")]
    NoNetwork(String),
    /// Containers are on the network.
    #[error("error while removing network: network {name} has active endpoints ({endpoints})")]
    InUse {
        /// The network.
        name: String,
        /// Who is there, in Docker's words.
        endpoints: String,
    },
    /// The link on which a network shall be is not there.
    #[error("network {network}: there is no link {parent:?} on this machine (-o parent=LINK)")]
    NoParent {
        /// The network.
        network: String,
        /// The link's name.
        parent: String,
    },
    /// There is no such way to share a link.
    #[error("unknown {driver} mode: {mode}")]
    LanMode {
        /// The network's driver.
        driver: &'static str,
        /// The word.
        mode: String,
    },
    /// Another container has the port.
    #[error("Bind for {address}:{port} failed: port is already allocated")]
    PortTaken {
        /// On this machine; `0.0.0.0`: all.
        address: std::net::IpAddr,
        /// There.
        port: u16,
    },
    /// No port of the range is free.
    #[error("Bind for {address}:{first}-{last} failed: port is already allocated")]
    PortsTaken {
        /// On this machine; `0.0.0.0`: all.
        address: std::net::IpAddr,
        /// The first of them.
        first: u16,
        /// The last of them.
        last: u16,
    },
    /// The machine does not give the port.
    #[error("failed to bind host port for {host}:{target}/{protocol}: {source}")]
    PortRefused {
        /// Address and port of this machine.
        host: std::net::SocketAddr,
        /// Address and port of the container.
        target: std::net::SocketAddrV4,
        /// What speaks there.
        protocol: types::port::Protocol,
        /// Why, in the words of errno.
        source: Reason,
    },
    /// The process that serves names and loopback ports cannot be started, or does not understand.
    #[error("netd: {0}")]
    Netd(String),
    /// There is no such network in this engine's configuration.
    #[error("the default bridge is switched off (--bridge none)")]
    NoBridge,
    /// The records failed.
    #[error(transparent)]
    Record(#[from] meta::Error),
}

/// Why the kernel refused, as Go says it: in small letters.
#[derive(Debug)]
pub struct Reason(pub sys::Errno);

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sys::errno_text(self.0).to_lowercase())
    }
}

impl std::error::Error for Reason {}
