//! A ruleset reaches the kernel, in one transaction, and only when it is not there already.

use std::net::Ipv4Addr;

use sys::netlink::Protocol;

use super::encode;
use super::rules::{Map, Ruleset};
use crate::publish::Element;
use crate::wire::message::Batch;
use crate::wire::talk::Talk;
use crate::{Error, Result};

/// The element exists.
const ALREADY_THERE: i32 = 17;

/// Makes the table hold exactly `ruleset`; a table that does is not touched. Returns whether
/// something was changed. Called in the network namespace that the rules are for.
pub(crate) fn ensure(ruleset: &Ruleset) -> Result<bool> {
    let wanted: Vec<_> = ruleset
        .chains
        .iter()
        .flat_map(|chain| chain.rules.iter().map(|rule| (chain.name.to_owned(), rule)))
        .map(|(chain, rule)| (chain, encode::mark(rule)))
        .collect();
    if present(&ruleset.table)? == wanted {
        return Ok(false);
    }
    let what = format!("make table inet {}", ruleset.table);
    let updated = Talk::open(Protocol::Netfilter)?.commit(&encode::update(ruleset))?;
    if updated.is_err() {
        // Chains of another release, which cannot become ours.
        commit(&encode::replace(ruleset), &what)?;
    }
    Ok(true)
}

/// Removes the table; one that is not there is no error.
pub(crate) fn remove(table: &str) -> Result<()> {
    commit(
        &encode::remove(table),
        &format!("remove table inet {table}"),
    )
}

/// Returns chain and mark of the table's rules, in the kernel's order.
pub(crate) fn present(table: &str) -> Result<Vec<(String, String)>> {
    let rules = Talk::open(Protocol::Netfilter)?.dump(&encode::list_rules(table))?;
    let parsed = rules
        .iter()
        .filter_map(|payload| encode::parse_rule(payload));
    Ok(parsed
        .filter(|rule| rule.0 == table)
        .map(|(_, chain, mark)| (chain, mark))
        .collect())
}

/// Adds published ports, all or none.
pub(crate) fn publish(table: &str, elements: &[Element]) -> Result<()> {
    if elements.is_empty() {
        return Ok(());
    }
    let done = Talk::open(Protocol::Netfilter)?.commit(&encode::add_elements(table, elements))?;
    done.map_err(|refusal| {
        // The transaction's own first message is before the elements.
        let taken = elements.get(refusal.index.saturating_sub(1));
        match taken.filter(|_| refusal.errno == ALREADY_THERE) {
            Some(taken) => Error::PortTaken {
                address: taken.host_address.unwrap_or(Ipv4Addr::UNSPECIFIED).into(),
                port: taken.host_port,
            },
            None => refusal.error(format!("publish ports in table inet {table}")),
        }
    })
}

/// Removes published ports, all or none.
pub(crate) fn withdraw(table: &str, elements: &[Element]) -> Result<()> {
    if elements.is_empty() {
        return Ok(());
    }
    let batch = encode::remove_elements(table, elements);
    commit(&batch, &format!("withdraw ports from table inet {table}"))
}

/// Lists the published ports.
pub(crate) fn published(table: &str) -> Result<Vec<Element>> {
    let mut all = Vec::new();
    for map in [Map::AllAddresses, Map::OneAddress] {
        let parts = Talk::open(Protocol::Netfilter)?.dump(&encode::list_elements(table, map))?;
        all.extend(
            parts
                .iter()
                .flat_map(|payload| encode::parse_elements(payload, map)),
        );
    }
    Ok(all)
}

fn commit(batch: &Batch, what: &str) -> Result<()> {
    let done = Talk::open(Protocol::Netfilter)?.commit(batch)?;
    done.map_err(|refusal| refusal.error(what))
}

#[cfg(test)]
mod tests {
    use super::super::rules::{self, tests::segment};
    use super::*;

    /// Runs `test` on a thread of its own in a fresh network namespace.
    fn in_own_namespace(test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                sys::namespace::unshare(sys::namespace::NETWORK).expect("needs root");
                test();
            });
            thread.join().expect("the test panicked");
        });
    }

    fn ruleset(table: &str, subnet: &str) -> Ruleset {
        rules::ruleset(table, &[segment("wharf0", subnet)])
    }

    #[test]
    fn root_table_is_made_once_changed_when_wrong_and_removed() {
        in_own_namespace(|| {
            let (wanted, other) = (
                ruleset("wharf", "10.1.0.1/16"),
                ruleset("wharf", "10.2.0.1/16"),
            );
            assert_eq!(present("wharf").unwrap(), []);
            assert!(ensure(&wanted).unwrap());
            let made = present("wharf").unwrap();
            let rules: Vec<_> = wanted
                .chains
                .iter()
                .flat_map(|chain| &chain.rules)
                .collect();
            let marks: Vec<_> = rules.into_iter().map(encode::mark).collect();
            assert_eq!(
                made.iter()
                    .map(|(_, mark)| mark.clone())
                    .collect::<Vec<_>>(),
                marks
            );
            assert!(!ensure(&wanted).unwrap(), "what is right is not touched");
            assert!(ensure(&other).unwrap());
            assert_ne!(present("wharf").unwrap(), made);
            // Another engine's table is nobody's business but its own.
            assert!(ensure(&ruleset("wharf-x", "10.3.0.1/16")).unwrap());
            remove("wharf").unwrap();
            remove("wharf").unwrap();
            assert_eq!(present("wharf").unwrap(), []);
            assert_eq!(present("wharf-x").unwrap().len(), 11);
        });
    }

    #[test]
    fn root_a_refused_transaction_says_what_and_leaves_nothing() {
        in_own_namespace(|| {
            let mut wrong = ruleset("wharf", "10.1.0.1/16");
            // Masquerading is not possible in a filter chain: the last rule is refused.
            let misplaced = wrong.chains[4].rules.remove(0);
            wrong.chains[3].rules.push(misplaced);
            let refused = ensure(&wrong).unwrap_err().to_string();
            assert!(refused.starts_with("make table inet wharf: "), "{refused}");
            assert_eq!(present("wharf").unwrap(), []);
        });
    }
}
