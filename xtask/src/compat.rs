//! Writes `docs/compat.md`: the rows of our program, the cases that prove them, and the words of
//! `docs/compat.in.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::rows::{self, Row};
use crate::{e2e, noop, result};

const WORDS: &str = "docs/compat.in.md";
const TABLE: &str = "docs/compat.md";
/// States in the order in which they are counted.
const STATES: &[&str] = &["works", "partly", "untested", "refused", "not yet"];
/// What is said of a row that is built and that no case proves.
const UNPROVEN: &str = "no case proves it";

/// Writes the table, or checks it with `--check`.
pub(crate) fn main(root: &Path, words: &[String]) -> Result<()> {
    match words {
        [] => {
            let text = text(root)?;
            fs::write(root.join(TABLE), text).context(TABLE)?;
            println!("written to {TABLE}");
            Ok(())
        }
        [word] if word == "--check" => check(root),
        _ => bail!("compat takes --check or nothing"),
    }
}

/// Fails when the table is not what would be written now.
pub(crate) fn check(root: &Path) -> Result<()> {
    if fs::read_to_string(root.join(TABLE)).context(TABLE)? != text(root)? {
        bail!(
            "{TABLE} is not what `cargo xtask compat` writes: run it, and look at the difference"
        );
    }
    Ok(())
}

fn text(root: &Path) -> Result<String> {
    let rows = rows::of_program(&e2e::build(root)?)?;
    let pairs = rows::pairs(root)?;
    let faults = rows::faults(&rows, &pairs);
    if !faults.is_empty() {
        bail!("the table would lie:\n  {}", faults.join("\n  "));
    }
    let lines: Vec<Line> = rows.iter().map(|row| Line::of(row, &pairs)).collect();
    let (api, cli): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.api);
    let words = fs::read_to_string(root.join(WORDS)).context(WORDS)?;
    Ok(words
        .replace("<!-- counts -->\n", &counts(&api, &cli))
        .replace(
            "<!-- walk -->\n",
            &walk(result::last(root, noop::RESULT)?.as_ref()),
        )
        .replace("<!-- api -->\n", &table("operation", &api))
        .replace("<!-- cli -->\n", &commands(&cli)))
}

/// A row as the table shows it.
struct Line {
    name: String,
    api: bool,
    state: &'static str,
    /// The case that proves it, or what is to be said.
    note: String,
}

impl Line {
    fn of(row: &Row, pairs: &BTreeMap<String, String>) -> Line {
        let case = pairs.get(&row.name);
        let (state, note) = match (row.state.as_str(), case) {
            ("built" | "works", Some(case)) => ("works", format!("`{case}`")),
            ("partly", Some(case)) => ("partly", format!("{}; `{case}`", row.note)),
            ("built", None) => ("partly", UNPROVEN.to_owned()),
            (state, _) => {
                let known = STATES.iter().find(|known| **known == state);
                (*known.unwrap_or(&"not yet"), row.note.clone())
            }
        };
        Line {
            name: row.name.clone(),
            api: row.api,
            state,
            note,
        }
    }

    /// The command that a row of the client belongs to; flags before the command have none.
    fn command(&self) -> &str {
        let (command, _) = self.name.split_once("--").unwrap_or((&self.name, ""));
        command.trim_end()
    }
}

fn counts(api: &[&Line], cli: &[&Line]) -> String {
    let mut text = format!("| | {} |\n|---|", STATES.join(" | "));
    text.push_str(&"---|".repeat(STATES.len()));
    text.push('\n');
    for (name, lines) in [("operations of the API", api), ("commands and flags", cli)] {
        let count = |state: &&str| {
            let count = lines.iter().filter(|line| line.state == *state).count();
            count.to_string()
        };
        let counts: Vec<String> = STATES.iter().map(count).collect();
        line(&mut text, &format!("| {name} | {} |", counts.join(" | ")));
    }
    text
}

fn walk(result: Option<&Value>) -> String {
    let Some(result) = result else {
        return "No walk over all rows has been kept yet.\n".to_owned();
    };
    format!(
        "The last walk over all rows: {}, commit {}: {} rows failed their case when they did nothing.\n",
        result["date"].as_str().unwrap_or_default(),
        result["commit"].as_str().unwrap_or_default(),
        result["proven"],
    )
}

fn table(what: &str, lines: &[&Line]) -> String {
    let mut text = format!("| {what} | state | case, or what is to be said |\n|---|---|---|\n");
    for one in lines {
        line(
            &mut text,
            &format!("| `{}` | {} | {} |", one.name, one.state, one.note),
        );
    }
    text
}

/// The client's rows, a table for each command; what is the same for a command and all its flags is
/// one line.
fn commands(lines: &[&Line]) -> String {
    let mut groups: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        groups.entry(line.command()).or_default().push(line);
    }
    let (mut same, mut text) = (Vec::new(), String::new());
    for (command, lines) in groups {
        let first = lines[0];
        let alike = |line: &&Line| line.state == first.state && line.note == first.note;
        if first.state != "works" && lines.iter().all(alike) {
            same.push((command, lines));
            continue;
        }
        let title = if command.is_empty() {
            "before the command"
        } else {
            command
        };
        line(&mut text, &format!("\n### {title}\n"));
        text.push_str(&table("row", &lines));
    }
    text.push_str("\n### Whole commands\n\n| command | state | flags | what is to be said |\n|---|---|---|---|\n");
    for (command, lines) in same {
        let flags = lines.iter().filter_map(|line| line.name.split_once(" --"));
        let flags: Vec<String> = flags.map(|(_, flag)| format!("--{flag}")).collect();
        let first = lines[0];
        line(
            &mut text,
            &format!(
                "| `{command}` | {} | {} | {} |",
                first.state,
                flags.join(" "),
                first.note
            ),
        );
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("invariant: a text takes every line");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, state: &str) -> Row {
        Row {
            name: name.to_owned(),
            api: false,
            state: state.to_owned(),
            note: "why".to_owned(),
        }
    }

    #[test]
    fn only_a_pair_makes_a_row_work() {
        let pairs = BTreeMap::from([("run --rm".to_owned(), "run::rm".to_owned())]);
        let line = Line::of(&row("run --rm", "built"), &pairs);
        assert_eq!((line.state, line.note.as_str()), ("works", "`run::rm`"));
        let line = Line::of(&row("run --init", "built"), &pairs);
        assert_eq!((line.state, line.note.as_str()), ("partly", UNPROVEN));
        let line = Line::of(&row("run --isolation", "refused"), &pairs);
        assert_eq!((line.state, line.note.as_str()), ("refused", "why"));
    }

    #[test]
    fn a_command_that_is_not_there_is_one_line() {
        let pairs = BTreeMap::new();
        let rows = [
            row("build", "not yet"),
            row("build --tag", "not yet"),
            row("--host", "built"),
        ];
        let lines: Vec<Line> = rows.iter().map(|row| Line::of(row, &pairs)).collect();
        let text = commands(&lines.iter().collect::<Vec<_>>());
        assert!(
            text.contains("| `build` | not yet | --tag | why |\n"),
            "{text}"
        );
        assert_eq!(lines[2].command(), "");
    }
}
