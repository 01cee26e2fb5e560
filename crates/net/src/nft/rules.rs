//! Pure: networks become rules, printable as nft prints them.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Prefix;

/// Something that a packet must be for a rule to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It came in by that link.
    InputIs(String),
    /// It came in by another link.
    InputIsNot(String),
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
    /// It goes to that address and port, by that protocol.
    To(Ipv4Addr, u8, u16),
    /// It comes from that address and port, by that protocol.
    From(Ipv4Addr, u8, u16),
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
    /// Its destination port becomes this one, without a memory of the connection.
    ToPort(u8, u16),
    /// Its source port becomes this one, without a memory of the connection.
    FromPort(u8, u16),
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
    /// Packets of this machine's own, before anything else looks at them.
    Raw,
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
    /// Whether it has the maps of published ports.
    pub(crate) maps: bool,
    pub(crate) chains: Vec<Chain>,
}

/// A bridge, its network, and what its containers may do.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) bridge: String,
    pub(crate) subnet: Prefix,
    /// They reach the outside under the host's address.
    pub(crate) masquerade: bool,
    /// Nothing leads in or out.
    pub(crate) internal: bool,
    /// They reach each other.
    pub(crate) together: bool,
}

/// The chain that looks published ports up.
const REDIRECT: &str = "redirect";

fn rule(matches: &[Match], action: Action) -> Rule {
    Rule {
        matches: matches.to_vec(),
        action,
    }
}

/// Decides the rules of bridged networks: containers reach everything but other networks, under
/// the host's address; nobody reaches them by routing to their addresses, but over a published port
/// or as an answer. What leads into a network stands before what leads out of any.
pub(crate) fn ruleset(table: &str, networks: &[Segment]) -> Ruleset {
    let (mut inward, mut outward, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
    for network in networks {
        let name = || network.bridge.clone();
        let (from, to) = (Match::InputIs(name()), Match::OutputIs(name()));
        let inside = [to.clone(), from.clone()];
        if !network.together {
            inward.push(rule(&inside, Action::Drop));
        }
        if network.internal {
            inward.push(rule(&[to, Match::InputIsNot(name())], Action::Drop));
            inward.push(rule(&[from, Match::OutputIsNot(name())], Action::Drop));
            continue;
        }
        inward.push(rule(&[to.clone(), Match::Established], Action::Accept));
        inward.push(rule(&inside, Action::Accept));
        inward.push(rule(&[to.clone(), Match::Published], Action::Accept));
        inward.push(rule(std::slice::from_ref(&to), Action::Drop));
        outward.push(rule(&[from], Action::Accept));
        // Known by its address: a packet that leaves has forgotten by which link it came.
        let from = Match::Source(network.subnet.network());
        if network.masquerade {
            let out = [from.clone(), Match::OutputIsNot(name())];
            leaving.push(rule(&out, Action::Masquerade));
        }
        // One container to a published port of another: the answer has to come by this machine.
        leaving.push(rule(&[from, to, Match::Published], Action::Masquerade));
    }
    inward.append(&mut outward);
    let redirects =
        [Map::OneAddress, Map::AllAddresses].map(|map| rule(&[], Action::Redirect(map)));
    let redirect = Action::Jump(REDIRECT);
    let own = rule(&[Match::NotToLoopback, Match::ToThisMachine], redirect);
    let chain = |name, hook, rules| Chain { name, hook, rules };
    Ruleset {
        table: table.to_owned(),
        maps: true,
        chains: vec![
            chain(REDIRECT, None, redirects.to_vec()),
            chain(
                "arriving",
                Some(Hook::Prerouting),
                vec![rule(&[Match::ToThisMachine], redirect)],
            ),
            chain("sending", Some(Hook::Output), vec![own]),
            chain("forwarding", Some(Hook::Forward), inward),
            chain("leaving", Some(Hook::Postrouting), leaving),
        ],
    }
}

/// Decides the rules of a container's own namespace that lead port 53 of `server` to the sockets
/// that answer there. They keep no memory of connections: the container's traffic stays as quick as
/// it was, and it may use port 53 itself (network reference §5).
pub(crate) fn resolver(table: &str, server: Ipv4Addr, udp: u16, tcp: u16) -> Ruleset {
    /// Where programs ask.
    const PORT: u16 = 53;
    let both = [(17, udp), (6, tcp)];
    let rules = both.into_iter().flat_map(|(protocol, port)| {
        let (ask, answer) = (
            Match::To(server, protocol, PORT),
            Match::From(server, protocol, port),
        );
        [
            rule(&[ask], Action::ToPort(protocol, port)),
            rule(&[answer], Action::FromPort(protocol, PORT)),
        ]
    });
    Ruleset {
        table: table.to_owned(),
        maps: false,
        chains: vec![Chain {
            name: "asking",
            hook: Some(Hook::Raw),
            rules: rules.collect(),
        }],
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
            Self::Raw => ("filter", 3, -300),
            Self::Forward => ("filter", 2, 0),
            Self::Postrouting => ("nat", 4, 100),
        }
    }
}

fn word(protocol: u8) -> &'static str {
    if protocol == 17 { "udp" } else { "tcp" }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputIs(link) => write!(f, "iifname \"{link}\""),
            Self::InputIsNot(link) => write!(f, "iifname != \"{link}\""),
            Self::OutputIs(link) => write!(f, "oifname \"{link}\""),
            Self::OutputIsNot(link) => write!(f, "oifname != \"{link}\""),
            Self::ToThisMachine => write!(f, "fib daddr type local"),
            Self::NotToLoopback => write!(f, "ip daddr != 127.0.0.0/8"),
            Self::Source(subnet) => write!(f, "ip saddr {subnet}"),
            Self::To(address, protocol, port) => {
                write!(f, "ip daddr {address} {} dport {port}", word(*protocol))
            }
            Self::From(address, protocol, port) => {
                write!(f, "ip saddr {address} {} sport {port}", word(*protocol))
            }
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
            Action::ToPort(protocol, port) => write!(f, "{} dport set {port}", word(protocol)),
            Action::FromPort(protocol, port) => write!(f, "{} sport set {port}", word(protocol)),
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
        for map in [Map::AllAddresses, Map::OneAddress]
            .into_iter()
            .filter(|_| self.maps)
        {
            writeln!(f, "\tmap {} {{\n\t\ttype {}\n\t}}", map.name(), map.kind())?;
        }
        for chain in &self.chains {
            writeln!(f, "\tchain {} {{", chain.name)?;
            let hook = match chain.hook {
                None => None,
                Some(Hook::Prerouting) => Some("type nat hook prerouting priority dstnat"),
                Some(Hook::Output) => Some("type nat hook output priority -100"),
                Some(Hook::Raw) => Some("type filter hook output priority raw"),
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn segment(bridge: &str, subnet: &str) -> Segment {
        Segment {
            bridge: bridge.to_owned(),
            subnet: subnet.parse().unwrap(),
            masquerade: true,
            internal: false,
            together: true,
        }
    }

    #[test]
    fn a_bridge_is_seven_rules() {
        let rules = ruleset("wharf", &[segment("wharf0", "172.17.0.1/16")]);
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
\t\toifname \"wharf0\" iifname \"wharf0\" accept
\t\toifname \"wharf0\" ct status dnat accept
\t\toifname \"wharf0\" drop
\t\tiifname \"wharf0\" accept
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

    /// The forwarding chain, one rule a line.
    fn forwarding(networks: &[Segment]) -> Vec<String> {
        let rules = ruleset("t", networks);
        rules.chains[3]
            .rules
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn into_another_network_comes_before_out_of_ones_own() {
        let rules = forwarding(&[segment("a", "10.1.0.1/16"), segment("b", "10.2.0.1/16")]);
        let place = |text: &str| rules.iter().position(|rule| rule == text).unwrap();
        assert!(place("oifname \"b\" drop") < place("iifname \"a\" accept"));
        assert!(place("oifname \"a\" drop") < place("iifname \"b\" accept"));
    }

    #[test]
    fn an_internal_network_leads_nowhere() {
        let mut network = segment("i", "10.1.0.1/16");
        network.internal = true;
        assert_eq!(
            forwarding(std::slice::from_ref(&network)),
            [
                "oifname \"i\" iifname != \"i\" drop",
                "iifname \"i\" oifname != \"i\" drop"
            ]
        );
        network.together = false;
        assert_eq!(
            forwarding(&[network])[0],
            "oifname \"i\" iifname \"i\" drop"
        );
    }

    #[test]
    fn port_53_leads_to_the_resolver_s_sockets() {
        let rules = resolver("wharf-names", Ipv4Addr::new(127, 0, 0, 11), 4000, 4001);
        assert_eq!(
            rules.to_string(),
            "table inet wharf-names {
\tchain asking {
\t\ttype filter hook output priority raw; policy accept;
\t\tip daddr 127.0.0.11 udp dport 53 udp dport set 4000
\t\tip saddr 127.0.0.11 udp sport 4000 udp sport set 53
\t\tip daddr 127.0.0.11 tcp dport 53 tcp dport set 4001
\t\tip saddr 127.0.0.11 tcp sport 4001 tcp sport set 53
\t}
}
"
        );
    }
}
