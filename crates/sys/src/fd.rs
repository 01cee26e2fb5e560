//! Descriptors: pipes, reads and writes, sealed memory files, what an exec inherits.

#![allow(
    unsafe_code,
    reason = "adopts inherited descriptors and calls close_range"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::pipe::PipeFlags;

use crate::{Errno, Error, Result, failpoint};

/// Makes a pipe, close-on-exec: its reading end, then its writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    failpoint::pass("pipe2")?;
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Error::new("pipe2", errno))
}

/// Reads at most `buffer.len()` bytes; 0 is end of file.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    failpoint::pass("read")?;
    rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer))
        .map_err(|errno| Error::new("read", errno))
}

/// Reads at `offset`, without moving the descriptor's own; 0 is end of file.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<usize> {
    failpoint::pass("pread64")?;
    rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut *buffer, offset))
        .map_err(|errno| Error::new("pread64", errno))
}

/// Writes; returns how many bytes the kernel took.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    failpoint::pass("write")?;
    rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))
        .map_err(|errno| Error::new("write", errno))
}

/// Writes all of it.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = write(fd, bytes)?;
        if written == 0 {
            return Err(Error::new("write", Errno::IO));
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Makes reads and writes return `EAGAIN` in place of waiting, or not.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> Result<()> {
    failpoint::pass("fcntl_setfl")?;
    let flags = rustix::fs::fcntl_getfl(fd).map_err(|errno| Error::new("fcntl_setfl", errno))?;
    let mut wanted = flags;
    wanted.set(OFlags::NONBLOCK, nonblocking);
    if wanted == flags {
        return Ok(());
    }
    rustix::fs::fcntl_setfl(fd, wanted).map_err(|errno| Error::new("fcntl_setfl", errno))
}

/// Makes another descriptor, close-on-exec, for the same open file.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    failpoint::pass("fcntl_dupfd")?;
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|errno| Error::new("fcntl_dupfd", errno))
}

/// Takes the descriptor `number` that this process inherited by agreement, and makes it
/// close-on-exec. To be called once per number, before anything else may own it.
pub fn take_inherited(number: u8) -> Result<OwnedFd> {
    failpoint::pass("fcntl_setfd")?;
    let raw = i32::from(number);
    // SAFETY: fcntl with F_SETFD takes integers only.
    let set = unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) };
    if set == -1 {
        return Err(Error::last("fcntl_setfd"));
    }
    // SAFETY: the call above proved that it is open; the caller guarantees that nobody owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Keeps the descriptor `number`, which was inherited, through execve. `EBADF`: it is not open.
pub fn keep_on_exec(number: u32) -> Result<()> {
    failpoint::pass("fcntl_setfd")?;
    let number = i32::try_from(number).map_err(|_| Error::new("fcntl_setfd", Errno::BADF))?;
    // SAFETY: fcntl with F_SETFD takes integers only.
    match unsafe { libc::fcntl(number, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(Error::last("fcntl_setfd")),
    }
}

/// Marks every descriptor from `first` on as close-on-exec. `ENOSYS` before Linux 5.9, `EINVAL`
/// before 5.11.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    failpoint::pass("close_range")?;
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC takes integers and closes nothing now.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == -1 {
        Err(Error::last("close_range"))
    } else {
        Ok(())
    }
}

/// The seals after which a memory file never changes again.
const SEALED: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

fn memfd(name: &str) -> Result<OwnedFd> {
    failpoint::pass("memfd_create")?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC is refused before Linux 6.3, where every memory file is executable.
    rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC)
        .or_else(|errno| match errno {
            Errno::INVAL => rustix::fs::memfd_create(name, flags),
            other => Err(other),
        })
        .map_err(|errno| Error::new("memfd_create", errno))
}

fn seal(fd: &OwnedFd) -> Result<()> {
    failpoint::pass("fcntl_add_seals")?;
    rustix::fs::fcntl_add_seals(fd, SEALED).map_err(|errno| Error::new("fcntl_add_seals", errno))
}

/// Makes a memory file that holds `bytes` for ever; it can be executed.
pub fn memfd_sealed(name: &str, bytes: &[u8]) -> Result<OwnedFd> {
    let fd = memfd(name)?;
    write_all(fd.as_fd(), bytes)?;
    seal(&fd)?;
    Ok(fd)
}

/// Makes a memory file with the content of the file `source`, sealed; it can be executed.
pub fn memfd_sealed_copy(name: &str, source: BorrowedFd<'_>) -> Result<OwnedFd> {
    /// One round of sendfile; the kernel stops earlier at the end of the file.
    const CHUNK: usize = 16 << 20;
    let fd = memfd(name)?;
    let mut offset = 0;
    loop {
        failpoint::pass("sendfile")?;
        let sent = rustix::fs::sendfile(&fd, source, Some(&mut offset), CHUNK)
            .map_err(|errno| Error::new("sendfile", errno))?;
        if sent == 0 {
            break;
        }
    }
    seal(&fd)?;
    Ok(fd)
}

/// Returns the content of a memory file that must be sealed against change, at most `limit`
/// bytes: the sender can neither cut it short nor rewrite it while it is read.
pub fn read_sealed(fd: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>> {
    failpoint::pass("fcntl_get_seals")?;
    let seals =
        rustix::fs::fcntl_get_seals(fd).map_err(|errno| Error::new("fcntl_get_seals", errno))?;
    if !seals.contains(SEALED) {
        return Err(Error::new("fcntl_get_seals", Errno::PERM));
    }
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = read_at(fd, &mut chunk, bytes.len() as u64)?;
        if count == 0 {
            return Ok(bytes);
        }
        if bytes.len() + count > limit {
            return Err(Error::new("pread64", Errno::FBIG));
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// Tells whether two descriptors are of the same file.
pub fn same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<bool> {
    failpoint::pass("fstat")?;
    let stat = |fd| rustix::fs::fstat(fd).map_err(|errno| Error::new("fstat", errno));
    let (a, b) = (stat(a)?, stat(b)?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// Returns the name under which this process can open the file of `fd` again.
pub(crate) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_memory_file_is_read_and_never_changed() {
        let fd = memfd_sealed("test", b"content").unwrap();
        assert_eq!(read_sealed(fd.as_fd(), 100).unwrap(), b"content");
        assert_eq!(read_sealed(fd.as_fd(), 6).unwrap_err().errno, Errno::FBIG);
        assert_eq!(write(fd.as_fd(), b"x").unwrap_err().errno, Errno::PERM);
        let copy = memfd_sealed_copy("copy", fd.as_fd()).unwrap();
        assert_eq!(read_sealed(copy.as_fd(), 100).unwrap(), b"content");
    }

    #[test]
    fn an_unsealed_memory_file_is_refused() {
        let fd = memfd("test").unwrap();
        assert_eq!(read_sealed(fd.as_fd(), 100).unwrap_err().errno, Errno::PERM);
    }

    #[test]
    fn pipes_carry_bytes() {
        let (reader, writer) = pipe().unwrap();
        set_nonblocking(reader.as_fd(), true).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(
            read(reader.as_fd(), &mut buffer).unwrap_err().errno,
            Errno::AGAIN
        );
        write_all(writer.as_fd(), b"abc").unwrap();
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 3);
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 0);
    }
}
