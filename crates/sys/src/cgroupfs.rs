//! Directories and files of cgroup hierarchies: one open per file, one write per value.
//!
//! The kernel makes the files; nothing here creates, truncates or replaces one.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::EventfdFlags;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::process::{Pid, Signal};

use crate::{Error, Result, failpoint};

/// Makes the directory `path` with mode 0755; its parent exists.
pub fn make_dir(path: &Path) -> Result<()> {
    failpoint::pass("mkdir")?;
    rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755)).map_err(|e| Error::new("mkdir", e))
}

/// Removes the directory `path`. A cgroup's files go with it; processes and sub-groups in it make
/// it `EBUSY`.
pub fn remove_dir(path: &Path) -> Result<()> {
    failpoint::pass("rmdir")?;
    rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR).map_err(|e| Error::new("rmdir", e))
}

/// Opens the directory `path`, to name files below it and for `CLONE_INTO_CGROUP`; it cannot be
/// listed.
pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    failpoint::pass("open")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| Error::new("open", e))
}

/// Opens the sub-directory `name` of `dir`, as [`open_dir`] does.
pub fn open_child(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    failpoint::pass("open")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|e| Error::new("open", e))
}

/// Lists the sub-directories of `dir`. A directory without any is not even opened: its link
/// count says so.
pub fn children(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    failpoint::pass("getdents")?;
    let failed = |e| Error::new("getdents", e);
    if rustix::fs::fstat(dir).map_err(failed)?.st_nlink <= 2 {
        return Ok(Vec::new());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(dir, ".", flags, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in Dir::new(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

/// Opens `file` of the directory `dir` for writing.
pub fn open_for_write(dir: BorrowedFd<'_>, file: &str) -> Result<OwnedFd> {
    failpoint::pass("open")?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, file, flags, Mode::empty()).map_err(|e| Error::new("open", e))
}

/// Opens `file` of the directory `dir` for reading.
pub fn open_for_read(dir: BorrowedFd<'_>, file: &str) -> Result<OwnedFd> {
    failpoint::pass("open")?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, file, flags, Mode::empty()).map_err(|e| Error::new("open", e))
}

/// Writes one value in one call; these files take a value whole or not at all.
pub fn write_value(file: BorrowedFd<'_>, value: &str) -> Result<()> {
    failpoint::pass("write")?;
    match rustix::io::retry_on_intr(|| rustix::io::write(file, value.as_bytes())) {
        Ok(written) if written == value.len() => Ok(()),
        Ok(_) => Err(Error::new("write", rustix::io::Errno::IO)),
        Err(errno) => Err(Error::new("write", errno)),
    }
}

/// Reads an open file from its beginning; bytes that are no UTF-8 are replaced.
pub fn read_value(file: BorrowedFd<'_>) -> Result<String> {
    failpoint::pass("read")?;
    let mut text = vec![0; 4096];
    let mut used = 0;
    loop {
        let got =
            rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut text[used..], used as u64))
                .map_err(|e| Error::new("read", e))?;
        used += got;
        if got == 0 {
            text.truncate(used);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        if used == text.len() {
            text.resize(used * 2, 0);
        }
    }
}

/// Writes one value into `file` of the directory `dir`.
pub fn write(dir: BorrowedFd<'_>, file: &str, value: &str) -> Result<()> {
    use std::os::fd::AsFd;
    write_value(open_for_write(dir, file)?.as_fd(), value)
}

/// Reads `file` of the directory `dir`.
pub fn read(dir: BorrowedFd<'_>, file: &str) -> Result<String> {
    use std::os::fd::AsFd;
    read_value(open_for_read(dir, file)?.as_fd())
}

/// Sends `SIGKILL` to `pid`, which is known to be in a group of ours.
pub fn kill(pid: i32) -> Result<()> {
    failpoint::pass("kill")?;
    let pid = Pid::from_raw(pid).ok_or(Error::new("kill", rustix::io::Errno::SRCH))?;
    rustix::process::kill_process(pid, Signal::KILL).map_err(|e| Error::new("kill", e))
}

/// v1: an eventfd that becomes readable when `file` of the directory `dir` has news
/// (`memory.oom_control`: memory ran out), and when the directory is removed.
pub fn register_event(dir: BorrowedFd<'_>, file: &str) -> Result<OwnedFd> {
    use std::os::fd::{AsFd, AsRawFd};
    failpoint::pass("eventfd")?;
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let event = rustix::event::eventfd(0, flags).map_err(|e| Error::new("eventfd", e))?;
    let file = open_for_read(dir, file)?;
    let control = open_for_write(dir, "cgroup.event_control")?;
    let line = format!("{} {}", event.as_raw_fd(), file.as_raw_fd());
    write_value(control.as_fd(), &line)?;
    Ok(event)
}

/// Takes what an eventfd of [`register_event`] has counted; 0 when nothing happened.
pub fn take_events(event: BorrowedFd<'_>) -> Result<u64> {
    failpoint::pass("read")?;
    let mut count = [0; 8];
    match rustix::io::retry_on_intr(|| rustix::io::read(event, &mut count)) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        Err(errno) => Err(Error::new("read", errno)),
    }
}
