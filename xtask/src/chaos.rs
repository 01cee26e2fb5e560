//! Crash campaigns in a network and a mount namespace of their own; their counts are kept.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::e2e::{self, Counts};
use crate::result;
use crate::run::{run, step};

/// Rounds of a short form: some minutes.
const SHORT: u64 = 32;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    seed: Option<u64>,
    /// Random rounds; 0: at every call once, and 100 random moments.
    rounds: u64,
    /// nextest's words: a filter of names.
    filter: Vec<String>,
}

impl Choice {
    /// Reads `[--seed N] [--rounds N] [filter]`; without rounds everything is walked.
    pub(crate) fn parse(words: &[String]) -> Result<Choice> {
        let mut choice = Choice::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--seed" => choice.seed = Some(value()?.parse()?),
                "--rounds" => choice.rounds = value()?.parse()?,
                "--short" => choice.rounds = SHORT,
                _ => choice.filter.push(word.clone()),
            }
        }
        Ok(choice)
    }

    /// Returns the form that CI runs.
    pub(crate) fn short() -> Choice {
        Choice {
            rounds: SHORT,
            ..Choice::default()
        }
    }
}

/// Runs the campaigns and keeps their counts in `bench/results`.
pub(crate) fn main(root: &Path, choice: &Choice) -> Result<()> {
    let (counts, rows) = campaigns(root, choice)?;
    if choice.filter.is_empty() && choice.rounds == 0 {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| serde_json::from_str(row))
            .collect::<Result<_, _>>()?;
        result::keep(root, "chaos", json!({ "campaigns": rows }))?;
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if counts.failed > 0 {
        bail!("{} campaigns failed", counts.failed);
    }
    Ok(())
}

/// Runs the campaigns; returns also the line of each.
pub(crate) fn campaigns(root: &Path, choice: &Choice) -> Result<(Counts, Vec<String>)> {
    step("crash campaigns");
    let wharf = e2e::build(root)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = choice.seed.unwrap_or(now.as_secs() % 1_000_000);
    println!("   seed {seed}");
    let base = ["nextest", "run", "--package", "e2e", "--test", "campaign"];
    run(Command::new("cargo")
        .args(base)
        .args(["--cargo-quiet", "--no-run"])
        .current_dir(root))?;
    let kept = root.join("target/chaos.txt");
    fs::write(&kept, "")?;
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "cargo"])
        .args(base)
        .args(["--cargo-quiet", "--profile", "ci", "--no-fail-fast"])
        .args(["--status-level", "all", "--test-threads", "1"])
        .args(&choice.filter)
        .env("ENGINE", "wharf")
        .env("CLIENT", "wharf")
        .env("WHARF_BIN", &wharf)
        .env("WHARF_CHAOS_SEED", seed.to_string())
        .env("WHARF_CHAOS_ROUNDS", choice.rounds.to_string())
        .env("WHARF_CHAOS_KEPT", &kept)
        .env("RUST_BACKTRACE", "0")
        .current_dir(root);
    let counts = e2e::counted(root, &mut command)?;
    let rows = fs::read_to_string(&kept)?;
    let rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    for row in &rows {
        println!("   {row}");
    }
    Ok((counts, rows))
}
