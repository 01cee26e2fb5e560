//! `config.json`: what a user has set for every call.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::flags::Parsed;
use crate::session::warn;
use crate::tables::Command;

/// The user's file; one that is missing is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Map<String, Value>);

/// A key that stands for a flag which is not given: command, flag, key.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("container ls", "format", "psFormat"),
    ("image ls", "format", "imagesFormat"),
    ("network ls", "format", "networksFormat"),
    ("volume ls", "format", "volumesFormat"),
    ("container stats", "format", "statsFormat"),
    ("container attach", "detach-keys", "detachKeys"),
    ("container exec", "detach-keys", "detachKeys"),
    ("container run", "detach-keys", "detachKeys"),
    ("container start", "detach-keys", "detachKeys"),
];
/// The proxies that a container is told of: key, variable.
const PROXIES: [(&str, &str); 5] = [
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
];

impl Settings {
    /// Reads the file. One that cannot be understood is told of, and the command goes on without.
    pub(crate) fn load(config: &Config) -> Self {
        let path = config.docker_dir().join("config.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                warn(&format!(
                    "WARNING: Error loading config file: {}: {error}",
                    path.display()
                ));
                return Self::default();
            }
        };
        serde_json::from_slice(&text).map_or_else(
            |error| {
                warn(&format!(
                    "WARNING: Error parsing config file ({}): {error}",
                    path.display()
                ));
                Self::default()
            },
            Self,
        )
    }

    /// Returns a text; empty when it is not there.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a list of texts.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let list = self.0.get(key).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    /// Returns headers that go with every request.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let headers = self.0.get("HttpHeaders").and_then(Value::as_object);
        let pairs = headers.into_iter().flatten();
        pairs
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            // Docker's client keeps its own name.
            .filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent"))
            .collect()
    }

    /// Gives a command what stands for flags that were not given.
    pub(crate) fn fill(&self, command: &'static Command, parsed: &mut Parsed) {
        for (path, flag, key) in DEFAULTS {
            let value = self.text(key);
            let quiet = *flag == "format" && parsed.is_set("quiet");
            if command.paths[0] != *path || value.is_empty() || parsed.given(flag) || quiet {
                continue;
            }
            if let Some(flag) = command.flags().find(|known| known.long == *flag) {
                parsed.values.push((flag, value.to_owned()));
            }
        }
        if command.paths[0].ends_with("prune")
            && let Some(flag) = command.flags().find(|known| known.long == "filter")
        {
            let given = parsed.all("filter");
            for filter in self.texts("pruneFilters") {
                if !contradicts(&filter, &given) {
                    parsed.values.push((flag, filter));
                }
            }
        }
    }

    /// Returns the variables by which a container learns of proxies, unless `env` has them.
    pub(crate) fn proxies(&self, host: &str, env: &[String]) -> Vec<String> {
        let all = self.0.get("proxies");
        let own = all.and_then(|all| all.get(host).or_else(|| all.get("default")));
        let Some(own) = own else { return Vec::new() };
        let known = |name: &str| {
            env.iter()
                .any(|one| one.split('=').next().is_some_and(|known| known == name))
        };
        let mut found = Vec::new();
        for (key, name) in PROXIES {
            let value = own.get(key).and_then(Value::as_str).unwrap_or_default();
            if value.is_empty() {
                continue;
            }
            for name in [name.to_owned(), name.to_ascii_lowercase()] {
                if !known(&name) {
                    found.push(format!("{name}={value}"));
                }
            }
        }
        found
    }
}

/// A filter of the command line counts more than its opposite in the file.
fn contradicts(filter: &str, given: &[String]) -> bool {
    let opposite = |from: &str, to: &str| {
        let value = filter.strip_prefix(from)?;
        Some(format!("{to}{value}"))
    };
    let opposite = opposite("label=", "label!=").or_else(|| opposite("label!=", "label="));
    opposite.is_some_and(|opposite| given.contains(&opposite))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(value: Value) -> Settings {
        match value {
            Value::Object(map) => Settings(map),
            _ => Settings::default(),
        }
    }

    #[test]
    fn proxies_of_a_host_and_of_all() {
        let settings = settings(serde_json::json!({"proxies": {
            "default": {"httpProxy": "http://p", "noProxy": "x"},
            "tcp://h:1": {"httpsProxy": "q"}}}));
        let env = ["HTTP_PROXY=own".to_owned()];
        assert_eq!(
            settings.proxies("unix:///s", &env),
            ["http_proxy=http://p", "NO_PROXY=x", "no_proxy=x"]
        );
        assert_eq!(
            settings.proxies("tcp://h:1", &[]),
            ["HTTPS_PROXY=q", "https_proxy=q"]
        );
    }

    #[test]
    fn filters_that_contradict() {
        let given = ["label=a".to_owned()];
        assert!(contradicts("label!=a", &given));
        assert!(!contradicts("label!=b", &given));
        assert!(!contradicts("until=1h", &given));
    }

    #[test]
    fn headers_but_our_name() {
        let settings =
            settings(serde_json::json!({"HttpHeaders": {"X-A": "1", "User-Agent": "u"}}));
        assert_eq!(settings.headers(), [("X-A".to_owned(), "1".to_owned())]);
    }
}
