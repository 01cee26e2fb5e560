//! Pure: the state of a stage: its image's config as it grows, and its variables.

use std::collections::BTreeMap;

use types::Digest;
use types::oci::image::{ContainerDefaults, Empty, History, ImageConfig};

use crate::dockerfile::{Expander, Form, Healthcheck};

/// What the history says of who made an entry.
const COMMENT: &str = "buildkit.dockerfile.v0";
/// Docker's, where neither image nor Dockerfile says one.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Build args that need no `ARG`, and are no part of what makes a step what it is.
const PROXIES: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// A stage on its way.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The config and the layers so far.
    pub(crate) config: ImageConfig,
    /// An image that has these layers.
    pub(crate) image: Option<Digest>,
    /// `ARG`s that were declared, in order, with their values.
    pub(crate) args: Vec<(String, Option<String>)>,
    /// The escape character of the file.
    pub(crate) escape: char,
    /// A `CMD` of this stage survives its `ENTRYPOINT`.
    has_cmd: bool,
}

impl State {
    /// Begins a stage on an image.
    pub(crate) fn on(config: ImageConfig, image: Option<Digest>, escape: char) -> Self {
        let mut state = Self {
            config,
            image,
            args: Vec::new(),
            escape,
            has_cmd: false,
        };
        let defaults = state.defaults();
        if !defaults.env.iter().any(|entry| entry.starts_with("PATH=")) {
            defaults.env.push(PATH.to_owned());
        }
        if defaults.working_dir.is_empty() {
            "/".clone_into(&mut defaults.working_dir);
        }
        state
    }

    /// Begins a stage on another one: what it declared is declared here too.
    pub(crate) fn on_stage(other: &Self) -> Self {
        Self {
            has_cmd: false,
            ..other.clone()
        }
    }

    pub(crate) fn defaults(&mut self) -> &mut ContainerDefaults {
        self.config.config.get_or_insert_default()
    }

    fn known(&self) -> Option<&ContainerDefaults> {
        self.config.config.as_ref()
    }

    pub(crate) fn env(&self) -> &[String] {
        self.known().map_or(&[], |defaults| &defaults.env)
    }

    pub(crate) fn user(&self) -> &str {
        self.known().map_or("", |defaults| &defaults.user)
    }

    pub(crate) fn working_dir(&self) -> &str {
        self.known().map_or("/", |defaults| &defaults.working_dir)
    }

    /// Returns the value of a variable: the environment wins over an argument.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let env = self.env().iter().rev().find_map(|entry| {
            let (known, value) = entry.split_once('=')?;
            (known == name).then(|| value.to_owned())
        });
        let arg = || {
            let found = self.args.iter().rev().find(|(known, _)| known == name)?;
            found.1.clone()
        };
        env.or_else(arg)
    }

    /// Calls with an expander over the variables as they are now.
    pub(crate) fn expand<T>(&self, with: impl FnOnce(Expander<'_>) -> T) -> T {
        let value = |name: &str| self.value(name);
        with(Expander {
            escape: self.escape,
            value: &value,
        })
    }

    /// Declares an argument.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        self.args.retain(|(known, _)| known != name);
        self.args.push((name.to_owned(), value));
    }

    /// The arguments that a program of the build gets beside the environment.
    pub(crate) fn arg_env(&self) -> Vec<String> {
        let env = self.env();
        let hidden = |name: &str| {
            env.iter()
                .any(|entry| entry.split('=').next() == Some(name))
        };
        self.args
            .iter()
            .filter(|(name, _)| !hidden(name))
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect()
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let env = &mut self.defaults().env;
        match env
            .iter_mut()
            .find(|old| old.split('=').next() == Some(name))
        {
            Some(old) => *old = entry,
            None => env.push(entry),
        }
    }

    pub(crate) fn set_cmd(&mut self, form: &Form) -> Vec<String> {
        let words = self.command(form);
        self.defaults().cmd = Some(words.clone()).filter(|words| !words.is_empty());
        self.has_cmd = true;
        words
    }

    pub(crate) fn set_entrypoint(&mut self, form: &Form) -> Vec<String> {
        let words = self.command(form);
        let keep = self.has_cmd;
        let defaults = self.defaults();
        defaults.entrypoint = Some(words.clone()).filter(|words| !words.is_empty());
        if !keep {
            defaults.cmd = None;
        }
        words
    }

    /// The shell of the shell form.
    pub(crate) fn shell(&self) -> Vec<String> {
        self.known()
            .and_then(|defaults| defaults.shell.clone())
            .unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
    }

    /// Words as they are, text for the shell.
    pub(crate) fn command(&self, form: &Form) -> Vec<String> {
        match form {
            Form::Exec(words) => words.clone(),
            Form::Shell(text) if text.is_empty() => Vec::new(),
            Form::Shell(text) => {
                let mut words = self.shell();
                words.push(text.clone());
                words
            }
        }
    }

    pub(crate) fn set_healthcheck(&mut self, check: &Healthcheck) {
        let mut document = serde_json::Map::new();
        let test: Vec<String> = match &check.test {
            None => vec!["NONE".to_owned()],
            Some(Form::Exec(words)) => std::iter::once("CMD".to_owned())
                .chain(words.iter().cloned())
                .collect(),
            Some(Form::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
        };
        document.insert("Test".to_owned(), test.into());
        for (key, value) in [
            ("Interval", check.interval_ns),
            ("Timeout", check.timeout_ns),
            ("StartPeriod", check.start_period_ns),
            ("StartInterval", check.start_interval_ns),
            ("Retries", i64::from(check.retries)),
        ] {
            if value != 0 {
                document.insert(key.to_owned(), value.into());
            }
        }
        self.defaults().healthcheck = Some(document.into());
    }

    /// Adds ports; an error is a sentence.
    pub(crate) fn expose(&mut self, ports: &[String]) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for port in ports {
            let lower = port.to_lowercase();
            let parsed = types::port::parse_expose(&lower).map_err(|e| e.to_string())?;
            all.extend(parsed.iter().map(ToString::to_string));
        }
        all.sort();
        let known = &mut self.defaults().exposed_ports;
        known.extend(all.iter().map(|port| (port.clone(), Empty {})));
        Ok(all)
    }

    /// Writes what changed nothing in the files into the history.
    pub(crate) fn note(&mut self, created_by: String) {
        // The same moment as the layer below: a build of the same gives the same.
        let created = self.config.created.clone();
        self.config.history.push(History {
            created,
            empty_layer: true,
            ..step(created_by)
        });
    }

    /// Takes the layers and the last step of an image that a step came to.
    pub(crate) fn take(&mut self, image: Digest, made: ImageConfig) {
        self.image = Some(image);
        self.config.rootfs = made.rootfs;
        let step = made.history.into_iter().next_back();
        if let Some(step) = &step {
            self.config.created.clone_from(&step.created);
        }
        self.config.history.extend(step);
    }
}

/// Returns an entry of the history, without its moment.
pub(crate) fn step(created_by: String) -> History {
    History {
        created_by: Some(created_by),
        comment: Some(COMMENT.to_owned()),
        ..History::default()
    }
}

/// Tells whether a build argument may be used without an `ARG`.
pub(crate) fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name.to_ascii_lowercase().as_str())
}

/// Labels, the later ones win.
pub(crate) fn add_labels(
    to: &mut ContainerDefaults,
    labels: impl IntoIterator<Item = (String, String)>,
) {
    let all: &mut BTreeMap<String, String> = to.labels.get_or_insert_default();
    all.extend(labels);
}

/// Joins a path to a directory and takes the dots out.
pub(crate) fn absolute(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{base}/{path}")
    };
    format!("/{}", archive::ignore::clean(&joined))
}
