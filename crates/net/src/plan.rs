//! Pure: an endpoint and its bridge become a list of effects on links, addresses and routes.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Prefix;
use crate::ipam::ledger::EndpointRecord;
use crate::link::bridge::Bridge;

/// The container's end of its first wire.
pub(crate) const INSIDE_LINK: &str = "eth0";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A veth pair whose second end is born in the container's namespace.
    Wire {
        host: String,
        inside: String,
        mac: [u8; 6],
        mtu: u32,
    },
    /// The host end becomes a port of the bridge, with an alias, and goes up.
    Port {
        host: String,
        bridge: u32,
        alias: String,
    },
    /// A link in the container's namespace goes up.
    Up { link: String },
    /// A link in the container's namespace gets an address.
    Address { link: String, address: Prefix },
    /// What is not in the network goes there.
    DefaultRoute { gateway: Ipv4Addr },
}

/// What is done, in order: on the host first, then in the container's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) outside: Vec<Effect>,
    pub(crate) inside: Vec<Effect>,
}

/// Decides how `endpoint` is connected to `bridge`.
pub(crate) fn endpoint(
    endpoint: &EndpointRecord,
    bridge: &Bridge,
    alias: String,
    mtu: u32,
) -> Plan {
    let (host, inside) = (endpoint.host_link(), INSIDE_LINK.to_owned());
    Plan {
        outside: vec![
            Effect::Wire {
                host: host.clone(),
                inside: inside.clone(),
                mac: endpoint.mac,
                mtu,
            },
            Effect::Port {
                host,
                bridge: bridge.index,
                alias,
            },
        ],
        inside: vec![
            Effect::Up {
                link: inside.clone(),
            },
            Effect::Address {
                link: inside,
                address: endpoint.address,
            },
            Effect::DefaultRoute {
                gateway: endpoint.gateway,
            },
        ],
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire { host, inside, .. } => write!(f, "make wire {host} to {inside}"),
            Self::Port { host, bridge, .. } => write!(f, "connect {host} to bridge link {bridge}"),
            Self::Up { link } => write!(f, "take {link} up"),
            Self::Address { link, address } => write!(f, "give {link} address {address}"),
            Self::DefaultRoute { gateway } => write!(f, "make default route to {gateway}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_five_effects() {
        let record = EndpointRecord {
            id: "0123456789abcdef".repeat(4),
            container: "ab".repeat(32).parse().unwrap(),
            network: "bridge".into(),
            address: "172.17.0.2/16".parse().unwrap(),
            gateway: Ipv4Addr::new(172, 17, 0, 1),
            mac: [2, 0x42, 172, 17, 0, 2],
        };
        let bridge = Bridge {
            name: "wharf0".into(),
            index: 7,
            gateway: "172.17.0.1/16".parse().unwrap(),
            ours: true,
        };
        let plan = endpoint(&record, &bridge, "wharf:abab".into(), 1500);
        let text = |effects: &[Effect]| effects.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            text(&plan.outside),
            [
                "make wire veth0123456 to eth0",
                "connect veth0123456 to bridge link 7"
            ]
        );
        assert_eq!(
            text(&plan.inside),
            [
                "take eth0 up",
                "give eth0 address 172.17.0.2/16",
                "make default route to 172.17.0.1"
            ]
        );
    }
}
