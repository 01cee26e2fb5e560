//! Pure: every command and flag as data: names, types, help texts.

mod build;
mod container;
mod image;
mod network;
mod other;
mod own;
mod system;
mod volume;

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    /// What is typed for it: `container ls`, …, `ps`; the first one names it.
    pub(crate) paths: &'static [&'static str],
    /// What follows the name in the usage line; some have two lines.
    pub(crate) usage: &'static [&'static str],
    /// What it does; the first line is shown in lists.
    pub(crate) about: &'static str,
    /// Its flags, in groups that commands share.
    pub(crate) flags: &'static [&'static [Flag]],
    /// How many arguments it takes.
    pub(crate) args: Args,
    /// Whether flags may stand behind the first argument.
    pub(crate) interspersed: bool,
}

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Args {
    /// As many as there are.
    Any,
    /// None at all.
    None,
    /// At least so many.
    Min(usize),
    /// At most so many.
    Max(usize),
    /// Just so many.
    Exact(usize),
    /// From … to.
    Range(usize, usize),
}

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// One letter, or a blank.
    pub(crate) short: char,
    /// The long name, without dashes.
    pub(crate) long: &'static str,
    /// What its value is.
    pub(crate) kind: Kind,
    /// What it does.
    pub(crate) help: &'static str,
    /// Understood, but not shown.
    pub(crate) hidden: bool,
}

/// What a flag's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Switch,
    Text,
    List,
    Strings,
    Map,
    Int,
    Uint,
    Uint16,
    Bytes,
    MemorySwap,
    Decimal,
    Duration,
    Filter,
    Network,
    Mount,
    Gpu,
    Ulimit,
    IpList,
    ExtraHost,
    Sysctl,
    Env,
    Label,
    Attach,
    Device,
    DeviceRule,
    WeightDevice,
    RateBytes,
    RateCount,
    Link,
}

impl Kind {
    /// Returns the word that help shows for the value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Switch => "",
            Self::Text => "string",
            Self::Strings => "strings",
            Self::Map | Self::Sysctl => "map",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Uint16 => "uint16",
            Self::Bytes | Self::MemorySwap => "bytes",
            Self::Decimal => "decimal",
            Self::Duration => "duration",
            Self::Filter => "filter",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Gpu => "gpu-request",
            Self::Ulimit => "ulimit",
            Self::List
            | Self::IpList
            | Self::ExtraHost
            | Self::Env
            | Self::Label
            | Self::Attach
            | Self::Device
            | Self::DeviceRule
            | Self::WeightDevice
            | Self::RateBytes
            | Self::RateCount
            | Self::Link => "list",
        }
    }
}

const fn flag(short: char, long: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag {
        short,
        long,
        kind,
        help,
        hidden: false,
    }
}

const fn hidden(long: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag {
        short: ' ',
        long,
        kind,
        help,
        hidden: true,
    }
}

impl Command {
    /// Returns its flags.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().flat_map(|group| group.iter())
    }

    /// Returns the first line of what it does.
    pub(crate) fn summary(&self) -> &'static str {
        self.about.lines().next().unwrap_or_default()
    }
}

/// Returns every command.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> {
    [
        container::COMMANDS,
        build::COMMANDS,
        image::COMMANDS,
        network::COMMANDS,
        volume::COMMANDS,
        system::COMMANDS,
        other::COMMANDS,
        own::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// Words that group commands, with what they do.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("builder", "Manage builds"),
    ("container", "Manage containers"),
    ("context", "Manage contexts"),
    ("image", "Manage images"),
    (
        "manifest",
        "Manage Docker image manifests and manifest lists",
    ),
    ("network", "Manage networks"),
    ("plugin", "Manage plugins"),
    ("registry", "Serve images"),
    ("system", "Manage Docker"),
    ("trust", "Manage trust on Docker images"),
    ("volume", "Manage volumes"),
];

/// Groups that need a swarm.
pub(crate) const SWARM_GROUPS: &[(&str, &str)] = &[
    ("config", "Manage Swarm configs"),
    ("node", "Manage Swarm nodes"),
    ("secret", "Manage Swarm secrets"),
    ("service", "Manage Swarm services"),
    ("stack", "Manage Swarm stacks"),
    ("swarm", "Manage Swarm"),
];

/// The commands that help names first.
pub(crate) const COMMON: &[&str] = &[
    "run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "search", "version",
    "info",
];

/// Shown only where `-h` means something else.
pub(crate) const HELP: Flag = flag(' ', "help", Kind::Switch, "Print usage");

/// Flags that stand before the command.
#[rustfmt::skip]
pub(crate) const GLOBAL: &[Flag] = &[
    flag(' ', "config", Kind::Text, "Location of client config files (default \"/root/.docker\")"),
    flag('c', "context", Kind::Text, "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with \"docker context use\")"),
    flag('D', "debug", Kind::Switch, "Enable debug mode"),
    flag('H', "host", Kind::List, "Daemon socket to connect to"),
    flag('l', "log-level", Kind::Text, "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\") (default \"info\")"),
    flag(' ', "tls", Kind::Switch, "Use TLS; implied by --tlsverify"),
    flag(' ', "tlscacert", Kind::Text, "Trust certs signed only by this CA (default \"/root/.docker/ca.pem\")"),
    flag(' ', "tlscert", Kind::Text, "Path to TLS certificate file (default \"/root/.docker/cert.pem\")"),
    flag(' ', "tlskey", Kind::Text, "Path to TLS key file (default \"/root/.docker/key.pem\")"),
    flag(' ', "tlsverify", Kind::Switch, "Use TLS and verify the remote"),
    flag('v', "version", Kind::Switch, "Print version information and quit"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_command_and_no_flag_stands_twice() {
        let mut paths = BTreeSet::new();
        for command in commands() {
            for path in command.paths {
                assert!(paths.insert(*path), "{path}");
            }
            let mut names = BTreeSet::new();
            for flag in command.flags() {
                assert!(
                    names.insert(flag.long.to_owned()),
                    "{} --{}",
                    command.paths[0],
                    flag.long
                );
                if flag.short != ' ' {
                    assert!(names.insert(format!("-{}", flag.short)), "-{}", flag.short);
                }
            }
        }
        assert!(paths.contains("run") && paths.contains("container ls"));
    }
}
