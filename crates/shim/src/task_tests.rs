//! A task whose process is a shell of this machine, without container and shim.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use logs::{Limits, Reader, Select};
use sys::process::{Program, Spawn};

use super::*;
use crate::protocol::Attach;

/// A turn that waits longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(10);

struct Fixture {
    poll: Rc<Poll>,
    task: Task,
    /// The task's own is given to it.
    pidfd: OwnedFd,
    next: u32,
    detached: bool,
}

const ALL: Wanted = Wanted {
    stdin: true,
    stdout: true,
    stderr: true,
};

fn attach() -> Attach {
    Attach {
        stdin: true,
        stdout: true,
        stderr: true,
        framed: true,
        early_input: Vec::new(),
        detach_keys: Vec::new(),
        client: 7,
    }
}

fn run(script: &str, log: Option<&Path>) -> Fixture {
    let poll = Rc::new(Poll::new().unwrap());
    let (ends, stdio) = Ends::make(false, ALL).unwrap();
    let Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    } = stdio
    else {
        panic!("no terminal was asked for")
    };
    let args = ["sh", "-c", script].map(OsStr::new);
    let fds: [BorrowedFd<'_>; 3] = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let spawn = Spawn {
        program: Program::Path(Path::new("/bin/sh")),
        args: &args,
        env: &[OsStr::new("PATH=/usr/bin:/bin")],
        cwd: Path::new("/"),
        fds: &fds,
        session: false,
        foreground: false,
        death_signal: None,
    };
    let child = spawn.start().unwrap();
    let pidfd = sys::fd::duplicate(child.pidfd.as_fd()).unwrap();
    poll.add(pidfd.as_fd(), Token::Signals.encode(), Interest::Read)
        .unwrap();
    let child = runtime::Child {
        pid: child.pid,
        start_time: 0,
        pidfd: child.pidfd,
        console: None,
        steps: Vec::new(),
    };
    let identity = Identity {
        number: 1,
        exec_id: None,
        stdin_once: true,
    };
    let limits = Limits {
        max_size: 0,
        max_file: 1,
    };
    let log = log.map(|path| Writer::open(path, limits).unwrap());
    let task = Task::new(identity, child, ends, log, &poll).unwrap();
    Fixture {
        poll,
        task,
        pidfd,
        next: 2,
        detached: false,
    }
}

impl Fixture {
    fn attach(&mut self, attach: Attach) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let client = Client::new(ours.into(), self.next, attach, &self.poll).unwrap();
        self.next += 1;
        assert!(!self.task.attach(client));
        theirs
    }

    fn turn(&mut self) {
        assert!(self.turn_within(PATIENCE), "nothing happens any more");
    }

    /// True: something happened.
    fn turn_within(&mut self, patience: Duration) -> bool {
        self.task.settle(Instant::now());
        let events = self.poll.wait(Some(patience)).unwrap();
        let happened = !events.is_empty();
        for event in events {
            match Token::decode(event.token).unwrap() {
                Token::Signals => {
                    if let Some(status) = sys::pidfd::try_wait(self.pidfd.as_fd()).unwrap() {
                        self.poll.remove(self.pidfd.as_fd()).unwrap();
                        self.task.end(status.code());
                    }
                }
                Token::Stdin(_) => self.task.on_stdin(),
                Token::Stdout(_) => self.task.on_output(Stream::Stdout),
                Token::Stderr(_) => self.task.on_output(Stream::Stderr),
                Token::Client(number) => self.detached |= self.task.on_client(number, event),
                Token::Listener | Token::Daemon(_) | Token::Oom => panic!("there are none"),
            }
        }
        self.task.settle(Instant::now());
        happened
    }

    fn until(&mut self, done: impl Fn(&Task) -> bool) {
        while !done(&self.task) {
            self.turn();
        }
    }

    /// Runs it to its end and returns its code; clients are closed as soon as they have all.
    fn finish(&mut self) -> i32 {
        self.until(|task| task.finished(Instant::now()).is_some());
        let code = self.task.finished(Instant::now()).unwrap().code;
        self.task.finish();
        self.task.close_clients();
        self.task.settle(Instant::now());
        code
    }
}

fn read_all(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn payload(mut framed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut decoder = api::frame::Decoder::default();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((stream, piece)) = decoder.next(&mut framed).unwrap() {
        match stream {
            api::frame::Stream::Stdout => out.extend_from_slice(piece),
            api::frame::Stream::Stderr => err.extend_from_slice(piece),
            other => panic!("{other:?} is not output"),
        }
    }
    assert!(decoder.is_between_frames());
    (out, err)
}

struct LogFile(PathBuf);

impl LogFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("wharf-task-{}-{name}", std::process::id())))
    }

    fn read(&self) -> Vec<(Stream, String)> {
        let mut reader = Reader::open(&self.0, Select::default(), false).unwrap();
        std::iter::from_fn(|| reader.next_entry().unwrap())
            .map(|entry| (entry.stream, String::from_utf8(entry.bytes).unwrap()))
            .collect()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn output_goes_to_the_log_and_to_every_client() {
    let log = LogFile::new("out");
    let mut fixture = run(
        "read go; echo out; echo err >&2; printf rest; exit 7",
        Some(&log.0),
    );
    let mut framed = fixture.attach(attach());
    let raw = fixture.attach(Attach {
        framed: false,
        stderr: false,
        stdin: false,
        ..attach()
    });
    framed.write_all(b"\n").unwrap();
    assert_eq!(fixture.finish(), 7);
    assert_eq!(
        payload(&read_all(framed)),
        (b"out\nrest".to_vec(), b"err\n".to_vec())
    );
    assert_eq!(read_all(raw), b"out\nrest");
    let mut lines = log.read();
    lines.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
    let out = |text: &str| (Stream::Stdout, text.to_owned());
    assert_eq!(
        lines,
        [
            out("out\n"),
            out("rest"),
            (Stream::Stderr, "err\n".to_owned())
        ]
    );
}

#[test]
fn an_end_of_the_client_s_side_ends_stdin_and_not_the_output() {
    let mut fixture = run("cat; echo end", None);
    let early = b"early ".to_vec();
    let mut client = fixture.attach(Attach {
        early_input: early,
        framed: false,
        ..attach()
    });
    client.write_all(b"late\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(fixture.finish(), 0);
    assert_eq!(read_all(client), b"early late\nend\n");
}

#[test]
fn a_client_that_dies_ends_stdin_too() {
    let mut fixture = run("cat >/dev/null; exit 3", None);
    let mut client = fixture.attach(attach());
    client.write_all(b"x").unwrap();
    drop(client);
    assert_eq!(fixture.finish(), 3);
}

#[test]
fn a_client_that_has_nothing_more_to_say_leaves_when_stdin_goes_on() {
    let mut fixture = run("read line; echo got $line; read more; exit 6", None);
    fixture.task.identity.stdin_once = false;
    let mut client = fixture.attach(Attach {
        framed: false,
        ..attach()
    });
    client.write_all(b"one\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    // It ends while the task runs, and has heard the answer.
    while !fixture.task.clients.is_empty() {
        let left = fixture
            .task
            .deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        fixture.turn_within(left.unwrap_or(PATIENCE));
    }
    assert_eq!(read_all(client), b"got one\n");
    let mut second = fixture.attach(attach());
    second.write_all(b"two\n").unwrap();
    assert_eq!(fixture.finish(), 6);
}

#[test]
fn stdin_is_passed_on_no_faster_than_it_is_read() {
    let mut fixture = run("sleep 0.1; wc -c", None);
    let mut client = fixture.attach(Attach {
        framed: false,
        ..attach()
    });
    let writer = std::thread::spawn(move || {
        client.write_all(&vec![b'x'; 3_000_000]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        read_all(client)
    });
    let mut most = 0;
    while fixture.task.finished(Instant::now()).is_none() {
        fixture.turn();
        most = most.max(fixture.task.input.len());
    }
    fixture.finish();
    assert_eq!(writer.join().unwrap().trim_ascii(), b"3000000");
    assert!(most <= READ_MAX, "{most} bytes were held");
}

#[test]
fn a_slow_client_slows_the_output_and_loses_nothing() {
    let mut fixture = run("head -c 3000000 /dev/zero", None);
    let client = fixture.attach(Attach {
        framed: false,
        stdin: false,
        ..attach()
    });
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        read_all(client).len()
    });
    let mut most = 0;
    while fixture.task.finished(Instant::now()).is_none() {
        fixture.turn();
        let waiting = fixture
            .task
            .clients
            .iter()
            .filter(|client| client.is_behind())
            .count();
        most = most.max(waiting);
    }
    assert_eq!(fixture.finish(), 0);
    fixture.until(|task| task.clients.is_empty());
    assert_eq!(reader.join().unwrap(), 3_000_000);
    assert_eq!(most, 1, "it was never behind: this tests nothing");
}

#[test]
fn a_client_that_leaves_lets_the_others_and_the_task_go_on() {
    let mut fixture = run("head -c 2000000 /dev/zero; exit 5", None);
    let stuck = fixture.attach(Attach {
        stdin: false,
        ..attach()
    });
    // Until its buffers are full; then it dies.
    fixture.until(Task::is_held_back);
    drop(stuck);
    assert_eq!(fixture.finish(), 5);
    assert!(fixture.task.clients.is_empty());
}

#[test]
fn detach_keys_let_the_client_go_and_stdin_open() {
    let mut fixture = run("read line; echo got $line; read more; exit 4", None);
    let keys = Attach {
        detach_keys: vec![16, 17],
        framed: false,
        ..attach()
    };
    let mut client = fixture.attach(keys);
    client.write_all(b"one\n\x10\x11ignored").unwrap();
    fixture.until(|task| task.clients.is_empty());
    assert!(fixture.detached);
    read_all(client);
    let mut second = fixture.attach(attach());
    second.write_all(b"two\n").unwrap();
    assert_eq!(fixture.finish(), 4);
}

#[test]
fn somebody_who_holds_the_pipes_is_not_waited_for() {
    let log = LogFile::new("held");
    // The sleeper ends by the end of its stdin, whose other end the fixture holds.
    let mut fixture = run("exec 3<&0; cat <&3 >&2 & printf last; exit 9", Some(&log.0));
    fixture.until(|task| task.ended.is_some());
    fixture.task.ended.as_mut().unwrap().drain_until = Instant::now();
    fixture.task.on_output(Stream::Stdout);
    assert_eq!(fixture.finish(), 9);
    assert_eq!(log.read(), [(Stream::Stdout, "last".to_owned())]);
}

#[test]
fn a_client_that_comes_too_late_reads_the_end() {
    let mut fixture = run("exit 1", None);
    assert_eq!(fixture.finish(), 1);
    let client = fixture.attach(attach());
    fixture.task.settle(Instant::now());
    assert!(read_all(client).is_empty());
}

#[test]
fn signals_reach_it_until_it_ended() {
    let mut fixture = run("exec sleep 60", None);
    fixture.task.signal(15).unwrap();
    assert_eq!(fixture.finish(), 128 + 15);
    assert_eq!(fixture.task.signal(15).unwrap_err().errno, Errno::SRCH);
}
