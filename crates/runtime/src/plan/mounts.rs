//! One line of `mounts` becomes a source, attributes and a place. No I/O here.

use std::ffi::CString;

use sys::mount::{Attributes, attr, propagation};
use types::oci::runtime::{Linux, SpecMount};

use super::{IdMaps, Invalid, text};

/// A place in the container, cleaned (`/a/../b` is `/b`), with every part on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// For messages.
    pub(crate) name: String,
    pub(crate) path: CString,
    /// What to make when it is missing: the directory a part lies in, its name, and its path.
    pub(crate) parts: Vec<Part>,
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: CString,
    pub(crate) path: CString,
}

/// A mount to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountStep {
    pub(crate) source: String,
    pub(crate) target: Target,
    pub(crate) what: What,
    /// For the mount itself.
    pub(crate) attributes: Attributes,
    /// For it and all mounts below.
    pub(crate) recursive: Attributes,
    /// How its ids are shown, and whether those of mounts below it too.
    pub(crate) ids: Option<(IdMaps, bool)>,
}

/// What is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A new file system.
    New {
        kind: CString,
        source: CString,
        options: Vec<(CString, Option<CString>)>,
        /// It shows a namespace of the container, so only init can make it.
        in_init: bool,
        /// What the image has there is copied into it.
        copy_up: bool,
    },
    /// A file or directory of the host, or what is found beneath it.
    Bind {
        source: CString,
        beneath: Option<CString>,
        recursive: bool,
    },
    /// The container's own control group.
    Cgroup,
}

impl Target {
    /// Cleans an absolute path.
    pub(crate) fn new(path: &str) -> Result<Self, Invalid> {
        if !path.starts_with('/') {
            return Err(Invalid::Relative {
                what: "mount destination",
                path: path.to_owned(),
            });
        }
        let mut names: Vec<&str> = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let mut walked = String::new();
        let mut parts = Vec::with_capacity(names.len());
        for name in names {
            walked.push('/');
            walked.push_str(name);
            let path = text("mount destination", &walked)?;
            parts.push(Part {
                name: text("mount destination", name)?,
                path,
            });
        }
        if walked.is_empty() {
            walked.push('/');
        }
        Ok(Self {
            path: text("mount destination", &walked)?,
            name: walked,
            parts,
        })
    }
}

impl MountStep {
    /// Decides one line.
    pub(crate) fn new(mount: &SpecMount, linux: &Linux) -> Result<Self, Invalid> {
        let mut options = Options::default();
        for word in &mount.options {
            options.take(word)?;
        }
        let what = if let Some(recursive) = options.bind {
            What::Bind {
                source: text("mount source", &mount.source)?,
                beneath: options.beneath,
                recursive,
            }
        } else {
            match mount.kind.as_str() {
                "bind" => What::Bind {
                    source: text("mount source", &mount.source)?,
                    beneath: options.beneath,
                    recursive: false,
                },
                "cgroup" | "cgroup2" => What::Cgroup,
                kind => What::New {
                    kind: text("mount type", kind)?,
                    source: text("mount source", &mount.source)?,
                    options: options.data,
                    in_init: matches!(kind, "proc" | "sysfs" | "mqueue"),
                    copy_up: options.copy_up,
                },
            }
        };
        Ok(Self {
            source: mount.source.clone(),
            target: Target::new(&mount.destination)?,
            what,
            attributes: options.attributes,
            recursive: options.recursive,
            ids: shown_ids(mount, options.ids, linux)?,
        })
    }

    /// Tells whether links on the way to the target are refused: the kernel's own file systems are
    /// looked for at these very places.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self.target.name.as_str(), "/proc" | "/sys")
    }

    /// Tells whether this is the container's /proc.
    pub(crate) fn is_proc(&self) -> bool {
        matches!(&self.what, What::New { kind, .. } if kind.as_c_str() == c"proc")
            && self.target.name == "/proc"
    }
}

/// A mount's own maps, else the container's.
fn shown_ids(
    mount: &SpecMount,
    wanted: Option<bool>,
    linux: &Linux,
) -> Result<Option<(IdMaps, bool)>, Invalid> {
    let own = (&mount.uid_mappings, &mount.gid_mappings);
    let (users, groups) = match (wanted, own.0.is_empty() && own.1.is_empty()) {
        (None, true) => return Ok(None),
        (Some(_), true) => (&linux.uid_mappings, &linux.gid_mappings),
        (_, false) => own,
    };
    if users.is_empty() || groups.is_empty() {
        return Err(Invalid::Conflict(
            "id-mapped mounts need uidMappings and gidMappings",
        ));
    }
    Ok(Some((IdMaps::new(users, groups)?, wanted == Some(true))))
}

/// Tells whether /dev is the container's own, to be filled.
pub(crate) fn has_own_dev(mounts: &[MountStep]) -> bool {
    !mounts
        .iter()
        .any(|step| step.target.name == "/dev" && matches!(step.what, What::Bind { .. }))
}

/// Reads `rprivate`, `slave`, …: the kind, and whether all mounts below are meant.
pub(crate) fn propagation_of(word: &str) -> Option<(u64, bool)> {
    Some(match word {
        "private" => (propagation::PRIVATE, false),
        "rprivate" => (propagation::PRIVATE, true),
        "slave" => (propagation::SLAVE, false),
        "rslave" => (propagation::SLAVE, true),
        "shared" => (propagation::SHARED, false),
        "rshared" => (propagation::SHARED, true),
        "unbindable" => (propagation::UNBINDABLE, false),
        "runbindable" => (propagation::UNBINDABLE, true),
        _ => return None,
    })
}

/// Our own option of a bind: the path that is looked up beneath the source, where links may lead
/// about but not out.
const BENEATH: &str = "wharf.beneath=";

#[derive(Default)]
struct Options {
    bind: Option<bool>,
    beneath: Option<CString>,
    attributes: Attributes,
    recursive: Attributes,
    data: Vec<(CString, Option<CString>)>,
    copy_up: bool,
    /// Ids are mapped; recursively.
    ids: Option<bool>,
}

impl Options {
    fn take(&mut self, word: &str) -> Result<(), Invalid> {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "" => {}
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.ids = Some(false),
            "ridmap" => self.ids = Some(true),
            word if PLAIN.contains(&word) => {}
            word => {
                if let Some(path) = word.strip_prefix(BENEATH) {
                    self.beneath = Some(text("mount option", path)?);
                } else if let Some((set, clear)) = attribute(word) {
                    change(&mut self.attributes, set, clear);
                } else if let Some((set, clear)) = word.strip_prefix('r').and_then(attribute) {
                    change(&mut self.recursive, set, clear);
                } else if let Some((kind, recursive)) = propagation_of(word) {
                    let which = if recursive {
                        &mut self.recursive
                    } else {
                        &mut self.attributes
                    };
                    which.propagation = kind;
                } else {
                    self.data.push(data(word)?);
                }
            }
        }
        Ok(())
    }
}

fn data(word: &str) -> Result<(CString, Option<CString>), Invalid> {
    Ok(match word.split_once('=') {
        Some((key, value)) => (
            text("mount option", key)?,
            Some(text("mount option", value)?),
        ),
        None => (text("mount option", word)?, None),
    })
}

/// A later word overrides an earlier one.
fn change(attributes: &mut Attributes, set: u64, clear: u64) {
    attributes.set = (attributes.set & !clear) | set;
    attributes.clear = (attributes.clear & !set) | clear;
}

/// What an option sets and clears (mount(8)); the access time choice is a number, so all of it is
/// cleared before a part is set.
const ATTRIBUTES: [(&str, u64, u64); 18] = [
    ("ro", attr::RDONLY, 0),
    ("rw", 0, attr::RDONLY),
    ("nosuid", attr::NOSUID, 0),
    ("suid", 0, attr::NOSUID),
    ("nodev", attr::NODEV, 0),
    ("dev", 0, attr::NODEV),
    ("noexec", attr::NOEXEC, 0),
    ("exec", 0, attr::NOEXEC),
    ("nodiratime", attr::NODIRATIME, 0),
    ("diratime", 0, attr::NODIRATIME),
    ("nosymfollow", attr::NOSYMFOLLOW, 0),
    ("symfollow", 0, attr::NOSYMFOLLOW),
    ("relatime", attr::RELATIME, attr::ATIME),
    ("atime", attr::RELATIME, attr::ATIME),
    ("nostrictatime", attr::RELATIME, attr::ATIME),
    ("noatime", attr::NOATIME, attr::ATIME),
    ("strictatime", attr::STRICTATIME, attr::ATIME),
    ("norelatime", attr::RELATIME, attr::ATIME),
];

fn attribute(word: &str) -> Option<(u64, u64)> {
    let found = ATTRIBUTES.iter().find(|(known, ..)| *known == word);
    found.map(|(_, set, clear)| (*set, *clear))
}

/// Words that ask for what is so anyway; `remount` of a bind is how others say "and with these
/// attributes".
const PLAIN: [&str; 7] = [
    "defaults", "remount", "async", "nomand", "loud", "silent", "bind",
];

/// All words that are read here, for those who ask; others go to the file system.
pub(crate) fn option_words() -> Vec<String> {
    let own = ATTRIBUTES.iter().map(|(word, ..)| *word);
    let recursive = own.clone().map(|word| format!("r{word}"));
    let propagation = ["private", "shared", "slave", "unbindable"];
    let mut words: Vec<String> = own.map(str::to_owned).chain(recursive).collect();
    words.extend(PLAIN.map(str::to_owned));
    words.extend(["rbind", "tmpcopyup", "idmap", "ridmap"].map(str::to_owned));
    words.extend(
        propagation
            .iter()
            .flat_map(|word| [(*word).to_owned(), format!("r{word}")]),
    );
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: &str, source: &str, options: &[&str]) -> MountStep {
        let mount = SpecMount {
            destination: "/x".to_owned(),
            kind: kind.to_owned(),
            source: source.to_owned(),
            options: options.iter().map(|&word| word.to_owned()).collect(),
            ..SpecMount::default()
        };
        MountStep::new(&mount, &Linux::default()).unwrap()
    }

    #[test]
    fn targets_are_cleaned() {
        let check = |path: &str, expect: &str| {
            let target = Target::new(path).unwrap();
            assert_eq!(target.name, expect);
            assert_eq!(target.path.to_str().unwrap(), expect);
        };
        check("/a/b", "/a/b");
        check("//a/./b/", "/a/b");
        check("/../../etc", "/etc");
        check("/a/../../b", "/b");
        check("/", "/");
        assert!(Target::new("a").is_err());
        assert!(Target::new("/a\0b").is_err());
        let target = Target::new("/a/b").unwrap();
        let parts: Vec<_> = target
            .parts
            .iter()
            .map(|part| part.path.to_str().unwrap())
            .collect();
        assert_eq!(parts, ["/a", "/a/b"]);
    }

    #[test]
    fn options_become_attributes() {
        let bind = step("bind", "/src", &["rbind", "ro", "rprivate"]);
        assert_eq!(
            bind.what,
            What::Bind {
                source: c"/src".to_owned(),
                beneath: None,
                recursive: true
            }
        );
        assert_eq!(
            bind.attributes,
            Attributes {
                set: attr::RDONLY,
                clear: 0,
                propagation: 0
            }
        );
        assert_eq!(bind.recursive.propagation, propagation::PRIVATE);

        let later = step("bind", "/src", &["ro", "rw"]);
        assert_eq!(later.attributes.set, 0);
        assert_eq!(later.attributes.clear, attr::RDONLY);

        let recursive = step("bind", "/src", &["rbind", "rro", "rnosuid"]);
        assert_eq!(recursive.recursive.set, attr::RDONLY | attr::NOSUID);

        let times = step(
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        );
        assert_eq!(times.attributes.set, attr::NOSUID | attr::STRICTATIME);
        assert_eq!(times.attributes.clear, attr::ATIME);
        let What::New {
            options,
            in_init: false,
            ..
        } = times.what
        else {
            panic!("a file system")
        };
        assert_eq!(options[0], (c"mode".to_owned(), Some(c"755".to_owned())));
        assert_eq!(options[1], (c"size".to_owned(), Some(c"65536k".to_owned())));
    }

    #[test]
    fn relatime_is_no_recursive_attribute() {
        assert_eq!(
            step("bind", "/", &["relatime"]).attributes.clear,
            attr::ATIME
        );
        assert!(step("bind", "/", &["relatime"]).recursive.is_empty());
        assert_eq!(
            step("bind", "/", &["rrelatime"]).recursive.clear,
            attr::ATIME
        );
    }
}
