//! Commands: network. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const NETWORK_CONNECT: &[Flag] = &[
    flag(' ', "alias", Kind::Strings, "Add network-scoped alias for the container"),
    flag(' ', "driver-opt", Kind::Strings, "driver options for the network"),
    flag(' ', "gw-priority", Kind::Int, "Highest gw-priority provides the default gateway. Accepts positive and negative values."),
    flag(' ', "ip", Kind::Text, "IPv4 address (e.g., \"172.30.100.104\")"),
    flag(' ', "ip6", Kind::Text, "IPv6 address (e.g., \"2001:db8::33\")"),
    flag(' ', "link", Kind::List, "Add link to another container"),
    flag(' ', "link-local-ip", Kind::Strings, "Add a link-local address for the container"),
];

#[rustfmt::skip]
const NETWORK_CREATE: &[Flag] = &[
    flag(' ', "attachable", Kind::Switch, "Enable manual container attachment"),
    flag(' ', "aux-address", Kind::Map, "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])"),
    flag(' ', "config-from", Kind::Text, "The network from which to copy the configuration"),
    flag(' ', "config-only", Kind::Switch, "Create a configuration only network"),
    flag('d', "driver", Kind::Text, "Driver to manage the Network (default \"bridge\")"),
    flag(' ', "gateway", Kind::Strings, "IPv4 or IPv6 Gateway for the master subnet"),
    flag(' ', "ingress", Kind::Switch, "Create swarm routing-mesh network"),
    flag(' ', "internal", Kind::Switch, "Restrict external access to the network"),
    flag(' ', "ip-range", Kind::Strings, "Allocate container ip from a sub-range"),
    flag(' ', "ipam-driver", Kind::Text, "IP Address Management Driver (default \"default\")"),
    flag(' ', "ipam-opt", Kind::Map, "Set IPAM driver specific options (default map[])"),
    flag(' ', "ipv4", Kind::Switch, "Enable or disable IPv4 address assignment (default true)"),
    flag(' ', "ipv6", Kind::Switch, "Enable or disable IPv6 address assignment"),
    flag(' ', "label", Kind::List, "Set metadata on a network"),
    flag('o', "opt", Kind::Map, "Set driver specific options (default map[])"),
    flag(' ', "scope", Kind::Text, "Control the network's scope"),
    flag(' ', "subnet", Kind::Strings, "Subnet in CIDR format that represents a network segment"),
];

#[rustfmt::skip]
const NETWORK_DISCONNECT: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the container to disconnect from a network"),
];

#[rustfmt::skip]
const NETWORK_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('v', "verbose", Kind::Switch, "Verbose output for diagnostics"),
];

#[rustfmt::skip]
const NETWORK_LS: &[Flag] = &[
    flag('f', "filter", Kind::Filter, "Provide filter values (e.g. \"driver=bridge\")"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "no-trunc", Kind::Switch, "Do not truncate the output"),
    flag('q', "quiet", Kind::Switch, "Only display network IDs"),
];

#[rustfmt::skip]
const NETWORK_PRUNE: &[Flag] = &[
    flag(' ', "filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation"),
];

#[rustfmt::skip]
const NETWORK_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Do not error if the network does not exist"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["network connect"], usage: &["[OPTIONS] NETWORK CONTAINER"], about: "Connect a container to a network", flags: &[NETWORK_CONNECT], args: Args::Exact(2), interspersed: true },
    Command { paths: &["network create"], usage: &["[OPTIONS] NETWORK"], about: "Create a network", flags: &[NETWORK_CREATE], args: Args::Exact(1), interspersed: true },
    Command { paths: &["network disconnect"], usage: &["[OPTIONS] NETWORK CONTAINER"], about: "Disconnect a container from a network", flags: &[NETWORK_DISCONNECT], args: Args::Exact(2), interspersed: true },
    Command { paths: &["network inspect"], usage: &["[OPTIONS] NETWORK [NETWORK...]"], about: "Display detailed information on one or more networks", flags: &[NETWORK_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["network ls", "network list"], usage: &["[OPTIONS]"], about: "List networks", flags: &[NETWORK_LS], args: Args::None, interspersed: true },
    Command { paths: &["network prune"], usage: &["[OPTIONS]"], about: "Remove all unused networks", flags: &[NETWORK_PRUNE], args: Args::None, interspersed: true },
    Command { paths: &["network rm", "network remove"], usage: &["NETWORK [NETWORK...]"], about: "Remove one or more networks", flags: &[NETWORK_RM], args: Args::Min(1), interspersed: true },
];
