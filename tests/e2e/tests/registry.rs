//! `registry serve`: what a registry keeps when it is killed, and what other clients say to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::http::{self, Reply};
use testkit::{Engine, Program, case, eventually};

/// A running registry of our own.
pub(crate) struct Registry {
    program: Program,
    /// `127.0.0.1:PORT`
    pub(crate) addr: String,
}

impl Registry {
    /// Starts one below `root`.
    fn start(e: &Engine, root: &str, words: &[&str]) -> Registry {
        Registry::run(e, root, words, e.own())
    }

    /// Starts one in the network of the engine under test, which reaches it as one of its own
    /// machine: without TLS.
    pub(crate) fn beside(e: &Engine, words: &[&str]) -> Registry {
        let stream = http::connect(e.socket());
        let peer = rustix::net::sockopt::socket_peercred(&stream).expect("a peer");
        let mut command = Command::new("nsenter");
        let network = format!("--net=/proc/{}/ns/net", peer.pid.as_raw_nonzero());
        command.arg(network).arg(e.program());
        Registry::run(e, "registry", words, command)
    }

    fn run(e: &Engine, root: &str, words: &[&str], mut command: Command) -> Registry {
        let root = e.temp().at(root);
        command.args(["registry", "serve", "--addr", "127.0.0.1:0"]);
        command.args(["--root", &root]).args(words);
        let mut program = Program::start(&mut command);
        let addr = eventually("the registry listens", || {
            assert!(program.runs(), "it ended: {}", program.stderr());
            let said = program.stdout();
            let (_, addr) = said.strip_suffix('\n')?.split_once("://")?;
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

    /// Returns the digest of what a tag names.
    fn digest(&self, name: &str) -> String {
        let (repository, tag) = name.split_once(':').expect("a tag");
        let path = format!("/v2/{repository}/manifests/{tag}");
        let reply = self.ask("HEAD", &path, &[], b"");
        let digest = reply.is(200).header("Docker-Content-Digest");
        digest.expect("a digest").to_owned()
    }

    /// Ends it as a power cut of its process would.
    fn kill(self) {
        self.program.signal(Signal::KILL);
        assert_eq!(self.program.finish().code, 137);
    }

    /// Asks it to end.
    pub(crate) fn stop(self) {
        self.program.signal(Signal::TERM);
        self.program.finish().exits(0);
    }
}

/// Returns the digest of a file of the case.
fn digest_of(e: &Engine, name: &str) -> String {
    let output = Program::start(Command::new("sha256sum").arg(e.temp().at(name))).finish();
    let hex = output.ok().split(' ').next().expect("a sum").to_owned();
    format!("sha256:{hex}")
}

/// Runs a program to its end, which is to be a good one.
fn ok(words: &[&str]) -> String {
    let output = Program::start(Command::new(words[0]).args(&words[1..])).finish();
    output.ok().to_owned()
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Puts a file of the case into a repository as a blob and returns its descriptor.
fn put_blob(e: &Engine, registry: &Registry, repository: &str, kind: &str, name: &str) -> Value {
    let digest = digest_of(e, name);
    let bytes = std::fs::read(e.temp().at(name)).expect("it was made");
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    registry.ask("POST", &path, &[], &bytes).is(201);
    json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
}

fn put_manifest(registry: &Registry, repository: &str, reference: &str, document: &Value) -> Value {
    let text = document.to_string();
    let kind = document["mediaType"].as_str().expect("a type");
    let path = format!("/v2/{repository}/manifests/{reference}");
    let header = format!("Content-Type: {kind}");
    let reply = registry.ask("PUT", &path, &[&header], text.as_bytes());
    let digest = reply
        .is(201)
        .header("Docker-Content-Digest")
        .expect("a digest");
    json!({"mediaType": kind, "digest": digest, "size": text.len()})
}

/// Puts an image of two layers, `compression` of each, into a repository and returns its descriptor.
fn put_image(e: &Engine, registry: &Registry, repository: &str, compression: &str) -> Value {
    let (mut layers, mut ids) = (Vec::new(), Vec::new());
    for number in ["one", "two"] {
        let name = format!("{repository}-{number}");
        let folder = e.temp().at(&format!("{name}.d"));
        std::fs::create_dir_all(format!("{folder}/{number}")).expect("a folder");
        let words = format!("{repository} {number} {}", "content ".repeat(20_000));
        std::fs::write(format!("{folder}/{number}/file"), words).expect("a file");
        let tar = e.temp().at(&name);
        ok(&[
            "tar",
            "--owner=0:0",
            "--mtime=@0",
            "-C",
            &folder,
            "-cf",
            &tar,
            ".",
        ]);
        ids.push(digest_of(e, &name));
        let (name, kind) = match compression {
            "" => (name, LAYER.to_owned()),
            "gzip" => {
                ok(&["gzip", "-kn", &tar]);
                (format!("{name}.gz"), format!("{LAYER}+gzip"))
            }
            other => {
                ok(&[other, "-q", "-k", &tar]);
                (format!("{name}.zst"), format!("{LAYER}+zstd"))
            }
        };
        layers.push(put_blob(e, registry, repository, &kind, &name));
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let name = format!("{repository}.json");
    e.temp().file(&name, &config.to_string());
    let kind = "application/vnd.oci.image.config.v1+json";
    let config = put_blob(e, registry, repository, kind, &name);
    let document = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    put_manifest(registry, repository, "latest", &document)
}

case!(skopeo_copies_every_compression, |e| {
    let registry = Registry::start(e, "r", &[]);
    for kind in ["", "gzip", "zstd"] {
        let name = format!("c{kind}");
        let digest = put_image(e, &registry, &name, kind)["digest"].clone();
        let (layout, addr) = (e.temp().at(&format!("{name}.oci")), &registry.addr);
        let from = format!("docker://{addr}/{name}:latest");
        let there = format!("oci:{layout}:x");
        let to = format!("docker://{addr}/copied/{name}:latest");
        let words = [
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            "--preserve-digests",
        ];
        let copy = |flag: &str, from: &str, to: &str| {
            ok(&[words.as_slice(), &[flag, from, to]].concat());
        };
        copy("--src-tls-verify=false", &from, &there);
        copy("--dest-tls-verify=false", &there, &to);
        assert_eq!(
            registry.digest(&format!("copied/{name}:latest")),
            digest,
            "{kind}"
        );
    }
    let tags = ok(&[
        "skopeo",
        "list-tags",
        "--tls-verify=false",
        &format!("docker://{}/copied/cgzip", registry.addr),
    ]);
    assert!(tags.contains("\"latest\""), "{tags}");
    let gone = format!("docker://{}/copied/cgzip:latest", registry.addr);
    ok(&["skopeo", "delete", "--tls-verify=false", &gone]);
    registry
        .ask("GET", "/v2/copied/cgzip/manifests/latest", &[], b"")
        .is(404);
    registry.stop();
});

case!(skopeo_copies_an_index, |e| {
    let registry = Registry::start(e, "r", &[]);
    let mut entries = Vec::new();
    for (name, compression, arch) in [("a", "gzip", "amd64"), ("b", "zstd", "arm64")] {
        let mut entry = put_image(e, &registry, name, compression);
        let copy = format!("docker://{}", registry.addr);
        ok(&[
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &format!("{copy}/{name}:latest"),
            &format!("{copy}/all:{name}"),
        ]);
        entry["platform"] = json!({"os": "linux", "architecture": arch});
        entries.push(entry);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let digest = put_manifest(&registry, "all", "index", &index)["digest"].clone();
    let at = format!("docker://{}", registry.addr);
    ok(&[
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &format!("{at}/all:index"),
        &format!("{at}/else/where:index"),
    ]);
    assert_eq!(registry.digest("else/where:index"), digest);
    registry.stop();
});

/// What podman and buildah need to have a store of their own.
fn stored(e: &Engine, program: &str, words: &[&str]) -> String {
    let (root, run) = (e.temp().at("store"), e.temp().at("run"));
    let own = [
        program,
        "--root",
        &root,
        "--runroot",
        &run,
        "--storage-driver",
        "vfs",
    ];
    ok(&[own.as_slice(), words].concat())
}

case!(podman_pulls_and_pushes, |e| {
    let registry = Registry::start(e, "r", &[]);
    let digest = put_image(e, &registry, "own", "gzip")["digest"].clone();
    let addr = &registry.addr;
    let name = format!("{addr}/own:latest");
    stored(e, "podman", &["pull", "-q", "--tls-verify=false", &name]);
    let format = ["inspect", "--format", "{{.Digest}}", &name];
    assert_eq!(json!(stored(e, "podman", &format)), digest);
    let file = e.temp().at("digest");
    let pushed = format!("{addr}/pushed:latest");
    let words = [
        "push",
        "-q",
        "--tls-verify=false",
        "--digestfile",
        &file,
        &name,
        &pushed,
    ];
    stored(e, "podman", &words);
    let said = std::fs::read_to_string(&file).expect("podman wrote it");
    assert_eq!(registry.digest("pushed:latest"), said.trim());
    stored(e, "podman", &["rmi", "-a", "-f"]);
    let by_digest = format!("{addr}/pushed@{}", said.trim());
    stored(
        e,
        "podman",
        &["pull", "-q", "--tls-verify=false", &by_digest],
    );
    let seen = stored(
        e,
        "podman",
        &["search", "--tls-verify=false", &format!("{addr}/push")],
    );
    assert!(seen.contains("pushed"), "{seen}");
    stored(e, "podman", &["rmi", "-a", "-f"]);
    registry.stop();
});

case!(buildah_pulls_and_pushes, |e| {
    let registry = Registry::start(e, "r", &[]);
    let addr = &registry.addr;
    put_image(e, &registry, "base", "gzip");
    let base = format!("docker://{addr}/base:latest");
    let made = stored(e, "buildah", &["from", "--tls-verify=false", &base]);
    stored(e, "buildah", &["config", "--label", "made=here", &made]);
    stored(e, "buildah", &["commit", "-q", &made, "built"]);
    for (name, flags) in [
        ("gz", "--compression-format=gzip"),
        ("zst", "--compression-format=zstd"),
    ] {
        let file = e.temp().at("digest");
        let to = format!("docker://{addr}/built:{name}");
        let words = [
            "push",
            "-q",
            "--tls-verify=false",
            "--digestfile",
            &file,
            flags,
            "built",
            &to,
        ];
        stored(e, "buildah", &words);
        let said = std::fs::read_to_string(&file).expect("buildah wrote it");
        assert_eq!(registry.digest(&format!("built:{name}")), said.trim());
        let by_digest = format!("docker://{addr}/built@{}", said.trim());
        stored(
            e,
            "buildah",
            &["pull", "-q", "--tls-verify=false", &by_digest],
        );
    }
    stored(e, "buildah", &["rm", "-a"]);
    stored(e, "buildah", &["rmi", "-a", "-f"]);
    registry.stop();
});

case!(with_tls_and_a_password, |e| {
    let (cert, key) = (e.temp().at("certs/ca.crt"), e.temp().at("key.pem"));
    std::fs::create_dir(e.temp().at("certs")).expect("a folder");
    ok(&[
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=here",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        &key,
        "-out",
        &cert,
    ]);
    // `secret`, by htpasswd -B.
    let line = "alice:$2y$05$/OK.fbVrR/bpIqNJ5ianF.Em0gkhY5CLhOmicnE9EVlPQpFgS./p.\n";
    let people = e.temp().file("htpasswd", line);
    let flags = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--htpasswd",
        &people,
    ];
    let registry = Registry::start(e, "r", &flags);
    let (certs, at) = (
        e.temp().at("certs"),
        format!("docker://{}/a:b", registry.addr),
    );
    let layout = format!("oci:{}:x", e.temp().at("layout"));
    let plain = Registry::start(e, "plain", &[]);
    put_image(e, &plain, "a", "gzip");
    let from = format!("docker://{}/a:latest", plain.addr);
    ok(&[
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--src-tls-verify=false",
        &from,
        &layout,
    ]);
    let copy = |who: &str| {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "-q", "--dest-cert-dir", &certs]);
        command.args(["--dest-creds", who, &layout, &at]);
        Program::start(&mut command).finish()
    };
    copy("alice:wrong").exits(1).complains("unauthorized");
    copy("alice:secret").exits(0);
    let inspect = [
        "skopeo",
        "inspect",
        "--cert-dir",
        &certs,
        "--creds",
        "alice:secret",
        &at,
    ];
    assert!(ok(&inspect).contains("sha256:"));
    registry.stop();
    plain.stop();
    for (flags, said) in [
        (
            &["--tls-cert", &cert] as &[_],
            "--tls-cert and --tls-key go together",
        ),
        (&["--tls-cert", &cert, "--tls-key", &people], "htpasswd"),
        (&["--htpasswd", "/no/such"], "/no/such"),
    ] {
        let mut command = e.own();
        let root = e.temp().at("bad");
        command
            .args(["registry", "serve", "--addr=127.0.0.1:0", "--root", &root])
            .args(flags);
        let output = Program::start(&mut command).finish();
        assert_ne!(output.code, 0);
        output.complains(said);
    }
});

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
    registry.stop();
});

case!(settings_of_a_file, |e| {
    let settings = e.temp().file("settings.toml", "blob-max = 10\n");
    let registry = Registry::start(e, "r", &["--config", &settings]);
    let reply = registry.ask("POST", "/v2/a/blobs/uploads/", &[], b"");
    let at = reply
        .is(202)
        .header("Location")
        .expect("a place")
        .to_owned();
    registry.ask("PATCH", &at, &[], &[0; 11]).is(413);
    registry.stop();
    let settings = e.temp().file("settings.toml", "no-such-key = 1\n");
    let mut command = e.own();
    command.args(["registry", "serve", "--config", &settings]);
    Program::start(&mut command)
        .finish()
        .exits(125)
        .complains("no-such-key");
});

case!(one_registry_to_a_root, |e| {
    let registry = Registry::start(e, "r", &[]);
    assert_ne!(registry.addr, "127.0.0.1:5000");
    assert!(std::path::Path::new(&e.temp().at("r/lock")).exists());
    let mut second = e.own();
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
    registry.stop();
    for (words, said) in [
        (&["--nope"] as &[_], "unknown flag: --nope"),
        (&["--addr"], "flag needs an argument: --addr"),
        (
            &["--addr", "nowhere"],
            "invalid argument \"nowhere\" for \"--addr\"",
        ),
        (
            &["--addr", "127.0.0.1:0", "--s3", "nowhere"],
            "invalid argument \"nowhere\" for \"--s3\"",
        ),
        (&["--config", "/no/such"], "/no/such"),
    ] {
        let mut command = e.own();
        command.args(["registry", "serve"]).args(words);
        Program::start(&mut command)
            .finish()
            .exits(125)
            .complains(said);
    }
});
