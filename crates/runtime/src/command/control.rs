//! `start`, `kill`, `delete`, `pause`, `resume`.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use sys::poll::{Interest, Poll, SIGKILL};
use types::oci::runtime::{Hook, Hooks, Spec};

use super::error::{Error, Result};
use super::store::{self, Entry, GATE, Status};
use super::words::Words;
use super::{Context, list};
use crate::error::unheard;
use crate::hooks;

/// How long `delete --force` waits for a killed init.
const PATIENCE: Duration = Duration::from_secs(10);

/// The container that the first argument names.
pub(super) fn named(context: &Context, words: &Words) -> Result<Entry> {
    let id = words.args.first().map(String::as_str).unwrap_or_default();
    if id.is_empty() {
        return Err(Error::said("container id cannot be empty"));
    }
    context.store.find(id)
}

/// `start ID`
pub(super) fn start(context: &Context, words: &Words) -> Result<i32> {
    let entry = named(context, words)?;
    match entry.status() {
        Status::Created => {}
        Status::Stopped => {
            return Err(Error::said("cannot start a container that has stopped"));
        }
        Status::Running => {
            return Err(Error::said("cannot start an already running container"));
        }
        status @ (Status::Creating | Status::Paused) => {
            return Err(Error::said(format!(
                "cannot start a container in the {status} state"
            )));
        }
    }
    let spec = entry.spec()?;
    go(context, &entry, &spec)?;
    Ok(0)
}

/// Lets init go; returns when it became its program or ended.
pub(super) fn go(context: &Context, entry: &Entry, spec: &Spec) -> Result<()> {
    let path = entry.dir.join(GATE);
    let gate = sys::fifo::open_to_write(&path).map_err(|error| match error.errno {
        sys::Errno::NXIO => Error::said("container process is already dead"),
        _ => Error::kernel("the gate of init")(error),
    })?;
    let failed = || Error::kernel("let init go");
    let poll = Poll::new().map_err(failed())?;
    // Init closes its end when it becomes its program, or ends.
    poll.add(gate.as_fd(), 0, Interest::Nothing)
        .map_err(failed())?;
    sys::fd::write_all(gate.as_fd(), b"0").map_err(failed())?;
    while poll.wait(None).map_err(failed())?.is_empty() {}
    std::fs::remove_file(&path).map_err(|error| Error::file(&path, &error))?;
    let hooks = of(spec, |hooks| &hooks.poststart);
    if !hooks.is_empty() {
        let state = list::state_text(entry, "running", entry.record.init_process_pid);
        run_hooks(context, entry, hooks, &state);
    }
    Ok(())
}

/// Hooks of one kind.
fn of(spec: &Spec, kind: fn(&Hooks) -> &Vec<Hook>) -> &[Hook] {
    spec.hooks
        .as_ref()
        .map(kind)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Runs hooks whose failure is told and changes nothing.
fn run_hooks(context: &Context, entry: &Entry, list: &[Hook], state: &str) {
    let cwd = Path::new(&entry.record.wharf.bundle);
    for (number, hook) in list.iter().enumerate() {
        if let Err(failed) = hooks::run_one(number, hook, state.as_bytes(), cwd) {
            context.report.warning(&failed.to_string());
        }
    }
}

/// `kill ID [SIGNAL]`
pub(super) fn kill(context: &Context, words: &Words) -> Result<i32> {
    let entry = named(context, words)?;
    let word = words.args.get(1).map_or("SIGTERM", String::as_str);
    let signal = match word.parse() {
        Ok(number @ 0..=64) => number,
        _ => types::signal::parse(word)
            .map_err(|_| Error::said(format!("unknown signal {word:?}")))?,
    };
    if words.is_on("all") {
        signal_all(&entry, signal)?;
        return Ok(0);
    }
    let not_running = || Error::said("container not running");
    let status = entry.status();
    if matches!(status, Status::Stopped | Status::Creating) {
        return Err(not_running());
    }
    // Without a pid namespace the end of init ends nobody else.
    if signal == SIGKILL && !entry.record.wharf.has_pid_namespace {
        signal_all(&entry, signal)?;
        return Ok(0);
    }
    let init = entry.init().ok_or_else(not_running)?;
    sys::pidfd::send_signal(&init, signal).map_err(|error| match error.errno {
        sys::Errno::SRCH => not_running(),
        _ => Error::kernel("signal init")(error),
    })?;
    // v1's frozen tasks die only when they are thawed.
    if signal == SIGKILL && status == Status::Paused {
        entry.group()?.freeze(false)?;
    }
    Ok(0)
}

/// Signals all processes of the container, while none can fork itself out of the list.
fn signal_all(entry: &Entry, signal: i32) -> Result<()> {
    let Ok(group) = entry.group() else {
        return Ok(());
    };
    let was_frozen = group.is_frozen().unwrap_or(false);
    let frozen = was_frozen || group.freeze(true).is_ok();
    let pids = group.pids();
    for pid in pids.unwrap_or_default() {
        let sent = sys::pidfd::open(pid).and_then(|pidfd| sys::pidfd::send_signal(pidfd, signal));
        match sent {
            Err(error) if error.errno != sys::Errno::SRCH => {
                if frozen && !was_frozen {
                    unheard(group.freeze(false));
                }
                return Err(Error::kernel("signal a process of the container")(error));
            }
            _ => {}
        }
    }
    if frozen && (!was_frozen || signal == SIGKILL) {
        group.freeze(false)?;
    }
    Ok(())
}

/// `delete ID`
pub(super) fn delete(context: &Context, words: &Words) -> Result<i32> {
    let force = words.is_on("force");
    let entry = match named(context, words) {
        Ok(entry) => entry,
        Err(Error::Missing) => {
            // What a creation that was killed at once left has no state.
            let id = words.args.first().map(String::as_str).unwrap_or_default();
            context.store.forget(id)?;
            return if force { Ok(0) } else { Err(Error::Missing) };
        }
        Err(error) => return Err(error),
    };
    match entry.status() {
        // One that waits for its start was never seen to run: its init ends with it.
        Status::Stopped | Status::Created => {}
        _ if force => {}
        status => {
            let id = &entry.record.id;
            return Err(Error::said(format!(
                "cannot delete container {id} that is not stopped: {status}"
            )));
        }
    }
    remove(context, &entry, true)?;
    Ok(0)
}

/// Ends what still runs and removes all that was made.
pub(super) fn remove(context: &Context, entry: &Entry, kill: bool) -> Result<()> {
    let group = entry.group().ok();
    if kill {
        end(entry, group.as_ref())?;
    }
    if let Some(group) = group {
        // What others put into it stays, as with runc; it is told.
        if let Err(error) = group.destroy() {
            context.report.warning(&Error::from(error).to_string());
        }
    }
    let spec = entry.spec();
    store::remove(&entry.dir)?;
    if let Ok(spec) = spec {
        let hooks = of(&spec, |hooks| &hooks.poststop);
        if !hooks.is_empty() {
            run_hooks(
                context,
                entry,
                hooks,
                &list::state_text(entry, "stopped", 0),
            );
        }
    }
    Ok(())
}

/// Kills init, and without a pid namespace all in the group; waits for init's end.
fn end(entry: &Entry, group: Option<&cgroup::Group>) -> Result<()> {
    if !entry.record.wharf.has_pid_namespace {
        signal_all(entry, SIGKILL)?;
    }
    let Some(init) = entry.init() else {
        return Ok(());
    };
    // It may end this moment.
    unheard(sys::pidfd::send_signal(&init, SIGKILL));
    if let Some(group) = group
        && group.is_frozen().unwrap_or(false)
    {
        group.freeze(false)?;
    }
    let deadline = Instant::now() + PATIENCE;
    let poll = Poll::new().map_err(Error::kernel("wait for init"))?;
    poll.add(init.as_fd(), 0, Interest::Read)
        .map_err(Error::kernel("wait for init"))?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::said("container init still running"));
        }
        if !poll
            .wait(Some(left))
            .map_err(Error::kernel("wait for init"))?
            .is_empty()
        {
            return Ok(());
        }
    }
}

/// `pause ID`
pub(super) fn pause(context: &Context, words: &Words) -> Result<i32> {
    let entry = named(context, words)?;
    match entry.status() {
        Status::Running | Status::Created => entry.group()?.freeze(true)?,
        _ => return Err(Error::said("container not running")),
    }
    Ok(0)
}

/// `resume ID`
pub(super) fn resume(context: &Context, words: &Words) -> Result<i32> {
    let entry = named(context, words)?;
    match entry.status() {
        Status::Paused => entry.group()?.freeze(false)?,
        _ => return Err(Error::said("container not paused")),
    }
    Ok(0)
}

/// `checkpoint`, `restore`
pub(super) fn no_criu(_context: &Context, _words: &Words) -> Result<i32> {
    Err(Error::said("checkpoint and restore are not supported yet"))
}
