//! Runs one case on the engine under test, or skips it with a reason that is counted.

use std::fs::OpenOptions;
use std::io::Write;

use crate::setting::Setting;
use crate::{Engine, Manner};

/// Cases that are not run, and why: the ratchet.
const SKIPS: &str = include_str!("../../../tests/e2e/skips.txt");

/// Runs `body` on the engine under test. `path` is the case's full name: `binary::module::case`.
pub fn case(path: &str, body: impl FnOnce(&Engine)) {
    case_in(path, Manner::default(), body);
}

/// As [`case`], with our daemon started in the given manner.
pub fn case_in(path: &str, manner: Manner, body: impl FnOnce(&Engine)) {
    let name = path.split_once("::").map_or(path, |(_, rest)| rest);
    let setting = Setting::from_environment();
    let (engine, client) = (setting.kind.name(), setting.client.name());
    if let Some(reason) = skipped(SKIPS, name, engine, client) {
        println!("SKIP {name} on {engine} with {client}: {reason}");
        record(&setting, name, reason);
        return;
    }
    println!("CASE {name} on {engine} with {client}");
    let engine = Engine::started(&setting, name, manner);
    body(&engine);
    engine.finish();
}

fn record(setting: &Setting, name: &str, reason: &str) {
    let Some(file) = &setting.skipped else { return };
    let line = format!(
        "{} {} {name}: {reason}\n",
        setting.kind.name(),
        setting.client.name()
    );
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .expect("the skip list");
    file.write_all(line.as_bytes()).expect("the skip list");
}

/// Finds the reason why a case is not run. A line: engine, client (each may be `*`), case, reason.
fn skipped<'a>(list: &'a str, name: &str, engine: &str, client: &str) -> Option<&'a str> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            // A whole module: `daemon::*`.
            let names = |word: &str, name: &str| match word.strip_suffix('*') {
                Some(module) => name.starts_with(module),
                None => word == name,
            };
            let mut words = line.splitn(4, ' ');
            let fits = |word: &str, wanted: &str| word == "*" || word == wanted;
            let hit = fits(words.next()?, engine)
                && fits(words.next()?, client)
                && names(words.next()?, name);
            hit.then(|| words.next().expect("a skip has a reason"))
        })
}

#[cfg(test)]
mod tests {
    use super::{SKIPS, skipped};

    #[test]
    fn a_skip_names_engine_client_case_and_reason() {
        let list = "# why\ndockerd * run::a too old\n* wharf run::b not yet\n";
        assert_eq!(
            skipped(list, "run::a", "dockerd", "docker"),
            Some("too old")
        );
        assert_eq!(skipped(list, "run::a", "wharf", "docker"), None);
        assert_eq!(skipped(list, "run::b", "wharf", "wharf"), Some("not yet"));
    }

    #[test]
    fn every_line_of_the_list_is_whole() {
        for line in SKIPS
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            assert_eq!(
                line.splitn(4, ' ').count(),
                4,
                "engine client case reason: {line}"
            );
        }
    }
}
