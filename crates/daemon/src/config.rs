//! Settings of the daemon: flags, daemon.json, and what neither says.

mod flags;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use engine::Bridge;
use serde_json::Value;

use flags::{FLAGS, Flag, MEANINGLESS, NOT_YET};

/// What the environment says; read once, by the program's front door.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `WHARF_FAILPOINTS`, handed on to shims.
    pub failpoints: Option<OsString>,
    /// `NOTIFY_SOCKET`: who waits until the daemon is ready.
    pub notify_socket: Option<OsString>,
    /// Listening sockets that were handed to this process (`LISTEN_FDS`), from descriptor 3 on.
    pub listen_fds: u8,
}

/// A daemon's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) hosts: Vec<Host>,
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) bridge: Bridge,
    pub(crate) firewall: bool,
    pub(crate) debug: bool,
    pub(crate) registries: engine::Registries,
    pub(crate) downloads: usize,
    pub(crate) uploads: usize,
    /// What is logged: debug, info, warn, error or fatal.
    pub(crate) log_level: String,
    /// Started by a client that needed it: it may be replaced, and leaves when it is idle.
    pub(crate) on_demand: bool,
    pub(crate) labels: Vec<String>,
    /// Where metrics are served.
    pub(crate) metrics: Option<SocketAddr>,
    /// What was said without a meaning here, in one sentence each.
    pub(crate) ignored: Vec<String>,
}

/// Where the daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Unix(PathBuf),
    Tcp(String),
    /// The sockets that systemd handed over.
    Inherited,
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Inherited => f.write_str("fd://"),
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Box<Config>),
    Say(String),
}

/// A setting is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("Status: unknown flag: {flag}\nSee '{program} --help'.")]
    Unknown { flag: String, program: String },
    #[error("{flag} is not built yet: this daemon cannot obey it")]
    NotYet { flag: String },
    #[error("Status: flag needs an argument: {flag}\nSee '{program} --help'.")]
    NoValue { flag: String, program: String },
    #[error("Status: invalid argument {value:?} for {flag:?}: {why}")]
    Value {
        flag: String,
        value: String,
        why: String,
    },
    #[error("unable to configure the Docker daemon with file {path}: {why}")]
    File { path: String, why: String },
}

/// What was typed, before it means anything.
#[derive(Debug, Default)]
struct Raw {
    values: Vec<(&'static str, String)>,
}

impl Raw {
    fn last(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.values
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    fn is_on(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.last(name) {
            None => Ok(default),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(value) => Err(Error::Value {
                flag: format!("--{name}"),
                value: value.to_owned(),
                why: "must be true or false".to_owned(),
            }),
        }
    }
}

/// Reads the command line and the configuration file.
pub(crate) fn parse(
    program: &str,
    args: &[OsString],
    _environment: &Environment,
) -> Result<Parsed, Error> {
    let mut raw = words(program, args)?;
    if raw.last("help").is_some() {
        return Ok(Parsed::Say(help(program)));
    }
    if raw.last("version").is_some() {
        return Ok(Parsed::Say(format!(
            "Wharf version {}",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let docker = program == "dockerd";
    let default_file = if docker {
        "/etc/docker/daemon.json"
    } else {
        "/etc/wharf/daemon.json"
    };
    let file = raw.last("config-file").map(str::to_owned);
    read_file(
        &mut raw,
        Path::new(file.as_deref().unwrap_or(default_file)),
        file.is_some(),
    )?;
    let is_checked = raw.is_on("validate", false)?;
    let config = settle(&raw, docker)?;
    if is_checked {
        return Ok(Parsed::Say("configuration OK".to_owned()));
    }
    Ok(Parsed::Run(Box::new(config)))
}

/// Every flag that may be said.
fn known() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().chain(MEANINGLESS)
}

fn words(program: &str, args: &[OsString]) -> Result<Raw, Error> {
    let mut raw = Raw::default();
    let mut rest = args.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = rest.next() {
        let unknown = || Error::Unknown {
            flag: word.clone(),
            program: program.to_owned(),
        };
        let (flag, value) = if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, v)| (name, Some(v.to_owned())));
            if NOT_YET.contains(&name) {
                return Err(Error::NotYet {
                    flag: format!("--{name}"),
                });
            }
            (
                known().find(|flag| flag.name == name).ok_or_else(unknown)?,
                value,
            )
        } else if let Some(short) = word.strip_prefix('-') {
            let mut letters = short.chars();
            let letter = letters.next().ok_or_else(unknown)?;
            let flag = FLAGS
                .iter()
                .find(|flag| flag.short == Some(letter))
                .ok_or_else(unknown)?;
            let value = letters.as_str();
            let value = value.strip_prefix('=').unwrap_or(value);
            (flag, (!value.is_empty()).then(|| value.to_owned()))
        } else {
            return Err(unknown());
        };
        let value = match (value, flag.value) {
            (Some(value), _) => value,
            (None, false) => "true".to_owned(),
            (None, true) => rest.next().ok_or_else(|| Error::NoValue {
                flag: word.clone(),
                program: program.to_owned(),
            })?,
        };
        raw.values.push((flag.name, value));
    }
    Ok(raw)
}

/// Adds what daemon.json says and no flag said. A missing file is an error only if it was named.
fn read_file(raw: &mut Raw, path: &Path, named: bool) -> Result<(), Error> {
    let failed = |why: String| Error::File {
        path: path.display().to_string(),
        why,
    };
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => return Ok(()),
        Err(e) => {
            let why = sys::errno_text(sys::Error::from_io("open", &e).errno);
            return Err(failed(format!("open {}: {why}", path.display())));
        }
    };
    let value: Value =
        serde_json::from_slice(&text).map_err(|e| failed(format!("invalid JSON: {e}")))?;
    let Value::Object(keys) = value else {
        return Err(failed("invalid JSON: no object".to_owned()));
    };
    for (key, value) in keys {
        let name = match key.as_str() {
            "hosts" => "host",
            "registry-mirrors" => "registry-mirror",
            "insecure-registries" => "insecure-registry",
            "labels" => "label",
            other => other,
        };
        let Some(flag) = known().find(|flag| flag.name == name) else {
            let singular = name.strip_suffix('s').unwrap_or(name);
            return Err(if NOT_YET.contains(&name) || NOT_YET.contains(&singular) {
                failed(format!(
                    "{key:?} is not built yet: this daemon cannot obey it"
                ))
            } else {
                failed(format!(
                    "the following directives don't match any configuration option: {key}"
                ))
            });
        };
        if let Some(typed) = raw.last(flag.name) {
            return Err(failed(format!(
                "the following directives are specified both as a flag and in the configuration \
                 file: {key}: (from flag: {typed}, from file: {value})"
            )));
        }
        let texts = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        for item in texts {
            let text = item
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned);
            raw.values.push((flag.name, text));
        }
    }
    Ok(())
}

fn settle(raw: &Raw, docker: bool) -> Result<Config, Error> {
    let path = |name: &str, default: &str| PathBuf::from(raw.last(name).unwrap_or(default));
    let (socket, data, exec, bridge) = if docker {
        (
            "unix:///var/run/docker.sock",
            "/var/lib/docker-wharf",
            "/var/run/docker-wharf",
            "docker0",
        )
    } else {
        (
            "unix:///run/wharf/wharf.sock",
            "/var/lib/wharf",
            "/run/wharf",
            "wharf0",
        )
    };
    let mut hosts = raw.all("host");
    if hosts.is_empty() {
        hosts.push(socket);
    }
    let level = raw.last("log-level").unwrap_or("info");
    if !["debug", "info", "warn", "error", "fatal"].contains(&level) {
        return Err(Error::Value {
            flag: "-l, --log-level".to_owned(),
            value: level.to_owned(),
            why: format!("invalid logging level: {level}"),
        });
    }
    let debug = raw.is_on("debug", false)? || level == "debug";
    let bridge = match raw.last("bridge") {
        Some("none") => Bridge::None,
        name => Bridge::Named {
            name: bridge_name(name.filter(|name| !name.is_empty()).unwrap_or(bridge))?,
            address: raw.last("bip").map(str::to_owned),
        },
    };
    Ok(Config {
        hosts: hosts.into_iter().map(host).collect::<Result<_, _>>()?,
        data_root: absolute("--data-root", path("data-root", data))?,
        exec_root: absolute("--exec-root", path("exec-root", exec))?,
        pidfile: raw.last("pidfile").map(PathBuf::from),
        bridge,
        firewall: raw.is_on("iptables", true)?,
        debug,
        registries: registries(raw)?,
        downloads: number(raw, "max-concurrent-downloads", 6)?,
        uploads: number(raw, "max-concurrent-uploads", 5)?,
        log_level: if debug { "debug" } else { level }.to_owned(),
        on_demand: raw.is_on("on-demand", false)?,
        labels: labels(raw)?,
        metrics: metrics(raw)?,
        ignored: MEANINGLESS
            .iter()
            .filter(|flag| raw.last(flag.name).is_some())
            .map(|flag| format!("--{} has no meaning here: {}", flag.name, flag.help))
            .collect(),
    })
}

/// `KEY=VALUE`, each key once.
fn labels(raw: &Raw) -> Result<Vec<String>, Error> {
    let all: Vec<String> = raw.all("label").into_iter().map(str::to_owned).collect();
    let failed = |value: &str, why: String| Error::Value {
        flag: "--label".to_owned(),
        value: value.to_owned(),
        why,
    };
    for (index, label) in all.iter().enumerate() {
        let Some((key, _)) = label.split_once('=') else {
            return Err(failed(label, format!("bad attribute format: {label}")));
        };
        let before = all[..index].iter().find(|one| {
            one.split_once('=').is_some_and(|(other, _)| other == key) && *one != label
        });
        if let Some(before) = before {
            let why = format!("conflict labels for {before} and {label}");
            return Err(failed(label, why));
        }
    }
    Ok(all)
}

fn metrics(raw: &Raw) -> Result<Option<SocketAddr>, Error> {
    let address = raw.last("metrics-addr").filter(|text| !text.is_empty());
    let parse = |text: &str| {
        text.parse().map_err(|_| Error::Value {
            flag: "--metrics-addr".to_owned(),
            value: text.to_owned(),
            why: "must be ADDRESS:PORT".to_owned(),
        })
    };
    address.map(parse).transpose()
}

/// How registries are talked to.
fn registries(raw: &Raw) -> Result<engine::Registries, Error> {
    let texts = |name: &str| raw.all(name).into_iter().map(str::to_owned).collect();
    let text = |name: &str| raw.last(name).unwrap_or_default().to_owned();
    let mirrors: Vec<String> = texts("registry-mirror");
    if let Some(bad) = mirrors
        .iter()
        .find(|mirror| !mirror.starts_with("http://") && !mirror.starts_with("https://"))
    {
        return Err(Error::Value {
            flag: "--registry-mirror".to_owned(),
            value: bad.clone(),
            why: format!(
                "invalid mirror: no scheme specified for {bad:?}: must use either 'https://' or 'http://'"
            ),
        });
    }
    Ok(engine::Registries {
        mirrors,
        insecure: texts("insecure-registry"),
        http_proxy: text("http-proxy"),
        https_proxy: text("https-proxy"),
        no_proxy: text("no-proxy"),
        attempts: u32::try_from(number(raw, "max-download-attempts", 5)?).unwrap_or(u32::MAX),
        ..engine::Registries::default()
    })
}

/// Reads a number of at least one.
fn number(raw: &Raw, name: &str, default: usize) -> Result<usize, Error> {
    let Some(text) = raw.last(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::Value {
        flag: format!("--{name}"),
        value: text.to_owned(),
        why: "must be a number of at least 1".to_owned(),
    })
}

fn absolute(flag: &str, path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::Value {
        flag: flag.to_owned(),
        value: path.display().to_string(),
        why: "must be an absolute path".to_owned(),
    })
}

/// Interface names have at most 15 bytes and no slash or blank (netdevice(7)).
fn bridge_name(name: &str) -> Result<String, Error> {
    let fits = name.len() <= 15 && !name.contains(['/', ' ', ':']) && name != "." && name != "..";
    if fits {
        return Ok(name.to_owned());
    }
    Err(Error::Value {
        flag: "-b, --bridge".to_owned(),
        value: name.to_owned(),
        why: "must be an interface name of at most 15 characters".to_owned(),
    })
}

fn host(text: &str) -> Result<Host, Error> {
    let bad = |why: &str| Error::Value {
        flag: "-H, --host".to_owned(),
        value: text.to_owned(),
        why: why.to_owned(),
    };
    match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Host::Unix(PathBuf::from(path))),
        Some(("tcp", address)) => {
            let loopback = ["127.0.0.1:", "localhost:", "[::1]:"];
            if loopback.iter().any(|prefix| address.starts_with(prefix)) {
                return Ok(Host::Tcp(address.replacen("localhost", "127.0.0.1", 1)));
            }
            Err(bad(
                "TCP without TLS is offered on loopback only, and TLS is not built yet",
            ))
        }
        Some(("fd", "" | "*")) => Ok(Host::Inherited),
        Some(("fd", _)) => Err(bad("single sockets cannot be chosen: use fd://")),
        _ => Err(bad("must be unix:///PATH or tcp://127.0.0.1:PORT")),
    }
}

fn help(program: &str) -> String {
    let mut text = format!(
        "Usage:  {program} [OPTIONS]\n\nA self-sufficient runtime for containers.\n\nOptions:"
    );
    for flag in FLAGS {
        let short = flag
            .short
            .map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let value = if flag.value { " string" } else { "" };
        let name = format!("{}{value}", flag.name);
        text.extend(["\n  ", &short, "--", &format!("{name:<22}"), flag.help]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Config, Error> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        match parse("wharf daemon", &args, &Environment::default())? {
            Parsed::Run(config) => Ok(*config),
            Parsed::Say(text) => panic!("{text}"),
        }
    }

    #[test]
    fn flags_in_all_spellings() {
        let config = run(&[
            "-H",
            "unix:///a",
            "--host=tcp://127.0.0.1:1",
            "-b",
            "none",
            "--data-root",
            "/d",
            "--exec-root=/e",
            "-D",
            "--iptables=false",
            "-p/pid",
        ])
        .unwrap();
        assert_eq!(
            config.hosts,
            [Host::Unix("/a".into()), Host::Tcp("127.0.0.1:1".to_owned())]
        );
        assert_eq!(
            (config.bridge, config.debug, config.firewall),
            (Bridge::None, true, false)
        );
        assert_eq!(config.pidfile, Some("/pid".into()));
    }

    #[test]
    fn what_cannot_be_obeyed_is_said() {
        for (args, text) in [
            (
                &["--nosuch"][..],
                "Status: unknown flag: --nosuch\nSee 'wharf daemon --help'.",
            ),
            (
                &["--mtu", "9000"],
                "--mtu is not built yet: this daemon cannot obey it",
            ),
            (
                &["--data-root"],
                "Status: flag needs an argument: --data-root\nSee 'wharf daemon --help'.",
            ),
            (
                &["-H", "tcp://0.0.0.0:1"],
                "Status: invalid argument \"tcp://0.0.0.0:1\" for \"-H, --host\": TCP without TLS is offered on loopback only, and TLS is not built yet",
            ),
            (
                &["--data-root", "x"],
                "Status: invalid argument \"x\" for \"--data-root\": must be an absolute path",
            ),
        ] {
            assert_eq!(run(args).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn what_has_no_meaning_is_said() {
        let config = run(&[
            "--live-restore",
            "--shutdown-timeout",
            "5",
            "--label",
            "a=b",
        ])
        .unwrap();
        assert_eq!(config.ignored.len(), 2);
        assert!(config.ignored[0].starts_with("--live-restore has no meaning here"));
        assert_eq!(config.labels, ["a=b"]);
        assert_eq!(run(&["-H", "fd://"]).unwrap().hosts, [Host::Inherited]);
    }

    #[test]
    fn labels_and_metrics() {
        let conflict = run(&["--label", "a=c", "--label", "a=b"]).unwrap_err();
        assert!(
            conflict
                .to_string()
                .contains("conflict labels for a=c and a=b")
        );
        assert!(run(&["--label", "a"]).is_err());
        assert!(run(&["--metrics-addr", "x"]).is_err());
        let config = run(&["--metrics-addr", "127.0.0.1:9323"]).unwrap();
        assert_eq!(config.metrics, "127.0.0.1:9323".parse().ok());
    }
}
