//! The parent's side of an additional process.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use sys::single_threaded::SingleThreaded;
use sys::{namespace, pidfd, tty};
use types::oci::runtime::Process;

use crate::create::{self, Clock, Detour};
use crate::error::Failure;
use crate::handshake::{self, Message, Pause};
use crate::init::{self, Stage};
use crate::plan::process::ProcessPlan;
use crate::{Child, Container, Stdio, home, notify};

/// How the command line asks for an additional process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) is_alone: bool,
    pub(crate) kept_fds: u32,
    pub(crate) ignore_paused: bool,
}

/// Starts `process` in `container`; returns when it became its program.
pub(crate) fn exec(
    container: &Container,
    process: &Process,
    stdio: &Stdio,
    manner: Manner,
) -> Result<Child, Failure> {
    let proof = SingleThreaded::prove().map_err(Failure::Threads)?;
    let mut clock = Clock::start();
    if !manner.ignore_paused && container.group.is_frozen()? {
        return Err(Failure::Paused);
    }
    let mut facts = create::facts(false)?;
    facts.is_alone = manner.is_alone;
    facts.kept_fds = manner.kept_fds;
    let mut plan = ProcessPlan::new(process, container.filter.clone(), facts)?;
    plan.personality = container.personality;
    if !plan.has_home() {
        let home = home::of(container.root.as_fd(), plan.uid);
        plan.set_home(&home)?;
    }
    let pair = if plan.terminal {
        Some(open_console(container, &plan)?)
    } else {
        None
    };
    let entry = container.group.entry()?;
    let streams = create::streams(stdio, pair.as_ref().map(|pair| pair.peer.as_fd()), false)?;
    let init = container.init.as_fd();
    // A pid namespace is for children, the rest the child enters itself.
    let kinds = container.kinds & !namespace::PID;
    let detour = match container.kinds & namespace::PID {
        0 => None,
        _ => Some(Detour::begin(init)?),
    };
    clock.note("plan");
    let since = clock.since;
    let born = create::clone(proof, 0, &entry, |way, parent| {
        let terminal = plan.terminal;
        init::run_exec(
            &plan,
            init,
            kinds,
            &Stage {
                entry: way,
                streams,
                terminal,
                parent,
                gate: None,
                since,
            },
        )
    })?;
    drop(detour);
    clock.note("clone");
    let pauses = |pause, pid, fd: Option<OwnedFd>| match pause {
        Pause::Listener => {
            let state = notify::state(&container.id, "1.2.1", pid);
            notify::hand_over(&plan, pid, &state, fd)
        }
        _ => Ok(()),
    };
    let mut born = create::born_or_dead(born, &mut clock, pauses, |step, item, reason| {
        Failure::of_process(&plan, step, item, reason)
    })?;
    go(born.line())?;
    clock.note("execve");
    let start_time = pidfd::start_time(born.pid)
        .map_err(Failure::host(|| "start time of the process".to_owned()))?;
    let (pid, pidfd, _line) = born.keep();
    Ok(Child {
        pid,
        start_time,
        pidfd,
        console: pair.map(|pair| pair.master),
        steps: clock.steps,
    })
}

/// Gives the word, and waits until the process became its program or ended.
pub(crate) fn go(line: &mut std::os::unix::net::UnixStream) -> Result<(), Failure> {
    let io = |error| Failure::Host {
        what: "line to init".to_owned(),
        source: sys::Error::from_io("write", &error),
    };
    // One that is gone may have said why.
    let sent = line.write_all(&[1]).map_err(io);
    // Its end says that it is the program now, or has ended; a packet that it did not hear the word.
    let mut packet = [0; handshake::LEN];
    let count = sys::fd::read(line.as_fd(), &mut packet)
        .map_err(Failure::host(|| "line to init".to_owned()))?;
    match handshake::decode(&packet) {
        Some(Message::Failed { errno, .. }) if count == packet.len() => Err(Failure::Host {
            what: "line to init".to_owned(),
            source: sys::Error::new("read", errno),
        }),
        _ => sent,
    }
}

/// A terminal of the container's own devpts; the container cannot put anything else in its place.
fn open_console(container: &Container, plan: &ProcessPlan) -> Result<tty::Pair, Failure> {
    let host = || Failure::host(|| "open a console in /dev/pts".to_owned());
    let devpts: OwnedFd =
        sys::root::find_strictly(container.root.as_fd(), c"/dev/pts").map_err(host())?;
    let pair = tty::open_pair(devpts.as_fd()).map_err(host())?;
    if let Some((width, height)) = plan.console_size {
        tty::set_size(&pair.master, width, height).map_err(host())?;
    }
    Ok(pair)
}
