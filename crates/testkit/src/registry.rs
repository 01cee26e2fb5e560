//! Debian's registry beside the engine under test, in the engine's network.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::engine::Engine;
use crate::eventually;
use crate::oci::{Image, layout};
use crate::program::{Output, Program};
use crate::temp::TempDir;

/// `user` with the password `secret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry; it ends, with all it has, when this is dropped.
#[derive(Debug)]
pub struct Registry {
    temp: TempDir,
    program: Option<Program>,
    network: String,
    address: String,
    credentials: Option<&'static str>,
}

impl Engine {
    /// Starts a registry that lets everybody in.
    pub fn registry(&self) -> Registry {
        Registry::start(self, None)
    }

    /// Starts a registry that lets in `user` with the password `secret`.
    pub fn locked_registry(&self) -> Registry {
        Registry::start(self, Some("user:secret"))
    }

    /// Returns the file of the network namespace in which the engine's daemon is.
    pub fn network(&self) -> String {
        let socket = UnixStream::connect(self.socket()).expect("the daemon listens");
        let peer = rustix::net::sockopt::socket_peercred(&socket).expect("a unix socket's peer");
        format!("/proc/{}/ns/net", peer.pid.as_raw_nonzero())
    }
}

impl Registry {
    fn start(engine: &Engine, credentials: Option<&'static str>) -> Registry {
        let temp = TempDir::new("wharf-registry");
        let network = engine.network();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\nstorage:\n  \
             filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\n",
            temp.at("data")
        );
        if credentials.is_some() {
            let file = temp.file("htpasswd", HTPASSWD);
            let auth = format!("auth:\n  htpasswd: {{realm: test, path: {file}}}\n");
            config.push_str(&auth);
        }
        let config = temp.file("config.yml", &config);
        let mut command = inside(&network, "docker-registry");
        let mut program = Program::start(command.args(["serve", &config]));
        let address = eventually("the registry listens", || {
            assert!(program.runs(), "the registry ended: {}", program.stderr());
            let said = program.stderr() + &program.stdout();
            let (_, rest) = said.split_once("listening on ")?;
            let end = rest.find(|c: char| c == '"' || c.is_whitespace())?;
            Some(rest[..end].to_owned())
        });
        Registry {
            temp,
            program: Some(program),
            network,
            address,
            credentials,
        }
    }

    /// Returns the full name of a repository or of a tag in it.
    pub fn name(&self, short: &str) -> String {
        format!("{}/{short}", self.address)
    }

    /// Returns `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Puts an image there; several are an index by platform.
    pub fn put(&self, tag: &str, images: &[Image]) {
        let place = self
            .temp
            .path()
            .join(format!("oci-{}", tag.replace(['/', ':'], "-")));
        layout(&place, images);
        let from = format!("oci:{}:it", place.display());
        let to = format!("docker://{}", self.name(tag));
        let mut words = vec!["copy", "--preserve-digests", "--dest-tls-verify=false"];
        if images.len() > 1 {
            words.push("--all");
        }
        if let Some(credentials) = self.credentials {
            words.extend(["--dest-creds", credentials]);
        }
        words.extend([from.as_str(), to.as_str()]);
        self.skopeo(&words).exits(0);
    }

    /// Returns the digest of the manifest that a tag names.
    pub fn digest(&self, tag: &str) -> String {
        let of = format!("docker://{}", self.name(tag));
        let mut words = vec!["inspect", "--raw", "--tls-verify=false"];
        if let Some(credentials) = self.credentials {
            words.extend(["--creds", credentials]);
        }
        words.push(&of);
        let output = self.skopeo(&words);
        output.exits(0);
        types::Digest::of(output.stdout.as_bytes()).to_string()
    }

    /// Runs skopeo in the network of the registry.
    pub fn skopeo(&self, words: &[&str]) -> Output {
        let mut command = inside(&self.network, "skopeo");
        Program::start(command.arg("--insecure-policy").args(words)).finish()
    }

    /// Returns the requests that it answered so far, in the log's words.
    pub fn log(&self) -> String {
        let program = self.program.as_ref().expect("it runs");
        program.stdout() + &program.stderr()
    }

    /// Returns where its files are.
    pub fn data(&self) -> std::path::PathBuf {
        self.temp.path().join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(program) = self.program.take() {
            program.signal(rustix::process::Signal::KILL);
            drop(program.finish());
        }
    }
}

/// Returns a command that runs in a network namespace.
pub(crate) fn inside(network: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={network}")).arg(program);
    assert!(Path::new(network).exists(), "no network {network}");
    command
}
