//! `registry serve`: what a registry keeps when it is killed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use testkit::http::{self, Reply};
use testkit::{Engine, Program, case, eventually};

/// A running registry of our own.
struct Registry {
    program: Program,
    addr: String,
}

impl Registry {
    /// Starts one below `root`.
    fn start(e: &Engine, root: &str, words: &[&str]) -> Registry {
        let root = e.temp().at(root);
        let mut command = Command::new(e.program());
        command.args(["registry", "serve", "--addr", "127.0.0.1:0"]);
        command.args(["--root", &root]).args(words);
        let mut program = Program::start(&mut command);
        let addr = eventually("the registry listens", || {
            assert!(program.runs(), "it ended: {}", program.stderr());
            let said = program.stdout();
            let addr = said.strip_prefix("serving http://")?.strip_suffix('\n')?;
            Some(addr.to_owned())
        });
        Registry { program, addr }
    }

    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.addr).expect("it listens");
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).expect("a limit above zero");
        let head = http::head(method, path, headers, Some(body.len()));
        stream.write_all(head.as_bytes()).expect("it reads");
        stream.write_all(body).expect("it reads");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("it answers");
        http::parse(&all)
    }

    /// Ends it as a power cut of its process would.
    fn kill(self) {
        self.program.signal(Signal::KILL);
        assert_eq!(self.program.finish().code, 137);
    }
}

/// Returns the digest of a file of the case.
fn digest_of(e: &Engine, name: &str) -> String {
    let output = Program::start(Command::new("sha256sum").arg(e.temp().at(name))).finish();
    let hex = output.ok().split(' ').next().expect("a sum").to_owned();
    format!("sha256:{hex}")
}

case!(an_upload_survives_a_kill, |e| {
    let content = vec![b'w'; 1 << 20];
    let registry = Registry::start(e, "r", &[]);
    let reply = registry.ask("POST", "/v2/a/blobs/uploads/", &[], b"");
    let at = reply
        .is(202)
        .header("Location")
        .expect("a place")
        .to_owned();
    registry.ask("PATCH", &at, &[], &content[..300_000]).is(202);
    // In the middle of the next chunk.
    let mut stream = TcpStream::connect(&registry.addr).expect("it listens");
    let head = http::head("PATCH", &at, &["Content-Length: 500000"], None);
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.write_all(&content[..200_000]).expect("it reads");
    eventually("some of it came", || {
        let reply = registry.ask("GET", &at, &[], b"");
        (reply.header("Range") != Some("0-299999")).then_some(())
    });
    registry.kill();
    let registry = Registry::start(e, "r", &[]);
    let reply = registry.ask("GET", &at, &[], b"");
    let range = reply.is(204).header("Range").expect("what came").to_owned();
    let last = range
        .strip_prefix("0-")
        .and_then(|last| last.parse::<usize>().ok());
    let came = last.expect("a number") + 1;
    assert!(came > 300_000 && came <= 500_000, "{range}");
    let range = format!("Content-Range: {came}-{}", content.len() - 1);
    registry
        .ask("PATCH", &at, &[&range], &content[came..])
        .is(202);
    e.temp().file("content", &"w".repeat(content.len()));
    let path = format!("{at}?digest={}", digest_of(e, "content"));
    let reply = registry.ask("PUT", &path, &[], b"");
    let place = reply
        .is(201)
        .header("Location")
        .expect("a place")
        .to_owned();
    registry.kill();
    let registry = Registry::start(e, "r", &[]);
    assert!(registry.ask("GET", &place, &[], b"").is(200).body == content);
    registry.program.signal(Signal::TERM);
    registry.program.finish().exits(0);
});

case!(one_registry_to_a_root, |e| {
    let registry = Registry::start(e, "r", &[]);
    let mut second = Command::new(e.program());
    second.args([
        "registry",
        "serve",
        "--addr=127.0.0.1:0",
        "--root",
        &e.temp().at("r"),
    ]);
    let output = Program::start(&mut second).finish();
    output.exits(1).complains("is used by another registry");
    registry.ask("GET", "/v2/", &[], b"").is(200);
    registry.program.signal(Signal::TERM);
    registry.program.finish().exits(0);
    for (words, said) in [
        (&["--nope"] as &[_], "unknown flag: --nope"),
        (&["--addr"], "flag needs an argument: --addr"),
        (
            &["--addr", "nowhere"],
            "invalid argument \"nowhere\" for \"--addr\"",
        ),
        (&["--config", "/no/such"], "/no/such"),
    ] {
        let mut command = Command::new(e.program());
        command.args(["registry", "serve"]).args(words);
        Program::start(&mut command)
            .finish()
            .exits(125)
            .complains(said);
    }
});
