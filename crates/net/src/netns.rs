//! Network namespaces: made by a thread that lives for nothing else, so that no thread of the
//! daemon ever leaves its own.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use sys::namespace;
use sys::netlink::Protocol;

use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::{Talk, first_refusal};
use crate::{Error, Result, sysctl};

/// Bytes of the stack of such a thread: it makes some ten calls.
const STACK_BYTES: usize = 128 << 10;

/// The network namespace of the thread that opens it.
const THIS_THREAD: &str = "/proc/thread-self/ns/net";

/// A fresh network namespace in which nothing but the loopback exists, and is up.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// The namespace.
    pub(crate) netns: OwnedFd,
    /// A conversation inside it. It keeps the namespace alive too.
    pub(crate) inside: Talk,
    /// Number of its end of the wire, once that is known.
    pub(crate) link: Option<u32>,
}

/// Makes a network namespace. Links that are made in it later have no IPv6 address and accept no
/// router's advertisements; the loopback keeps `::1`, as Docker has it.
pub(crate) fn create() -> Result<Namespace> {
    on_own_thread(|| {
        namespace::unshare(namespace::NETWORK).map_err(Error::Namespace)?;
        sysctl::ensure_if_present("ipv6/conf/default/disable_ipv6", "1")?;
        sysctl::ensure_if_present("ipv6/conf/default/accept_ra", "0")?;
        let mut inside = Talk::open(Protocol::Route)?;
        let mut batch = Batch::new();
        route::set_up(&mut batch, "lo", true);
        first_refusal(&inside.send(&batch)?, |_| "take lo up".to_owned())?;
        let netns = namespace::open(Path::new(THIS_THREAD)).map_err(Error::Namespace)?;
        Ok(Namespace {
            netns,
            inside,
            link: None,
        })
    })
}

/// Opens a conversation in a namespace that is there.
pub(crate) fn open(netns: BorrowedFd<'_>) -> Result<Namespace> {
    let inside = within(netns, || Talk::open(Protocol::Route))?;
    let netns = sys::fd::duplicate(netns).map_err(Error::Namespace)?;
    Ok(Namespace {
        netns,
        inside,
        link: None,
    })
}

/// Works in a namespace that is there.
pub(crate) fn within<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    on_own_thread(move || {
        namespace::enter(netns, namespace::NETWORK).map_err(Error::Namespace)?;
        work()
    })
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("wharf-netns".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(Error::Thread)?
            .join()
            .map_err(|_| Error::Thread(io::Error::other("it panicked")))?
    })
}
