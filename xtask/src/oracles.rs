//! Where the reference engines and the official client come from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::run;

/// Returns the directory with the newer reference engine unpacked, or nothing when it is not to be
/// had here; in CI that is a failure.
pub(crate) fn unpacked(root: &Path) -> Result<Option<PathBuf>> {
    let packages = match std::env::var_os("WHARF_ORACLES") {
        Some(given) => PathBuf::from(given),
        None => root.join("../shared/oracles"),
    };
    let script = packages.join("unpack");
    if !script.exists() {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            bail!("no reference engine: {} is missing", script.display());
        }
        return Ok(None);
    }
    let to = root.join("target/oracles");
    if !to.join(".complete").exists() {
        run(Command::new("sh").arg(script).arg(&to))?;
    }
    Ok(Some(to))
}

/// Returns the official client: the reference engine's own, else the one installed.
pub(crate) fn client(oracles: Option<&Path>) -> PathBuf {
    oracles
        .map(|dir| dir.join("usr/bin/docker"))
        .filter(|program| program.exists())
        .unwrap_or_else(|| PathBuf::from("docker"))
}
