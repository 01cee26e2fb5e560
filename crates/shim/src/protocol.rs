//! Pure: what daemon and shim say to each other, over a `SOCK_SEQPACKET` unix socket with
//! descriptor passing.
//!
//! A message is one packet: header, then a body in JSON. The header is 16 bytes, little endian:
//! `u32` length of the body, `u16` type (1 request, 2 reply, 3 event), `u16` version, `u64` id of
//! the request (0 for events). A body over [`INLINE_MAX`] bytes travels in a sealed memfd, the last
//! descriptor of the packet, and [`BODY_IN_MEMFD`] is set in the type.
//! A daemon speaks to shims of the version before and after its own; unknown fields are ignored.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::Mount;
use types::oci::runtime::{Process, Spec};
use types::restart_policy::Rule;

/// Version of this protocol.
pub const VERSION: u16 = 1;
/// Longest body inside a packet, in bytes; below the smallest default of net.core.wmem_default.
pub const INLINE_MAX: usize = 64 * 1024;
/// Flag in the type: the body is in the last descriptor.
pub const BODY_IN_MEMFD: u16 = 0x8000;
/// Bytes of the header.
pub const HEADER_LEN: usize = 16;

/// What the daemon asks for; each is answered by exactly one [`Reply`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you, and how is it? Also how a new daemon adopts a shim.
    Hello,
    /// Make the container. Descriptors: the network namespace, if `has_netns`.
    Create(Box<Create>),
    /// Let it run.
    Start,
    /// Run another process in it. Descriptors: the client's stream, if `attach` is given.
    Exec(Box<Exec>),
    /// Send a signal to init, or to an exec.
    Signal {
        /// Number.
        signal: i32,
        /// Which exec; none is init.
        exec_id: Option<String>,
    },
    /// Kill everything in the container's cgroup.
    KillAll,
    /// Stop (freeze) or continue everything in the container's cgroup.
    Freeze {
        /// Stop.
        frozen: bool,
    },
    /// Set the size of a terminal.
    Resize {
        /// Which exec; none is init.
        exec_id: Option<String>,
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Connect a client's stream to init's stdio. Descriptors: the stream.
    Attach(Attach),
    /// Give the descriptor of the container's root directory.
    OpenRoot,
    /// Do not start the container again after its next end: its user stops it. One that waits to be
    /// started again has ended for good.
    Hold,
    /// Follow another rule from now on.
    SetRestart {
        /// The rule.
        rule: Rule,
        /// What a restart is made from from now on.
        create: Box<Create>,
    },
    /// Remove what is left of the container (cgroup, socket) and end.
    Delete,
}

/// The container to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The container's directory in the data root: exit.json, state.log and the log file.
    pub dir: String,
    /// Where the shim listens for the next daemon.
    pub socket: String,
    /// config.json.
    pub spec: Spec,
    /// Its root file system.
    pub root: Mount,
    /// A network namespace comes with the packet.
    pub has_netns: bool,
    /// Keep stdin open for attach; otherwise it reads end of file.
    pub open_stdin: bool,
    /// Close stdin when the first attached client ends it.
    pub stdin_once: bool,
    /// Where output goes.
    pub log: Log,
    /// Size of the terminal at the start: columns, rows.
    pub console_size: Option<(u16, u16)>,
    /// What happens when it ends.
    #[serde(default)]
    pub restart: Rule,
    /// How it is asked how it feels.
    #[serde(default)]
    pub health: Option<Box<Health>>,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// What is run; exit code 0 is healthy.
    pub process: Process,
    /// Between the end of a probe and the next one.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// From the start: failures do not count before the first success.
    pub start_period: Duration,
    /// Between probes in that time.
    pub start_interval: Duration,
    /// So many failures in a row make it unhealthy.
    pub retries: u32,
}

/// Docker's words for how a container feels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feeling {
    /// Not known yet.
    #[default]
    Starting,
    /// Its last probe succeeded, or too few failed since.
    Healthy,
    /// Too many probes in a row failed.
    Unhealthy,
}

/// How a container feels, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthState {
    /// In a word.
    pub feeling: Feeling,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last probes, at most [`PROBES_KEPT`], the oldest first.
    pub log: Vec<Probe>,
}

/// So many probes are remembered, as by Docker.
pub const PROBES_KEPT: usize = 5;

/// How one probe ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// 0-255; -1: it could not run, or took too long.
    pub exit_code: i32,
    /// What it said, the beginning of it.
    pub output: String,
}

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Log {
    /// Nowhere.
    None,
    /// `ID-json.log` in the container's directory.
    JsonFile {
        /// Bytes per file; 0 is no limit.
        max_size: u64,
        /// Files kept, at least 1.
        max_file: u32,
    },
}

/// Another process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// 64 hexadecimal digits.
    pub exec_id: String,
    /// What to run.
    pub process: Process,
    /// Its client, from the start so that nothing is lost; none: detached.
    pub attach: Option<Attach>,
    /// Size of the terminal at the start: columns, rows.
    pub console_size: Option<(u16, u16)>,
}

/// How a client's stream is connected. The daemon has already answered the HTTP request: the shim
/// speaks the raw or multiplexed stream on the descriptor until the process or the client ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The client's bytes go to stdin.
    pub stdin: bool,
    /// stdout goes to the client.
    pub stdout: bool,
    /// stderr goes to the client.
    pub stderr: bool,
    /// 8-byte frame headers (no terminal), or raw bytes.
    pub framed: bool,
    /// Bytes that the client sent behind its request head already.
    #[serde(default)]
    pub early_input: Vec<u8>,
    /// Key sequence that detaches; empty: none.
    #[serde(default)]
    pub detach_keys: Vec<u8>,
    /// What the daemon calls this client in [`Event::Detached`].
    #[serde(default)]
    pub client: u64,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Ok,
    /// To Hello.
    Hello(Box<Status>),
    /// To Create and Exec.
    Process {
        /// Host pid.
        pid: i32,
        /// Field 22 of /proc/PID/stat.
        start_time: u64,
        /// The steps of its making: what, and when it was over, in microseconds since they began.
        #[serde(default)]
        steps: Vec<(String, u32)>,
    },
    /// To OpenRoot: one descriptor comes with it.
    Root,
    /// It failed.
    Failed {
        /// The sentence, as Docker's users know it.
        message: String,
    },
}

/// How a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The container; empty before Create.
    pub id: String,
    /// Version that the shim speaks.
    pub version: u16,
    /// Host pid of init, 0 before Create.
    pub pid: i32,
    /// Field 22 of init's /proc/PID/stat.
    pub start_time: u64,
    /// Where in its life.
    pub phase: Phase,
    /// Init's end, once it ended.
    pub exit: Option<Exit>,
    /// Exec instances that still run.
    pub execs: Vec<String>,
    /// How often the rule started it again.
    #[serde(default)]
    pub restarts: u32,
    /// When its present life began, in nanoseconds since 1970; 0 before the start.
    #[serde(default)]
    pub started_ns: i64,
    /// How it feels, if it is asked.
    #[serde(default)]
    pub health: Option<Box<HealthState>>,
}

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No Create yet.
    Empty,
    /// Waits for Start.
    Created,
    /// Runs.
    Running,
    /// Ended.
    Stopped,
    /// Ended, and will be started again.
    Restarting,
}

/// How init ended; also the content of `exit.json`, which is durable before anybody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0-255, or 128 + signal.
    pub code: i32,
    /// The kernel killed for memory.
    pub oom: bool,
    /// When, in nanoseconds since 1970.
    pub finished_ns: i64,
}

/// What the shim tells every connected daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Init ended, and the record is durable. Sent before clients' streams are closed.
    Exited(Exit),
    /// An exec ended. Sent before its client's stream is closed.
    ExecExited {
        /// Which.
        exec_id: String,
        /// 0-255, or 128 + signal.
        code: i32,
    },
    /// A client pressed its detach keys.
    Detached {
        /// [`Attach::client`].
        client: u64,
        /// Of which exec; none is init.
        exec_id: Option<String>,
    },
    /// The kernel killed for memory in the container.
    Oom,
    /// Init ended, the record is durable, and the rule starts it again in a moment.
    Restarting {
        /// How it ended.
        exit: Exit,
        /// The how maniest restart this will be.
        restarts: u32,
    },
    /// The rule started it again.
    Restarted {
        /// Host pid.
        pid: i32,
        /// Field 22 of /proc/PID/stat.
        start_time: u64,
        /// When, in nanoseconds since 1970.
        started_ns: i64,
    },
    /// The rule could not start it again: it has ended.
    GaveUp {
        /// How it ended.
        exit: Exit,
        /// Why.
        message: String,
    },
    /// A probe ended.
    Probed {
        /// How the container feels now.
        feeling: Feeling,
        /// Failures in a row.
        failing_streak: u32,
        /// The probe.
        probe: Probe,
    },
}

/// The three kinds of packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Daemon to shim.
    Request(u64, Request),
    /// Shim to daemon.
    Reply(u64, Reply),
    /// Shim to daemon, unasked.
    Event(Event),
}

/// A packet that is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its header says.
    #[error("packet of {0} bytes is cut short")]
    Short(usize),
    /// Neither request, reply nor event.
    #[error("unknown packet type {0}")]
    Kind(u16),
    /// The other side is more than one version away.
    #[error("shim protocol version {0} is not spoken here (ours is {VERSION})")]
    Version(u16),
    /// Not the JSON we know.
    #[error("packet body: {0}")]
    Body(#[from] serde_json::Error),
}

/// A packet in two parts: the body travels inline or in a memfd, as its length decides.
#[derive(Debug)]
pub struct Packet {
    /// 16 bytes; the memfd flag is set when the body is longer than [`INLINE_MAX`].
    pub header: [u8; HEADER_LEN],
    /// JSON.
    pub body: Vec<u8>,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the body.
    pub len: usize,
    /// 1 request, 2 reply, 3 event.
    pub kind: u16,
    /// The body is in the last descriptor.
    pub in_memfd: bool,
    /// Of the request.
    pub id: u64,
}

/// Encodes a message.
pub fn encode(message: &Message) -> Packet {
    let (kind, id, body) = match message {
        Message::Request(id, request) => (1_u16, *id, serde_json::to_vec(request)),
        Message::Reply(id, reply) => (2, *id, serde_json::to_vec(reply)),
        Message::Event(event) => (3, 0, serde_json::to_vec(event)),
    };
    let body = body.expect("these types have string keys and no failing serializer");
    let flag = if body.len() > INLINE_MAX {
        BODY_IN_MEMFD
    } else {
        0
    };
    let len = u32::try_from(body.len()).expect("a body is far below 4 GiB");
    let mut header = [0; HEADER_LEN];
    header[0..4].copy_from_slice(&len.to_le_bytes());
    header[4..6].copy_from_slice(&(kind | flag).to_le_bytes());
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&id.to_le_bytes());
    Packet { header, body }
}

/// Decodes the first [`HEADER_LEN`] bytes of a packet.
pub fn decode_header(packet: &[u8]) -> Result<Header, DecodeError> {
    let Some(header) = packet.first_chunk::<HEADER_LEN>() else {
        return Err(DecodeError::Short(packet.len()));
    };
    let [l0, l1, l2, l3, k0, k1, v0, v1, id @ ..] = *header;
    let version = u16::from_le_bytes([v0, v1]);
    if version.abs_diff(VERSION) > 1 {
        return Err(DecodeError::Version(version));
    }
    let kind = u16::from_le_bytes([k0, k1]);
    Ok(Header {
        len: u32::from_le_bytes([l0, l1, l2, l3]) as usize,
        kind: kind & !BODY_IN_MEMFD,
        in_memfd: kind & BODY_IN_MEMFD != 0,
        id: u64::from_le_bytes(id),
    })
}

/// Decodes a body.
pub fn decode(header: Header, body: &[u8]) -> Result<Message, DecodeError> {
    let body = body
        .get(..header.len)
        .ok_or(DecodeError::Short(body.len()))?;
    match header.kind {
        1 => Ok(Message::Request(header.id, serde_json::from_slice(body)?)),
        2 => Ok(Message::Reply(header.id, serde_json::from_slice(body)?)),
        3 => Ok(Message::Event(serde_json::from_slice(body)?)),
        other => Err(DecodeError::Kind(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(message: &Message) {
        let packet = encode(message);
        let header = decode_header(&packet.header).unwrap();
        assert_eq!(&decode(header, &packet.body).unwrap(), message);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        round_trip(&Message::Request(7, Request::Hello));
        round_trip(&Message::Request(
            8,
            Request::Signal {
                signal: 9,
                exec_id: None,
            },
        ));
        round_trip(&Message::Reply(
            9,
            Reply::Failed {
                message: "no".to_owned(),
            },
        ));
        round_trip(&Message::Event(Event::Exited(Exit {
            code: 7,
            oom: false,
            finished_ns: 1,
        })));
    }

    #[test]
    fn refuses_foreign_packets() {
        assert!(matches!(decode_header(&[0; 3]), Err(DecodeError::Short(3))));
        let mut packet = encode(&Message::Request(1, Request::Hello));
        packet.header[6] = 9;
        assert!(matches!(
            decode_header(&packet.header),
            Err(DecodeError::Version(9))
        ));
        packet.header[6] = 1;
        packet.header[4] = 9;
        let header = decode_header(&packet.header).unwrap();
        assert!(matches!(
            decode(header, &packet.body),
            Err(DecodeError::Kind(9))
        ));
    }
}
