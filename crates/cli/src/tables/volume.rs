//! Commands: volume. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const VOLUME_CREATE: &[Flag] = &[
    flag('d', "driver", Kind::Text, "Specify volume driver name (default \"local\")"),
    flag(' ', "label", Kind::List, "Set metadata for a volume"),
    flag('o', "opt", Kind::Map, "Set driver specific options (default map[])"),
];

#[rustfmt::skip]
const VOLUME_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
];

#[rustfmt::skip]
const VOLUME_LS: &[Flag] = &[
    flag('f', "filter", Kind::Filter, "Provide filter values (e.g. \"dangling=true\")"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('q', "quiet", Kind::Switch, "Only display volume names"),
];

#[rustfmt::skip]
const VOLUME_PRUNE: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Remove all unused volumes, not just anonymous ones"),
    flag(' ', "filter", Kind::Filter, "Provide filter values (e.g. \"label=<label>\")"),
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation"),
];

#[rustfmt::skip]
const VOLUME_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the removal of one or more volumes"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["volume create"], usage: &["[OPTIONS] [VOLUME]"], about: "Create a volume", flags: &[VOLUME_CREATE], args: Args::Max(1), interspersed: true },
    Command { paths: &["volume inspect"], usage: &["[OPTIONS] VOLUME [VOLUME...]"], about: "Display detailed information on one or more volumes", flags: &[VOLUME_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["volume ls", "volume list"], usage: &["[OPTIONS]"], about: "List volumes", flags: &[VOLUME_LS], args: Args::None, interspersed: true },
    Command { paths: &["volume prune"], usage: &["[OPTIONS]"], about: "Remove unused local volumes", flags: &[VOLUME_PRUNE], args: Args::None, interspersed: true },
    Command { paths: &["volume rm", "volume remove"], usage: &["[OPTIONS] VOLUME [VOLUME...]"], about: "Remove one or more volumes. You cannot remove a volume that is in use by a container.", flags: &[VOLUME_RM], args: Args::Min(1), interspersed: true },
];
