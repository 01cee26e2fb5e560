//! Fields of config.json: each case runs on ours and on Debian's runc, and both must say the same
//! with the same code, unless the case stands in `differences.tsv` with what ours says, and why.
//!
//! A case is one line of a file in `cases`: its name, the changes of the base by JSON pointer, and
//! the script that the container runs.

use conformance::{Bundle, Runtime, Said};
use serde_json::Value;

const DIFFERENCES: &str = include_str!("../differences.tsv");

/// Name, changes, script.
type Case = (String, Vec<(String, Value)>, String);

/// What ours says in a case that is known to differ.
fn difference(name: &str) -> Option<String> {
    DIFFERENCES.lines().find_map(|line| {
        let mut fields = line.split('\t');
        let expected = (fields.next()? == name).then(|| fields.next()).flatten()?;
        let reason = fields.next().unwrap_or_default();
        assert!(!reason.is_empty(), "{name}: no reason is given");
        Some(expected.replace("\\t", "\t"))
    })
}

/// What is wrong with a case.
fn judge(name: &str, own: &Said, other: &Said) -> Option<String> {
    let same = (own.code, &own.out) == (other.code, &other.out);
    match difference(name) {
        None if same => None,
        None => Some(format!("{name}:\n  ours {own:?}\n  runc {other:?}")),
        Some(_) if same => Some(format!("{name}: is no difference")),
        Some(expected) => {
            let found = format!("{}{}", own.out, own.err).contains(&expected);
            (!found).then(|| format!("{name}: expected {expected:?}: {own:?}"))
        }
    }
}

/// Runs all cases of a table, and tells all that are wrong.
fn compare(table: &str) {
    let (ours, theirs) = (Runtime::ours(), Runtime::runc());
    let mut wrong = Vec::new();
    for line in table.lines() {
        let (name, changes, script): Case = serde_json::from_str(line).unwrap();
        let run = |runtime: &Runtime| {
            let mut bundle = Bundle::new(&script);
            for (pointer, value) in &changes {
                bundle.set(pointer, value.clone());
            }
            bundle.run(runtime)
        };
        wrong.extend(judge(&name, &run(&ours), &run(&theirs)));
    }
    let count = table.lines().count();
    println!("{count} cases");
    assert!(
        wrong.is_empty(),
        "{} of {count} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn root_capabilities() {
    compare(include_str!("../cases/capabilities.jsonl"));
}

#[test]
fn root_devices() {
    compare(include_str!("../cases/devices.jsonl"));
}

#[test]
fn root_hooks_and_documents() {
    compare(include_str!("../cases/hooks_and_documents.jsonl"));
}

#[test]
fn root_limits() {
    compare(include_str!("../cases/limits.jsonl"));
}

#[test]
fn root_mounts() {
    compare(include_str!("../cases/mounts.jsonl"));
}

#[test]
fn root_namespaces() {
    compare(include_str!("../cases/namespaces.jsonl"));
}

#[test]
fn root_process() {
    compare(include_str!("../cases/process.jsonl"));
}

#[test]
fn root_resources() {
    compare(include_str!("../cases/resources.jsonl"));
}

#[test]
fn root_sysctl_and_seccomp() {
    compare(include_str!("../cases/sysctl_and_seccomp.jsonl"));
}
