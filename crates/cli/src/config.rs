//! What the client takes from its surroundings, read once: environment, name, terminal.

use std::ffi::OsString;
use std::path::PathBuf;

use api::ApiVersion;

use crate::contexts::{Contexts, DEFAULT};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::text::append;

/// The surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `docker` or `wharf`: what messages call us.
    pub(crate) program: &'static str,
    /// Where the daemon listens.
    pub(crate) host: Host,
    /// Set when nobody chose the host, so that a daemon may be started there.
    pub(crate) default_host: bool,
    /// `DOCKER_API_VERSION`: no negotiation.
    pub(crate) api_version: Option<ApiVersion>,
    /// `--config`: where config.json lies.
    pub(crate) home: Option<PathBuf>,
    /// config.json.
    pub(crate) settings: Settings,
    /// The context that is used; `default` when the host comes from elsewhere.
    pub(crate) context: String,
    /// Every variable, for `-e NAME`.
    pub(crate) env: Vec<(OsString, OsString)>,
}

/// An address of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A socket in the file system.
    Unix(PathBuf),
    /// host:port.
    Tcp(String),
    /// A machine that is reached by `ssh`, whose docker speaks to its daemon.
    Ssh(Ssh),
}

/// `ssh://[USER@]HOST[:PORT]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ssh {
    /// Empty: as `ssh` has it.
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Ssh {
    fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::text(format!("invalid SSH URL: {why}"));
        let text = text.trim_end_matches('/');
        let (user, place) = text.rsplit_once('@').unwrap_or(("", text));
        if user.contains(':') {
            return Err(invalid("plain-text password is not supported"));
        }
        if place.contains('/') {
            return Err(invalid("extra path after the host"));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| invalid("port is not a number"))?;
                (host, Some(port))
            }
            None => (place, None),
        };
        // A name that begins with a dash would be read as a flag.
        if host.is_empty() || host.starts_with('-') || user.starts_with('-') {
            return Err(invalid("no host specified"));
        }
        Ok(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

impl Host {
    /// Parses `unix://PATH` and `tcp://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = || Error::text(format!("unable to parse docker host `{text}`"));
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        match scheme {
            "unix" if !rest.is_empty() => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" if !rest.is_empty() => {
                let rest = rest.trim_end_matches('/');
                let port = rest
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                Ok(Self::Tcp(if port {
                    rest.to_owned()
                } else {
                    format!("{rest}:2375")
                }))
            }
            "ssh" => Ssh::parse(rest).map(Self::Ssh),
            "npipe" | "fd" => Err(Error::text(format!(
                "{scheme}:// is not an address that a client can connect to here"
            ))),
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ssh(Ssh { user, host, port }) => {
                let at = if user.is_empty() { "" } else { "@" };
                write!(f, "ssh://{user}{at}{host}")?;
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl Config {
    /// Reads the environment that `run` was handed.
    pub(crate) fn new(program: &'static str, env: Vec<(OsString, OsString)>) -> Self {
        let mut config = Self {
            program,
            host: Host::Tcp(String::new()),
            default_host: true,
            api_version: None,
            home: None,
            settings: Settings::default(),
            context: DEFAULT.to_owned(),
            env,
        };
        config.host = config.own_host();
        config
    }

    /// Returns where config.json lies: `--config`, `DOCKER_CONFIG`, or `.docker` at home.
    pub(crate) fn docker_dir(&self) -> PathBuf {
        let own = || PathBuf::from(self.var("HOME").unwrap_or_else(|| "/root".to_owned()));
        self.home
            .clone()
            .or_else(|| self.var("DOCKER_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| own().join(".docker"))
    }

    /// Returns where our engine listens when nobody says otherwise.
    pub(crate) fn own_host(&self) -> Host {
        Host::Unix(PathBuf::from(if self.program == "docker" {
            "/var/run/docker.sock"
        } else {
            "/run/wharf/wharf.sock"
        }))
    }

    /// Returns a variable; empty counts as absent.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        self.raw_var(name).filter(|value| !value.is_empty())
    }

    /// Returns a variable as it is.
    pub(crate) fn raw_var(&self, name: &str) -> Option<String> {
        let value = self
            .env
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value);
        value.map(|value| value.to_string_lossy().into_owned())
    }

    /// Chooses the daemon: `-H` or `-c`, then `WHARF_HOST` (not as `docker`), then `DOCKER_HOST`,
    /// then `DOCKER_CONTEXT`, then the current context. A context that is not there is told when a
    /// daemon is needed, if `is_strict`: the commands about contexts must work without one.
    pub(crate) fn choose_host(
        &mut self,
        flag: Option<&str>,
        context: Option<&str>,
        is_strict: bool,
    ) -> Result<()> {
        let own = (self.program == "wharf")
            .then(|| self.var("WHARF_HOST"))
            .flatten();
        let named = context.map(str::to_owned);
        let chosen = flag.map(str::to_owned);
        let chosen = if named.is_some() {
            None
        } else {
            chosen.or(own).or_else(|| self.var("DOCKER_HOST"))
        };
        if let Some(text) = chosen {
            self.host = Host::parse(&text)?;
            self.default_host = false;
        } else {
            let current = || Some(self.settings.text("currentContext").to_owned());
            let name = named
                .or_else(|| self.var("DOCKER_CONTEXT"))
                .or_else(current)
                .filter(|name| !name.is_empty() && name != DEFAULT);
            if let Some(name) = name {
                self.use_context(name, is_strict)?;
            }
        }
        if let Some(text) = self.var("DOCKER_API_VERSION") {
            let text = text.trim_start_matches('v');
            self.api_version = Some(
                text.parse()
                    .map_err(|error| Error::text(format!("{error}")))?,
            );
        }
        Ok(())
    }
}

impl Config {
    /// Returns the headers that the user wants with every request: `DOCKER_CUSTOM_HEADERS`
    /// (`A=1,B=2`), else those of config.json.
    pub(crate) fn headers(&self) -> String {
        let pairs = match self.var("DOCKER_CUSTOM_HEADERS") {
            Some(text) => text
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
                .collect(),
            None => self.settings.headers(),
        };
        pairs
            .iter()
            // What could end the line would be another header, or a body.
            .filter(|(name, value)| {
                let clean = |text: &str| !text.contains(['\r', '\n']);
                !name.is_empty() && clean(name) && clean(value)
            })
            .fold(String::new(), |mut all, (name, value)| {
                append(&mut all, format_args!("{name}: {value}\r\n"));
                all
            })
    }

    fn use_context(&mut self, name: String, is_strict: bool) -> Result<()> {
        let found = Contexts::of(self).get(&name);
        self.context = name;
        self.default_host = false;
        match found {
            Ok(context) if context.host.is_empty() => Ok(()),
            Ok(context) => {
                self.host = Host::parse(&context.host)?;
                Ok(())
            }
            Err(error) if is_strict => Err(Error::text(format!(
                "Failed to initialize: unable to resolve docker endpoint: {error}"
            ))),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let shown = |text: &str| Host::parse(text).map(|host| host.to_string());
        assert_eq!(shown("unix:///a/b").unwrap(), "unix:///a/b");
        assert_eq!(shown("tcp://h:1").unwrap(), "tcp://h:1");
        assert_eq!(shown("tcp://h").unwrap(), "tcp://h:2375");
        assert_eq!(shown("ssh://u@h:22").unwrap(), "ssh://u@h:22");
        assert_eq!(shown("ssh://h").unwrap(), "ssh://h");
        for bad in [
            "",
            "x",
            "unix://",
            "zz://a",
            "ssh://u:p@a",
            "ssh://-oX=y",
            "ssh://h/x",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_flag_wins() {
        let env = vec![("DOCKER_HOST".into(), "unix:///env".into())];
        let mut config = Config::new("docker", env);
        config.choose_host(None, None, true).unwrap();
        assert_eq!(config.host, Host::Unix("/env".into()));
        config
            .choose_host(Some("unix:///flag"), None, true)
            .unwrap();
        assert_eq!(config.host, Host::Unix("/flag".into()));
        assert!(!config.default_host);
    }
}
