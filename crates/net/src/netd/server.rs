//! netd's loop: what happens at which descriptor.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use sys::poll::{Event, Interest, Poll};
use types::id::ContainerId;
use types::port::Protocol;

use super::datagram::{Asker, IDLE, Port};
use super::forward::{Forward, Step};
use super::protocol::{PACKET_MAX, Reply, Request};
use super::resolve::{Place, Verdict};
use super::stream::Pair;
use crate::dns::message;
use crate::dns::zone::Zones;
use crate::{Error, Result};

/// Where bytes are for a moment; no datagram is longer.
const ROOM_BYTES: usize = 64 << 10;
/// Questions that others are asked at one time; more are refused, as Docker does.
const FORWARDS_MAX: usize = 1024;
/// Connections taken in one turn.
const ACCEPTS: usize = 64;

/// What stands behind a token.
enum Thing {
    Door(OwnedFd),
    Daemon(OwnedFd),
    Streams(TcpListener, SocketAddrV4),
    Stream(Box<Pair>),
    Port(Port),
    Asker(Asker),
    Questions(UdpSocket, Arc<Place>),
    Conversations(TcpListener, Arc<Place>),
    Forward(Box<Forward>),
}

struct Server {
    poll: Poll,
    /// Tokens are even: a connection that is passed on has the next one too.
    next: u64,
    things: HashMap<u64, Thing>,
    owners: HashMap<u64, ContainerId>,
    timers: BTreeSet<(Instant, u64)>,
    daemons: usize,
    forwards: usize,
    names: Arc<RwLock<Zones>>,
    own: Arc<OwnedFd>,
    room: Vec<u8>,
}

/// Serves until nobody needs it. `door` is where daemons come in.
pub fn run(door: OwnedFd) -> i32 {
    // How people find it; that it has another name is no reason not to serve.
    let _named_otherwise = sys::process::set_name(c"wharf-netd");
    let served = Server::new(door).and_then(|mut server| server.serve());
    i32::from(served.is_err())
}

impl Server {
    fn new(door: OwnedFd) -> Result<Self> {
        let own = sys::namespace::open(Path::new("/proc/self/ns/net")).map_err(Error::Namespace)?;
        let mut server = Self {
            poll: Poll::new().map_err(Error::Socket)?,
            next: 0,
            things: HashMap::new(),
            owners: HashMap::new(),
            timers: BTreeSet::new(),
            daemons: 0,
            forwards: 0,
            names: Arc::default(),
            own: Arc::new(own),
            room: vec![0; ROOM_BYTES],
        };
        let token = server.token();
        server.watch(door.as_fd(), token)?;
        server.things.insert(token, Thing::Door(door));
        Ok(server)
    }

    fn serve(&mut self) -> Result<()> {
        // A daemon that started it and died before it came: nobody ever will.
        let mut visited = false;
        loop {
            visited |= self.daemons > 0;
            if visited && self.daemons == 0 && self.owners.is_empty() {
                return Ok(());
            }
            let now = Instant::now();
            let first = self.timers.first().map(|(at, _)| *at);
            let wait = first.map(|at| at.saturating_duration_since(now));
            let wait = wait.or((!visited).then_some(IDLE));
            let events = self.poll.wait(wait).map_err(Error::Socket)?;
            if !visited && first.is_none() && events.is_empty() {
                return Ok(());
            }
            for event in events {
                self.happened(event);
            }
            self.expire();
        }
    }

    fn token(&mut self) -> u64 {
        self.next += 2;
        self.next
    }

    fn watch(&self, fd: std::os::fd::BorrowedFd<'_>, token: u64) -> Result<()> {
        self.poll
            .add(fd, token, Interest::Read)
            .map_err(Error::Socket)
    }

    /// A thing is taken out while it is dealt with, and put back if it goes on.
    fn happened(&mut self, event: Event) {
        let token = event.token & !1;
        let Some(mut thing) = self.things.remove(&token) else {
            return;
        };
        let stays = match &mut thing {
            Thing::Door(door) => {
                self.welcome(door);
                true
            }
            Thing::Daemon(control) => self.listen_to_daemon(control, event),
            Thing::Streams(listener, target) => {
                self.take_streams(listener, *target, token);
                true
            }
            Thing::Stream(pair) => pair.turn(&self.poll, token, &mut self.room),
            Thing::Port(port) => {
                self.take_datagrams(port, token);
                true
            }
            Thing::Asker(asker) => {
                self.pass_back(asker);
                true
            }
            Thing::Questions(socket, place) => {
                self.take_questions(socket, place, token);
                true
            }
            Thing::Conversations(listener, place) => {
                for (stream, _) in (0..ACCEPTS).map_while(|_| listener.accept().ok()) {
                    Place::converse(place, stream);
                }
                true
            }
            Thing::Forward(forward) => {
                let step = forward.receive(&self.poll, token, &mut self.room);
                self.step(forward, token, step)
            }
        };
        if stays {
            self.things.insert(token, thing);
        } else {
            self.over(token, &thing);
        }
    }

    fn over(&mut self, token: u64, thing: &Thing) {
        match thing {
            Thing::Daemon(_) => self.daemons -= 1,
            Thing::Forward(_) => self.forwards -= 1,
            _ => {}
        }
        self.owners.remove(&token);
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some((at, token)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, token));
            let Some(mut thing) = self.things.remove(&token) else {
                continue;
            };
            let stays = match &mut thing {
                Thing::Forward(forward) if forward.deadline <= now => {
                    let step = forward.next(&self.poll, token);
                    self.step(forward, token, step)
                }
                Thing::Asker(asker) if asker.heard + IDLE <= now => {
                    if let Some(Thing::Port(port)) = self.things.get_mut(&asker.port) {
                        port.forget(asker);
                    }
                    false
                }
                Thing::Asker(asker) => {
                    self.timers.insert((asker.heard + IDLE, token));
                    true
                }
                _ => true,
            };
            if stays {
                self.things.insert(token, thing);
            } else {
                self.over(token, &thing);
            }
        }
    }

    fn welcome(&mut self, door: &OwnedFd) {
        while let Ok(control) = sys::socket::accept(door.as_fd()) {
            let token = self.token();
            if self.watch(control.as_fd(), token).is_ok() {
                self.daemons += 1;
                self.things.insert(token, Thing::Daemon(control));
            }
        }
    }

    /// False when the daemon has gone.
    fn listen_to_daemon(&mut self, control: &OwnedFd, event: Event) -> bool {
        let mut packet = vec![0; PACKET_MAX];
        let received = match sys::socket::receive(control.as_fd(), &mut packet) {
            Ok(received) if received.len > 0 => received,
            Err(error) if error.errno == sys::Errno::AGAIN => return !event.closed,
            _ => return false,
        };
        let request = packet.get(..received.len).unwrap_or_default();
        let reply = match serde_json::from_slice(request) {
            Ok(request) => self
                .obey(request, received.fds)
                .unwrap_or_else(|error| Reply::Failed(error.to_string())),
            Err(error) => Reply::Failed(error.to_string()),
        };
        let bytes = serde_json::to_vec(&reply).unwrap_or_default();
        sys::socket::send(control.as_fd(), &[&bytes], &[]).is_ok()
    }

    fn obey(&mut self, request: Request, mut fds: Vec<OwnedFd>) -> Result<Reply> {
        let mut descriptor = || fds.pop().ok_or_else(|| Error::Netd("no descriptor".into()));
        match request {
            Request::Hello => {
                let mut containers: Vec<_> = self.owners.values().copied().collect();
                containers.sort_unstable();
                containers.dedup();
                return Ok(Reply::Hello { containers });
            }
            Request::Listen {
                container,
                protocol,
                target,
            } => self.open_port(container, protocol, target, descriptor()?)?,
            Request::Resolve { container, sandbox } => {
                let netns = descriptor()?;
                self.close_questions(container);
                let (place, udp, tcp) = Place::open(sandbox, netns, &self.own, &self.names)?;
                let place = Arc::new(place);
                let tokens = (self.token(), self.token());
                self.watch(udp.as_fd(), tokens.0)?;
                self.watch(tcp.as_fd(), tokens.1)?;
                self.owners
                    .extend([(tokens.0, container), (tokens.1, container)]);
                let questions = Thing::Questions(udp, Arc::clone(&place));
                self.things.insert(tokens.0, questions);
                self.things
                    .insert(tokens.1, Thing::Conversations(tcp, place));
            }
            Request::Name {
                network,
                endpoint,
                entry,
            } => self.names_mut(|names| names.insert(&network, endpoint, entry)),
            Request::Unname { network, endpoint } => {
                self.names_mut(|names| names.remove(&network, &endpoint));
            }
            Request::Leave { container } => self.leave(container, |_| true),
        }
        Ok(Reply::Done)
    }

    fn names_mut(&self, change: impl FnOnce(&mut Zones)) {
        change(&mut self.names.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn open_port(
        &mut self,
        container: ContainerId,
        protocol: Protocol,
        target: SocketAddrV4,
        socket: OwnedFd,
    ) -> Result<()> {
        let token = self.token();
        self.watch(socket.as_fd(), token)?;
        let thing = match protocol {
            Protocol::Udp => Thing::Port(Port::new(socket.into(), target)),
            Protocol::Tcp | Protocol::Sctp => Thing::Streams(socket.into(), target),
        };
        self.owners.insert(token, container);
        self.things.insert(token, thing);
        Ok(())
    }

    /// The container is on other networks now: its old sockets go, its ports stay.
    fn close_questions(&mut self, container: ContainerId) {
        self.leave(container, |thing| {
            matches!(thing, Thing::Questions(..) | Thing::Conversations(..))
        });
    }

    fn leave(&mut self, container: ContainerId, which: impl Fn(&Thing) -> bool) {
        let tokens: Vec<_> = self
            .owners
            .iter()
            .filter(|(token, owner)| {
                **owner == container && self.things.get(token).is_some_and(&which)
            })
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            if let Some(thing) = self.things.remove(&token) {
                self.over(token, &thing);
            }
        }
    }

    fn take_streams(&mut self, listener: &TcpListener, target: SocketAddrV4, from: u64) {
        let owner = self.owners.get(&from).copied();
        let guests = (0..ACCEPTS).map_while(|_| listener.accept().ok());
        let guests: Vec<TcpStream> = guests.map(|(guest, _)| guest).collect();
        for guest in guests {
            let token = self.token();
            let opened = guest
                .set_nonblocking(true)
                .ok()
                .and_then(|()| Pair::open(guest, target, &self.poll, token).ok());
            // One that cannot be passed on ends here.
            if let (Some(pair), Some(owner)) = (opened, owner) {
                self.owners.insert(token, owner);
                self.things.insert(token, Thing::Stream(Box::new(pair)));
            }
        }
    }

    fn take_datagrams(&mut self, port: &mut Port, token: u64) {
        for _ in 0..Port::reads() {
            let Some((count, address)) = port.receive(&mut self.room) else {
                return;
            };
            let asker = if let Some(asker) = port.asker(address) {
                asker
            } else {
                let own = self.token();
                let Some(asker) = port.admit(address, &self.poll, (token, own)) else {
                    continue;
                };
                if let Some(owner) = self.owners.get(&token).copied() {
                    self.owners.insert(own, owner);
                }
                self.timers.insert((asker.heard + IDLE, own));
                self.things.insert(own, Thing::Asker(asker));
                own
            };
            if let Some(Thing::Asker(asker)) = self.things.get_mut(&asker) {
                asker.ask(&self.room[..count]);
            }
        }
    }

    fn pass_back(&mut self, asker: &mut Asker) {
        for _ in 0..Port::reads() {
            let Some(count) = asker.receive(&mut self.room) else {
                return;
            };
            if let Some(Thing::Port(port)) = self.things.get(&asker.port) {
                port.answer(asker, &self.room[..count]);
            }
        }
    }

    fn take_questions(&mut self, socket: &UdpSocket, place: &Arc<Place>, door: u64) {
        for _ in 0..Port::reads() {
            let Ok((count, asker)) = socket.recv_from(&mut self.room) else {
                return;
            };
            let query = &self.room[..count];
            match place.judge(query, false) {
                Verdict::Answer(answer) => reply(socket, asker, &answer),
                Verdict::Silence => {}
                Verdict::Forward(question) if self.forwards >= FORWARDS_MAX => {
                    let answer = message::answer(query, &question, message::REFUSED, &[]);
                    reply(socket, asker, &answer);
                }
                Verdict::Forward(question) => {
                    let mut forward = Box::new(Forward::new(place, door, asker, query, question));
                    let token = self.token();
                    match forward.next(&self.poll, token) {
                        Step::Answer(asker, answer) => reply(socket, asker, &answer),
                        Step::Waits => {
                            self.forwards += 1;
                            self.timers.insert((forward.deadline, token));
                            self.things.insert(token, Thing::Forward(forward));
                        }
                    }
                }
            }
        }
    }

    /// Returns whether the question still waits.
    fn step(&mut self, forward: &Forward, token: u64, step: Step) -> bool {
        match step {
            Step::Waits => {
                self.timers.insert((forward.deadline, token));
                true
            }
            Step::Answer(asker, answer) => {
                if let Some(Thing::Questions(socket, _)) = self.things.get(&forward.door) {
                    reply(socket, asker, &answer);
                }
                false
            }
        }
    }
}

fn reply(socket: &UdpSocket, asker: SocketAddr, answer: &[u8]) {
    // A datagram may always be lost; the asker asks again.
    drop(socket.send_to(answer, asker));
}
