//! The built-in driver's options `type`, `o` and `device`: a volume that shows another file system,
//! as mount(8) would mount it. It is mounted at the volume's own directory while a container that
//! runs, or is being filled, uses it; who uses it is known in memory only and counted anew at a start.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use types::ContainerId;

use super::plugin::Plugin;
use super::{LOCAL, VOLUMES, VolumeRecord};
use crate::Engine;
use crate::error::{Error, Result};
use meta::Read;

/// Words of `o` that are flags of mount(2), and whether they are taken away.
#[rustfmt::skip]
const FLAGS: [(&str, u64, bool); 30] = [
    ("defaults", 0, false),
    ("ro", 1, false), ("rw", 1, true),
    ("nosuid", 2, false), ("suid", 2, true),
    ("nodev", 4, false), ("dev", 4, true),
    ("noexec", 8, false), ("exec", 8, true),
    ("sync", 16, false), ("async", 16, true),
    ("remount", 32, false),
    ("mand", 64, false), ("nomand", 64, true),
    ("dirsync", 128, false),
    ("noatime", 1024, false), ("atime", 1024, true),
    ("nodiratime", 2048, false), ("diratime", 2048, true),
    ("bind", BIND, false), ("rbind", BIND | REC, false),
    ("unbindable", 1 << 17, false), ("runbindable", 1 << 17 | REC, false),
    ("private", 1 << 18, false), ("rprivate", 1 << 18 | REC, false),
    ("slave", 1 << 19, false), ("rslave", 1 << 19 | REC, false),
    ("shared", 1 << 20, false), ("rshared", 1 << 20 | REC, false),
    ("relatime", 1 << 21, false),
];
const RDONLY: u64 = 1;
const REMOUNT: u64 = 32;
const BIND: u64 = 4096;
const REC: u64 = 16384;
/// Propagation is a call of its own.
const PROPAGATION: u64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;

/// A volume that is mounted, or kept by a plugin.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    users: BTreeSet<ContainerId>,
    /// The plugin's name, and where it put the files.
    plugin: Option<(String, PathBuf)>,
}

/// What mount(2) is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Call {
    source: String,
    kind: String,
    flags: u64,
    data: String,
}

/// Checks the options of a volume of the built-in driver; the messages are Docker's.
pub(crate) fn check_options(options: &BTreeMap<String, String>) -> Result<()> {
    let missing = |name: &str| Err(Error::invalid(format!("missing required option: {name:?}")));
    let known = ["device", "o", "size", "type"];
    if let Some(name) = options.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::invalid(format!("invalid option: {name:?}")));
    }
    let has = |name: &str| options.contains_key(name);
    if (has("type") || has("o")) && !has("device") {
        return missing("device");
    }
    if (has("device") || has("o")) && !has("type") {
        return missing("type");
    }
    if has("size") {
        return Err(Error::invalid("quota size requested but no quota support"));
    }
    Ok(())
}

/// Decides what is mounted.
fn call(options: &BTreeMap<String, String>) -> Call {
    let text = |name: &str| options.get(name).cloned().unwrap_or_default();
    let (mut flags, mut data) = (0, Vec::new());
    let given = text("o");
    for word in given.split(',').filter(|word| !word.is_empty()) {
        match FLAGS.iter().find(|(known, ..)| *known == word) {
            Some((_, flag, true)) => flags &= !flag,
            Some((_, flag, false)) => flags |= flag,
            None => data.push(word),
        }
    }
    Call {
        source: text("device"),
        kind: text("type"),
        flags,
        data: data.join(","),
    }
}

impl Call {
    /// The kernel wants an address where a user may write a name.
    fn resolve(mut self) -> Result<Self> {
        if !self.kind.starts_with("nfs") {
            return Ok(self);
        }
        let mut words: Vec<String> = self.data.split(',').map(str::to_owned).collect();
        for word in &mut words {
            let Some(host) = word.strip_prefix("addr=") else {
                continue;
            };
            let found = (host, 0).to_socket_addrs().and_then(|mut all| {
                all.next()
                    .ok_or_else(|| std::io::Error::other("no such host"))
            });
            let found = found.map_err(|e| {
                Error::internal(
                    format_args!("error resolving passed in network volume address: lookup {host}"),
                    e,
                )
            })?;
            *word = format!("addr={}", found.ip());
        }
        self.data = words.join(",");
        Ok(self)
    }

    fn apply(&self, target: &str) -> Result<()> {
        let text = |text: &str| {
            CString::new(text).map_err(|_| Error::invalid("a mount option has a NUL byte in it"))
        };
        let (source, at) = (text(&self.source)?, text(target)?);
        let (kind, data) = (text(&self.kind)?, text(&self.data)?);
        let done = || {
            let plain = self.flags & !PROPAGATION;
            sys::mount::mount_by_path(&source, &at, &kind, plain, &data)?;
            if self.flags & PROPAGATION != 0 {
                let flags = self.flags & (PROPAGATION | REC);
                sys::mount::mount_by_path(c"", &at, c"", flags, c"")?;
            }
            // A bind is read-only only after a second call.
            if plain & (BIND | RDONLY) == BIND | RDONLY {
                sys::mount::mount_by_path(c"", &at, c"", plain | REMOUNT, c"")?;
            }
            Ok(())
        };
        done().map_err(|error: sys::Error| {
            // Nothing may be there yet.
            let _nothing_to_undo = sys::mount::detach(&at);
            let mut what = format!("mount {}:{target}", self.source);
            if self.flags != 0 {
                what = format!("{what}, flags: {:#x}", self.flags);
            }
            if !self.data.is_empty() {
                what = format!("{what}, data: {}", self.data);
            }
            let why = std::io::Error::from(error.errno).to_string();
            let why = why
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_lowercase();
            Error::caused(
                types::ErrorKind::Internal,
                format!(
                    "error while mounting volume '{target}': failed to mount local volume: {what}: \
                     {why}"
                ),
                error,
            )
        })
    }
}

impl Engine {
    /// Makes sure that a volume's files are there for the sake of a container: what is elsewhere is
    /// mounted, a plugin is asked. Returns where they are. The caller holds the name.
    pub(crate) fn use_volume(&self, name: &str, user: ContainerId) -> Result<PathBuf> {
        let Some(record) = self.meta().read()?.get(&VOLUMES, name)? else {
            return Err(super::absent(name));
        };
        let here = self.layout().volume_data(name);
        if record.driver != LOCAL {
            let path = Plugin::find(&record.driver)
                .and_then(|plugin| plugin.mount(name, &user.to_string()))
                .map_err(|e| {
                    let kind = e.kind();
                    Error::caused(kind, format!("error while mounting volume '': {e}"), e)
                })?;
            self.note_user(name, user, Some((record.driver, path.clone())));
            return Ok(path);
        }
        self.make_volume_directory(name)?;
        if !is_elsewhere(&record) {
            return Ok(here);
        }
        if !self.mounted().contains_key(name) {
            // A server may be slow: nobody waits meanwhile but for this name.
            let target = here.display().to_string();
            call(&record.options).resolve()?.apply(&target)?;
        }
        self.note_user(name, user, None);
        Ok(here)
    }

    fn note_user(&self, name: &str, user: ContainerId, plugin: Option<(String, PathBuf)>) {
        let mut mounted = self.mounted();
        let place = mounted.entry(name.to_owned()).or_default();
        place.users.insert(user);
        place.plugin = plugin;
    }

    /// Returns where a volume's files are, as far as that is known without asking anybody.
    pub(crate) fn volume_place(&self, name: &str, driver: &str) -> PathBuf {
        if driver == LOCAL {
            return self.layout().volume_data(name);
        }
        let mounted = self.mounted();
        let plugin = mounted.get(name).and_then(|place| place.plugin.as_ref());
        plugin.map(|(_, path)| path.clone()).unwrap_or_default()
    }

    /// A container needs its volumes no longer: what nobody else needs is unmounted.
    pub(crate) fn release_volumes(&self, names: &BTreeSet<String>, user: ContainerId) {
        for name in names {
            let mut mounted = self.mounted();
            let Some(place) = mounted.get_mut(name) else {
                continue;
            };
            place.users.remove(&user);
            let plugin = place.plugin.clone();
            let last = place.users.is_empty();
            if last {
                mounted.remove(name);
            }
            match plugin {
                Some((driver, _)) => {
                    drop(mounted);
                    let told = Plugin::find(&driver)
                        .and_then(|plugin| plugin.unmount(name, &user.to_string()));
                    if let Err(error) = told {
                        tracing::warn!(%error, %name, "telling a volume plugin");
                    }
                }
                None if last => self.unmount_volume(name),
                None => {}
            }
        }
    }

    fn unmount_volume(&self, name: &str) {
        let path = self.layout().volume_data(name);
        let Ok(text) = CString::new(path.display().to_string()) else {
            return;
        };
        if let Err(error) = sys::mount::detach(&text) {
            tracing::warn!(%error, %name, "unmounting a volume");
        }
    }

    /// At a start: counts who uses which, and unmounts what nobody uses.
    pub(crate) fn recount_volumes(&self) {
        let here = self.layout().volumes();
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let names: BTreeSet<String> = points
            .filter_map(|point| {
                let rest = std::path::Path::new(point).strip_prefix(&here).ok()?;
                Some(rest.iter().next()?.to_str()?.to_owned())
            })
            .collect();
        for cell in self.cells(crate::names::Cells::all) {
            if !cell.state().status.is_running() {
                continue;
            }
            for volume in &cell.record().host.volumes {
                let plugin =
                    (volume.driver != LOCAL).then(|| (volume.driver.clone(), PathBuf::new()));
                if plugin.is_some() || names.contains(&volume.name) {
                    self.note_user(&volume.name, cell.id, plugin);
                }
            }
        }
        for name in names {
            if !self.mounted().contains_key(&name) {
                self.unmount_volume(&name);
            }
        }
    }

    fn mounted(&self) -> MutexGuard<'_, BTreeMap<String, InUse>> {
        self.volumes()
            .mounted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a volume shows something that is not in its directory.
pub(crate) fn is_elsewhere(record: &VolumeRecord) -> bool {
    record.driver != LOCAL || record.options.contains_key("device")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn what_is_checked() {
        let why = |pairs: &[(&str, &str)]| {
            let done = check_options(&options(pairs));
            done.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(why(&[]), "");
        assert_eq!(why(&[("type", "tmpfs"), ("device", "tmpfs")]), "");
        assert_eq!(
            why(&[("type", "tmpfs")]),
            "missing required option: \"device\""
        );
        assert_eq!(
            why(&[("device", "/tmp")]),
            "missing required option: \"type\""
        );
        assert_eq!(why(&[("foo", "bar")]), "invalid option: \"foo\"");
        assert_eq!(
            why(&[("size", "1m")]),
            "quota size requested but no quota support"
        );
    }

    #[test]
    fn options_become_one_call() {
        let made = call(&options(&[
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=1m,nosuid,ro,rw,uid=5"),
        ]));
        assert_eq!(
            made,
            Call {
                source: "tmpfs".to_owned(),
                kind: "tmpfs".to_owned(),
                flags: 2,
                data: "size=1m,uid=5".to_owned(),
            }
        );
        let bind = call(&options(&[
            ("type", "none"),
            ("device", "/a"),
            ("o", "rbind,rslave"),
        ]));
        assert_eq!(bind.flags, 4096 | 16384 | 1 << 19);
        let nfs = call(&options(&[
            ("type", "nfs4"),
            ("device", ":/x"),
            ("o", "addr=127.0.0.1,rw"),
        ]));
        assert_eq!(nfs.resolve().unwrap().data, "addr=127.0.0.1");
    }
}
