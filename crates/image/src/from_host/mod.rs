//! An image made from this machine's own programs, with the shared objects that each needs.
//!
//! The tree mirrors the machine: every path keeps its place and every symbolic link on the way to
//! a file is kept as it is (`/bin` → `usr/bin`, `sh` → `dash`), so that loaders and scripts find
//! what they found there. Owners, times and set-id bits are not kept: the same files give the same
//! image.

mod elf;
mod ld_cache;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use archive::{Entry, EntryKind, Writer};
use sys::Errno;
use sys::dir::{self, Kind};
use types::oci::image::ContainerDefaults;

use crate::error::{Error, Result, at};
use crate::import::one_layer;
use crate::stage::Staged;
use crate::store::Store;

/// What the built-in image `wharf/host` is made of: those of them that the machine has.
pub const DEFAULT_PROGRAMS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "bash",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "clear",
    "cmp",
    "comm",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "env",
    "expand",
    "expr",
    "false",
    "find",
    "fold",
    "free",
    "getent",
    "grep",
    "groups",
    "gzip",
    "head",
    "hostname",
    "id",
    "install",
    "ip",
    "kill",
    "less",
    "link",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "more",
    "mount",
    "mv",
    "nc",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "od",
    "paste",
    "pgrep",
    "ping",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha256sum",
    "shuf",
    "sleep",
    "sort",
    "split",
    "ss",
    "stat",
    "stdbuf",
    "stty",
    "sync",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "umount",
    "uname",
    "uniq",
    "unlink",
    "uptime",
    "users",
    "watch",
    "wc",
    "which",
    "who",
    "whoami",
    "xargs",
    "yes",
];

/// Where programs are looked for, and the PATH of the image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where loaders look without being told.
const LIBRARY_DIRECTORIES: &[&str] = &[
    #[cfg(target_arch = "x86_64")]
    "/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/lib/aarch64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
];

/// Links that merged-usr systems have in their root.
const ROOT_LINKS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Symbolic links on the way to one file, as the kernel counts them.
const MAX_LINKS: u32 = 40;
/// Bytes of a program or shared object.
const MAX_PROGRAM: u64 = 1 << 30;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n";

/// An object of the image to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Directory { mode: u32 },
    Link { target: Vec<u8> },
    Copy { from: PathBuf, mode: u32, size: u64 },
    Text { bytes: Vec<u8> },
}

/// The image to be, by path without the leading slash.
struct Plan {
    items: BTreeMap<Vec<u8>, Item>,
    /// When the newest file changed, in seconds since the epoch: the image was "created" then, so
    /// that the same files are the same image, whoever makes it how often.
    newest: i64,
    cache: BTreeMap<Vec<u8>, PathBuf>,
    cache_needed: bool,
}

impl Store {
    /// Makes an image of programs of this machine; names are looked for in the usual directories,
    /// paths are taken as they are. All must exist.
    pub fn from_host(&self, programs: &[String]) -> Result<Staged> {
        let mut plan = Plan::new()?;
        for program in programs {
            let missing = || Error::NoSuchProgram {
                name: program.clone(),
            };
            plan.program(&find(program).ok_or_else(missing)?)?;
        }
        self.stage_plan(plan)
    }

    /// Makes the built-in image `wharf/host`: those of [`DEFAULT_PROGRAMS`] that the machine has.
    pub fn from_host_default(&self) -> Result<Staged> {
        let mut plan = Plan::new()?;
        let mut shell = false;
        for program in DEFAULT_PROGRAMS {
            if let Some(path) = find(program) {
                plan.program(&path)?;
                shell |= *program == "sh";
            }
        }
        if !shell {
            return Err(Error::NoSuchProgram {
                name: "sh".to_owned(),
            });
        }
        self.stage_plan(plan)
    }

    fn stage_plan(&self, mut plan: Plan) -> Result<Staged> {
        plan.finish()?;
        let (layer, ()) = self.unpack_from(|to| write(&plan.items, to))?;
        let defaults = ContainerDefaults {
            env: vec![format!("PATH={PATH}")],
            cmd: Some(vec!["sh".to_owned()]),
            ..ContainerDefaults::default()
        };
        let created = jiff::Timestamp::from_second(plan.newest)
            .unwrap_or_default()
            .to_string();
        let config = one_layer(&layer, defaults, created, "from this machine's programs");
        Staged::new(self, &config, vec![layer], None)
    }
}

impl Plan {
    fn new() -> Result<Self> {
        let cache = match dir::read_host_file(Path::new("/etc/ld.so.cache"), 1 << 24) {
            Ok(bytes) => ld_cache::parse(&bytes),
            Err(_) => BTreeMap::new(),
        };
        let mut plan = Self {
            items: BTreeMap::new(),
            newest: 0,
            cache,
            cache_needed: false,
        };
        for link in ROOT_LINKS {
            if dir::stat_host(Path::new(link)).is_ok_and(|stat| stat.kind == Kind::Symlink) {
                plan.add(Path::new(link))?;
            }
        }
        Ok(plan)
    }

    /// Adds a program with all that it needs.
    fn program(&mut self, path: &Path) -> Result<()> {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            // Already there, with what it needs.
            let Some(file) = self.add(&path)? else {
                continue;
            };
            let bytes = dir::read_host_file(&file, MAX_PROGRAM).map_err(at(&file))?;
            if let Some(interpreter) = script_interpreter(&bytes) {
                waiting.push(interpreter);
                continue;
            }
            let broken = |reason| Error::Program {
                path: file.clone(),
                reason,
            };
            let Some(needs) = elf::parse(&bytes).map_err(broken)? else {
                continue;
            };
            waiting.extend(needs.interpreter.as_deref().map(to_path));
            for name in &needs.needed {
                let missing = || {
                    broken(format!(
                        "shared object {} not found",
                        to_path(name).display()
                    ))
                };
                waiting.push(
                    self.library(name, &needs.search, &file)
                        .ok_or_else(missing)?,
                );
            }
        }
        Ok(())
    }

    /// Finds a shared object as the loader would (ld.so(8)).
    fn library(&mut self, name: &[u8], search: &[Vec<u8>], user: &Path) -> Option<PathBuf> {
        if name.contains(&b'/') {
            return Some(to_path(name));
        }
        let exists = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        let origin = user.parent().unwrap_or(Path::new("/"));
        for directory in search {
            let text = String::from_utf8_lossy(directory);
            let origin = origin.to_string_lossy();
            let text = text
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin);
            let path = Path::new(&text).join(to_path(name));
            if path.is_absolute() && exists(&path) {
                return Some(path);
            }
        }
        let default = LIBRARY_DIRECTORIES
            .iter()
            .map(|dir| Path::new(dir).join(to_path(name)))
            .find(exists);
        match self.cache.get(name).filter(|path| exists(path)) {
            // The loader in the image finds it only with the same cache.
            Some(path) if default.as_ref() != Some(path) => {
                let known = path.parent().is_some_and(|parent| {
                    LIBRARY_DIRECTORIES
                        .iter()
                        .any(|dir| parent == Path::new(dir))
                });
                self.cache_needed |= !known;
                Some(path.clone())
            }
            _ => default,
        }
    }

    /// Adds a path with its directories and the links on the way. Returns the file at its end if
    /// that is new.
    fn add(&mut self, path: &Path) -> Result<Option<PathBuf>> {
        let mut rest: Vec<Vec<u8>> = names(path).rev().collect();
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                here.pop();
                continue;
            }
            let next = here.join(to_path(&name));
            let key = key(&next);
            let stat = dir::stat_host(&next).map_err(at(&next))?;
            match stat.kind {
                Kind::Directory => {
                    self.items
                        .entry(key)
                        .or_insert(Item::Directory { mode: 0o755 });
                    here = next;
                }
                Kind::Symlink => {
                    links += 1;
                    let target = dir::read_host_link(&next).map_err(at(&next))?;
                    if links > MAX_LINKS {
                        return Err(at(next)(sys::Error::new("readlinkat", Errno::LOOP)));
                    }
                    let text = target.as_os_str().as_bytes().to_vec();
                    self.items.insert(key, Item::Link { target: text });
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    rest.extend(names(&target).rev());
                }
                Kind::File => {
                    let mode = stat.mode & 0o777;
                    self.newest = self.newest.max(stat.modified.seconds);
                    let item = Item::Copy {
                        from: next.clone(),
                        mode,
                        size: stat.size,
                    };
                    let new = self.items.insert(key, item).is_none();
                    return Ok(new.then_some(next));
                }
                _ => {
                    let reason = "not a regular file".to_owned();
                    return Err(Error::Program { path: next, reason });
                }
            }
        }
        Ok(None)
    }

    /// Adds what every image has.
    fn finish(&mut self) -> Result<()> {
        for (path, mode) in [
            ("dev", 0o755),
            ("etc", 0o755),
            ("home", 0o755),
            ("mnt", 0o755),
            ("proc", 0o755),
            ("root", 0o700),
            ("run", 0o755),
            ("sys", 0o755),
            ("tmp", 0o1777),
            ("usr", 0o755),
            ("var", 0o755),
            ("var/tmp", 0o1777),
        ] {
            self.items
                .entry(path.into())
                .or_insert(Item::Directory { mode });
        }
        let mut text = |path: &str, bytes: Vec<u8>| {
            self.items.insert(path.into(), Item::Text { bytes });
        };
        text("etc/passwd", PASSWD.into());
        text("etc/group", GROUP.into());
        text("etc/nsswitch.conf", NSSWITCH.into());
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            if let Ok(bytes) = dir::read_host_file(Path::new(path), 1 << 16) {
                text("etc/os-release", bytes);
                break;
            }
        }
        if self.cache_needed {
            self.add(Path::new("/etc/ld.so.cache"))?;
        }
        Ok(())
    }
}

/// Writes the plan as a tar stream: sorted by path, owned by root, at time 0.
fn write(items: &BTreeMap<Vec<u8>, Item>, to: impl Write) -> Result<()> {
    let mut writer = Writer::new(to);
    for (path, item) in items {
        let entry = |kind, mode| Entry {
            mode,
            ..Entry::new(path.clone(), kind)
        };
        match item {
            Item::Directory { mode } => {
                let path = [&path[..], b"/"].concat();
                let entry = Entry {
                    path,
                    ..entry(EntryKind::Directory, *mode)
                };
                writer.entry(&entry, io::empty())?;
            }
            Item::Link { target } => {
                let kind = EntryKind::Symlink {
                    target: target.clone(),
                };
                writer.entry(&entry(kind, 0o777), io::empty())?;
            }
            Item::Text { bytes } => {
                let kind = EntryKind::File {
                    size: bytes.len() as u64,
                };
                writer.entry(&entry(kind, 0o644), &bytes[..])?;
            }
            Item::Copy { from, mode, size } => {
                let file = std::fs::File::open(from)
                    .map_err(|error| at(from)(sys::Error::from_io("openat", &error)))?;
                writer.entry(&entry(EntryKind::File { size: *size }, *mode), file)?;
            }
        }
    }
    writer.finish()?;
    Ok(())
}

/// Finds a program by name or path.
fn find(program: &str) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(executable);
    }
    if program.is_empty() || program.contains('/') {
        return None;
    }
    PATH.split(':')
        .map(|dir| Path::new(dir).join(program))
        .find(executable)
}

/// Returns the interpreter of a script.
fn script_interpreter(bytes: &[u8]) -> Option<PathBuf> {
    let line = bytes
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let word = line
        .trim_ascii_start()
        .split(u8::is_ascii_whitespace)
        .next()?;
    word.starts_with(b"/").then(|| to_path(word))
}

/// The names of a path; `..` stays, for only links can hold it and they are followed by hand.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.as_bytes().to_vec()),
        Component::ParentDir => Some(b"..".to_vec()),
        _ => None,
    })
}

fn key(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec()
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        for (bytes, expect) in [
            (&b"#!/bin/sh -e\nx"[..], Some("/bin/sh")),
            (b"#! /usr/bin/env python3\n", Some("/usr/bin/env")),
            (b"#!relative\n", None),
            (b"\x7fELF", None),
        ] {
            assert_eq!(script_interpreter(bytes), expect.map(PathBuf::from));
        }
    }
}
