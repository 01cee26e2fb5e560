//! Pure: the rows of the compatibility table that are the client's: every command and flag of
//! Docker's client, and what we say of it.
//!
//! Vocabulary: a *row* is named as a person types it: `run --name`, `image inspect`, `--host` (a
//! flag before the command). Rows come out of the tables that the parser reads ([`tables`]), so a
//! flag without a row is not possible; what Docker has and we lack stands here.

use crate::tables::{self, Command};

/// What we say of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is there. Whether it works is for the tests to say.
    Built,
    /// Some of it is there.
    Partly(&'static str),
    /// It will not be there.
    Refused(&'static str),
    /// It is there, but the kernels at hand lack the named option.
    #[expect(
        dead_code,
        reason = "what is built today needs no option that is lacking"
    )]
    Untested(&'static str),
    /// It is not there yet.
    NotYet(&'static str),
}

impl State {
    /// Returns the word for it in the table.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Partly(_) => "partly",
            Self::Refused(_) => "refused",
            Self::Untested(_) => "untested",
            Self::NotYet(_) => "not yet",
        }
    }

    /// Returns what is to be said beside the word.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            Self::Built => "",
            Self::Partly(note)
            | Self::Refused(note)
            | Self::Untested(note)
            | Self::NotYet(note) => note,
        }
    }
}

/// Returns the name of a command's row: the shortest that is typed for it.
pub(crate) fn of_command(command: &Command) -> &'static str {
    let short = command.paths.iter().find(|path| !path.contains(' '));
    short.unwrap_or(&command.paths[0])
}

/// Returns the name of a flag's row; a flag that stands before the command has no command.
pub(crate) fn of_flag(command: Option<&Command>, long: &str) -> String {
    match command {
        Some(command) => format!("{} --{long}", of_command(command)),
        None => format!("--{long}"),
    }
}

/// Returns every row and what we say of it; `built` tells whether a command, by its first path, has
/// a function.
pub(crate) fn all(built: impl Fn(&str) -> bool) -> Vec<(String, State)> {
    let mut rows = Vec::new();
    for flag in tables::GLOBAL {
        let name = of_flag(None, flag.long);
        rows.push((name.clone(), said_of(&name, State::Built)));
    }
    for command in tables::commands() {
        let name = of_command(command);
        let whole = if built(command.paths[0]) {
            State::Built
        } else {
            State::NotYet("a later issue")
        };
        let whole = said_of(name, whole);
        rows.push((name.to_owned(), whole));
        for flag in command.flags() {
            let name = of_flag(Some(command), flag.long);
            // A flag of what is not there is not there either.
            let state = if matches!(whole, State::Refused(_) | State::NotYet(_)) {
                whole
            } else {
                said_of(&name, State::Built)
            };
            rows.push((name, state));
        }
    }
    for (command, flags, state) in LACKING {
        if !command.is_empty() && !rows.iter().any(|(name, _)| name == command) {
            rows.push(((*command).to_owned(), *state));
        }
        for flag in *flags {
            rows.push((format!("{command} --{flag}"), *state));
        }
    }
    for (group, commands) in SWARM {
        for command in *commands {
            let name = format!("{group} {command}");
            if !rows.iter().any(|(known, _)| *known == name) {
                rows.push((name, State::Refused(NO_SWARM)));
            }
        }
    }
    rows
}

fn said_of(name: &str, otherwise: State) -> State {
    let shared = ["run --", "create --"]
        .iter()
        .find_map(|command| name.strip_prefix(command));
    let said = SAID.iter().find(|(row, _)| *row == name).or_else(|| {
        let flag = shared?;
        SAID_OF_CREATE.iter().find(|(known, _)| *known == flag)
    });
    said.map_or(otherwise, |(_, state)| *state)
}

const NO_SWARM: &str = "swarm: one host; the answer is the daemon's own for a host outside a swarm";
const LATER: State = State::NotYet("a later issue");
const WINDOWS: State = State::Refused("Windows only, as in Docker");
const IPV6: State = State::NotYet("IPv6 in containers is a later issue");

/// What we say of rows of the parser's tables, where it is more than that they are built.
#[rustfmt::skip]
const SAID: &[(&str, State)] = &[
    ("--debug", State::Partly("accepted; the client has nothing more to say")),
    ("--tls", LATER),
    ("--tlscacert", LATER),
    ("--tlscert", LATER),
    ("--tlskey", LATER),
    ("--tlsverify", LATER),
    ("history --platform", LATER),
    ("image inspect --platform", LATER),
    ("images --tree", LATER),
    ("import --platform", State::Partly("only this machine's")),
    ("load --platform", LATER),
    ("load --quiet", State::Partly("accepted: there is no progress to leave out")),
    ("network connect --ip6", IPV6),
    ("network connect --link-local-ip", LATER),
    ("network create --config-from", LATER),
    ("network create --config-only", LATER),
    ("network create --ingress", State::Refused(NO_SWARM)),
    ("network create --ipv4", State::Partly("only on")),
    ("network create --ipv6", IPV6),
    ("network create --scope", State::Partly("only local")),
    ("network inspect --verbose", State::Partly("accepted: there are no services")),
    ("pull --disable-content-trust", State::Partly("accepted: there is no content trust")),
    ("push --disable-content-trust", State::Partly("accepted: there is no content trust")),
    ("push --platform", State::Partly("only the image's own")),
    ("rm --link", LATER),
    ("rmi --no-prune", State::Partly("parents without a name are kept anyway")),
    ("rmi --platform", LATER),
    ("swarm init", State::Refused(NO_SWARM)),
    ("swarm join", State::Refused(NO_SWARM)),
    ("save --platform", LATER),
    ("system df --verbose", LATER),
    ("system prune", State::NotYet("user-defined networks cannot be pruned yet")),
    ("update --blkio-weight", LATER),
    ("update --cpu-rt-period", LATER),
    ("update --cpu-rt-runtime", LATER),
];

/// As [`SAID`], of flags that `run` and `create` share.
#[rustfmt::skip]
const SAID_OF_CREATE: &[(&str, State)] = &[
    ("cpu-count", WINDOWS),
    ("cpu-percent", WINDOWS),
    ("disable-content-trust", State::Partly("accepted: there is no content trust, as in Docker 29")),
    ("gpus", State::Partly("by files of CDI in JSON, without hooks")),
    ("io-maxbandwidth", WINDOWS),
    ("io-maxiops", WINDOWS),
    ("ip6", IPV6),
    ("isolation", WINDOWS),
    ("kernel-memory", State::Refused("the kernel has lost it")),
    ("link-local-ip", LATER),
    ("storage-opt", State::Refused("no file system here can, in Docker's words: it needs xfs with pquota")),
    ("use-api-socket", State::Partly("the socket, not the credentials of config.json")),
];

/// What Docker's client has (29.7) and the parser's tables lack: a command, its flags.
#[rustfmt::skip]
const LACKING: &[(&str, &[&str], State)] = &[
    ("bake", &[], State::NotYet("a plugin of Docker's: buildx")),
    ("builder prune", &["all", "filter", "force", "keep-storage"], LATER),
    ("checkpoint create", &["checkpoint-dir", "leave-running"], State::NotYet("checkpoints, experimental in Docker")),
    ("checkpoint ls", &["checkpoint-dir"], State::NotYet("checkpoints, experimental in Docker")),
    ("checkpoint rm", &["checkpoint-dir"], State::NotYet("checkpoints, experimental in Docker")),
    ("commit", &["no-pause"], LATER),
    ("start", &["checkpoint", "checkpoint-dir"], State::NotYet("checkpoints, experimental in Docker")),
    ("update", &["kernel-memory"], LATER),
    ("image build", &["cache-from", "compress", "disable-content-trust", "force-rm", "isolation", "rm"], LATER),
    ("volume create", &["availability", "group", "limit-bytes", "name", "required-bytes", "scope", "secret", "sharing", "topology-preferred", "topology-required", "type"], State::NotYet("cluster volumes")),
    ("volume ls", &["cluster"], State::NotYet("cluster volumes")),
    ("volume update", &["availability"], State::NotYet("cluster volumes")),
];

/// Commands that need a swarm.
#[rustfmt::skip]
const SWARM: &[(&str, &[&str])] = &[
    ("config", &["create", "inspect", "ls", "rm"]),
    ("node", &["demote", "inspect", "ls", "promote", "ps", "rm", "update"]),
    ("secret", &["create", "inspect", "ls", "rm"]),
    ("service", &["create", "inspect", "logs", "ls", "ps", "rm", "rollback", "scale", "update"]),
    ("stack", &["config", "deploy", "ls", "ps", "rm", "services"]),
    ("swarm", &["ca", "init", "join", "join-token", "leave", "unlock", "unlock-key", "update"]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_stands_once() {
        let rows = all(|_| true);
        let mut names = BTreeSet::new();
        for (name, _) in &rows {
            assert!(names.insert(name), "{name}");
        }
        // Each of 127 leaf commands once, with its flags; those that need a swarm without.
        assert!(rows.len() > 600, "{}", rows.len());
    }

    #[test]
    fn what_is_said_is_said_of_a_row() {
        let rows = all(|_| true);
        for (row, state) in SAID {
            assert!(rows.contains(&((*row).to_owned(), *state)), "{row}");
        }
        for (flag, state) in SAID_OF_CREATE {
            for command in ["run", "create"] {
                let row = format!("{command} --{flag}");
                assert!(rows.contains(&(row.clone(), *state)), "{row}");
            }
        }
    }

    #[test]
    fn a_row_has_the_name_that_is_typed() {
        let names: Vec<String> = all(|_| true).into_iter().map(|(name, _)| name).collect();
        for name in [
            "ps --all",
            "run --name",
            "image inspect --format",
            "--host",
            "stack ls",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
