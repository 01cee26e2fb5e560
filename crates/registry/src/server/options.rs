//! What a registry is told: flags, and a file of settings.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::door::Challenge;
use super::fault::{Code, Fault};
use super::mirror::Upstream;
use super::query::Query;
use super::quota::Limits;
use super::rights::Rule;
use super::secret;
use super::store::Place;

/// Where it listens when nothing is said: only this machine, for nobody is asked for a password.
const ADDR: &str = "127.0.0.1:5000";
const ROOT: &str = "/var/lib/wharf-registry";

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
    #[error("--tls-cert and --tls-key go together")]
    Half,
}

/// Everything that is needed to begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    /// Content, or where there is a bucket only what is on its way there.
    pub(crate) root: PathBuf,
    pub(crate) bucket: Option<Place>,
    pub(crate) settings: Settings,
    pub(crate) people: People,
    pub(crate) upstream: Option<Upstream>,
    /// Certificate and key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// Who may do what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct People {
    pub(crate) htpasswd: Option<PathBuf>,
    /// Name and bcrypt hash.
    pub(crate) accounts: HashMap<String, String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) challenge: Challenge,
    pub(crate) url: Option<String>,
}

/// What requests are measured by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Bytes that a blob may have.
    pub(crate) blob_max: u64,
    delete: bool,
    /// How long an upload may rest before it is dropped.
    pub(crate) upload_age: Duration,
    pub(crate) collect: Collect,
    pub(crate) quota: Limits,
}

/// When garbage is collected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Collect {
    pub(crate) interval: Duration,
    /// What was written or asked for so lately stays.
    pub(crate) grace: Duration,
    /// Whether manifests go that no tag leads to.
    pub(crate) untagged: bool,
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
    s3: Option<String>,
    delete: Option<bool>,
    blob_max: Option<u64>,
    /// Seconds.
    upload_age: Option<u64>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    htpasswd: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    challenge: Challenge,
    #[serde(default)]
    collect: CollectDocument,
    #[serde(default)]
    quota: Limits,
    upstream: Option<Upstream>,
    #[serde(default)]
    account: Vec<Account>,
    #[serde(default)]
    access: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectDocument {
    /// Seconds.
    interval: Option<u64>,
    grace: Option<u64>,
    #[serde(default)]
    untagged: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: String,
    /// A bcrypt hash, as `htpasswd -nB` prints it after the colon.
    password: String,
}

/// The flags; the client's table holds their help.
const FLAGS: [&str; 7] = [
    "addr", "config", "htpasswd", "root", "s3", "tls-cert", "tls-key",
];

/// Reads the words after `registry serve`, and the file they name.
pub(crate) fn parse(args: &[OsString]) -> Result<Options, Error> {
    let mut given: Vec<(&'static str, String)> = Vec::new();
    let mut rest = args.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = rest.next() {
        let long = word.strip_prefix("--").unwrap_or_default();
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let known = FLAGS.into_iter().find(|known| *known == name);
        let Some(name) = known else {
            return Err(Error::Unknown(word));
        };
        let value = value.or_else(|| rest.next());
        let value = value.ok_or_else(|| Error::NoValue(word.clone()))?;
        if sys::rows::pass(|| format!("registry serve --{name}")) {
            given.push((name, value));
        }
    }
    settle(&given)
}

/// Puts flags before the file, and the file before what is usual.
fn settle(given: &[(&'static str, String)]) -> Result<Options, Error> {
    let last = |name: &str| {
        let of_name = given.iter().rev().find(|(known, _)| *known == name);
        of_name.map(|(_, value)| value.clone())
    };
    let path = |name: &str| last(name).map(PathBuf::from);
    let file = last("config");
    let document = file.as_deref().map(|path| read(Path::new(path)));
    let document = document.transpose()?.unwrap_or_default();
    let addr = last("addr").or(document.addr);
    let addr = addr.unwrap_or_else(|| ADDR.to_owned());
    let root = path("root").or(document.root);
    let cert = path("tls-cert").or(document.tls_cert);
    let tls = match (cert, path("tls-key").or(document.tls_key)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(Error::Half),
    };
    let accounts = document.account.into_iter();
    let accounts: HashMap<String, String> = accounts.map(|one| (one.name, one.password)).collect();
    if let Some((name, _)) = accounts.iter().find(|(_, hash)| !secret::is_bcrypt(hash)) {
        return Err(Error::File {
            path: file.unwrap_or_default(),
            why: format!("the password of account {name:?} is no bcrypt hash (htpasswd -nB)"),
        });
    }
    let collect = document.collect;
    let seconds = |given: Option<u64>, usual| Duration::from_secs(given.unwrap_or(usual));
    Ok(Options {
        addr: address(&addr)?,
        root: root.unwrap_or_else(|| PathBuf::from(ROOT)),
        bucket: last("s3")
            .or(document.s3)
            .as_deref()
            .map(place)
            .transpose()?,
        settings: Settings {
            blob_max: document.blob_max.unwrap_or(u64::MAX),
            delete: document.delete.unwrap_or(true),
            upload_age: seconds(document.upload_age, 7 * 24 * 3600),
            collect: Collect {
                interval: seconds(collect.interval, 3600),
                grace: seconds(collect.grace, 24 * 3600),
                untagged: collect.untagged,
            },
            quota: document.quota,
        },
        people: People {
            htpasswd: path("htpasswd").or(document.htpasswd),
            accounts,
            rules: document.access,
            challenge: document.challenge,
            url: document.url,
        },
        upstream: document.upstream,
        tls,
    })
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

/// `s3://BUCKET/PREFIX?endpoint=URL&region=R`; who we are there stands in the environment, as with
/// every program that speaks S3.
fn place(url: &str) -> Result<Place, Error> {
    #[expect(clippy::disallowed_methods, reason = "read once, here")]
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let bad = || Error::Value {
        flag: "--s3",
        value: url.to_owned(),
        why: "not s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION]".to_owned(),
    };
    let rest = url.strip_prefix("s3://").ok_or_else(bad)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return Err(bad());
    }
    let prefix = prefix.trim_matches('/');
    let query = Query::parse(query);
    let region = query.find("region").map(str::to_owned);
    let region = region.or_else(|| said("AWS_REGION"));
    Ok(Place {
        bucket: bucket.to_owned(),
        prefix: if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        },
        endpoint: query.find("endpoint").map(str::to_owned),
        region: region.unwrap_or_else(|| "us-east-1".to_owned()),
        keys: said("AWS_ACCESS_KEY_ID").zip(said("AWS_SECRET_ACCESS_KEY")),
        token: said("AWS_SESSION_TOKEN"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Options, Error> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_say_where() {
        let options = parse_words(&["--addr", "127.0.0.1:0", "--root=/x"]).unwrap();
        assert_eq!(options.addr, "127.0.0.1:0".parse().unwrap());
        assert_eq!(options.root, Path::new("/x"));
        for (text, address) in [(":5000", "[::]:5000"), ("localhost:1", "127.0.0.1:1")] {
            assert_eq!(super::address(text).unwrap(), address.parse().unwrap());
        }
    }

    #[test]
    fn a_bucket_has_a_place() {
        let found =
            place("s3://images/some/where/?endpoint=http://127.0.0.1:9000&region=r").unwrap();
        assert_eq!(
            (found.bucket.as_str(), found.prefix.as_str()),
            ("images", "some/where/")
        );
        assert_eq!(found.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(place("s3://images").unwrap().prefix, "");
        for bad in ["", "images", "s3://", "s3:///x", "http://images"] {
            assert!(place(bad).is_err(), "{bad}");
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
