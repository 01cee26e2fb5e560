//! The wire: headers, versions, errors, as clients in the field expect them.

use serde_json::json;
use testkit::{BOX, Kind, case};

case!(ping, |e| {
    let reply = e.get_path("/_ping");
    assert_eq!(reply.is(200).text(), "OK");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(
        reply.header("Cache-Control"),
        Some("no-cache, no-store, must-revalidate")
    );
    assert_eq!(reply.header("Pragma"), Some("no-cache"));
    assert_eq!(reply.header("Ostype"), Some("linux"));
    assert_eq!(reply.header("Docker-Experimental"), Some("false"));
    assert!(
        reply
            .header("Api-Version")
            .is_some_and(|version| version.starts_with("1."))
    );
    assert!(
        reply
            .header("Server")
            .is_some_and(|server| server.ends_with(" (linux)"))
    );
    let head = e.request("HEAD", "/_ping", &[], b"");
    assert_eq!(head.is(200).text(), "");
    assert_eq!(head.header("Api-Version"), reply.header("Api-Version"));
});

case!(ping_says_who_builds, |e| {
    let reply = e.get_path("/_ping");
    let builder = if e.kind() == Kind::Wharf { "1" } else { "2" };
    assert_eq!(reply.header("Builder-Version"), Some(builder));
    assert_eq!(reply.header("Swarm"), Some("inactive"));
});

case!(unknown_paths, |e| {
    for (method, path) in [
        ("GET", "/nope"),
        ("POST", "/containers/json"),
        ("GET", "/v1.41/nope"),
    ] {
        let reply = e.request(method, path, &[], b"");
        reply.refuses(404, "page not found");
        assert_eq!(reply.header("Api-Version"), None);
    }
});

case!(versions, |e| {
    e.get_path("/v1.41/_ping").is(200);
    e.get_path("/v1.24/containers/json").is(200);
    let newest = e.get_path("/version").json()["ApiVersion"]
        .as_str()
        .expect("one")
        .to_owned();
    e.get_path("/v1.99/containers/json").refuses(
        400,
        &format!("client version 1.99 is too new. Maximum supported API version is {newest}"),
    );
    let reply = e.get_path("/v1.10/containers/json");
    let text = reply.is(400).text();
    assert!(
        text.contains("client version 1.10 is too old. Minimum supported API version is 1."),
        "{text}"
    );
});

case!(options, |e| {
    e.request("OPTIONS", "/containers/json", &[], b"").is(200);
});

case!(errors_are_documents, |e| {
    let reply = e.get_path("/containers/nope/json");
    reply.refuses(404, "No such container: nope");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(reply.text(), "{\"message\":\"No such container: nope\"}\n");
});

case!(bodies, |e| {
    let path = "/containers/create";
    let json_type = "Content-Type: application/json";
    let post = |headers: &[&str], body: &str| e.request("POST", path, headers, body.as_bytes());
    post(&[json_type], "").refuses(400, "invalid JSON: got EOF while reading request body");
    post(&[json_type], "{} x").refuses(400, "unexpected content after JSON");
    post(&[json_type], "{").refuses(400, "invalid JSON: unexpected EOF");
    post(&[json_type], "{}").refuses(400, "config cannot be empty in order to create a container");
    post(&[], "{}").refuses(400, "malformed Content-Type header (): mime: no media type");
    post(&["Content-Type: text/plain"], "{}").refuses(
        400,
        "unsupported Content-Type header (text/plain): must be 'application/json'",
    );
});

case!(create_without_a_command, |e| {
    e.post("/containers/create", &json!({"Image": BOX}))
        .refuses(400, "no command specified");
});

case!(create_of_an_absent_image, |e| {
    e.post(
        "/containers/create",
        &json!({"Image": "nope:1", "Cmd": ["true"]}),
    )
    .refuses(404, "No such image: nope:1");
});

case!(keys_match_in_any_case_and_unknown_ones_pass, |e| {
    let name = e.name("k");
    let body =
        json!({"image": BOX, "CMD": ["true"], "hostCONFIG": {"networkmode": "none"}, "Nope": 1});
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    assert_eq!(e.inspect(&name)["HostConfig"]["NetworkMode"], "none");
});

case!(a_command_may_be_a_string, |e| {
    let name = e.name("s");
    let body = json!({"Image": BOX, "Cmd": "true", "HostConfig": {"NetworkMode": "none"}});
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    assert_eq!(e.inspect(&name)["Config"]["Cmd"], json!(["true"]));
});

case!(start_with_a_body, |e| {
    let name = e.name("b");
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}});
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    e.post(&format!("/containers/{name}/start"), &json!({"Binds": ["/a:/b"]})).refuses(
        400,
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    );
});

case!(log_streams_must_be_chosen, |e| {
    let name = e.background("l", &[], "echo a");
    e.get_path(&format!("/containers/{name}/logs"))
        .refuses(400, "Bad parameters: you must choose at least one stream");
});

case!(logs_are_framed, |e| {
    let name = e.background("f", &[], "echo out; sleep 0.2; echo err >&2");
    e.cli(&["wait", &name]).exits(0);
    let reply = e.get_path(&format!("/containers/{name}/logs?stdout=1&stderr=1"));
    let frames = testkit::http::frames(&reply.is(200).body);
    let seen: Vec<_> = frames.iter().map(|f| (f.stream, f.text.as_str())).collect();
    assert_eq!(seen, [(1, "out\n"), (2, "err\n")]);
    let reply = e.get_path(&format!("/v1.42/containers/{name}/logs?stdout=1"));
    let wanted = Some("application/vnd.docker.multiplexed-stream");
    assert_eq!(reply.header("Content-Type"), wanted);
});

case!(a_bad_restart_policy, |e| {
    let body =
        json!({"Image": BOX, "Cmd": ["true"], "HostConfig": {"RestartPolicy": {"Name": "foo"}}});
    let reply = e.post("/containers/create", &body);
    let text = reply.is(400).json()["message"].to_string();
    assert!(text.contains("foo"), "{text}");
});

case!(an_absent_bind_source, |e| {
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": {
        "NetworkMode": "none", "Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}],
    }});
    e.post("/containers/create", &body).refuses(
        400,
        r#"invalid mount config for type "bind": bind source path does not exist: /no/such"#,
    );
});

case!(swarm_is_refused, |e| {
    let reply = e.get_path("/services");
    reply.is(503);
    let text = reply.json()["message"].to_string();
    assert!(
        text.starts_with("\"This node is not a swarm manager."),
        "{text}"
    );
});

case!(two_requests_on_one_connection, |e| {
    let once = testkit::http::head("GET", "/_ping", &["Connection: keep-alive"], None);
    let last = testkit::http::head("GET", "/_ping", &[], None);
    let all = e.exchange(format!("{once}{last}").as_bytes(), false);
    let text = String::from_utf8_lossy(&all).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
});

case!(nonsense_is_refused, |e| {
    let all = e.exchange(b"nonsense\r\n\r\n", false);
    assert!(
        all.starts_with(b"HTTP/1.1 400"),
        "{:?}",
        String::from_utf8_lossy(&all)
    );
    e.get_path("/_ping").is(200);
});

case!(a_body_that_comes_late_is_not_cut_off, |e| {
    use std::io::{Read, Write};
    let body = format!("{{\"Cmd\":[\"{}\"]}}", "x".repeat(100_000));
    // Refused with and without a look at what comes.
    for path in ["exec", "update", "pause"] {
        let path = format!("/containers/no-such/{path}");
        let json = ["Content-Type: application/json"];
        let head = testkit::http::head("POST", &path, &json, Some(body.len()));
        let mut stream = testkit::http::connect(e.socket());
        stream.write_all(head.as_bytes()).expect("a head");
        // By now a server that does not wait has answered and gone.
        std::thread::sleep(std::time::Duration::from_millis(100));
        for piece in body.as_bytes().chunks(20_000) {
            stream.write_all(piece).expect("somebody reads");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let reply = testkit::http::parse(&answer);
        assert!(reply.status >= 400, "{path}: {reply:?}");
    }
});
