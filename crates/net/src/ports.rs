//! Ports of this machine: which container has which. A socket holds each, so that no other program
//! takes it, and so that what no rule redirects (loopback, IPv6) has somewhere to arrive.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sys::{Errno, inet};
use types::id::ContainerId;
use types::port::Protocol;

use crate::error::Reason;
use crate::{Error, Publication, Result};

/// Where the kernel's range of ports for anybody is told.
const LOCAL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's own default of it.
const DEFAULT_RANGE: (u16, u16) = (32768, 60999);

/// A port that a container wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// What speaks there.
    pub protocol: Protocol,
    /// The port of the container.
    pub container_port: u16,
    /// The address on this machine; none: all, of both families.
    pub host_address: Option<IpAddr>,
    /// The first port on this machine that will do; 0: any that is free.
    pub first: u16,
    /// The last of them.
    pub last: u16,
}

/// A port that was got, with what holds it; the kernel cannot hold SCTP's.
#[derive(Debug)]
pub struct Held {
    /// Which.
    pub publication: Publication,
    /// What holds it.
    pub(crate) socket: Option<OwnedFd>,
}

#[derive(Debug, Default)]
struct Pages {
    taken: BTreeMap<(Protocol, u16), Vec<(IpAddr, ContainerId)>>,
    /// The last port that was given to who wanted any.
    last: u16,
}

/// Who has which port.
#[derive(Debug, Default)]
pub(crate) struct PortBook(Mutex<Pages>);

impl PortBook {
    /// Gets all of `requests`, or none. `target` is the container's address, for the message.
    pub(crate) fn reserve(
        &self,
        container: ContainerId,
        requests: &[PortRequest],
        target: Ipv4Addr,
    ) -> Result<Vec<Held>> {
        let mut pages = self.pages();
        // Who wants a certain one comes first.
        let mut sorted: Vec<_> = requests.iter().collect();
        sorted.sort_by_key(|request| (request.first == 0, request.first != request.last));
        let mut all = Vec::new();
        for request in sorted {
            match pages.one(container, request, target) {
                Ok(held) => all.extend(held),
                Err(error) => {
                    pages.release(container);
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    /// Writes down what a container has had since before.
    pub(crate) fn note(&self, container: ContainerId, ports: &[Publication]) {
        let mut pages = self.pages();
        for port in ports {
            pages.note(container, port);
        }
    }

    /// Strikes out what a container has.
    pub(crate) fn release(&self, container: ContainerId) {
        self.pages().release(container);
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere leaves a port too many in the book at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn note(&mut self, container: ContainerId, port: &Publication) {
        self.taken
            .entry((port.protocol, port.host_port))
            .or_default()
            .push((port.host_address, container));
    }

    fn release(&mut self, container: ContainerId) {
        self.taken.retain(|_, owners| {
            owners.retain(|(_, owner)| *owner != container);
            !owners.is_empty()
        });
    }

    fn one(
        &mut self,
        container: ContainerId,
        request: &PortRequest,
        target: Ipv4Addr,
    ) -> Result<Vec<Held>> {
        let addresses = match request.host_address {
            Some(address) => vec![address],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        };
        let certain = request.first != 0 && request.first == request.last;
        for port in self.candidates(request) {
            let free = |address: &&IpAddr| self.is_taken(request.protocol, port, **address);
            if let Some(address) = addresses.iter().find(free) {
                if certain {
                    let address = *address;
                    return Err(Error::PortTaken { address, port });
                }
                continue;
            }
            match hold(request, &addresses, port, target) {
                Ok(held) => {
                    for one in &held {
                        self.note(container, &one.publication);
                    }
                    if request.first == 0 {
                        self.last = port;
                    }
                    return Ok(held);
                }
                Err(Error::PortRefused { source, .. })
                    if !certain && source.0 == Errno::ADDRINUSE => {}
                Err(error) => return Err(error),
            }
        }
        let (first, last) = if request.first == 0 {
            local_range()
        } else {
            (request.first, request.last)
        };
        Err(Error::PortsTaken {
            address: addresses[0],
            first,
            last,
        })
    }

    /// Who wants any gets the one after the last that was given so, round and round.
    fn candidates(&self, request: &PortRequest) -> Vec<u16> {
        if request.first != 0 {
            return (request.first..=request.last).collect();
        }
        let (first, last) = local_range();
        let next = self.last.saturating_add(1).clamp(first, last);
        let next = if self.last >= last { first } else { next };
        (next..=last).chain(first..next).collect()
    }

    fn is_taken(&self, protocol: Protocol, port: u16, address: IpAddr) -> bool {
        let meet = |other: IpAddr| {
            address.is_ipv4() == other.is_ipv4()
                && (address == other || address.is_unspecified() || other.is_unspecified())
        };
        let owners = self.taken.get(&(protocol, port));
        owners.is_some_and(|owners| owners.iter().any(|(other, _)| meet(*other)))
    }
}

fn hold(
    request: &PortRequest,
    addresses: &[IpAddr],
    port: u16,
    target: Ipv4Addr,
) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for address in addresses {
        let publication = Publication {
            protocol: request.protocol,
            container_port: request.container_port,
            host_address: *address,
            host_port: port,
        };
        match open(&publication) {
            Ok(socket) => held.push(Held {
                publication,
                socket,
            }),
            // A machine without IPv6 publishes on IPv4 alone, unless IPv6 was asked for.
            Err(errno)
                if request.host_address.is_none()
                    && address.is_ipv6()
                    && [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&errno) => {}
            Err(errno) => {
                return Err(Error::PortRefused {
                    host: SocketAddr::new(*address, port),
                    target: SocketAddrV4::new(target, request.container_port),
                    protocol: request.protocol,
                    source: Reason(errno),
                });
            }
        }
    }
    Ok(held)
}

/// Opens the socket that holds a port.
pub(crate) fn open(port: &Publication) -> Result<Option<OwnedFd>, Errno> {
    let address = SocketAddr::new(port.host_address, port.host_port);
    let opened = match port.protocol {
        Protocol::Tcp => inet::listen_tcp(address),
        Protocol::Udp => inet::bind_udp(address),
        Protocol::Sctp => return Ok(None),
    };
    opened.map(Some).map_err(|error| error.errno)
}

fn local_range() -> (u16, u16) {
    let text = std::fs::read_to_string(LOCAL_RANGE).unwrap_or_default();
    let mut words = text.split_whitespace().map(str::parse::<u16>);
    match (words.next(), words.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first > 0 && first <= last => (first, last),
        _ => DEFAULT_RANGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: &str) -> ContainerId {
        byte.repeat(32).parse().unwrap()
    }

    fn request(first: u16, last: u16, address: &str) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_address: (!address.is_empty()).then(|| address.parse().unwrap()),
            first,
            last,
        }
    }

    #[test]
    fn a_port_is_got_once_and_given_back() {
        let book = PortBook::default();
        let target = Ipv4Addr::new(172, 17, 0, 2);
        let get = |who: &str, request: PortRequest| book.reserve(id(who), &[request], target);
        let any = get("aa", request(0, 0, "127.0.0.1")).unwrap();
        let port = any[0].publication.host_port;
        let (first, last) = local_range();
        assert!((first..=last).contains(&port));
        let taken = get("bb", request(port, port, "127.0.0.1")).unwrap_err();
        assert_eq!(
            taken.to_string(),
            format!("Bind for 127.0.0.1:{port} failed: port is already allocated")
        );
        assert!(get("bb", request(port, port, "")).is_err(), "all is any");
        assert!(get("bb", request(port, port, "127.0.0.2")).is_ok());
        book.release(id("aa"));
        // Free in the book; but its socket is still there.
        let refused = get("cc", request(port, port, "127.0.0.1")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "failed to bind host port for 127.0.0.1:{port}:172.17.0.2:80/tcp: address already \
                 in use"
            )
        );
        drop(any);
        assert!(get("cc", request(port, port, "127.0.0.1")).is_ok());
        let next = get("dd", request(port, port + 3, "127.0.0.1")).unwrap();
        assert_ne!(next[0].publication.host_port, port);
    }
}
