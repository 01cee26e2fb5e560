//! The map files name only paths that exist.

use std::fs;
use std::path::Path;

use anyhow::Result;

const MAPS: &[&str] = &[
    "ARCHITECTURE.md",
    "GLOSSARY.md",
    "WHERE.md",
    "SPECIFICATION.md",
    "README.md",
    "CONTRIBUTING.md",
];
const EXTENSIONS: &[&str] = &["rs", "md", "toml", "tsv", "sh", "txt", "json"];
const FOLDERS: &[&str] = &[
    "crates/", "tests/", "xtask/", "docs/", "bench/", ".ci/", ".config/", ".cargo/",
];

/// Checks each map that exists.
pub(super) fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for map in MAPS {
        let file = root.join(map);
        if !file.exists() {
            continue;
        }
        for (number, line) in fs::read_to_string(&file)?.lines().enumerate() {
            for path in paths(line) {
                if !root.join(path).exists() {
                    faults.push(format!("{map}:{}: no such path: {path}", number + 1));
                }
            }
        }
    }
    Ok(())
}

/// Returns the words in backticks that are paths of the repository.
fn paths(line: &str) -> Vec<&str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| is_path(word))
        .collect()
}

fn is_path(word: &str) -> bool {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let ours = FOLDERS.iter().any(|folder| word.starts_with(folder));
    let file = Path::new(word)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension));
    plain && !word.starts_with('/') && (ours || file)
}

#[cfg(test)]
mod tests {
    use super::paths;

    #[test]
    fn paths_are_told_from_other_words() {
        let found = paths(
            "`crates/net` and `a b` or `clippy.toml`, `/etc/hosts`, `crates/*/x.rs`, `cargo t`",
        );
        assert_eq!(found, ["crates/net", "clippy.toml"]);
    }
}
