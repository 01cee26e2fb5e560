//! Pure: networks become rules, printable as nft prints them.

use std::fmt;

use crate::Prefix;

/// Something that a packet must be for a rule to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It came in by that link.
    InputIs(String),
    /// It goes out by that link.
    OutputIs(String),
    /// It goes out by another link.
    OutputIsNot(String),
    /// It comes from that network.
    Source(Prefix),
    /// It belongs to a connection that was let through before.
    Established,
    /// It belongs to a connection whose destination we changed: a published port.
    Published,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Accept,
    Drop,
    /// It leaves with the address of the link by which it goes out.
    Masquerade,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) matches: Vec<Match>,
    pub(crate) action: Action,
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Packets on their way through this machine, before other tables' filters of priority 0.
    Forward,
    /// Packets that leave, when source addresses are changed.
    Postrouting,
}

/// A chain and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) hook: Hook,
    pub(crate) rules: Vec<Rule>,
}

/// Everything that is in our table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruleset {
    pub(crate) table: String,
    pub(crate) chains: Vec<Chain>,
}

/// A network that reaches the outside by address translation.
#[derive(Clone, Debug)]
pub(crate) struct Nat<'a> {
    pub(crate) bridge: &'a str,
    pub(crate) subnet: Prefix,
}

/// Decides the rules of a bridged network: containers reach everything, under the host's address;
/// nobody reaches them by routing to their addresses, but over a published port or as an answer.
pub(crate) fn ruleset(table: &str, networks: &[Nat<'_>]) -> Ruleset {
    let rule = |matches: &[Match], action| Rule {
        matches: matches.to_vec(),
        action,
    };
    let mut forward = Vec::new();
    let mut postrouting = Vec::new();
    for network in networks {
        let name = network.bridge.to_owned();
        let to = Match::OutputIs(name.clone());
        forward.extend([
            rule(&[to.clone(), Match::Established], Action::Accept),
            rule(&[Match::InputIs(name.clone())], Action::Accept),
            rule(&[to.clone(), Match::Published], Action::Accept),
            rule(&[to], Action::Drop),
        ]);
        let outward = [
            Match::Source(network.subnet.network()),
            Match::OutputIsNot(name),
        ];
        postrouting.push(rule(&outward, Action::Masquerade));
    }
    Ruleset {
        table: table.to_owned(),
        chains: vec![
            Chain {
                name: "forwarding",
                hook: Hook::Forward,
                rules: forward,
            },
            Chain {
                name: "leaving",
                hook: Hook::Postrouting,
                rules: postrouting,
            },
        ],
    }
}

impl Hook {
    /// nf_tables' type of the chain, number of the hook and priority.
    pub(crate) fn place(self) -> (&'static str, u32, i32) {
        match self {
            Self::Forward => ("filter", 2, 0),
            Self::Postrouting => ("nat", 4, 100),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputIs(link) => write!(f, "iifname \"{link}\""),
            Self::OutputIs(link) => write!(f, "oifname \"{link}\""),
            Self::OutputIsNot(link) => write!(f, "oifname != \"{link}\""),
            Self::Source(subnet) => write!(f, "ip saddr {subnet}"),
            Self::Established => write!(f, "ct state established,related"),
            Self::Published => write!(f, "ct status dnat"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for wanted in &self.matches {
            write!(f, "{wanted} ")?;
        }
        f.write_str(match self.action {
            Action::Accept => "accept",
            Action::Drop => "drop",
            Action::Masquerade => "masquerade",
        })
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {} {{", self.table)?;
        for chain in &self.chains {
            let hook = match chain.hook {
                Hook::Forward => "type filter hook forward priority filter",
                Hook::Postrouting => "type nat hook postrouting priority srcnat",
            };
            writeln!(f, "\tchain {} {{\n\t\t{hook}; policy accept;", chain.name)?;
            for rule in &chain.rules {
                writeln!(f, "\t\t{rule}")?;
            }
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_five_rules() {
        let subnet = "172.17.0.1/16".parse().unwrap();
        let rules = ruleset(
            "wharf",
            &[Nat {
                bridge: "wharf0",
                subnet,
            }],
        );
        assert_eq!(
            rules.to_string(),
            "table inet wharf {
\tchain forwarding {
\t\ttype filter hook forward priority filter; policy accept;
\t\toifname \"wharf0\" ct state established,related accept
\t\tiifname \"wharf0\" accept
\t\toifname \"wharf0\" ct status dnat accept
\t\toifname \"wharf0\" drop
\t}
\tchain leaving {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 172.17.0.0/16 oifname != \"wharf0\" masquerade
\t}
}
"
        );
    }
}
