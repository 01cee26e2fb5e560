//! Pure: what a user asks to be mounted: the grammars of `-v` and `--mount`.

use std::collections::BTreeMap;

use crate::units;

/// One mount that the user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountSpec {
    /// What kind.
    pub kind: MountKind,
    /// A path of the host, a volume's name, an image; empty = a new volume.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
    /// The mode as typed behind the second colon of `-v`; empty with `--mount`.
    pub mode: String,
    /// `rprivate`, `rslave`, …; empty = the default.
    pub propagation: String,
    /// A bind of the directory without the mounts below it.
    pub non_recursive: bool,
    /// Read-only without the mounts below it.
    pub read_only_non_recursive: bool,
    /// Read-only with all mounts below it, or an error.
    pub read_only_force_recursive: bool,
    /// A volume is not filled from the image.
    pub no_copy: bool,
    /// A path in the volume or image.
    pub subpath: String,
    /// Labels of a new volume.
    pub labels: BTreeMap<String, String>,
    /// Driver of a new volume.
    pub driver: String,
    /// Options of that driver.
    pub driver_options: BTreeMap<String, String>,
    /// Bytes of a tmpfs; 0 = no limit.
    pub tmpfs_size: i64,
    /// Permissions of a tmpfs; 0 = the default.
    pub tmpfs_mode: u32,
    /// `consistency=`, which nothing on Linux uses.
    pub consistency: String,
}

/// The kinds of mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MountKind {
    /// A volume by name, or a new one.
    #[default]
    Volume,
    /// A path of the host.
    Bind,
    /// Memory.
    Tmpfs,
    /// An image's files.
    Image,
    /// Anything else: the daemon refuses it by name.
    Other(String),
}

impl MountKind {
    /// Returns the word of the API.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Volume => "volume",
            Self::Bind => "bind",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
            Self::Other(word) => word,
        }
    }

    /// Makes the kind from the word of the API, in any case.
    pub fn from_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "volume" => Self::Volume,
            "bind" => Self::Bind,
            "tmpfs" => Self::Tmpfs,
            "image" => Self::Image,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A text does not ask for a mount; the messages are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMount {
    /// `-v`: the client's check.
    #[error("invalid spec: {0}: too many colons")]
    TooManyColons(String),
    /// `-v`: the client's check.
    #[error("invalid spec: {0}: empty section between colons")]
    EmptySection(String),
    /// `-v`: the daemon's check.
    #[error("invalid volume specification: '{0}'")]
    Specification(String),
    /// `-v`: the daemon's check of the target.
    #[error(
        "invalid volume specification: '{0}': invalid mount config for type \"{1}\": invalid mount path: '{2}' mount path must be absolute"
    )]
    RelativeTarget(String, &'static str, String),
    /// `-v`: the root cannot be a target.
    #[error(
        "invalid volume specification: '{0}': invalid mount config for type \"{1}\": invalid specification: destination can't be '/'"
    )]
    RootTarget(String, &'static str),
    /// `-v`: propagation is for directories of the host.
    #[error(
        "invalid volume specification: '{0}': invalid mount config for type \"volume\": field BindOptions must not be specified"
    )]
    BindOptions(String),
    /// `-v`: behind the second colon.
    #[error("invalid mode: {0}")]
    Mode(String),
    /// `--mount`: nothing at all.
    #[error("EOF")]
    Empty,
    /// `--mount`: a part without `=`.
    #[error("invalid field '{0}' must be a key=value pair")]
    NotAPair(String),
    /// `--mount`: an unknown key.
    #[error("unexpected key '{0}' in '{1}'")]
    UnexpectedKey(String, String),
    /// `--mount`: a bad value.
    #[error("invalid value for {0}: {1}")]
    Value(String, String),
    /// `--mount`: an option of another kind.
    #[error("cannot mix '{0}-*' options with mount type '{1}'")]
    Mixed(&'static str, String),
    /// `--mount`: an option that needs another one.
    #[error("option 'bind-recursive={0}' requires '{1}' to be specified in conjunction")]
    Needs(&'static str, &'static str),
    /// `--mount`: no kind.
    #[error("type is required")]
    NoType,
    /// `--mount`: no target.
    #[error("target is required")]
    NoTarget,
    /// `--mount`: the quotes do not match.
    #[error("parse error on line 1, column {0}: bare \" in non-quoted-field")]
    Quotes(usize),
}

impl MountSpec {
    /// Parses a `-v` argument as the daemon does: `[source:]target[:mode]`.
    pub fn parse_volume(text: &str) -> Result<Self, InvalidMount> {
        let bad = || InvalidMount::Specification(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts[..] {
            [target] => ("", target, ""),
            [source, target] => (source, target, ""),
            [source, target, mode] => (source, target, mode),
            _ => return Err(bad()),
        };
        if target.is_empty() || (parts.len() > 1 && source.is_empty()) {
            return Err(bad());
        }
        let mut spec = Self {
            kind: if source.starts_with('/') {
                MountKind::Bind
            } else {
                MountKind::Volume
            },
            source: if source.starts_with('/') {
                clean(source)
            } else {
                source.to_owned()
            },
            target: clean(target),
            mode: mode.to_owned(),
            ..Self::default()
        };
        let word = if spec.kind == MountKind::Bind {
            "bind"
        } else {
            "volume"
        };
        if !target.starts_with('/') {
            return Err(InvalidMount::RelativeTarget(
                text.to_owned(),
                word,
                target.to_owned(),
            ));
        }
        if spec.target == "/" {
            return Err(InvalidMount::RootTarget(text.to_owned(), word));
        }
        spec.apply_mode(mode)?;
        if spec.kind == MountKind::Volume && !spec.propagation.is_empty() {
            return Err(InvalidMount::BindOptions(text.to_owned()));
        }
        Ok(spec)
    }

    fn apply_mode(&mut self, mode: &str) -> Result<(), InvalidMount> {
        let bad = || InvalidMount::Mode(mode.to_owned());
        let mut seen = [false; 5];
        for word in mode.split(',').filter(|_| !mode.is_empty()) {
            let (class, fits) = match word {
                "ro" | "rw" => (0, true),
                "z" | "Z" => (1, true),
                "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => (2, true),
                "nocopy" => (3, self.kind == MountKind::Volume),
                // For other systems; here they say nothing.
                "consistent" | "cached" | "delegated" => (4, true),
                _ => return Err(bad()),
            };
            if !fits || std::mem::replace(&mut seen[class], true) {
                return Err(bad());
            }
            match class {
                0 => self.read_only = word == "ro",
                2 => word.clone_into(&mut self.propagation),
                3 => self.no_copy = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Parses a `--mount` argument: comma-separated `key=value` pairs, quoted as in CSV.
    pub fn parse_mount(text: &str) -> Result<Self, InvalidMount> {
        if text.is_empty() {
            return Err(InvalidMount::Empty);
        }
        let mut spec = Self::default();
        for field in csv_fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
                None => (field.to_ascii_lowercase(), None),
            };
            spec.apply_field(&key, value, &field)?;
        }
        spec.validate()?;
        Ok(spec)
    }

    fn apply_field(
        &mut self,
        key: &str,
        value: Option<&str>,
        field: &str,
    ) -> Result<(), InvalidMount> {
        let given = value.unwrap_or_default();
        let bad = || InvalidMount::Value(key.to_owned(), given.to_owned());
        let truth = || match value {
            None | Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
            Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
            Some(_) => Err(bad()),
        };
        match key {
            "readonly" | "ro" => self.read_only = truth()?,
            "volume-nocopy" => self.no_copy = truth()?,
            "bind-nonrecursive" => self.non_recursive = truth()?,
            _ if value.is_none() => return Err(InvalidMount::NotAPair(field.to_owned())),
            "type" => self.kind = MountKind::from_word(given),
            "source" | "src" => given.clone_into(&mut self.source),
            "target" | "dst" | "destination" => given.clone_into(&mut self.target),
            "consistency" => self.consistency = given.to_ascii_lowercase(),
            "bind-propagation" => self.propagation = given.to_ascii_lowercase(),
            "bind-recursive" => match given {
                "enabled" => {}
                "disabled" => self.non_recursive = true,
                "writable" => self.read_only_non_recursive = true,
                "readonly" => self.read_only_force_recursive = true,
                _ => return Err(bad()),
            },
            "volume-subpath" | "image-subpath" => given.clone_into(&mut self.subpath),
            "volume-label" => insert_pair(&mut self.labels, given),
            "volume-driver" => given.clone_into(&mut self.driver),
            "volume-opt" => insert_pair(&mut self.driver_options, given),
            "tmpfs-size" => self.tmpfs_size = units::parse_bytes(given).map_err(|_| bad())?,
            "tmpfs-mode" => {
                self.tmpfs_mode = u32::from_str_radix(given, 8).map_err(|_| bad())?;
            }
            _ => {
                return Err(InvalidMount::UnexpectedKey(
                    key.to_owned(),
                    field.to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), InvalidMount> {
        if self.kind.as_str().is_empty() {
            return Err(InvalidMount::NoType);
        }
        if self.target.is_empty() {
            return Err(InvalidMount::NoTarget);
        }
        let word = if self.read_only_force_recursive {
            "readonly"
        } else {
            "writable"
        };
        if (self.read_only_force_recursive || self.read_only_non_recursive) && !self.read_only {
            return Err(InvalidMount::Needs(word, "readonly"));
        }
        if self.read_only_force_recursive && self.propagation != "rprivate" {
            return Err(InvalidMount::Needs(word, "bind-propagation=rprivate"));
        }
        let mixed = |prefix| Err(InvalidMount::Mixed(prefix, self.kind.as_str().to_owned()));
        let for_volume = self.no_copy
            || !self.driver.is_empty()
            || !self.labels.is_empty()
            || !self.driver_options.is_empty();
        let for_bind = !self.propagation.is_empty()
            || self.non_recursive
            || self.read_only_non_recursive
            || self.read_only_force_recursive;
        if for_volume && self.kind != MountKind::Volume {
            return mixed("volume");
        }
        if for_bind && self.kind != MountKind::Bind {
            return mixed("bind");
        }
        if (self.tmpfs_size != 0 || self.tmpfs_mode != 0) && self.kind != MountKind::Tmpfs {
            return mixed("tmpfs");
        }
        Ok(())
    }
}

/// The client's check of a `-v` argument. Returns whether it names a source (a bind or a volume
/// by name) and not only a target.
pub fn check_volume(text: &str) -> Result<bool, InvalidMount> {
    let parts: Vec<&str> = text.split(':').collect();
    // One character alone cannot be told from a Windows drive; Docker's client lets it pass.
    if text.len() <= 2 {
        return Ok(false);
    }
    if parts.len() > 1 && parts.iter().any(|part| part.is_empty()) {
        return Err(InvalidMount::EmptySection(text.to_owned()));
    }
    if parts.len() > 3 {
        return Err(InvalidMount::TooManyColons(text.to_owned()));
    }
    Ok(parts.len() > 1)
}

fn insert_pair(map: &mut BTreeMap<String, String>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if !key.is_empty() {
        map.insert(key.to_owned(), value.to_owned());
    }
}

/// Returns a path without `.`, `..` and doubled slashes, as Go's `path.Clean` does.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if path.starts_with('/') || parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}

/// Splits one line of CSV; the error is about quotes that do not match.
pub fn csv_fields(text: &str) -> Result<Vec<String>, InvalidMount> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let end = rest.find('"').ok_or(InvalidMount::Quotes(text.len() + 1))?;
                field.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        rest = after;
                    }
                    None => break,
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            if field.contains('"') {
                return Err(InvalidMount::Quotes(
                    text.len() - rest.len() + field.find('"').unwrap_or(0) + 1,
                ));
            }
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(fields),
            None => return Err(InvalidMount::Quotes(text.len() - rest.len() + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let spec = MountSpec::parse_volume("/a//b:/c/../d:ro,rslave").unwrap();
        assert_eq!((spec.source.as_str(), spec.target.as_str()), ("/a/b", "/d"));
        assert_eq!((spec.kind, spec.read_only), (MountKind::Bind, true));
        assert_eq!(
            (spec.mode.as_str(), spec.propagation.as_str()),
            ("ro,rslave", "rslave")
        );
        let spec = MountSpec::parse_volume("data:/x:nocopy").unwrap();
        assert_eq!((spec.kind, spec.no_copy), (MountKind::Volume, true));
        assert_eq!(MountSpec::parse_volume("/x").unwrap().source, "");
        for (text, message) in [
            ("/a:/b:/c:/d", "invalid volume specification: '/a:/b:/c:/d'"),
            ("/a:/b:zz", "invalid mode: zz"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            ("/a:/b:rshared,slave", "invalid mode: rshared,slave"),
            ("x:/y:z,Z", "invalid mode: z,Z"),
            (
                "x:/y:rslave",
                "invalid volume specification: 'x:/y:rslave': invalid mount config for type \"volume\": field BindOptions must not be specified",
            ),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
        ] {
            assert_eq!(
                MountSpec::parse_volume(text).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn client_s_check() {
        assert_eq!(check_volume("/x"), Ok(false));
        assert_eq!(check_volume(":x"), Ok(false));
        assert_eq!(check_volume("/a:/b"), Ok(true));
        for (text, message) in [
            ("/a:/b:/c:/d", "invalid spec: /a:/b:/c:/d: too many colons"),
            (":/x", "invalid spec: :/x: empty section between colons"),
            ("/x:", "invalid spec: /x:: empty section between colons"),
        ] {
            assert_eq!(check_volume(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn mounts() {
        let spec = MountSpec::parse_mount(
            "type=bind,src=/a,\"dst=/b,c\",readonly,bind-propagation=rslave,bind-recursive=disabled",
        )
        .unwrap();
        assert_eq!((spec.kind, spec.target.as_str()), (MountKind::Bind, "/b,c"));
        assert!(spec.read_only && spec.non_recursive);
        let spec =
            MountSpec::parse_mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        assert_eq!((spec.tmpfs_size, spec.tmpfs_mode), (1 << 20, 0o1770));
        let spec = MountSpec::parse_mount("target=/v,volume-label=a=b,volume-opt=o=p=q").unwrap();
        assert_eq!(spec.driver_options["o"], "p=q");
        for (text, message) in [
            ("foo", "invalid field 'foo' must be a key=value pair"),
            ("type=foo", "target is required"),
            (
                "type=bind,target=/x,foo=1",
                "unexpected key 'foo' in 'foo=1'",
            ),
            (
                "type=bind,target=/x,ro=maybe",
                "invalid value for ro: maybe",
            ),
            (
                "type=tmpfs,target=/x,tmpfs-size=5x",
                "invalid value for tmpfs-size: 5x",
            ),
            (
                "type=tmpfs,target=/x,tmpfs-mode=9",
                "invalid value for tmpfs-mode: 9",
            ),
            (
                "type=volume,target=/x,bind-propagation=rslave",
                "cannot mix 'bind-*' options with mount type 'volume'",
            ),
        ] {
            assert_eq!(
                MountSpec::parse_mount(text).unwrap_err().to_string(),
                message
            );
        }
    }
}
