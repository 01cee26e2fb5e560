//! `import`, `images`, `tag`, `rmi`: what containers are made from.

use serde_json::Value;
use testkit::{BOX, case};

/// Imports an image of one file under `name`, so that the case has one of its own.
fn import(e: &testkit::Engine, name: &str, text: &str) -> String {
    let tree = e.temp().path().join("tree");
    std::fs::create_dir_all(&tree).expect("a new directory");
    std::fs::write(tree.join("note"), text).expect("a new file");
    let archive = e.temp().at("one.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-C").arg(&tree).args(["-cf", &archive, "."]);
    testkit::Program::start(&mut tar).finish().exits(0);
    e.cli(&["import", &archive, name]).ok().to_owned()
}

case!(import_list_tag_remove, |e| {
    let (one, two) = (e.name("one"), e.name("two"));
    let id = import(e, &one, "1");
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    let listed = e.cli(&["images", "-q", "--no-trunc", &one]);
    assert_eq!(listed.ok(), id);
    e.cli(&["tag", &one, &two]).exits(0).says("");
    e.cli(&["images", "-q", "--no-trunc", &two])
        .exits(0)
        .says(&format!("{id}\n"));
    e.cli(&["rmi", &one])
        .exits(0)
        .says(&format!("Untagged: {one}:latest\n"));
    let output = e.cli(&["rmi", &two]);
    assert!(
        output
            .ok()
            .contains(&format!("Untagged: {two}:latest\nDeleted: {id}")),
        "{output:?}"
    );
    e.cli(&["images", "-q", &two]).exits(0).says("");
});

case!(inspect, |e| {
    let name = e.name("one");
    let id = import(e, &name, "2");
    let seen = e.get_path(&format!("/images/{name}/json")).is(200).json();
    assert_eq!(seen["Id"], id);
    assert_eq!(seen["RepoTags"][0], format!("{name}:latest"));
    assert_eq!(seen["Os"], "linux");
    assert_eq!(seen["RootFS"]["Type"], "layers");
    assert_eq!(seen["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
    let output = e.cli(&["image", "inspect", &name]);
    let on_the_line: Value = serde_json::from_str(output.ok()).expect("JSON");
    assert_eq!(on_the_line[0]["Id"], id);
    let short = &id["sha256:".len().."sha256:".len() + 12];
    assert_eq!(
        e.get_path(&format!("/images/{short}/json")).is(200).json()["Id"],
        id
    );
    e.cli(&["rmi", &name]).exits(0);
});

case!(import_reads_stdin, |e| {
    let name = e.name("in");
    import(e, &e.name("x"), "3");
    let archive = std::fs::read(e.temp().path().join("one.tar")).expect("the archive");
    let path = format!("/images/create?fromSrc=-&repo={name}&tag=7");
    let reply = e.request("POST", &path, &[], &archive);
    assert!(
        reply.is(200).text().contains("\"status\":\"sha256:"),
        "{}",
        reply.text()
    );
    e.get_path(&format!("/images/{name}:7/json")).is(200);
    e.cli(&["rmi", &format!("{name}:7"), &e.name("x")]).exits(0);
});

case!(a_broken_archive_leaves_nothing, |e| {
    let name = e.name("broken");
    let file = e
        .temp()
        .file("broken.tar", &"this is not an archive ".repeat(100));
    let output = e.cli(&["import", &file, &name]);
    assert_ne!(output.code, 0, "{output:?}");
    e.get_path(&format!("/images/{name}/json")).is(404);
});

case!(rmi_of_nothing, |e| {
    e.cli(&["rmi", "no-such:1"])
        .exits(1)
        .complains("Error response from daemon: No such image: no-such:1");
});

case!(rmi_of_an_image_in_use, |e| {
    let name = e.name("used");
    let id = import(e, &name, "4");
    let container = e.name("user");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &container,
        &name,
        "/note",
    ])
    .exits(0);
    let output = e.cli(&["rmi", &name]);
    let short = &id["sha256:".len().."sha256:".len() + 12];
    output.exits(1).complains(&format!(
        "conflict: unable to remove repository reference \"{name}\" (must force) - container "
    ));
    output.complains(&format!("is using its referenced image {short}"));
    e.cli(&["rm", &container]).exits(0);
    e.cli(&["rmi", &name]).exits(0);
});

case!(tag_of_nothing, |e| {
    e.cli(&["tag", "no-such:1", "other"])
        .exits(1)
        .complains("Error response from daemon: No such image: no-such:1");
});

case!(list, |e| {
    let reply = e.get_path("/images/json").is(200).json();
    let images = reply.as_array().expect("a list");
    let tag = format!("{BOX}:latest");
    let found = images.iter().find(|image| image["RepoTags"][0] == tag);
    let found = found.expect("the box is listed");
    assert!(
        found["Size"].as_u64().is_some_and(|size| size > 100_000),
        "{found}"
    );
    assert!(
        found["Created"].as_u64().is_some_and(|time| time > 0),
        "{found}"
    );
});

/// Writes an archive as `save` makes it and loads it.
fn load_by_hand(e: &testkit::Engine) {
    let name = e.name("loaded");
    let dir = e.temp().path().join("save");
    std::fs::create_dir_all(dir.join("layer")).expect("a new directory");
    std::fs::create_dir_all(dir.join("tree")).expect("a new directory");
    std::fs::write(dir.join("tree/note"), "loaded\n").expect("a new file");
    let script = format!(
        r#"set -e; cd "$1"
tar -C tree -cf layer/layer.tar .
sum=$(sha256sum layer/layer.tar | cut -d' ' -f1)
printf '{{"architecture":"amd64","os":"linux","config":{{"Cmd":["sh"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:%s"]}}}}' $sum > config.json
printf '[{{"Config":"config.json","RepoTags":["{name}:1"],"Layers":["layer/layer.tar"]}}]' > manifest.json
tar -cf ../save.tar manifest.json config.json layer
gzip -k ../save.tar"#
    );
    let mut sh = std::process::Command::new("sh");
    sh.args(["-c", &script, "sh"]).arg(&dir);
    testkit::Program::start(&mut sh).finish().exits(0);
    let loaded = format!("Loaded image: {name}:1\n");
    for archive in ["save.tar", "save.tar.gz"] {
        e.cli(&["load", "-q", "-i", &e.temp().at(archive)])
            .exits(0)
            .says(&loaded);
        e.get_path(&format!("/images/{name}:1/json")).is(200);
        e.cli(&["rmi", &format!("{name}:1")]).exits(0);
    }
}

case!(load, load_by_hand);
