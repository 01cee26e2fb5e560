//! `prune` and `system df`: what nobody uses, and what takes how much space.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case};

/// A container that is kept when it ends.
fn stopped(e: &Engine, suffix: &str, label: &str) -> String {
    let name = e.background(
        suffix,
        &["--label", label],
        "dd if=/dev/zero of=/f bs=1000 count=50 2>/dev/null",
    );
    e.cli(&["wait", &name]).exits(0);
    name
}

/// Every byte as an escape of a URL.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").expect("a String takes everything");
        all
    })
}

fn is_there(e: &Engine, name: &str) -> bool {
    e.cli(&["inspect", "--type", "container", name]).code == 0
}

case!(containers_that_do_not_run, |e| {
    let label = e.name("mine");
    let old = stopped(e, "old", &label);
    let runs = e.background("runs", &["--label", &label], "sleep 100");
    let other = stopped(e, "other", "others");
    let id = e.inspect(&old)["Id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let filter = format!("label={label}");
    let output = e.cli(&["container", "prune", "-f", "--filter", &filter]);
    output
        .exits(0)
        .shows(&format!("Deleted Containers:\n{id}\n\n"))
        .shows("Total reclaimed space: 50kB\n");
    assert!(!is_there(e, &old) && is_there(e, &runs) && is_there(e, &other));
    e.cli(&["container", "prune", "-f", "--filter", &filter])
        .exits(0)
        .says("Total reclaimed space: 0B\n");
});

case!(filters_of_containers, |e| {
    let label = e.name("mine");
    let name = stopped(e, "a", &label);
    let prune = |filters: Value| {
        let filters = filters.to_string();
        let path = format!("/containers/prune?filters={}", escaped(&filters));
        e.post(&path, &json!(null))
    };
    let none = json!({"ContainersDeleted": null, "SpaceReclaimed": 0});
    let until = prune(json!({"label": [label], "until": ["24h"]}));
    assert_eq!(until.is(200).json(), none);
    assert!(is_there(e, &name));
    let not = prune(json!({"label": [label], "label!": [label]}));
    assert_eq!(not.is(200).json(), none);
    prune(json!({"x": ["y"]})).refuses(400, "invalid filter 'x'");
    prune(json!({"until": ["zz"]}))
        .refuses(400, "failed to parse value as time or duration: \"zz\"");
    let gone = prune(json!({"label": [label], "until": ["2100-01-01T00:00"]}));
    assert_eq!(gone.is(200).json()["SpaceReclaimed"], 50_000);
    assert!(!is_there(e, &name));
});

case!(a_question_first, |e| {
    let label = e.name("mine");
    let name = stopped(e, "q", &label);
    let filter = format!("label={label}");
    let asked = e.cli_with("n\n", &["container", "prune", "--filter", &filter]);
    asked.shows("WARNING! This will remove all stopped containers.");
    assert!(is_there(e, &name));
    e.cli_with("y\n", &["container", "prune", "--filter", &filter])
        .exits(0);
    assert!(!is_there(e, &name));
});

case!(images_without_a_name, |e| {
    let name = stopped(e, "i", "x");
    let label = e.name("mine");
    let tag = e.name("img");
    let change = format!("LABEL {label}=1");
    let commit = |tag: Option<&str>| {
        let mut words = vec!["commit", "-c", &change, &name];
        words.extend(tag);
        e.cli(&words).ok().to_owned()
    };
    let nameless = commit(None);
    let named = commit(Some(&tag));
    let other = e.cli(&["commit", &name]).ok().to_owned();
    let filter = format!("label={label}");
    let output = e.cli(&["image", "prune", "-f", "--filter", &filter]);
    output
        .exits(0)
        .shows(&format!("deleted: {nameless}"))
        .shows("Total reclaimed space: ");
    e.cli(&["image", "inspect", &nameless]).exits(1);
    e.cli(&["image", "inspect", &named]).exits(0);
    e.cli(&["image", "inspect", &other]).exits(0);
    // It has the same layer.
    e.cli(&["rmi", &other]).exits(0);
    let output = e.cli(&["image", "prune", "-a", "-f", "--filter", &filter]);
    output
        .exits(0)
        .shows(&format!("untagged: {tag}:latest"))
        .shows("Total reclaimed space: 50kB");
    e.cli(&["image", "inspect", &named]).exits(1);
    // What a container uses stays.
    e.cli(&["image", "inspect", BOX]).exits(0);
});

case!(how_much_space, |e| {
    let name = stopped(e, "d", "x");
    let usage = e.get_path("/system/df").is(200).json();
    let id = e.inspect(&name)["Id"].clone();
    let own = usage["Containers"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["Id"] == id).cloned());
    assert_eq!(own.expect("it is listed")["SizeRw"], 50_000);
    let images = usage["Images"].as_array().cloned().unwrap_or_default();
    let tag = json!(format!("{BOX}:latest"));
    let image = images
        .iter()
        .find(|one| {
            one["RepoTags"]
                .as_array()
                .is_some_and(|tags| tags.contains(&tag))
        })
        .expect("the image is listed");
    assert!(image["Containers"].as_i64() >= Some(1), "{image}");
    assert!(
        usage["LayersSize"].as_i64() >= image["Size"].as_i64(),
        "{usage}"
    );
    let some = e.get_path("/system/df?type=container").is(200).json();
    assert!(
        some["Images"].is_null() && some["Containers"].is_array(),
        "{some}"
    );
    e.get_path("/system/df?type=x")
        .refuses(400, "unknown object type: x");
    e.cli(&["system", "df", "--format", "{{.Type}}"])
        .exits(0)
        .says("Images\nContainers\nLocal Volumes\nBuild Cache\n");
    e.cli(&["system", "df"])
        .exits(0)
        .shows("TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n");
});
