//! What the client takes from its surroundings, read once: environment, name, terminal.

use std::ffi::OsString;
use std::path::PathBuf;

use api::ApiVersion;

use crate::error::{Error, Result};

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
    pub(crate) credentials_dir: Option<PathBuf>,
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
            "ssh" | "npipe" | "fd" => {
                Err(Error::text(format!("{scheme}:// hosts are not built yet")))
            }
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Config {
    /// Reads the environment that `run` was handed.
    pub(crate) fn new(program: &'static str, env: Vec<(OsString, OsString)>) -> Self {
        let path = if program == "docker" {
            "/var/run/docker.sock"
        } else {
            "/run/wharf/wharf.sock"
        };
        Self {
            program,
            host: Host::Unix(PathBuf::from(path)),
            default_host: true,
            api_version: None,
            credentials_dir: None,
            env,
        }
    }

    /// Returns where config.json lies: `--config`, `DOCKER_CONFIG`, or `.docker` at home.
    pub(crate) fn docker_dir(&self) -> PathBuf {
        let home = || PathBuf::from(self.var("HOME").unwrap_or_else(|| "/root".to_owned()));
        self.credentials_dir
            .clone()
            .or_else(|| self.var("DOCKER_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| home().join(".docker"))
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

    /// Chooses the daemon: `-H`, then `WHARF_HOST` (not as `docker`), then `DOCKER_HOST`.
    pub(crate) fn choose_host(&mut self, flag: Option<&str>) -> Result<()> {
        let own = (self.program == "wharf")
            .then(|| self.var("WHARF_HOST"))
            .flatten();
        let chosen = flag
            .map(str::to_owned)
            .or(own)
            .or_else(|| self.var("DOCKER_HOST"));
        if let Some(text) = chosen {
            self.host = Host::parse(&text)?;
            self.default_host = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let shown = |text: &str| Host::parse(text).map(|host| host.to_string());
        assert_eq!(shown("unix:///a/b").unwrap(), "unix:///a/b");
        assert_eq!(shown("tcp://h:1").unwrap(), "tcp://h:1");
        assert_eq!(shown("tcp://h").unwrap(), "tcp://h:2375");
        for bad in ["", "x", "unix://", "zz://a", "ssh://a"] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_flag_wins() {
        let env = vec![("DOCKER_HOST".into(), "unix:///env".into())];
        let mut config = Config::new("docker", env);
        config.choose_host(None).unwrap();
        assert_eq!(config.host, Host::Unix("/env".into()));
        config.choose_host(Some("unix:///flag")).unwrap();
        assert_eq!(config.host, Host::Unix("/flag".into()));
        assert!(!config.default_host);
    }
}
