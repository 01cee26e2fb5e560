//! Pure: a network and an endpoint become lists of effects on links, addresses and routes.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Prefix;
use crate::ipam::ledger::EndpointRecord;
use crate::wired::Wiring;

/// The container's end of its first wire.
pub(crate) const INSIDE_LINK: &str = "eth0";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A veth pair whose second end is born in the container's namespace.
    Wire {
        host: String,
        inside: String,
        mtu: u32,
    },
    /// The host end becomes a port of the bridge, with an alias, and goes up.
    Port {
        host: String,
        bridge: u32,
        alias: String,
    },
    /// The host end is known by another alias.
    Alias { host: String, alias: String },
    /// A link in the container's namespace goes up.
    Up { link: String },
    /// A link in the container's namespace gets a hardware address.
    Mac { link: String, mac: [u8; 6] },
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

/// Decides how a namespace is connected: both ends up, so that the bridge's port forwards before
/// somebody needs it, and without an address.
pub(crate) fn wire(host: &str, wiring: &Wiring) -> Plan {
    let (host, inside) = (host.to_owned(), INSIDE_LINK.to_owned());
    let (bridge, alias, mtu) = (wiring.bridge.index, wiring.alias.clone(), wiring.mtu);
    Plan {
        outside: vec![
            Effect::Wire {
                host: host.clone(),
                inside: inside.clone(),
                mtu,
            },
            Effect::Port {
                host,
                bridge,
                alias,
            },
        ],
        inside: vec![Effect::Up { link: inside }],
    }
}

/// Decides how a connected namespace becomes that of `endpoint`.
pub(crate) fn endpoint(endpoint: &EndpointRecord, host: &str, alias: String) -> Plan {
    let link = INSIDE_LINK.to_owned();
    Plan {
        outside: vec![Effect::Alias {
            host: host.to_owned(),
            alias,
        }],
        inside: vec![
            Effect::Mac {
                link: link.clone(),
                mac: endpoint.mac,
            },
            Effect::Address {
                link,
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
            Self::Alias { host, alias } => write!(f, "call {host} {alias}"),
            Self::Up { link } => write!(f, "take {link} up"),
            Self::Mac { link, .. } => write!(f, "give {link} its hardware address"),
            Self::Address { link, address } => write!(f, "give {link} address {address}"),
            Self::DefaultRoute { gateway } => write!(f, "make default route to {gateway}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::bridge::Bridge;

    fn text(effects: &[Effect]) -> Vec<String> {
        effects.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_wire_is_up_at_both_ends() {
        let bridge = Bridge {
            name: "wharf0".into(),
            index: 7,
            gateway: "172.17.0.1/16".parse().unwrap(),
            ours: true,
        };
        let wiring = Wiring {
            bridge,
            mtu: 1500,
            alias: "wharf:prepared".into(),
        };
        let plan = wire("veth0123456", &wiring);
        assert_eq!(
            text(&plan.outside),
            [
                "make wire veth0123456 to eth0",
                "connect veth0123456 to bridge link 7"
            ]
        );
        assert_eq!(text(&plan.inside), ["take eth0 up"]);
    }

    #[test]
    fn an_endpoint_is_addresses_and_a_route() {
        let record = EndpointRecord {
            id: "0123456789abcdef".repeat(4),
            container: "ab".repeat(32).parse().unwrap(),
            network: "bridge".into(),
            address: "172.17.0.2/16".parse().unwrap(),
            gateway: Ipv4Addr::new(172, 17, 0, 1),
            mac: [2, 0x42, 172, 17, 0, 2],
        };
        let plan = endpoint(&record, "veth0123456", "wharf:abab".into());
        assert_eq!(text(&plan.outside), ["call veth0123456 wharf:abab"]);
        assert_eq!(
            text(&plan.inside),
            [
                "give eth0 its hardware address",
                "give eth0 address 172.17.0.2/16",
                "make default route to 172.17.0.1"
            ]
        );
    }
}
