//! Pure: published ports become elements of the table's two maps.
//!
//! One port is one element, whatever the number of ports: the kernel looks a connection up once
//! (network reference §9.1). A port of one host address is looked up before one of all addresses.

use std::net::Ipv4Addr;

use types::port::Protocol;

use crate::ipam::ledger::EndpointRecord;

/// A port of this machine that leads to a port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publication {
    /// What speaks there.
    pub protocol: Protocol,
    /// The address on this machine; nothing: all.
    pub host_address: Option<Ipv4Addr>,
    /// The port on this machine.
    pub host_port: u16,
    /// The port of the container.
    pub container_port: u16,
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

/// Returns the elements of an endpoint's ports.
pub(crate) fn elements(endpoint: &EndpointRecord, ports: &[Publication]) -> Vec<Element> {
    let element = |port: &Publication| Element {
        protocol: number(port.protocol),
        // All addresses, said as an address.
        host_address: port
            .host_address
            .filter(|address| !address.is_unspecified()),
        host_port: port.host_port,
        address: endpoint.address.address(),
        port: port.container_port,
    };
    ports.iter().map(element).collect()
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
        let endpoint = EndpointRecord {
            id: "00".repeat(32),
            container: "ab".repeat(32).parse().unwrap(),
            network: "bridge".into(),
            address: "172.17.0.2/16".parse().unwrap(),
            gateway: Ipv4Addr::new(172, 17, 0, 1),
            mac: [2, 0x42, 172, 17, 0, 2],
        };
        let port = |host_address| Publication {
            protocol: Protocol::Udp,
            host_address,
            host_port: 53,
            container_port: 5353,
        };
        let made = |host_address| elements(&endpoint, &[port(host_address)])[0];
        let all = made(None);
        assert_eq!(all, made(Some(Ipv4Addr::UNSPECIFIED)));
        assert_eq!((all.protocol, all.host_port, all.port), (17, 53, 5353));
        assert_eq!(all.address, Ipv4Addr::new(172, 17, 0, 2));
        let one = made(Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(one.host_address, Some(Ipv4Addr::new(10, 0, 0, 1)));
    }
}
