//! What is known of a network: its record, and the table of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use meta::Table;
use serde::{Deserialize, Serialize};

use crate::Prefix;

/// Networks by id.
pub(crate) const NETWORKS: Table<NetworkRecord> = Table::new("network");

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// What connects its containers.
    pub driver: Driver,
    /// Its IPv4 addresses; a network without any has no addresses at all.
    pub subnet: Option<Subnet>,
    /// Nothing leads out of it.
    pub internal: bool,
    /// Kept for those who ask.
    pub attachable: bool,
    /// The user's, of the driver.
    pub options: BTreeMap<String, String>,
    /// The user's, of the address management.
    pub ipam_options: BTreeMap<String, String>,
    /// The user's.
    pub labels: BTreeMap<String, String>,
}

/// What connects the containers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// A switch of this machine's.
    Bridge,
    /// The machine's own network.
    Host,
    /// Nothing.
    Null,
    /// A hardware address of their own on a link of this machine's.
    Macvlan,
    /// An address of their own on a link of this machine's.
    Ipvlan,
}

/// The addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of them.
    pub subnet: Prefix,
    /// Those that are given out.
    pub range: Option<Prefix>,
    /// The way out, which is the bridge's own.
    pub gateway: Ipv4Addr,
    /// Whether Docker tells the gateway: not when the user chose the subnet and left it open.
    pub gateway_told: bool,
    /// Whether the user chose the subnet: only then may containers choose addresses.
    pub chosen: bool,
    /// Addresses that belong to somebody else.
    pub auxiliary: BTreeMap<String, Ipv4Addr>,
}

/// What is wished of a network.
#[derive(Clone, Debug)]
pub struct NetworkRequest {
    /// What people shall call it.
    pub name: String,
    /// What connects its containers.
    pub driver: Driver,
    /// When it is made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// The network's addresses; none: the first that nobody uses.
    pub subnet: Option<Prefix>,
    /// Those that are given out.
    pub range: Option<Prefix>,
    /// The way out; none: the first address.
    pub gateway: Option<Ipv4Addr>,
    /// Addresses that belong to somebody else.
    pub auxiliary: BTreeMap<String, Ipv4Addr>,
    /// Nothing leads out of it.
    pub internal: bool,
    /// Kept for those who ask.
    pub attachable: bool,
    /// The driver's.
    pub options: BTreeMap<String, String>,
    /// The address management's.
    pub ipam_options: BTreeMap<String, String>,
    /// The user's.
    pub labels: BTreeMap<String, String>,
}

impl Driver {
    /// Returns Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }

    /// Returns the driver of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Bridge,
            Self::Host,
            Self::Null,
            Self::Macvlan,
            Self::Ipvlan,
        ]
        .into_iter()
        .find(|driver| driver.name() == name)
    }
}

impl NetworkRecord {
    /// Tells whether it is one of those that are always there.
    pub fn is_predefined(&self) -> bool {
        matches!(self.name.as_str(), "bridge" | "host" | "none")
    }

    /// Tells whether its containers find each other by name.
    pub fn has_names(&self) -> bool {
        !self.is_predefined()
    }

    /// Returns the name of its bridge.
    pub fn bridge(&self) -> String {
        match self.options.get("com.docker.network.bridge.name") {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("br-{}", self.id.get(..12).unwrap_or(&self.id)),
        }
    }

    /// Returns the first twelve digits of its id.
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Reads one of its options that is on or off.
    pub(crate) fn switch(&self, option: &str, default: bool) -> bool {
        match self.options.get(option).map(String::as_str) {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            _ => default,
        }
    }

    /// Returns the bytes of its largest packet, if the user said so.
    pub(crate) fn mtu(&self) -> Option<u32> {
        self.options
            .get("com.docker.network.driver.mtu")
            .and_then(|text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_have_docker_s_names() {
        for name in ["bridge", "host", "null", "macvlan", "ipvlan"] {
            assert_eq!(Driver::parse(name).map(Driver::name), Some(name));
        }
        assert_eq!(Driver::parse("overlay"), None);
    }
}
