//! A ruleset reaches the kernel, in one transaction, and only when it is not there already.

use sys::netlink::Protocol;

use super::encode;
use super::rules::Ruleset;
use crate::Result;
use crate::wire::message::Batch;
use crate::wire::talk::Talk;

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
    commit(
        &encode::replace(ruleset),
        &format!("make table inet {}", ruleset.table),
    )?;
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

fn commit(batch: &Batch, what: &str) -> Result<()> {
    let done = Talk::open(Protocol::Netfilter)?.commit(batch)?;
    done.map_err(|refusal| refusal.error(what))
}
