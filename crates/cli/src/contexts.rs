//! Contexts: named endpoints, each a directory below `contexts` beside config.json.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::error::{Error, Result, go_text};

/// The context that is made of the surroundings.
pub(crate) const DEFAULT: &str = "default";
/// Files of TLS, as they are kept and as `--docker` names them.
pub(crate) const TLS_FILES: [(&str, &str); 3] =
    [("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")];

/// All contexts of a user.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    root: PathBuf,
}

/// One context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) host: String,
    pub(crate) skip_tls_verify: bool,
    /// Other metadata, kept as they are.
    pub(crate) metadata: Map<String, Value>,
}

impl Contexts {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            root: config.docker_dir().join("contexts"),
        }
    }

    fn key(name: &str) -> String {
        let digest = types::Digest::of(name.as_bytes()).to_string();
        digest.trim_start_matches("sha256:").to_owned()
    }

    /// Where a context's description lies.
    pub(crate) fn meta_dir(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(Self::key(name))
    }

    /// Where its keys lie.
    pub(crate) fn tls_dir(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(Self::key(name))
    }

    /// Returns a context, or why there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Context> {
        let path = self.meta_dir(name).join("meta.json");
        let text = std::fs::read(&path).map_err(|error| {
            let why = go_text(&error);
            let (name, path) = (crate::flags::quote(name), path.display());
            Error::text(format!(
                "context {name}: context not found: open {path}: {why}"
            ))
        })?;
        parse(&text).ok_or_else(|| {
            Error::text(format!(
                "context {}: invalid metadata",
                crate::flags::quote(name)
            ))
        })
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.meta_dir(name).join("meta.json").exists()
    }

    /// Returns all, by name.
    pub(crate) fn all(&self) -> Vec<Context> {
        let dirs = std::fs::read_dir(self.root.join("meta"));
        let mut all: Vec<Context> = dirs
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|dir| parse(&std::fs::read(dir.path().join("meta.json")).ok()?))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Writes a context.
    pub(crate) fn put(&self, context: &Context) -> Result<()> {
        let dir = self.meta_dir(&context.name);
        std::fs::create_dir_all(&dir)?;
        let text = format!("{{{}}}", document(context));
        sys::durable::replace(&dir.join("meta.json"), text.as_bytes(), 0o644)?;
        Ok(())
    }

    /// Writes a file of TLS.
    pub(crate) fn put_tls(&self, name: &str, file: &str, bytes: &[u8]) -> Result<()> {
        let dir = self.tls_dir(name).join("docker");
        std::fs::create_dir_all(&dir)?;
        sys::durable::replace(&dir.join(file), bytes, 0o600)?;
        Ok(())
    }

    /// Returns the names of its files of TLS.
    pub(crate) fn tls_files(&self, name: &str) -> Vec<String> {
        let dir = self.tls_dir(name).join("docker");
        let there = TLS_FILES.iter().filter(|(_, file)| dir.join(file).exists());
        there.map(|(_, file)| (*file).to_owned()).collect()
    }

    /// Removes a context with its keys; that it is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        for dir in [self.meta_dir(name), self.tls_dir(name)] {
            remove_tree(&dir)?;
        }
        Ok(())
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    if !path.exists() {
        return Ok(());
    }
    sys::dir::Dir::open(parent)?.remove_tree(name)?;
    Ok(())
}

/// The members of Docker's document, in its order.
pub(crate) fn document(context: &Context) -> String {
    let mut metadata = context.metadata.clone();
    if context.description.is_empty() {
        metadata.remove("Description");
    } else {
        metadata.insert("Description".to_owned(), context.description.clone().into());
    }
    let mut endpoint = Map::new();
    if !context.host.is_empty() {
        endpoint.insert("Host".to_owned(), context.host.clone().into());
    }
    endpoint.insert("SkipTLSVerify".to_owned(), context.skip_tls_verify.into());
    let (name, metadata) = (Value::from(context.name.as_str()), Value::from(metadata));
    let endpoints = json!({"docker": endpoint});
    format!(r#""Name":{name},"Metadata":{metadata},"Endpoints":{endpoints}"#)
}

fn parse(text: &[u8]) -> Option<Context> {
    let document: Value = serde_json::from_slice(text).ok()?;
    let metadata = document["Metadata"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let endpoint = &document["Endpoints"]["docker"];
    Some(Context {
        name: document["Name"].as_str()?.to_owned(),
        description: metadata
            .get("Description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        host: endpoint["Host"].as_str().unwrap_or_default().to_owned(),
        skip_tls_verify: endpoint["SkipTLSVerify"].as_bool().unwrap_or(false),
        metadata,
    })
}

/// Checks a name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b));
    if name == DEFAULT {
        return Err(Error::text("\"default\" is a reserved context name"));
    }
    if name.is_empty() {
        return Err(Error::text("context name cannot be empty"));
    }
    if !good {
        return Err(Error::text(format!(
            "context name {} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"",
            crate::flags::quote(name)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let context = Context {
            name: "c1".to_owned(),
            description: "hey".to_owned(),
            host: "unix:///s".to_owned(),
            ..Context::default()
        };
        let text = format!("{{{}}}", document(&context));
        assert!(
            text.contains(r#""Endpoints":{"docker":{"Host":"unix:///s","SkipTLSVerify":false}}"#)
        );
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!((read.name, read.host), (context.name, context.host));
        assert_eq!(read.description, "hey");
    }

    #[test]
    fn names() {
        assert!(check_name("a.b+c-d_1").is_ok());
        for bad in ["", "a", "-a", "a b", "default", "a/b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
