//! A question that others are asked, one after the other until one knows.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use sys::poll::{Interest, Poll};

use super::resolve::{PATIENCE, Place, UPSTREAMS_ASKED, is_final};
use crate::dns::message::{self, Question};

/// The question, who asked, and who is being asked.
#[derive(Debug)]
pub(super) struct Forward {
    place: Arc<Place>,
    /// Token of the socket at which it came.
    pub(super) door: u64,
    asker: SocketAddr,
    query: Vec<u8>,
    question: Question,
    /// Number of the one who is asked now.
    turn: usize,
    socket: Option<UdpSocket>,
    pub(super) deadline: Instant,
}

/// How far it is.
pub(super) enum Step {
    Waits,
    Answer(SocketAddr, Vec<u8>),
}

impl Forward {
    pub(super) fn new(
        place: &Arc<Place>,
        door: u64,
        asker: SocketAddr,
        query: &[u8],
        question: Question,
    ) -> Self {
        Self {
            place: Arc::clone(place),
            door,
            asker,
            query: query.to_vec(),
            question,
            turn: 0,
            socket: None,
            deadline: Instant::now(),
        }
    }

    /// Asks the next one.
    pub(super) fn next(&mut self, poll: &Poll, token: u64) -> Step {
        loop {
            let upstreams = self.place.sandbox.upstreams.iter().take(UPSTREAMS_ASKED);
            let Some(upstream) = upstreams.clone().nth(self.turn) else {
                return self.failure();
            };
            self.turn += 1;
            let asked = self.place.socket_to(upstream).ok().and_then(|socket| {
                poll.add(socket.as_fd(), token, Interest::Read).ok()?;
                socket.send(&self.query).ok()?;
                Some(socket)
            });
            if let Some(socket) = asked {
                self.socket = Some(socket);
                self.deadline = Instant::now() + PATIENCE;
                return Step::Waits;
            }
        }
    }

    /// Something has come, or went wrong, at the socket.
    pub(super) fn receive(&mut self, poll: &Poll, token: u64, room: &mut [u8]) -> Step {
        let Some(socket) = &self.socket else {
            return self.next(poll, token);
        };
        match socket.recv(room) {
            Ok(count) => {
                let answer = &room[..count];
                if message::id(answer) != message::id(&self.query) {
                    return Step::Waits;
                }
                if !is_final(answer) {
                    return self.next(poll, token);
                }
                Step::Answer(self.asker, self.fitted(answer))
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Step::Waits,
            // Nobody listens there.
            Err(_) => self.next(poll, token),
        }
    }

    /// What is longer than the asker takes is cut, and it comes again by TCP.
    fn fitted(&self, answer: &[u8]) -> Vec<u8> {
        message::fitted(answer.to_vec(), &self.question)
    }

    fn failure(&self) -> Step {
        let code = message::SERVER_FAILURE;
        let answer = message::answer(&self.query, &self.question, code, &[]);
        Step::Answer(self.asker, answer)
    }
}
