//! `attach` and terminals: a conversation with a running container.

use std::io::{Read, Write};
use std::net::Shutdown;

use serde_json::json;
use testkit::http::{self, Frame};
use testkit::{BOX, Engine, case};

/// Makes a container with an open stdin that runs `script`; with a terminal when `tty`.
fn create(e: &Engine, suffix: &str, tty: bool, script: &str) -> String {
    let name = e.name(suffix);
    let body = json!({
        "Image": BOX, "Cmd": ["sh", "-c", script], "OpenStdin": true, "StdinOnce": true,
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": tty,
        "HostConfig": {"NetworkMode": "none"},
    });
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    name
}

/// Attaches by an upgrade; returns the head of the answer and the stream.
fn attach(e: &Engine, name: &str, query: &str) -> (String, std::os::unix::net::UnixStream) {
    let path = format!("/v1.41/containers/{name}/attach?{query}");
    attach_at(e, &path)
}

fn attach_at(e: &Engine, path: &str) -> (String, std::os::unix::net::UnixStream) {
    let mut stream = http::connect(e.socket());
    let headers = [
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Type: text/plain",
    ];
    let head = http::head("POST", path, &headers, Some(0));
    stream
        .write_all(head.as_bytes())
        .expect("the request is sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("an answer") == 1 {
        answer.push(byte[0]);
    }
    (String::from_utf8_lossy(&answer).into_owned(), stream)
}

const ALL: &str = "stream=1&stdin=1&stdout=1&stderr=1";

case!(half_close_is_the_end_of_stdin, |e| {
    let name = create(e, "h", false, "cat; echo end; echo err >&2");
    let (head, mut stream) = attach(e, &name, ALL);
    assert!(head.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: application/vnd.docker.raw-stream\r\n"),
        "{head}"
    );
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(204);
    stream.write_all(b"hello\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the output");
    let frames = http::frames(&bytes);
    let of = |stream: u8| -> String {
        frames
            .iter()
            .filter(|f| f.stream == stream)
            .map(|f| f.text.as_str())
            .collect()
    };
    assert_eq!(of(1), "hello\nend\n");
    assert_eq!(of(2), "err\n");
});

case!(the_content_type_follows_the_version, |e| {
    let name = create(e, "v", false, "cat");
    let path = format!("/v1.42/containers/{name}/attach?{ALL}");
    let (head, _stream) = attach_at(e, &path);
    assert!(
        head.contains("application/vnd.docker.multiplexed-stream\r\n"),
        "{head}"
    );
});

case!(a_terminal_is_raw, |e| {
    let name = create(e, "t", true, "read line; echo got $line");
    let (_, mut stream) = attach(e, &name, ALL);
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(204);
    stream.write_all(b"hello\n").expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the output");
    assert_eq!(String::from_utf8_lossy(&bytes), "hello\r\ngot hello\r\n");
});

case!(a_terminal_has_a_size, |e| {
    let name = create(e, "z", true, "read line; stty size");
    let (_, mut stream) = attach(e, &name, ALL);
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(204);
    e.post(
        &format!("/containers/{name}/resize?h=33&w=77"),
        &json!(null),
    )
    .is(200);
    stream.write_all(b"\n").expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the output");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("33 77\r\n"), "{text:?}");
});

case!(the_detach_keys_leave_it_running, |e| {
    let name = create(e, "k", true, "echo ready; cat");
    let (_, mut stream) = attach(e, &name, ALL);
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(204);
    let mut seen = [0; 7];
    stream.read_exact(&mut seen).expect("it is ready");
    stream.write_all(b"\x10\x11").expect("sent");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the end");
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
});

case!(ctrl_c_reaches_a_terminals_program, |e| {
    let name = create(
        e,
        "c",
        true,
        "trap 'exit 77' INT; echo ready; while :; do sleep 0.05; done",
    );
    let (_, mut stream) = attach(e, &name, ALL);
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(204);
    let mut seen = [0; 7];
    stream.read_exact(&mut seen).expect("it is ready");
    stream.write_all(b"\x03").expect("sent");
    e.cli(&["wait", &name]).exits(0).says("77\n");
});

case!(logs_are_replayed, |e| {
    let name = e.background("l", &[], "echo early; sleep 100");
    testkit::eventually("the first line", || {
        (e.cli(&["logs", &name]).stdout == "early\n").then_some(())
    });
    let (_, mut stream) = attach(e, &name, "logs=1&stream=1&stdout=1&stderr=1");
    let mut frame = [0; 14];
    stream.read_exact(&mut frame).expect("a frame");
    assert_eq!(
        http::frames(&frame),
        [Frame {
            stream: 1,
            text: "early\n".to_owned()
        }]
    );
});

case!(attach_on_the_command_line, |e| {
    let name = e.background(
        "a",
        &[],
        "while [ ! -e /go ]; do sleep 0.05; done; echo late; exit 6",
    );
    let client = e.spawn(&["attach", &name]);
    // Attaching has no sign of its own on the client's side: the engine's event tells.
    std::thread::sleep(std::time::Duration::from_millis(500));
    e.cli(&["exec", &name, "touch", "/go"]).exits(0);
    client.finish().exits(6).says("late\n");
});

case!(attach_to_a_stopped_container, |e| {
    let name = e.name("s");
    e.cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .exits(0);
    e.cli(&["attach", &name])
        .exits(1)
        .complains("You cannot attach to a stopped container, start it first");
});

case!(attach_to_nothing, |e| {
    let (head, mut stream) = attach(e, "no-such", ALL);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a text");
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert!(text.contains("No such container: no-such"), "{text}");
});

case!(bad_detach_keys, |e| {
    let name = create(e, "b", false, "cat");
    let (head, _stream) = attach(e, &name, &format!("{ALL}&detachKeys=zzz"));
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
});
