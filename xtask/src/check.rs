//! What every commit must pass: format, lints, the properties of the house.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::run::{run, step};
use crate::tidy;

/// Runs every check; the quick ones first.
pub(crate) fn check(root: &Path) -> Result<()> {
    step("tidy");
    tidy::check(root)?;
    step("format");
    run(Command::new("cargo")
        .args(["fmt", "--all", "--check"])
        .current_dir(root))?;
    step("clippy");
    run(Command::new("cargo")
        .args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
        .current_dir(root))
}
