//! The client's own files: config.json, contexts.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case};

/// Writes config.json.
fn configure(e: &Engine, document: &Value) {
    let dir = e.temp().at("config");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(format!("{dir}/config.json"), document.to_string()).expect("a file");
}

fn host(e: &Engine) -> String {
    format!("unix://{}", e.socket().display())
}

case!(formats_of_lists, |e| {
    let name = e.background("f", &[], "sleep 100");
    configure(
        e,
        &json!({
        "psFormat": "P {{.Names}}", "imagesFormat": "I {{.Repository}}",
        "statsFormat": "S {{.Name}}"}),
    );
    e.cli(&["ps"]).exits(0).shows(&format!("P {name}\n"));
    e.cli(&["images"]).exits(0).shows(&format!("I {BOX}\n"));
    e.cli(&["stats", "--no-stream"])
        .exits(0)
        .shows(&format!("S {name}\n"));
    // What is said on the line counts more.
    e.cli(&["ps", "--format", "{{.State}}"])
        .exits(0)
        .shows("running\n");
    let id = e.inspect(&name)["Id"].as_str().unwrap_or_default()[..12].to_owned();
    e.cli(&["ps", "-q"]).exits(0).shows(&format!("{id}\n"));
});

case!(another_directory, |e| {
    let name = e.background("d", &[], "sleep 100");
    let dir = e.temp().at("other");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(
        format!("{dir}/config.json"),
        r#"{"psFormat": "O {{.Names}}"}"#,
    )
    .expect("a file");
    e.cli(&["--config", &dir, "ps"])
        .exits(0)
        .shows(&format!("O {name}\n"));
});

case!(proxies_for_containers, |e| {
    configure(
        e,
        &json!({"proxies": {"default": {
        "httpProxy": "http://p:1", "noProxy": "x"}}}),
    );
    let output = e.sh(&["-e", "no_proxy=own"], "env | grep -i proxy | sort");
    output
        .exits(0)
        .says("HTTP_PROXY=http://p:1\nNO_PROXY=x\nhttp_proxy=http://p:1\nno_proxy=own\n");
});

case!(filters_of_every_prune, |e| {
    let label = e.name("mine");
    let mine = e.background("m", &["--label", &label], "true");
    let other = e.background("o", &[], "true");
    e.cli(&["wait", &mine, &other]).exits(0);
    configure(e, &json!({"pruneFilters": [format!("label={label}")]}));
    e.cli(&["container", "prune", "-f"]).exits(0);
    e.cli(&["inspect", "--type", "container", &mine]).exits(1);
    e.cli(&["inspect", "--type", "container", &other]).exits(0);
});

case!(a_file_that_cannot_be_read, |e| {
    let dir = e.temp().at("config");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(format!("{dir}/config.json"), "{x").expect("a file");
    e.cli(&["ps"]).exits(0).complains("config.json");
});

case!(contexts_come_and_go, |e| {
    let bare = |words: &[&str]| e.bare(&[], words);
    let host = host(e);
    let endpoint = format!("host={host}");
    bare(&["context", "show"]).exits(0).says("default\n");
    bare(&[
        "context",
        "create",
        "c1",
        "--description",
        "hey",
        "--docker",
        &endpoint,
    ])
    .exits(0)
    .says("c1\n")
    .complains("Successfully created context \"c1\"");
    bare(&["context", "create", "c1", "--docker", &endpoint])
        .exits(1)
        .complains("context \"c1\" already exists");
    let one = bare(&["context", "inspect", "c1"]);
    let one: Value = serde_json::from_str(one.ok()).expect("JSON");
    assert_eq!(one[0]["Name"], "c1");
    assert_eq!(one[0]["Metadata"], json!({"Description": "hey"}));
    assert_eq!(
        one[0]["Endpoints"]["docker"],
        json!({"Host": host, "SkipTLSVerify": false})
    );
    bare(&[
        "context",
        "inspect",
        "--format",
        "{{.Name}} {{.Endpoints.docker.Host}}",
        "c1",
    ])
    .exits(0)
    .says(&format!("c1 {host}\n"));
    bare(&["context", "ls", "-q"])
        .exits(0)
        .says("c1\ndefault\n");
    // By name, by variable, by choice.
    bare(&["-c", "c1", "ps", "-q"]).exits(0);
    e.bare(&[("DOCKER_CONTEXT", "c1")], &["ps", "-q"]).exits(0);
    bare(&["context", "use", "c1"])
        .exits(0)
        .says("c1\n")
        .complains("Current context is now \"c1\"");
    bare(&["context", "show"]).exits(0).says("c1\n");
    bare(&["ps", "-q"]).exits(0);
    bare(&[
        "context",
        "ls",
        "--format",
        "{{.Name}} {{.Current}} {{.Description}}",
    ])
    .exits(0)
    .shows("c1 true hey\ndefault false ");
    bare(&["context", "rm", "c1"])
        .exits(1)
        .complains("context \"c1\" is in use, set -f flag to force remove");
    bare(&[
        "context",
        "update",
        "c1",
        "--description",
        "ho",
        "--docker",
        "host=unix:///nowhere",
    ])
    .exits(0)
    .says("c1\n");
    bare(&["ps"]).exits(1).complains("unix:///nowhere");
    bare(&["context", "use", "default"]).exits(0);
    bare(&["context", "create", "c2", "--from", "c1"]).exits(0);
    bare(&[
        "context",
        "inspect",
        "-f",
        "{{.Endpoints.docker.Host}}",
        "c2",
    ])
    .exits(0)
    .says("unix:///nowhere\n");
    bare(&["context", "use", "c2"]).exits(0);
    bare(&["context", "rm", "-f", "c1", "c2"])
        .exits(0)
        .says("c1\nc2\n");
    bare(&["context", "show"]).exits(0).says("default\n");
});

case!(what_is_no_context, |e| {
    let bare = |words: &[&str]| e.bare(&[], words);
    bare(&["-c", "zz", "ps"])
        .exits(1)
        .complains("context \"zz\": context not found: open ");
    bare(&["context", "create", "a b", "--docker", "host=unix:///x"])
        .exits(1)
        .complains("names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"");
    bare(&["context", "create", "default", "--docker", "host=unix:///x"])
        .exits(1)
        .complains("\"default\" is a reserved context name");
    bare(&["context", "use", "zz"])
        .exits(1)
        .complains("context \"zz\": context not found: open ");
    bare(&["context", "rm", "zz"]).exits(1).complains("\"zz\"");
});

case!(what_ssh_runs, |e| {
    let dir = e.temp().at("bin");
    std::fs::create_dir_all(&dir).expect("a directory");
    let program = e.command(&[]).get_program().to_string_lossy().into_owned();
    let words = e.temp().at("words");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >{words}\nexec {program} -H {} system dial-stdio\n",
        host(e)
    );
    let ssh = format!("{dir}/ssh");
    std::fs::write(&ssh, script).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&ssh, mode).expect("its mode");
    let name = e.background("s", &[], "sleep 100");
    let path = format!("{dir}:/usr/bin:/bin");
    let output = e.bare(
        &[("PATH", &path), ("DOCKER_HOST", "ssh://me@there:2222")],
        &["ps", "--format", "{{.Names}}"],
    );
    output.exits(0).shows(&format!("{name}\n"));
    let words = std::fs::read_to_string(words).expect("it was run");
    assert!(
        words.starts_with("-l me -p 2222 ")
            && words.trim().ends_with("-- there docker system dial-stdio"),
        "{words}"
    );
});
