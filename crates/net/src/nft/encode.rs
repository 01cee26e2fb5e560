//! Pure: rules as the expressions of nf_tables. All numbers in attributes are big-endian; what is
//! compared in a register is as the kernel loads it.

use std::net::Ipv4Addr;

use super::rules::{Action, Chain, Hook, Map, Match, Rule, Ruleset};
use crate::publish::Element;
use crate::wire::message::{
    ACK, APPEND, Attributes, Batch, CREATE, DUMP, EXCLUSIVE, array, attribute, attributes,
};

/// `inet`: IPv4 and IPv6.
const FAMILY: u8 = 1;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const GET_RULE: u16 = SUBSYSTEM << 8 | 7;
const NEW_MAP: u16 = SUBSYSTEM << 8 | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM << 8 | 0xc;
const GET_ELEMENT: u16 = SUBSYSTEM << 8 | 0xd;
const DELETE_ELEMENT: u16 = SUBSYSTEM << 8 | 0xe;

/// A set whose elements lead to something.
const IS_MAP: u32 = 8;
/// nft's numbers of data types; a concatenation is six bits each.
const TYPE_ADDRESS: u32 = 7;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;

/// Attributes of tables, chains and rules.
mod a {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_POLICY: u16 = 5;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const RULE_USER_DATA: u16 = 7;
    pub(super) const ELEMENT: u16 = 1;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    pub(super) const VALUE: u16 = 1;
    pub(super) const VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
    pub(super) const MAP_TABLE: u16 = 1;
    pub(super) const MAP_NAME: u16 = 2;
    pub(super) const MAP_FLAGS: u16 = 3;
    pub(super) const MAP_KEY_TYPE: u16 = 4;
    pub(super) const MAP_KEY_LENGTH: u16 = 5;
    pub(super) const MAP_DATA_TYPE: u16 = 6;
    pub(super) const MAP_DATA_LENGTH: u16 = 7;
    pub(super) const MAP_ID: u16 = 10;
    pub(super) const MAP_ELEMENTS: u16 = 3;
    pub(super) const MAP_KEY: u16 = 1;
    pub(super) const MAP_DATA: u16 = 2;
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

/// Makes the table new as a whole: whatever it held before is replaced at one instant.
pub(crate) fn replace(ruleset: &Ruleset) -> Batch {
    transaction(|batch| {
        table(batch, NEW_TABLE, CREATE, &ruleset.table);
        table(batch, DELETE_TABLE, 0, &ruleset.table);
        table(batch, NEW_TABLE, CREATE, &ruleset.table);
        for map in [Map::AllAddresses, Map::OneAddress] {
            new_map(batch, &ruleset.table, map);
        }
        for chain in &ruleset.chains {
            new_chain(batch, &ruleset.table, chain);
        }
        for chain in &ruleset.chains {
            for rule in &chain.rules {
                new_rule(batch, &ruleset.table, chain.name, rule);
            }
        }
    })
}

/// Removes the table, if there is one.
pub(crate) fn remove(name: &str) -> Batch {
    transaction(|batch| {
        table(batch, NEW_TABLE, CREATE, name);
        table(batch, DELETE_TABLE, 0, name);
    })
}

/// Asks for all rules of a table.
pub(crate) fn list_rules(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.request(GET_RULE, DUMP, &header(FAMILY, 0), |rule| {
        rule.text(a::RULE_TABLE, name);
    });
    batch
}

/// Reads the table, chain and mark of a listed rule.
pub(crate) fn parse_rule(payload: &[u8]) -> Option<(String, String, String)> {
    let [family] = array(payload, 0)?;
    let rule = payload.get(4..)?;
    let text = |kind| attribute(rule, kind).map(crate::wire::message::text);
    let comment = attribute(rule, a::RULE_USER_DATA).and_then(|data| data.get(2..));
    let comment = comment.map(crate::wire::message::text).unwrap_or_default();
    let found = (text(a::RULE_TABLE)?, text(a::RULE_CHAIN)?, comment);
    (family == FAMILY).then_some(found)
}

/// Returns the mark of a rule, which is kept in the kernel as its comment: the same mark means the
/// same rule, so that a table need not be decoded to see whether it is right.
pub(crate) fn mark(rule: &Rule) -> String {
    // FNV-1a, 64 bits: short, and stable for ever.
    let text = rule.to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("wharf {hash:016x}")
}

/// Adds elements, all or none: one that is there already is refused.
pub(crate) fn add_elements(table: &str, elements: &[Element]) -> Batch {
    transaction(|batch| {
        for element in elements {
            change_element(batch, NEW_ELEMENT, CREATE | EXCLUSIVE, table, element);
        }
    })
}

/// Removes elements, all or none.
pub(crate) fn remove_elements(table: &str, elements: &[Element]) -> Batch {
    transaction(|batch| {
        for element in elements {
            change_element(batch, DELETE_ELEMENT, 0, table, element);
        }
    })
}

/// Asks for the elements of a map.
pub(crate) fn list_elements(table: &str, map: Map) -> Batch {
    let mut batch = Batch::new();
    batch.request(GET_ELEMENT, DUMP, &header(FAMILY, 0), |list| {
        list.text(a::MAP_TABLE, table);
        list.text(a::MAP_NAME, map.name());
    });
    batch
}

/// Reads a part of a listed map.
pub(crate) fn parse_elements(payload: &[u8], map: Map) -> Vec<Element> {
    let listed = payload
        .get(4..)
        .and_then(|list| attribute(list, a::MAP_ELEMENTS));
    attributes(listed.unwrap_or_default())
        .filter_map(|(_, element)| {
            let value = |kind| attribute(attribute(element, kind)?, a::VALUE);
            let (mut key, data) = (value(a::MAP_KEY)?, value(a::MAP_DATA)?);
            let mut host_address = None;
            if map == Map::OneAddress {
                host_address = Some(Ipv4Addr::from(array::<4>(key, 0)?));
                key = key.get(4..)?;
            }
            Some(Element {
                protocol: *key.first()?,
                host_address,
                host_port: u16::from_be_bytes(array(key, 4)?),
                address: Ipv4Addr::from(array::<4>(data, 0)?),
                port: u16::from_be_bytes(array(data, 4)?),
            })
        })
        .collect()
}

fn change_element(batch: &mut Batch, kind: u16, flags: u16, table: &str, element: &Element) {
    let map = if element.host_address.is_some() {
        Map::OneAddress
    } else {
        Map::AllAddresses
    };
    let port = |port: u16| {
        let [high, low] = port.to_be_bytes();
        [high, low, 0, 0]
    };
    let mut key = element
        .host_address
        .map(|address| address.octets().to_vec())
        .unwrap_or_default();
    key.extend_from_slice(&[element.protocol, 0, 0, 0]);
    key.extend_from_slice(&port(element.host_port));
    let data = [element.address.octets(), port(element.port)].concat();
    batch.request(kind, ACK | flags, &header(FAMILY, 0), |request| {
        request.text(a::MAP_TABLE, table);
        request.text(a::MAP_NAME, map.name());
        request.nest(a::MAP_ELEMENTS, |list| {
            list.nest(a::ELEMENT, |entry| {
                entry.nest(a::MAP_KEY, |value| value.bytes(a::VALUE, &key));
                entry.nest(a::MAP_DATA, |value| value.bytes(a::VALUE, &data));
            });
        });
    });
}

fn new_map(batch: &mut Batch, table: &str, map: Map) {
    let concatenated = |types: &[u32]| types.iter().fold(0, |all, one| all << 6 | one);
    let (id, key): (u32, &[u32]) = match map {
        Map::AllAddresses => (1, &[TYPE_PROTOCOL, TYPE_PORT]),
        Map::OneAddress => (2, &[TYPE_ADDRESS, TYPE_PROTOCOL, TYPE_PORT]),
    };
    let length = u32::try_from(key.len() * 4).expect("invariant: a few parts");
    batch.request(NEW_MAP, ACK | CREATE, &header(FAMILY, 0), |request| {
        request.text(a::MAP_TABLE, table);
        request.text(a::MAP_NAME, map.name());
        request.u32_be(a::MAP_FLAGS, IS_MAP);
        request.u32_be(a::MAP_KEY_TYPE, concatenated(key));
        request.u32_be(a::MAP_KEY_LENGTH, length);
        request.u32_be(a::MAP_DATA_TYPE, concatenated(&[TYPE_ADDRESS, TYPE_PORT]));
        request.u32_be(a::MAP_DATA_LENGTH, 8);
        request.u32_be(a::MAP_ID, id);
    });
}

fn transaction(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new();
    batch.request(BATCH_BEGIN, 0, &header(0, SUBSYSTEM), |_| {});
    fill(&mut batch);
    batch.request(BATCH_END, 0, &header(0, SUBSYSTEM), |_| {});
    batch
}

/// `nfgenmsg`: family, version 0, resource.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn table(batch: &mut Batch, kind: u16, flags: u16, name: &str) {
    batch.request(kind, ACK | flags, &header(FAMILY, 0), |table| {
        table.text(a::TABLE_NAME, name);
    });
}

fn new_chain(batch: &mut Batch, table: &str, chain: &Chain) {
    batch.request(NEW_CHAIN, ACK | CREATE, &header(FAMILY, 0), |request| {
        request.text(a::CHAIN_TABLE, table);
        request.text(a::CHAIN_NAME, chain.name);
        let Some((kind, hook, priority)) = chain.hook.map(Hook::place) else {
            return;
        };
        request.nest(a::CHAIN_HOOK, |place| {
            place.u32_be(a::HOOK_NUMBER, hook);
            place.u32_be(a::HOOK_PRIORITY, priority.cast_unsigned());
        });
        request.u32_be(a::CHAIN_POLICY, ACCEPT);
        request.text(a::CHAIN_TYPE, kind);
    });
}

fn new_rule(batch: &mut Batch, table: &str, chain: &str, rule: &Rule) {
    batch.request(
        NEW_RULE,
        ACK | CREATE | APPEND,
        &header(FAMILY, 0),
        |request| {
            request.text(a::RULE_TABLE, table);
            request.text(a::RULE_CHAIN, chain);
            request.nest(a::RULE_EXPRESSIONS, |list| {
                for wanted in &rule.matches {
                    encode_match(list, wanted);
                }
                encode_action(list, rule.action);
            });
            request.bytes(a::RULE_USER_DATA, &comment(&mark(rule)));
        },
    );
}

/// User data as nft keeps a comment: type 0, length, text with NUL.
fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).expect("invariant: a mark is short");
    [&[0, length], text.as_bytes(), &[0]].concat()
}

fn encode_match(list: &mut Attributes<'_>, wanted: &Match) {
    match wanted {
        Match::InputIs(name) => {
            load_meta(list, REGISTER, META_INPUT_NAME);
            compare(list, Compare::Equal, &link_name(name));
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

fn encode_action(list: &mut Attributes<'_>, action: Action) {
    match action {
        Action::Accept => verdict(list, ACCEPT, None),
        Action::Drop => verdict(list, DROP, None),
        Action::Jump(chain) => verdict(list, JUMP, Some(chain)),
        Action::Masquerade => expression(list, "masq", |_| {}),
        Action::Redirect(map) => redirect(list, map),
    }
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

#[cfg(test)]
mod tests {
    use super::super::rules::{Nat, ruleset};
    use super::*;
    use crate::wire::message::messages;

    #[test]
    fn a_transaction_replaces_the_whole_table() {
        let subnet = "172.17.0.1/16".parse().unwrap();
        let rules = ruleset(
            "wharf",
            &[Nat {
                bridge: "wharf0",
                subnet,
            }],
        );
        let batch = replace(&rules);
        let kinds: Vec<_> = messages(batch.bytes())
            .map(|message| message.kind)
            .collect();
        assert_eq!(
            kinds[..4],
            [BATCH_BEGIN, NEW_TABLE, DELETE_TABLE, NEW_TABLE]
        );
        assert_eq!(kinds[4..6], [NEW_MAP; 2]);
        assert_eq!(
            kinds[6..11],
            [NEW_CHAIN; 5],
            "chains before rules that jump there"
        );
        assert_eq!(kinds[11..21], [NEW_RULE; 10]);
        assert_eq!(kinds[21..], [BATCH_END]);
        assert_eq!(batch.acks(), 20);
        let parsed: Vec<_> = messages(batch.bytes())
            .filter(|message| message.kind == NEW_RULE)
            .filter_map(|message| parse_rule(message.payload))
            .collect();
        assert_eq!(parsed[9].0, "wharf");
        assert_eq!(parsed[9].1, "leaving");
        assert_eq!(parsed[9].2, mark(&rules.chains[4].rules[1]));
    }

    #[test]
    fn elements_are_read_as_written() {
        let element = |host_address| Element {
            protocol: 6,
            host_address,
            host_port: 8080,
            address: Ipv4Addr::new(172, 17, 0, 2),
            port: 80,
        };
        let table = [
            (Map::AllAddresses, element(None)),
            (Map::OneAddress, element(Some(Ipv4Addr::new(10, 0, 0, 1)))),
        ];
        for (map, element) in table {
            let batch = add_elements("wharf", &[element]);
            let message = messages(batch.bytes()).nth(1).unwrap();
            assert_eq!(message.kind, NEW_ELEMENT);
            assert_eq!(parse_elements(message.payload, map), [element]);
        }
    }

    #[test]
    fn marks_tell_rules_apart() {
        let rules = |text: &str, bridge: &str| {
            let subnet = text.parse().unwrap();
            let made = ruleset("wharf", &[Nat { bridge, subnet }]);
            made.chains
                .iter()
                .flat_map(|chain| &chain.rules)
                .map(mark)
                .collect::<Vec<_>>()
        };
        let one = rules("172.17.0.1/16", "wharf0");
        assert_eq!(
            one,
            rules("172.17.0.9/16", "wharf0"),
            "the same network, the same rules"
        );
        assert_ne!(one[8], rules("172.18.0.1/16", "wharf0")[8]);
        let other = rules("172.17.0.1/16", "wharf1");
        assert!(one[4..].iter().all(|mark| !other.contains(mark)));
    }
}
