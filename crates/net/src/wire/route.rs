//! Pure: the requests of rtnetlink that we need, and its answers.

use std::net::Ipv4Addr;

use super::message::{
    ACK, Attributes, Batch, CREATE, DUMP, EXCLUSIVE, REPLACE, array, attribute, attributes, text,
};
use crate::ipam::Prefix;
use crate::plan::LanMode;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// Attributes of a link.
mod link {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const PARENT: u16 = 5;
    pub(super) const MTU: u16 = 4;
    pub(super) const MASTER: u16 = 10;
    pub(super) const INFO: u16 = 18;
    pub(super) const ALIAS: u16 = 20;
    pub(super) const AF_SPEC: u16 = 26;
    pub(super) const NETNS_FD: u16 = 28;
    pub(super) const TX_QUEUES: u16 = 31;
    pub(super) const RX_QUEUES: u16 = 32;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const INFO_PORT_KIND: u16 = 4;
    pub(super) const INFO_PORT_DATA: u16 = 5;
    pub(super) const PORT_HAIRPIN: u16 = 4;
    pub(super) const PORT_ISOLATED: u16 = 33;
    pub(super) const VETH_PEER: u16 = 1;
    pub(super) const MACVLAN_MODE: u16 = 1;
    pub(super) const IPVLAN_MODE: u16 = 1;
    pub(super) const BRIDGE_STP: u16 = 5;
    pub(super) const INET6: u16 = 10;
    pub(super) const INET6_ADDRESS_MODE: u16 = 8;
    /// No link-local address of its own.
    pub(super) const ADDRESS_MODE_NONE: u8 = 1;
}

/// The link is up.
const UP: u32 = 1;
const FAMILY_IPV4: u8 = 2;
/// The link has no lower link in another namespace; `ifinfomsg` without any wish.
const ANY_LINK: [u8; 16] = [0; 16];

/// A link as the kernel lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) alias: String,
    pub(crate) master: u32,
    pub(crate) up: bool,
}

/// What a veth pair is made from.
#[derive(Debug)]
pub(crate) struct VethRequest<'a> {
    /// Name of the end that stays.
    pub(crate) host: &'a str,
    /// Name of the other end.
    pub(crate) peer: &'a str,
    /// Both ends.
    pub(crate) mtu: u32,
    /// Descriptor of the namespace in which the other end is born.
    pub(crate) netns: i32,
}

/// `ifinfomsg` of a link by index (0: by name), with flags to set.
fn link_header(index: u32, flags: u32, mask: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&mask.to_ne_bytes());
    header
}

/// Asks for the link of that name.
pub(crate) fn get_link(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.request(GET_LINK, ACK, &ANY_LINK, |a| a.text(link::NAME, name));
    batch
}

/// Makes a bridge, without spanning tree, with a hardware address that its ports cannot change.
pub(crate) fn new_bridge(batch: &mut Batch, name: &str, mac: [u8; 6], mtu: u32) {
    batch.request(NEW_LINK, ACK | CREATE | EXCLUSIVE, &ANY_LINK, |a| {
        a.text(link::NAME, name);
        a.bytes(link::ADDRESS, &mac);
        a.u32(link::MTU, mtu);
        a.nest(link::INFO, |info| {
            info.text(link::INFO_KIND, "bridge");
            info.nest(link::INFO_DATA, |data| data.u32(link::BRIDGE_STP, 0));
        });
    });
}

/// Makes both ends of a veth pair, the peer in its namespace. One queue each: a veth end has no
/// queue discipline, and the default is one per processor. The peer cannot be up in this message.
pub(crate) fn new_veth(batch: &mut Batch, request: &VethRequest<'_>) {
    let end = |a: &mut Attributes<'_>, name: &str| {
        a.text(link::NAME, name);
        a.u32(link::MTU, request.mtu);
        a.u32(link::TX_QUEUES, 1);
        a.u32(link::RX_QUEUES, 1);
    };
    batch.request(NEW_LINK, ACK | CREATE | EXCLUSIVE, &ANY_LINK, |a| {
        end(a, request.host);
        a.nest(link::INFO, |info| {
            info.text(link::INFO_KIND, "veth");
            info.nest(link::INFO_DATA, |data| {
                data.nest_with(link::VETH_PEER, &ANY_LINK, |peer| {
                    end(peer, request.peer);
                    peer.bytes(link::NETNS_FD, &request.netns.to_ne_bytes());
                });
            });
        });
    });
}

/// What a link on another one is made from.
#[derive(Debug)]
pub(crate) struct LanRequest<'a> {
    /// Its name.
    pub(crate) link: &'a str,
    /// Number of the link of this machine's.
    pub(crate) parent: u32,
    /// How they share it.
    pub(crate) mode: LanMode,
    /// Descriptor of the namespace in which it is born.
    pub(crate) netns: i32,
}

/// Makes a link on one of this machine's links, in its namespace.
pub(crate) fn new_lan(batch: &mut Batch, request: &LanRequest<'_>) {
    batch.request(NEW_LINK, ACK | CREATE | EXCLUSIVE, &ANY_LINK, |a| {
        a.text(link::NAME, request.link);
        a.u32(link::PARENT, request.parent);
        a.bytes(link::NETNS_FD, &request.netns.to_ne_bytes());
        a.nest(link::INFO, |info| match request.mode {
            LanMode::Macvlan(mode) => {
                info.text(link::INFO_KIND, "macvlan");
                info.nest(link::INFO_DATA, |data| data.u32(link::MACVLAN_MODE, mode));
            }
            LanMode::Ipvlan(mode) => {
                info.text(link::INFO_KIND, "ipvlan");
                info.nest(link::INFO_DATA, |data| {
                    data.bytes(link::IPVLAN_MODE, &mode.to_ne_bytes());
                });
            }
        });
    });
}

/// Makes the link a port of a bridge and takes it up, without an IPv6 address of its own.
pub(crate) fn enslave(batch: &mut Batch, name: &str, master: u32, alias: &str) {
    batch.request(SET_LINK, ACK, &link_header(0, UP, UP), |a| {
        a.text(link::NAME, name);
        a.text(link::ALIAS, alias);
        a.u32(link::MASTER, master);
        a.nest(link::AF_SPEC, |families| {
            families.nest(link::INET6, |inet6| {
                inet6.u8(link::INET6_ADDRESS_MODE, link::ADDRESS_MODE_NONE);
            });
        });
    });
}

/// Keeps a port of a bridge from the other ports that are kept so.
pub(crate) fn isolate(batch: &mut Batch, name: &str) {
    set_port(batch, name, link::PORT_ISOLATED);
}

/// Lets a port of a bridge have back what came in by it: a container that speaks to its own
/// published port.
pub(crate) fn hairpin(batch: &mut Batch, name: &str) {
    set_port(batch, name, link::PORT_HAIRPIN);
}

fn set_port(batch: &mut Batch, name: &str, option: u16) {
    // The kernel looks at a port's data in this kind of request only; without CREATE it makes nothing.
    batch.request(NEW_LINK, ACK, &ANY_LINK, |a| {
        a.text(link::NAME, name);
        a.nest(link::INFO, |info| {
            info.text(link::INFO_PORT_KIND, "bridge");
            info.nest(link::INFO_PORT_DATA, |data| data.u8(option, 1));
        });
    });
}

/// Sets the alias, by which an engine knows its own links again.
pub(crate) fn set_alias(batch: &mut Batch, name: &str, alias: &str) {
    batch.request(SET_LINK, ACK, &ANY_LINK, |a| {
        a.text(link::NAME, name);
        a.text(link::ALIAS, alias);
    });
}

/// Changes the hardware address, which a veth end takes while it is up.
pub(crate) fn set_mac(batch: &mut Batch, name: &str, mac: [u8; 6]) {
    batch.request(SET_LINK, ACK, &ANY_LINK, |a| {
        a.text(link::NAME, name);
        a.bytes(link::ADDRESS, &mac);
    });
}

/// Takes the link up or down.
pub(crate) fn set_up(batch: &mut Batch, name: &str, up: bool) {
    let flags = if up { UP } else { 0 };
    batch.request(SET_LINK, ACK, &link_header(0, flags, UP), |a| {
        a.text(link::NAME, name);
    });
}

/// Removes the link.
pub(crate) fn delete_link(batch: &mut Batch, name: &str) {
    batch.request(DELETE_LINK, ACK, &ANY_LINK, |a| a.text(link::NAME, name));
}

/// Gives the link an address.
pub(crate) fn new_address(batch: &mut Batch, index: u32, address: Prefix) {
    change_address(batch, NEW_ADDRESS, ACK | CREATE | EXCLUSIVE, index, address);
}

/// Takes an address from the link.
pub(crate) fn delete_address(batch: &mut Batch, index: u32, address: Prefix) {
    change_address(batch, DELETE_ADDRESS, ACK, index, address);
}

fn change_address(batch: &mut Batch, kind: u16, flags: u16, index: u32, address: Prefix) {
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [FAMILY_IPV4, address.length(), 0, 0, a, b, c, d];
    batch.request(kind, flags, &header, |attributes| {
        attributes.bytes(1, &address.address().octets());
        attributes.bytes(2, &address.address().octets());
        attributes.bytes(4, &address.broadcast().octets());
    });
}

/// Makes the default route, in the place of another if there is one.
pub(crate) fn new_default_route(batch: &mut Batch, gateway: Ipv4Addr) {
    batch.request(NEW_ROUTE, ACK | CREATE | REPLACE, &DEFAULT_ROUTE, |a| {
        a.bytes(5, &gateway.octets());
    });
}

/// `rtmsg`: IPv4, no destination, table main, made at boot, everywhere, to one.
const DEFAULT_ROUTE: [u8; 12] = [FAMILY_IPV4, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];

/// Asks for all links.
pub(crate) fn list_links() -> Batch {
    list(GET_LINK, &ANY_LINK)
}

/// Asks for all IPv4 addresses.
pub(crate) fn list_addresses() -> Batch {
    list(GET_ADDRESS, &[FAMILY_IPV4, 0, 0, 0, 0, 0, 0, 0])
}

/// Asks for all IPv4 routes.
pub(crate) fn list_routes() -> Batch {
    list(GET_ROUTE, &[FAMILY_IPV4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn list(kind: u16, header: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.request(kind, DUMP, header, |_| {});
    batch
}

/// Reads a link.
pub(crate) fn parse_link(payload: &[u8]) -> Option<Link> {
    let mut found = Link {
        index: u32::from_ne_bytes(array(payload, 4)?),
        up: u32::from_ne_bytes(array(payload, 8)?) & UP != 0,
        ..Link::default()
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            link::NAME => found.name = text(value),
            link::ALIAS => found.alias = text(value),
            link::MASTER => found.master = u32::from_ne_bytes(array(value, 0)?),
            link::INFO => {
                found.kind = attribute(value, link::INFO_KIND)
                    .map(text)
                    .unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(found)
}

/// Reads an IPv4 address: the index of its link and the address.
pub(crate) fn parse_address(payload: &[u8]) -> Option<(u32, Prefix)> {
    let [family, length] = array(payload, 0)?;
    let index = u32::from_ne_bytes(array(payload, 4)?);
    let attributes = payload.get(8..)?;
    // IFA_LOCAL is ours, IFA_ADDRESS the other end's on a point-to-point link.
    let address = attribute(attributes, 2).or_else(|| attribute(attributes, 1))?;
    let address = Ipv4Addr::from(array::<4>(address, 0)?);
    (family == FAMILY_IPV4).then(|| Prefix::new(address, length).map(|prefix| (index, prefix)))?
}

/// Reads where an IPv4 route leads; nothing for a default route.
pub(crate) fn parse_route(payload: &[u8]) -> Option<Prefix> {
    let [family, length] = array(payload, 0)?;
    let address = attribute(payload.get(12..)?, 1)?;
    let address = Ipv4Addr::from(array::<4>(address, 0)?);
    (family == FAMILY_IPV4 && length > 0).then(|| Prefix::new(address, length))?
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    #[test]
    fn a_veth_pair_is_one_message_with_a_peer_in_its_namespace() {
        let mut batch = Batch::new();
        let request = VethRequest {
            host: "veth0123456",
            peer: "eth0",
            mtu: 1500,
            netns: 77,
        };
        new_veth(&mut batch, &request);
        let message = messages(batch.bytes()).next().unwrap();
        assert_eq!((message.kind, message.flags), (NEW_LINK, 0x605));
        let link = parse_link(message.payload).unwrap();
        assert_eq!(
            (link.name.as_str(), link.kind.as_str()),
            ("veth0123456", "veth")
        );
        let info = attribute(&message.payload[16..], link::INFO).unwrap();
        let data = attribute(info, link::INFO_DATA).unwrap();
        let peer = attribute(data, link::VETH_PEER).unwrap();
        // The peer has its own ifinfomsg in front, not up.
        assert_eq!(&peer[..16], &ANY_LINK);
        assert_eq!(
            attribute(&peer[16..], link::NAME).map(text).as_deref(),
            Some("eth0")
        );
        assert_eq!(
            attribute(&peer[16..], link::NETNS_FD),
            Some(&77_i32.to_ne_bytes()[..])
        );
        for queues in [link::TX_QUEUES, link::RX_QUEUES] {
            assert_eq!(
                attribute(&peer[16..], queues),
                Some(&1_u32.to_ne_bytes()[..])
            );
            assert_eq!(
                attribute(&message.payload[16..], queues),
                Some(&1_u32.to_ne_bytes()[..])
            );
        }
    }

    #[test]
    fn addresses_and_routes_are_read_as_written() {
        let prefix: Prefix = "172.17.0.2/16".parse().unwrap();
        let mut batch = Batch::new();
        new_address(&mut batch, 4, prefix);
        delete_address(&mut batch, 4, prefix);
        new_default_route(&mut batch, Ipv4Addr::new(172, 17, 0, 1));
        let parsed: Vec<_> = messages(batch.bytes()).collect();
        assert_eq!(parse_address(parsed[0].payload), Some((4, prefix)));
        assert_eq!(parsed[1].kind, DELETE_ADDRESS);
        assert_eq!(
            attribute(&parsed[0].payload[8..], 4),
            Some(&[172, 17, 255, 255][..]),
            "broadcast"
        );
        assert_eq!(
            parse_route(parsed[2].payload),
            None,
            "a default route uses no pool"
        );
        assert_eq!(
            attribute(&parsed[2].payload[12..], 5),
            Some(&[172, 17, 0, 1][..])
        );
    }
}
