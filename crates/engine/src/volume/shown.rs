//! What is mounted in a container that does not run, for `cp`: volumes and the host's directories are
//! attached to its root, which nobody else sees and which goes with its descriptor.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use sys::dir::Dir;
use sys::mount::{self, Attributes, Tree, attr};
use sys::{Errno, root};

use crate::Engine;
use crate::container::record::{Host, Record};

/// A mount: where it comes from, where it goes.
struct Shown {
    source: PathBuf,
    target: String,
    read_only: bool,
}

/// Tells whether what is at `path` of a container is mounted there so that it cannot be written.
pub(crate) fn is_read_only(host: &Host, path: &str) -> bool {
    let path = types::mount_spec::clean(&format!("/{path}"));
    let binds = host.binds.iter().map(|one| (&one.target, one.read_only));
    let volumes = host.volumes.iter().map(|one| (&one.target, one.read_only));
    binds
        .chain(volumes)
        .filter(|(target, _)| is_beneath(&path, target))
        .max_by_key(|(target, _)| target.len())
        .is_some_and(|(_, read_only)| read_only)
}

fn is_beneath(path: &str, target: &str) -> bool {
    let rest = path.strip_prefix(target);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Engine {
    /// Attaches a container's mounts to its root. A kernel before Linux 6.15 cannot: there only the
    /// container's own files are seen while it does not run.
    pub(crate) fn show_mounts(&self, to: &Dir, record: &Record) {
        let mut all: Vec<Shown> = record
            .host
            .volumes
            .iter()
            .map(|one| Shown {
                source: self.volume_place(&one.name, &one.driver).join(&one.subpath),
                target: one.target.clone(),
                read_only: one.read_only,
            })
            .collect();
        all.extend(record.host.binds.iter().map(|one| Shown {
            source: one.source.clone().into(),
            target: one.target.clone(),
            read_only: one.read_only,
        }));
        // A mount never hides one that was asked for below it.
        all.sort_by_key(|one| one.target.matches('/').count());
        for one in all {
            if let Err(error) = attach(to, &one) {
                tracing::debug!(%error, id = %record.id, target = one.target, "showing a mount");
            }
        }
    }
}

fn attach(to: &Dir, one: &Shown) -> sys::Result<()> {
    let text =
        |path: &str| CString::new(path).map_err(|_| sys::Error::new("open_tree", Errno::INVAL));
    let source = text(&one.source.to_string_lossy())?;
    let from = mount::open_host_tree(&source, Tree::CloneRecursive)?;
    let attributes = Attributes {
        set: if one.read_only { attr::RDONLY } else { 0 },
        propagation: mount::propagation::PRIVATE,
        ..Attributes::default()
    };
    mount::set_attributes(from.as_fd(), true, attributes)?;
    let place = place(to, &one.target, root::kind(from.as_fd())?.is_dir)?;
    mount::move_onto(from.as_fd(), place.as_fd())
}

/// Finds a mount point, made where it is missing as a start would make it.
fn place(to: &Dir, target: &str, is_dir: bool) -> sys::Result<OwnedFd> {
    let text =
        |path: &str| CString::new(path).map_err(|_| sys::Error::new("openat2", Errno::INVAL));
    let mut walked = String::new();
    let mut here = root::find(to.as_fd(), c"/")?;
    let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty()).collect();
    for (at, part) in parts.iter().enumerate() {
        walked.push('/');
        walked.push_str(part);
        let path = text(&walked)?;
        here = match root::find(to.as_fd(), &path) {
            Err(error) if error.errno == Errno::NOENT => {
                if at + 1 == parts.len() && !is_dir {
                    root::make_file(here.as_fd(), &text(part)?)?;
                } else {
                    root::make_dir(here.as_fd(), &text(part)?, 0o755)?;
                }
                root::find(to.as_fd(), &path)?
            }
            found => found?,
        };
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::VolumeMount;

    #[test]
    fn the_nearest_mount_counts() {
        let volume = |target: &str, read_only| VolumeMount {
            target: target.to_owned(),
            read_only,
            ..VolumeMount::default()
        };
        let host = Host {
            volumes: vec![volume("/a", true), volume("/a/b", false)],
            ..Host::default()
        };
        for (path, wanted) in [
            ("/a", true),
            ("a/x", true),
            ("/a/b/c", false),
            ("/ab", false),
            ("/a/b/../y", true),
            ("/", false),
        ] {
            assert_eq!(is_read_only(&host, path), wanted, "{path}");
        }
    }
}
