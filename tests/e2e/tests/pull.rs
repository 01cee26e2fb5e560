//! `pull`, and `run` of an image that is not here: from Debian's registry.

use testkit::{Engine, Image, Packed, Registry, case};

/// Fills a registry with one image whose `/note` says where it is.
fn one(registry: &Registry, tag: &str, packed: Packed) -> String {
    registry.put(tag, &[Image::new(packed, tag)]);
    registry.name(tag)
}

fn note(e: &Engine, image: &str) -> String {
    let output = e.cli(&["run", "--rm", "--network", "none", image]);
    output.ok().to_owned()
}

fn remove(e: &Engine, image: &str) {
    e.cli(&["rmi", "-f", image]).exits(0);
}

case!(a_tag, |e| {
    let registry = e.registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let digest = registry.digest("app:1");
    let output = e.cli(&["pull", &image]);
    let said = output.ok();
    assert!(said.starts_with("1: Pulling from app\n"), "{said}");
    for line in ["Pulling fs layer", "Download complete", "Pull complete"] {
        assert!(said.contains(&format!(": {line}\n")), "{line}: {said}");
    }
    let end = format!("Digest: {digest}\nStatus: Downloaded newer image for {image}\n{image}");
    assert!(said.ends_with(&end), "{said}");
    assert_eq!(note(e, &image), "app:1");
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    assert_eq!(seen["RepoTags"][0], image);
    assert_eq!(
        seen["RepoDigests"][0],
        registry.name(&format!("app@{digest}"))
    );
    let output = e.cli(&["pull", &image]);
    let again = format!(
        "1: Pulling from app\nDigest: {digest}\nStatus: Image is up to date for {image}\n{image}"
    );
    assert_eq!(output.ok(), again);
    let output = e.cli(&["pull", "-q", &image]);
    assert_eq!(output.ok(), image);
    let output = e.cli(&["rmi", &image]);
    let gone = format!(
        "Untagged: {image}\nUntagged: {}\nDeleted: sha256:",
        registry.name(&format!("app@{digest}"))
    );
    assert!(output.ok().starts_with(&gone), "{output:?}");
});

case!(what_is_streamed, |e| {
    let registry = e.registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let path = format!("/images/create?fromImage={}&tag=1", registry.name("app"));
    let reply = e.request("POST", &path, &[], b"");
    let text = reply.is(200).text();
    assert!(
        text.starts_with("{\"status\":\"Pulling from app\",\"id\":\"1\"}\r\n"),
        "{text}"
    );
    assert!(
        text.contains("{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\""),
        "{text}"
    );
    let done = format!("{{\"status\":\"Status: Downloaded newer image for {image}\"}}\r\n");
    assert!(text.ends_with(&done), "{text}");
    remove(e, &image);
});

case!(every_compression, |e| {
    let registry = e.registry();
    for (tag, packed) in [
        ("app:gzip", Packed::Gzip),
        ("app:zstd", Packed::Zstd),
        ("app:plain", Packed::Plain),
    ] {
        let image = one(&registry, tag, packed);
        e.cli(&["pull", &image]).exits(0);
        assert_eq!(note(e, &image), tag);
        remove(e, &image);
    }
});

case!(by_digest, |e| {
    let registry = e.registry();
    one(&registry, "app:1", Packed::Gzip);
    let digest = registry.digest("app:1");
    let image = registry.name(&format!("app@{digest}"));
    let output = e.cli(&["pull", &image]);
    let said = output.ok();
    assert!(said.contains(": Pulling from app\n"), "{said}");
    assert!(said.ends_with(&image), "{said}");
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    assert_eq!(seen["RepoTags"].as_array().map(Vec::len), Some(0));
    assert_eq!(seen["RepoDigests"][0], image);
    assert_eq!(note(e, &image), "app:1");
    e.cli(&["rmi", &image]).exits(0);
    e.get_path(&format!("/images/{image}/json")).is(404);
});

case!(all_tags, |e| {
    let registry = e.registry();
    let (a, b) = (
        one(&registry, "app:a", Packed::Gzip),
        one(&registry, "app:b", Packed::Zstd),
    );
    let output = e.cli(&["pull", "-a", &registry.name("app")]);
    let end = format!(
        "Status: Downloaded newer image for {0}\n{0}",
        registry.name("app")
    );
    assert!(output.ok().ends_with(&end), "{output:?}");
    assert_eq!(
        (note(e, &a), note(e, &b)),
        ("app:a".to_owned(), "app:b".to_owned())
    );
    e.cli(&["pull", "-a", &a])
        .exits(1)
        .complains("tag can't be used with --all-tags/-a");
    remove(e, &a);
    remove(e, &b);
});

case!(platforms, |e| {
    let registry = e.registry();
    let here = Image::new(Packed::Gzip, "here");
    let other = if here.platform == "linux/arm64" {
        "linux/amd64"
    } else {
        "linux/arm64"
    };
    let there = Image::new(Packed::Gzip, "there").on(other);
    registry.put("app:1", &[there, here]);
    let image = registry.name("app:1");
    e.cli(&["pull", &image]).exits(0);
    assert_eq!(note(e, &image), "here");
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    let digest = registry.digest("app:1");
    assert_eq!(
        seen["RepoDigests"][0],
        registry.name(&format!("app@{digest}"))
    );
    e.cli(&["pull", "--platform", other, &image]).exits(0);
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    let word = other.split('/').nth(1).expect("an architecture");
    assert_eq!(seen["Architecture"], word);
    let output = e.cli(&["pull", "--platform", "linux/s390x", &image]);
    output.exits(1);
    assert!(
        output
            .stderr
            .contains("no matching manifest for linux/s390x in the manifest list entries"),
        "{output:?}"
    );
    e.cli(&["pull", "--platform", "nothing", &image])
        .exits(1)
        .complains("\"nothing\": unknown operating system or architecture: invalid argument");
    remove(e, &image);
});

case!(of_another_platform_only, |e| {
    let registry = e.registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let output = e.cli(&["pull", "--platform", "linux/s390x", &image]);
    let said = format!("WARNING: image with reference {image} was found but its platform (");
    assert!(output.ok().contains(&said), "{output:?}");
    remove(e, &image);
});

case!(what_is_not_there, |e| {
    let registry = e.registry();
    one(&registry, "app:1", Packed::Gzip);
    for (name, text) in [
        (
            registry.name("app:2"),
            format!(
                "Error response from daemon: manifest for {} not found: manifest unknown: manifest unknown\n",
                registry.name("app:2")
            ),
        ),
        (
            registry.name("none"),
            format!(
                "Error response from daemon: manifest for {} not found: manifest unknown: manifest unknown\n",
                registry.name("none:latest")
            ),
        ),
        (
            "127.0.0.1:1/app:1".to_owned(),
            "Error response from daemon: Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused\n".to_owned(),
        ),
        (
            "APP".to_owned(),
            "invalid reference format: repository name (library/APP) must be lowercase\n".to_owned(),
        ),
    ] {
        e.cli(&["pull", "-q", &name]).exits(1).errs(&text);
    }
});

case!(with_credentials, |e| {
    let registry = e.locked_registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let (name, host) = (registry.name("app"), registry.address().to_owned());
    let path = format!("/images/create?fromImage={name}&tag=1");
    let url = format!("http://{host}/v2/app/manifests/1");
    let reply = e.request("POST", &path, &[], b"");
    reply.refuses(500, &format!("Head \"{url}\": no basic auth credentials"));
    let wrong = "X-Registry-Auth: eyJ1c2VybmFtZSI6InVzZXIiLCJwYXNzd29yZCI6Indyb25nIn0=";
    let reply = e.request("POST", &path, &[wrong], b"");
    assert!(reply.status >= 400, "{reply:?}");
    // {"username":"user","password":"secret"}
    let right = "X-Registry-Auth: eyJ1c2VybmFtZSI6InVzZXIiLCJwYXNzd29yZCI6InNlY3JldCJ9";
    let reply = e.request("POST", &path, &[right], b"");
    assert!(
        reply.is(200).text().contains("Downloaded newer image"),
        "{}",
        reply.text()
    );
    remove(e, &image);
});

case!(with_the_clients_credentials, |e| {
    let registry = e.locked_registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let folder = e.temp().path().join("client");
    std::fs::create_dir_all(&folder).expect("a new directory");
    let config = format!(
        r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#,
        registry.address()
    );
    std::fs::write(folder.join("config.json"), config).expect("a new file");
    let folder = folder.to_string_lossy().into_owned();
    e.cli(&["--config", &folder, "pull", &image]).exits(0);
    remove(e, &image);
    let output = e.cli(&[
        "--config",
        &folder,
        "run",
        "--rm",
        "--network",
        "none",
        &image,
    ]);
    assert_eq!(output.ok(), "app:1");
    remove(e, &image);
});

case!(by_run, |e| {
    let registry = e.registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let run = ["run", "--rm", "--network", "none"];
    let with = |more: &[&str]| e.cli(&[&run[..], more, &[&image]].concat());
    with(&["--pull", "never"])
        .exits(125)
        .complains(&format!("No such image: {image}"));
    let output = with(&[]);
    assert_eq!(output.ok(), "app:1");
    let told = format!("Unable to find image '{image}' locally\n1: Pulling from app\n");
    assert!(output.stderr.starts_with(&told), "{output:?}");
    registry.put("app:1", &[Image::new(Packed::Gzip, "newer")]);
    assert_eq!(with(&[]).ok(), "app:1");
    let output = with(&["--pull", "always"]);
    assert_eq!(output.ok(), "newer");
    assert!(
        output.stderr.contains("Status: Downloaded newer image"),
        "{output:?}"
    );
    let output = with(&["--pull", "always", "-q"]);
    assert_eq!((output.ok(), output.stderr.as_str()), ("newer", ""));
    // The first image has lost its name.
    e.cli(&["image", "prune", "-f"]);
    remove(e, &image);
});

case!(an_event, |e| {
    let registry = e.registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    e.cli(&["pull", "-q", &image]).exits(0);
    let filters = "%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22pull%22%5D%7D";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = now.expect("a clock after 1970").as_secs() + 1;
    let path = format!("/events?since=1&until={until}&filters={filters}");
    let text = e.get_path(&path).is(200).text();
    let ours = text.lines().find(|line| line.contains(&image));
    let event: serde_json::Value =
        serde_json::from_str(ours.unwrap_or_else(|| panic!("no event: {text}"))).expect("JSON");
    assert_eq!(event["Actor"]["ID"], image);
    assert_eq!(event["Actor"]["Attributes"]["name"], registry.name("app"));
    remove(e, &image);
});

case!(login_and_logout, |e| {
    let registry = e.locked_registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let host = registry.address().to_owned();
    let folder = e
        .temp()
        .path()
        .join("client")
        .to_string_lossy()
        .into_owned();
    let own = |words: &[&str]| e.cli(&[&["--config", &folder], words].concat());
    let login = |words: &[&str], input: &str| {
        let words = [&["--config", &folder, "login"], words, &[&host]].concat();
        e.cli_with(input, &words)
    };
    login(&["--password-stdin"], "secret")
        .exits(1)
        .errs("the --password-stdin option requires --username to be set\n");
    login(&["-u", "user", "-p", "x", "--password-stdin"], "")
        .exits(1)
        .complains("conflicting options: cannot specify both --password and --password-stdin");
    login(&["-u", "user"], "")
        .exits(1)
        .complains("Cannot perform an interactive login");
    login(&["-u", "user", "--password-stdin"], "wrong").exits(1).complains(&format!(
        "Error response from daemon: login attempt to http://{host}/v2/ failed with status: 401 Unauthorized"
    ));
    own(&["pull", &image])
        .exits(1)
        .complains("no basic auth credentials");
    login(&["-u", "user", "--password-stdin"], "secret\n")
        .exits(0)
        .says("Login Succeeded\n");
    let kept = std::fs::read_to_string(format!("{folder}/config.json")).expect("it is kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(kept["auths"][&host]["auth"], "dXNlcjpzZWNyZXQ=");
    own(&["pull", &image]).exits(0);
    remove(e, &image);
    let gone = format!("Removing login credentials for {host}\n");
    own(&["logout", &host]).exits(0).says(&gone);
    own(&["pull", &image])
        .exits(1)
        .complains("no basic auth credentials");
    own(&["logout", &host]).exits(0).says(&gone);
    login(&["-u", "user", "-p", "secret"], "")
        .exits(0)
        .complains("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
});

case!(auth, |e| {
    let registry = e.locked_registry();
    let host = registry.address();
    let ask = |password: &str| {
        let body = serde_json::json!({
            "username": "user", "password": password, "serveraddress": host,
        });
        e.post("/auth", &body)
    };
    let answer = ask("secret").is(200).json();
    assert_eq!(answer["Status"], "Login Succeeded");
    assert_eq!(answer["IdentityToken"], "");
    ask("wrong").refuses(
        500,
        &format!("login attempt to http://{host}/v2/ failed with status: 401 Unauthorized"),
    );
});

case!(a_credential_helper, |e| {
    use std::os::unix::fs::PermissionsExt;
    let registry = e.locked_registry();
    let image = one(&registry, "app:1", Packed::Gzip);
    let host = registry.address().to_owned();
    let bin = e.temp().path().join("bin");
    std::fs::create_dir_all(&bin).expect("a new directory");
    let helper = bin.join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread server\ncase $1 in\nget) [ \"$server\" = {host} ] && printf \
         '{{\"ServerURL\":\"%s\",\"Username\":\"user\",\"Secret\":\"secret\"}}' $server || \
         {{ echo credentials not found in native keychain; exit 1; }};;\n\
         store|erase) echo $1 >> {0}/asked;;\nesac\n",
        bin.display()
    );
    std::fs::write(&helper, script).expect("a new file");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let folder = e.temp().path().join("client");
    std::fs::create_dir_all(&folder).expect("a new directory");
    std::fs::write(folder.join("config.json"), r#"{"credsStore":"test"}"#).expect("a new file");
    let folder = folder.to_string_lossy().into_owned();
    let path = std::env::var("PATH").expect("there is a path");
    let path = format!("{}:{path}", bin.display());
    let own = |words: &[&str]| {
        let words = [&["--config", &folder], words].concat();
        testkit::Program::start(e.command(&words).env("PATH", &path)).finish()
    };
    own(&["pull", &image]).exits(0);
    remove(e, &image);
    own(&["logout", &host]).exits(0);
    let asked = std::fs::read_to_string(bin.join("asked")).expect("the helper was asked");
    assert!(asked.starts_with("erase\n"), "{asked}");
});

case!(distribution, |e| {
    let registry = e.registry();
    one(&registry, "app:1", Packed::Gzip);
    let ask = |name: &str| e.get_path(&format!("/distribution/{}/json", registry.name(name)));
    let found = ask("app:1").is(200).json();
    assert_eq!(found["Descriptor"]["digest"], registry.digest("app:1"));
    assert_eq!(found["Platforms"][0]["os"], "linux");
    ask("app:2").refuses(404, "manifest unknown: manifest unknown");
    let here = Image::new(Packed::Gzip, "here");
    let there = Image::new(Packed::Gzip, "there").on("linux/s390x");
    registry.put("both:1", &[here, there]);
    let found = ask("both:1").is(200).json();
    assert_eq!(found["Platforms"][1]["architecture"], "s390x");
    let kind = found["Descriptor"]["mediaType"].as_str().expect("a text");
    assert!(kind.contains("index"), "{kind}");
});
