//! Mounts by descriptor (Linux 5.2 and later): made detached, set up, then moved into place.

#![allow(
    unsafe_code,
    reason = "mount_setattr, and calls with flags that rustix lacks"
)]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
};

use crate::{Error, Result, failpoint};

/// Attributes of a mount (`MOUNT_ATTR_…`, mount_setattr(2)).
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = 0x01;
    /// No set-user-ID.
    pub const NOSUID: u64 = 0x02;
    /// No device nodes.
    pub const NODEV: u64 = 0x04;
    /// No programs.
    pub const NOEXEC: u64 = 0x08;
    /// All bits of the access time choice.
    pub const ATIME: u64 = 0x70;
    /// Access times when they are older than changes: 0 in the choice.
    pub const RELATIME: u64 = 0x00;
    /// No access times.
    pub const NOATIME: u64 = 0x10;
    /// Access times always.
    pub const STRICTATIME: u64 = 0x20;
    /// No access times of directories.
    pub const NODIRATIME: u64 = 0x80;
    /// No symbolic links.
    pub const NOSYMFOLLOW: u64 = 0x0020_0000;
}

/// Propagation of a mount (mount(2)).
pub mod propagation {
    /// To and fro.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// From the host only.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// None.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// None, and cannot be bound.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// What [`set_attributes`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bits of [`attr`] to set.
    pub set: u64,
    /// Bits to clear, before.
    pub clear: u64,
    /// One of [`propagation`], or 0.
    pub propagation: u64,
}

impl Attributes {
    /// Tells whether nothing is changed.
    pub const fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }
}

/// Opens a file system of a kind, to be configured.
pub fn fsopen(kind: &CStr) -> Result<OwnedFd> {
    failpoint::pass("fsopen")?;
    rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| Error::new("fsopen", errno))
}

/// Sets an option: with a value, or as a word of its own.
pub fn set_option(context: BorrowedFd<'_>, key: &CStr, value: Option<&CStr>) -> Result<()> {
    failpoint::pass("fsconfig")?;
    match value {
        Some(value) => rustix::mount::fsconfig_set_string(context, key, value),
        None => rustix::mount::fsconfig_set_flag(context, key),
    }
    .map_err(|errno| Error::new("fsconfig", errno))
}

/// Sets an option whose value is a file (overlay: Linux 6.13 and later).
pub fn set_option_fd(context: BorrowedFd<'_>, key: &CStr, fd: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("fsconfig_fd")?;
    rustix::mount::fsconfig_set_fd(context, key, fd)
        .map_err(|errno| Error::new("fsconfig_fd", errno))
}

/// Makes the configured file system.
pub fn create(context: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("fsconfig_create")?;
    rustix::mount::fsconfig_create(context).map_err(|errno| Error::new("fsconfig_create", errno))
}

/// Returns a detached mount of a made file system, with bits of [`attr`].
pub fn fsmount(context: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd> {
    failpoint::pass("fsmount")?;
    let attributes = u32::try_from(attributes).unwrap_or_default();
    let attributes = MountAttrFlags::from_bits_retain(attributes);
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|errno| Error::new("fsmount", errno))
}

/// Returns what the kernel wrote about the last failure of a file system context, one message a
/// line, without the leading `e `.
pub fn messages(context: BorrowedFd<'_>) -> String {
    let mut all = String::new();
    let mut buffer = [0_u8; 512];
    while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..count]);
        let message = message.trim_end();
        let message = message.get(2..).unwrap_or(message);
        all = if all.is_empty() {
            message.to_owned()
        } else {
            format!("{all}; {message}")
        };
    }
    all
}

/// How [`open_tree`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// A detached copy of the one mount.
    Clone,
    /// A detached copy of it and of the mounts below.
    CloneRecursive,
}

/// Returns a detached copy of the mount at `path` below `dir`; of `dir` itself when it is empty.
pub fn open_tree(dir: BorrowedFd<'_>, path: &CStr, tree: Tree) -> Result<OwnedFd> {
    failpoint::pass("open_tree")?;
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH as libc::c_uint
        | match tree {
            Tree::Clone => 0,
            Tree::CloneRecursive => libc::AT_RECURSIVE as libc::c_uint,
        };
    let (dir, path) = (dir.as_raw_fd(), path.as_ptr());
    // SAFETY: a live descriptor and a string that ends with NUL.
    match unsafe { libc::syscall(libc::SYS_open_tree, dir, path, flags) } {
        -1 => Err(Error::last("open_tree")),
        fd => {
            let fd = i32::try_from(fd).map_err(|_| Error::last("open_tree"))?;
            // SAFETY: a new descriptor that nobody else owns.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
    }
}

/// Like [`open_tree`], by a path of the host.
pub fn open_host_tree(path: &CStr, tree: Tree) -> Result<OwnedFd> {
    open_tree(CWD, path, tree)
}

/// Changes a mount, or with `recursive` it and all below.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attributes: Attributes,
) -> Result<()> {
    failpoint::pass("mount_setattr")?;
    let args = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    let (fd, path, size) = (mount.as_raw_fd(), c"".as_ptr(), size_of_val(&args));
    // SAFETY: a live descriptor, a static string, and arguments of the size that is given.
    match unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            path,
            flags,
            &raw const args,
            size,
        )
    } {
        0 => Ok(()),
        _ => Err(Error::last("mount_setattr")),
    }
}

/// Shows the ids of a mount (with `recursive` of all below it too) as the user namespace `ids` maps
/// them.
pub fn set_ids(mount: BorrowedFd<'_>, recursive: bool, ids: BorrowedFd<'_>) -> Result<()> {
    const IDMAP: u64 = 0x0010_0000;
    failpoint::pass("mount_setattr")?;
    let args = libc::mount_attr {
        attr_set: IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::from(ids.as_raw_fd().unsigned_abs()),
    };
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    let (fd, path, size) = (mount.as_raw_fd(), c"".as_ptr(), size_of_val(&args));
    let call = libc::SYS_mount_setattr;
    // SAFETY: a live descriptor, a static string, and arguments of the size that is given.
    match unsafe { libc::syscall(call, fd, path, flags, &raw const args, size) } {
        0 => Ok(()),
        _ => Err(Error::last("mount_setattr")),
    }
}

/// Moves the detached mount `mount` onto `target`.
pub fn move_onto(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("move_mount")?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", target, c"", flags)
        .map_err(|errno| Error::new("move_mount", errno))
}

/// Moves the detached mount `mount` onto the root of this mount namespace.
pub fn move_onto_root(mount: BorrowedFd<'_>) -> Result<()> {
    move_onto_path(mount, c"/")
}

/// Moves the detached mount `mount` onto a directory of the host, by its path.
pub fn move_onto_path(mount: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    failpoint::pass("move_mount")?;
    rustix::mount::move_mount(
        mount,
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(|errno| Error::new("move_mount", errno))
}

/// Cuts every mount of this mount namespace off from the host's.
pub fn make_all_private() -> Result<()> {
    failpoint::pass("make_private")?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", flags).map_err(|errno| Error::new("make_private", errno))
}

/// Mounts as mount(8) does: a file system of a `kind` or, by its flags (`MS_…`, mount(2)), a bind or
/// a change, with the options of the file system in one text.
pub fn mount_by_path(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: u64,
    data: &CStr,
) -> Result<()> {
    failpoint::pass("mount")?;
    let flags =
        rustix::mount::MountFlags::from_bits_retain(u32::try_from(flags).unwrap_or(u32::MAX));
    rustix::mount::mount(source, target, kind, flags, data)
        .map_err(|errno| Error::new("mount", errno))
}

/// Detaches the mount at `path` and all below it; it goes when its last user does.
pub fn detach(path: &CStr) -> Result<()> {
    failpoint::pass("umount2")?;
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .map_err(|errno| Error::new("umount2", errno))
}

/// Tells whether nothing can be written through the mount that `path` of the host lies in.
pub fn is_read_only(path: &CStr) -> Result<bool> {
    failpoint::pass("statvfs")?;
    let found = rustix::fs::statvfs(path).map_err(|errno| Error::new("statvfs", errno))?;
    Ok(found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Tells the kind of file system (`statfs.f_type`).
pub fn magic(fd: impl AsFd) -> Result<u64> {
    failpoint::pass("fstatfs")?;
    let found = rustix::fs::fstatfs(fd).map_err(|errno| Error::new("fstatfs", errno))?;
    Ok(u64::try_from(found.f_type).unwrap_or_default())
}
