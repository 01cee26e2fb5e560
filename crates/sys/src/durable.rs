//! Files that are replaced as a whole, or grow by whole records; on disk when the call returns.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::{Errno, Error, Result, failpoint, fd};

/// Whether a change must survive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    Yes,
    No,
}

/// Replaces (or makes) the file at `path` atomically, and returns when that is durable. `mode` is
/// of a new file, before the umask.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let (dir, name) = split(path)?;
    replace_in(dir.as_fd(), name, bytes, (mode, Sync::Yes))
}

/// Replaces (or makes) the file at `path` atomically, without waiting for the disk: for what a
/// reboot makes worthless.
pub fn replace_volatile(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let (dir, name) = split(path)?;
    replace_in(dir.as_fd(), name, bytes, (mode, Sync::No))
}

/// As [`replace`], for the file `name` in the directory `dir`.
pub fn replace_at(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    replace_in(dir, Path::new(name), bytes, (mode, Sync::Yes))
}

/// Appends one record in one write to the file at `path`, made with `mode` if it is missing; not
/// synced.
pub fn append(path: &Path, record: &[u8], mode: u32) -> Result<()> {
    failpoint::pass("open")?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from_bits_truncate(mode))
        .map_err(|errno| Error::new("open", errno))?;
    fd::write_all(file.as_fd(), record)
}

/// Waits until the entries of a directory are on disk.
pub fn sync_dir(dir: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("fsync")?;
    rustix::fs::fsync(dir).map_err(|errno| Error::new("fsync", errno))
}

fn split(path: &Path) -> Result<(OwnedFd, &Path)> {
    failpoint::pass("open")?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(Error::new("open", Errno::INVAL))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(parent, flags, Mode::empty())
        .map_err(|errno| Error::new("open", errno))?;
    Ok((dir, Path::new(name)))
}

fn replace_in(dir: BorrowedFd<'_>, name: &Path, bytes: &[u8], how: (u32, Sync)) -> Result<()> {
    /// Two threads that replace the same file must not share the new one.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (mode, sync) = how;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = format!(".{}.tmp-{}-{number}", name.display(), std::process::id());
    let written = write_new(dir, &temporary, bytes, (mode, sync)).and_then(|()| {
        failpoint::pass("renameat")?;
        rustix::fs::renameat(dir, temporary.as_str(), dir, name)
            .map_err(|errno| Error::new("renameat", errno))
    });
    if written.is_err() {
        // The first error is the one to report; a file left over is swept by the next writer.
        let _unreported = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
        return written;
    }
    if sync == Sync::Yes {
        sync_dir(dir)
    } else {
        Ok(())
    }
}

fn write_new(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], how: (u32, Sync)) -> Result<()> {
    let (mode, sync) = how;
    failpoint::pass("openat")?;
    // Truncated, not exclusive: a process with our number may have died here before.
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::from_bits_truncate(mode))
        .map_err(|errno| Error::new("openat", errno))?;
    fd::write_all(file.as_fd(), bytes)?;
    if sync == Sync::Yes {
        failpoint::pass("fsync")?;
        rustix::fs::fsync(&file).map_err(|errno| Error::new("fsync", errno))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_appends_and_leaves_nothing_else() {
        let dir = std::env::temp_dir().join(format!("wharf-durable-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("record.json");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        replace_volatile(&path, b"three", 0o600).unwrap();
        append(&path, b" four", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three four");
        let names: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["record.json"]);
        assert_eq!(
            replace(&dir.join("no/such"), b"", 0o600).unwrap_err().errno,
            Errno::NOENT
        );
        std::fs::remove_file(path).unwrap();
        std::fs::remove_dir(dir).unwrap();
    }
}
