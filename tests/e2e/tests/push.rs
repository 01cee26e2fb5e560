//! `push`: to Debian's registry, and what is there afterwards.

use testkit::{BOX, Engine, Image, Packed, case};

fn tag(e: &Engine, source: &str, target: &str) {
    e.cli(&["tag", source, target]).exits(0);
}

/// Returns the top layer's first digits.
fn layer(e: &Engine, image: &str) -> String {
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    let layers = seen["RootFS"]["Layers"].as_array().expect("layers");
    let top = layers.last().and_then(|one| one.as_str()).expect("a layer");
    top["sha256:".len()..][..12].to_owned()
}

case!(a_tag, |e| {
    let registry = e.registry();
    let image = registry.name("app:1");
    tag(e, BOX, &image);
    let id = layer(e, &image);
    let output = e.cli(&["push", &image]);
    let digest = registry.digest("app:1");
    let said = output.ok();
    let begin = format!(
        "The push refers to repository [{}]\n{id}: Preparing\n",
        registry.name("app")
    );
    assert!(said.starts_with(&begin), "{said}");
    assert!(said.contains(&format!("{id}: Pushed\n")), "{said}");
    assert!(
        said.contains(&format!("1: digest: {digest} size: ")),
        "{said}"
    );
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    let digests = seen["RepoDigests"].as_array().expect("a list");
    let by_digest = registry.name(&format!("app@{digest}"));
    assert!(digests.iter().any(|one| *one == by_digest), "{digests:?}");
    let again = e.cli(&["push", &image]);
    assert!(
        again
            .ok()
            .contains(&format!("{id}: Layer already exists\n")),
        "{again:?}"
    );
    assert_eq!(registry.digest("app:1"), digest);
    e.cli(&["push", "-q", &image])
        .exits(0)
        .says(&format!("{image}\n"));
    e.cli(&["rmi", &image]).exits(0);
    let output = e.cli(&["run", "--rm", "--network", "none", &image, "echo", "back"]);
    assert_eq!(output.ok(), "back");
    e.cli(&["rmi", &image]).exits(0);
});

case!(what_is_streamed, |e| {
    let registry = e.registry();
    let image = registry.name("app:1");
    tag(e, BOX, &image);
    let path = format!("/images/{}/push?tag=1", registry.name("app"));
    let text = e
        .request("POST", &path, &["X-Registry-Auth: e30="], b"")
        .is(200)
        .text();
    let digest = registry.digest("app:1");
    let begin = format!(
        "{{\"status\":\"The push refers to repository [{}]\"}}\r\n{{\"status\":\"Preparing\",\"progressDetail\":{{}},\"id\":\"",
        registry.name("app")
    );
    assert!(text.starts_with(&begin), "{text}");
    let last = text.trim_end().lines().last().expect("a line");
    let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["aux"]["Tag"], "1");
    assert_eq!(last["aux"]["Digest"], digest);
    assert!(last["aux"]["Size"].as_u64() > Some(100), "{text}");
    e.cli(&["rmi", &image]).exits(0);
});

case!(all_tags, |e| {
    let registry = e.registry();
    let (one, two) = (registry.name("app:1"), registry.name("app:2"));
    tag(e, BOX, &one);
    tag(e, BOX, &two);
    e.cli(&["push", "-a", &registry.name("app")]).exits(0);
    assert_eq!(registry.digest("app:1"), registry.digest("app:2"));
    e.cli(&["push", "-a", &one])
        .exits(1)
        .complains("tag can't be used with --all-tags/-a");
    e.cli(&["push", &registry.name("app")])
        .exits(1)
        .complains(&format!(
            "tag does not exist: {}",
            registry.name("app:latest")
        ));
    e.cli(&["push", &registry.name("none:1")])
        .exits(1)
        .complains(&format!(
            "An image does not exist locally with the tag: {}",
            registry.name("none")
        ));
    e.cli(&["rmi", &one, &two]).exits(0);
});

case!(from_another_repository, |e| {
    let registry = e.registry();
    let (one, two) = (registry.name("app:1"), registry.name("other/app:1"));
    tag(e, BOX, &one);
    tag(e, BOX, &two);
    e.cli(&["push", &one]).exits(0);
    let output = e.cli(&["push", &two]);
    assert!(output.ok().contains(": Mounted from app\n"), "{output:?}");
    assert_eq!(registry.digest("app:1"), registry.digest("other/app:1"));
    e.cli(&["rmi", &one, &two]).exits(0);
});

case!(with_credentials, |e| {
    let registry = e.locked_registry();
    let image = registry.name("app:1");
    tag(e, BOX, &image);
    e.cli(&["push", &image])
        .exits(1)
        .complains("no basic auth credentials");
    let folder = e
        .temp()
        .path()
        .join("client")
        .to_string_lossy()
        .into_owned();
    let login = [
        "--config",
        &folder,
        "login",
        "-u",
        "user",
        "--password-stdin",
        registry.address(),
    ];
    e.cli_with("secret", &login).exits(0);
    e.cli(&["--config", &folder, "push", &image]).exits(0);
    assert!(registry.digest("app:1").starts_with("sha256:"));
    e.cli(&["rmi", &image]).exits(0);
});

case!(what_was_pulled_keeps_its_digest, |e| {
    let (from, to) = (e.registry(), e.registry());
    for (tag_of, packed) in [
        ("app:gzip", Packed::Gzip),
        ("app:zstd", Packed::Zstd),
        ("app:plain", Packed::Plain),
    ] {
        from.put(tag_of, &[Image::new(packed, tag_of)]);
        let (source, target) = (from.name(tag_of), to.name(tag_of));
        e.cli(&["pull", &source]).exits(0);
        tag(e, &source, &target);
        e.cli(&["push", &target]).exits(0);
        assert_eq!(from.digest(tag_of), to.digest(tag_of), "{tag_of}");
        e.cli(&["rmi", &source, &target]).exits(0);
    }
});

case!(an_event, |e| {
    let registry = e.registry();
    let image = registry.name("app:1");
    tag(e, BOX, &image);
    e.cli(&["push", &image]).exits(0);
    let filters = "%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22push%22%5D%7D";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = now.expect("a clock after 1970").as_secs() + 1;
    let path = format!("/events?since=1&until={until}&filters={filters}");
    let text = e.get_path(&path).is(200).text();
    assert!(text.contains(&image), "{text}");
    e.cli(&["rmi", &image]).exits(0);
});
