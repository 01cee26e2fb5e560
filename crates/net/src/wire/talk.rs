//! A conversation with the kernel: send a batch, read what it owes, name what it refused.

use std::io;

use sys::netlink::{Protocol, Socket, buffer};

use super::message::{Answer, Batch, messages};
use crate::error::{Error, Result};

/// How often a dump is asked again because objects changed while it was read.
const DUMP_ATTEMPTS: usize = 16;

/// A netlink socket and the rules of its conversations.
#[derive(Debug)]
pub(crate) struct Talk {
    socket: Socket,
}

/// A refused request of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Which request, from 0.
    pub(crate) index: usize,
    /// What the kernel said.
    pub(crate) errno: i32,
    /// Its explanation.
    pub(crate) text: Option<String>,
}

impl Refusal {
    /// Makes the error of doing `what`.
    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        Error::Refused {
            what: what.into(),
            explanation: self
                .text
                .as_ref()
                .map(|text| format!(" ({text})"))
                .unwrap_or_default(),
            source: io::Error::from_raw_os_error(self.errno),
        }
    }
}

impl Talk {
    /// Opens a socket in the network namespace of this thread.
    pub(crate) fn open(protocol: Protocol) -> Result<Self> {
        Socket::open(protocol)
            .map(|socket| Self { socket })
            .map_err(Error::Socket)
    }

    /// Sends a batch of independent requests and waits for all answers; the refusals are returned
    /// in order, the others were done.
    pub(crate) fn send(&mut self, batch: &Batch) -> Result<Vec<Refusal>> {
        if batch.acks() == 0 {
            return Ok(Vec::new());
        }
        self.socket.send(batch.bytes()).map_err(Error::Socket)?;
        let mut room = buffer();
        let mut refusals = Vec::new();
        let mut owed = batch.acks();
        while owed > 0 {
            for message in messages(self.socket.receive(&mut room).map_err(Error::Socket)?) {
                match message.answer() {
                    Answer::Object(_) => continue,
                    Answer::Done | Answer::End { .. } => {}
                    Answer::Refused { errno, text } => refusals.push(Refusal {
                        index: message.sequence.saturating_sub(1) as usize,
                        errno,
                        text,
                    }),
                }
                owed = owed.saturating_sub(1);
            }
        }
        Ok(refusals)
    }

    /// Sends a batch that the kernel does as a whole or not at all (nf_tables). After a refusal the
    /// conversation is over: the socket may still hold answers.
    pub(crate) fn commit(self, batch: &Batch) -> Result<Result<(), Refusal>> {
        self.socket.send(batch.bytes()).map_err(Error::Socket)?;
        let mut room = buffer();
        let mut owed = batch.acks();
        while owed > 0 {
            for message in messages(self.socket.receive(&mut room).map_err(Error::Socket)?) {
                match message.answer() {
                    Answer::Refused { errno, text } => {
                        let index = message.sequence.saturating_sub(1) as usize;
                        return Ok(Err(Refusal { index, errno, text }));
                    }
                    Answer::Done => owed -= 1,
                    Answer::Object(_) | Answer::End { .. } => {}
                }
            }
        }
        Ok(Ok(()))
    }

    /// Asks for one object; nothing when the kernel has none (`absent` is what it says then).
    pub(crate) fn get(&mut self, batch: &Batch, absent: i32) -> Result<Option<Vec<u8>>, Error> {
        self.socket.send(batch.bytes()).map_err(Error::Socket)?;
        let mut room = buffer();
        let mut object = None;
        let mut owed = batch.acks();
        while owed > 0 {
            for message in messages(self.socket.receive(&mut room).map_err(Error::Socket)?) {
                match message.answer() {
                    Answer::Object(payload) => object = Some(payload.to_vec()),
                    Answer::Done | Answer::End { .. } => owed -= 1,
                    Answer::Refused { errno, .. } if errno == absent => return Ok(None),
                    Answer::Refused { errno, text } => {
                        return Err(Refusal {
                            index: 0,
                            errno,
                            text,
                        }
                        .error("read an object"));
                    }
                }
            }
        }
        Ok(object)
    }

    /// Asks for all objects that the one request of `batch` lists, and returns their payloads.
    pub(crate) fn dump(&mut self, batch: &Batch) -> Result<Vec<Vec<u8>>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(objects) = self.dump_once(batch)? {
                return Ok(objects);
            }
        }
        Err(Error::Unsteady)
    }

    fn dump_once(&mut self, batch: &Batch) -> Result<Option<Vec<Vec<u8>>>> {
        self.socket.send(batch.bytes()).map_err(Error::Socket)?;
        let mut room = buffer();
        let mut objects = Vec::new();
        loop {
            for message in messages(self.socket.receive(&mut room).map_err(Error::Socket)?) {
                match message.answer() {
                    Answer::Object(payload) => objects.push(payload.to_vec()),
                    Answer::Done => {}
                    Answer::End { consistent } => return Ok(consistent.then_some(objects)),
                    Answer::Refused { errno, text } => {
                        return Err(Refusal {
                            index: 0,
                            errno,
                            text,
                        }
                        .error("list objects"));
                    }
                }
            }
        }
    }
}

/// Turns the first refusal into an error that names its request by `what`.
pub(crate) fn first_refusal(refusals: &[Refusal], what: impl Fn(usize) -> String) -> Result<()> {
    refusals
        .first()
        .map_or(Ok(()), |refusal| Err(refusal.error(what(refusal.index))))
}
