//! Lists and documents on the command line: what is shown of them, and what is left out.

use testkit::{BOX, Engine, case};

/// Creates a container that was never started.
fn made(e: &Engine, suffix: &str, label: &str) -> String {
    let name = e.name(suffix);
    let words = [
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "--label",
        label,
        BOX,
        "true",
    ];
    e.cli(&words).exits(0);
    name
}

case!(ps_filter, |e| {
    let (one, two) = (made(e, "one", "kind=a"), made(e, "two", "kind=b"));
    let names = |filter: &str| {
        let words = ["ps", "-a", "--filter", filter, "--format", "{{.Names}}"];
        e.cli(&words).ok().to_owned()
    };
    assert_eq!(names(&format!("name={one}")), one);
    assert!(names("label=kind=b").lines().any(|name| name == two));
    assert!(!names("label=kind=b").lines().any(|name| name == one));
});

case!(ps_last, |e| {
    made(e, "one", "kind=a");
    for words in [["ps", "-q", "-n", "1"].as_slice(), &["ps", "-q", "-l"]] {
        assert_eq!(e.cli(words).ok().lines().count(), 1, "{words:?}");
    }
});

case!(ps_size, |e| {
    let output = e.cli(&["ps", "-s"]);
    let head = output.ok().lines().next().unwrap_or_default();
    assert!(head.trim_end().ends_with("SIZE"), "{output:?}");
    assert!(!e.cli(&["ps"]).ok().contains("SIZE"));
});

case!(images_on_the_line, |e| {
    let other = e.name("other");
    e.cli(&["tag", BOX, &other]).exits(0);
    let filter = format!("reference={other}");
    let words = [
        "images",
        "--filter",
        &filter,
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ];
    e.cli(&words).exits(0).says(&format!("{other}:latest\n"));
    let output = e.cli(&["images", "--digests", &other]);
    assert!(output.ok().contains("DIGEST"), "{output:?}");
    e.cli(&["rmi", &other]).exits(0);
});

case!(inspect_on_the_line, |e| {
    let name = made(e, "one", "kind=a");
    e.cli(&["inspect", "--format", "{{.Name}}", &name])
        .exits(0)
        .says(&format!("/{name}\n"));
    e.cli(&["container", "inspect", "-f", "{{.State.Status}}", &name])
        .exits(0)
        .says("created\n");
    e.cli(&["image", "inspect", "-f", "{{.Os}}", BOX])
        .exits(0)
        .says("linux\n");
    let output = e.cli(&["inspect", "--type", "image", &name]);
    output.exits(1).complains(&format!("No such image: {name}"));
});

case!(nothing_to_inspect, |e| {
    e.cli(&["network", "inspect", "no-such"])
        .exits(1)
        .complains("network no-such not found");
    e.cli(&["volume", "inspect", "no-such"])
        .exits(1)
        .complains("get no-such: no such volume");
    e.cli(&["container", "inspect", "no-such"])
        .exits(1)
        .complains("No such container: no-such");
});

case!(history, |e| {
    let words = ["history", "--no-trunc", "--format", "{{.ID}}", BOX];
    let output = e.cli(&words);
    assert!(output.ok().starts_with("sha256:"), "{output:?}");
    let output = e.cli(&["history", "-q", BOX]);
    assert_eq!(output.ok().len(), 12, "{output:?}");
    let output = e.cli(&["history", "--human=false", BOX]);
    assert!(output.ok().contains("CREATED AT"), "{output:?}");
});

case!(import_with_changes, |e| {
    let tree = e.temp().path().join("tree");
    std::fs::create_dir_all(&tree).expect("a new directory");
    let archive = e.temp().at("one.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-C").arg(&tree).args(["-cf", &archive, "."]);
    testkit::Program::start(&mut tar).finish().exits(0);
    let name = e.name("one");
    let words = [
        "import",
        "--change",
        "ENV A=1",
        "--message",
        "why not",
        &archive,
        &name,
    ];
    e.cli(&words).exits(0);
    let seen = e.get_path(&format!("/images/{name}/json")).is(200).json();
    assert_eq!(seen["Config"]["Env"][0], "A=1");
    assert_eq!(seen["Comment"], "why not");
    e.cli(&["rmi", &name]).exits(0);
});

case!(rmi_by_force, |e| {
    let (image, name) = (e.name("used"), e.name("user"));
    let base = made(e, "base", "kind=a");
    e.cli(&["commit", &base, &image]).exits(0);
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        &image,
        "true",
    ])
    .exits(0);
    e.cli(&["rmi", &image]).exits(1);
    e.cli(&["rmi", "-f", &image]).exits(0);
    e.get_path(&format!("/images/{image}/json")).is(404);
});

case!(events_on_the_line, |e| {
    let since = e
        .cli(&["info", "--format", "{{.SystemTime}}"])
        .ok()
        .to_owned();
    let (one, two) = (made(e, "one", "kind=a"), made(e, "two", "kind=b"));
    let until = e
        .cli(&["info", "--format", "{{.SystemTime}}"])
        .ok()
        .to_owned();
    let filter = format!("container={one}");
    let words = [
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &filter,
        "--format",
        "{{.Action}}",
    ];
    e.cli(&words).exits(0).says("create\n");
    e.cli(&["rm", &one, &two]).exits(0);
});

case!(logs_until_then, |e| {
    let name = e.background("l", &[], "echo early");
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["logs", "--until", "1", &name]).exits(0).says("");
    e.cli(&["logs", &name]).exits(0).says("early\n");
});

case!(logs_with_details, |e| {
    let name = e.background("l", &[], "echo early");
    e.cli(&["wait", &name]).exits(0);
    // There are none, but their place is kept.
    e.cli(&["logs", "--details", &name])
        .exits(0)
        .says(" early\n");
});

case!(what_the_engine_is, |e| {
    e.cli(&["info", "--format", "{{.OSType}}"])
        .exits(0)
        .says("linux\n");
    let newest = e.get_path("/version").json()["ApiVersion"].clone();
    let output = e.cli(&["version", "--format", "{{.Server.APIVersion}}"]);
    assert_eq!(output.ok(), newest.as_str().expect("a version"));
    let output = e.cli(&["version"]);
    assert!(output.ok().contains("\nServer:"), "{output:?}");
    let output = e.cli(&["info"]);
    assert!(output.ok().contains("\nServer:"), "{output:?}");
});

case!(no_port, |e| {
    let name = made(e, "one", "kind=a");
    e.cli(&["port", &name]).exits(0).says("");
    e.cli(&["port", &name, "80"])
        .exits(1)
        .complains(&format!("No public port '80' published for {name}"));
});
