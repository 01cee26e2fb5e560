//! Pure: what a daemon tells netd: packets of JSON, one answer each.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};
use types::id::ContainerId;
use types::port::Protocol;

/// Bytes of the longest packet.
pub(super) const PACKET_MAX: usize = 128 << 10;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Whom do you serve?
    Hello,
    /// What arrives at the socket goes to `target`. Descriptor: the socket.
    Listen {
        container: ContainerId,
        protocol: Protocol,
        target: SocketAddrV4,
    },
    /// Answer the container's questions for names. Descriptor: its network namespace.
    Resolve {
        container: ContainerId,
        sandbox: Sandbox,
    },
    /// Somebody is called so on a network.
    Name {
        network: String,
        endpoint: String,
        entry: Entry,
    },
    /// Not any more.
    Unname { network: String, endpoint: String },
    /// A container has ended.
    Leave { container: ContainerId },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Hello { containers: Vec<ContainerId> },
    Failed(String),
}

/// What a container may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its networks.
    pub scopes: Vec<Scope>,
    /// Who is asked for what nobody here knows, in order.
    pub upstreams: Vec<Upstream>,
    /// Whether names without a dot are asked for elsewhere.
    pub forward_short: bool,
}

/// A network of a container's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its id.
    pub network: String,
    /// Its name.
    pub name: String,
    /// What this container calls others (`--link`): its word, then their name.
    pub links: Vec<(String, String)>,
}

/// Another resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Where it is, at port 53.
    pub address: IpAddr,
    /// Whether it is asked from the container's namespace, not from the machine's.
    pub inside: bool,
}

/// What is known of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) address: Ipv4Addr,
    /// The first is what it is called when its address is asked for.
    pub(crate) names: Vec<String>,
    /// The network's name.
    pub(crate) network: String,
}
