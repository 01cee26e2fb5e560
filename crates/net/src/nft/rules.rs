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
    /// Its destination is an address of this machine.
    ToThisMachine,
    /// Its destination is not a loopback address: without `route_localnet` the answer of a
    /// container could not come back to one.
    NotToLoopback,
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
    /// It goes through another chain.
    Jump(&'static str),
    /// It goes to the container that the map of ports names, if it does.
    Redirect(Map),
}

/// The maps of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    /// Ports of one address of this machine.
    OneAddress,
    /// Ports of all of them.
    AllAddresses,
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
    /// Packets that arrive, when destinations are changed.
    Prerouting,
    /// The same for packets of this machine's own.
    Output,
    /// Packets on their way through this machine, before other tables' filters of priority 0.
    Forward,
    /// Packets that leave, when source addresses are changed.
    Postrouting,
}

/// A chain and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    /// Where the kernel enters it; nothing: only rules do.
    pub(crate) hook: Option<Hook>,
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

/// The chain that looks published ports up.
const REDIRECT: &str = "redirect";

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
        let (from, to) = (Match::InputIs(name.clone()), Match::OutputIs(name.clone()));
        forward.extend([
            rule(&[to.clone(), Match::Established], Action::Accept),
            rule(std::slice::from_ref(&from), Action::Accept),
            rule(&[to.clone(), Match::Published], Action::Accept),
            rule(std::slice::from_ref(&to), Action::Drop),
        ]);
        // Known by its address: a packet that leaves has forgotten by which link it came.
        let from = Match::Source(network.subnet.network());
        let outward = [from.clone(), Match::OutputIsNot(name)];
        postrouting.push(rule(&outward, Action::Masquerade));
        // One container to a published port of another: the answer has to come by this machine.
        let back = [from, to, Match::Published];
        postrouting.push(rule(&back, Action::Masquerade));
    }
    let redirects =
        [Map::OneAddress, Map::AllAddresses].map(|map| rule(&[], Action::Redirect(map)));
    let redirect = Action::Jump(REDIRECT);
    let own = rule(&[Match::NotToLoopback, Match::ToThisMachine], redirect);
    let chain = |name, hook, rules| Chain { name, hook, rules };
    Ruleset {
        table: table.to_owned(),
        chains: vec![
            chain(REDIRECT, None, redirects.to_vec()),
            chain(
                "arriving",
                Some(Hook::Prerouting),
                vec![rule(&[Match::ToThisMachine], redirect)],
            ),
            chain("sending", Some(Hook::Output), vec![own]),
            chain("forwarding", Some(Hook::Forward), forward),
            chain("leaving", Some(Hook::Postrouting), postrouting),
        ],
    }
}

impl Map {
    /// The map's name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneAddress => "published_at",
            Self::AllAddresses => "published",
        }
    }

    /// The map's type as nft writes it.
    fn kind(self) -> &'static str {
        match self {
            Self::OneAddress => "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
            Self::AllAddresses => "inet_proto . inet_service : ipv4_addr . inet_service",
        }
    }

    /// What is looked up in it.
    fn key(self) -> &'static str {
        match self {
            Self::OneAddress => "ip daddr . meta l4proto . th dport",
            Self::AllAddresses => "meta l4proto . th dport",
        }
    }
}

impl Hook {
    /// nf_tables' type of the chain, number of the hook and priority.
    pub(crate) fn place(self) -> (&'static str, u32, i32) {
        match self {
            Self::Prerouting => ("nat", 0, -100),
            Self::Output => ("nat", 3, -100),
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
            Self::ToThisMachine => write!(f, "fib daddr type local"),
            Self::NotToLoopback => write!(f, "ip daddr != 127.0.0.0/8"),
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
        match self.action {
            Action::Accept => f.write_str("accept"),
            Action::Drop => f.write_str("drop"),
            Action::Masquerade => f.write_str("masquerade"),
            Action::Jump(chain) => write!(f, "jump {chain}"),
            Action::Redirect(map) => {
                // As nft prints it: the other key says by itself that it is IPv4.
                let ipv4 = if map == Map::AllAddresses {
                    "meta nfproto ipv4 "
                } else {
                    ""
                };
                write!(f, "{ipv4}dnat ip to {} map @{}", map.key(), map.name())
            }
        }
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {} {{", self.table)?;
        for map in [Map::AllAddresses, Map::OneAddress] {
            writeln!(f, "\tmap {} {{\n\t\ttype {}\n\t}}", map.name(), map.kind())?;
        }
        for chain in &self.chains {
            writeln!(f, "\tchain {} {{", chain.name)?;
            let hook = match chain.hook {
                None => None,
                Some(Hook::Prerouting) => Some("type nat hook prerouting priority dstnat"),
                Some(Hook::Output) => Some("type nat hook output priority -100"),
                Some(Hook::Forward) => Some("type filter hook forward priority filter"),
                Some(Hook::Postrouting) => Some("type nat hook postrouting priority srcnat"),
            };
            if let Some(hook) = hook {
                writeln!(f, "\t\t{hook}; policy accept;")?;
            }
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
    fn a_bridge_is_six_rules() {
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
\tmap published {
\t\ttype inet_proto . inet_service : ipv4_addr . inet_service
\t}
\tmap published_at {
\t\ttype ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
\t}
\tchain redirect {
\t\tdnat ip to ip daddr . meta l4proto . th dport map @published_at
\t\tmeta nfproto ipv4 dnat ip to meta l4proto . th dport map @published
\t}
\tchain arriving {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tfib daddr type local jump redirect
\t}
\tchain sending {
\t\ttype nat hook output priority -100; policy accept;
\t\tip daddr != 127.0.0.0/8 fib daddr type local jump redirect
\t}
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
\t\tip saddr 172.17.0.0/16 oifname \"wharf0\" ct status dnat masquerade
\t}
}
"
        );
    }
}
