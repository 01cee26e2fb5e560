//! `registry serve` as Docker's own users meet it: push, pull, log in, search, by the engine under test.

use serde_json::Value;
use testkit::{BOX, Engine, case};

use crate::registry::Registry;

fn inspect_image(e: &Engine, name: &str) -> Value {
    e.get_path(&format!("/images/{name}/json")).is(200).json()
}

/// Returns an image's digest as the engine knows it from its registry.
fn digest(e: &Engine, name: &str) -> String {
    let said = inspect_image(e, name);
    let digests = said["RepoDigests"].as_array().expect("a list").clone();
    let repository = name.rsplit_once(':').expect("a tag").0;
    let digests = digests
        .iter()
        .filter_map(|digest| digest.as_str()?.split_once('@'));
    let mut digests = digests.filter(|(of, _)| *of == repository);
    digests.next().expect("a digest").1.to_owned()
}

case!(push_and_pull, |e| {
    let registry = Registry::beside(e, &[]);
    let name = format!("{}/team/box:one", registry.addr);
    e.cli(&["tag", BOX, &name]).exits(0);
    let pushed = e.cli(&["push", &name]);
    let digest_line = pushed
        .ok()
        .lines()
        .find_map(|line| line.split_once("digest: "));
    let said = digest_line
        .expect("a digest")
        .1
        .split(' ')
        .next()
        .expect("a word")
        .to_owned();
    assert_eq!(digest(e, &name), said);
    let id = inspect_image(e, &name)["Id"].clone();
    e.cli(&["rmi", &name]).exits(0);
    e.cli(&["pull", &name]).exits(0);
    assert_eq!(digest(e, &name), said);
    assert_eq!(inspect_image(e, &name)["Id"], id);
    // Under another name what is there is mounted, and has the same digest.
    let other = format!("{}/other:two", registry.addr);
    e.cli(&["tag", &name, &other]).exits(0);
    let pushed = e.cli(&["push", &other]);
    assert!(pushed.ok().contains(&said), "{pushed:?}");
    e.cli(&["rmi", &name, &other]).exits(0);
    let by_digest = format!("{}/other@{said}", registry.addr);
    e.cli(&["pull", &by_digest]).exits(0);
    e.cli(&["rmi", &by_digest]).exits(0);
    let absent = format!("{}/other:absent", registry.addr);
    e.cli(&["pull", &absent]).exits(1).complains("not found");
    registry.stop();
});

case!(login_and_search, |e| {
    // `secret`, by htpasswd -B.
    let line = "alice:$2y$05$/OK.fbVrR/bpIqNJ5ianF.Em0gkhY5CLhOmicnE9EVlPQpFgS./p.\n";
    let people = e.temp().file("htpasswd", line);
    for challenge in ["basic", "token"] {
        let settings = format!("challenge = \"{challenge}\"\nhtpasswd = \"{people}\"\n");
        let settings = e.temp().file("settings.toml", &settings);
        let registry = Registry::beside(e, &["--config", &settings]);
        let name = format!("{}/team/{challenge}:x", registry.addr);
        e.cli(&["tag", BOX, &name]).exits(0);
        let refused = e.cli(&["push", &name]);
        refused.exits(1);
        let login =
            |password: &str| e.cli(&["login", "-u", "alice", "-p", password, &registry.addr]);
        let wrong = login("wrong");
        assert!(
            wrong
                .exits(1)
                .stderr
                .to_lowercase()
                .contains("unauthorized"),
            "{wrong:?}"
        );
        assert!(login("secret").ok().contains("Login Succeeded"));
        e.cli(&["push", &name]).exits(0);
        e.cli(&["rmi", &name]).exits(0);
        e.cli(&["pull", &name]).exits(0);
        let words = format!("{}/{challenge}", registry.addr);
        let found = e.cli(&["search", "--format", "{{.Name}}", &words]);
        assert_eq!(found.ok(), format!("team/{challenge}"));
        e.cli(&["logout", &registry.addr]).exits(0);
        e.cli(&["rmi", &name]).exits(0);
        e.cli(&["pull", &name]).exits(1);
        registry.stop();
    }
});
