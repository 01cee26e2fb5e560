//! Pure: published ports become elements of the table's two maps.
//!
//! One port is one element, whatever the number of ports: the kernel looks a connection up once
//! (network reference §9.1). A port of one host address is looked up before one of all addresses.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use types::port::Protocol;

use crate::ipam::ledger::EndpointRecord;

/// A port of this machine that leads to a port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Publication {
    /// What speaks there.
    pub protocol: Protocol,
    /// The port of the container.
    pub container_port: u16,
    /// The address on this machine; an unspecified one: all of its family.
    pub host_address: IpAddr,
    /// The port on this machine.
    pub host_port: u16,
}

/// An element: what a connection is sent to, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Element {
    /// Number of the protocol in an IP header.
    pub(crate) protocol: u8,
    pub(crate) host_address: Option<Ipv4Addr>,
    pub(crate) host_port: u16,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
}

/// Returns the elements of an endpoint's ports. What comes by a loopback address or by IPv6 is not
/// redirected: netd passes it on.
pub(crate) fn elements(endpoint: &EndpointRecord, ports: &[Publication]) -> Vec<Element> {
    let element = |port: &Publication| {
        let IpAddr::V4(host) = port.host_address else {
            return None;
        };
        (!host.is_loopback()).then(|| Element {
            protocol: number(port.protocol),
            // All addresses, said as no address.
            host_address: (!host.is_unspecified()).then_some(host),
            host_port: port.host_port,
            address: endpoint.address.address(),
            port: port.container_port,
        })
    };
    ports.iter().filter_map(element).collect()
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_no_address() {
        let endpoint = crate::plan::tests::endpoint();
        let made = |host_address: &str| {
            let port = Publication {
                protocol: Protocol::Udp,
                host_address: host_address.parse().unwrap(),
                host_port: 53,
                container_port: 5353,
            };
            elements(&endpoint, &[port]).first().copied()
        };
        let all = made("0.0.0.0").unwrap();
        assert_eq!((all.protocol, all.host_port, all.port), (17, 53, 5353));
        assert_eq!(all.host_address, None);
        assert_eq!(all.address, Ipv4Addr::new(172, 17, 0, 2));
        let one = made("10.0.0.1").unwrap();
        assert_eq!(one.host_address, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!((made("127.0.0.1"), made("::")), (None, None));
    }
}
