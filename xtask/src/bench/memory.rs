//! What the engines take while nothing is asked of them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Plan;
use super::scenario::together;
use super::side::Engines;
use crate::run::step;

/// Who takes how much.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) kilobytes: u64,
}

/// Measures the daemons before anything ran.
pub(super) fn idle(engines: &Engines) -> Result<Vec<Line>> {
    step("memory, idle");
    std::thread::sleep(Duration::from_secs(2));
    daemons(engines, "idle")
}

/// Measures the daemons and our shims while many containers run.
pub(super) fn busy(engines: &Engines, plan: &Plan) -> Result<Vec<Line>> {
    let (many, seconds) = plan.many;
    step(&format!("memory, {many} containers for {seconds} s"));
    let names: Vec<_> = (0..many).map(|number| format!("bench-{number}")).collect();
    let sides = engines.sides();
    for side in sides.iter().filter(|side| side.is_main) {
        together(side, &names)?;
    }
    std::thread::sleep(Duration::from_secs(seconds));
    let mut lines = daemons(engines, &format!("{many} containers"))?;
    lines.push(shims(engines.daemon.id())?);
    for side in sides.iter().filter(|side| side.is_main) {
        let mut words = vec!["rm", "-f"];
        words.extend(names.iter().map(String::as_str));
        side.once(&words)?;
    }
    Ok(lines)
}

fn daemons(engines: &Engines, when: &str) -> Result<Vec<Line>> {
    let mut lines = vec![Line {
        name: format!("wharf: daemon, RSS, {when}"),
        kilobytes: kilobytes(engines.daemon.id(), "status", "VmRSS:")?,
    }];
    for id in engines.newer.ids() {
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        let name = name.trim();
        if ["dockerd", "containerd"].contains(&name) {
            lines.push(Line {
                name: format!("dockerd 28.5: {name}, RSS, {when}"),
                kilobytes: kilobytes(id, "status", "VmRSS:")?,
            });
        }
    }
    Ok(lines)
}

/// The keepers of our daemon's containers: others may run on this machine.
fn shims(daemon: u32) -> Result<Line> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let parent = kilobytes(id, "status", "PPid:").unwrap_or_default();
        if line.starts_with(b"wharf-shim") && parent == u64::from(daemon) {
            sizes.extend(kilobytes(id, "smaps_rollup", "Pss:"));
        }
    }
    sizes.sort_unstable();
    Ok(Line {
        name: format!("wharf: shim, PSS, median of {}", sizes.len()),
        kilobytes: sizes.get(sizes.len() / 2).copied().unwrap_or_default(),
    })
}

/// The number behind `key`; a process's are in kilobytes but for its ids.
fn kilobytes(id: u32, file: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/{file}"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .context("no such line")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("no value")?
        .parse()?)
}
