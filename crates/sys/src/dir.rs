//! A directory as a capability: everything below it, nothing beside it.
//!
//! A [`Dir`] is a descriptor. Relative paths are resolved beneath it and no symbolic link is ever
//! followed (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`; where
//! a filter or an old kernel refuses that call, component by component with `O_NOFOLLOW`).
//! Functions that take a *name* take one component: they refuse a slash, `.` and `..`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags,
    ResolveFlags, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use crate::failpoint::pass;
use crate::{Error, Result};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory that is open.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// What an object in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A unix socket.
    Socket,
}

/// A point in time: seconds since the epoch and nanoseconds within the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch, negative before it.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// What is known of an object without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// The low twelve bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Bytes allocated on disk.
    pub allocated: u64,
    /// Number of names.
    pub links: u64,
    /// Names the object together with `inode`.
    pub device: u64,
    /// Names the object together with `device`.
    pub inode: u64,
    /// Major and minor number of a device node.
    pub rdev: (u32, u32),
    /// Last change of the content.
    pub modified: Time,
}

/// Space of a file system in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total: u64,
    /// Usable by an unprivileged process.
    pub available: u64,
}

impl Dir {
    /// Opens a directory of ours by path; links in it are followed.
    pub fn open(path: &Path) -> Result<Self> {
        pass("openat")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map(Self)
            .map_err(named("openat"))
    }

    /// Opens the directory that `fd` names, also one that was opened with `O_PATH` only.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Self> {
        pass("openat")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(fd, c".", flags, Mode::empty())
            .map(Self)
            .map_err(named("openat"))
    }

    /// Opens the directory at a relative path beneath this one; an empty path is this one.
    pub fn open_dir(&self, path: &Path) -> Result<Self> {
        self.open_beneath(path, DIRECTORY).map(Self)
    }

    /// Opens the regular file at a relative path beneath this one for reading. Anything else gives
    /// `EINVAL`, and nothing happens to it: a device is not opened, a pipe is not waited for.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = self.open_beneath(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        if stat_fd(handle.as_fd())?.kind != Kind::File {
            return Err(Error::new("openat", Errno::INVAL));
        }
        let file = self.open_beneath(path, flags)?;
        match stat_fd(file.as_fd())?.kind {
            Kind::File => Ok(File::from(file)),
            _ => Err(Error::new("openat", Errno::INVAL)),
        }
    }

    /// Makes a regular file for writing, which must not exist. The mode passes the umask.
    pub fn create_file(&self, name: &OsStr, mode: u32) -> Result<File> {
        component("openat", name)?;
        pass("openat")?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(named("openat"))
    }

    /// Makes a directory. The mode passes the umask.
    pub fn make_dir(&self, name: &OsStr, mode: u32) -> Result<()> {
        component("mkdirat", name)?;
        pass("mkdirat")?;
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)).map_err(named("mkdirat"))
    }

    /// Makes a device node or a pipe. The mode passes the umask.
    pub fn make_node(
        &self,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        (major, minor): (u32, u32),
    ) -> Result<()> {
        component("mknodat", name)?;
        pass("mknodat")?;
        let kind = match kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::File | Kind::Directory | Kind::Symlink => {
                return Err(Error::new("mknodat", Errno::INVAL));
            }
        };
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&self.0, name, kind, Mode::from_raw_mode(mode), device)
            .map_err(named("mknodat"))
    }

    /// Makes a symbolic link with any text.
    pub fn symlink(&self, target: &OsStr, name: &OsStr) -> Result<()> {
        component("symlinkat", name)?;
        pass("symlinkat")?;
        rustix::fs::symlinkat(target, &self.0, name).map_err(named("symlinkat"))
    }

    /// Gives the object `name` a second name in `to`; a symbolic link is linked itself.
    pub fn link(&self, name: &OsStr, to: &Self, new: &OsStr) -> Result<()> {
        component("linkat", name)?;
        component("linkat", new)?;
        pass("linkat")?;
        rustix::fs::linkat(&self.0, name, &to.0, new, AtFlags::empty()).map_err(named("linkat"))
    }

    /// Moves `name` to `to`, replacing what is there.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> Result<()> {
        self.rename_with(name, to, new, RenameFlags::empty())
    }

    /// Moves `name` to `to`; something that is there is an error (`EEXIST`).
    pub fn rename_noreplace(&self, name: &OsStr, to: &Self, new: &OsStr) -> Result<()> {
        self.rename_with(name, to, new, RenameFlags::NOREPLACE)
    }

    fn rename_with(&self, name: &OsStr, to: &Self, new: &OsStr, flags: RenameFlags) -> Result<()> {
        component("renameat2", name)?;
        component("renameat2", new)?;
        pass("renameat2")?;
        rustix::fs::renameat_with(&self.0, name, &to.0, new, flags).map_err(named("renameat2"))
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, name: &OsStr) -> Result<()> {
        component("unlinkat", name)?;
        pass("unlinkat")?;
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty()).map_err(named("unlinkat"))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &OsStr) -> Result<()> {
        component("unlinkat", name)?;
        pass("unlinkat")?;
        rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR).map_err(named("unlinkat"))
    }

    /// Returns what `name` is, without following it.
    pub fn stat(&self, name: &OsStr) -> Result<Stat> {
        component("fstatat", name)?;
        pass("fstatat")?;
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(named("fstatat"))?;
        convert(&stat)
    }

    /// Returns what `name` is, or `None` if there is nothing.
    pub fn find(&self, name: &OsStr) -> Result<Option<Stat>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.errno == Errno::NOENT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes owner and group of `name` itself.
    pub fn chown(&self, name: &OsStr, uid: u32, gid: u32) -> Result<()> {
        component("fchownat", name)?;
        pass("fchownat")?;
        let (uid, gid) = owner("fchownat", uid, gid)?;
        rustix::fs::chownat(&self.0, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(named("fchownat"))
    }

    /// Changes the mode of `name`, which must not be a symbolic link.
    pub fn chmod(&self, name: &OsStr, mode: u32) -> Result<()> {
        component("fchmodat", name)?;
        pass("fchmodat")?;
        // fchmodat2 with AT_SYMLINK_NOFOLLOW is Linux 6.6; an O_PATH descriptor pins the object
        // on every kernel, and its /proc name cannot be swapped.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle =
            rustix::fs::openat(&self.0, name, flags, Mode::empty()).map_err(named("fchmodat"))?;
        if stat_fd(handle.as_fd())?.kind == Kind::Symlink {
            return Err(Error::new("fchmodat", Errno::OPNOTSUPP));
        }
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(named("fchmodat"))
    }

    /// Sets the times of `name` itself.
    pub fn set_times(&self, name: &OsStr, accessed: Time, modified: Time) -> Result<()> {
        component("utimensat", name)?;
        pass("utimensat")?;
        let times = timestamps(accessed, modified);
        rustix::fs::utimensat(&self.0, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(named("utimensat"))
    }

    /// Returns the text of the symbolic link `name`.
    pub fn read_link(&self, name: &OsStr) -> Result<OsString> {
        component("readlinkat", name)?;
        pass("readlinkat")?;
        rustix::fs::readlinkat(&self.0, name, Vec::new())
            .map(|text| OsString::from_vec(text.into_bytes()))
            .map_err(named("readlinkat"))
    }

    /// Returns the names in this directory, sorted by bytes, without `.` and `..`.
    pub fn names(&self) -> Result<Vec<OsString>> {
        pass("getdents64")?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0).map_err(named("getdents64"))? {
            let entry = entry.map_err(named("getdents64"))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns what this directory is.
    pub fn stat_self(&self) -> Result<Stat> {
        stat_fd(self.as_fd())
    }

    /// Returns a second descriptor of the same directory.
    pub fn try_clone(&self) -> Result<Self> {
        pass("fcntl")?;
        rustix::io::fcntl_dupfd_cloexec(&self.0, 0)
            .map(Self)
            .map_err(named("fcntl"))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        pass("openat2")?;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, flags),
                // A rename elsewhere on the machine raced with the check (openat2(2)).
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result.map_err(named("openat2")),
            }
        }
    }

    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let open = |at: BorrowedFd<'_>, name: &OsStr, flags| {
            rustix::fs::openat(at, name, flags, Mode::empty()).map_err(named("openat2"))
        };
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => names.push(name),
                _ => return Err(Error::new("openat2", Errno::XDEV)),
            }
        }
        let Some(last) = names.pop() else {
            return open(self.as_fd(), OsStr::new("."), flags);
        };
        let mut at: Option<OwnedFd> = None;
        for name in names {
            let parent = at.as_ref().map_or(self.as_fd(), AsFd::as_fd);
            at = Some(open(parent, name, DIRECTORY)?);
        }
        open(at.as_ref().map_or(self.as_fd(), AsFd::as_fd), last, flags)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.0
    }
}

/// Returns what an open object is.
pub fn stat_fd(fd: BorrowedFd<'_>) -> Result<Stat> {
    pass("fstat")?;
    convert(&rustix::fs::fstat(fd).map_err(named("fstat"))?)
}

/// Changes owner and group of an open object.
pub fn fchown(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    pass("fchown")?;
    let (uid, gid) = owner("fchown", uid, gid)?;
    rustix::fs::fchown(fd, uid, gid).map_err(named("fchown"))
}

/// Changes the mode of an open object.
pub fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    pass("fchmod")?;
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(named("fchmod"))
}

/// Sets the times of an open object.
pub fn futimens(fd: BorrowedFd<'_>, accessed: Time, modified: Time) -> Result<()> {
    pass("futimens")?;
    rustix::fs::futimens(fd, &timestamps(accessed, modified)).map_err(named("futimens"))
}

/// Writes everything of the file system that holds `fd` to its disk. Errors of earlier
/// write-backs of that file system are reported too (Linux 5.8).
pub fn syncfs(fd: BorrowedFd<'_>) -> Result<()> {
    pass("syncfs")?;
    rustix::fs::syncfs(fd).map_err(named("syncfs"))
}

/// Writes one file or directory to its disk.
pub fn fsync(fd: BorrowedFd<'_>) -> Result<()> {
    pass("fsync")?;
    rustix::fs::fsync(fd).map_err(named("fsync"))
}

/// Allocates the first `bytes` of a file.
pub fn fallocate(fd: BorrowedFd<'_>, bytes: u64) -> Result<()> {
    pass("fallocate")?;
    rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, bytes).map_err(named("fallocate"))
}

/// Makes `to` share all content of `from` until one of them is written (FICLONE); few file systems
/// can.
pub fn clone_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    pass("ficlone")?;
    rustix::fs::ioctl_ficlone(to, from).map_err(named("ficlone"))
}

/// Returns the space of the file system that holds `fd`.
pub fn space(fd: BorrowedFd<'_>) -> Result<Space> {
    pass("fstatvfs")?;
    let stat = rustix::fs::fstatvfs(fd).map_err(named("fstatvfs"))?;
    Ok(Space {
        total: stat.f_blocks * stat.f_frsize,
        available: stat.f_bavail * stat.f_frsize,
    })
}

/// Locks an open file for this descriptor without waiting; false if somebody else holds it.
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<bool> {
    pass("flock")?;
    match rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(Error::new("flock", errno)),
    }
}

/// Reads a file of this machine by path, at most `limit` bytes of it.
pub fn read_host_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    pass("read")?;
    let error = |e: &std::io::Error| Error::from_io("read", e);
    let file = File::open(path).map_err(|e| error(&e))?;
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| error(&e))?;
    Ok(bytes)
}

/// Returns what a path of this machine is, without following its last component.
pub fn stat_host(path: &Path) -> Result<Stat> {
    pass("fstatat")?;
    convert(&rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(named("fstatat"))?)
}

/// Returns the text of a symbolic link of this machine.
pub fn read_host_link(path: &Path) -> Result<PathBuf> {
    pass("readlinkat")?;
    rustix::fs::readlinkat(CWD, path, Vec::new())
        .map(|text| OsString::from_vec(text.into_bytes()).into())
        .map_err(named("readlinkat"))
}

fn named(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(call, errno)
}

fn component(call: &'static str, name: &OsStr) -> Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(Error::new(call, Errno::INVAL));
    }
    Ok(())
}

fn owner(call: &'static str, uid: u32, gid: u32) -> Result<(Option<Uid>, Option<Gid>)> {
    // The all-ones id means "leave as it is" to the kernel.
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Error::new(call, Errno::INVAL));
    }
    Ok((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
}

fn timestamps(accessed: Time, modified: Time) -> Timestamps {
    let spec = |time: Time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanos),
    };
    Timestamps {
        last_access: spec(accessed),
        last_modification: spec(modified),
    }
}

fn convert(stat: &rustix::fs::Stat) -> Result<Stat> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => return Err(Error::new("fstat", Errno::INVAL)),
    };
    Ok(Stat {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        links: stat.st_nlink,
        device: stat.st_dev,
        inode: stat.st_ino,
        rdev: (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        ),
        modified: Time {
            seconds: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways of opening must refuse the same paths.
    #[test]
    fn nothing_outside_is_opened() {
        let base = std::env::temp_dir().join(format!("dir-test-{}", std::process::id()));
        std::fs::create_dir_all(base.join("root/a/b")).unwrap();
        for (text, name) in [
            ("..", "up"),
            ("a", "inside"),
            ("/", "slash"),
            ("a/b/file", "file"),
        ] {
            std::os::unix::fs::symlink(text, base.join("root").join(name)).unwrap();
        }
        drop(File::create(base.join("root/a/b/file")).unwrap());
        let root = Dir::open(&base.join("root")).unwrap();
        let file = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for (path, flags, opens) in [
            ("", DIRECTORY, true),
            (".", DIRECTORY, true),
            ("a/b", DIRECTORY, true),
            ("./a/./b", DIRECTORY, true),
            ("a/b/file", file, true),
            ("..", DIRECTORY, false),
            ("a/../..", DIRECTORY, false),
            ("/", DIRECTORY, false),
            ("/tmp", DIRECTORY, false),
            ("up", DIRECTORY, false),
            ("inside", DIRECTORY, false),
            ("inside/b", DIRECTORY, false),
            ("slash/tmp", DIRECTORY, false),
            ("file", file, false),
            ("missing", DIRECTORY, false),
        ] {
            let path = Path::new(path);
            assert_eq!(
                root.open_beneath(path, flags).is_ok(),
                opens,
                "openat2 {path:?}"
            );
            assert_eq!(root.walk(path, flags).is_ok(), opens, "walk {path:?}");
        }
        for name in ["", ".", "..", "a/b", "/"] {
            let name = OsStr::new(name);
            assert_eq!(root.make_dir(name, 0o755).unwrap_err().errno, Errno::INVAL);
            assert_eq!(root.remove_tree(name).unwrap_err().errno, Errno::INVAL);
        }
        let parent = Dir::open(base.parent().unwrap()).unwrap();
        parent.remove_tree(base.file_name().unwrap()).unwrap();
        parent.remove_tree(base.file_name().unwrap()).unwrap();
        assert!(!base.exists());
    }
}
