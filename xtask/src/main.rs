//! The house's own tools. Everything that CI does is one of these commands; nothing exists only in CI.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person at a terminal"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

mod bench;
mod chaos;
mod check;
mod ci;
mod compat;
mod e2e;
mod fresh;
mod noop;
mod oracles;
mod result;
mod rows;
mod run;
mod setup;
mod tidy;
mod vm;

const USAGE: &str = "usage: cargo xtask COMMAND
  check                                    rustfmt, clippy without a warning, tidy
  tidy                                     only the properties of the house
  e2e [--engine wharf|dockerd|dockerd28] [--client docker|wharf] [--tenth N] [FILTER]
                                           the cases of tests/e2e, as root
  noop [--search] [--tenth N] [ROW…]       rows that do nothing must fail a case, as root
  compat [--check]                         write docs/compat.md, or see that it is up to date
  fresh                                    README's first command on a bare Debian, as root
  setup                                    install what the tests use and this machine lacks
  bench [--rounds N] [--profile P] [--only S] [--short]
                                           how long a user waits, beside both Dockers, as root
  chaos [--seed N] [--rounds N | --short] [FILTER]
                                           daemons and shims are killed everywhere, as root
  ci                                       all of it, with one summary
  vm [rooms|e2e] [FILTER]                  the same, and the rooms' tests, on cgroup v2 in a virtual machine, as root
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let root = root()?;
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("check") if rest.is_empty() => check::check(&root),
        Some("tidy") if rest.is_empty() => tidy::check(&root),
        Some("e2e") => e2e::main(&root, &e2e::Choice::parse(rest)?),
        Some("noop") => noop::main(&root, &noop::Walk::parse(rest)?),
        Some("compat") => compat::main(&root, rest),
        Some("bench") => bench::bench(&root, rest),
        Some("chaos") => chaos::main(&root, &chaos::Choice::parse(rest)?),
        Some("fresh") if rest.is_empty() => fresh::fresh(&root),
        Some("setup") if rest.is_empty() => ci::setup_only(&root),
        Some("ci") if rest.is_empty() => ci::ci(&root),
        Some("vm") => vm::main(&root, rest),
        Some("vm-guest") => vm::in_guest(rest),
        Some("help" | "--help") | None => {
            print!("{USAGE}");
            Ok(())
        }
        Some(_) => bail!("unknown command: {}\n{USAGE}", arguments.join(" ")),
    }
}

/// Returns the root of the repository: the folder above this crate.
fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .context("xtask lies in the repository's root")
}
