//! `exec`.

use std::ffi::CString;
use std::os::fd::AsFd;

use types::oci::runtime::{Capabilities, Process, Spec};

use super::error::{Error, Result};
use super::foreground::Keeper;
use super::store::{Entry, Status};
use super::words::Words;
use super::{Context, console, control, create};
use crate::exec::Manner;
use crate::plan::process::Filter;
use crate::{Container, Stdio};

/// `exec ID PROGRAM …`
pub(super) fn exec(context: &Context, words: &Words) -> Result<i32> {
    let entry = control::named(context, words)?;
    let ignore_paused = words.is_on("ignore-paused");
    match entry.status() {
        Status::Stopped => return Err(Error::said("cannot exec in a stopped container")),
        Status::Paused if !ignore_paused => {
            return Err(Error::said(
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        Status::Creating => return Err(Error::said("cannot exec in a container in creation")),
        Status::Created | Status::Running | Status::Paused => {}
    }
    let spec = entry.spec()?;
    let process = wanted(&spec, words)?;
    let detach = words.is_on("detach");
    let manner = Manner {
        is_alone: true,
        kept_fds: create::kept_fds(context, words)?,
        ignore_paused,
    };
    if process.terminal || words.get("console-socket").is_some() {
        console::check(process.terminal, detach, words.get("console-socket"))?;
    }
    let container = open(&entry, &spec, words)?;
    let stdio = if process.terminal {
        Stdio::Terminal
    } else {
        create::own_streams()?
    };
    let keeper = if detach { None } else { Some(Keeper::begin()?) };
    let mut child = crate::exec::exec(&container, &process, &stdio, manner)?;
    drop(stdio);
    if let Some(path) = words.get("console-socket")
        && let Some(master) = child.console.take()
    {
        console::send(path, master.as_fd(), b"/dev/ptmx")?;
    }
    if let Some(path) = words.get("pid-file") {
        create::write_pid(path, child.pid)?;
    }
    match keeper {
        Some(keeper) => keeper.keep(child),
        None => Ok(0),
    }
}

/// The container as the library knows it.
fn open(entry: &Entry, spec: &Spec, words: &Words) -> Result<Container> {
    let stopped = || Error::said("cannot exec in a stopped container");
    let init = entry.init().ok_or_else(stopped)?;
    let root = CString::new(format!("/proc/{}/root", entry.record.init_process_pid))
        .map_err(|_| stopped())?;
    let root = sys::root::open_host(&root).map_err(Error::kernel("root of the container"))?;
    let seccomp = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let filter = seccomp.map(Filter::of).transpose();
    let group = match words.get("cgroup") {
        None | Some("" | "/") => entry.group()?,
        Some(path) => {
            let path = format!("{}/{}", entry.record.wharf.cgroup, path.trim_matches('/'));
            cgroup::Group::open(crate::create::topology()?, &path)?
        }
    };
    Ok(Container {
        id: entry.record.id.clone(),
        group,
        root,
        init,
        line: None,
        kinds: entry.record.wharf.namespaces,
        personality: match &spec.linux {
            Some(linux) => crate::plan::personality(linux).map_err(crate::error::Failure::from)?,
            None => None,
        },
        filter: filter.map_err(crate::error::Failure::from)?,
    })
}

/// The process of the bundle with what the flags change, or the one of a file.
fn wanted(spec: &Spec, words: &Words) -> Result<Process> {
    if let Some(path) = words.get("process") {
        let text = std::fs::read(path).map_err(|error| Error::file(path.as_ref(), &error))?;
        let process: Process = serde_json::from_slice(&text)
            .map_err(|error| Error::said(format!("{path}: {error}")))?;
        return checked(process);
    }
    let mut process = spec.process.clone().unwrap_or_default();
    process.args = words.args.get(1..).unwrap_or_default().to_vec();
    process.terminal = words.is_on("tty");
    if let Some(cwd) = words.get("cwd") {
        cwd.clone_into(&mut process.cwd);
    }
    process.env.extend(words.all("env").map(str::to_owned));
    if let Some(profile) = words.get("apparmor") {
        profile.clone_into(&mut process.apparmor_profile);
    }
    if let Some(label) = words.get("process-label") {
        label.clone_into(&mut process.selinux_label);
    }
    if words.get("no-new-privs").is_some() {
        process.no_new_privileges = words.is_on("no-new-privs");
    }
    let caps: Vec<String> = words.all("cap").map(str::to_owned).collect();
    if !caps.is_empty() {
        let sets: &mut Capabilities = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.extend(caps.iter().cloned());
        }
        if !process.no_new_privileges || !sets.inheritable.is_empty() {
            sets.ambient.retain(|one| sets.inheritable.contains(one));
        }
    }
    if let Some(user) = words.get("user") {
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| {
                Error::said(format!(
                    "parsing {text} as int for uid failed: invalid syntax"
                ))
            })
        };
        let (uid, gid) = match user.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (user, None),
        };
        process.user.uid = number(uid)?;
        if let Some(gid) = gid {
            process.user.gid = number(gid)?;
        }
    }
    for gid in words.all("additional-gids") {
        let gid = gid
            .parse()
            .map_err(|_| Error::said(format!("additional-gids must be a positive number {gid}")))?;
        process.user.additional_gids.push(gid);
    }
    checked(process)
}

fn checked(process: Process) -> Result<Process> {
    if process.args.is_empty() {
        return Err(Error::said("exec args cannot be empty"));
    }
    if process.cwd.is_empty() {
        return Err(Error::said("Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::said("Cwd must be an absolute path"));
    }
    Ok(process)
}
