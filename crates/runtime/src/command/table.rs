//! The commands and their flags.

use super::words::{Flag, Until, Words, switch, value};
use super::{
    Context, Result, control, create, events, exec, features, list, process, spec, update,
};

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Exactly(usize),
    AtLeast(usize),
}

impl Count {
    /// The error is what runc says after the command's name.
    pub(super) fn check(self, found: usize) -> Result<(), String> {
        match self {
            Self::Exactly(count) if found != count => {
                Err(format!("requires exactly {count} argument(s)"))
            }
            Self::AtLeast(count) if found < count => {
                Err(format!("requires a minimum of {count} argument(s)"))
            }
            _ => Ok(()),
        }
    }
}

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// One line for the list.
    about: &'static str,
    /// What its arguments are.
    arguments: &'static str,
    pub(super) flags: &'static [Flag],
    pub(super) until: Until,
    pub(super) count: Count,
    /// A process of ours enters the container, so our program is protected first.
    pub(super) enters: bool,
    pub(super) run: fn(&Context, &Words) -> Result<i32>,
}

const HELP: Flag = switch("help", "h");

/// Flags before the command.
pub(super) const GLOBALS: [Flag; 11] = [
    switch("debug", ""),
    value("log", ""),
    value("log-format", ""),
    value("root", ""),
    value("criu", ""),
    switch("systemd-cgroup", ""),
    value("rootless", ""),
    // crun's
    value("cgroup-manager", ""),
    switch("systemd", ""),
    HELP,
    switch("version", "v"),
];

const CREATE: [Flag; 8] = [
    value("bundle", "b"),
    value("console-socket", ""),
    value("pidfd-socket", ""),
    value("pid-file", ""),
    switch("no-pivot", ""),
    switch("no-new-keyring", ""),
    value("preserve-fds", ""),
    HELP,
];

const RUN: [Flag; 11] = [
    value("bundle", "b"),
    value("console-socket", ""),
    value("pidfd-socket", ""),
    value("pid-file", ""),
    switch("no-pivot", ""),
    switch("no-new-keyring", ""),
    value("preserve-fds", ""),
    switch("detach", "d"),
    switch("keep", ""),
    switch("no-subreaper", ""),
    HELP,
];

const EXEC: [Flag; 19] = [
    value("console-socket", ""),
    value("pidfd-socket", ""),
    value("cwd", ""),
    value("env", "e"),
    switch("tty", "t"),
    value("user", "u"),
    value("additional-gids", "g"),
    value("process", "p"),
    switch("detach", "d"),
    value("pid-file", ""),
    value("process-label", ""),
    value("apparmor", ""),
    switch("no-new-privs", ""),
    value("cap", "c"),
    value("preserve-fds", ""),
    value("cgroup", ""),
    switch("ignore-paused", ""),
    switch("no-subreaper", ""),
    HELP,
];

const UPDATE: [Flag; 22] = [
    value("resources", "r"),
    value("blkio-weight", ""),
    value("cpu-period", ""),
    value("cpu-quota", ""),
    value("cpu-burst", ""),
    value("cpu-share", ""),
    value("cpu-rt-period", ""),
    value("cpu-rt-runtime", ""),
    value("cpu-idle", ""),
    value("cpuset-cpus", ""),
    value("cpuset-mems", ""),
    value("kernel-memory", ""),
    value("kernel-memory-tcp", ""),
    value("memory", ""),
    value("memory-reservation", ""),
    value("memory-swap", ""),
    value("memory-swappiness", ""),
    value("pids-limit", ""),
    value("l3-cache-schema", ""),
    value("mem-bw-schema", ""),
    switch("check-before-update", ""),
    HELP,
];

const ID: &str = "<container-id>";

/// All of them.
pub(super) const COMMANDS: [Command; 17] = [
    Command {
        name: "create",
        about: "create a container",
        arguments: ID,
        flags: &CREATE,
        until: Until::End,
        count: Count::Exactly(1),
        enters: true,
        run: create::create,
    },
    Command {
        name: "run",
        about: "create and run a container",
        arguments: ID,
        flags: &RUN,
        until: Until::End,
        count: Count::Exactly(1),
        enters: true,
        run: create::run,
    },
    Command {
        name: "exec",
        about: "execute new process inside the container",
        arguments: "<container-id> <command> [command options]  || -p process.json <container-id>",
        flags: &EXEC,
        until: Until::FirstArgument,
        count: Count::AtLeast(1),
        enters: true,
        run: exec::exec,
    },
    simple(
        "start",
        "executes the user defined process in a created container",
        control::start,
    ),
    simple("state", "output the state of a container", list::state),
    simple(
        "pause",
        "pause suspends all processes inside the container",
        control::pause,
    ),
    simple(
        "resume",
        "resumes all processes that have been previously paused",
        control::resume,
    ),
    Command {
        name: "kill",
        about: "kill sends the specified signal (default: SIGTERM) to the container's init process",
        arguments: "<container-id> [signal]",
        flags: &[switch("all", "a"), HELP],
        until: Until::End,
        count: Count::AtLeast(1),
        enters: false,
        run: control::kill,
    },
    Command {
        name: "delete",
        about: "delete any resources held by the container often used with detached container",
        arguments: ID,
        flags: &[switch("force", "f"), HELP],
        until: Until::End,
        count: Count::Exactly(1),
        enters: false,
        run: control::delete,
    },
    Command {
        name: "list",
        about: "lists containers started with the given root",
        arguments: "",
        flags: &[value("format", "f"), switch("quiet", "q"), HELP],
        until: Until::End,
        count: Count::Exactly(0),
        enters: false,
        run: list::list,
    },
    Command {
        name: "ps",
        about: "ps displays the processes running inside a container",
        arguments: "<container-id> [ps options]",
        flags: &[value("format", "f"), HELP],
        until: Until::FirstArgument,
        count: Count::AtLeast(1),
        enters: false,
        run: process::ps,
    },
    Command {
        name: "update",
        about: "update container resource constraints",
        arguments: ID,
        flags: &UPDATE,
        until: Until::End,
        count: Count::Exactly(1),
        enters: false,
        run: update::update,
    },
    Command {
        name: "events",
        about: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
        arguments: ID,
        flags: &[value("interval", ""), switch("stats", ""), HELP],
        until: Until::End,
        count: Count::Exactly(1),
        enters: false,
        run: events::events,
    },
    Command {
        name: "spec",
        about: "create a new specification file",
        arguments: "",
        flags: &[value("bundle", "b"), switch("rootless", ""), HELP],
        until: Until::End,
        count: Count::Exactly(0),
        enters: false,
        run: spec::spec,
    },
    Command {
        name: "features",
        about: "show the enabled features",
        arguments: "",
        flags: &[HELP],
        until: Until::End,
        count: Count::Exactly(0),
        enters: false,
        run: features::features,
    },
    Command {
        name: "checkpoint",
        about: "checkpoint a running container (not yet)",
        arguments: ID,
        flags: &[HELP],
        until: Until::FirstArgument,
        count: Count::AtLeast(0),
        enters: false,
        run: control::no_criu,
    },
    Command {
        name: "restore",
        about: "restore a container from a previous checkpoint (not yet)",
        arguments: ID,
        flags: &[HELP],
        until: Until::FirstArgument,
        count: Count::AtLeast(0),
        enters: false,
        run: control::no_criu,
    },
];

/// A command with an id and nothing else.
const fn simple(
    name: &'static str,
    about: &'static str,
    run: fn(&Context, &Words) -> Result<i32>,
) -> Command {
    Command {
        name,
        about,
        arguments: ID,
        flags: &[HELP],
        until: Until::End,
        count: Count::Exactly(1),
        enters: false,
        run,
    }
}

/// What `--help` of a command says.
pub(super) fn usage(program: &str, command: &Command) -> String {
    let Command {
        name,
        about,
        arguments,
        flags,
        ..
    } = command;
    let mut text = format!(
        "NAME:\n   {program} {name} - {about}\n\nUSAGE:\n   {program} {name} [command options] {arguments}\n\nOPTIONS:\n"
    );
    text.extend(flags.iter().map(described));
    text
}

/// What `--help` says.
pub(super) fn help(program: &str) -> String {
    let mut text = format!(
        "NAME:\n   {program} - Open Container Initiative runtime\n\nUSAGE:\n   {program} [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
    );
    let line = |command: &Command| {
        format!(
            "   {:<11} {}
",
            command.name, command.about
        )
    };
    text.extend(COMMANDS.iter().map(line));
    text.push_str("\nGLOBAL OPTIONS:\n");
    text.extend(GLOBALS.iter().map(described));
    text
}

fn described(flag: &Flag) -> String {
    let value = if flag.takes_value { " value" } else { "" };
    match flag.short {
        "" => format!("   --{}{value}\n", flag.name),
        short if short.len() == 1 => format!("   --{}{value}, -{short}{value}\n", flag.name),
        short => format!("   --{}{value}, --{short}{value}\n", flag.name),
    }
}
