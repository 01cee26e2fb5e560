//! The command line of the OCI runtime, as runc has it: `wharf runtime COMMAND`, or the program's
//! own name is `wharf-runc`, `runc` or `crun`.
//!
//! Nobody of ours stays with a container that is made here: its callers (conmon, containerd-shim)
//! keep it, and the state directory is all that the next command knows.

mod bundle;
mod console;
mod control;
mod create;
mod error;
mod events;
mod exec;
mod features;
mod foreground;
mod list;
mod process;
mod protect;
mod report;
mod spec;
mod store;
mod table;
mod update;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use crate::error::unheard;
use error::{Error, Result};
use report::Report;
use store::Store;
use table::COMMANDS;
use words::{Until, Words};

/// What the process is called by, and what it got from its caller.
#[derive(Debug)]
pub struct Call<'a> {
    /// The program's own name, for messages: `runc`, or `wharf runtime`.
    pub name: &'a str,
    /// The words behind it.
    pub args: &'a [OsString],
    /// All words of the process, for starting it anew.
    pub all: Vec<OsString>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
}

/// What all commands know.
#[derive(Debug)]
struct Context {
    store: Store,
    report: Report,
    /// Descriptors that systemd passes to the container (sd_listen_fds(3)).
    listen_fds: u32,
}

/// A failed command and its exit code.
struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }
}

/// Runs one command; returns its exit code.
pub fn main(call: &Call<'_>) -> i32 {
    let mut report = Report::default();
    match run(call, &mut report) {
        Ok(code) => code,
        Err(fault) => {
            report.error(&fault.message);
            fault.code
        }
    }
}

fn run(call: &Call<'_>, report: &mut Report) -> Result<i32, Fault> {
    let mut args = Vec::with_capacity(call.args.len());
    for word in call.args {
        let word = word.to_str();
        args.push(
            word.ok_or_else(|| Fault::usage("an argument is no UTF-8"))?
                .to_owned(),
        );
    }
    let globals = Words::parse(&args, &table::GLOBALS, Until::FirstArgument);
    let globals = globals.map_err(|message| {
        print(&format!(
            "Incorrect Usage. {message}\n\n{}\n",
            table::help(call.name)
        ));
        Fault::usage(message)
    })?;
    *report = reporting(&globals)?;
    if globals.is_on("version") {
        print(&version(call.name));
        return Ok(0);
    }
    let words = globals.args.as_slice();
    let (name, rest) = match words.split_first() {
        Some((name, rest)) if !globals.is_on("help") => (name.as_str(), rest),
        _ => {
            print(&format!("{}\n", table::help(call.name)));
            return Ok(0);
        }
    };
    if matches!(name, "help" | "h") {
        print(&format!("{}\n", table::help(call.name)));
        return Ok(0);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(Fault {
            code: 3,
            message: format!("No help topic for '{name}'\n"),
        });
    };
    let words = Words::parse(rest, command.flags, command.until).map_err(|message| {
        print(&format!(
            "Incorrect Usage: {message}\n\n{}\n",
            table::usage(call.name, command)
        ));
        Fault::usage(message)
    })?;
    if words.is_on("help") {
        print(&format!("{}\n", table::usage(call.name, command)));
        return Ok(0);
    }
    command.count.check(words.args.len()).map_err(|expected| {
        print(&format!(
            "Incorrect Usage.\n\n{}\n",
            table::usage(call.name, command)
        ));
        Fault::usage(format!("{}: {name:?} {expected}", call.name))
    })?;
    if globals.is_on("systemd-cgroup") || globals.get("cgroup-manager") == Some("systemd") {
        return Err(Fault::usage(
            "systemd cgroup flag passed, but systemd support for managing cgroups is not available",
        ));
    }
    let context = context(call, &globals, report)?;
    if command.enters {
        protect::own_program(call).map_err(|error| Fault::usage(error.to_string()))?;
    }
    (command.run)(&context, &words).map_err(|error| fault(name, &error))
}

fn fault(command: &str, error: &Error) -> Fault {
    let (code, message) = match command {
        "create" => (1, format!("runc create failed: {error}")),
        "run" => (1, format!("runc run failed: {error}")),
        "exec" => (255, format!("exec failed: {error}")),
        _ => (1, error.to_string()),
    };
    Fault { code, message }
}

fn reporting(globals: &Words) -> Result<Report, Fault> {
    let json = match globals.get("log-format") {
        None | Some("text" | "") => false,
        Some("json") => true,
        Some(word) => return Err(Fault::usage(format!("invalid log-format: {word}"))),
    };
    Ok(Report {
        file: globals
            .get("log")
            .filter(|path| !path.is_empty() && *path != "/dev/stderr")
            .map(PathBuf::from),
        json,
    })
}

fn context(call: &Call<'_>, globals: &Words, report: &Report) -> Result<Context, Fault> {
    let env = |name: &str| {
        let found = call.env.iter().find(|(own, _)| own == name);
        found.and_then(|(_, value)| value.to_str())
    };
    let root = match globals.get("root").filter(|root| !root.is_empty()) {
        Some(root) => absolute(root)?,
        None => PathBuf::from(match call.name {
            "runc" => "/run/runc",
            "crun" => "/run/crun",
            _ => "/run/wharf/runtime",
        }),
    };
    Ok(Context {
        store: Store::new(root),
        report: report.clone(),
        listen_fds: env("LISTEN_FDS")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
    })
}

/// A path of the caller's, from its working directory.
fn absolute(path: &str) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::usage(format!("{path:?}: {error}")))
}

fn version(name: &str) -> String {
    format!(
        "{name} version {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        features::SPEC_VERSION
    )
}

/// Writes to standard output; a reader that went away wants no more.
fn print(text: &str) {
    unheard(std::io::stdout().write_all(text.as_bytes()));
}
