//! Everything, in order, with one summary: README's second command.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use testkit::{Client, Kind};

use crate::e2e::{self, Choice, Counts};
use crate::run::run;
use crate::{chaos, check, compat, fresh, noop, setup, vm};

/// What one step of the run came to.
struct Line {
    title: String,
    counts: Counts,
    error: Option<String>,
    seconds: f64,
}

/// Runs every step, also after one has failed, and fails at the end.
pub(crate) fn ci(root: &Path) -> Result<()> {
    let mut lines = Vec::new();
    let mut take = |title: &str, work: &dyn Fn() -> Result<Counts>| {
        let started = Instant::now();
        let outcome = work();
        let seconds = started.elapsed().as_secs_f64();
        let (counts, error) = match outcome {
            Ok(counts) => (counts, None),
            Err(error) => (
                Counts {
                    failed: 1,
                    ..Counts::default()
                },
                Some(format!("{error:#}")),
            ),
        };
        lines.push(Line {
            title: title.to_owned(),
            counts,
            error,
            seconds,
        });
    };
    take("install what is missing", &|| {
        setup::setup(root).map(|()| Counts::default())
    });
    take("fresh", &|| fresh::fresh(root).map(|()| one()));
    take("check", &|| check::check(root).map(|()| one()));
    take("tests without rights", &|| unprivileged(root));
    take("tests of the rooms as root", &|| rooms(root));
    take("our runtime beside runc and under other engines", &|| {
        conformance(root)
    });
    for client in [Client::Docker, Client::Wharf] {
        let choice = Choice {
            kind: Kind::Wharf,
            client,
            filter: Vec::new(),
            tenth: None,
        };
        take(
            &format!("cases on wharf, client {}", client.name()),
            &|| e2e::cases(root, &choice),
        );
    }
    take("the core of the cases on cgroup v2", &|| vm::core(root));
    take("docs/compat.md is what it would be", &|| {
        compat::check(root).map(|()| one())
    });
    take("a tenth of the rows that do nothing", &|| {
        noop::run(root, &noop::Walk::of_tenth(commits(root)?))
    });
    take("crash campaigns, the short form", &|| {
        chaos::campaigns(root, &chaos::Choice::short()).map(|(counts, _)| counts)
    });
    take("a tenth of the cases on dockerd28", &|| reference(root));
    summary(&lines)
}

fn one() -> Counts {
    Counts {
        passed: 1,
        ..Counts::default()
    }
}

fn unprivileged(root: &Path) -> Result<Counts> {
    e2e::counted(
        root,
        Command::new("cargo")
            .args(["t", "--profile", "ci"])
            .current_dir(root),
    )
}

fn rooms(root: &Path) -> Result<Counts> {
    let words = [
        "nextest",
        "run",
        "--workspace",
        "--exclude",
        "e2e",
        "--exclude",
        "conformance",
        "--profile",
        "ci",
    ];
    let filter = ["-E", "test(/(^|::)root_/)", "--no-tests", "pass"];
    e2e::counted(
        root,
        Command::new("cargo")
            .args(words)
            .args(filter)
            .current_dir(root),
    )
}

fn conformance(root: &Path) -> Result<Counts> {
    let program = e2e::build(root)?;
    let words = [
        "nextest",
        "run",
        "--package",
        "conformance",
        "--profile",
        "ci",
    ];
    e2e::counted(
        root,
        Command::new("cargo")
            .args(words)
            .env("WHARF_BIN", program)
            .current_dir(root),
    )
}

/// Counts the commits: they say whose turn it is.
fn commits(root: &Path) -> Result<u64> {
    let output = Command::new("git")
        .args(["rev-list", "--count", "HEAD"])
        .current_dir(root)
        .output()?;
    let count = String::from_utf8_lossy(&output.stdout);
    Ok(count.trim().parse().unwrap_or(0))
}

/// Runs the tenth of the cases whose turn it is.
fn reference(root: &Path) -> Result<Counts> {
    let kind = Kind::Dockerd28;
    let choice = Choice {
        kind,
        client: Client::Docker,
        filter: Vec::new(),
        tenth: Some(commits(root)? % 10),
    };
    e2e::cases(root, &choice)
}

fn summary(lines: &[Line]) -> Result<()> {
    println!("== summary");
    let mut all = Counts::default();
    for Line {
        title,
        counts,
        error,
        seconds,
    } in lines
    {
        all.passed += counts.passed;
        all.failed += counts.failed;
        all.skipped += counts.skipped;
        println!(
            "   {title}: {} passed, {} failed, {} skipped ({seconds:.0} s)",
            counts.passed, counts.failed, counts.skipped
        );
        if let Some(error) = error {
            println!("      {}", error.replace('\n', "\n      "));
        }
    }
    println!(
        "{} passed, {} failed, {} skipped",
        all.passed, all.failed, all.skipped
    );
    if all.failed > 0 {
        bail!("{} failed", all.failed);
    }
    Ok(())
}

/// Prepares a machine and nothing else.
pub(crate) fn setup_only(root: &Path) -> Result<()> {
    setup::setup(root)?;
    run(Command::new("cargo").args(["nextest", "--version"]))
}
