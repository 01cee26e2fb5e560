//! How long a user waits, and what the engine takes, beside the reference engines, in one
//! interleaved run.
//!
//! Each scenario is what a user types, timed from spawn to end. Rounds alternate between the sides,
//! so that all see the same machine. Every engine has a network namespace of its own, the same
//! image, the same bridge, the same filters: that is checked inside a container first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::oracles;
use crate::run::{run, step};

mod memory;
mod registry;
mod report;
mod scenario;
mod side;

/// How much is measured.
struct Plan {
    rounds: usize,
    profile: String,
    /// Containers behind the last number of memory, and for how long they run before it.
    many: (usize, u64),
    /// Only scenarios whose name holds this.
    only: String,
}

impl Plan {
    fn parse(words: &[String]) -> Result<Plan> {
        let mut plan = Plan {
            rounds: 15,
            profile: "dist".to_owned(),
            many: (100, 60),
            only: String::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--short" {
                plan.many = (20, 2);
                continue;
            }
            let value = words
                .next()
                .with_context(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--rounds" => plan.rounds = value.parse()?,
                "--profile" => plan.profile.clone_from(value),
                "--only" => plan.only.clone_from(value),
                _ => bail!("unknown flag: {word}"),
            }
        }
        ensure!(plan.rounds > 0, "no rounds, no numbers");
        Ok(plan)
    }
}

/// Runs every scenario on every side and writes a table and `bench/results`.
pub(crate) fn bench(root: &Path, words: &[String]) -> Result<()> {
    let plan = Plan::parse(words)?;
    step("build what is measured");
    let wharf = build(root, &plan.profile)?;
    if plan.only == "registry" {
        return registry::bench(root, &wharf);
    }
    let oracles = oracles::unpacked(root)?.context("the reference engine is not to be had here")?;
    let docker = quickest_client(&oracles)?;
    let engines = side::Engines::start(&wharf, &oracles, &docker);
    let idle = memory::idle(&engines)?;
    let sides = engines.sides();
    for side in &sides {
        side::same_work(side)?;
    }
    let times = scenario::measure(&sides, &plan)?;
    let mut memory = idle;
    if plan.only.is_empty() {
        memory.extend(memory::busy(&engines, &plan)?);
    }
    engines.stop()?;
    report::report(root, &times, &memory, &plan)
}

/// Returns the quickest of the official clients that are to be had: a distribution may link it so
/// that its loading alone takes longer than the engine, on every side.
fn quickest_client(oracles: &Path) -> Result<PathBuf> {
    const TRIES: usize = 7;
    let candidates = [PathBuf::from("docker"), oracles::client(Some(oracles))];
    let mut best: Option<(Duration, PathBuf)> = None;
    for client in candidates {
        let mut times = Vec::new();
        for _ in 0..TRIES {
            let started = Instant::now();
            let Ok(output) = Command::new(&client).arg("--version").output() else {
                break;
            };
            times.push(started.elapsed());
            ensure!(output.status.success(), "{} fails", client.display());
        }
        let Some(time) = times.into_iter().min() else {
            continue;
        };
        println!("   {} alone: {time:.1?}", client.display());
        if best.as_ref().is_none_or(|(other, _)| time < *other) {
            best = Some((time, client));
        }
    }
    best.map(|(_, client)| client)
        .context("there is no docker client here")
}

fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    run(Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "wharf",
            "--profile",
            profile,
        ])
        .current_dir(root))?;
    Ok(crate::e2e::program(root, profile))
}
