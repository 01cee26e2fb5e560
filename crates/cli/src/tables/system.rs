//! Commands: system. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('s', "size", Kind::Switch, "Display total file sizes if the type is container"),
    flag(' ', "type", Kind::Text, "Only inspect objects of the given type"),
];

#[rustfmt::skip]
const SYSTEM_DF: &[Flag] = &[
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('v', "verbose", Kind::Switch, "Show detailed information on space usage"),
];

#[rustfmt::skip]
const SYSTEM_EVENTS: &[Flag] = &[
    flag('f', "filter", Kind::Filter, "Filter output based on conditions provided"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "since", Kind::Text, "Show all events created since timestamp"),
    flag(' ', "until", Kind::Text, "Stream events until this timestamp"),
];

#[rustfmt::skip]
const SYSTEM_INFO: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
];

#[rustfmt::skip]
const SYSTEM_PRUNE: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Remove all unused images not just dangling ones"),
    flag(' ', "filter", Kind::Filter, "Provide filter values (e.g. \"label=<key>=<value>\")"),
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation"),
    flag(' ', "volumes", Kind::Switch, "Prune anonymous volumes"),
];

#[rustfmt::skip]
const VERSION: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["inspect"], usage: &["[OPTIONS] NAME|ID [NAME|ID...]"], about: "Return low-level information on Docker objects", flags: &[INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["system df"], usage: &["[OPTIONS]"], about: "Show docker disk usage", flags: &[SYSTEM_DF], args: Args::None, interspersed: true },
    Command { paths: &["system dial-stdio"], usage: &[""], about: "Proxy the stdio stream to the daemon connection. Should not be invoked manually.", flags: &[], args: Args::None, interspersed: true },
    Command { paths: &["system events", "events"], usage: &["[OPTIONS]"], about: "Get real time events from the server", flags: &[SYSTEM_EVENTS], args: Args::None, interspersed: true },
    Command { paths: &["system info", "info"], usage: &["[OPTIONS]"], about: "Display system-wide information", flags: &[SYSTEM_INFO], args: Args::None, interspersed: true },
    Command { paths: &["system prune"], usage: &["[OPTIONS]"], about: "Remove unused data", flags: &[SYSTEM_PRUNE], args: Args::None, interspersed: true },
    Command { paths: &["version"], usage: &["[OPTIONS]"], about: "Show the Docker version information", flags: &[VERSION], args: Args::None, interspersed: true },
];
