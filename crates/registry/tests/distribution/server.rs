//! A server of one test, and what a client says to it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::TempDir;
use testkit::http::{self, Reply};
use types::digest::Digest;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A server that lives as long as the test's process.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with("")
    }

    /// Starts one with a file of settings.
    pub(crate) fn with(settings: &str) -> Server {
        let dir = TempDir::new("wharf-registry");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = free.local_addr().unwrap();
        drop(free);
        let config = dir.file("settings.toml", settings);
        let words = [
            format!("--addr={addr}"),
            format!("--root={}", dir.at("root")),
            format!("--config={config}"),
        ];
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        std::thread::spawn(move || {
            let code = registry::server::main(&words);
            assert_eq!(code, 0, "the server ended");
        });
        testkit::eventually("the server listens", || TcpStream::connect(addr).ok());
        Server { addr, dir }
    }

    /// Sends one request and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut bytes = http::head(method, path, headers, Some(body.len())).into_bytes();
        bytes.extend_from_slice(body);
        self.exchange(&bytes)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    /// Sends bytes as they are. The server may answer before it has read them all.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).unwrap();
        let mut sender = stream.try_clone().unwrap();
        let bytes = bytes.to_vec();
        let sending = std::thread::spawn(move || drop(sender.write_all(&bytes)));
        let mut all = Vec::new();
        drop(stream.read_to_end(&mut all));
        sending.join().unwrap();
        http::parse(&all)
    }

    /// Begins an upload and returns its address.
    pub(crate) fn begin(&self, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let reply = self.ask("POST", &path, &[], b"");
        location(reply.is(202))
    }

    /// Puts a blob into a repository.
    pub(crate) fn blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let at = self.begin(repository);
        let reply = self.ask("PUT", &format!("{at}?digest={digest}"), &[], content);
        reply.is(201);
        digest
    }

    /// Puts a manifest into a repository under a tag or its digest.
    pub(crate) fn put(&self, repository: &str, reference: &str, document: &Value) -> Reply {
        let kind = document["mediaType"].as_str().unwrap_or(MANIFEST);
        let path = format!("/v2/{repository}/manifests/{reference}");
        let kind = format!("Content-Type: {kind}");
        self.ask("PUT", &path, &[&kind], document.to_string().as_bytes())
    }

    /// Puts an image of one layer into a repository and returns its manifest.
    pub(crate) fn image(&self, repository: &str, tag: &str, layer: &str) -> Value {
        self.blob(repository, b"{}");
        self.blob(repository, layer.as_bytes());
        let document = image(&[layer]);
        self.put(repository, tag, &document).is(201);
        document
    }
}

/// Returns an image's manifest; its blobs are `{}` and the layers.
pub(crate) fn image(layers: &[&str]) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(LAYER, layer.as_bytes()))
        .collect();
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(CONFIG, b"{}"), "layers": layers,
    })
}

pub(crate) fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(content).to_string(), "size": content.len()})
}

pub(crate) fn digest(document: &Value) -> Digest {
    Digest::of(document.to_string().as_bytes())
}

#[track_caller]
pub(crate) fn location(reply: &Reply) -> String {
    reply.header("Location").expect("a Location").to_owned()
}

/// Checks that an answer is the specification's document with that code.
#[track_caller]
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) {
    let document = reply.is(status).json();
    let errors = document["errors"].as_array().expect("a list of errors");
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error["code"], code, "{document}");
        assert!(error["message"].is_string(), "{document}");
        let word = error["code"].as_str().unwrap();
        assert!(word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    }
}
