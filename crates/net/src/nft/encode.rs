//! Pure: rules as the expressions of nf_tables. All numbers in attributes are big-endian; what is
//! compared in a register is as the kernel loads it.

use std::net::Ipv4Addr;

use super::rules::{Action, Chain, Match, Rule, Ruleset};
use crate::wire::message::{ACK, APPEND, Attributes, Batch, CREATE, DUMP, array, attribute};

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
}

/// What is loaded into the one register that we use.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_PROTOCOL: u32 = 15;
const CONNECTION_STATE: u32 = 0;
const CONNECTION_STATUS: u32 = 2;
const NETWORK_HEADER: u32 = 1;
const IPV4_SOURCE_OFFSET: u32 = 12;
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
        for chain in &ruleset.chains {
            new_chain(batch, &ruleset.table, chain);
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
    let (kind, hook, priority) = chain.hook.place();
    batch.request(NEW_CHAIN, ACK | CREATE, &header(FAMILY, 0), |request| {
        request.text(a::CHAIN_TABLE, table);
        request.text(a::CHAIN_NAME, chain.name);
        request.nest(a::CHAIN_HOOK, |place| {
            place.u32_be(a::HOOK_NUMBER, hook);
            place.u32_be(a::HOOK_PRIORITY, priority.cast_unsigned());
        });
        request.u32_be(a::CHAIN_POLICY, verdict(Action::Accept));
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
            load_meta(list, META_INPUT_NAME);
            compare(list, Compare::Equal, &link_name(name));
        }
        Match::OutputIs(name) => {
            load_meta(list, META_OUTPUT_NAME);
            compare(list, Compare::Equal, &link_name(name));
        }
        Match::OutputIsNot(name) => {
            load_meta(list, META_OUTPUT_NAME);
            compare(list, Compare::NotEqual, &link_name(name));
        }
        Match::Source(subnet) => {
            load_meta(list, META_PROTOCOL);
            compare(list, Compare::Equal, &[IPV4]);
            load_source(list);
            mask(list, subnet.mask().to_be_bytes());
            compare(
                list,
                Compare::Equal,
                &Ipv4Addr::octets(&subnet.network().address()),
            );
        }
        Match::Established => any_bit(list, CONNECTION_STATE, ESTABLISHED_OR_RELATED),
        Match::Published => any_bit(list, CONNECTION_STATUS, DESTINATION_CHANGED),
    }
}

fn encode_action(list: &mut Attributes<'_>, action: Action) {
    match action {
        Action::Masquerade => expression(list, "masq", |_| {}),
        Action::Accept | Action::Drop => expression(list, "immediate", |data| {
            data.u32_be(1, VERDICT_REGISTER);
            data.nest(2, |value| {
                value.nest(a::VERDICT, |code| {
                    code.u32_be(a::VERDICT_CODE, verdict(action));
                });
            });
        }),
    }
}

fn verdict(action: Action) -> u32 {
    u32::from(action != Action::Drop)
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

fn load_meta(list: &mut Attributes<'_>, key: u32) {
    expression(list, "meta", |data| {
        data.u32_be(1, REGISTER);
        data.u32_be(2, key);
    });
}

fn load_source(list: &mut Attributes<'_>) {
    expression(list, "payload", |data| {
        data.u32_be(1, REGISTER);
        data.u32_be(2, NETWORK_HEADER);
        data.u32_be(3, IPV4_SOURCE_OFFSET);
        data.u32_be(4, 4);
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
        let (begin, end) = (BATCH_BEGIN, BATCH_END);
        assert_eq!(
            kinds,
            [
                begin,
                NEW_TABLE,
                DELETE_TABLE,
                NEW_TABLE,
                NEW_CHAIN,
                NEW_RULE,
                NEW_RULE,
                NEW_RULE,
                NEW_RULE,
                NEW_CHAIN,
                NEW_RULE,
                end
            ]
        );
        assert_eq!(batch.acks(), 10);
        let parsed: Vec<_> = messages(batch.bytes())
            .filter(|message| message.kind == NEW_RULE)
            .filter_map(|message| parse_rule(message.payload))
            .collect();
        assert_eq!(parsed.len(), 5);
        assert_eq!(parsed[4].0, "wharf");
        assert_eq!(parsed[4].1, "leaving");
        assert_eq!(parsed[4].2, mark(&rules.chains[1].rules[0]));
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
        assert_ne!(one[4], rules("172.18.0.1/16", "wharf0")[4]);
        let other = rules("172.17.0.1/16", "wharf1");
        assert!(one.iter().all(|mark| !other.contains(mark)));
    }
}
