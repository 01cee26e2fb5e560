//! The rows of the compatibility table, and the cases that prove them.
//!
//! A *row* is a command, a flag or an operation of the API; our program prints them all. A *pair*
//! is a row and a case that fails when the row does nothing: it stands in `tests/e2e/rows.tsv`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::Client;

const PAIRS: &str = "tests/e2e/rows.tsv";
const HEAD: &str = "\
# The cases that prove the rows of docs/compat.md: with the row doing nothing, its case fails.
# `cargo xtask noop` walks them all, and adds lines with --search.
";

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// As it is typed: `run --name`, `POST /containers/create`.
    pub(crate) name: String,
    /// It is one of the API's.
    pub(crate) api: bool,
    /// What the program says of it: built, works, partly, refused, untested, not yet.
    pub(crate) state: String,
    /// What else is to be said.
    pub(crate) note: String,
}

impl Row {
    /// Returns whether a case can prove it.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.state.as_str(), "built" | "works" | "partly")
    }

    /// Returns the client whose cases prove it: ours has the flags, the official one proves the API.
    pub(crate) fn client(&self) -> Client {
        if self.api {
            Client::Docker
        } else {
            Client::Wharf
        }
    }
}

/// Asks our program for its rows.
pub(crate) fn of_program(program: &Path) -> Result<Vec<Row>> {
    let output = Command::new(program).args(["rows", "--json"]).output()?;
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).context("the program's rows")?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Ok(rows
        .iter()
        .map(|row| Row {
            name: text(row, "row"),
            api: row["face"] == "api",
            state: text(row, "state"),
            note: text(row, "note"),
        })
        .collect())
}

/// Reads the pairs: row → case.
pub(crate) fn pairs(root: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(root.join(PAIRS)).unwrap_or_default();
    let mut pairs = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (row, case) = line
            .split_once('\t')
            .with_context(|| format!("{PAIRS}: a row, a tab, a case: {line}"))?;
        if pairs.insert(row.to_owned(), case.to_owned()).is_some() {
            bail!("{PAIRS}: {row} stands twice");
        }
    }
    Ok(pairs)
}

/// Writes the pairs.
pub(crate) fn write_pairs(root: &Path, pairs: &BTreeMap<String, String>) -> Result<()> {
    let lines = pairs.iter().map(|(row, case)| format!("{row}\t{case}\n"));
    let text = HEAD.to_owned() + &lines.collect::<String>();
    fs::write(root.join(PAIRS), text).context(PAIRS)
}

/// Returns the folder where a run of the cases leaves a file for each case with the rows that it
/// touched.
pub(crate) fn recordings(root: &Path, engine: &str, client: Client) -> PathBuf {
    let name = format!("{engine}-{}", client.name());
    root.join("target/e2e-rows").join(name)
}

/// Reads what a run left: row → the cases that touched it.
pub(crate) fn touched(folder: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut touched: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(touched);
    };
    for entry in entries {
        let entry = entry?;
        let case = entry.file_name().to_string_lossy().into_owned();
        for row in fs::read_to_string(entry.path())?.lines() {
            let cases = touched.entry(row.to_owned()).or_default();
            if cases.last() != Some(&case) {
                cases.push(case.clone());
            }
        }
    }
    Ok(touched)
}

/// Checks what can be checked without running anything: every pair's row is there, and what is said
/// to work has a pair.
pub(crate) fn faults(rows: &[Row], pairs: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for row in pairs.keys() {
        match rows.iter().find(|known| known.name == *row) {
            None => faults.push(format!("{PAIRS}: no such row: {row}")),
            Some(known) if !known.is_there() => {
                faults.push(format!("{PAIRS}: {row} is said to be `{}`", known.state));
            }
            Some(_) => {}
        }
    }
    let works = rows.iter().filter(|row| row.state == "works");
    for row in works.filter(|row| !pairs.contains_key(&row.name)) {
        faults.push(format!(
            "{} is said to work; no case of {PAIRS} proves it",
            row.name
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_has_a_pair_and_a_pair_has_a_row() {
        let row = |name: &str, state: &str| Row {
            name: name.to_owned(),
            api: true,
            state: state.to_owned(),
            note: String::new(),
        };
        let rows = [
            row("GET /a", "works"),
            row("GET /b", "partly"),
            row("GET /c", "not yet"),
        ];
        let pairs = |names: &[&str]| {
            let pairs = names
                .iter()
                .map(|name| ((*name).to_owned(), "m::c".to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(
            faults(&rows, &pairs(&["GET /a", "GET /b"])),
            Vec::<String>::new()
        );
        assert_eq!(faults(&rows, &pairs(&[])).len(), 1);
        assert_eq!(
            faults(&rows, &pairs(&["GET /a", "GET /c", "GET /d"])).len(),
            2
        );
    }
}
