//! Netlink sockets: whole messages in, whole datagrams out; what they mean is the caller's affair.

#![allow(unsafe_code, reason = "socket, setsockopt, send and recv of netlink")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::{Error, Result, failpoint};

/// Bytes of the send buffer: a transaction of nf_tables is one datagram, whatever its size.
const SEND_BUFFER_BYTES: libc::c_int = 4 << 20;
/// Bytes of one answer: the kernel fills dumps up to 32 KiB when the reader offers that much.
const RECEIVE_BYTES: usize = 32 << 10;
/// Seconds after which the kernel owes no answer any more: a hundred times the longest stall seen.
const ANSWER_SECONDS: libc::time_t = 100;

/// Which part of the kernel a socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// A netlink socket. It belongs to the network namespace in which it was opened, whichever thread
/// uses it later, and keeps that namespace alive.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// Returns a buffer for [`Socket::receive`].
pub fn buffer() -> Vec<u8> {
    vec![0; RECEIVE_BYTES]
}

impl Socket {
    /// Opens a socket in the network namespace of this thread, with extended acknowledgements and
    /// without an echo of what was sent.
    pub fn open(protocol: Protocol) -> Result<Self> {
        failpoint::pass("netlink_open")?;
        let number = match protocol {
            Protocol::Route => libc::NETLINK_ROUTE,
            Protocol::Netfilter => libc::NETLINK_NETFILTER,
        };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket(2) takes three integers.
        let raw = unsafe { libc::socket(libc::AF_NETLINK, kind, number) };
        if raw < 0 {
            return Err(Error::last("netlink_open"));
        }
        // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1)?;
        set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        // Older kernels have no strict dumps; the callers' filters do not depend on them.
        match set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK, 1) {
            Ok(())
            | Err(Error {
                errno: Errno::NOPROTOOPT,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        if set_option(
            &fd,
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            SEND_BUFFER_BYTES,
        )
        .is_err()
        {
            set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER_BYTES)?;
        }
        set_timeout(&fd)?;
        Ok(Self(fd))
    }

    /// Hears what the kernel tells everybody of a group, numbered from 1. It needs a name of its own
    /// for that, or it is taken for the one who must not hear.
    pub fn join(&self, group: u32) -> Result<()> {
        failpoint::pass("netlink_join")?;
        let groups = 1_u32.checked_shl(group.wrapping_sub(1)).unwrap_or(0);
        let address = rustix::net::netlink::SocketAddrNetlink::new(0, groups);
        rustix::net::bind(&self.0, &address).map_err(|errno| Error::new("netlink_join", errno))
    }

    /// Sends one datagram of one or more messages to the kernel.
    pub fn send(&self, messages: &[u8]) -> Result<()> {
        failpoint::pass("netlink_send")?;
        loop {
            // SAFETY: the slice is readable for its whole length during the call.
            let sent = unsafe {
                libc::send(
                    self.0.as_raw_fd(),
                    messages.as_ptr().cast(),
                    messages.len(),
                    0,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) if sent == messages.len() => return Ok(()),
                Ok(_) => return Err(Error::new("netlink_send", Errno::MSGSIZE)),
                Err(_) => {
                    let error = Error::last("netlink_send");
                    if error.errno != Errno::INTR {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Waits for the next datagram and returns it, in `buffer`; one that does not fit is `MSGSIZE`.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        failpoint::pass("netlink_receive")?;
        loop {
            // SAFETY: the buffer is writable for its whole length during the call.
            let got = unsafe {
                let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
                libc::recv(self.0.as_raw_fd(), start, length, libc::MSG_TRUNC)
            };
            match usize::try_from(got) {
                Ok(got) if got <= buffer.len() => return Ok(&buffer[..got]),
                Ok(_) => return Err(Error::new("netlink_receive", Errno::MSGSIZE)),
                Err(_) => {
                    let error = Error::last("netlink_receive");
                    if error.errno != Errno::INTR {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// An answer that never comes is an error, not a thread that hangs for ever.
fn set_timeout(fd: &OwnedFd) -> Result<()> {
    let value = libc::timeval {
        tv_sec: ANSWER_SECONDS,
        tv_usec: 0,
    };
    let size = libc::socklen_t::try_from(size_of_val(&value)).expect("a timeval's size fits");
    let (level, name) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO);
    // SAFETY: `value` lives through the call and `size` is its size.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::last("netlink_option"))
    }
}

fn set_option(fd: &OwnedFd, level: i32, name: i32, value: libc::c_int) -> Result<()> {
    let size = libc::socklen_t::try_from(size_of_val(&value)).expect("an int's size fits");
    // SAFETY: `value` lives through the call and `size` is its size.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::last("netlink_option"))
    }
}
