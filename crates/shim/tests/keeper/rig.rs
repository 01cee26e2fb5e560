//! A daemon for tests: starts a shim, speaks to it, and looks whether anything is left.

#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use shim::protocol::{
    self, Attach, Create, Event, Exec, HEADER_LEN, INLINE_MAX, Log, Message, Reply, Request, Status,
};
use sys::poll::{Interest, Poll};
use sys::process::{Child, Program, Spawn};
use sys::socket::{self, Kind};
use types::Mount;
use types::oci::runtime::{
    Capabilities, Linux, Memory, Namespace, Process, Resources, Root, Spec, SpecMount,
};

pub(crate) const SIGKILL: i32 = 9;
/// Who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shim, its container's files, and the daemon's end.
pub(crate) struct Keeper {
    pub(crate) id: String,
    pub(crate) create: Create,
    dir: PathBuf,
    control: Option<OwnedFd>,
    child: Child,
    ended: bool,
    next: u64,
    events: Vec<Event>,
}

impl Keeper {
    /// Starts a shim and plans a container that runs `script`.
    pub(crate) fn new(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("wharf-shim-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&id);
        make_root(&dir.join("root"));
        let (ours, theirs) = socket::pair(Kind::SeqPacket).unwrap();
        let create = Create {
            id: id.clone(),
            dir: dir.to_str().unwrap().to_owned(),
            socket: dir.join("shim.sock").to_str().unwrap().to_owned(),
            spec: spec(&id, script),
            root: Mount::Bind {
                source: dir.join("root"),
            },
            has_netns: false,
            open_stdin: false,
            stdin_once: false,
            log: Log::JsonFile {
                max_size: 0,
                max_file: 1,
            },
            console_size: None,
            restart: types::restart_policy::Rule::No,
            health: None,
        };
        let child = start(theirs.as_fd());
        let control = Some(ours);
        Self {
            id,
            create,
            dir,
            control,
            child,
            ended: false,
            next: 1,
            events: Vec::new(),
        }
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.create.spec.process.as_mut().unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap()
    }

    /// Sends a request and returns its answer; events that come first are kept.
    pub(crate) fn call(
        &mut self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> (Reply, Vec<OwnedFd>) {
        let id = self.next;
        self.next += 1;
        let packet = protocol::encode(&Message::Request(id, request));
        let control = self.control.as_ref().unwrap();
        if packet.body.len() > INLINE_MAX {
            let body = sys::fd::memfd_sealed("body", &packet.body).unwrap();
            let all: Vec<_> = fds.iter().copied().chain([body.as_fd()]).collect();
            socket::send(control.as_fd(), &[&packet.header], &all).unwrap();
        } else {
            socket::send(control.as_fd(), &[&packet.header, &packet.body], fds).unwrap();
        }
        loop {
            match self.receive() {
                (Message::Reply(of, reply), fds) if of == id => return (reply, fds),
                (Message::Event(event), _) => self.events.push(event),
                (other, _) => panic!("unexpected {other:?}"),
            }
        }
    }

    fn receive(&self) -> (Message, Vec<OwnedFd>) {
        let control = self.control.as_ref().unwrap();
        wait_readable(control.as_fd());
        let mut buffer = vec![0; HEADER_LEN + INLINE_MAX];
        let received = socket::receive(control.as_fd(), &mut buffer).unwrap();
        let header = protocol::decode_header(&buffer[..received.len]).unwrap();
        assert!(!header.in_memfd, "no answer is that long");
        let body = &buffer[HEADER_LEN..received.len];
        (protocol::decode(header, body).unwrap(), received.fds)
    }

    /// Sends a request that is answered by Ok.
    pub(crate) fn ask(&mut self, request: Request) {
        assert_eq!(self.call(request, &[]).0, Reply::Ok);
    }

    /// Sends a request that fails; returns why.
    pub(crate) fn refused(&mut self, request: Request) -> String {
        match self.call(request, &[]).0 {
            Reply::Failed { message } => message,
            other => panic!("unexpected {other:?}"),
        }
    }

    pub(crate) fn create(&mut self) {
        let (reply, _) = self.call(Request::Create(Box::new(self.create.clone())), &[]);
        assert!(
            matches!(reply, Reply::Process { pid: 1.., .. }),
            "{reply:?}"
        );
    }

    pub(crate) fn status(&mut self) -> Status {
        match self.call(Request::Hello, &[]).0 {
            Reply::Hello(status) => *status,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// Waits for the next event.
    pub(crate) fn event(&mut self) -> Event {
        if !self.events.is_empty() {
            return self.events.remove(0);
        }
        match self.receive() {
            (Message::Event(event), _) => event,
            (other, _) => panic!("unexpected {other:?}"),
        }
    }

    pub(crate) fn attach(&mut self, attach: Attach) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reply, _) = self.call(Request::Attach(attach), &[theirs.as_fd()]);
        assert_eq!(reply, Reply::Ok);
        ours
    }

    pub(crate) fn exec(&mut self, id: &str, script: &str) -> (UnixStream, Reply) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reply, _) = self.call(exec(id, script, Some(attach())), &[theirs.as_fd()]);
        (ours, reply)
    }

    /// The daemon dies.
    pub(crate) fn leave(&mut self) {
        self.control = None;
    }

    /// The next daemon comes.
    pub(crate) fn return_to(&mut self) {
        let path = Path::new(&self.create.socket);
        self.control = Some(socket::connect(Kind::SeqPacket, path).unwrap());
    }

    /// Waits for the end of the shim.
    pub(crate) fn wait(&mut self) -> i32 {
        wait_readable(self.child.pidfd.as_fd());
        self.ended = true;
        sys::pidfd::wait(self.child.pidfd.as_fd()).unwrap().code()
    }

    /// The shim dies.
    pub(crate) fn kill(&mut self) {
        sys::pidfd::send_signal(&self.child.pidfd, SIGKILL).unwrap();
        assert_eq!(self.wait(), 128 + SIGKILL);
    }

    /// Removes the container's cgroup, whose processes are ending.
    pub(crate) fn remove_groups(&self) {
        let topology = cgroup::Topology::detect().unwrap();
        let path = format!("/wharf-shim-test/{}", self.id);
        cgroup::Group::open(&topology, &path)
            .unwrap()
            .destroy()
            .unwrap();
    }

    pub(crate) fn limit_memory(&mut self, bytes: i64) {
        let memory = Memory {
            limit: Some(bytes),
            swap: Some(bytes),
            ..Memory::default()
        };
        let resources = Resources {
            memory: Some(memory),
            ..Resources::default()
        };
        self.create.spec.linux.as_mut().unwrap().resources = Some(resources);
    }

    /// Puts an overlay over the root, as for `--rm`.
    pub(crate) fn make_volatile(&mut self) {
        for name in ["upper", "work"] {
            fs::create_dir_all(self.dir.join(name)).unwrap();
        }
        self.create.root = Mount::Overlay {
            lower: vec![self.dir.join("root")],
            upper: self.dir.join("upper"),
            work: self.dir.join("work"),
            volatile: true,
        };
    }

    /// Deletes the container; the shim ends, and nothing is left.
    pub(crate) fn delete(mut self) {
        self.ask(Request::Delete);
        assert_eq!(self.wait(), 0);
        self.assert_nothing_left();
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert!(!Path::new(&self.create.socket).exists());
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap() {
            let group = hierarchy
                .unwrap()
                .path()
                .join("wharf-shim-test")
                .join(&self.id);
            assert!(!group.exists(), "{}", group.display());
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.ended {
            // Of a test that failed: its init ends with it.
            sys::pidfd::send_signal(&self.child.pidfd, SIGKILL).unwrap();
            sys::pidfd::wait(self.child.pidfd.as_fd()).unwrap();
        }
        let temporary = sys::dir::Dir::open(&std::env::temp_dir()).unwrap();
        temporary.remove_tree(OsStr::new(&self.id)).unwrap();
    }
}

/// Waits for something to read, or for a process to end; a test that would hang fails.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>) {
    let poll = Poll::new().unwrap();
    poll.add(fd, 0, Interest::Read).unwrap();
    assert!(
        !poll.wait(Some(PATIENCE)).unwrap().is_empty(),
        "the shim says nothing"
    );
}

fn start(control: BorrowedFd<'_>) -> Child {
    let null = fs::File::open("/dev/null").unwrap();
    let stderr = std::io::stderr();
    let fds = [null.as_fd(), stderr.as_fd(), stderr.as_fd(), control];
    let spawn = Spawn {
        program: Program::Path(Path::new(env!("CARGO_BIN_EXE_shim-under-test"))),
        args: &[OsStr::new("wharf-shim")],
        env: &[],
        cwd: Path::new("/"),
        fds: &fds,
        session: true,
        foreground: false,
        death_signal: None,
    };
    spawn.start().unwrap()
}

fn make_root(root: &Path) {
    for name in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for name in ["sh", "cat", "head", "sleep", "stty", "tail", "true"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    sys::durable::replace_volatile(&root.join("etc/plain"), b"here\n", 0o644).unwrap();
}

fn process(script: &str) -> Process {
    let all = ["CAP_KILL", "CAP_SETUID", "CAP_SETGID"]
        .map(str::to_owned)
        .to_vec();
    Process {
        args: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec!["PATH=/bin".to_owned()],
        cwd: "/".to_owned(),
        capabilities: Some(Capabilities {
            bounding: all.clone(),
            effective: all.clone(),
            permitted: all,
            ..Capabilities::default()
        }),
        ..Process::default()
    }
}

fn spec(id: &str, script: &str) -> Spec {
    let namespace = |kind: &str| Namespace {
        kind: kind.to_owned(),
        path: String::new(),
    };
    let mount = |destination: &str, kind: &str, options: &[&str]| SpecMount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: kind.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..SpecMount::default()
    };
    Spec {
        oci_version: "1.2.1".to_owned(),
        process: Some(process(script)),
        root: Some(Root {
            path: "rootfs".to_owned(),
            readonly: false,
        }),
        hostname: "test".to_owned(),
        mounts: vec![
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755"]),
            mount(
                "/dev/pts",
                "devpts",
                &[
                    "nosuid",
                    "noexec",
                    "newinstance",
                    "ptmxmode=0666",
                    "mode=0620",
                ],
            ),
        ],
        linux: Some(Linux {
            cgroups_path: format!("/wharf-shim-test/{id}"),
            namespaces: ["pid", "mount", "ipc", "uts", "network", "cgroup"]
                .map(namespace)
                .to_vec(),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// Everything, framed.
pub(crate) fn attach() -> Attach {
    Attach {
        stdin: true,
        stdout: true,
        stderr: true,
        framed: true,
        early_input: Vec::new(),
        detach_keys: Vec::new(),
        client: 1,
    }
}

pub(crate) fn exec(id: &str, script: &str, attach: Option<Attach>) -> Request {
    Request::Exec(Box::new(Exec {
        exec_id: id.to_owned(),
        process: process(script),
        attach,
        console_size: None,
    }))
}

pub(crate) fn read_all(mut stream: UnixStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Takes frames apart: stdout, stderr.
pub(crate) fn payload(mut framed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut decoder = api::frame::Decoder::default();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((stream, piece)) = decoder.next(&mut framed).unwrap() {
        match stream {
            api::frame::Stream::Stdout => out.extend_from_slice(piece),
            api::frame::Stream::Stderr => err.extend_from_slice(piece),
            other => panic!("{other:?} is not output"),
        }
    }
    (out, err)
}
