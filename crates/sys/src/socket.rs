//! Unix sockets: streams and packets, with descriptors passed along.
//!
//! Sockets are bound and connected through `/proc/self/fd/DIR/NAME`, because `sun_path` holds 108
//! bytes and a directory of ours may be deeper than that.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::{Errno, Error, Result, failpoint, fd};

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes without borders.
    Stream,
    /// Whole packets, in order; a send is one packet.
    SeqPacket,
}

impl Kind {
    const fn socket_type(self) -> SocketType {
        match self {
            Self::Stream => SocketType::STREAM,
            Self::SeqPacket => SocketType::SEQPACKET,
        }
    }
}

/// Most descriptors that [`send`] and [`receive`] move at once.
pub const MAX_FDS: usize = 8;

/// Who is at the other end (`SO_PEERCRED`): as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// What [`receive`] got.
#[derive(Debug)]
pub struct Received {
    /// Bytes at the start of the buffer; 0 is the end of the connection.
    pub len: usize,
    /// Descriptors that came along, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// The packet or its descriptors did not fit, and the rest is lost.
    pub truncated: bool,
}

/// Makes two connected sockets, close-on-exec.
pub fn pair(kind: Kind) -> Result<(OwnedFd, OwnedFd)> {
    failpoint::pass("socketpair")?;
    rustix::net::socketpair(
        AddressFamily::UNIX,
        kind.socket_type(),
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| Error::new("socketpair", errno))
}

fn open(kind: Kind, flags: SocketFlags) -> Result<OwnedFd> {
    failpoint::pass("socket")?;
    let flags = flags | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, kind.socket_type(), flags, None)
        .map_err(|errno| Error::new("socket", errno))
}

/// The address of `path`, short whatever its length, and the directory that it needs open.
fn address(path: &Path) -> Result<(SocketAddrUnix, OwnedFd)> {
    failpoint::pass("open")?;
    let invalid = || Error::new("open", Errno::INVAL);
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(invalid)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(parent, flags, Mode::empty())
        .map_err(|errno| Error::new("open", errno))?;
    let short = Path::new(&fd::proc_path(dir.as_fd())).join(name);
    let address = SocketAddrUnix::new(&short).map_err(|errno| Error::new("open", errno))?;
    Ok((address, dir))
}

/// Binds `path` and listens there, nonblocking. `EADDRINUSE` when the path exists.
pub fn listen(kind: Kind, path: &Path, backlog: i32) -> Result<OwnedFd> {
    let (address, _dir) = address(path)?;
    let socket = open(kind, SocketFlags::NONBLOCK)?;
    failpoint::pass("bind")?;
    rustix::net::bind(&socket, &address).map_err(|errno| Error::new("bind", errno))?;
    failpoint::pass("listen")?;
    rustix::net::listen(&socket, backlog).map_err(|errno| Error::new("listen", errno))?;
    Ok(socket)
}

/// Connects to the socket at `path`; the result is blocking.
pub fn connect(kind: Kind, path: &Path) -> Result<OwnedFd> {
    let (address, _dir) = address(path)?;
    let socket = open(kind, SocketFlags::empty())?;
    failpoint::pass("connect")?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address))
        .map_err(|errno| Error::new("connect", errno))?;
    Ok(socket)
}

/// Takes the next connection, nonblocking.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    failpoint::pass("accept4")?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::io::retry_on_intr(|| rustix::net::accept_with(listener, flags))
        .map_err(|errno| Error::new("accept4", errno))
}

/// Returns who is at the other end.
pub fn peer(socket: BorrowedFd<'_>) -> Result<Peer> {
    failpoint::pass("getsockopt_peercred")?;
    let credentials = rustix::net::sockopt::socket_peercred(socket)
        .map_err(|errno| Error::new("getsockopt_peercred", errno))?;
    Ok(Peer {
        pid: rustix::process::Pid::as_raw(Some(credentials.pid)),
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
    })
}

/// Sends `parts` as one packet (or piece of a stream) with descriptors; never raises `SIGPIPE`.
/// Returns how many bytes were taken.
pub fn send(socket: BorrowedFd<'_>, parts: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    failpoint::pass("sendmsg")?;
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error::new("sendmsg", Errno::TOOMANYREFS));
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &slices, &mut control, SendFlags::NOSIGNAL)
    })
    .map_err(|errno| Error::new("sendmsg", errno))
}

/// Receives a packet (or a piece of a stream) and the descriptors that came with it.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received> {
    failpoint::pass("recvmsg")?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(&mut *buffer)];
        rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(|errno| Error::new("recvmsg", errno))?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    let truncated = message
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok(Received {
        len: message.bytes,
        fds,
        truncated,
    })
}

/// Returns the length of the packet that waits, without taking it; 0 is the end of the connection.
pub fn next_len(socket: BorrowedFd<'_>) -> Result<usize> {
    failpoint::pass("recv_peek")?;
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
    // With TRUNC the kernel tells the whole length, however little fits.
    rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut [0_u8; 1], flags))
        .map(|(_, len)| len)
        .map_err(|errno| Error::new("recv_peek", errno))
}

/// Ends the writing side; the other end reads the end of the stream.
pub fn shutdown_write(socket: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("shutdown")?;
    rustix::net::shutdown(socket, Shutdown::Write).map_err(|errno| Error::new("shutdown", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_borders_and_carry_descriptors() {
        let (a, b) = pair(Kind::SeqPacket).unwrap();
        let (reader, writer) = fd::pipe().unwrap();
        send(
            a.as_fd(),
            &[b"head", b"body"],
            &[writer.as_fd(), reader.as_fd()],
        )
        .unwrap();
        send(a.as_fd(), &[b"second"], &[]).unwrap();
        let mut buffer = [0; 32];
        assert_eq!(next_len(b.as_fd()).unwrap(), 8);
        let first = receive(b.as_fd(), &mut buffer).unwrap();
        assert_eq!(
            (&buffer[..first.len], first.fds.len()),
            (&b"headbody"[..], 2)
        );
        assert!(!first.truncated);
        fd::write_all(first.fds[0].as_fd(), b"x").unwrap();
        assert_eq!(fd::read(reader.as_fd(), &mut [0]).unwrap(), 1);
        let second = receive(b.as_fd(), &mut buffer[..3]).unwrap();
        assert!(second.truncated);
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut buffer).unwrap().len, 0);
    }

    #[test]
    fn a_deep_directory_is_no_obstacle() {
        let deep = std::env::temp_dir().join(format!("wharf-socket-{}", std::process::id()));
        let dir = deep.join("d".repeat(120));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("name.sock");
        let listener = listen(Kind::SeqPacket, &path, 4).unwrap();
        assert_eq!(
            listen(Kind::SeqPacket, &path, 4).unwrap_err().errno,
            Errno::ADDRINUSE
        );
        let client = connect(Kind::SeqPacket, &path).unwrap();
        let served = accept(listener.as_fd()).unwrap();
        assert_eq!(
            peer(served.as_fd()).unwrap().pid,
            i32::try_from(std::process::id()).unwrap()
        );
        assert_eq!(accept(listener.as_fd()).unwrap_err().errno, Errno::AGAIN);
        send(client.as_fd(), &[b"hi"], &[]).unwrap();
        assert_eq!(receive(served.as_fd(), &mut [0; 4]).unwrap().len, 2);
        for path in [path, dir] {
            std::fs::remove_file(&path)
                .or_else(|_| std::fs::remove_dir(&path))
                .unwrap();
        }
        std::fs::remove_dir(deep).unwrap();
    }
}
