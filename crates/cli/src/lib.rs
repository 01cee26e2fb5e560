//! The command line: parse, one or more API requests, an exit code.
//!
//! Vocabulary: a *command* is a row of the tables (`container ls`, also called `ps`), a *session*
//! is one call of the program. Flags and texts are data ([`tables`]); a verb is a function in
//! [`commands`]; bytes between us and a container pass one loop ([`stream`]).
//!
//! Invariants: the environment is read once; one connection is kept for all requests but those
//! that stay open; attach and wait are in flight before start; nothing is written to stdout but
//! what was asked for.

#![forbid(unsafe_code)]

mod client;
mod commands;
mod config;
mod container_config;
mod contexts;
mod credentials;
mod demux;
mod device_flags;
mod error;
mod flags;
mod format;
mod help;
mod http;
mod keys;
mod local_tree;
mod network_flags;
mod progress;
mod rows;
mod session;
mod settings;
mod ssh;
mod start;
mod stream;
mod tables;
mod text;

use std::ffi::OsString;
use std::os::fd::AsFd;

use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::session::{Session, print_bytes, warn};
use crate::tables::{Args, Command};

/// The client's version: that of Docker's client whose words it speaks.
pub(crate) const VERSION: &str = "28.5.2";

/// Runs the command line `args`, the program's name first, with the variables of `env`. Returns
/// the exit code.
pub fn run(args: &[OsString], env: Vec<(OsString, OsString)>) -> i32 {
    let mut words = args.iter().map(|arg| arg.to_string_lossy().into_owned());
    let name = words.next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let program = if name == "docker" { "docker" } else { "wharf" };
    let words: Vec<String> = words.collect();
    match dispatch(Config::new(program, env), &words) {
        Ok(code) => code,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                warn(&text);
            }
            error.exit_code()
        }
    }
}

/// Prints every row of the compatibility table as JSON: the client's own, and those of the API,
/// which are given as name, state and note. Returns the exit code.
pub fn print_rows(operations: &[[String; 3]]) -> i32 {
    commands::rows::print(operations)
}

fn dispatch(mut config: Config, words: &[String]) -> Result<i32> {
    let program = config.program;
    let mut globals = parse_globals(program, false, words)?;
    globals.keep(|long| sys::rows::pass(|| rows::of_flag(None, long)));
    if globals.help {
        print_bytes(help::root(program, width()).as_bytes())?;
        return Ok(0);
    }
    if globals.is_set("version") {
        print_bytes(version_line(program).as_bytes())?;
        return Ok(0);
    }
    let Some(first) = globals.args.first() else {
        warn(help::root(program, width()).trim_end_matches('\n'));
        return Ok(0);
    };
    if first == "help" {
        return show_help(program, &globals.args[1..]);
    }
    check_globals(&globals)?;
    let hosts = globals.all("host");
    if hosts.len() > 1 {
        return Err(Error::text(
            "Failed to initialize: unable to resolve docker endpoint: Specify only one -H",
        ));
    }
    config.home = globals.last("config").map(std::path::PathBuf::from);
    config.settings = settings::Settings::load(&config);
    // Its commands tell of a context that is not there in their own words.
    let is_strict = first != "context";
    let context = globals.last("context").filter(|name| !name.is_empty());
    config.choose_host(hosts.first().map(String::as_str), context, is_strict)?;
    if let Some(code) = global_flags_behind(program, &globals.args)? {
        return Ok(code);
    }
    let (command, path, rest) = match find(program, &globals.args)? {
        Found::Command(command, path, rest) => (command, path, rest),
        Found::Printed(code) => return Ok(code),
    };
    let mut parsed = parse_command(program, command, &path, &rest)?;
    parsed.keep(|long| sys::rows::pass(|| rows::of_flag(Some(command), long)));
    config.settings.fill(command, &mut parsed);
    if parsed.help {
        print_bytes(help::command(program, &path, command, width()).as_bytes())?;
        return Ok(0);
    }
    check_args(program, command, &path, parsed.args.len())?;
    if !sys::rows::pass(|| rows::of_command(command).to_owned()) {
        return Ok(0);
    }
    let client = Client::new(&config);
    let mut session = Session {
        config,
        client,
        path,
    };
    match commands::handler(command.paths[0]) {
        Some(handler) => handler(&mut session, &parsed),
        None => Err(Error::text(format!(
            "{program}: '{program} {}' is not built yet",
            session.path
        ))),
    }
}

/// The words behind a command that does not exist are the program's own flags, as Docker reads
/// them: `docker nosuch --help` helps.
fn global_flags_behind(program: &str, words: &[String]) -> Result<Option<i32>> {
    let first = words[0].as_str();
    let group = tables::GROUPS
        .iter()
        .chain(tables::SWARM_GROUPS)
        .any(|(name, _)| *name == first);
    if group || tables::commands().any(|command| command.paths.contains(&first)) {
        return Ok(None);
    }
    let behind = parse_globals(program, true, &words[1..])?;
    if behind.help {
        print_bytes(help::root(program, width()).as_bytes())?;
        return Ok(Some(0));
    }
    if behind.is_set("version") {
        print_bytes(version_line(program).as_bytes())?;
        return Ok(Some(0));
    }
    Ok(None)
}

fn parse_globals(program: &str, interspersed: bool, words: &[String]) -> Result<Parsed> {
    let flags: Vec<_> = tables::GLOBAL.iter().collect();
    flags::parse(&flags, interspersed, words).map_err(|text| Error::Exit {
        text: format!(
            "{text}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
        ),
        code: 125,
    })
}

fn version_line(program: &str) -> String {
    if program == "docker" {
        format!(
            "Docker version {VERSION}, build wharf-{}\n",
            env!("CARGO_PKG_VERSION")
        )
    } else {
        format!("Wharf version {}\n", env!("CARGO_PKG_VERSION"))
    }
}

fn check_globals(globals: &Parsed) -> Result<()> {
    if globals.given("host") && globals.given("context") {
        return Err(Error::text(
            "conflicting options: cannot specify both --host and --context",
        ));
    }
    let level = globals.text("log-level");
    if !matches!(
        level,
        "" | "debug" | "info" | "warn" | "warning" | "error" | "fatal" | "panic" | "trace"
    ) {
        return Err(Error::Exit {
            text: format!("Unable to parse logging level: {level}"),
            code: 1,
        });
    }
    for flag in ["tls", "tlsverify"] {
        if globals.is_set(flag) {
            return Err(Error::text(format!("--{flag} is not built yet")));
        }
    }
    Ok(())
}

/// What the words before the flags name.
enum Found {
    /// A command, how it was called, and the words behind it.
    Command(&'static Command, String, Vec<String>),
    /// A group whose help was printed.
    Printed(i32),
}

fn find(program: &str, words: &[String]) -> Result<Found> {
    let unknown = |typed: &str, usage: &str, hint: &str| Error::Exit {
        text: format!(
            "{program}: unknown command: {program} {typed}\n\n{usage}Run '{program}{hint} --help' for more information"
        ),
        code: 1,
    };
    let first = &words[0];
    let group = tables::GROUPS
        .iter()
        .chain(tables::SWARM_GROUPS)
        .find(|(name, _)| name == first);
    let Some((group, about)) = group else {
        return match tables::commands().find(|command| command.paths.contains(&first.as_str())) {
            Some(command) => Ok(Found::Command(command, first.clone(), words[1..].to_vec())),
            None => Err(unknown(first, "", "")),
        };
    };
    match words.get(1).map(String::as_str) {
        None => {
            warn(help::group(program, group, about).trim_end_matches('\n'));
            Ok(Found::Printed(0))
        }
        Some("--help" | "-h" | "help") => {
            print_bytes(help::group(program, group, about).as_bytes())?;
            Ok(Found::Printed(0))
        }
        Some(flag) if flag.starts_with('-') => Err(Error::Exit {
            text: format!(
                "{}\n\nUsage:  {program} {group} COMMAND\n\nRun '{program} {group} --help' for more information",
                if let Some(long) = flag.strip_prefix("--") {
                    format!(
                        "unknown flag: --{}",
                        long.split('=').next().unwrap_or_default()
                    )
                } else {
                    format!(
                        "unknown shorthand flag: '{}' in {flag}",
                        &flag[1..].chars().next().unwrap_or(' ')
                    )
                }
            ),
            code: 125,
        }),
        Some(second) => {
            let path = format!("{group} {second}");
            let found = tables::commands().find(|command| command.paths.contains(&path.as_str()));
            match found {
                Some(command) => {
                    // As Docker's library does, an alias is shown under the command's own name.
                    Ok(Found::Command(
                        command,
                        command.paths[0].to_owned(),
                        words[2..].to_vec(),
                    ))
                }
                None if tables::SWARM_GROUPS.iter().any(|(name, _)| name == group) => {
                    Err(Error::text(
                        "Error response from daemon: This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
                    ))
                }
                None => Err(unknown(
                    &path,
                    &format!("Usage:  {program} {group}\n\n"),
                    &format!(" {group}"),
                )),
            }
        }
    }
}

fn show_help(program: &str, words: &[String]) -> Result<i32> {
    if words.is_empty() {
        print_bytes(help::root(program, width()).as_bytes())?;
        return Ok(0);
    }
    match find(program, words).map_err(|_| Error::Exit {
        text: format!("unknown help topic: {}", words.join(" ")),
        code: 1,
    })? {
        Found::Command(command, path, _) => {
            print_bytes(help::command(program, &path, command, width()).as_bytes())?;
            Ok(0)
        }
        Found::Printed(code) => Ok(code),
    }
}

fn parse_command(
    program: &str,
    command: &'static Command,
    path: &str,
    words: &[String],
) -> Result<Parsed> {
    let all: Vec<_> = command.flags().collect();
    flags::parse(&all, command.interspersed, words).map_err(|text| Error::Exit {
        text: format!(
            "{text}\n\n{}\n\nRun '{program} {path} --help' for more information",
            help::usage(program, path, command)
        ),
        code: 125,
    })
}

fn check_args(program: &str, command: &Command, path: &str, count: usize) -> Result<()> {
    let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
    let (verb, text) = match command.args {
        Args::None if count > 0 => ("Run", "accepts no arguments".to_owned()),
        Args::Min(least) if count < least => (
            "See",
            format!("requires at least {least} {}", plural(least)),
        ),
        // Docker's own words, its slip of the pen too: scripts compare whole texts.
        Args::Max(most) if count > most => {
            ("SRun", format!("requires at most {most} {}", plural(most)))
        }
        Args::Exact(exact) if count != exact => {
            ("Run", format!("requires {exact} {}", plural(exact)))
        }
        Args::Range(least, most) if !(least..=most).contains(&count) => (
            "Run",
            format!(
                "requires at least {least} and at most {most} {}",
                plural(most)
            ),
        ),
        _ => return Ok(()),
    };
    Err(Error::Exit {
        text: format!(
            "{program}: '{program} {path}' {text}\n\n{}\n\n{verb} '{program} {path} --help' for more information",
            help::usage(program, path, command)
        ),
        code: 1,
    })
}

/// Returns the columns that help may use: those of the terminal at stdin, less one.
fn width() -> usize {
    let size = sys::tty::size(std::io::stdin().as_fd());
    size.map_or(
        80,
        |(width, _)| if width == 0 { 80 } else { usize::from(width) },
    ) - 1
}
