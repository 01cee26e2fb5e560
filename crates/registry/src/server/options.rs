//! What a registry is told: flags, and a file of settings.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::fault::{Code, Fault};

/// Where it listens when nothing is said: only this machine, for nobody is asked for a password.
const ADDR: &str = "127.0.0.1:5000";
const ROOT: &str = "/var/lib/wharf-registry";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Serve(Box<Options>),
    Say(String),
}

/// A flag or a setting is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("unknown flag: {0}\nSee 'wharf registry serve --help'.")]
    Unknown(String),
    #[error("flag needs an argument: {0}\nSee 'wharf registry serve --help'.")]
    NoValue(String),
    #[error("invalid argument {value:?} for {flag:?}: {why}")]
    Value {
        flag: &'static str,
        value: String,
        why: String,
    },
    #[error("{path}: {why}")]
    File { path: String, why: String },
}

/// Everything that is needed to begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
}

/// What requests are measured by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Bytes that a blob may have.
    pub(crate) blob_max: u64,
    delete: bool,
    /// How long an upload may rest before it is dropped.
    pub(crate) upload_age: Duration,
}

impl Settings {
    /// Refuses to remove anything where that is switched off.
    pub(crate) fn may_delete(&self) -> Result<(), Fault> {
        if self.delete {
            return Ok(());
        }
        Err(Fault::new(
            Code::Unsupported,
            "deleting is switched off in this registry",
        ))
    }
}

/// The file of settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    addr: Option<String>,
    root: Option<PathBuf>,
    delete: Option<bool>,
    blob_max: Option<u64>,
    /// Seconds.
    upload_age: Option<u64>,
}

const FLAGS: &[(&str, &str)] = &[
    (
        "addr",
        "HOST:PORT   Where to listen (default 127.0.0.1:5000)",
    ),
    (
        "root",
        "DIR         Where content is kept (default /var/lib/wharf-registry)",
    ),
    ("config", "FILE      A file of settings (TOML)"),
];

/// Reads the words after `registry serve`, and the file they name.
pub(crate) fn parse(args: &[OsString]) -> Result<Asked, Error> {
    let mut given: Vec<(&'static str, String)> = Vec::new();
    let mut rest = args.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = rest.next() {
        let long = word.strip_prefix("--").unwrap_or_default();
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        if name == "help" || word == "-h" {
            return Ok(Asked::Say(help()));
        }
        let known = FLAGS.iter().find(|(known, _)| *known == name);
        let Some((name, _)) = known else {
            return Err(Error::Unknown(word));
        };
        let value = value.or_else(|| rest.next());
        let value = value.ok_or_else(|| Error::NoValue(word.clone()))?;
        if sys::rows::pass(|| format!("registry serve --{name}")) {
            given.push((name, value));
        }
    }
    let last = |name: &str| {
        let of_name = given.iter().rev().find(|(known, _)| *known == name);
        of_name.map(|(_, value)| value.clone())
    };
    let document = last("config").map_or(Ok(Document::default()), |path| read(Path::new(&path)))?;
    let addr = last("addr").or(document.addr);
    let addr = addr.unwrap_or_else(|| ADDR.to_owned());
    let root = last("root").map(PathBuf::from).or(document.root);
    Ok(Asked::Serve(Box::new(Options {
        addr: address(&addr)?,
        root: root.unwrap_or_else(|| PathBuf::from(ROOT)),
        settings: Settings {
            blob_max: document.blob_max.unwrap_or(u64::MAX),
            delete: document.delete.unwrap_or(true),
            upload_age: Duration::from_secs(document.upload_age.unwrap_or(7 * 24 * 3600)),
        },
    })))
}

/// `HOST:PORT` with an address for the host; `:PORT` is every address of this machine.
fn address(text: &str) -> Result<SocketAddr, Error> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.replace("localhost:", "127.0.0.1:"),
    };
    full.parse().map_err(|_| Error::Value {
        flag: "--addr",
        value: text.to_owned(),
        why: "not an address and a port".to_owned(),
    })
}

fn read(path: &Path) -> Result<Document, Error> {
    let failed = |why: String| Error::File {
        path: path.display().to_string(),
        why,
    };
    let bytes = sys::dir::read_host_file(path, 1 << 20).map_err(|e| failed(e.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("not UTF-8".to_owned()))?;
    toml::from_str(&text).map_err(|e| failed(e.to_string().trim_end().to_owned()))
}

fn help() -> String {
    let mut text = "Usage:  wharf registry serve [OPTIONS]\n\nServe images to docker, podman and others\n\nOptions:\n".to_owned();
    for (name, about) in FLAGS {
        text.extend(["      --", name, " ", about, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Asked, Error> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_say_where() {
        let asked = parse_words(&["--addr", "127.0.0.1:0", "--root=/x"]).unwrap();
        let Asked::Serve(options) = asked else {
            panic!("help")
        };
        assert_eq!(options.addr, "127.0.0.1:0".parse().unwrap());
        assert_eq!(options.root, Path::new("/x"));
        for (text, address) in [(":5000", "[::]:5000"), ("localhost:1", "127.0.0.1:1")] {
            assert_eq!(super::address(text).unwrap(), address.parse().unwrap());
        }
    }

    #[test]
    fn bad_flags_are_named() {
        for words in [&["--nope"] as &[_], &["-x"], &["word"]] {
            assert!(
                matches!(parse_words(words), Err(Error::Unknown(_))),
                "{words:?}"
            );
        }
        assert!(matches!(parse_words(&["--root"]), Err(Error::NoValue(_))));
        for bad in ["5000", "host", "1.2.3.4:99999", ""] {
            let error = parse_words(&["--addr", bad]);
            assert!(matches!(error, Err(Error::Value { .. })), "{bad}");
        }
        assert!(matches!(
            parse_words(&["--config", "/no/such"]),
            Err(Error::File { .. })
        ));
    }
}
