//! The router's table and the list of the API's operations are the same list.
//!
//! `crates/daemon/operations.tsv` has a row for every operation of the Docker API; the router has a
//! line `route!(METHOD, "/path", …)` for every row that works or is refused with a text of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;

const OPERATIONS: &str = "crates/daemon/operations.tsv";
const ROUTER: &str = "crates/daemon/src/router.rs";
const STATUSES: &[&str] = &["works", "partly", "refused", "not yet"];

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

/// Returns the rows of the router's table, which stand one on a line.
fn routes(text: &str) -> Vec<Key> {
    text.lines()
        .filter_map(|line| {
            let inside = line.trim().strip_prefix("route!(")?;
            let (method, rest) = inside.split_once(',')?;
            let path = rest.split('"').nth(1)?;
            Some((method.trim().to_owned(), path.to_owned()))
        })
        .collect()
}

fn compare(operations: &BTreeMap<Key, String>, routes: &[Key], faults: &mut Vec<String>) {
    for (method, path) in routes {
        match operations
            .get(&(method.clone(), path.clone()))
            .map(String::as_str)
        {
            None => faults.push(format!("{ROUTER}: {method} {path} is not in {OPERATIONS}")),
            Some("not yet") => {
                faults.push(format!(
                    "{OPERATIONS}: {method} {path} is routed, so it is not `not yet`"
                ));
            }
            Some(_) => {}
        }
    }
    for ((method, path), status) in operations {
        let routed = routes.iter().any(|(m, p)| m == method && p == path);
        if (status == "works" || status == "partly") && !routed {
            faults.push(format!(
                "{OPERATIONS}: {method} {path} works, but the router lacks it"
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
        assert!(faults(list, "    route!(GET, \"/a\", a::get),\n").is_empty());
        assert_eq!(faults(list, "").len(), 1);
        assert_eq!(
            faults(list, "route!(GET, \"/a\", a),\nroute!(GET, \"/b\", b),").len(),
            1
        );
        assert_eq!(
            faults(list, "route!(GET, \"/a\", a),\nroute!(GET, \"/c\", c),").len(),
            1
        );
        assert_eq!(faults("GET\t/a\t1.24\tperhaps\t\n", "").len(), 1);
    }
}
