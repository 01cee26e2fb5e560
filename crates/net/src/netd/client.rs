//! The daemon's side of netd: starts it, tells it, and tells it everything again when it was killed.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sys::poll::{Interest, Poll};
use sys::socket::{self, Kind};
use types::id::ContainerId;

use super::protocol::{Entry, PACKET_MAX, Reply, Request, Sandbox};
use crate::ipam::ledger::EndpointRecord;
use crate::ports::{self, Held};
use crate::{Error, Publication, Result};

/// Daemons that may wait at its door.
const BACKLOG: i32 = 4;
/// Bytes of the watching thread's stack.
const STACK_BYTES: usize = 128 << 10;

/// How netd is found, and how it is started.
pub struct NetdSetup {
    /// Its socket.
    pub socket: PathBuf,
    /// Starts the process with its listening socket.
    pub start: Box<dyn Fn(OwnedFd) -> std::io::Result<()> + Send + Sync>,
}

impl std::fmt::Debug for NetdSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NetdSetup({})", self.socket.display())
    }
}

/// The handle.
#[derive(Debug)]
pub(crate) struct Netd {
    setup: NetdSetup,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    control: Option<Arc<OwnedFd>>,
    served: HashMap<ContainerId, Served>,
    /// By network and endpoint.
    names: BTreeMap<(String, String), Entry>,
}

/// What is done for one container. Sockets that an earlier daemon opened are netd's alone.
#[derive(Debug, Default)]
struct Served {
    ports: Vec<(Publication, Ipv4Addr, Option<OwnedFd>)>,
    names: Option<(Sandbox, OwnedFd)>,
}

impl Netd {
    pub(crate) fn new(setup: NetdSetup) -> Arc<Self> {
        Arc::new(Self {
            setup,
            state: Mutex::default(),
        })
    }

    /// Passes what arrives at held ports on to the container at `target`.
    pub(crate) fn listen(
        self: &Arc<Self>,
        container: ContainerId,
        held: Vec<Held>,
        target: Ipv4Addr,
    ) -> Result<()> {
        self.change(|state| {
            let from = state.served.entry(container).or_default().ports.len();
            let served = state.served.entry(container).or_default();
            let held = held.into_iter().filter(|held| held.socket.is_some());
            served
                .ports
                .extend(held.map(|held| (held.publication, target, held.socket)));
            Work::Ports(container, from)
        })
    }

    /// Answers the container's questions for names.
    pub(crate) fn resolve(
        self: &Arc<Self>,
        container: ContainerId,
        sandbox: Sandbox,
        netns: OwnedFd,
    ) -> Result<()> {
        self.change(|state| {
            state.served.entry(container).or_default().names = Some((sandbox, netns));
            Work::Names(container)
        })
    }

    /// What arrives at a container's ports goes to another of its addresses from now on.
    pub(crate) fn retarget(self: &Arc<Self>, container: ContainerId, to: Ipv4Addr) -> Result<()> {
        let mut state = self.state();
        let Some(served) = state.served.get_mut(&container) else {
            return Ok(());
        };
        for (_, target, _) in &mut served.ports {
            *target = to;
        }
        // All of it anew; that netd is not there is found out by what follows.
        drop(tell(&state, &Request::Leave { container }, &[]));
        match begin(&mut state, container, 0, true) {
            Err(Error::Socket(_)) => self.revive(&mut state),
            done => done,
        }
    }

    /// An endpoint has its names from now on.
    pub(crate) fn name(self: &Arc<Self>, endpoint: &EndpointRecord) -> Result<()> {
        let entry = Entry {
            address: endpoint.address.address(),
            names: endpoint.names.clone(),
            network: endpoint.network_name.clone(),
        };
        let key = (endpoint.network.clone(), endpoint.id.clone());
        self.change(|state| {
            state.names.insert(key.clone(), entry.clone());
            Work::Tell(Request::Name {
                network: key.0,
                endpoint: key.1,
                entry,
            })
        })
    }

    /// It has them no more. That netd is not there is as good.
    pub(crate) fn unname(&self, endpoint: &EndpointRecord) {
        let key = (endpoint.network.clone(), endpoint.id.clone());
        let mut state = self.state();
        if state.names.remove(&key).is_some() {
            let (network, endpoint) = key;
            drop(tell(&state, &Request::Unname { network, endpoint }, &[]));
        }
    }

    /// A container has ended. That netd is not there is as good.
    pub(crate) fn leave(&self, container: ContainerId) {
        let mut state = self.state();
        if state.served.remove(&container).is_some() {
            drop(tell(&state, &Request::Leave { container }, &[]));
        }
    }

    /// Takes over what an earlier daemon began for `wanted`: what netd knows already stays as it is,
    /// what it does not know is begun again, and what it serves beyond that ends.
    pub(crate) fn adopt(self: &Arc<Self>, wanted: Vec<Adopted>) -> Result<()> {
        let mut state = self.state();
        let control = socket::connect(Kind::SeqPacket, &self.setup.socket).ok();
        if wanted.is_empty() && control.is_none() {
            return Ok(());
        }
        let control = control.and_then(|control| self.keep(&mut state, control).ok());
        let mut known = Vec::new();
        if control.is_some()
            && let Ok(Reply::Hello { containers }) = tell(&state, &Request::Hello, &[])
        {
            known = containers;
        }
        for one in &known {
            if !wanted.iter().any(|wanted| wanted.container == *one) {
                drop(tell(&state, &Request::Leave { container: *one }, &[]));
            }
        }
        let mut missing = Vec::new();
        for one in wanted {
            if !known.contains(&one.container) {
                missing.push(one.container);
            }
            let ports = one.ports.into_iter().map(|port| (port, one.target, None));
            let served = Served {
                ports: ports.collect(),
                names: one.names,
            };
            for endpoint in &one.endpoints {
                let entry = Entry {
                    address: endpoint.address.address(),
                    names: endpoint.names.clone(),
                    network: endpoint.network_name.clone(),
                };
                let key = (endpoint.network.clone(), endpoint.id.clone());
                state.names.insert(key, entry);
            }
            state.served.insert(one.container, served);
        }
        if state.control.is_none() {
            return if state.served.is_empty() {
                Ok(())
            } else {
                self.revive(&mut state)
            };
        }
        // Names are told again, for they may have changed.
        tell_names(&state)?;
        missing
            .into_iter()
            .try_for_each(|container| begin(&mut state, container, 0, true))
    }

    /// Ends the conversation; with nobody served, netd ends too, and its socket goes.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        if state.control.take().is_some() && state.served.is_empty() {
            drop(std::fs::remove_file(&self.setup.socket));
        }
    }

    /// Changes what is to be served and tells netd; another one is told everything when this one
    /// does not hear.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State) -> Work) -> Result<()> {
        let mut state = self.state();
        let work = change(&mut state);
        if state.control.is_none() {
            return self.revive(&mut state);
        }
        let done = match work {
            Work::Ports(container, from) => begin(&mut state, container, from, false),
            Work::Names(container) => begin_names(&state, container),
            Work::Tell(request) => tell(&state, &request, &[]).map(drop),
        };
        match done {
            Err(Error::Socket(_)) => self.revive(&mut state),
            done => done,
        }
    }

    /// Starts netd and tells it everything.
    fn revive(self: &Arc<Self>, state: &mut State) -> Result<()> {
        state.control = None;
        let path = &self.setup.socket;
        // A dead one's; that there is none is as good.
        drop(std::fs::remove_file(path));
        let door = socket::listen(Kind::SeqPacket, path, BACKLOG).map_err(Error::Socket)?;
        (self.setup.start)(door).map_err(|error| Error::Netd(format!("starting it: {error}")))?;
        let control = socket::connect(Kind::SeqPacket, path).map_err(Error::Socket)?;
        self.keep(state, control)?;
        tell_names(state)?;
        let all: Vec<_> = state.served.keys().copied().collect();
        all.into_iter()
            .try_for_each(|container| begin(state, container, 0, true))
    }

    /// Keeps a conversation, and watches for its end.
    fn keep(self: &Arc<Self>, state: &mut State, control: OwnedFd) -> Result<()> {
        sys::fd::set_nonblocking(control.as_fd(), false).map_err(Error::Socket)?;
        let control = Arc::new(control);
        state.control = Some(Arc::clone(&control));
        let netd = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("wharf-netd".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || watch(&netd, &control))
            .map_err(Error::Thread)?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is half told is told again by the next daemon at the latest.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an earlier daemon began for a container that still runs.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) container: ContainerId,
    pub(crate) ports: Vec<Publication>,
    pub(crate) target: Ipv4Addr,
    pub(crate) names: Option<(Sandbox, OwnedFd)>,
    pub(crate) endpoints: Vec<EndpointRecord>,
}

enum Work {
    Ports(ContainerId, usize),
    Names(ContainerId),
    Tell(Request),
}

/// Waits for the end of a conversation that nobody wanted to end, and begins another.
fn watch(netd: &Weak<Netd>, control: &Arc<OwnedFd>) {
    let waited = Poll::new().and_then(|poll| {
        poll.add(control.as_fd(), 0, Interest::Nothing)?;
        loop {
            if poll.wait(None)?.iter().any(|event| event.closed) {
                return Ok(());
            }
        }
    });
    let (Ok(()), Some(netd)) = (waited, netd.upgrade()) else {
        return;
    };
    let mut state = netd.state();
    let current = state.control.as_ref();
    if current.is_some_and(|current| Arc::ptr_eq(current, control)) {
        state.control = None;
        if !state.served.is_empty() {
            // The next change tries again, and says what is wrong.
            drop(netd.revive(&mut state));
        }
    }
}

fn tell(state: &State, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<Reply> {
    let gone = || Error::Socket(sys::Error::new("netd", sys::Errno::PIPE));
    let control = state.control.as_ref().ok_or_else(gone)?;
    let bytes = serde_json::to_vec(request).map_err(|error| Error::Netd(error.to_string()))?;
    socket::send(control.as_fd(), &[&bytes], fds).map_err(Error::Socket)?;
    let mut packet = vec![0; PACKET_MAX];
    let received = socket::receive(control.as_fd(), &mut packet).map_err(Error::Socket)?;
    if received.len == 0 {
        return Err(gone());
    }
    match serde_json::from_slice(&packet[..received.len]) {
        Ok(Reply::Failed(why)) => Err(Error::Netd(why)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(Error::Netd(error.to_string())),
    }
}

fn tell_names(state: &State) -> Result<()> {
    state
        .names
        .iter()
        .try_for_each(|((network, endpoint), entry)| {
            let request = Request::Name {
                network: network.clone(),
                endpoint: endpoint.clone(),
                entry: entry.clone(),
            };
            tell(state, &request, &[]).map(drop)
        })
}

/// Begins a container's ports from number `from` on, and with `all` its names.
fn begin(state: &mut State, container: ContainerId, from: usize, all: bool) -> Result<()> {
    if let Some(served) = state.served.get_mut(&container) {
        for (port, _, socket) in served.ports.iter_mut().skip(from) {
            if socket.is_none() {
                // Somebody else may have taken it; the rule still leads to the container.
                *socket = ports::open(port).unwrap_or_default();
            }
        }
    }
    let Some(served) = state.served.get(&container) else {
        return Ok(());
    };
    for (port, target, socket) in served.ports.iter().skip(from) {
        let Some(socket) = socket else { continue };
        let request = Request::Listen {
            container,
            protocol: port.protocol,
            target: SocketAddrV4::new(*target, port.container_port),
        };
        tell(state, &request, &[socket.as_fd()])?;
    }
    if all {
        begin_names(state, container)?;
    }
    Ok(())
}

fn begin_names(state: &State, container: ContainerId) -> Result<()> {
    let served = state.served.get(&container);
    let Some((sandbox, netns)) = served.and_then(|served| served.names.as_ref()) else {
        return Ok(());
    };
    let request = Request::Resolve {
        container,
        sandbox: sandbox.clone(),
    };
    tell(state, &request, &[netns.as_fd()]).map(drop)
}
