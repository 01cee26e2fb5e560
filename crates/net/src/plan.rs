//! Pure: a network and an endpoint become lists of effects on links, addresses and routes.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Prefix;
use crate::ipam::ledger::EndpointRecord;
use crate::wired::Wiring;

/// The container's end of its first wire.
pub(crate) const FIRST_LINK: &str = "eth0";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A veth pair whose second end is born in the container's namespace.
    Wire {
        host: String,
        inside: String,
        mtu: u32,
    },
    /// A link of the container's own on a link of this machine's, born in the container's namespace.
    Lan {
        link: String,
        parent: u32,
        mode: LanMode,
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

/// How a link shares the one below it, in the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LanMode {
    /// With a hardware address of its own.
    Macvlan(u32),
    /// With the same one.
    Ipvlan(u16),
}

/// What is done, in order: on the host first, then in the container's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) outside: Vec<Effect>,
    pub(crate) inside: Vec<Effect>,
}

/// Decides how a namespace is connected: both ends up, so that the bridge's port forwards before
/// somebody needs it, and without an address.
pub(crate) fn wire(host: &str, inside: &str, wiring: &Wiring) -> Plan {
    let (host, inside) = (host.to_owned(), inside.to_owned());
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

/// Decides how a namespace gets a link on one of this machine's links. `mode` says whether it has a
/// hardware address of its own.
pub(crate) fn lan(
    endpoint: &EndpointRecord,
    parent: u32,
    mode: LanMode,
    gateway: Option<Ipv4Addr>,
) -> Plan {
    let link = endpoint.link.clone();
    let mut inside = Vec::new();
    if matches!(mode, LanMode::Macvlan(_)) {
        inside.push(Effect::Mac {
            link: link.clone(),
            mac: endpoint.mac,
        });
    }
    inside.push(Effect::Up { link: link.clone() });
    inside.push(Effect::Address {
        link: link.clone(),
        address: endpoint.address,
    });
    inside.extend(gateway.map(|gateway| Effect::DefaultRoute { gateway }));
    Plan {
        outside: vec![Effect::Lan { link, parent, mode }],
        inside,
    }
}

/// Decides how a connected namespace becomes that of `endpoint`.
pub(crate) fn endpoint(
    endpoint: &EndpointRecord,
    host: &str,
    alias: String,
    gateway: Option<Ipv4Addr>,
) -> Plan {
    let link = endpoint.link.clone();
    let mut inside = vec![
        Effect::Mac {
            link: link.clone(),
            mac: endpoint.mac,
        },
        Effect::Address {
            link,
            address: endpoint.address,
        },
    ];
    inside.extend(gateway.map(|gateway| Effect::DefaultRoute { gateway }));
    Plan {
        outside: vec![Effect::Alias {
            host: host.to_owned(),
            alias,
        }],
        inside,
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire { host, inside, .. } => write!(f, "make wire {host} to {inside}"),
            Self::Lan { link, parent, .. } => write!(f, "make {link} on link {parent}"),
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
pub(crate) mod tests {
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
            together: true,
        };
        let plan = wire("veth0123456", "eth0", &wiring);
        assert_eq!(
            text(&plan.outside),
            [
                "make wire veth0123456 to eth0",
                "connect veth0123456 to bridge link 7"
            ]
        );
        assert_eq!(text(&plan.inside), ["take eth0 up"]);
    }

    pub(crate) fn endpoint() -> EndpointRecord {
        EndpointRecord {
            id: "0123456789abcdef".repeat(4),
            container: "ab".repeat(32).parse().unwrap(),
            network: "n".into(),
            network_name: "bridge".into(),
            address: "172.17.0.2/16".parse().unwrap(),
            gateway: Some(Ipv4Addr::new(172, 17, 0, 1)),
            mac: [2, 0x42, 172, 17, 0, 2],
            link: "eth0".into(),
            priority: 0,
            names: Vec::new(),
            settings: Vec::new(),
        }
    }

    #[test]
    fn a_link_of_ones_own_on_a_lan() {
        let record = endpoint();
        let macvlan = lan(&record, 3, LanMode::Macvlan(4), None);
        assert_eq!(text(&macvlan.outside), ["make eth0 on link 3"]);
        let inside = ["take eth0 up", "give eth0 address 172.17.0.2/16"];
        assert_eq!(
            text(&macvlan.inside),
            [&["give eth0 its hardware address"][..], &inside].concat()
        );
        let ipvlan = lan(&record, 3, LanMode::Ipvlan(0), None);
        assert_eq!(text(&ipvlan.inside), inside);
    }

    #[test]
    fn an_endpoint_is_addresses_and_a_route() {
        let record = endpoint();
        let made = |gateway| super::endpoint(&record, "veth0123456", "wharf:abab".into(), gateway);
        let plan = made(record.gateway);
        assert_eq!(text(&plan.outside), ["call veth0123456 wharf:abab"]);
        assert_eq!(
            text(&plan.inside),
            [
                "give eth0 its hardware address",
                "give eth0 address 172.17.0.2/16",
                "make default route to 172.17.0.1"
            ]
        );
        assert_eq!(text(&made(None).inside), text(&plan.inside)[..2]);
    }

    #[test]
    fn the_gateway_is_of_the_highest_then_of_the_first_name() {
        let one = |name: &str, priority, gateway: bool| EndpointRecord {
            network_name: name.into(),
            priority,
            gateway: gateway.then_some(Ipv4Addr::new(10, 0, 0, 1)),
            ..endpoint()
        };
        let of = |all: &[EndpointRecord]| {
            crate::ipam::ledger::gateway_of(all).map(|found| found.network_name.clone())
        };
        let (a, b) = (one("a", 0, true), one("b", 0, true));
        assert_eq!(of(&[b.clone(), a.clone()]).as_deref(), Some("a"));
        assert_eq!(of(&[a, one("z", 5, true)]).as_deref(), Some("z"));
        assert_eq!(of(&[one("i", 9, false), b]).as_deref(), Some("b"));
        assert_eq!(of(&[one("i", 9, false)]), None);
    }
}
