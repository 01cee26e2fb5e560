//! Internet sockets: ports that are held, and connections that are begun.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::{Errno, Error, Result, failpoint};

/// Connections that wait for their acceptance.
const BACKLOG: i32 = 1024;

/// Holds a TCP port of this machine and listens there, nonblocking; an IPv6 socket hears IPv6 only.
pub fn listen_tcp(address: SocketAddr) -> Result<OwnedFd> {
    failpoint::pass("listen_tcp")?;
    let failed = |errno| Error::new("listen_tcp", errno);
    let socket = socket(address, SocketType::STREAM).map_err(failed)?;
    // A connection of the last holder that is not quite over is no obstacle.
    sockopt::set_socket_reuseaddr(&socket, true).map_err(failed)?;
    rustix::net::bind(&socket, &address).map_err(failed)?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed)?;
    Ok(socket)
}

/// Holds a UDP port of this machine, nonblocking; an IPv6 socket hears IPv6 only.
pub fn bind_udp(address: SocketAddr) -> Result<OwnedFd> {
    failpoint::pass("bind_udp")?;
    let failed = |errno| Error::new("bind_udp", errno);
    let socket = socket(address, SocketType::DGRAM).map_err(failed)?;
    rustix::net::bind(&socket, &address).map_err(failed)?;
    Ok(socket)
}

/// Begins a TCP connection and does not wait for it: it is there when the socket can be written.
pub fn connect_tcp(address: SocketAddr) -> Result<OwnedFd> {
    failpoint::pass("connect_tcp")?;
    let failed = |errno| Error::new("connect_tcp", errno);
    let socket = socket(address, SocketType::STREAM).map_err(failed)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(failed(errno)),
    }
}

fn socket(address: SocketAddr, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_once() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let held = std::net::TcpListener::from(listen_tcp(any).unwrap());
        let at = held.local_addr().unwrap();
        assert_eq!(listen_tcp(at).unwrap_err().errno, Errno::ADDRINUSE);
        assert!(connect_tcp(at).is_ok());
        let held = std::net::UdpSocket::from(bind_udp(any).unwrap());
        let at = held.local_addr().unwrap();
        assert_eq!(bind_udp(at).unwrap_err().errno, Errno::ADDRINUSE);
    }
}
