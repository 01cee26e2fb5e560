//! The router's table and the list of the API's operations are the same list.
//!
//! `crates/daemon/operations.tsv` has a row for every operation of the Docker API; the router has a
//! line `route!(METHOD, "/path", handler)` for each, and its handler fits the row's status.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;

const OPERATIONS: &str = "crates/daemon/operations.tsv";
const ROUTER: &str = "crates/daemon/src/router.rs";
const STATUSES: &[&str] = &["works", "partly", "refused", "not yet"];

/// The handler of a row that is not there yet, and of one that is refused on purpose.
const NOT_YET: &str = "not_yet::refused";
const REFUSED: &str = "swarm::refused";

/// An operation's method and path.
type Key = (String, String);

/// Checks the list, and the router against it once there is one.
pub(super) fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let operations = operations(&fs::read_to_string(root.join(OPERATIONS))?, faults);
    let Ok(router) = fs::read_to_string(root.join(ROUTER)) else {
        return Ok(());
    };
    compare(&operations, &routes(&router), faults);
    Ok(())
}

fn operations(text: &str, faults: &mut Vec<String>) -> BTreeMap<Key, String> {
    let mut found = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [method, path, since, status, note] = columns[..] else {
            faults.push(format!(
                "{OPERATIONS}:{}: five columns are needed",
                number + 1
            ));
            continue;
        };
        let version = since
            .strip_prefix("1.")
            .and_then(|minor| minor.parse::<u8>().ok());
        if version.is_none()
            || !STATUSES.contains(&status)
            || note.is_empty() != (status == "works")
        {
            faults.push(format!(
                "{OPERATIONS}:{}: a version, one of {STATUSES:?}, and a note unless it works",
                number + 1
            ));
        }
        if found
            .insert((method.to_owned(), path.to_owned()), status.to_owned())
            .is_some()
        {
            faults.push(format!(
                "{OPERATIONS}:{}: {method} {path} stands twice",
                number + 1
            ));
        }
    }
    found
}

/// Returns the rows of the router's table and the handler of each.
fn routes(text: &str) -> BTreeMap<Key, String> {
    let rows = text
        .split("route!(")
        .skip(1)
        .filter_map(|row| row.split_once(')'));
    rows.filter_map(|(row, _)| {
        let mut parts = row.split(',').map(str::trim);
        let (method, path, handler) = (parts.next()?, parts.next()?, parts.next()?);
        let path = path.strip_prefix('"')?.strip_suffix('"')?;
        Some(((method.to_owned(), path.to_owned()), handler.to_owned()))
    })
    .collect()
}

fn compare(
    operations: &BTreeMap<Key, String>,
    routes: &BTreeMap<Key, String>,
    faults: &mut Vec<String>,
) {
    for ((method, path), handler) in routes {
        let Some(status) = operations.get(&(method.clone(), path.clone())) else {
            faults.push(format!("{ROUTER}: {method} {path} is not in {OPERATIONS}"));
            continue;
        };
        let fits = match handler.as_str() {
            NOT_YET => status == "not yet",
            REFUSED => status == "refused",
            _ => status == "works" || status == "partly",
        };
        if !fits {
            faults.push(format!(
                "{OPERATIONS}: {method} {path} is `{status}`, routed to {handler}"
            ));
        }
    }
    for (method, path) in operations.keys() {
        if !routes.contains_key(&(method.clone(), path.clone())) {
            faults.push(format!(
                "{ROUTER}: {method} {path} of {OPERATIONS} is not routed"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, operations, routes};

    fn faults(list: &str, router: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let operations = operations(list, &mut faults);
        compare(&operations, &routes(router), &mut faults);
        faults
    }

    #[test]
    fn both_directions() {
        let list = "GET\t/a\t1.24\tworks\t\nGET\t/b\t1.24\tnot yet\tlater\n";
        let b = "route!(GET, \"/b\", not_yet::refused),";
        let count = |router: &str| faults(list, &format!("{router}{b}")).len();
        assert_eq!(count("route!(\n  GET,\n  \"/a\",\n  a::get\n),\n"), 0);
        assert_eq!(count(""), 1);
        assert_eq!(count("route!(GET, \"/a\", not_yet::refused),"), 1);
        assert_eq!(
            count("route!(GET, \"/a\", a::get), route!(GET, \"/c\", c::get),"),
            1
        );
        assert_eq!(
            faults(
                "GET\t/a\t1.24\tperhaps\tx\n",
                "route!(GET, \"/a\", swarm::refused)"
            )
            .len(),
            2
        );
    }
}
