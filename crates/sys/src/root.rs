//! The root of a container: looked into by descriptor, filled, and pivoted to. Nothing here
//! allocates, for it runs between clone and execve.

#![allow(unsafe_code, reason = "getcwd without allocation")]

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};

use crate::{Errno, Error, Result, failpoint};

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// A directory.
    pub is_dir: bool,
    /// A regular file.
    pub is_file: bool,
    /// Some of the execute bits are set.
    pub is_executable: bool,
    /// A character device with these numbers.
    pub char_device: Option<(u32, u32)>,
    /// A device of either kind with these numbers.
    pub device: Option<(u32, u32)>,
    /// Size in bytes.
    pub size: u64,
}

/// Opens a directory of the host as a capability.
pub fn open_host(path: &CStr) -> Result<OwnedFd> {
    failpoint::pass("open_host")?;
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::new("open_host", errno))
}

/// Finds `path` in `root`: links, absolute ones too, and `..` stay inside; magic links are refused.
/// The descriptor only names what it found (`O_PATH`).
pub fn find(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open_in(root, path, OFlags::PATH, Mode::empty())
}

/// Like [`find`], but refuses links altogether.
pub fn find_strictly(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    failpoint::pass("openat2")?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
        .map_err(|errno| Error::new("openat2", errno))
}

/// Finds `path` beneath `root`: links are followed as long as they stay beneath, absolute ones do
/// not; magic links are refused.
pub fn find_beneath(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    failpoint::pass("openat2")?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
        .map_err(|errno| Error::new("openat2", errno))
}

/// Opens a regular file in `root` to read; never waits for one that is none.
pub fn open_file(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open_in(
        root,
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
}

/// Opens the file `name` in `dir` to write; no link.
pub fn open_to_write(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    open_in(dir, name, OFlags::WRONLY | OFlags::NOFOLLOW, Mode::empty())
}

/// Makes the file `path` in `root`, empty, unless it exists.
pub fn make_file(root: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    match open_in(root, path, flags, Mode::from_raw_mode(0o644)) {
        Ok(file) => {
            drop(file);
            Ok(())
        }
        Err(Error {
            errno: Errno::EXIST,
            ..
        }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn open_in(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    failpoint::pass("openat2")?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // The kernel gives up with EAGAIN when something was renamed meanwhile; a container can do
    // that on purpose, so not for ever.
    for _ in 0..128 {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other.map_err(|errno| Error::new("openat2", errno)),
        }
    }
    Err(Error::new("openat2", Errno::AGAIN))
}

/// Makes one directory; one that exists is kept.
pub fn make_dir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    failpoint::pass("mkdirat")?;
    match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::new("mkdirat", errno)),
    }
}

/// Makes a symbolic link; an entry that exists is kept.
pub fn make_link(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    failpoint::pass("symlinkat")?;
    match rustix::fs::symlinkat(target, dir, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::new("symlinkat", errno)),
    }
}

/// A device node or FIFO to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Character or block device, or FIFO.
    pub kind: NodeKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Kinds of [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// FIFO.
    Fifo,
}

/// Makes a node in `dir`; one that exists is kept.
pub fn make_node(dir: BorrowedFd<'_>, name: &CStr, node: Node) -> Result<()> {
    failpoint::pass("mknodat")?;
    let kind = match node.kind {
        NodeKind::Char => FileType::CharacterDevice,
        NodeKind::Block => FileType::BlockDevice,
        NodeKind::Fifo => FileType::Fifo,
    };
    let device = rustix::fs::makedev(node.major, node.minor);
    match rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(node.mode), device) {
        Err(Errno::EXIST) => return Ok(()),
        other => other.map_err(|errno| Error::new("mknodat", errno))?,
    }
    if node.uid != 0 || node.gid != 0 {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| Error::new("chownat", errno))?;
    }
    Ok(())
}

/// Tells what `fd` is.
pub fn kind(fd: impl AsFd) -> Result<Kind> {
    failpoint::pass("fstat")?;
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::new("fstat", errno))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let numbers = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    Ok(Kind {
        is_dir: kind == FileType::Directory,
        is_file: kind == FileType::RegularFile,
        is_executable: stat.st_mode & 0o111 != 0,
        char_device: (kind == FileType::CharacterDevice).then_some(numbers),
        device: matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
            .then_some(numbers),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
    })
}

/// Tells what `path` is, by this process's own root and working directory.
pub fn kind_at(path: &CStr) -> Result<Kind> {
    failpoint::pass("stat")?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::new("stat", errno))?;
    kind(found)
}

/// Asks whether this process, as it is now, may execute `path`.
pub fn may_execute(path: &CStr) -> Result<()> {
    failpoint::pass("faccessat")?;
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|errno| Error::new("faccessat", errno))
}

/// Gives the open file to a user; it keeps its group when `gid` is none.
pub fn give(fd: impl AsFd, uid: u32, gid: Option<u32>) -> Result<()> {
    failpoint::pass("fchown")?;
    rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), gid.map(Gid::from_raw))
        .map_err(|errno| Error::new("fchown", errno))
}

/// Writes `value` to `path` below `dir` in one write; `path` must lie in the same mount, and be no
/// link.
pub fn write_beneath(dir: BorrowedFd<'_>, path: &CStr, value: &[u8]) -> Result<()> {
    failpoint::pass("write_beneath")?;
    let failed = |errno| Error::new("write_beneath", errno);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve).map_err(failed)?;
    rustix::io::write(&file, value).map_err(failed)?;
    Ok(())
}

/// Makes the mount that `root` names the root of this mount namespace, and lets go of the old one.
pub fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("pivot_root")?;
    let failed = |errno| Error::new("pivot_root", errno);
    rustix::process::fchdir(root).map_err(failed)?;
    rustix::process::pivot_root(c".", c".").map_err(failed)?;
    // The old root now lies on top of the new one, and `.` is the new one below it.
    crate::mount::detach(c".")?;
    rustix::process::chdir(c"/").map_err(failed)
}

/// Makes the directory that `root` names the root of this process alone: where pivot_root cannot be.
pub fn change_root(root: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("chroot")?;
    let failed = |errno| Error::new("chroot", errno);
    rustix::process::fchdir(root).map_err(failed)?;
    rustix::process::chroot(c".").map_err(failed)?;
    rustix::process::chdir(c"/").map_err(failed)
}

/// Changes the working directory; the links of /proc that are no links lead nowhere.
pub fn change_dir(path: &CStr) -> Result<()> {
    failpoint::pass("chdir")?;
    let failed = |errno| Error::new("chdir", errno);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    let dir = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).map_err(failed)?;
    rustix::process::fchdir(dir).map_err(failed)
}

/// Makes sure that the working directory lies inside the root: the kernel prefixes another one
/// with `(unreachable)`.
pub fn check_cwd() -> Result<()> {
    failpoint::pass("getcwd")?;
    let mut buffer = [0_u8; 4096];
    // SAFETY: the kernel writes at most as many bytes as are given.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    match (length, buffer[0]) {
        (1.., b'/') => Ok(()),
        (-1, _) => Err(Error::last("getcwd")),
        _ => Err(Error::new("getcwd", Errno::NOENT)),
    }
}
