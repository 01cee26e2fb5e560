//! Pure: image references: `[registry/]repository[:tag][@digest]` and their familiar form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A reference to an image in canonical form: `docker.io/library/busybox:latest`.
///
/// Grammar: the distribution project's reference grammar; `docker.io` and `library/` are added
/// when absent and hidden again by [`Reference::familiar`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text is not an image reference; the messages are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// Would follow the grammar in lower case.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Longer than 255 characters.
    #[error("invalid reference format: repository name must not be more than 255 characters")]
    TooLong,
    /// 64 hexadecimal digits would be taken for an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
}

impl Reference {
    /// Returns the registry's host, with port where one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository within the registry: `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if one was given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the same reference with `latest` as its tag where neither tag nor digest stands.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Returns the same reference with another tag; `None` if the text is not a tag.
    pub fn with_tag(mut self, tag: &str) -> Option<Self> {
        is_tag(tag).then(|| {
            self.tag = Some(tag.to_owned());
            self
        })
    }

    /// Returns the short name that people type: `busybox`, `example.org:5000/a/b`.
    pub fn familiar_name(&self) -> String {
        if self.registry != "docker.io" {
            return format!("{}/{}", self.registry, self.repository);
        }
        match self.repository.strip_prefix("library/") {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// Returns the short form that people type: `busybox:latest`.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        self.suffix(&mut text);
        text
    }

    fn suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}/{}", self.registry, self.repository);
        self.suffix(&mut text);
        f.write_str(&text)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if Digest::from_hex(text).is_some() {
            return Err(InvalidReference::LooksLikeId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(digest.parse().map_err(|_| InvalidReference::Format)?),
            ),
            None => (text, None),
        };
        // The first part is a registry when it looks like a host: a dot, a port, or localhost.
        let (registry, path) = match rest.split_once('/') {
            Some((host, path))
                if host.contains(['.', ':']) || host == "localhost" || has_uppercase(host) =>
            {
                (Some(host), path)
            }
            _ => (None, rest),
        };
        let (name, tag) = match path.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (path, None),
        };
        if registry.is_some_and(|host| !is_host(host)) || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(InvalidReference::Format);
        }
        let registry = match registry {
            None | Some("index.docker.io") => "docker.io",
            Some(host) => host,
        };
        let repository = if registry == "docker.io" && !name.contains('/') {
            format!("library/{name}")
        } else {
            name.to_owned()
        };
        if !repository.split('/').all(is_component) {
            // As Docker's library: a capital is told before anything else that is wrong.
            return Err(if has_uppercase(&repository) {
                InvalidReference::Uppercase(repository)
            } else {
                InvalidReference::Format
            });
        }
        if registry.len() + 1 + repository.len() > 255 {
            return Err(InvalidReference::TooLong);
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn has_uppercase(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let mut separator = String::new();
    let mut seen = false;
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => {
                let separated = matches!(separator.as_str(), "" | "." | "_" | "__")
                    || separator.bytes().all(|byte| byte == b'-');
                if !separated || (!seen && !separator.is_empty()) {
                    return false;
                }
                separator.clear();
                seen = true;
            }
            '.' | '_' | '-' => separator.push(c),
            _ => return false,
        }
    }
    seen && separator.is_empty()
}

/// `\w[\w.-]{0,127}`
fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_and_familiar() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (typed, canonical, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            (
                "busybox:1.36",
                "docker.io/library/busybox:1.36",
                "busybox:1.36",
            ),
            ("wharf/host", "docker.io/wharf/host", "wharf/host"),
            ("docker.io/a/b:c", "docker.io/a/b:c", "a/b:c"),
            ("index.docker.io/x", "docker.io/library/x", "x"),
            ("localhost/x", "localhost/x", "localhost/x"),
            (
                "localhost:5000/x:1",
                "localhost:5000/x:1",
                "localhost:5000/x:1",
            ),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            (
                "a.b/c__d-e.f/g:T_.-",
                "a.b/c__d-e.f/g:T_.-",
                "a.b/c__d-e.f/g:T_.-",
            ),
        ] {
            let reference: Reference = typed.parse().unwrap_or_else(|e| panic!("{typed}: {e}"));
            assert_eq!(reference.to_string(), canonical);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(canonical.parse::<Reference>().unwrap(), reference);
        }
        let text = format!("busybox@{digest}");
        assert_eq!(text.parse::<Reference>().unwrap().familiar(), text);
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for bad in [
            "",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:",
            ":a",
            "a@sha256:1",
            "a//b",
            "a b",
            "a.-b/c",
        ] {
            assert_eq!(
                bad.parse::<Reference>(),
                Err(InvalidReference::Format),
                "{bad}"
            );
        }
        assert_eq!(
            "Foo".parse::<Reference>().unwrap_err().to_string(),
            "invalid reference format: repository name (library/Foo) must be lowercase"
        );
        let id = "a".repeat(64);
        assert_eq!(
            id.parse::<Reference>(),
            Err(InvalidReference::LooksLikeId(id.clone()))
        );
    }
}
