//! Who may depend on whom: the storeys of the house, and the wall between sync and async.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What a crate may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Regime {
    /// No I/O at all: no sys, no async.
    Pure,
    /// Blocking I/O, no async runtime anywhere below it.
    Sync,
    /// Tokio allowed.
    Async,
}
use Regime::{Async, Pure, Sync};

type Plan = BTreeMap<&'static str, (u8, Regime)>;

/// The house plan. A crate may depend only on crates of a lower storey.
const PLAN: &[(&str, u8, Regime)] = &[
    ("types", 0, Pure),
    ("sys", 0, Sync),
    ("api", 1, Pure),
    ("archive", 1, Sync),
    ("meta", 1, Sync),
    ("cgroup", 1, Sync),
    ("logs", 1, Sync),
    ("image", 2, Sync),
    ("net", 2, Sync),
    ("runtime", 2, Sync),
    ("procview", 2, Sync),
    ("cli", 2, Sync),
    ("shim", 3, Sync),
    ("registry", 3, Async),
    ("engine", 4, Async),
    ("build", 5, Async),
    ("cri", 5, Async),
    ("daemon", 6, Async),
    ("wharf", 7, Async),
    ("testkit", 7, Sync), // only ever a dev-dependency
];
const ASYNC_ONLY: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "axum",
    "tonic",
    "tower",
    "futures",
    "http-body-util",
];
const UNSAFE_ALLOWED: &[&str] = &["sys"];

/// Checks the manifest and the root file of every crate.
pub(super) fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let plan: Plan = PLAN
        .iter()
        .map(|&(name, storey, regime)| (name, (storey, regime)))
        .collect();
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let name = entry?
            .file_name()
            .into_string()
            .ok()
            .context("a crate's name is not UTF-8")?;
        names.push(name);
    }
    names.sort();
    for name in names {
        let dir = root.join("crates").join(&name);
        if !plan.contains_key(name.as_str()) {
            faults.push(format!(
                "{name}: not in the house plan (xtask/src/tidy/storeys.rs)"
            ));
            continue;
        }
        let manifest = fs::read_to_string(dir.join("Cargo.toml"))
            .with_context(|| format!("the manifest of {name}"))?;
        check_manifest(&name, &manifest.parse()?, &plan, faults);
        check_door(&dir, &name, faults)?;
    }
    Ok(())
}

fn check_manifest(name: &str, manifest: &toml::Table, plan: &Plan, faults: &mut Vec<String>) {
    let Some(&(storey, regime)) = plan.get(name) else {
        return;
    };
    let table = |value: Option<&toml::Value>| {
        value
            .and_then(toml::Value::as_table)
            .cloned()
            .unwrap_or_default()
    };
    let mut dependencies = table(manifest.get("dependencies"));
    for (_, target) in table(manifest.get("target")) {
        dependencies.extend(table(target.get("dependencies")));
    }
    for dependency in dependencies.keys() {
        if dependency == "testkit" {
            faults.push(format!("{name} may use testkit only as a dev-dependency"));
        }
        if let Some(&(below, their)) = plan.get(dependency.as_str()) {
            if below >= storey {
                faults.push(format!(
                    "{name} (storey {storey}) may not depend on {dependency} (storey {below})"
                ));
            }
            if regime != Async && their == Async {
                faults.push(format!(
                    "{name} is synchronous, may not depend on async {dependency}"
                ));
            }
            if regime == Pure && their != Pure {
                faults.push(format!("{name} is pure and may not depend on {dependency}"));
            }
        }
        if regime != Async && ASYNC_ONLY.contains(&dependency.as_str()) {
            faults.push(format!(
                "{name} is synchronous and may not use {dependency}"
            ));
        }
    }
}

fn check_door(dir: &Path, name: &str, faults: &mut Vec<String>) -> Result<()> {
    let door = ["src/lib.rs", "src/main.rs"]
        .iter()
        .map(|file| dir.join(file))
        .find(|f| f.exists());
    let text = fs::read_to_string(door.with_context(|| format!("{name} has no crate root"))?)?;
    if !text.starts_with("//! ") {
        faults.push(format!(
            "{name}: the crate root must open with a //! sentence"
        ));
    }
    let forbids = text.contains("#![forbid(unsafe_code)]");
    if forbids == UNSAFE_ALLOWED.contains(&name) {
        faults.push(format!(
            "{name}: forbid(unsafe_code) stands everywhere but in crates/sys"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PLAN, Plan, check_manifest};

    fn faults(name: &str, manifest: &str) -> Vec<String> {
        let plan: Plan = PLAN
            .iter()
            .map(|&(name, storey, regime)| (name, (storey, regime)))
            .collect();
        let mut faults = Vec::new();
        check_manifest(name, &manifest.parse().unwrap(), &plan, &mut faults);
        faults
    }

    #[test]
    fn a_stair_upwards_and_a_hole_in_the_wall_are_found() {
        assert!(faults("engine", "[dependencies]\nimage = '1'\ntokio = '1'").is_empty());
        assert_eq!(faults("image", "[dependencies]\nengine = '1'").len(), 2);
        assert_eq!(faults("net", "[dependencies]\ntokio = '1'").len(), 1);
        assert_eq!(faults("api", "[dependencies]\nsys = '1'").len(), 1);
        assert_eq!(faults("cli", "[dependencies]\ntestkit = '1'").len(), 2);
        assert_eq!(
            faults("net", "[target.x.dependencies]\nimage = '1'").len(),
            1
        );
    }
}
