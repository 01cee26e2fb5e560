//! Credentials of registries: in `config.json`, or with a helper that keeps them.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};
use sys::process::{Program, Spawn};

use crate::config::Config;
use crate::error::{Error, Result, go_text};

/// The name under which those of docker.io are kept.
pub(crate) const INDEX: &str = "https://index.docker.io/v1/";
/// What a helper says when it has none.
const MISSING: &str = "credentials not found in native keychain";
/// Longest answer of a helper.
const ANSWER_MAX: u64 = 1 << 20;

/// Who somebody is to a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) identity_token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `config.json`.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    document: Map<String, Value>,
}

/// Returns the name under which a registry's credentials are kept.
pub(crate) fn key_of(registry: &str) -> String {
    if matches!(
        registry,
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io"
    ) {
        INDEX.to_owned()
    } else {
        registry.to_owned()
    }
}

/// Returns the `X-Registry-Auth` header for a registry; none if nothing is known of it.
pub(crate) fn header(config: &Config, registry: &str) -> Result<Option<String>> {
    let server = key_of(registry);
    let found = File::load(config)?.get(config, &server)?;
    Ok(found.map(|found| {
        let document = json!({
            "username": found.username,
            "password": found.password,
            "identitytoken": found.identity_token,
            "serveraddress": server,
        });
        URL_SAFE.encode(document.to_string())
    }))
}

impl File {
    /// Reads it; one that is missing is empty.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        let path = config.docker_dir().join("config.json");
        let failed = |why: String| {
            Error::text(format!(
                "error loading config file: {}: {why}",
                path.display()
            ))
        };
        let document = match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(Value::Object(document)) => document,
                Ok(_) => return Err(failed("invalid configuration: no object".to_owned())),
                Err(error) => return Err(failed(error.to_string())),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(failed(go_text(&error))),
        };
        Ok(Self { path, document })
    }

    /// Returns where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the helper that keeps the credentials of a server.
    pub(crate) fn helper(&self, server: &str) -> Option<String> {
        let host = host_of(server);
        let own = self.document.get("credHelpers").and_then(|helpers| {
            let found = helpers.get(server).or_else(|| helpers.get(host));
            found.and_then(Value::as_str)
        });
        own.or_else(|| self.document.get("credsStore").and_then(Value::as_str))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }

    /// Returns the credentials of a server.
    pub(crate) fn get(&self, config: &Config, server: &str) -> Result<Option<Credentials>> {
        if let Some(helper) = self.helper(server) {
            return ask_helper(config, &helper, server);
        }
        let Some(auths) = self.document.get("auths").and_then(Value::as_object) else {
            return Ok(None);
        };
        let entry = auths.get(server).or_else(|| {
            let same = |known: &&String| host_of(known) == host_of(server);
            auths.keys().find(same).and_then(|key| auths.get(key))
        });
        Ok(entry.and_then(parse_entry))
    }

    /// Keeps the credentials of a server.
    pub(crate) fn store(
        &mut self,
        config: &Config,
        server: &str,
        known: &Credentials,
    ) -> Result<()> {
        if let Some(helper) = self.helper(server) {
            let (name, secret) = if known.identity_token.is_empty() {
                (known.username.as_str(), known.password.as_str())
            } else {
                ("<token>", known.identity_token.as_str())
            };
            let document = json!({"ServerURL": server, "Username": name, "Secret": secret});
            return run_helper(config, &helper, "store", &document.to_string()).map(drop);
        }
        let secret = if known.identity_token.is_empty() {
            known.password.as_str()
        } else {
            ""
        };
        let pair = STANDARD.encode(format!("{}:{secret}", known.username));
        let mut entry = json!({"auth": pair});
        if !known.identity_token.is_empty() {
            entry["identitytoken"] = json!(known.identity_token);
        }
        self.auths().insert(server.to_owned(), entry);
        self.save()
    }

    /// Forgets the credentials of a server; tells whether there were any.
    pub(crate) fn erase(&mut self, config: &Config, server: &str) -> Result<bool> {
        if let Some(helper) = self.helper(server) {
            return run_helper(config, &helper, "erase", server).map(|_| true);
        }
        let had = self.auths().remove(server).is_some();
        if had {
            self.save()?;
        }
        Ok(had)
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().expect("made an object above")
    }

    fn save(&self) -> Result<()> {
        let failed = |why: String| {
            Error::text(format!(
                "error saving credentials: {}: {why}",
                self.path.display()
            ))
        };
        if let Some(directory) = self.path.parent() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| failed(go_text(&error)))?;
        }
        let mut bytes = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut writer = serde_json::Serializer::with_formatter(&mut bytes, format);
        serde::Serialize::serialize(&self.document, &mut writer)
            .map_err(|error| failed(error.to_string()))?;
        sys::durable::replace(&self.path, &bytes, 0o600).map_err(|error| failed(error.to_string()))
    }
}

fn parse_entry(entry: &Value) -> Option<Credentials> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut known = Credentials {
        username: text("username").to_owned(),
        password: text("password").to_owned(),
        identity_token: text("identitytoken").to_owned(),
    };
    if let Ok(bytes) = STANDARD.decode(text("auth"))
        && let Ok(pair) = String::from_utf8(bytes)
        && let Some((name, password)) = pair.split_once(':')
    {
        name.clone_into(&mut known.username);
        password
            .trim_end_matches('\0')
            .clone_into(&mut known.password);
    }
    (known != Credentials::default()).then_some(known)
}

/// Returns the host of a server's name, which may be an address.
fn host_of(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn ask_helper(config: &Config, helper: &str, server: &str) -> Result<Option<Credentials>> {
    let answer = match run_helper(config, helper, "get", server) {
        Ok(answer) => answer,
        Err(error) if error.to_string().contains(MISSING) => return Ok(None),
        Err(error) => return Err(error),
    };
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| Error::text(format!("docker-credential-{helper}: {error}")))?;
    let text = |key: &str| {
        let value = answer.get(key).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let mut known = Credentials {
        username: text("Username"),
        ..Credentials::default()
    };
    if known.username == "<token>" {
        known.username.clear();
        known.identity_token = text("Secret");
    } else {
        known.password = text("Secret");
    }
    Ok((known != Credentials::default()).then_some(known))
}

/// Runs a helper with a text on its stdin and returns what it says.
fn run_helper(config: &Config, helper: &str, verb: &str, input: &str) -> Result<String> {
    let name = format!("docker-credential-{helper}");
    let failed =
        |why: String| Error::text(format!("error getting credentials - err: {why}, out: ``"));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !helper.bytes().all(plain) {
        return Err(failed(format!("exec: {name:?}: no name of a helper")));
    }
    let path = config.var("PATH").unwrap_or_default();
    let program = path
        .split(':')
        .map(|directory| Path::new(directory).join(&name))
        .find(|file| file.is_absolute() && file.is_file())
        .ok_or_else(|| {
            failed(format!(
                "exec: {name:?}: executable file not found in $PATH"
            ))
        })?;
    let (from_us, to_helper) = sys::fd::pipe()?;
    let (from_helper, to_us) = sys::fd::pipe()?;
    let variables: Vec<OsString> = config
        .env
        .iter()
        .map(|(key, value)| {
            let mut pair = key.clone();
            pair.push("=");
            pair.push(value);
            pair
        })
        .collect();
    let variables: Vec<&OsStr> = variables.iter().map(OsString::as_os_str).collect();
    let args = [name.as_str(), verb].map(OsStr::new);
    let child = Spawn {
        program: Program::Path(&program),
        args: &args,
        env: &variables,
        cwd: Path::new("/"),
        fds: &[from_us.as_fd(), to_us.as_fd(), std::io::stderr().as_fd()],
        session: false,
        foreground: false,
        death_signal: None,
    }
    .start()?;
    drop((from_us, to_us));
    let mut to_helper = std::fs::File::from(to_helper);
    // One that does not read its input says why on its way out.
    drop(to_helper.write_all(input.as_bytes()));
    drop(to_helper);
    let mut answer = String::new();
    std::fs::File::from(from_helper)
        .take(ANSWER_MAX)
        .read_to_string(&mut answer)?;
    let status = sys::pidfd::wait(child.pidfd.as_fd())?;
    if status.code() != 0 {
        return Err(Error::text(format!(
            "error getting credentials - err: exit status {}, out: `{}`",
            status.code(),
            answer.trim()
        )));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_they_are() {
        assert_eq!(key_of("docker.io"), INDEX);
        assert_eq!(key_of("r.example:5"), "r.example:5");
        assert_eq!(host_of("https://r.example:5/v2/"), "r.example:5");
    }

    #[test]
    fn entries() {
        let entry = json!({"auth": STANDARD.encode("a:b:c")});
        let known = parse_entry(&entry).unwrap();
        assert_eq!(
            (known.username.as_str(), known.password.as_str()),
            ("a", "b:c")
        );
        assert_eq!(parse_entry(&json!({})), None);
        let token = parse_entry(&json!({"identitytoken": "t"})).unwrap();
        assert_eq!(token.identity_token, "t");
    }
}
