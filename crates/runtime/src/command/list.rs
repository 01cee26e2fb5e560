//! `state` and `list`, and the state as hooks read it.

use serde::Serialize;

use super::error::{Error, Result};
use super::store::{Entry, Status};
use super::words::Words;
use super::{Context, control, print};

/// A container as `state` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: String,
    bundle: &'a str,
    rootfs: &'a str,
    created: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
    owner: String,
}

fn line(entry: &Entry, owner: String) -> Line<'_> {
    let record = &entry.record;
    let status = entry.status();
    let pid = if status == Status::Stopped {
        0
    } else {
        record.init_process_pid
    };
    Line {
        oci_version: &record.config.version,
        id: &record.id,
        pid,
        status: status.to_string(),
        bundle: &record.wharf.bundle,
        rootfs: &record.config.rootfs,
        created: &record.created,
        annotations: &record.wharf.annotations,
        owner,
    }
}

/// `state ID`
pub(super) fn state(context: &Context, words: &Words) -> Result<i32> {
    let entry = control::named(context, words)?;
    let text = serde_json::to_string_pretty(&line(&entry, String::new()))
        .map_err(|error| Error::said(error.to_string()))?;
    print(&text);
    Ok(0)
}

/// The state as hooks and listeners get it (runtime specification, "State").
pub(super) fn state_text(entry: &Entry, status: &str, pid: i32) -> String {
    let record = &entry.record;
    let mut value = serde_json::json!({
        "ociVersion": record.config.version,
        "id": record.id,
        "status": status,
        "bundle": record.wharf.bundle,
    });
    if pid > 0 {
        value["pid"] = pid.into();
    }
    if !record.wharf.annotations.is_empty() {
        value["annotations"] = serde_json::json!(record.wharf.annotations);
    }
    value.to_string()
}

/// `list`
pub(super) fn list(context: &Context, words: &Words) -> Result<i32> {
    let entries = context.store.list()?;
    if words.is_on("quiet") {
        for entry in &entries {
            print(&format!("{}\n", entry.record.id));
        }
        return Ok(0);
    }
    let lines = entries
        .iter()
        .map(|entry| line(entry, owner(entry.owner())));
    match words.get("format").unwrap_or("table") {
        "table" => print(&table(&lines.collect::<Vec<_>>())),
        "json" => {
            let lines: Vec<_> = lines.collect();
            let text = if lines.is_empty() {
                "null".to_owned()
            } else {
                serde_json::to_string(&lines).map_err(|error| Error::said(error.to_string()))?
            };
            print(&text);
        }
        _ => return Err(Error::said("invalid format option")),
    }
    Ok(0)
}

/// The name of a user of this machine, or the number with a hash, as runc has it.
pub(super) fn owner(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("#{uid}"))
}

/// Columns of at least twelve, with three blanks between.
fn table(lines: &[Line<'_>]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        [
            line.id.to_owned(),
            line.pid.to_string(),
            line.status.clone(),
            line.bundle.to_owned(),
            line.created.to_owned(),
            line.owner.clone(),
        ]
    });
    let rows: Vec<[String; 6]> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| {
        let widths = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        widths.max().unwrap_or(0).saturating_add(3).max(12)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths).take(5) {
            text.extend([format!("{cell:<width$}")]);
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_runc_s() {
        assert_eq!(
            table(&[]),
            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
        );
    }
}
