//! The parent's side of a new process: plan, prepare, clone, listen.

use std::cell::RefCell;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cgroup::{Entry, Group, Topology};
use sys::clone::Cloned;
use sys::single_threaded::SingleThreaded;
use sys::{Errno, namespace, pidfd};
use types::oci::runtime::Spec;

use crate::error::{Failure, Reason, unheard};
use crate::handshake::{self, Message, Pause, Step};
use crate::init::{self, Stage, Way};
use crate::plan::devices;
use crate::plan::mounts::What;
use crate::plan::{Facts, Plan};
use crate::prepare::{Prepared, prepare};
use crate::{Child, Container, CreateRequest, Stdio, Took, home, notify};

/// A process that was cloned and not yet heard of. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) pid: i32,
    /// None once the process is somebody else's to end.
    pidfd: Option<OwnedFd>,
    /// To the process, until it became its program.
    line: Option<UnixStream>,
}

impl Born {
    /// Its descriptor.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd
            .as_ref()
            .expect("a process that was not kept")
            .as_fd()
    }

    /// The line to it.
    pub(crate) fn line(&mut self) -> &mut UnixStream {
        self.line.as_mut().expect("a process that was not kept")
    }

    /// Lets it live: pid, descriptor, line.
    pub(crate) fn keep(mut self) -> (i32, OwnedFd, UnixStream) {
        let pidfd = self.pidfd.take().expect("a process that was not kept");
        (
            self.pid,
            pidfd,
            self.line.take().expect("a process that was not kept"),
        )
    }

    fn end(&mut self) -> Option<pidfd::Status> {
        let pidfd = self.pidfd.take()?;
        // One that is dead already still waits to be waited for.
        unheard(pidfd::send_signal(&pidfd, SIGKILL));
        pidfd::wait(pidfd.as_fd()).ok()
    }
}

impl Drop for Born {
    fn drop(&mut self) {
        self.end();
    }
}

/// The number is the same on every architecture (signal(7)).
const SIGKILL: i32 = 9;

/// What the steps of a creation took.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) since: Instant,
    pub(crate) steps: Vec<Took>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            steps: Vec::with_capacity(10),
        }
    }

    /// Notes that a step is over.
    pub(crate) fn note(&mut self, name: &'static str) {
        let end_us = handshake::us(self.since);
        self.steps.push(Took { name, end_us });
    }

    /// Adds what the child noted. It runs beside its parent, whose step `clone` may end later than
    /// the child's first.
    fn note_child(&mut self, at_us: [u32; handshake::STRETCHES.len()]) {
        for (name, end_us) in handshake::STRETCHES.into_iter().zip(at_us) {
            if end_us > 0 {
                self.steps.push(Took { name, end_us });
            }
        }
        self.note("heard of it");
    }
}

/// What is otherwise when nobody of ours stays with the container.
pub(crate) struct Alone<'a> {
    /// Where init waits for its start.
    pub(crate) gate: BorrowedFd<'a>,
    /// Descriptors from 3 on that init keeps.
    pub(crate) kept_fds: u32,
    /// Changes the plan.
    pub(crate) adjust: &'a dyn Fn(&mut Plan) -> Result<(), Failure>,
    /// The container's state, as a filter's listener reads it.
    pub(crate) state: &'a dyn Fn(i32) -> String,
    /// What is to be done when the namespaces exist, for a plan that pauses; with init's pid.
    pub(crate) between: &'a dyn Fn(i32) -> Result<(), Failure>,
}

/// Makes cgroup, namespaces, mounts and init.
pub(crate) fn create(
    request: &CreateRequest<'_>,
    alone: Option<&Alone<'_>>,
) -> Result<(Container, Child), Failure> {
    let proof = SingleThreaded::prove().map_err(Failure::Threads)?;
    let mut clock = Clock::start();
    let mut facts = facts(request.netns.is_some())?;
    if let Some(alone) = alone {
        facts.is_alone = true;
        facts.kept_fds = alone.kept_fds;
    }
    let mut plan = Plan::new(request.id, request.spec, facts)?;
    if let Some(alone) = alone {
        (alone.adjust)(&mut plan)?;
    }
    if plan.process.selinux.is_some() && !sys::lsm::has_selinux() {
        let words =
            "selinux label is specified in config, but selinux is disabled or not supported";
        return Err(crate::Invalid::Conflict(words).into());
    }
    clock.note("plan");
    let topology = topology()?;
    let group = make_group(request.spec, topology, alone.is_some())?;
    clock.note("cgroup");
    match create_in(proof, (request, alone), &mut plan, &group, &mut clock) {
        Ok((root, init, child)) => {
            let container = Container {
                id: request.id.to_owned(),
                group,
                root,
                init: init.pidfd,
                line: Some(init.line),
                kinds: kinds(&plan, request),
                filter: plan.process.filter,
                personality: plan.process.personality,
            };
            Ok((container, child))
        }
        Err(failure) => {
            // The first failure is the one to hear about; a group that stays is found by the sweep.
            // One that was there before may hold others' processes.
            if alone.is_none() {
                unheard(group.kill());
            }
            unheard(group.destroy());
            Err(failure)
        }
    }
}

/// Where cgroups are mounted here, looked up once per process: it costs a fifth of a millisecond,
/// and nothing mounts hierarchies while containers run.
pub(crate) fn topology() -> Result<&'static Topology, Failure> {
    static TOPOLOGY: OnceLock<Topology> = OnceLock::new();
    if let Some(topology) = TOPOLOGY.get() {
        return Ok(topology);
    }
    let topology = Topology::detect()?;
    Ok(TOPOLOGY.get_or_init(|| topology))
}

/// What a container keeps of its init.
struct Init {
    pidfd: OwnedFd,
    line: UnixStream,
}

fn create_in(
    proof: SingleThreaded,
    (request, alone): (&CreateRequest<'_>, Option<&Alone<'_>>),
    plan: &mut Plan,
    group: &Group,
    clock: &mut Clock,
) -> Result<(OwnedFd, Init, Child), Failure> {
    let mut prepared = prepare(plan, request.root, group, topology()?)?;
    if let Some(netns) = request.netns {
        let own = sys::fd::duplicate(netns).map_err(host("network namespace"))?;
        prepared.join.push((namespace::NETWORK, own));
    }
    set_home(plan, &prepared)?;
    let entry = group.entry()?;
    let pid_namespace = join_pid_namespace(&mut prepared)?;
    let clocks = new_clocks(plan)?;
    let streams = streams(
        &request.stdio,
        prepared.console.as_ref().map(|pair| pair.peer.as_fd()),
        plan.ids.is_some(),
    )?;
    clock.note("mounts made");
    let since = clock.since;
    let new = plan.namespaces.new & !namespace::TIME;
    let born = clone(proof, new, &entry, |way, parent| {
        let terminal = plan.process.terminal;
        init::run(
            plan,
            &prepared,
            &Stage {
                entry: way,
                streams,
                terminal,
                parent,
                gate: alone.map(|alone| alone.gate),
                since,
            },
        )
    })?;
    drop((pid_namespace, clocks));
    clock.note("clone");
    let console = RefCell::new(prepared.console.map(|pair| pair.master));
    let pauses = |pause: Pause, pid: i32, fd: Option<OwnedFd>| match (pause, alone) {
        (Pause::Namespaces, Some(alone)) => (alone.between)(pid),
        (Pause::Namespaces, None) => Ok(()),
        (Pause::Ids, _) => give_ids(plan, pid),
        (Pause::Console, _) => {
            console.replace(fd);
            Ok(())
        }
        (Pause::Listener, _) => {
            let state = match alone {
                Some(alone) => (alone.state)(pid),
                None => notify::state(request.id, &request.spec.oci_version, pid),
            };
            notify::hand_over(&plan.process, pid, &state, fd)
        }
    };
    let born = born_or_dead(born, clock, pauses, |step, item, reason| {
        Failure::of_init(plan, step, item, reason)
    })?;
    let console = console.into_inner();
    if let (Some(console), Some((width, height))) = (&console, plan.process.console_size) {
        sys::tty::set_size(console, width, height).map_err(host("size of the console"))?;
    }
    let start_time = pidfd::start_time(born.pid).map_err(host("start time of init"))?;
    let pidfd = sys::fd::duplicate(born.pidfd()).map_err(host("descriptor of init"))?;
    let (pid, own, line) = born.keep();
    let child = Child {
        pid,
        start_time,
        pidfd: own,
        console,
        steps: std::mem::take(&mut clock.steps),
    };
    Ok((prepared.root, Init { pidfd, line }, child))
}

/// The namespaces that an additional process enters.
fn kinds(plan: &Plan, request: &CreateRequest<'_>) -> u64 {
    let mut kinds = plan.namespaces.new;
    for (kind, _) in &plan.namespaces.join {
        kinds |= kind;
    }
    if plan.namespaces.new_cgroup {
        kinds |= namespace::CGROUP;
    }
    if request.netns.is_some() {
        kinds |= namespace::NETWORK;
    }
    kinds
}

/// Adds to a kernel error what it was about.
pub(crate) fn host(what: &'static str) -> impl FnOnce(sys::Error) -> Failure {
    Failure::host(move || what.to_owned())
}

/// What this process has to give.
pub(crate) fn facts(has_netns: bool) -> Result<Facts, Failure> {
    let own = sys::credentials::capabilities().map_err(host("own capabilities"))?;
    Ok(Facts {
        capabilities: own.permitted,
        has_kcore: sys::root::kind_at(c"/proc/kcore").is_ok(),
        has_netns,
        is_alone: false,
        kept_fds: 0,
    })
}

fn make_group(spec: &Spec, topology: &Topology, may_exist: bool) -> Result<Group, Failure> {
    let linux = spec.linux.as_ref();
    let path = linux
        .map(|linux| linux.cgroups_path.as_str())
        .unwrap_or_default();
    if path.is_empty() {
        return Err(crate::Invalid::Missing("linux.cgroupsPath").into());
    }
    let default = types::oci::runtime::Resources::default();
    let resources = linux
        .and_then(|linux| linux.resources.as_ref())
        .unwrap_or(&default);
    let (writes, _warnings) = cgroup::plan(&devices::with_default_rules(resources), topology)?;
    let group = if may_exist {
        Group::create_or_take(topology, path)?
    } else {
        Group::create(topology, path)?
    };
    match group.apply(&writes) {
        Ok(()) => Ok(group),
        Err(error) => {
            unheard(group.destroy());
            Err(error.into())
        }
    }
}

/// `HOME` comes from the container's passwd file, or from one that is mounted over it.
fn set_home(plan: &mut Plan, prepared: &Prepared) -> Result<(), Failure> {
    if plan.process.has_home() {
        return Ok(());
    }
    let uid = plan.process.uid;
    let bound = plan
        .mounts
        .iter()
        .rev()
        .find(|step| step.target.name == "/etc/passwd");
    let home = match bound {
        Some(step) if matches!(step.what, What::Bind { .. }) => home::of_file(&step.source, uid),
        _ => home::of(prepared.root.as_fd(), uid),
    };
    Ok(plan.process.set_home(&home)?)
}

/// A pid namespace is entered by children only, so this process points its next child there.
fn join_pid_namespace(prepared: &mut Prepared) -> Result<Option<Detour>, Failure> {
    let at = prepared
        .join
        .iter()
        .position(|(kind, _)| *kind == namespace::PID);
    let Some(at) = at else { return Ok(None) };
    let (_, file) = prepared.join.remove(at);
    Detour::begin(file.as_fd()).map(Some)
}

/// Points the next child to a new time namespace, whose clocks are set before it is born: one that
/// is cloned into it is inside already, and may not set them.
fn new_clocks(plan: &Plan) -> Result<Option<Clocks>, Failure> {
    if plan.namespaces.new & namespace::TIME == 0 {
        return Ok(None);
    }
    let what = host("time namespace");
    let own = namespace::open(std::path::Path::new("/proc/self/ns/time")).map_err(what)?;
    namespace::unshare(namespace::TIME).map_err(host("time namespace"))?;
    let clocks = Clocks { own };
    if !plan.clocks.is_empty() {
        namespace::write_clocks(&plan.clocks).map_err(host("time offsets"))?;
    }
    Ok(Some(clocks))
}

/// Children of this process go to another time namespace until it is dropped.
#[derive(Debug)]
struct Clocks {
    own: OwnedFd,
}

impl Drop for Clocks {
    fn drop(&mut self) {
        unheard(namespace::enter(&self.own, namespace::TIME));
    }
}

/// What only a process outside may do for one in a user namespace of its own.
fn give_ids(plan: &Plan, pid: i32) -> Result<(), Failure> {
    let Some(ids) = &plan.ids else { return Ok(()) };
    namespace::write_ids(pid, &ids.users, &ids.groups)
        .map_err(host("ids of the user namespace"))?;
    for limit in &plan.process.limits {
        let what = || format!("error setting rlimit type {}", limit.resource);
        sys::sched::set_limit_of(pid, *limit).map_err(Failure::host(what))?;
    }
    if let Some(value) = plan.process.oom_score_adj {
        sys::sched::set_oom_score_adj_of(pid, value).map_err(host("oom_score_adj"))?;
    }
    Ok(())
}

/// Children of this process go to another pid namespace until it is dropped.
#[derive(Debug)]
pub(crate) struct Detour {
    own: OwnedFd,
}

impl Detour {
    /// Points children to the pid namespace of `fd`: a namespace file, or a process.
    pub(crate) fn begin(fd: BorrowedFd<'_>) -> Result<Self, Failure> {
        let own = namespace::open(std::path::Path::new("/proc/self/ns/pid"))
            .map_err(host("own pid namespace"))?;
        match namespace::enter(fd, namespace::PID) {
            Err(error) if error.errno == Errno::SRCH => Err(Failure::Stopped),
            done => done.map_err(host("pid namespace")).map(|()| Self { own }),
        }
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        // One's own namespace can always be entered again (pid_namespaces(7)).
        unheard(namespace::enter(&self.own, namespace::PID));
    }
}

/// The three descriptors that become 0, 1 and 2.
pub(crate) fn streams<'a>(
    stdio: &'a Stdio,
    peer: Option<BorrowedFd<'a>>,
    in_init: bool,
) -> Result<Option<[BorrowedFd<'a>; 3]>, Failure> {
    match (stdio, peer) {
        (
            Stdio::Pipes {
                stdin,
                stdout,
                stderr,
            },
            None,
        ) => Ok(Some([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])),
        (Stdio::Terminal, Some(peer)) => Ok(Some([peer; 3])),
        (Stdio::Terminal, None) if in_init => Ok(None),
        _ => Err(crate::Invalid::Missing("terminal, or it has one and gets pipes").into()),
    }
}

/// Clones a process that runs `child`, which never returns.
pub(crate) fn clone(
    proof: SingleThreaded,
    namespaces: u64,
    entry: &Entry,
    child: impl FnOnce(Way<'_>, BorrowedFd<'_>),
) -> Result<Born, Failure> {
    let (ours, theirs) = UnixStream::pair()
        .and_then(|pair| pair.0.set_read_timeout(Some(PATIENCE)).map(|()| pair))
        .map_err(|error| Failure::Host {
            what: "line to init".to_owned(),
            source: sys::Error::from_io("socketpair", &error),
        })?;
    // Opened in any case: between a refused clone3 and the next there is no way back.
    let procs = match &entry.into {
        Some(dir) => Some(open_procs(dir.as_fd()).map_err(host("cgroup.procs"))?),
        None => None,
    };
    let mut placed = entry.into.is_some();
    let mut cloned = sys::clone::clone3(proof, namespaces, entry.into.as_ref().map(AsFd::as_fd));
    if placed && cloned.as_ref().is_err_and(|error| is_refused(error.errno)) {
        placed = false;
        cloned = sys::clone::clone3(proof, namespaces, None);
    }
    match cloned.map_err(host("clone3"))? {
        Cloned::Parent { pid, pidfd } => Ok(Born {
            pid,
            pidfd: Some(pidfd),
            line: Some(ours),
        }),
        Cloned::Child => {
            let procs = procs.as_ref().filter(|_| !placed).map(AsFd::as_fd);
            let way = Way {
                tasks: &entry.tasks,
                procs,
            };
            child(way, theirs.as_fd());
            sys::clone::exit(255)
        }
    }
}

fn open_procs(dir: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    sys::root::open_to_write(dir, c"cgroup.procs")
}

/// How long a new process may take. What runs in a container can stop or starve the processes that
/// are to join it, and must not stop their maker with them.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clone3 says where it cannot place a child, but a child can enter by itself.
fn is_refused(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BUSY
    )
}

/// Waits for the first word of a new process.
pub(crate) fn born_or_dead(
    mut born: Born,
    clock: &mut Clock,
    pauses: impl Fn(Pause, i32, Option<OwnedFd>) -> Result<(), Failure>,
    failure: impl FnOnce(Step, usize, Reason) -> Failure,
) -> Result<Born, Failure> {
    let mut packet = [0; handshake::LEN];
    let word = loop {
        let received = sys::socket::receive(born.line().as_fd(), &mut packet);
        let (word, fd) = match received {
            Ok(got) if got.len == packet.len() => {
                (handshake::decode(&packet), got.fds.into_iter().next())
            }
            Err(error) if error.errno == Errno::AGAIN => {
                return Err(Failure::Silent(PATIENCE));
            }
            // What it says of one that died with words for it unread.
            Err(error) if error.errno != Errno::CONNRESET => {
                return Err(host("line to init")(error));
            }
            _ => (None, None),
        };
        let Some(Message::Pause(why)) = word else {
            break word;
        };
        pauses(why, born.pid, fd)?;
        // One that is gone is heard of at the next word.
        unheard(born.line().write_all(&[1]));
    };
    match word {
        // The loop above ends with another word.
        Some(Message::Pause(_)) => Err(Failure::Died("container init waits".to_owned())),
        Some(Message::Ready(at_us)) => {
            clock.note_child(at_us);
            Ok(born)
        }
        Some(Message::Failed {
            step,
            item,
            call,
            errno,
        }) => Err(failure(step, item, Reason { call, errno })),
        None => Err(Failure::Died(epitaph(&mut born))),
    }
}

/// It closed its end, so it is dead or dying.
fn epitaph(born: &mut Born) -> String {
    match born.end() {
        Some(pidfd::Status::Signaled(signal)) => {
            format!("container init was killed by signal {signal} (memory limit too low?)")
        }
        Some(status) => format!("container init ended with status {}", status.code()),
        None => "container init ended".to_owned(),
    }
}
