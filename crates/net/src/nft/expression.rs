//! Pure: what a rule looks at and what it does, as expressions of nf_tables. All numbers in
//! attributes are big-endian; what is compared in a register is as the kernel loads it.

use std::net::Ipv4Addr;

use super::rules::{Action, Map, Match};
use crate::wire::message::Attributes;

/// Attributes of expressions.
mod a {
    pub(super) const ELEMENT: u16 = 1;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    pub(super) const VALUE: u16 = 1;
    pub(super) const VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
}

/// What is loaded into the one register that we use.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_PROTOCOL: u32 = 15;
/// `fib`: the type of the destination, which is 2 for an address of this machine.
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 2;
const ADDRESS_IS_LOCAL: u32 = 2;
/// The four-byte registers for what is looked up and found.
const SMALL_REGISTERS: [u32; 3] = [8, 9, 10];
const META_TRANSPORT: u32 = 16;
const TRANSPORT_HEADER: u32 = 2;
const PORT_OFFSET: u32 = 2;
const CHANGE_DESTINATION: u32 = 1;
/// Verdicts.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const JUMP: u32 = 0xffff_fffd;
const CONNECTION_STATE: u32 = 0;
const CONNECTION_STATUS: u32 = 2;
const NETWORK_HEADER: u32 = 1;
const IPV4_SOURCE_OFFSET: u32 = 12;
const IPV4_DESTINATION_OFFSET: u32 = 16;
/// `meta nfproto`: IPv4.
const IPV4: u8 = 2;
/// Bits of `ct state`: established and related.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// Bit of `ct status`: destination changed.
const DESTINATION_CHANGED: u32 = 1 << 5;

#[derive(Clone, Copy)]
enum Compare {
    Equal = 0,
    NotEqual = 1,
}

/// What a packet must be, as expressions.
pub(super) fn encode_match(list: &mut Attributes<'_>, wanted: &Match) {
    match wanted {
        Match::InputIs(name) => {
            load_meta(list, REGISTER, META_INPUT_NAME);
            compare(list, Compare::Equal, &link_name(name));
        }
        Match::InputIsNot(name) => {
            load_meta(list, REGISTER, META_INPUT_NAME);
            compare(list, Compare::NotEqual, &link_name(name));
        }
        Match::OutputIs(name) => {
            load_meta(list, REGISTER, META_OUTPUT_NAME);
            compare(list, Compare::Equal, &link_name(name));
        }
        Match::OutputIsNot(name) => {
            load_meta(list, REGISTER, META_OUTPUT_NAME);
            compare(list, Compare::NotEqual, &link_name(name));
        }
        Match::Source(subnet) => {
            is_ipv4(list);
            load_payload(list, REGISTER, NETWORK_HEADER, (IPV4_SOURCE_OFFSET, 4));
            mask(list, subnet.mask().to_be_bytes());
            compare(
                list,
                Compare::Equal,
                &Ipv4Addr::octets(&subnet.network().address()),
            );
        }
        Match::To(address, protocol, port) => {
            flow(list, IPV4_DESTINATION_OFFSET, *address, *protocol);
            load_payload(list, REGISTER, TRANSPORT_HEADER, (PORT_OFFSET, 2));
            compare(list, Compare::Equal, &port.to_be_bytes());
        }
        Match::From(address, protocol, port) => {
            flow(list, IPV4_SOURCE_OFFSET, *address, *protocol);
            load_payload(list, REGISTER, TRANSPORT_HEADER, (0, 2));
            compare(list, Compare::Equal, &port.to_be_bytes());
        }
        Match::NotToLoopback => {
            is_ipv4(list);
            load_payload(list, REGISTER, NETWORK_HEADER, (IPV4_DESTINATION_OFFSET, 4));
            mask(list, [255, 0, 0, 0]);
            compare(list, Compare::NotEqual, &[127, 0, 0, 0]);
        }
        Match::ToThisMachine => {
            expression(list, "fib", |data| {
                data.u32_be(1, REGISTER);
                data.u32_be(2, FIB_ADDRESS_TYPE);
                data.u32_be(3, FIB_DESTINATION);
            });
            compare(list, Compare::Equal, &ADDRESS_IS_LOCAL.to_ne_bytes());
        }
        Match::Established => any_bit(list, CONNECTION_STATE, ESTABLISHED_OR_RELATED),
        Match::Published => any_bit(list, CONNECTION_STATUS, DESTINATION_CHANGED),
    }
}

/// What a rule does, as an expression.
pub(super) fn encode_action(list: &mut Attributes<'_>, action: Action) {
    match action {
        Action::Accept => verdict(list, ACCEPT, None),
        Action::Drop => verdict(list, DROP, None),
        Action::Jump(chain) => verdict(list, JUMP, Some(chain)),
        Action::Masquerade => expression(list, "masq", |_| {}),
        Action::Redirect(map) => redirect(list, map),
        Action::ToPort(protocol, port) => write_port(list, PORT_OFFSET, protocol, port),
        Action::FromPort(protocol, port) => write_port(list, 0, protocol, port),
    }
}

/// It is IPv4, of that protocol, and has that address at that place of its header.
fn flow(list: &mut Attributes<'_>, place: u32, address: Ipv4Addr, protocol: u8) {
    is_ipv4(list);
    load_payload(list, REGISTER, NETWORK_HEADER, (place, 4));
    compare(list, Compare::Equal, &address.octets());
    load_meta(list, REGISTER, META_TRANSPORT);
    compare(list, Compare::Equal, &[protocol]);
}

/// Writes a port into the packet and sets its checksum right.
fn write_port(list: &mut Attributes<'_>, place: u32, protocol: u8, port: u16) {
    /// An Internet checksum.
    const CHECKSUM_INET: u32 = 1;
    let checksum = if protocol == 17 { 6 } else { 16 };
    expression(list, "immediate", |data| {
        data.u32_be(1, REGISTER);
        data.nest(2, |value| value.bytes(a::VALUE, &port.to_be_bytes()));
    });
    expression(list, "payload", |data| {
        data.u32_be(5, REGISTER);
        data.u32_be(2, TRANSPORT_HEADER);
        data.u32_be(3, place);
        data.u32_be(4, 2);
        data.u32_be(6, CHECKSUM_INET);
        data.u32_be(7, checksum);
    });
}

fn verdict(list: &mut Attributes<'_>, code: u32, chain: Option<&str>) {
    expression(list, "immediate", |data| {
        data.u32_be(1, VERDICT_REGISTER);
        data.nest(2, |value| {
            value.nest(a::VERDICT, |verdict| {
                verdict.u32_be(a::VERDICT_CODE, code);
                if let Some(chain) = chain {
                    verdict.text(a::VERDICT_CHAIN, chain);
                }
            });
        });
    });
}

/// Looks the destination up; what is found, an address and a port, becomes the new one.
fn redirect(list: &mut Attributes<'_>, map: Map) {
    is_ipv4(list);
    let mut registers = SMALL_REGISTERS.into_iter();
    let mut next = || registers.next().unwrap_or_default();
    if map == Map::OneAddress {
        load_payload(list, next(), NETWORK_HEADER, (IPV4_DESTINATION_OFFSET, 4));
    }
    load_meta(list, next(), META_TRANSPORT);
    load_payload(list, next(), TRANSPORT_HEADER, (PORT_OFFSET, 2));
    let [address, port, _] = SMALL_REGISTERS;
    expression(list, "lookup", |data| {
        data.text(1, map.name());
        data.u32_be(2, address);
        data.u32_be(3, address);
    });
    expression(list, "nat", |data| {
        data.u32_be(1, CHANGE_DESTINATION);
        data.u32_be(2, u32::from(IPV4));
        data.u32_be(3, address);
        data.u32_be(5, port);
    });
}

/// A link's name as the kernel loads it: 16 bytes.
fn link_name(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    padded
}

fn expression(list: &mut Attributes<'_>, name: &str, fill: impl FnOnce(&mut Attributes<'_>)) {
    list.nest(a::ELEMENT, |element| {
        element.text(a::EXPRESSION_NAME, name);
        element.nest(a::EXPRESSION_DATA, fill);
    });
}

fn load_meta(list: &mut Attributes<'_>, register: u32, key: u32) {
    expression(list, "meta", |data| {
        data.u32_be(1, register);
        data.u32_be(2, key);
    });
}

fn is_ipv4(list: &mut Attributes<'_>) {
    load_meta(list, REGISTER, META_PROTOCOL);
    compare(list, Compare::Equal, &[IPV4]);
}

/// `at`: offset and length in bytes.
fn load_payload(list: &mut Attributes<'_>, register: u32, header: u32, at: (u32, u32)) {
    expression(list, "payload", |data| {
        data.u32_be(1, register);
        data.u32_be(2, header);
        data.u32_be(3, at.0);
        data.u32_be(4, at.1);
    });
}

fn mask(list: &mut Attributes<'_>, mask: [u8; 4]) {
    expression(list, "bitwise", |data| {
        data.u32_be(1, REGISTER);
        data.u32_be(2, REGISTER);
        data.u32_be(3, 4);
        data.nest(4, |value| value.bytes(a::VALUE, &mask));
        data.nest(5, |value| value.bytes(a::VALUE, &[0; 4]));
    });
}

fn compare(list: &mut Attributes<'_>, how: Compare, with: &[u8]) {
    expression(list, "cmp", |data| {
        data.u32_be(1, REGISTER);
        data.u32_be(2, how as u32);
        data.nest(3, |value| value.bytes(a::VALUE, with));
    });
}

/// A connection's property has one of `bits`; the kernel loads it in its own byte order.
fn any_bit(list: &mut Attributes<'_>, key: u32, bits: u32) {
    expression(list, "ct", |data| {
        data.u32_be(1, REGISTER);
        data.u32_be(2, key);
    });
    mask(list, bits.to_ne_bytes());
    compare(list, Compare::NotEqual, &[0; 4]);
}
