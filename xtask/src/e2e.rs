//! Runs the cases of `tests/e2e` on one engine with one client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;
use testkit::peer::Peer;
use testkit::{Client, Kind};

use crate::oracles;
use crate::result;
use crate::rows;
use crate::run::{run, step};

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) kind: Kind,
    pub(crate) client: Client,
    /// nextest's words: a filter of names.
    pub(crate) filter: Vec<String>,
    /// Only a tenth of the cases: those whose hash has this last digit.
    pub(crate) tenth: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Choice {
    /// Reads `[--engine E] [--client C] [filter]`.
    pub(crate) fn parse(words: &[String]) -> Result<Choice> {
        let mut choice = Choice {
            kind: Kind::Wharf,
            client: Client::Docker,
            filter: Vec::new(),
            tenth: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--engine" => choice.kind = Kind::parse(value()?).context("no such engine")?,
                "--client" => choice.client = Client::parse(value()?).context("no such client")?,
                "--tenth" => choice.tenth = Some(value()?.parse()?),
                _ => choice.filter.push(word.clone()),
            }
        }
        Ok(choice)
    }

    fn title(&self) -> String {
        format!(
            "e2e on {} with the client {}",
            self.kind.name(),
            self.client.name()
        )
    }
}

/// Runs the cases and prints their counts; a failed one is an error.
pub(crate) fn main(root: &Path, choice: &Choice) -> Result<()> {
    let counts = cases(root, choice)?;
    if choice.kind != Kind::Wharf && choice.filter.is_empty() && choice.tenth.is_none() {
        let name = format!("e2e-{}-{}", choice.kind.name(), choice.client.name());
        let said = json!({
            "passed": counts.passed, "failed": counts.failed, "skipped": counts.skipped,
        });
        result::keep(root, &name, said)?;
    }
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    if counts.failed > 0 {
        bail!("{} failed", choice.title());
    }
    Ok(())
}

/// Runs the cases and counts.
pub(crate) fn cases(root: &Path, choice: &Choice) -> Result<Counts> {
    step(&choice.title());
    let wharf = build(root)?;
    let oracles = oracles::unpacked(root)?;
    let docker = oracles::client(oracles.as_deref());
    if choice.kind == Kind::Dockerd28 && oracles.is_none() {
        println!("   skipped: the reference engine is not to be had here (WHARF_ORACLES)");
        return Ok(Counts {
            skipped: 1,
            ..Counts::default()
        });
    }
    let peer = (choice.kind != Kind::Wharf).then(|| {
        // With its rules: it has a network namespace of its own.
        let flags = ["--bip", testkit::Manner::BIP];
        Peer::start(choice.kind, oracles.as_deref(), &docker, &flags)
    });
    let skipped = root.join("target/e2e-skipped.txt");
    fs::write(&skipped, "")?;
    let recordings = rows::recordings(root, choice.kind.name(), choice.client);
    if choice.filter.is_empty() && choice.tenth.is_none() && recordings.exists() {
        fs::remove_dir_all(&recordings)?;
    }
    fs::create_dir_all(&recordings)?;
    let mut command = nextest(root, "run");
    command
        .args([
            "--profile",
            "ci",
            "--status-level",
            "fail",
            "--no-tests",
            "pass",
        ])
        .env("ENGINE", choice.kind.name())
        .env("CLIENT", choice.client.name())
        .env("WHARF_BIN", &wharf)
        .env("WHARF_E2E_DOCKER", &docker)
        .env(
            "WHARF_E2E_HOST",
            peer.as_ref().map(Peer::host).unwrap_or_default(),
        )
        .env("WHARF_E2E_SKIPPED", &skipped)
        .env("WHARF_E2E_ROWS", &recordings)
        .env("RUST_BACKTRACE", "0")
        .args(&choice.filter);
    if let Some(digit) = choice.tenth {
        let names = tenth(root, digit)?;
        println!("   the tenth {digit}: {}", names.join(" "));
        if names.is_empty() {
            return Ok(Counts::default());
        }
        let names: Vec<_> = names.iter().map(|name| format!("test(={name})")).collect();
        command.args(["-E", &names.join(" + ")]);
    }
    let counts = counted(root, &mut command);
    drop(peer);
    let mut counts = counts?;
    let skips = fs::read_to_string(&skipped)?;
    for line in skips.lines() {
        println!("   skipped: {line}");
    }
    let skips = skips.lines().count() as u64;
    counts.skipped += skips;
    counts.passed = counts.passed.saturating_sub(skips);
    Ok(counts)
}

/// Runs nextest with the profile `ci` and reads its report.
pub(crate) fn counted(root: &Path, command: &mut Command) -> Result<Counts> {
    let reports = [root.join("target"), target(root)].map(|dir| dir.join("nextest/ci/junit.xml"));
    for report in reports.iter().filter(|report| report.exists()) {
        fs::remove_file(report)?;
    }
    let failure = run(command).err();
    let counts = match reports.iter().find(|report| report.exists()) {
        Some(report) => junit(report)?,
        None => Counts::default(),
    };
    match failure {
        Some(failure) if counts.failed == 0 => Err(failure),
        _ => Ok(counts),
    }
}

/// Builds our program as the cases use it and returns where it lies.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    run(Command::new("cargo")
        .args(["build", "--quiet", "--package", "wharf"])
        .args(["--features", "failpoints"])
        .current_dir(root))?;
    Ok(program(root, "debug"))
}

/// Returns where cargo puts our program.
pub(crate) fn program(root: &Path, profile: &str) -> PathBuf {
    let target = target(root);
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let named = target.join(triple).join(profile).join("wharf");
    if named.exists() {
        named
    } else {
        target.join(profile).join("wharf")
    }
}

/// Returns where cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn nextest(root: &Path, verb: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args([
            "nextest",
            verb,
            "--package",
            "e2e",
            "--test",
            "all",
            "--cargo-quiet",
        ])
        .current_dir(root);
    command
}

/// Builds the program that holds the cases and returns where it lies.
pub(crate) fn binary(root: &Path) -> Result<PathBuf> {
    let output = nextest(root, "list")
        .args(["--list-type", "binaries-only", "--message-format", "json"])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).context("nextest list")?;
    let path = list["rust-binaries"]["e2e::all"]["binary-path"].as_str();
    Ok(PathBuf::from(path.context("the cases have a binary")?))
}

/// Returns the cases whose hash ends with `digit`.
fn tenth(root: &Path, digit: u64) -> Result<Vec<String>> {
    let output = nextest(root, "list")
        .args(["--message-format", "oneline"])
        .output()?;
    let list = String::from_utf8(output.stdout)?;
    let names = list.lines().filter_map(|line| line.split(' ').nth(1));
    Ok(names
        .filter(|name| hash(name) % 10 == digit % 10)
        .map(str::to_owned)
        .collect())
}

/// FNV-1a: the same on every machine and every day.
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads the counts from nextest's report.
fn junit(file: &Path) -> Result<Counts> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let line = text
        .lines()
        .find(|line| line.contains("<testsuites"))
        .context("no <testsuites>")?;
    let number = |key: &str| -> u64 {
        let value = line
            .split_once(&format!(" {key}=\""))
            .and_then(|(_, rest)| rest.split_once('"'));
        value.and_then(|(value, _)| value.parse().ok()).unwrap_or(0)
    };
    let failed = number("failures") + number("errors");
    Ok(Counts {
        passed: number("tests").saturating_sub(failed),
        failed,
        skipped: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_tenths_are_a_tenth() {
        let hits = (0..1000)
            .filter(|n| hash(&format!("case::{n}")) % 10 == 3)
            .count();
        assert!((50..200).contains(&hits), "{hits}");
    }
}
