//! Checks the properties of the code that the compiler does not: who may depend on whom,
//! where async and unsafe may live, and that every door has its sign.

mod maps;
mod routes;
mod source;
mod storeys;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Runs every check over the workspace at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    storeys::check(root, &mut faults)?;
    source::check(root, &mut faults)?;
    maps::check(root, &mut faults)?;
    routes::check(root, &mut faults)?;
    if !faults.is_empty() {
        bail!("untidy:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

/// Returns every Rust file below `dir`, sorted, paths relative to `root`.
fn rust_files(root: &Path, dir: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(dir)];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(
                    path.strip_prefix(root)
                        .context("below the root")?
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn the_house_is_tidy() {
        check(&crate::root().unwrap()).unwrap();
    }
}
