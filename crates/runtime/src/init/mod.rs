//! The child's side: from clone3 to execve, as a list.
//!
//! Invariants: nothing here allocates, logs or reads a locale; every string was made by the plan,
//! every descriptor of the host opened by the parent; the first failure ends it with one packet.

mod credentials;
mod program;
mod rootfs;

pub(crate) use rootfs::change;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use sys::{Errno, clone, namespace};
use types::oci::runtime::Hook;

use crate::error::unheard;
use crate::handshake::{self, Failed, Pause, Step, Stretch, Times};
use crate::hooks;
use crate::plan::process::ProcessPlan;
use crate::plan::{InnerHooks, Plan};
use crate::prepare::Prepared;

/// Result of a step.
pub(crate) type Done<T = ()> = Result<T, Failed>;

/// What init works with besides its plan.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) entry: Way<'a>,
    /// Become 0, 1 and 2; none: the terminal that init makes.
    pub(crate) streams: Option<[BorrowedFd<'a>; 3]>,
    /// The other end of this process's terminal is at the parent.
    pub(crate) terminal: bool,
    /// To the parent.
    pub(crate) parent: BorrowedFd<'a>,
    /// Where it waits for the word to go when the parent does not stay.
    pub(crate) gate: Option<BorrowedFd<'a>>,
    /// When the parent began.
    pub(crate) since: Instant,
}

/// The way into the cgroup.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    /// v1: files that take `0`.
    pub(crate) tasks: &'a [OwnedFd],
    /// v2, when clone3 could not place us: the file that takes `0`.
    pub(crate) procs: Option<BorrowedFd<'a>>,
}

/// Names the step and item in a failure.
pub(crate) trait At<T> {
    fn at(self, step: Step, item: usize) -> Done<T>;
}

impl<T> At<T> for sys::Result<T> {
    fn at(self, step: Step, item: usize) -> Done<T> {
        self.map_err(|error| Failed { step, item, error })
    }
}

/// Process 1 of a container, or its only one in a shared pid namespace.
pub(crate) fn run(plan: &Plan, prepared: &Prepared, stage: &Stage<'_>) -> ! {
    let mut times = Times::since(stage.since);
    let place = container(plan, prepared, stage, &mut times);
    finish(place, &plan.process, stage, &times, &plan.hooks)
}

/// An additional process in namespaces `kinds` of `init`.
pub(crate) fn run_exec(
    process: &ProcessPlan,
    init: BorrowedFd<'_>,
    kinds: u64,
    stage: &Stage<'_>,
) -> ! {
    let mut times = Times::since(stage.since);
    let place = additional(process, init, kinds, stage, &mut times);
    finish(place, process, stage, &times, &InnerHooks::default())
}

fn container(
    plan: &Plan,
    prepared: &Prepared,
    stage: &Stage<'_>,
    times: &mut Times,
) -> Done<usize> {
    begin()?;
    if plan.ids.is_some() {
        pause(stage, Pause::Ids)?;
        become_root()?;
    } else {
        set_oom_score(&plan.process)?;
    }
    enter_cgroup(&stage.entry)?;
    times.note(Stretch::Cgroup);
    if plan.namespaces.new_cgroup {
        namespace::unshare(namespace::CGROUP).at(Step::Cgroup, 0)?;
    }
    for (item, (kind, file)) in prepared.join.iter().enumerate() {
        namespace::enter(file, *kind).at(Step::Join, item)?;
    }
    if let Some(keyring) = &plan.keyring {
        sys::credentials::join_session_keyring(keyring).at(Step::Keyring, 0)?;
    }
    if plan.needs_loopback() {
        namespace::loopback_up().at(Step::Loopback, 0)?;
    }
    if plan.pauses {
        pause(stage, Pause::Namespaces)?;
    }
    times.note(Stretch::Namespaces);
    let pair = rootfs::build(plan, prepared)?;
    run_hooks(&plan.hooks.create_container, &plan.hooks)?;
    times.note(Stretch::Mounts);
    if let Some(pair) = &pair {
        hand_over(stage, Pause::Console, pair.master.as_fd())?;
    }
    let own = pair.as_ref().map(|pair| [pair.peer.as_fd(); 3]);
    set_streams(&plan.process, stage, own)?;
    rootfs::finish(plan, prepared)?;
    times.note(Stretch::Pivot);
    let place = become_user(&plan.process, stage)?;
    times.note(Stretch::User);
    Ok(place)
}

fn additional(
    process: &ProcessPlan,
    init: BorrowedFd<'_>,
    kinds: u64,
    stage: &Stage<'_>,
    times: &mut Times,
) -> Done<usize> {
    begin()?;
    set_oom_score(process)?;
    let [first, last] = &process.affinity;
    set_affinity(first)?;
    enter_cgroup(&stage.entry)?;
    set_affinity(last)?;
    times.note(Stretch::Cgroup);
    if kinds & namespace::USER != 0 {
        // What they are now may be nobody inside; a limit cannot be raised there.
        credentials::set_limits(process)?;
    }
    namespace::enter(init, kinds).at(Step::Join, 0)?;
    if kinds & namespace::USER != 0 {
        become_root()?;
    }
    times.note(Stretch::Namespaces);
    set_streams(process, stage, None)?;
    let place = become_user(process, stage)?;
    times.note(Stretch::User);
    Ok(place)
}

/// What a shim passes on must not reach the container: its signal actions, session, readability.
fn begin() -> Done {
    clone::reset_signals().at(Step::Begin, 0)?;
    sys::process::set_not_dumpable().at(Step::Begin, 1)?;
    clone::die_with_parent().at(Step::Begin, 2)?;
    sys::process::new_session().at(Step::Begin, 3)?;
    sys::process::set_umask(0).at(Step::Begin, 4)
}

/// Through the host's /proc, which is still ours.
fn set_oom_score(process: &ProcessPlan) -> Done {
    match process.oom_score_adj {
        Some(value) => sys::sched::set_oom_score_adj(value).at(Step::OomScore, 0),
        None => Ok(()),
    }
}

fn set_affinity(processors: &[u64]) -> Done {
    if processors.is_empty() {
        return Ok(());
    }
    sys::sched::set_affinity(processors).at(Step::Schedule, 3)
}

/// Root of the user namespace that this process is in.
fn become_root() -> Done {
    sys::credentials::set_gid(0).at(Step::Ids, 0)?;
    sys::credentials::set_uid(0).at(Step::Ids, 1)?;
    // The change of user cleared it.
    clone::die_with_parent().at(Step::Ids, 2)
}

/// A thread that moves itself takes no lock that waits for a grace period; a process that is moved
/// by another does.
fn enter_cgroup(way: &Way<'_>) -> Done {
    for (item, tasks) in way.tasks.iter().enumerate() {
        sys::fd::write_all(tasks.as_fd(), b"0").at(Step::Cgroup, item)?;
    }
    if let Some(procs) = way.procs {
        sys::fd::write_all(procs, b"0").at(Step::Cgroup, 0)?;
    }
    Ok(())
}

/// The streams are given to the user, who could not reopen them through /proc/self/fd otherwise.
fn set_streams(process: &ProcessPlan, stage: &Stage<'_>, own: Option<[BorrowedFd<'_>; 3]>) -> Done {
    let none = sys::Error::new("dup2", Errno::BADF);
    let streams = own.or(stage.streams).ok_or(none).at(Step::Streams, 5)?;
    for (item, stream) in (0_u8..).zip(streams) {
        clone::set_stream(stream, item).at(Step::Streams, item.into())?;
        let is_null = sys::root::kind(stream)
            .at(Step::Streams, item.into())?
            .char_device;
        if process.uid != 0 && is_null != Some((1, 3)) {
            give(stream, process.uid).at(Step::Streams, item.into())?;
        }
    }
    if stage.terminal {
        sys::tty::set_controlling(streams[0]).at(Step::Console, 0)?;
    }
    sys::fd::close_on_exec_from(3).at(Step::Streams, 3)?;
    for number in 3..3_u32.saturating_add(process.kept_fds) {
        sys::fd::keep_on_exec(number).at(Step::Streams, 4)?;
    }
    Ok(())
}

/// Sockets and read-only file systems keep their owner.
fn give(stream: BorrowedFd<'_>, uid: u32) -> sys::Result<()> {
    match sys::root::give(stream, uid, None) {
        Err(error) if matches!(error.errno, Errno::INVAL | Errno::PERM | Errno::ROFS) => Ok(()),
        done => done,
    }
}

/// From here on nothing of the host is in reach. Returns which of the places of the program it is.
fn become_user(process: &ProcessPlan, stage: &Stage<'_>) -> Done<usize> {
    credentials::set_limits(process)?;
    credentials::set_schedule(process)?;
    credentials::set_label(process)?;
    sys::process::set_umask(process.umask).at(Step::User, 0)?;
    if !process.no_new_privs {
        // Only a process with CAP_SYS_ADMIN may load a filter without no_new_privs.
        give_listener(credentials::load_filter(process)?, stage)?;
    }
    credentials::set_user(process)?;
    if process.no_new_privs && process.has_listener() {
        // The parent takes the listener, and it goes when init is told to start.
        give_listener(credentials::load_filter(process)?, stage)?;
    }
    sys::root::change_dir(&process.cwd.path).at(Step::Cwd, 0)?;
    sys::root::check_cwd().at(Step::Cwd, 1)?;
    if process.is_alone {
        clone::outlive_parent().at(Step::User, 1)?;
    } else {
        // The change of user cleared it.
        clone::die_with_parent().at(Step::User, 1)?;
    }
    program::find(process)
}

fn finish(
    place: Done<usize>,
    process: &ProcessPlan,
    stage: &Stage<'_>,
    times: &Times,
    hooks: &InnerHooks,
) -> ! {
    match place.and_then(|place| wait(stage, times).map(|()| place)) {
        Ok(place) => {
            if let Err(failed) = hooks::run(
                &hooks.start_container,
                &hooks.state_at_start,
                Path::new("/"),
            ) {
                tell(std::io::stderr().as_fd(), &failed);
                clone::exit(1)
            }
            let failure = last(process, place);
            // The parent was told that all is well: now the container's own stderr is the place.
            say(std::io::stderr().as_fd(), process, place, failure);
            clone::exit(255)
        }
        Err(failure) => {
            // A parent that is gone needs no message.
            if sys::fd::write_all(stage.parent, &handshake::failed(failure)).is_err() {
                clone::exit(254)
            }
            clone::exit(255)
        }
    }
}

/// Says ready, and waits for the word to go; the parent's end is the end.
fn wait(stage: &Stage<'_>, times: &Times) -> Done {
    sys::fd::write_all(stage.parent, &handshake::ready(times)).at(Step::Ready, 0)?;
    hear(stage.gate.unwrap_or(stage.parent))
}

/// Waits for one byte; the end is the end.
fn hear(from: BorrowedFd<'_>) -> Done {
    let mut word = [0; 1];
    match sys::fd::read(from, &mut word).at(Step::Ready, 1)? {
        1 => Ok(()),
        _ => clone::exit(255),
    }
}

/// Waits until the parent has done its part.
fn pause(stage: &Stage<'_>, why: Pause) -> Done {
    sys::fd::write_all(stage.parent, &handshake::pause(why)).at(Step::Pause, 0)?;
    hear(stage.parent)
}

/// Gives the parent a descriptor, and waits until it has it.
fn hand_over(stage: &Stage<'_>, why: Pause, fd: BorrowedFd<'_>) -> Done {
    sys::socket::send(stage.parent, &[&handshake::pause(why)], &[fd]).at(Step::Pause, 1)?;
    hear(stage.parent)
}

fn give_listener(listener: Option<OwnedFd>, stage: &Stage<'_>) -> Done {
    match listener {
        Some(listener) => hand_over(stage, Pause::Listener, listener.as_fd()),
        None => Ok(()),
    }
}

/// Runs hooks in the container's namespaces. How one failed goes into the packet as a call and its
/// status.
fn run_hooks(list: &[Hook], hooks: &InnerHooks) -> Done {
    for (item, hook) in list.iter().enumerate() {
        if let Err(failed) = hooks::run_one(item, hook, &hooks.state, &hooks.cwd) {
            tell(std::io::stderr().as_fd(), &failed);
            let error = sys::Error::new("hook", Errno::CANCELED);
            return Err(Failed {
                step: Step::Hook,
                item,
                error,
            });
        }
    }
    Ok(())
}

/// What a hook said, where its user looks.
fn tell(stderr: BorrowedFd<'_>, failed: &hooks::Failed) {
    // Nobody else to tell when that fails.
    unheard(sys::fd::write_all(stderr, format!("{failed}\n").as_bytes()));
}

fn last(process: &ProcessPlan, place: usize) -> sys::Error {
    if process.no_new_privs
        && !process.has_listener()
        && let Err(Failed { error, .. }) = credentials::load_filter(process)
    {
        return error;
    }
    match program::place(&process.program, place) {
        Some(path) => clone::execve(path, &process.args, &process.env),
        None => sys::Error::new("execve", Errno::NOENT),
    }
}

/// `exec /x: exec format error`, as peers write it.
fn say(stderr: BorrowedFd<'_>, process: &ProcessPlan, place: usize, error: sys::Error) {
    let path = program::place(&process.program, place).unwrap_or(c"");
    for part in [
        b"exec ".as_slice(),
        path.to_bytes(),
        b": ",
        errno_words(error.errno),
        b"\n",
    ] {
        if sys::fd::write_all(stderr, part).is_err() {
            return;
        }
    }
}

fn errno_words(errno: Errno) -> &'static [u8] {
    match errno {
        Errno::NOEXEC => b"exec format error",
        Errno::NOENT => b"no such file or directory",
        Errno::ACCESS => b"permission denied",
        Errno::PERM => b"operation not permitted",
        Errno::TOOBIG => b"argument list too long",
        Errno::LOOP => b"too many levels of symbolic links",
        Errno::TXTBSY => b"text file busy",
        Errno::NOMEM => b"cannot allocate memory",
        _ => b"input/output error",
    }
}
