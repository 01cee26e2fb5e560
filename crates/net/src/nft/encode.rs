//! Pure: rules as the expressions of nf_tables. All numbers in attributes are big-endian; what is
//! compared in a register is as the kernel loads it.

use std::net::Ipv4Addr;

use super::expression::{encode_action, encode_match};
use super::rules::{Chain, Hook, Map, Rule, Ruleset};
use crate::publish::Element;
use crate::wire::message::{
    ACK, APPEND, Batch, CREATE, DUMP, EXCLUSIVE, array, attribute, attributes,
};

/// `inet`: IPv4 and IPv6.
const FAMILY: u8 = 1;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const NEW_TABLE: u16 = SUBSYSTEM << 8;
/// Also what the kernel tells when a table goes.
pub(crate) const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const GET_RULE: u16 = SUBSYSTEM << 8 | 7;
const DELETE_RULE: u16 = SUBSYSTEM << 8 | 8;
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
    pub(super) const VALUE: u16 = 1;
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

/// A chain lets through what no rule stops.
const ACCEPT: u32 = 1;

/// Makes the table new as a whole: whatever it held before is replaced at one instant.
pub(crate) fn replace(ruleset: &Ruleset) -> Batch {
    transaction(|batch| {
        table(batch, NEW_TABLE, CREATE, &ruleset.table);
        table(batch, DELETE_TABLE, 0, &ruleset.table);
        fill(batch, ruleset, |_, _, _| {});
    })
}

/// Makes the rules of the table new at one instant; its published ports stay.
pub(crate) fn update(ruleset: &Ruleset) -> Batch {
    transaction(|batch| fill(batch, ruleset, empty_chain))
}

/// `clear` empties a chain that may have been there.
fn fill(batch: &mut Batch, ruleset: &Ruleset, clear: fn(&mut Batch, &str, &str)) {
    table(batch, NEW_TABLE, CREATE, &ruleset.table);
    if ruleset.maps {
        for map in [Map::AllAddresses, Map::OneAddress] {
            new_map(batch, &ruleset.table, map);
        }
    }
    for chain in &ruleset.chains {
        new_chain(batch, &ruleset.table, chain);
    }
    for chain in &ruleset.chains {
        clear(batch, &ruleset.table, chain.name);
    }
    for chain in &ruleset.chains {
        for rule in &chain.rules {
            new_rule(batch, &ruleset.table, chain.name, rule);
        }
    }
}

fn empty_chain(batch: &mut Batch, table: &str, chain: &str) {
    batch.request(DELETE_RULE, ACK, &header(FAMILY, 0), |request| {
        request.text(a::RULE_TABLE, table);
        request.text(a::RULE_CHAIN, chain);
    });
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

#[cfg(test)]
mod tests {
    use super::super::rules::ruleset;
    use super::super::rules::tests::segment;
    use super::*;
    use crate::wire::message::messages;

    #[test]
    fn a_transaction_replaces_the_whole_table() {
        let rules = ruleset("wharf", &[segment("wharf0", "172.17.0.1/16")]);
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
        assert_eq!(kinds[11..22], [NEW_RULE; 11]);
        assert_eq!(kinds[22..], [BATCH_END]);
        assert_eq!(batch.acks(), 21);
        let parsed: Vec<_> = messages(batch.bytes())
            .filter(|message| message.kind == NEW_RULE)
            .filter_map(|message| parse_rule(message.payload))
            .collect();
        assert_eq!(parsed[10].0, "wharf");
        assert_eq!(parsed[10].1, "leaving");
        assert_eq!(parsed[10].2, mark(&rules.chains[4].rules[1]));
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
            let made = ruleset("wharf", &[segment(bridge, text)]);
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
        assert_ne!(one[9], rules("172.18.0.1/16", "wharf0")[9]);
        let other = rules("172.17.0.1/16", "wharf1");
        assert!(one[4..].iter().all(|mark| !other.contains(mark)));
    }
}
