//! `create` and `run`.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::namespace;
use types::Mount;
use types::oci::runtime::{Hooks, Linux, Spec};

use super::bundle::{self, Bundle};
use super::error::{Error, Result};
use super::foreground::Keeper;
use super::store::{self, Config, Entry, GATE, Own, Record};
use super::words::Words;
use super::{Context, console, control, list};
use crate::create::Alone;
use crate::error::{Failure, unheard};
use crate::plan::{InnerHooks, Plan};
use crate::{Child, CreateRequest, Stdio, hooks};

/// `create ID`
pub(super) fn create(context: &Context, words: &Words) -> Result<i32> {
    let (made, _) = make(context, words, true)?;
    // Its keeper waits for it.
    drop(made.child);
    Ok(0)
}

/// `run ID`
pub(super) fn run(context: &Context, words: &Words) -> Result<i32> {
    let detach = words.is_on("detach");
    let keeper = if detach { None } else { Some(Keeper::begin()?) };
    let (made, spec) = make(context, words, detach)?;
    let Made { entry, child } = made;
    let started = control::go(context, &entry, &spec);
    let Some(keeper) = keeper else {
        if let Err(error) = started {
            unheard(control::remove(context, &entry, true));
            return Err(error);
        }
        return Ok(0);
    };
    let ended = started.and_then(|()| keeper.keep(child));
    if !words.is_on("keep") || ended.is_err() {
        let removed = control::remove(context, &entry, true);
        if ended.is_ok() {
            removed?;
        }
    }
    ended
}

/// A container that waits for its start.
struct Made {
    entry: Entry,
    child: Child,
}

fn make(context: &Context, words: &Words, detach: bool) -> Result<(Made, Spec)> {
    let id = words.args.first().map(String::as_str).unwrap_or_default();
    let Bundle {
        dir: bundle,
        mut spec,
        rootfs,
    } = bundle::read(words.get("bundle"))?;
    let kept_fds = kept_fds(context, words)?;
    let terminal = spec
        .process
        .as_ref()
        .is_some_and(|process| process.terminal);
    console::check(terminal, detach, words.get("console-socket"))?;
    set_cgroup(id, &mut spec)?;
    if context.listen_fds > 0
        && let Some(process) = &mut spec.process
    {
        process
            .env
            .push(format!("LISTEN_FDS={}", context.listen_fds));
        process.env.push("LISTEN_PID=1".to_owned());
    }
    let (dir, lock) = context.store.add(id)?;
    let order = Order {
        words,
        spec: &spec,
        rootfs,
        bundle,
        kept_fds,
        terminal,
    };
    let made = make_in(&order, id, &dir);
    drop(lock);
    match made {
        Ok(made) => Ok((made, spec)),
        Err(error) => {
            // The first failure is the one to hear about.
            unheard(store::remove(&dir));
            Err(error)
        }
    }
}

/// What is wanted.
struct Order<'a> {
    words: &'a Words,
    spec: &'a Spec,
    rootfs: PathBuf,
    bundle: PathBuf,
    kept_fds: u32,
    terminal: bool,
}

fn make_in(order: &Order<'_>, id: &str, dir: &Path) -> Result<Made> {
    let gate = dir.join(GATE);
    let gate = sys::fifo::make(&gate)
        .and_then(|()| sys::fifo::open(&gate))
        .map_err(Error::kernel("the gate of init"))?;
    let mut entry = Entry {
        dir: dir.to_owned(),
        record: record(order, id),
    };
    let text = serde_json::to_vec(order.spec)
        .map_err(|error| Error::said(format!("config.json: {error}")))?;
    entry.save_spec(&text)?;
    entry.save()?;
    let root = Mount::Bind {
        source: order.rootfs.clone(),
    };
    let stdio = if order.terminal {
        Stdio::Terminal
    } else {
        own_streams()?
    };
    let request = CreateRequest {
        id,
        spec: order.spec,
        root: &root,
        stdio,
        netns: None,
    };
    let made = create_alone(order, &request, gate.as_fd(), &entry)?;
    let (container, mut child) = made;
    entry.record.init_process_pid = child.pid;
    entry.record.init_process_start = child.start_time;
    entry.record.wharf.is_made = true;
    entry.record.wharf.namespaces = container.kinds;
    note_places(&mut entry.record, &container);
    let told = tell(order, &entry, &mut child);
    if let Err(error) = told {
        unheard(sys::pidfd::send_signal(&child.pidfd, sys::poll::SIGKILL));
        unheard(sys::pidfd::wait(child.pidfd.as_fd()));
        unheard(container.group.destroy());
        return Err(error);
    }
    Ok(Made { entry, child })
}

/// What the caller waits for.
fn tell(order: &Order<'_>, entry: &Entry, child: &mut Child) -> Result<()> {
    entry.save()?;
    if let Some(path) = order.words.get("console-socket")
        && let Some(master) = child.console.take()
    {
        console::send(path, master.as_fd(), b"/dev/ptmx")?;
    }
    if let Some(path) = order.words.get("pidfd-socket") {
        console::send(path, child.pidfd.as_fd(), b"pidfd")?;
    }
    if let Some(path) = order.words.get("pid-file") {
        write_pid(path, child.pid)?;
    }
    Ok(())
}

/// Writes a pid, whole or not at all.
pub(super) fn write_pid(path: &str, pid: i32) -> Result<()> {
    sys::durable::replace_volatile(Path::new(path), pid.to_string().as_bytes(), 0o644)
        .map_err(Error::kernel("write the pid file"))
}

fn create_alone(
    order: &Order<'_>,
    request: &CreateRequest<'_>,
    gate: BorrowedFd<'_>,
    entry: &Entry,
) -> Result<(crate::Container, Child)> {
    let default = Hooks::default();
    let hooks = order.spec.hooks.as_ref().unwrap_or(&default);
    let outer: Vec<_> = hooks
        .prestart
        .iter()
        .chain(&hooks.create_runtime)
        .cloned()
        .collect();
    let adjust = |plan: &mut Plan| adjust(order, hooks, !outer.is_empty(), entry, plan);
    let between = |pid: i32| {
        let mut record = entry.record.clone();
        record.init_process_pid = pid;
        record.init_process_start = sys::pidfd::start_time(pid).unwrap_or(0);
        let now = Entry {
            dir: entry.dir.clone(),
            record,
        };
        let failed = |text: String| Failure::Hook(text);
        now.save().map_err(|error| failed(error.to_string()))?;
        let state = list::state_text(&now, "creating", pid);
        hooks::run(&outer, state.as_bytes(), &order.bundle)
            .map_err(|error| failed(error.to_string()))
    };
    let state = |pid: i32| list::state_text(entry, "creating", pid);
    let alone = Alone {
        state: &state,
        gate,
        kept_fds: order.kept_fds,
        adjust: &adjust,
        between: &between,
    };
    Ok(crate::create::create(request, Some(&alone))?)
}

fn adjust(
    order: &Order<'_>,
    hooks: &Hooks,
    pauses: bool,
    entry: &Entry,
    plan: &mut Plan,
) -> Result<(), Failure> {
    if order.words.is_on("no-new-keyring") {
        plan.keyring = None;
    }
    plan.pauses = pauses;
    plan.pivots = !order.words.is_on("no-pivot");
    if plan.pivots {
        let place = CString::new(order.rootfs.as_os_str().as_bytes());
        plan.root_place =
            Some(place.map_err(|_| crate::Invalid::Missing("root.path without NUL"))?);
    }
    // In a pid namespace of its own it is the first.
    let pid = i32::from(plan.namespaces.new & namespace::PID != 0);
    plan.hooks = InnerHooks {
        create_container: hooks.create_container.clone(),
        start_container: hooks.start_container.clone(),
        state: list::state_text(entry, "creating", pid).into_bytes(),
        state_at_start: list::state_text(entry, "created", pid).into_bytes(),
        // As with runc: hooks name what they change below it.
        cwd: order.rootfs.clone(),
    };
    Ok(())
}

fn record(order: &Order<'_>, id: &str) -> Record {
    let linux = order.spec.linux.as_ref();
    let own_pids = |linux: &Linux| {
        linux
            .namespaces
            .iter()
            .any(|one| one.kind == "pid" && one.path.is_empty())
    };
    Record {
        id: id.to_owned(),
        created: jiff::Timestamp::now().to_string(),
        config: Config {
            version: order.spec.oci_version.clone(),
            rootfs: order.rootfs.display().to_string(),
            labels: vec![format!("bundle={}", order.bundle.display())],
        },
        wharf: Own {
            bundle: order.bundle.display().to_string(),
            cgroup: linux
                .map(|linux| linux.cgroups_path.clone())
                .unwrap_or_default(),
            annotations: order.spec.annotations.clone(),
            has_pid_namespace: linux.is_some_and(own_pids),
            ..Own::default()
        },
        ..Record::default()
    }
}

/// Where others find the container's groups and namespaces.
fn note_places(record: &mut Record, container: &crate::Container) {
    for (hierarchy, _) in container.group.directories() {
        let directory = hierarchy
            .directory(container.group.path())
            .display()
            .to_string();
        for controller in &hierarchy.controllers {
            let paths = &mut record.cgroup_paths;
            paths.insert(controller.clone(), directory.clone());
        }
        if hierarchy.version == cgroup::Version::V2 {
            record.cgroup_paths.insert(String::new(), directory);
        }
    }
    let pid = record.init_process_pid;
    let names = [
        ("NEWNS", "mnt"),
        ("NEWPID", "pid"),
        ("NEWNET", "net"),
        ("NEWIPC", "ipc"),
        ("NEWUTS", "uts"),
        ("NEWUSER", "user"),
        ("NEWCGROUP", "cgroup"),
    ];
    for (name, file) in names {
        let paths = &mut record.namespace_paths;
        paths.insert(name.to_owned(), format!("/proc/{pid}/ns/{file}"));
    }
}

/// Our own streams become the container's.
pub(super) fn own_streams() -> Result<Stdio> {
    let own = |fd: BorrowedFd<'_>| -> Result<OwnedFd> {
        sys::fd::duplicate(fd).map_err(Error::kernel("standard streams"))
    };
    Ok(Stdio::Pipes {
        stdin: own(std::io::stdin().as_fd())?,
        stdout: own(std::io::stdout().as_fd())?,
        stderr: own(std::io::stderr().as_fd())?,
    })
}

/// How many descriptors from 3 on the container keeps; all must be there.
pub(super) fn kept_fds(context: &Context, words: &Words) -> Result<u32> {
    let wanted: u32 = words
        .number("preserve-fds")
        .map_err(Error::Said)?
        .unwrap_or(0);
    let count = wanted.saturating_add(context.listen_fds);
    for number in 3..3_u32.saturating_add(count) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            let number = number - 3;
            return Err(Error::said(format!(
                "please check that preserved-fd {number} (of {count}) is present"
            )));
        }
    }
    sys::fd::close_on_exec_from(3).map_err(Error::kernel("inherited descriptors"))?;
    Ok(count)
}

/// A path that is not absolute lies below our own group, one that is missing is the id.
fn set_cgroup(id: &str, spec: &mut Spec) -> Result<()> {
    let linux = spec.linux.get_or_insert_default();
    let path = if linux.cgroups_path.is_empty() {
        id
    } else {
        linux.cgroups_path.as_str()
    };
    if path.starts_with('/') {
        return Ok(());
    }
    let topology = crate::create::topology()?;
    let own = topology
        .hierarchies()
        .first()
        .map(cgroup::Hierarchy::below_mount);
    let own = own.unwrap_or_default();
    linux.cgroups_path = format!("{}/{path}", own.trim_end_matches('/'));
    if !linux.cgroups_path.starts_with('/') {
        linux.cgroups_path.insert(0, '/');
    }
    Ok(())
}
