//! `cp`: objects of a container's file system, by path. Links are followed inside the container
//! only; what is named last is not followed, unless the path ends with a slash.

use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use archive::{Owners, Rename, Writer};
use sys::Errno;
use sys::dir::{Dir, Kind, Stat};

use super::cell::Cell;
use crate::error::{Error, Result, chain};
use crate::input::Input;
use crate::{Engine, blocking};

/// File systems of the kernel's own, which the daemon must not write to for a container: there its
/// rights are greater than the container's (linux/magic.h).
const KERNELS_OWN: [u64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// What an object of a container is.
#[derive(Clone, Debug)]
pub struct PathStat {
    /// Its name.
    pub name: String,
    /// Kind, size, mode and time.
    pub stat: Stat,
    /// Where a symbolic link leads.
    pub target: String,
}

/// An object: the directory that it is in, and its name there; none: the directory itself.
struct Place {
    dir: Dir,
    name: Option<OsString>,
}

impl Engine {
    /// Describes an object of a container.
    pub async fn path_stat(&self, typed: &str, path: &str) -> Result<PathStat> {
        self.at_path(typed, path, |place| {
            let target = match &place.name {
                Some(name) if place.stat()?.kind == Kind::Symlink => place.dir.read_link(name)?,
                _ => OsString::new(),
            };
            let name = place.name.as_deref().unwrap_or(OsStr::new("/"));
            Ok(PathStat {
                name: name.to_string_lossy().into_owned(),
                stat: place.stat()?,
                target: target.to_string_lossy().into_owned(),
            })
        })
        .await
    }

    /// Writes an object of a container, with all that is below it, as a tarball.
    pub async fn copy_from(
        &self,
        typed: &str,
        path: &str,
        to: impl Write + Send + 'static,
    ) -> Result<()> {
        let cell = self.find(typed)?;
        let written = self
            .at_path(typed, path, move |place| {
                let mut writer = Writer::new(std::io::BufWriter::with_capacity(1 << 16, to));
                let name = place.name.as_deref();
                Ok(archive::pack_object(&place.dir, name, &mut writer)
                    .and_then(|_| writer.finish())
                    .map(drop))
            })
            .await?;
        written.map_err(failed)?;
        self.container_event(&cell, "archive-path", &[("path", path)]);
        Ok(())
    }

    /// Unpacks a tarball into a directory of a container. With `to_user` all of it becomes the
    /// container's own user's, if it has one; else it is whose the archive says.
    pub async fn copy_to(&self, typed: &str, path: &str, from: Input, to_user: bool) -> Result<()> {
        let cell = self.find(typed)?;
        let record = cell.record();
        if record.host.read_only {
            return Err(Error::invalid("container rootfs is marked read-only"));
        }
        if crate::volume::shown::is_read_only(&record.host, path) {
            return Err(Error::invalid("mounted volume is marked read-only"));
        }
        let owners = if to_user && !record.config.user.is_empty() {
            let mount = self
                .images()
                .mount(&self.meta().read()?, &record.snapshot, false)?;
            let user = super::user::resolve(&mount, &record.config.user, &[])?.user;
            Owners::Fixed(user.uid, user.gid)
        } else {
            Owners::Archive
        };
        let directory = format!("{}/", path.trim_end_matches('/'));
        let unpacked = self
            .at_path(typed, &directory, move |place| {
                if sys::mount::magic(&place.dir).is_ok_and(|magic| KERNELS_OWN.contains(&magic)) {
                    return Err(sys::Error::new("openat2", Errno::ROFS));
                }
                Ok(archive::unpack(
                    archive::decompress(from).map_err(|_| sys::Error::new("read", Errno::INVAL))?,
                    &place.dir,
                    &Rename::Keep,
                    owners,
                ))
            })
            .await
            .map_err(|error| match error.kind() {
                // The path as it was given: the slash is ours.
                types::ErrorKind::NotFound => missing(path, typed),
                _ => error,
            })?;
        unpacked.map_err(failed)?;
        self.container_event(&cell, "extract-to-dir", &[("path", path)]);
        Ok(())
    }

    /// Finds an object and works with it; a stopped container is not started meanwhile.
    async fn at_path<T: Send + 'static>(
        &self,
        typed: &str,
        path: &str,
        work: impl FnOnce(Place) -> sys::Result<T> + Send + 'static,
    ) -> Result<T> {
        let cell: Arc<Cell> = self.find(typed)?;
        let guard = if cell.state().status.is_running() {
            None
        } else {
            Some(cell.verb.lock().await)
        };
        let root = self.open_root(&cell).await?;
        let wanted = path.to_owned();
        let (engine, record, stopped) = (self.clone(), cell.record(), guard.is_some());
        let done = blocking::run(move || {
            if stopped {
                engine.show_mounts(&root, &record);
            }
            find(&root, &wanted).and_then(work)
        })
        .await;
        drop(guard);
        done.map_err(|error| match error.errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => missing(path, typed),
            _ => Error::internal(format_args!("{path} in container {typed}"), error),
        })
    }
}

impl Place {
    fn stat(&self) -> sys::Result<Stat> {
        match &self.name {
            Some(name) => self.dir.stat(name),
            None => self.dir.stat_self(),
        }
    }
}

fn find(root: &Dir, path: &str) -> sys::Result<Place> {
    let open = |path: &str| {
        let path = CString::new(format!("/{path}"))
            .map_err(|_| sys::Error::new("openat2", Errno::INVAL))?;
        let found: OwnedFd = sys::root::find(root.as_fd(), &path)?;
        // Opened anew, to be read: a descriptor that only names cannot.
        Dir::from(found).open_dir(Path::new(""))
    };
    let whole = path.trim_end_matches("/.");
    let (parent, name) = whole.rsplit_once('/').unwrap_or(("", whole));
    if whole.len() < path.len() || matches!(name, "" | "." | "..") {
        return Ok(Place {
            dir: open(whole)?,
            name: None,
        });
    }
    let place = Place {
        dir: open(parent)?,
        name: Some(OsString::from(name)),
    };
    place.stat()?;
    Ok(place)
}

fn missing(path: &str, container: &str) -> Error {
    Error::not_found(format!(
        "Could not find the file {path} in container {container}"
    ))
}

fn failed(error: archive::Error) -> Error {
    Error::caused(error.kind(), chain(&error), error)
}
